#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/memory.h"
#include "image/phantom.h"
#include "phases/phases.h"

enum { PER_CLASS = 8, SIDE = 48 };

typedef struct fixture {
	char root[40], data[64], run[64];
	base_text results, warnings;
	base_observer observer;
	atomic_bool cancel;
} fixture;

static void on_result(void *self, const char *line)
{
	base_text_add(&((fixture *)self)->results, "%s\n", line);
}

static void on_warning(void *self, const char *line)
{
	base_text_add(&((fixture *)self)->warnings, "%s\n", line);
}

static int make_fixture(void **state)
{
	bm_error err = {0};
	fixture *f = calloc(1, sizeof *f);
	assert_non_null(f);
	strcpy(f->root, "/tmp/phases_test_XXXXXX");
	assert_non_null(mkdtemp(f->root));
	snprintf(f->data, sizeof f->data, "%s/data", f->root);
	snprintf(f->run, sizeof f->run, "%s/run", f->root);
	f->observer = (base_observer){.self = f, .result = on_result, .warning = on_warning, .cancel = &f->cancel};
	for (int label = 0; label < IMAGE_PHANTOM_CLASSES; label++)
		for (int i = 0; i < PER_CLASS; i++) {
			char path[128];
			image img = {0};
			uint8_t *bytes;
			size_t size;
			snprintf(path, sizeof path, "%s/%s", f->data, image_phantom_class_names[label]);
			assert_int_equal(base_make_folders(path, &err), BM_OK);
			snprintf(path, sizeof path, "%s/%s/%d.png", f->data, image_phantom_class_names[label], i);
			assert_int_equal(image_phantom(1, label, (uint64_t)i, SIDE, &img, &err), BM_OK);
			assert_int_equal(image_encode_png(&img, &bytes, &size, &err), BM_OK);
			assert_int_equal(base_file_write(path, bytes, size, &err), BM_OK);
			base_free(bytes);
			image_free(&img);
		}
	*state = f;
	return 0;
}

static int free_fixture(void **state)
{
	fixture *f = *state;
	char command[64];
	snprintf(command, sizeof command, "rm -r '%s'", f->root);
	int code = system(command);
	base_text_free(&f->results);
	base_text_free(&f->warnings);
	free(f);
	return code;
}

static void open_context(fixture *f, bool force, phase_context *c)
{
	bm_error err = {0};
	run_config config;
	phase_options options = {.force = force};
	run_config_init(&config);
	config.width = 0.125;
	config.image_size = 32;
	config.threads = 1;
	config.benchmark = false;
	assert_int_equal(run_config_plan(&config, "scratch", false, &err), BM_OK);
	for (int i = 0; i < config.plan.count; i++) {
		config.plan.stages[i].epochs = 1;
		config.plan.stages[i].batch = 8;
	}
	assert_int_equal(run_config_set(&config.data, f->data, &err), BM_OK);
	assert_int_equal(run_config_set(&config.out, f->run, &err), BM_OK);
	if (phase_context_create(&config, &options, &f->observer, c, &err) != BM_OK)
		fail_msg("%s", err.message);
	run_config_free(&config);
}

static const json_t *result_of(const phase_context *c, const char *name)
{
	size_t i;
	json_t *value;
	json_array_foreach(c->results, i, value) if (strcmp(json_string_value(json_object_get(value, "name")), name) ==
						     0) return json_object_get(value, "result");
	fail_msg("no result of '%s'", name);
	return NULL;
}

static void they_say_what_must_come_first(void **state)
{
	fixture *f = *state;
	static const char *const wanting[][2] = {
		{"explore", "brainmri explore"},     {"classes", "brainmri explore"},
		{"model", "brainmri explore"},	     {"train", "brainmri preprocess"},
		{"evaluate", "brainmri preprocess"}, {"artifacts", "brainmri preprocess"},
		{"benchmark", "brainmri explore"},   {"page", "brainmri preprocess"}};
	phase_context c;
	open_context(f, true, &c);
	for (size_t i = 0; i < sizeof wanting / sizeof *wanting; i++) {
		bm_error err = {0};
		assert_int_equal(phase_run(&c, phase_find(wanting[i][0]), &err), BM_ERR_NOT_FOUND);
		if (!strstr(err.message, wanting[i][1]))
			fail_msg("%s: '%s' does not say '%s'", wanting[i][0], err.message, wanting[i][1]);
	}
	phase_context_free(&c);
}

static void the_listing_survives_its_file(void **state)
{
	fixture *f = *state;
	bm_error err = {0};
	phase_context c;
	data_set again;
	char *path;
	open_context(f, true, &c);
	assert_int_equal(phase_run(&c, phase_find("data"), &err), BM_OK);
	path = phase_path(&c, "data.json", &err);
	assert_int_equal(phase_listing_read(path, &again, &err), BM_OK);
	assert_true(base_hash_equal(again.hash, c.set.hash));
	assert_int_equal(again.count, c.set.count);
	assert_int_equal(again.class_count, IMAGE_PHANTOM_CLASSES);
	for (size_t i = 0; i < again.count; i++) {
		assert_string_equal(again.items[i].path, c.set.items[i].path);
		assert_int_equal(again.items[i].label, c.set.items[i].label);
		assert_int_equal(again.items[i].size, c.set.items[i].size);
		assert_memory_equal(&again.items[i].hash, &c.set.items[i].hash, sizeof again.items[i].hash);
		assert_string_equal(again.items[i].info.mode, c.set.items[i].info.mode);
		assert_int_equal(again.items[i].info.format, IMAGE_PNG);
	}
	data_set_free(&again);
	static const char *const damaged[] = {
		"{}", "[", "{\"root\": 1}",
		"{\"root\": \"x\", \"hash\": \"00\", \"classes\": [], \"images\": [], \"rejected\": []}"};
	for (size_t i = 0; i < sizeof damaged / sizeof *damaged; i++) {
		assert_int_equal(base_file_write(path, damaged[i], strlen(damaged[i]), &err), BM_OK);
		assert_int_equal(phase_listing_read(path, &again, &err), BM_ERR_FORMAT);
	}
	base_free(path);
	phase_context_free(&c);
}

static void all_of_them_agree(void **state)
{
	fixture *f = *state;
	bm_error err = {0};
	phase_context c;
	base_text_clear(&f->results);
	open_context(f, true, &c);
	if (phase_run_all(&c, &err) != BM_OK)
		fail_msg("%s", err.message);
	assert_int_equal(json_array_size(c.results), PHASE_ENTRIES - 1); /* without the benchmark */
	const json_t *data = result_of(&c, "data"), *network = result_of(&c, "model"),
		     *evaluation = result_of(&c, "evaluate");
	assert_int_equal(json_integer_value(json_object_get(data, "images")), IMAGE_PHANTOM_CLASSES * PER_CLASS);
	int64_t sum = 0;
	size_t i;
	json_t *layer;
	json_array_foreach(json_object_get(network, "layers"), i, layer) sum +=
		json_integer_value(json_object_get(layer, "parameters"));
	assert_true(sum == json_integer_value(json_object_get(network, "parameters")));
	assert_true(json_integer_value(json_object_get(evaluation, "test_samples")) ==
		    (json_int_t)c.split.count[DATA_TEST]);
	assert_true(c.split.count[DATA_TRAIN] + c.split.count[DATA_VALIDATION] + c.split.count[DATA_TEST] ==
		    c.pack.count);
	assert_non_null(strstr(f->results.data, "FINAL MODEL PERFORMANCE"));
	assert_non_null(strstr(f->results.data, "report.html"));
	phase_context_free(&c);

	/* A later process finds all of it again. */
	open_context(f, false, &c);
	assert_int_equal(phase_need_set(&c, &err), BM_OK);
	assert_int_equal(phase_need_split(&c, &err), BM_OK);
	assert_int_equal(phase_need_history(&c, &err), BM_OK);
	assert_int_equal(phase_need_metrics(&c, &err), BM_OK);
	assert_int_equal(phase_run(&c, phase_find("page"), &err), BM_OK);
	phase_context_free(&c);
}

static void a_request_to_stop_is_heard(void **state)
{
	fixture *f = *state;
	bm_error err = {0};
	phase_context c;
	open_context(f, true, &c);
	atomic_store(&f->cancel, true);
	assert_int_equal(phase_run_all(&c, &err), BM_ERR_CANCELLED);
	atomic_store(&f->cancel, false);
	phase_context_free(&c);
}

static void numbers_that_are_not_finite_become_null(void **state)
{
	fixture *f = *state;
	phase_context c;
	open_context(f, true, &c);
	phase_put_real(&c, NULL, "nothing", (double)NAN);
	phase_put_real(&c, NULL, "half", 0.5);
	assert_true(json_is_null(json_object_get(c.json, "nothing")));
	assert_true(json_real_value(json_object_get(c.json, "half")) == 0.5);
	phase_context_free(&c);
}

static void texts_that_are_not_utf8_are_shown_as_far_as_they_can_be(void **state)
{
	fixture *f = *state;
	phase_context c;
	open_context(f, true, &c);
	phase_put_text(&c, NULL, "path", "scans/\xff.jpg");
	const char *shown = json_string_value(json_object_get(c.json, "path"));
	assert_non_null(shown);
	assert_non_null(strstr(shown, "scans/"));
	assert_non_null(strstr(shown, ".jpg"));
	phase_context_free(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(they_say_what_must_come_first),
		cmocka_unit_test(the_listing_survives_its_file),
		cmocka_unit_test(numbers_that_are_not_finite_become_null),
		cmocka_unit_test(texts_that_are_not_utf8_are_shown_as_far_as_they_can_be),
		cmocka_unit_test(a_request_to_stop_is_heard),
		cmocka_unit_test(all_of_them_agree),
	};
	return cmocka_run_group_tests(tests, make_fixture, free_fixture);
}
