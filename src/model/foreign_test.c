/* Weight files of other layouts: they come in whole; damaged and hostile ones end in an error, to be run with sanitizers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <hdf5.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include <zip.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/random.h"
#include "model/archive.h"
#include "model/hdf5_file.h"
#include "model/model.h"
#include "model/safetensors.h"
#include "model/test_files.h"
#include "model/test_hdf5.h"
#include "model/test_sanitizers.h"

static const char *const classes[] = {"a", "b"};
static const model_options tiny = {
	.width = .125, .image_size = 32, .channels = 3, .head = MODEL_HEAD_LINEAR, .classes = 2};

static const char path[] = "file";

static int tear_down(void **state)
{
	unlink(path);
	return test_files_leave(state);
}

static void put(const void *bytes, size_t size)
{
	bm_error err;

	check(base_file_write(path, bytes, size, &err), &err);
}

/* ---- safetensors ---- */

static void safetensors_come_back(void **state)
{
	model_options options = tiny;
	model m, loaded, other;
	bool head;
	bm_error err;

	(void)state;
	options.variant = MODEL_V1_5;
	options.input = (model_input){true, {2, 3, 4}, {-.5f, .25f, 1}};
	check(model_create(&options, classes, false, 3, &m, &err), &err);
	model_set_trainable(&m, MODEL_LAST_LAYERS, 30);
	check(model_save_safetensors(&m, false, path, &err), &err);
	check(model_load(path, &loaded, &err), &err);
	assert_memory_equal(loaded.weights.storage, m.weights.storage, m.weights.total * sizeof(float));
	assert_int_equal(loaded.options.variant, MODEL_V1_5);
	assert_true(model_same_input(&loaded.options.input, &options.input));
	assert_string_equal(loaded.class_names[1], "b");
	assert_int_equal(loaded.graph.count, m.graph.count);
	for (int i = 0; i < m.graph.count; i++)
		assert_int_equal(loaded.graph.layers[i].trainable, m.graph.layers[i].trainable);
	/* A network that was built for other pixels does not take them. */
	check(model_create(&tiny, classes, false, 4, &other, &err), &err);
	assert_int_equal(model_load_weights(&other, path, &head, &err), BM_ERR_USAGE);
	model_free(&other);
	model_free(&loaded);
	model_free(&m);
}

static bm_status try_safetensors(const void *bytes, size_t size, bm_error *err)
{
	model_safetensors *s = NULL;
	/* A copy of just this size: the sanitizer sees what is read behind it. */
	uint8_t *copy = malloc(size ? size : 1);
	bm_status status;

	assert_non_null(copy);
	memcpy(copy, bytes, size);
	memset(err, 0, sizeof(*err));
	status = model_safetensors_open(copy, size, "test", &s, err);
	if (status != BM_OK)
		assert_true(err->message[0] && err->status == status);
	for (int i = 0; status == BM_OK && i < model_safetensors_count(s); i++) {
		const model_array *a = model_safetensors_get(s, i);
		size_t count = 1;
		float *values;

		for (int k = 0; k < a->rank; k++)
			count *= (size_t)a->shape[k];
		assert_true(count <= size);
		values = malloc(count * sizeof(float));
		assert_non_null(values);
		model_safetensors_read(s, i, values);
		free(values);
	}
	model_safetensors_close(s);
	free(copy);
	return status;
}

/* The header's length, the header, `data` zeros. */
static bm_status try_header(const char *header, size_t data, bm_error *err)
{
	static uint8_t bytes[1 << 16];
	size_t length = strlen(header);

	memset(bytes, 0, sizeof(bytes));
	assert_true(8 + length + data <= sizeof(bytes));
	for (int i = 0; i < 8; i++)
		bytes[i] = (uint8_t)((uint64_t)length >> (8 * i));
	memcpy(bytes + 8, header, length);
	return try_safetensors(bytes, 8 + length + data, err);
}

static void hostile_headers(void **state)
{
	static const struct {
		const char *header;
		size_t data;
	} wrong[] = {
		{"", 0},
		{"[]", 0},
		{"{\"a\":", 0},
		{"{\"a\":1}", 0},
		{"{\"a\":{}}", 0},
		{"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},\"a\":{\"dtype\":\"F32\",\"shape\":["
		 "2],"
		 "\"data_offsets\":[0,8]}}",
		 8},
		{"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 7},
		{"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 9},
		{"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[4,12]}}", 12}, /* a gap */
		{"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,0]}}", 8},
		{"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[-8,0]}}", 8},
		{"{\"a\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,8]}}", 8},
		{"{\"a\":{\"dtype\":\"F32\",\"shape\":[-2],\"data_offsets\":[0,8]}}", 8},
		{"{\"a\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}}", 0},
		{"{\"a\":{\"dtype\":\"F32\",\"shape\":[2.5],\"data_offsets\":[0,8]}}", 8},
		{"{\"a\":{\"dtype\":\"F32\",\"shape\":[\"2\"],\"data_offsets\":[0,8]}}", 8},
		{"{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,2],\"data_offsets\":[0,8]}}", 8},
		/* Products that are 2 or 0 in 32 or 64 bits. */
		{"{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967297,2],\"data_offsets\":[0,8]}}", 8},
		{"{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,0]}}", 0},
		{"{\"a\":{\"dtype\":\"F32\",\"shape\":[65536,65536,65536,65536],\"data_offsets\":[0,0]}}", 0},
		{"{\"a\":{\"dtype\":\"F32\",\"shape\":[9223372036854775807],\"data_offsets\":[0,9223372036854775807]}}",
		 8},
		{"{\"a\":{\"dtype\":\"F32\",\"shape\":[99999999999999999999],\"data_offsets\":[0,8]}}", 8},
		{"{\"a\":{\"dtype\":\"F32\",\"shape\":[1000000000],\"data_offsets\":[0,4000000000]}}", 8},
		{"{\"a\":{\"dtype\":\"I8\",\"shape\":[8],\"data_offsets\":[0,8]}}", 8},
		{"{\"a\":{\"dtype\":\"F128\",\"shape\":[1],\"data_offsets\":[0,16]}}", 16},
		{"{\"a\":{\"dtype\":7,\"shape\":[1],\"data_offsets\":[0,4]}}", 4},
		{"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},\"b\":{\"dtype\":\"F32\",\"shape\":["
		 "1],"
		 "\"data_offsets\":[0,4]}}",
		 4}, /* the same bytes twice */
	};
	char *deep = malloc(40001);
	bm_error err;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		if (try_header(wrong[i].header, wrong[i].data, &err) == BM_OK)
			fail_msg("header %zu was taken", i);
	}
	assert_non_null(deep);
	memset(deep, '[', 40000);
	deep[40000] = '\0';
	assert_int_equal(try_header(deep, 0, &err), BM_ERR_FORMAT);
	free(deep);
	check(try_header("{\"a\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]},\"n.num_batches_tracked\":{"
			 "\"dtype\":"
			 "\"I64\",\"shape\":[],\"data_offsets\":[4,12]}}",
			 12, &err),
	      &err);
	/* Headers that are longer than the file, and than any. */
	for (int bit = 10; bit < 64; bit++) {
		uint8_t bytes[64] = {0};

		bytes[bit / 8] = (uint8_t)(1 << bit % 8);
		bytes[8] = '{';
		assert_int_not_equal(try_safetensors(bytes, sizeof(bytes), &err), BM_OK);
	}
}

static void safetensors_cut_and_changed(void **state)
{
	static const model_array arrays[] = {{"conv1_conv/kernel", 4, {1, 1, 3, 8}}, {"conv1_conv/bias", 1, {8}}};
	static const float values[24] = {1, 2, 3};
	const float *const both[] = {values, values};
	base_random r = base_random_make(5, 0);
	uint8_t *bytes;
	size_t size;
	bm_error err;

	(void)state;
	check(model_safetensors_write(path, arrays, both, 2, false, "brainmri", "{}", &err), &err);
	check(base_file_read(path, 1 << 20, &bytes, &size, &err), &err);
	check(try_safetensors(bytes, size, &err), &err);
	for (size_t cut = 0; cut < size; cut++)
		assert_int_not_equal(try_safetensors(bytes, cut, &err), BM_OK);
	for (int i = 0; i < 2000; i++) {
		size_t at = (size_t)base_random_below(&r, size);
		uint8_t kept = bytes[at];

		bytes[at] ^= (uint8_t)(1 + base_random_below(&r, 255));
		try_safetensors(bytes, size, &err);
		bytes[at] = kept;
	}
	base_free(bytes);
}

static void half_precision(void **state)
{
	static const uint16_t halves[] = {0x0000, 0x8000, 0x3c00, 0xc000, 0x7bff, 0x0001, 0x03ff, 0x0400, 0x3555};
	static const float wanted[] = {0, -0.0f, 1, -2, 65504, 0x1p-24f, 1023 * 0x1p-24f, 0x1p-14f, 0.333251953125f};
	static const char header[] = "{\"h\":{\"dtype\":\"F16\",\"shape\":[9],\"data_offsets\":[0,18]}}";
	uint8_t bytes[256] = {sizeof(header) - 1};
	model_safetensors *s;
	float values[9];
	bm_error err;

	(void)state;
	memcpy(bytes + 8, header, sizeof(header) - 1);
	memcpy(bytes + 8 + sizeof(header) - 1, halves, sizeof(halves));
	check(model_safetensors_open(bytes, 8 + sizeof(header) - 1 + sizeof(halves), "test", &s, &err), &err);
	model_safetensors_read(s, 0, values);
	for (int i = 0; i < 9; i++)
		assert_memory_equal(&values[i], &wanted[i], sizeof(float));
	model_safetensors_close(s);
}

/* ---- the older layout of HDF5 ---- */

static bm_status list_hdf5(const void *bytes, size_t size, int *count, bm_error *err)
{
	model_hdf5_reader *reader = NULL;
	bm_status status = model_hdf5_open(bytes, size, "test", &reader, err);

	*count = status == BM_OK ? model_hdf5_count(reader) : 0;
	model_hdf5_close(reader);
	return status;
}

/* A file with the attribute layer_names and what `fill` puts into it. */
static void make_legacy(void (*fill)(hid_t file), uint8_t **bytes, size_t *size)
{
	hid_t file = test_hdf5_begin("legacy"), space = H5Screate(H5S_SCALAR), attribute;
	int one = 1;

	attribute = H5Acreate2(file, "layer_names", H5T_NATIVE_INT, space, H5P_DEFAULT, H5P_DEFAULT);
	H5Awrite(attribute, H5T_NATIVE_INT, &one);
	H5Aclose(attribute);
	H5Sclose(space);
	fill(file);
	test_hdf5_end(file, bytes, size);
}

static void add_array(hid_t file, const char *name)
{
	const hsize_t shape[] = {4};
	const float values[4] = {1, 2, 3, 4};
	hid_t links = H5Pcreate(H5P_LINK_CREATE), space = H5Screate_simple(1, shape, NULL), set;

	H5Pset_create_intermediate_group(links, 1);
	set = H5Dcreate2(file, name, H5T_IEEE_F32LE, space, links, H5P_DEFAULT, H5P_DEFAULT);
	assert_true(set >= 0);
	H5Dwrite(set, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values);
	H5Dclose(set);
	H5Sclose(space);
	H5Pclose(links);
}

static void fill_names(hid_t file)
{
	add_array(file, "conv1_conv/conv1_conv/kernel:0");
	add_array(file, "conv1_bn/conv1_bn_1/gamma:0");
	add_array(file, "resnet50/conv2_block1_1_conv/bias:0");
	add_array(file, "dense/bias");
	add_array(file, "top");
}

static void names_of_the_older_layout(void **state)
{
	model_hdf5_reader *reader;
	uint8_t *bytes;
	size_t size;
	bm_error err;

	(void)state;
	make_legacy(fill_names, &bytes, &size);
	check(model_hdf5_open(bytes, size, "test", &reader, &err), &err);
	assert_true(model_hdf5_is_legacy(reader));
	assert_int_equal(model_hdf5_count(reader), 4);
	assert_true(model_hdf5_find(reader, "conv1_conv/kernel") >= 0);
	assert_true(model_hdf5_find(reader, "conv1_bn/gamma") >= 0);
	assert_true(model_hdf5_find(reader, "conv2_block1_1_conv/bias") >= 0);
	assert_true(model_hdf5_find(reader, "dense/bias") >= 0);
	model_hdf5_close(reader);
	for (size_t cut = 0; cut < size; cut++) {
		int count;

		assert_int_not_equal(list_hdf5(bytes, cut, &count, &err), BM_OK);
	}
	base_free(bytes);
}

/* Groups that lead back to themselves, thirty ways each: followed blindly, 30^n of them. */
static void fill_circles(hid_t file)
{
	hid_t group = H5Gcreate2(file, "circle", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
	char name[32];

	for (int i = 0; i < 30; i++) {
		snprintf(name, sizeof(name), "again%d", i);
		assert_true(H5Lcreate_hard(file, "circle", group, name, H5P_DEFAULT, H5P_DEFAULT) >= 0);
	}
	H5Gclose(group);
}

static void fill_links(hid_t file)
{
	hid_t group = H5Gcreate2(file, "conv1_conv", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);

	assert_true(H5Lcreate_external("/etc/passwd", "/x", group, "kernel", H5P_DEFAULT, H5P_DEFAULT) >= 0);
	assert_true(H5Lcreate_soft("/conv1_conv", group, "bias", H5P_DEFAULT, H5P_DEFAULT) >= 0);
	assert_true(H5Lcreate_soft("/conv1_conv/bias", file, "model_weights", H5P_DEFAULT, H5P_DEFAULT) >= 0);
	H5Gclose(group);
}

static void circles_and_links_are_not_followed(void **state)
{
	uint8_t *bytes;
	size_t size;
	int count;
	bm_error err;

	(void)state;
	make_legacy(fill_circles, &bytes, &size);
	assert_int_equal(list_hdf5(bytes, size, &count, &err), BM_ERR_LIMIT);
	base_free(bytes);
	make_legacy(fill_links, &bytes, &size);
	check(list_hdf5(bytes, size, &count, &err), &err);
	assert_int_equal(count, 0);
	base_free(bytes);
}

/* ---- archives ---- */

/* 200 MB of zeros in 200 KB, where the network that is described needs 2 MB. */
static void a_bomb_is_not_unpacked(void **state)
{
	size_t huge = (size_t)200 << 20, size;
	uint8_t *zeros = calloc(huge, 1), *own, *config;
	model_archive *archive;
	zip_t *zip;
	int code;
	model m;
	bm_error err;

	(void)state;
	assert_non_null(zeros);
	check(model_create(&tiny, classes, false, 1, &m, &err), &err);
	check(model_save(&m, path, &err), &err);
	model_free(&m);
	check(model_archive_open(path, &archive, &err), &err);
	check(model_archive_read(archive, "brainmri.json", 1 << 20, &own, &size, &err), &err);
	check(model_archive_read(archive, "config.json", 1 << 20, &config, &size, &err), &err);
	model_archive_close(archive);
	zip = zip_open(path, ZIP_TRUNCATE | ZIP_CREATE, &code);
	assert_non_null(zip);
	zip_file_add(zip, "brainmri.json", zip_source_buffer(zip, own, strlen((char *)own), 0), 0);
	zip_file_add(zip, "config.json", zip_source_buffer(zip, config, strlen((char *)config), 0), 0);
	zip_file_add(zip, "model.weights.h5", zip_source_buffer(zip, zeros, huge, 0), 0);
	assert_int_equal(zip_close(zip), 0);
	assert_int_equal(model_load(path, &m, &err), BM_ERR_LIMIT);
	base_free(own);
	base_free(config);
	free(zeros);
}

/* A few bytes that claim a network of 376 million parameters: refused before there is memory for them. */
static void a_small_file_holds_no_huge_network(void **state)
{
	static const model_array array = {.name = "a", .rank = 1, .shape = {1}};
	static const float one = 1;
	const float *const values[] = {&one};
	model_safetensors *s;
	uint8_t *bytes;
	char text[2048], *width;
	size_t size;
	model m;
	bm_error err;

	(void)state;
	check(model_create(&tiny, classes, false, 1, &m, &err), &err);
	check(model_save_safetensors(&m, false, path, &err), &err);
	model_free(&m);
	check(base_file_read(path, 1 << 30, &bytes, &size, &err), &err);
	check(model_safetensors_open(bytes, size, path, &s, &err), &err);
	snprintf(text, sizeof(text), "%s", model_safetensors_metadata(s, "brainmri"));
	model_safetensors_close(s);
	base_free(bytes);
	width = strstr(text, "0.125");
	assert_non_null(width);
	memcpy(width, "4.000", 5);
	check(model_safetensors_write(path, &array, values, 1, false, "brainmri", text, &err), &err);
	assert_int_equal(model_load(path, &m, &err), BM_ERR_FORMAT);
	assert_non_null(strstr(err.message, "describes a network of"));
	check(base_file_read(path, 1 << 20, &bytes, &size, &err), &err);
	assert_int_equal(model_load_bytes(bytes, size, "bytes", &m, &err), BM_ERR_FORMAT);
	assert_non_null(strstr(err.message, "describes a network of"));
	base_free(bytes);
}

/* Why a model could not be saved, of a disk that takes no more: a limit stands for one that is full. */
static void a_failed_save_says_why(void **state)
{
	struct rlimit old, limit;
	model m;
	bm_error err;
	bm_status keras, safetensors;
	char why[BM_MESSAGE_SIZE];

	(void)state;
	check(model_create(&tiny, classes, false, 1, &m, &err), &err);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	limit = (struct rlimit){10000, old.rlim_max};
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	keras = model_save(&m, path, &err);
	strcpy(why, err.message);
	safetensors = model_save_safetensors(&m, false, path, &err);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_int_equal(keras, BM_ERR_IO);
	assert_non_null(strstr(why, strerror(EFBIG)));
	assert_int_equal(safetensors, BM_ERR_IO);
	assert_non_null(strstr(err.message, strerror(EFBIG)));
	model_free(&m);
}

/* Files that are none of the kinds, and kinds that are no models. */
static void neither_fish_nor_flesh(void **state)
{
	static const char *const texts[] = {
		"", "x", "PK", "PK\3\4", "{\"a\": 1}", "\211HDF\r\n\032\n", "\2\0\0\0\0\0\0\0{}"};
	static const size_t sizes[] = {0, 1, 2, 4, 8, 8, 10};
	model_options options;
	bool head;
	model m;
	bm_error err;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		put(texts[i], sizes[i]);
		assert_int_not_equal(model_load(path, &m, &err), BM_OK);
		check(model_create(&tiny, classes, false, 1, &m, &err), &err);
		assert_int_not_equal(model_load_weights(&m, path, &head, &err), BM_OK);
		assert_false(head);
		model_free(&m);
	}
	assert_int_equal(model_peek(".", &options, &err), BM_ERR_NOT_FOUND);
	assert_int_equal(model_peek("/no/such/file", &options, &err), BM_ERR_NOT_FOUND);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(safetensors_come_back),
		cmocka_unit_test(hostile_headers),
		cmocka_unit_test(safetensors_cut_and_changed),
		cmocka_unit_test(half_precision),
		cmocka_unit_test(names_of_the_older_layout),
		cmocka_unit_test(circles_and_links_are_not_followed),
		cmocka_unit_test(a_small_file_holds_no_huge_network),
		cmocka_unit_test(a_failed_save_says_why),
		cmocka_unit_test(a_bomb_is_not_unpacked),
		cmocka_unit_test(neither_fish_nor_flesh),
	};

	return cmocka_run_group_tests(tests, test_files_enter, tear_down);
}
