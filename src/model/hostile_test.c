/* Damaged and hostile model files end in an error, never in a crash: to be run with sanitizers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <hdf5.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/random.h"
#include "model/archive.h"
#include "model/hdf5_file.h"
#include "model/model.h"
#include "model/test_files.h"
#include "model/test_hdf5.h"
#include "model/test_sanitizers.h"

static const char *const classes[] = {"a", "b"};
static const model_options tiny = {
	.width = .125, .image_size = 32, .channels = 1, .head = MODEL_HEAD_LINEAR, .classes = 2};

static const char path[] = "m.keras";
static uint8_t *good; /* a whole .keras file */
static size_t good_size;

static int set_up(void **state)
{
	model m;

	if (test_files_enter(state) != 0)
		return -1;
	if (model_create(&tiny, classes, false, 1, &m, NULL) != BM_OK || model_save(&m, path, NULL) != BM_OK)
		return -1;
	model_free(&m);
	return base_file_read(path, (size_t)1 << 30, &good, &good_size, NULL) == BM_OK ? 0 : -1;
}

static int tear_down(void **state)
{
	base_free(good);
	unlink(path);
	return test_files_leave(state);
}

static void put(const void *bytes, size_t size)
{
	FILE *f = fopen(path, "wb");

	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, size, f), size);
	assert_int_equal(fclose(f), 0);
}

static bm_status load(bm_error *err)
{
	model m;
	bm_status status;

	memset(err, 0, sizeof(*err));
	status = model_load(path, &m, err);
	if (status != BM_OK) {
		assert_true(err->message[0] != '\0');
		assert_int_equal(err->status, status);
		assert_null(m.weights.storage);
	}
	model_free(&m);
	return status;
}

static void truncated_files(void **state)
{
	bm_error err;

	(void)state;
	for (size_t i = 0; i < 40; i++) {
		size_t size = i < 20 ? good_size * i / 20 : good_size - 1 - (i - 20) * 7;

		put(good, size);
		assert_int_not_equal(load(&err), BM_OK);
	}
	put(good, good_size);
	assert_int_equal(load(&err), BM_OK);
}

/* Nearly all of the file is under a CRC. What is not (dates, version fields) may change without harm. */
static void flipped_bits(void **state)
{
	base_random r = base_random_make(3, 0);
	uint8_t *copy = base_malloc(good_size, 1, "a copy", NULL);
	int caught = 0;
	bm_error err;

	(void)state;
	assert_non_null(copy);
	for (int i = 0; i < 40; i++) {
		size_t at = (size_t)base_random_below(&r, good_size);

		memcpy(copy, good, good_size);
		copy[at] ^= (uint8_t)(1u << base_random_below(&r, 8));
		put(copy, good_size);
		caught += load(&err) != BM_OK;
	}
	assert_true(caught >= 39);
	for (size_t i = 1; i <= 400; i += 9) { /* the zip's directory */
		memcpy(copy, good, good_size);
		copy[good_size - i] ^= 0x5a;
		put(copy, good_size);
		load(&err);
	}
	base_free(copy);
}

static void take_apart(const char *name, uint8_t **bytes, size_t *size)
{
	model_archive *archive;
	bm_error err;

	put(good, good_size);
	check(model_archive_open(path, &archive, &err), &err);
	check(model_archive_read(archive, name, (size_t)1 << 30, bytes, size, &err), &err);
	model_archive_close(archive);
}

/* The CRC is right, the HDF5 inside is not. */
static bm_status try_weights(const void *bytes, size_t size)
{
	model_hdf5_reader *reader;
	bm_error err;
	bm_status status = model_hdf5_open(bytes, size, "test", &reader, &err);

	if (status != BM_OK)
		return status;
	for (int i = 0; i < model_hdf5_count(reader) && status == BM_OK; i++) {
		const model_array *array = model_hdf5_get(reader, i);
		size_t count = 1;
		float *values;

		for (int k = 0; k < array->rank; k++)
			count *= (size_t)array->shape[k];
		assert_true(count <= (size_t)1 << 30);
		if (count > size) /* compressed: a model would never ask for it */
			continue;
		values = base_malloc(count, sizeof(float), "values", NULL);
		assert_non_null(values);
		status = model_hdf5_read(reader, i, values, &err);
		base_free(values);
	}
	model_hdf5_close(reader);
	return status;
}

static void damaged_hdf5(void **state)
{
	base_random r = base_random_make(4, 0);
	uint8_t *weights, *copy;
	int caught = 0;
	size_t size;

	(void)state;
	take_apart("model.weights.h5", &weights, &size);
	copy = base_malloc(size, 1, "a copy", NULL);
	assert_non_null(copy);
	assert_int_equal(try_weights(weights, size), BM_OK);
	for (size_t i = 0; i < 16; i++)
		assert_int_not_equal(try_weights(weights, size * i / 16), BM_OK);
	for (int i = 0; i < 100; i++) {
		/* Where the structure lies: the beginning, and around the "magic words" of groups, heaps and object headers. */
		size_t at = i < 30 ? (size_t)i * 3 : (size_t)base_random_below(&r, size);

		if (i >= 30) {
			while (at + 4 < size && memcmp(weights + at, "TREE", 4) != 0 &&
			       memcmp(weights + at, "SNOD", 4) != 0 && memcmp(weights + at, "HEAP", 4) != 0 &&
			       memcmp(weights + at, "GCOL", 4) != 0)
				at++;
			at += (size_t)base_random_below(&r, 200);
		}
		if (at >= size)
			continue;
		memcpy(copy, weights, size);
		copy[at] ^= (uint8_t)(1u + base_random_below(&r, 255));
		caught += try_weights(copy, size) != BM_OK;
	}
	assert_true(caught > 10);
	base_free(copy);
	base_free(weights);
}

/* ---- HDF5 files made to do harm ---- */

typedef enum trick {
	SOFT_LINK,
	EXTERNAL_LINK,
	EXTERNAL_DATA,
	WHOLE_NUMBERS,
	HUGE_CHUNKED,
	HUGE_UNWRITTEN,
	HUGE_CHUNK,
	RANK_FIVE,
	NO_LAYERS,
	TRICKS
} trick;

static void make_trick(trick t, uint8_t **bytes, size_t *size)
{
	hid_t create = H5Pcreate(H5P_DATASET_CREATE), links = H5Pcreate(H5P_LINK_CREATE);
	hid_t file = test_hdf5_begin("trick"), vars, set = -1, space = -1;
	const hsize_t huge[2] = {1 << 16, 1 << 16}, some[1] = {8}, chunk[2] = {64, 64},
		      huge_chunk[2] = {1 << 14, 1 << 14}, five[5] = {1, 2, 1, 2, 1}, medium[2] = {1 << 14, 1 << 14};
	const float values[8] = {1};
	const char *group = t == NO_LAYERS ? "other/dense/vars" : "layers/dense/vars";

	H5Pset_create_intermediate_group(links, 1);
	vars = H5Gcreate2(file, group, links, H5P_DEFAULT, H5P_DEFAULT);
	assert_true(vars >= 0);
	switch (t) {
	case SOFT_LINK:
		assert_true(H5Lcreate_soft("/layers", vars, "0", H5P_DEFAULT, H5P_DEFAULT) >= 0);
		break;
	case EXTERNAL_LINK:
		assert_true(H5Lcreate_external("/etc/passwd", "/x", vars, "0", H5P_DEFAULT, H5P_DEFAULT) >= 0);
		break;
	case EXTERNAL_DATA:
		space = H5Screate_simple(1, some, NULL);
		H5Pset_external(create, "/etc/passwd", 0, 32);
		set = H5Dcreate2(vars, "0", H5T_NATIVE_FLOAT, space, H5P_DEFAULT, create, H5P_DEFAULT);
		break;
	case WHOLE_NUMBERS:
		space = H5Screate_simple(1, some, NULL);
		set = H5Dcreate2(vars, "0", H5T_NATIVE_INT, space, H5P_DEFAULT, create, H5P_DEFAULT);
		H5Dwrite(set, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values);
		break;
	case HUGE_CHUNKED:
		space = H5Screate_simple(2, huge, NULL);
		H5Pset_chunk(create, 2, chunk);
		set = H5Dcreate2(vars, "0", H5T_NATIVE_FLOAT, space, H5P_DEFAULT, create, H5P_DEFAULT);
		break;
	case HUGE_UNWRITTEN:
		space = H5Screate_simple(2, medium, NULL);
		set = H5Dcreate2(vars, "0", H5T_NATIVE_FLOAT, space, H5P_DEFAULT, create, H5P_DEFAULT);
		break;
	case HUGE_CHUNK: {
		const hsize_t one[2] = {1, 1}, limit[2] = {H5S_UNLIMITED, H5S_UNLIMITED};

		space = H5Screate_simple(2, one, limit);
		H5Pset_chunk(create, 2, huge_chunk);
		set = H5Dcreate2(vars, "0", H5T_NATIVE_FLOAT, space, H5P_DEFAULT, create, H5P_DEFAULT);
		break;
	}
	case RANK_FIVE:
		space = H5Screate_simple(5, five, NULL);
		set = H5Dcreate2(vars, "0", H5T_NATIVE_FLOAT, space, H5P_DEFAULT, create, H5P_DEFAULT);
		break;
	default:
		break;
	}
	if (set >= 0)
		H5Dclose(set);
	if (space >= 0)
		H5Sclose(space);
	H5Gclose(vars);
	test_hdf5_end(file, bytes, size);
	H5Pclose(create);
	H5Pclose(links);
}

static void tricks_are_refused(void **state)
{
	(void)state;
	for (int t = 0; t < TRICKS; t++) {
		model_hdf5_reader *reader = NULL;
		uint8_t *bytes;
		size_t size;
		bm_error err;
		bm_status status;

		make_trick((trick)t, &bytes, &size);
		status = model_hdf5_open(bytes, size, "trick", &reader, &err);
		if (t == SOFT_LINK || t == EXTERNAL_LINK) { /* not followed, and so not there */
			assert_int_equal(status, BM_OK);
			assert_int_equal(model_hdf5_count(reader), 0);
		} else if (status == BM_OK) {
			fail_msg("trick %d was not seen", t);
		}
		model_hdf5_close(reader);
		base_free(bytes);
	}
}

/* ---- archives ---- */

static bm_status load_entries(const char *own, const void *weights, size_t size, bm_error *err)
{
	const model_entry entries[] = {
		{"config.json", "{}", 2}, {"brainmri.json", own, strlen(own)}, {"model.weights.h5", weights, size}};

	check(model_archive_write(path, entries, 3, err), err);
	return load(err);
}

static void wrong_descriptions(void **state)
{
	static const char *const wrong[] = {
		"",
		"[]",
		"{\"format\": 1}",
		"{\"format\": 99}",
		"{\"format\": 1, \"width\": \"1\"}",
#define MODEL_JSON(width, size, channels, head, classes)                                          \
	"{\"format\": 1, \"width\": " width ", \"image_size\": " size ", \"channels\": " channels \
	", \"head\": \"" head "\", \"trainable_base_layers\": 0, \"classes\": " classes "}"
		MODEL_JSON("1e9", "32", "1", "linear", "[\"a\", \"b\"]"),
		MODEL_JSON("4.0", "32", "1", "linear", "[\"a\", \"b\"]"), /* more weights than the file can hold */
		MODEL_JSON("-1", "32", "1", "linear", "[\"a\", \"b\"]"),
		MODEL_JSON("0.125", "2000000000", "1", "linear", "[\"a\", \"b\"]"),
		MODEL_JSON("0.125", "32", "2", "linear", "[\"a\", \"b\"]"),
		MODEL_JSON("0.125", "32", "1", "round", "[\"a\", \"b\"]"),
		MODEL_JSON("0.125", "32", "1", "linear", "[]"),
		MODEL_JSON("0.125", "32", "1", "linear", "[\"a\", 5]"),
		MODEL_JSON("0.125", "32", "1", "linear", "\"ab\""),
		MODEL_JSON("0.125", "32", "1", "linear", "[\"a\", \"b\", \"c\"]"), /* the weights are for two */
	};
	uint8_t *weights;
	size_t size;
	bm_error err;

	(void)state;
	take_apart("model.weights.h5", &weights, &size);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		if (load_entries(wrong[i], weights, size, &err) == BM_OK)
			fail_msg("description %zu was taken", i);
	}
	assert_int_equal(load_entries(MODEL_JSON("0.125", "32", "1", "linear", "[\"a\", \"b\"]"), weights, size, &err),
			 BM_OK);
	base_free(weights);
}

static void entries_have_a_limit(void **state)
{
	const model_entry entries[] = {{"x", good, good_size}};
	model_archive *archive;
	uint8_t *bytes;
	size_t size;
	bm_error err;

	(void)state;
	check(model_archive_write(path, entries, 1, &err), &err);
	check(model_archive_open(path, &archive, &err), &err);
	assert_int_equal(model_archive_read(archive, "x", good_size - 1, &bytes, &size, &err), BM_ERR_LIMIT);
	assert_null(bytes);
	assert_int_equal(model_archive_read(archive, "y", good_size, &bytes, &size, &err), BM_ERR_FORMAT);
	check(model_archive_read(archive, "x", good_size, &bytes, &size, &err), &err);
	assert_int_equal(size, good_size);
	assert_memory_equal(bytes, good, size);
	base_free(bytes);
	model_archive_close(archive);
}

static void extra_and_missing_arrays_are_named(void **state)
{
	model_hdf5_writer *writer;
	const model_array extra = {.name = "layers/conv2d_77/vars/0", .rank = 1, .shape = {3}};
	const float values[3] = {1, 2, 3};
	uint8_t *bytes;
	size_t size;
	bm_error err;

	(void)state;
	check(model_hdf5_create(&writer, &err), &err);
	check(model_hdf5_add_group(writer, "layers/conv2d_77", "more", &err), &err);
	check(model_hdf5_add(writer, &extra, values, &err), &err);
	check(model_hdf5_finish(writer, &bytes, &size, &err), &err);
	model_hdf5_discard(writer);
	put(bytes, size);
	{
		model_options wide = tiny;
		bool head;
		model m;

		wide.head = MODEL_HEAD_LINEAR;
		check(model_create(&wide, classes, false, 1, &m, &err), &err);
		assert_int_equal(model_load_weights(&m, path, &head, &err), BM_ERR_FORMAT);
		assert_non_null(strstr(err.message, "missing conv1_conv/kernel (layers/conv2d/vars/0)"));
		assert_non_null(strstr(err.message, "more."));
		assert_false(head);
		model_free(&m);
	}
	base_free(bytes);
}

/* The last array has a checksum that is wrong: that shows only when all others have been read. */
static void unreadable_last_array_changes_nothing(void **state)
{
	const hsize_t shape[1] = {2};
	const float values[2] = {1234.5f, 5432.25f};
	hid_t file, space = H5Screate_simple(1, shape, NULL), create = H5Pcreate(H5P_DATASET_CREATE), set;
	uint8_t *weights, *at;
	float *before;
	size_t size;
	bool head = true;
	model m;
	bm_error err;

	(void)state;
	take_apart("model.weights.h5", &weights, &size);
	put(weights, size);
	base_free(weights);
	file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
	assert_true(file >= 0 && H5Ldelete(file, "layers/dense/vars/1", H5P_DEFAULT) >= 0);
	assert_true(H5Pset_chunk(create, 1, shape) >= 0 && H5Pset_fletcher32(create) >= 0);
	set = H5Dcreate2(file, "layers/dense/vars/1", H5T_IEEE_F32LE, space, H5P_DEFAULT, create, H5P_DEFAULT);
	assert_true(set >= 0 && H5Dwrite(set, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0);
	H5Dclose(set);
	H5Pclose(create);
	H5Sclose(space);
	assert_true(H5Fclose(file) >= 0);

	check(model_create(&tiny, classes, false, 7, &m, &err), &err);
	check(model_load_weights(&m, path, &head, &err), &err);
	assert_true(head && m.weights.storage[m.weights.total - 1] == values[1]);
	model_free(&m);

	check(base_file_read(path, (size_t)1 << 30, &weights, &size, &err), &err);
	at = memmem(weights, size, values, sizeof(values));
	assert_non_null(at);
	at[1] ^= 4;
	put(weights, size);
	base_free(weights);
	check(model_create(&tiny, classes, false, 7, &m, &err), &err);
	before = base_malloc(m.weights.total, sizeof(float), "a copy", NULL);
	assert_non_null(before);
	memcpy(before, m.weights.storage, m.weights.total * sizeof(float));
	assert_int_equal(model_load_weights(&m, path, &head, &err), BM_ERR_FORMAT);
	assert_non_null(strstr(err.message, "layers/dense/vars/1"));
	assert_false(head);
	assert_memory_equal(m.weights.storage, before, m.weights.total * sizeof(float));
	base_free(before);
	model_free(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(truncated_files),
		cmocka_unit_test(flipped_bits),
		cmocka_unit_test(damaged_hdf5),
		cmocka_unit_test(tricks_are_refused),
		cmocka_unit_test(wrong_descriptions),
		cmocka_unit_test(entries_have_a_limit),
		cmocka_unit_test(extra_and_missing_arrays_are_named),
		cmocka_unit_test(unreadable_last_array_changes_nothing),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
