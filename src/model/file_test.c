#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "model/archive.h"
#include "model/model.h"
#include "model/source.h"
#include "model/test_files.h"

static const char *const classes[] = {"glioma", "meningioma", "no tumor, \"clean\"", "pituitär"};
static const model_options small = {
	.width = .125, .image_size = 64, .channels = 1, .head = MODEL_HEAD_GUIDE, .classes = 4};

static const char path_a[] = "a.keras", path_b[] = "b.keras";

static int leave(void **state)
{
	unlink(path_a);
	unlink(path_b);
	return test_files_leave(state);
}

static void make_and_save(const model_options *options, model *m, const char *path)
{
	bm_error err;

	check(model_create(options, classes, false, 5, m, &err), &err);
	/* No array may be all zeros or ones: an exchange of two would not be seen. */
	for (int i = 0; i < m->weights.count; i++) {
		for (size_t k = 0; k < m->weights.items[i].count; k++)
			m->weights.items[i].values[k] += .001f * (float)i + .0001f * (float)(k % 97);
	}
	check(model_save(m, path, &err), &err);
}

static void read_bytes(const char *path, uint8_t **bytes, size_t *size)
{
	bm_error err;

	check(base_file_read(path, (size_t)1 << 30, bytes, size, &err), &err);
}

static void assert_same_file(const char *path, const char *other)
{
	uint8_t *a, *b;
	size_t size_a, size_b;

	read_bytes(path, &a, &size_a);
	read_bytes(other, &b, &size_b);
	assert_int_equal(size_a, size_b);
	assert_memory_equal(a, b, size_a);
	base_free(a);
	base_free(b);
}

static void what_is_saved_comes_back(void **state)
{
	model m, loaded;
	bm_error err;

	(void)state;
	make_and_save(&small, &m, path_a);
	model_set_trainable(&m, MODEL_LAST_LAYERS, 30);
	check(model_save(&m, path_a, &err), &err);
	check(model_load(path_a, &loaded, &err), &err);
	assert_int_equal(loaded.weights.total, m.weights.total);
	assert_memory_equal(loaded.weights.storage, m.weights.storage, m.weights.total * sizeof(float));
	assert_true(loaded.options.width == small.width);
	assert_int_equal(loaded.options.image_size, 64);
	assert_int_equal(loaded.options.channels, 1);
	assert_int_equal(loaded.options.head, MODEL_HEAD_GUIDE);
	for (int i = 0; i < 4; i++)
		assert_string_equal(loaded.class_names[i], classes[i]);
	for (int i = 0; i < m.graph.count; i++) {
		assert_string_equal(loaded.graph.layers[i].name, m.graph.layers[i].name);
		assert_int_equal(loaded.graph.layers[i].trainable, m.graph.layers[i].trainable);
	}
	model_free(&loaded);
	model_free(&m);
}

/* As two trainings in one process do: neither is in the other's way, nor gives its own arrays for the other's. */
static void two_files_are_open_at_once(void **state)
{
	model_options wider = small;
	model a, b;
	model_source *first = NULL, *second = NULL;
	model_hdf5_writer *one = NULL, *two = NULL;
	bm_error err;

	(void)state;
	wider.width = .25;
	make_and_save(&small, &a, path_a);
	make_and_save(&wider, &b, path_b);
	check(model_source_open(path_a, true, &first, &err), &err);
	check(model_source_open(path_b, true, &second, &err), &err);
	for (int i = 0; i < 2; i++) {
		const model_source *s = i ? second : first;
		const nn_weight *w = &(i ? &b : &a)->weights.items[0];
		int index = model_source_find(s, "layers/conv2d/vars/0");
		float *values = malloc(w->count * sizeof(float));

		assert_non_null(values);
		assert_true(index >= 0);
		assert_int_equal(model_source_get(s, index)->shape[3], w->shape[3]);
		check(model_source_read(s, index, values, &err), &err);
		assert_memory_equal(values, w->values, w->count * sizeof(float));
		free(values);
	}
	model_source_close(first);
	model_source_close(second);
	check(model_hdf5_create(&one, &err), &err);
	check(model_hdf5_create(&two, &err), &err);
	model_hdf5_discard(one);
	model_hdf5_discard(two);
	model_free(&a);
	model_free(&b);
}

static void what_is_known_of_it_comes_back(void **state)
{
	model m, loaded;
	bm_error err;

	(void)state;
	check(model_create(&small, classes, false, 5, &m, &err), &err);
	m.trust = base_strdup("{\"temperature\": 1.5, \"as\": \"it \\u00e4 is\"}", &err);
	check(model_save(&m, path_a, &err), &err);
	check(model_load(path_a, &loaded, &err), &err);
	assert_string_equal(loaded.trust, m.trust);
	/* Put into a file that has weights: another text, the same weights, the same as if it had been saved with it. */
	loaded.trust[2] = 'T';
	check(model_save_trust(&loaded, path_a, &err), &err);
	check(model_save(&loaded, path_b, &err), &err);
	assert_same_file(path_a, path_b);
	model_free(&loaded);
	check(model_save_safetensors(&m, false, path_b, &err), &err);
	check(model_load(path_b, &loaded, &err), &err);
	assert_string_equal(loaded.trust, m.trust);
	model_free(&loaded);
	model_free(&m);
}

static void the_compact_network_comes_back(void **state)
{
	model_options options = small;
	model m, loaded;
	bm_error err;

	(void)state;
	options.variant = MODEL_COMPACT;
	options.head = MODEL_HEAD_LINEAR;
	make_and_save(&options, &m, path_a);
	check(model_save_safetensors(&m, false, path_b, &err), &err);
	for (int i = 0; i < 2; i++) {
		check(model_load(i ? path_b : path_a, &loaded, &err), &err);
		assert_int_equal(loaded.options.variant, MODEL_COMPACT);
		assert_int_equal(loaded.graph.count, m.graph.count);
		assert_memory_equal(loaded.weights.storage, m.weights.storage, m.weights.total * sizeof(float));
		model_free(&loaded);
	}
	model_free(&m);
}

static void same_weights_same_bytes(void **state)
{
	model m, loaded;
	bm_error err;

	(void)state;
	make_and_save(&small, &m, path_a);
	check(model_load(path_a, &loaded, &err), &err);
	check(model_save(&loaded, path_b, &err), &err);
	assert_same_file(path_a, path_b);
	model_free(&loaded);
	model_free(&m);
}

static void peek_tells_the_options(void **state)
{
	model_options options = small, found;
	bm_error err;
	model m;

	(void)state;
	options.head = MODEL_HEAD_DENSE512;
	options.width = .3;
	options.channels = 3;
	make_and_save(&options, &m, path_a);
	check(model_peek(path_a, &found, &err), &err);
	assert_true(found.width == .3);
	assert_int_equal(found.head, MODEL_HEAD_DENSE512);
	assert_int_equal(found.channels, 3);
	assert_int_equal(found.classes, 4);
	model_free(&m);
}

/* Keras drops brainmri.json when it saves a model again: then config.json tells the options. */
static void keras_own_config_is_enough(void **state)
{
	model_archive *archive;
	uint8_t *config, *weights;
	size_t config_size, weights_size;
	model m, loaded;
	bm_error err;

	(void)state;
	make_and_save(&small, &m, path_a);
	check(model_archive_open(path_a, &archive, &err), &err);
	check(model_archive_read(archive, "config.json", 1 << 24, &config, &config_size, &err), &err);
	check(model_archive_read(archive, "model.weights.h5", 1 << 28, &weights, &weights_size, &err), &err);
	model_archive_close(archive);
	{
		const model_entry entries[] = {{"config.json", config, config_size},
					       {"model.weights.h5", weights, weights_size}};

		check(model_archive_write(path_b, entries, 2, &err), &err);
	}
	check(model_load(path_b, &loaded, &err), &err);
	assert_true(loaded.options.width == small.width);
	assert_int_equal(loaded.options.head, MODEL_HEAD_GUIDE);
	assert_string_equal(loaded.class_names[2], "class 2");
	assert_memory_equal(loaded.weights.storage, m.weights.storage, m.weights.total * sizeof(float));
	base_free(config);
	base_free(weights);
	model_free(&loaded);
	model_free(&m);
}

static void weights_go_into_another_head(void **state)
{
	model_options options = small;
	model from, to;
	size_t base_floats = 0;
	float last;
	bool head;
	bm_error err;

	(void)state;
	make_and_save(&small, &from, path_a);
	for (int i = 0; i < from.weights.count; i++)
		base_floats += from.weights.items[i].layer < from.base_layers ? from.weights.items[i].count : 0;

	options.image_size = 96; /* of no matter for weights */
	check(model_create(&options, classes, false, 6, &to, &err), &err);
	check(model_load_weights(&to, path_a, &head, &err), &err);
	assert_true(head);
	assert_memory_equal(to.weights.storage, from.weights.storage, from.weights.total * sizeof(float));
	model_free(&to);

	options.head = MODEL_HEAD_DENSE512;
	check(model_create(&options, classes, false, 6, &to, &err), &err);
	last = to.weights.storage[base_floats];
	check(model_load_weights(&to, path_a, &head, &err), &err);
	assert_false(head);
	assert_memory_equal(to.weights.storage, from.weights.storage, base_floats * sizeof(float));
	assert_true(to.weights.storage[base_floats] == last);
	model_free(&to);

	/* The same head for fewer classes: the head is not taken. */
	options = small;
	options.classes = 3;
	check(model_create(&options, classes, false, 6, &to, &err), &err);
	check(model_load_weights(&to, path_a, &head, &err), &err);
	assert_false(head);
	model_free(&to);
	model_free(&from);
}

static void wrong_shapes_are_named(void **state)
{
	model_options options = small;
	float before;
	model from, to;
	bool head;
	bm_error err;

	(void)state;
	make_and_save(&small, &from, path_a);
	options.width = .1; /* as wide, after rounding; a narrower one's weights would be widened */
	options.channels = 3;
	check(model_create(&options, classes, false, 6, &to, &err), &err);
	before = to.weights.storage[0];
	assert_int_equal(model_load_weights(&to, path_a, &head, &err), BM_ERR_FORMAT);
	assert_non_null(strstr(err.message, "conv1_conv/kernel (layers/conv2d/vars/0) is 7x7x1x8, must be 7x7x3x8"));
	assert_non_null(strstr(err.message, " more."));
	assert_true(to.weights.storage[0] == before);
	model_free(&to);
	model_free(&from);
}

static void no_such_file_is_said(void **state)
{
	model_options options;
	bm_error err;
	model m;
	bool head;

	(void)state;
	assert_int_equal(model_load("/nowhere/x.keras", &m, &err), BM_ERR_NOT_FOUND);
	assert_non_null(strstr(err.message, "/nowhere/x.keras"));
	assert_int_equal(model_peek("/nowhere/x.keras", &options, &err), BM_ERR_NOT_FOUND);
	check(model_create(&small, classes, false, 1, &m, &err), &err);
	assert_int_equal(model_load_weights(&m, "/nowhere/x.keras", &head, &err), BM_ERR_NOT_FOUND);
	assert_int_not_equal(model_save(&m, "/nowhere/x.keras", &err), BM_OK);
	model_free(&m);
}

/* Whatever allocation fails: an error, nothing leaked (with ASan), the old file still there. */
static void failing_allocations(void **state)
{
	uint8_t *before, *after;
	size_t size, size_after;
	model m, loaded;
	bm_error err;

	(void)state;
	make_and_save(&small, &m, path_a);
	read_bytes(path_a, &before, &size);
	for (long n = 0;; n++) {
		bm_status status;

		base_memory_fail_after(n);
		status = model_save(&m, path_a, &err);
		base_memory_fail_after(-1);
		if (status == BM_OK)
			break;
		assert_int_equal(status, BM_ERR_MEMORY);
		assert_true(n < 1000);
	}
	read_bytes(path_a, &after, &size_after);
	assert_int_equal(size, size_after);
	assert_memory_equal(before, after, size);
	for (long n = 0;; n++) {
		bm_status status;

		base_memory_fail_after(n);
		status = model_load(path_a, &loaded, &err);
		base_memory_fail_after(-1);
		if (status == BM_OK)
			break;
		assert_int_equal(status, BM_ERR_MEMORY);
		assert_true(n < 1000);
	}
	model_free(&loaded);
	base_free(before);
	base_free(after);
	model_free(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_saved_comes_back),
		cmocka_unit_test(same_weights_same_bytes),
		cmocka_unit_test(two_files_are_open_at_once),
		cmocka_unit_test(what_is_known_of_it_comes_back),
		cmocka_unit_test(the_compact_network_comes_back),
		cmocka_unit_test(peek_tells_the_options),
		cmocka_unit_test(keras_own_config_is_enough),
		cmocka_unit_test(weights_go_into_another_head),
		cmocka_unit_test(wrong_shapes_are_named),
		cmocka_unit_test(no_such_file_is_said),
		cmocka_unit_test(failing_allocations),
	};

	return cmocka_run_group_tests(tests, test_files_enter, leave);
}
