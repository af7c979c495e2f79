#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/memory.h"
#include "phases/config.h"

static bm_status parse(const char *text, run_config *config, bm_error *err)
{
	json_t *json = json_loads(text, 0, NULL);
	assert_non_null(json);
	run_config_init(config);
	bm_status status = run_config_from_json(json, "test.json", config, err);
	json_decref(json);
	return status;
}

static void written_and_read_it_is_the_same(void **state)
{
	(void)state;
	char folder[] = "/tmp/config_test_XXXXXX", path[64], names[256];
	bm_error err = {0};
	run_config a, b;
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof path, "%s/config.json", folder);
	run_config_init(&a);
	run_config_init(&b);
	a.seed = 9007199254740993; /* not a double */
	a.split_seed = 7;
	a.train_share = 0.3;
	a.width = 0.3;
	assert_true(run_config_set_depth(&a, 26));
	assert_false(run_config_set_depth(&a, 18));
	a.image_size = 96;
	a.head = MODEL_HEAD_LINEAR;
	a.split = DATA_SPLIT_GUIDE;
	a.threads = 3;
	a.strict = true;
	a.benchmark = false;
	assert_int_equal(run_config_plan(&a, "scratch", false, &err), BM_OK);
	a.plan.stages[0].learning_rate = 0.0123f;
	assert_int_equal(run_config_set(&a.data, "/data/bräin \"quoted\"", &err), BM_OK);
	assert_int_equal(run_config_set(&a.weights, "w.keras", &err), BM_OK);
	assert_int_equal(run_config_set(&a.teachers, "a,b.keras", &err), BM_OK);
	assert_int_equal(run_config_write(&a, path, &err), BM_OK);
	assert_int_equal(run_config_read(path, &b, &err), BM_OK);
	assert_int_equal(run_config_difference(&a, &b, names, sizeof names, &err), BM_OK);
	assert_string_equal(names, "");
	assert_true(b.seed == a.seed);
	assert_true(run_config_split_seed(&b) == 7);
	assert_string_equal(b.teachers, a.teachers);
	assert_int_equal(b.depth, 26);
	assert_true(run_config_set_depth(&b, 50) && b.depth == 0);
	assert_true(b.width == a.width && b.train_share == a.train_share);
	assert_true(b.plan.stages[0].learning_rate == a.plan.stages[0].learning_rate);
	assert_string_equal(b.data, a.data);
	assert_int_equal(b.threads, 3);
	assert_false(b.benchmark);
	assert_null(b.pack);
	run_config_free(&a);
	run_config_free(&b);
	unlink(path);
	rmdir(folder);
}

/* Found with tests/fuzz/fuzz_config.c. */
static void more_digits_than_are_written_make_no_difference(void **state)
{
	(void)state;
	char path[] = "/tmp/config_test_XXXXXX", names[256];
	bm_error err = {0};
	run_config a, b;
	int file = mkstemp(path);
	assert_true(file >= 0);
	close(file);
	run_config_init(&a);
	run_config_init(&b);
	a.width = 0.12345678901234567;
	assert_int_equal(run_config_write(&a, path, &err), BM_OK);
	assert_int_equal(run_config_read(path, &b, &err), BM_OK);
	assert_int_equal(run_config_difference(&a, &b, names, sizeof names, &err), BM_OK);
	assert_string_equal(names, "");
	run_config_free(&a);
	run_config_free(&b);
	unlink(path);
}

static void what_is_unknown_or_wrong_is_named(void **state)
{
	(void)state;
	static const struct {
		const char *json, *named;
	} cases[] = {
		{"{\"seeed\": 1}", "'seeed'"},
		{"{\"seed\": -1}", "'seed'"},
		{"{\"seed\": 1.5}", "'seed'"},
		{"{\"split_seed\": -1}", "'split_seed'"},
		{"{\"teachers\": [1]}", "'teachers'"},
		{"{\"width\": 0}", "'width'"},
		{"{\"width\": \"1\"}", "'width'"},
		{"{\"image_size\": 31}", "'image_size'"},
		{"{\"threads\": -1}", "'threads'"},
		{"{\"strict\": 1}", "'strict'"},
		{"{\"split\": \"half\"}", "'split'"},
		{"{\"head\": \"big\"}", "'head'"},
		{"{\"data\": 5}", "'data'"},
		{"{\"plan\": \"three-stage\"}", "'three-stage'"},
		{"{\"train_share\": 0}", "'train_share'"},
		{"{\"train_share\": 1.01}", "'train_share'"},
		{"{\"model\": \"vgg\"}", "'model'"},
		{"{\"plan\": {}}", "'plan'"},
		{"{\"plan\": 3}", "'plan'"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		bm_error err = {0};
		run_config config;
		assert_int_not_equal(parse(cases[i].json, &config, &err), BM_OK);
		if (!strstr(err.message, cases[i].named))
			fail_msg("%s: '%s' does not name %s", cases[i].json, err.message, cases[i].named);
		run_config_free(&config);
	}
}

static void broken_json_tells_the_place(void **state)
{
	(void)state;
	char path[] = "/tmp/config_test_XXXXXX";
	bm_error err = {0};
	run_config config;
	int file = mkstemp(path);
	assert_true(file >= 0);
	close(file);
	assert_int_equal(base_file_write(path, "{\n\"seed\" 1}", 10, &err), BM_OK);
	run_config_init(&config);
	assert_int_equal(run_config_read(path, &config, &err), BM_ERR_USAGE);
	assert_non_null(strstr(err.message, "line 2"));
	assert_non_null(strstr(err.message, path));
	run_config_free(&config);
	unlink(path);
}

static void a_plan_by_name_takes_the_image_size(void **state)
{
	(void)state;
	bm_error err = {0};
	run_config config;
	assert_int_equal(parse("{\"plan\": \"scratch\", \"image_size\": 160}", &config, &err), BM_OK);
	assert_string_equal(config.plan.name, "scratch");
	assert_int_equal(config.plan.stages[config.plan.count - 1].image_size, 160);
	run_config_free(&config);
}

static void a_plan_by_name_brings_its_size(void **state)
{
	(void)state;
	bm_error err = {0};
	run_config config;
	assert_int_equal(parse("{\"plan\": \"scratch\"}", &config, &err), BM_OK);
	assert_int_equal(config.image_size, TRAIN_SCRATCH_SIZE);
	assert_int_equal(config.plan.stages[config.plan.count - 1].image_size, TRAIN_SCRATCH_SIZE);
	run_config_free(&config);
	run_config_init(&config);
	config.image_size = 96; /* chosen */
	assert_int_equal(run_config_plan(&config, "scratch", true, &err), BM_OK);
	assert_int_equal(config.image_size, 96);
	run_config_free(&config);
}

static void the_compact_network_brings_its_head_and_plan(void **state)
{
	(void)state;
	bm_error err = {0};
	run_config config;
	assert_int_equal(parse("{\"model\": \"compact\"}", &config, &err), BM_OK);
	assert_string_equal(config.plan.name, "compact");
	assert_int_equal(config.head, MODEL_HEAD_LINEAR);
	assert_int_equal(config.image_size, 160);
	run_config_free(&config);
	assert_int_equal(parse("{\"model\": \"compact\", \"head\": \"guide\", \"image_size\": 96}", &config, &err),
			 BM_OK);
	assert_string_equal(config.plan.name, "compact");
	assert_int_equal(config.head, MODEL_HEAD_GUIDE);
	assert_int_equal(config.plan.stages[config.plan.count - 1].image_size, 96);
	run_config_free(&config);
}

static void the_compact_network_is_kept(void **state)
{
	(void)state;
	bm_error err = {0};
	run_config config;
	json_t *json = NULL, *plain = NULL;
	char names[64];
	assert_int_equal(parse("{\"model\": \"compact\", \"plan\": \"compact\"}", &config, &err), BM_OK);
	assert_int_equal(config.variant, MODEL_COMPACT);
	assert_int_equal(config.image_size, 160);
	assert_int_equal(run_config_channels(&config), 1);
	assert_int_equal(config.plan.count, 3);
	assert_int_equal(config.plan.stages[0].image_size, 96);
	assert_int_equal(config.plan.stages[1].image_size, 128);
	assert_int_equal(config.plan.stages[1].batch, 64);
	assert_true(config.plan.time_budget == 2400);
	assert_int_equal(run_config_to_json(&config, &json, &err), BM_OK);
	assert_string_equal(json_string_value(json_object_get(json, "model")), "compact");
	config.variant = MODEL_V1_5;
	assert_string_equal(run_config_model_name(&config), "resnet50v1.5");
	assert_int_equal(run_config_channels(&config), 3);
	/* A file without it is one of ResNet-50, which is no difference. */
	config.variant = MODEL_V1;
	assert_int_equal(run_config_to_json(&config, &plain, &err), BM_OK);
	json_object_del(plain, "model");
	run_config_compare(json, plain, names, sizeof names);
	assert_string_equal(names, "model");
	json_decref(json);
	json_decref(plain);
	assert_int_equal(run_config_to_json(&config, &json, &err), BM_OK);
	assert_int_equal(run_config_to_json(&config, &plain, &err), BM_OK);
	json_object_del(plain, "model");
	run_config_compare(json, plain, names, sizeof names);
	assert_string_equal(names, "");
	json_decref(json);
	json_decref(plain);
	run_config_free(&config);
}

static void a_new_size_keeps_the_steps(void **state)
{
	(void)state;
	bm_error err = {0};
	run_config config;
	run_config_init(&config);
	assert_int_equal(run_config_plan(&config, "scratch", false, &err), BM_OK);
	int first = config.plan.stages[0].image_size;
	run_config_resize(&config, 112);
	assert_int_equal(config.plan.stages[config.plan.count - 1].image_size, 112);
	assert_int_equal(config.image_size, 112);
	assert_true(abs(config.plan.stages[0].image_size - first / 2) <= 4);
	run_config_free(&config);
}

static void differences_are_named_and_budgets_forgiven(void **state)
{
	(void)state;
	bm_error err = {0};
	run_config a, b;
	char names[256];
	run_config_init(&a);
	assert_int_equal(run_config_set(&a.data, "x", &err), BM_OK);
	assert_int_equal(run_config_copy(&a, &b, &err), BM_OK);
	b.threads = 7;
	b.benchmark = false;
	assert_int_equal(run_config_set(&b.out, "elsewhere", &err), BM_OK);
	assert_int_equal(run_config_difference(&a, &b, names, sizeof names, &err), BM_OK);
	assert_string_equal(names, "");
	b.seed++;
	b.split_seed = 7;
	b.width = 0.5;
	b.plan.stages[1].epochs++;
	assert_int_equal(run_config_difference(&a, &b, names, sizeof names, &err), BM_OK);
	assert_string_equal(names, "seed, width, plan, split_seed");
	b.seed = a.seed;
	b.width = a.width;
	b.split_seed = -1;
	a.plan.time_budget = 60;
	b.plan.fitted_budget = 60; /* what such a budget became */
	assert_int_equal(run_config_difference(&a, &b, names, sizeof names, &err), BM_OK);
	assert_string_equal(names, "");
	b.plan.fitted_budget = 90;
	assert_int_equal(run_config_difference(&a, &b, names, sizeof names, &err), BM_OK);
	assert_string_equal(names, "plan");
	b.plan.fitted_budget = 0; /* epochs as they were given */
	assert_int_equal(run_config_difference(&a, &b, names, sizeof names, &err), BM_OK);
	assert_string_equal(names, "plan");
	a.plan.time_budget = 0;
	b.plan.fitted_budget = 60;
	b.plan.stages[1].epochs = a.plan.stages[1].epochs; /* the same epochs, given */
	assert_int_equal(run_config_difference(&a, &b, names, sizeof names, &err), BM_OK);
	assert_string_equal(names, "");
	b.plan.stages[1].learning_rate *= 2;
	assert_int_equal(run_config_difference(&a, &b, names, sizeof names, &err), BM_OK);
	assert_string_equal(names, "plan");
	run_config_free(&a);
	run_config_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(written_and_read_it_is_the_same),
		cmocka_unit_test(more_digits_than_are_written_make_no_difference),
		cmocka_unit_test(what_is_unknown_or_wrong_is_named),
		cmocka_unit_test(broken_json_tells_the_place),
		cmocka_unit_test(a_plan_by_name_takes_the_image_size),
		cmocka_unit_test(a_plan_by_name_brings_its_size),
		cmocka_unit_test(the_compact_network_brings_its_head_and_plan),
		cmocka_unit_test(the_compact_network_is_kept),
		cmocka_unit_test(a_new_size_keeps_the_steps),
		cmocka_unit_test(differences_are_named_and_budgets_forgiven),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
