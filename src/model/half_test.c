/* Half precision, and models read from memory: what ships with the program. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/random.h"
#include "model/model.h"
#include "model/safetensors.h"
#include "model/shipped.h"
#include "model/test_files.h"

enum { HALVES = 0x7c00 }; /* the finite ones that are not negative: their order is that of their bits */

static const char *const classes[] = {"a", "b", "c"};
static const model_options tiny = {.width = .125,
				   .image_size = 32,
				   .channels = 1,
				   .head = MODEL_HEAD_LINEAR,
				   .classes = 3,
				   .variant = MODEL_COMPACT};
static const char path[] = "m.safetensors";

static int tear_down(void **state)
{
	unlink(path);
	return test_files_leave(state);
}

/* Every half as the reader reads it. */
static void read_halves(float *values)
{
	char header[96];
	int length = snprintf(header, sizeof(header),
			      "{\"h\":{\"dtype\":\"F16\",\"shape\":[%d],\"data_offsets\":[0,%d]}}", HALVES, 2 * HALVES);
	size_t size = 8 + (size_t)length + (size_t)2 * HALVES;
	uint8_t *bytes = calloc(1, size);
	model_safetensors *s;
	bm_error err;

	assert_non_null(bytes);
	bytes[0] = (uint8_t)length;
	memcpy(bytes + 8, header, (size_t)length);
	for (int i = 0; i < HALVES; i++) {
		bytes[8 + length + 2 * i] = (uint8_t)i;
		bytes[8 + length + 2 * i + 1] = (uint8_t)(i >> 8);
	}
	check(model_safetensors_open(bytes, size, "test", &s, &err), &err);
	model_safetensors_read(s, 0, values);
	model_safetensors_close(s);
	free(bytes);
}

static int rounded(float value)
{
	uint16_t half, negative;

	assert_true(model_to_half(value, &half));
	assert_true(model_to_half(-value, &negative));
	assert_int_equal(negative, half | 0x8000);
	return half;
}

static void every_half_and_what_is_between(void **state)
{
	float *values = malloc(HALVES * sizeof(float));
	uint16_t half;

	(void)state;
	assert_non_null(values);
	read_halves(values);
	for (int i = 0; i < HALVES; i++) {
		assert_int_equal(rounded(values[i]), i);
		if (i + 1 == HALVES)
			break;
		float middle = (values[i] + values[i + 1]) / 2; /* exact */
		assert_int_equal(rounded(middle), i + (i & 1));
		assert_int_equal(rounded(nextafterf(middle, 0)), i);
		assert_int_equal(rounded(nextafterf(middle, 1e6f)), i + 1);
	}
	assert_int_equal(rounded(nextafterf(65520, 0)), HALVES - 1);
	assert_int_equal(rounded(1e-30f), 0);
	assert_int_equal(rounded(1e-42f), 0);
	assert_false(model_to_half(65520, &half));
	assert_false(model_to_half(-1e30f, &half));
	assert_false(model_to_half(INFINITY, &half));
	assert_false(model_to_half(NAN, &half));
	free(values);
}

static void make(model *m)
{
	bm_error err;

	check(model_create(&tiny, classes, true, 3, m, &err), &err);
	m->trust = base_strdup("{\"temperature\": 1.5}", &err);
	assert_non_null(m->trust);
}

static void a_model_comes_back_rounded(void **state)
{
	model m, loaded;
	bm_error err;

	(void)state;
	make(&m);
	for (int i = 0; i < m.weights.count; i++) /* vectors of any range: the variances of batch norms */
		for (size_t k = 0; m.weights.items[i].rank == 1 && k < m.weights.items[i].count; k++)
			m.weights.items[i].values[k] = ldexpf(1.1f, (int)(k % 60) - 30);
	check(model_save_safetensors(&m, true, path, &err), &err);
	check(model_load(path, &loaded, &err), &err);
	assert_string_equal(loaded.trust, m.trust);
	for (int i = 0; i < m.weights.count; i++) {
		const nn_weight *was = &m.weights.items[i], *is = &loaded.weights.items[i];

		for (size_t k = 0; k < was->count; k++) {
			double off = fabs((double)was->values[k] - (double)is->values[k]);

			if (was->rank == 1)
				assert_true(off == 0);
			else
				assert_true(off <= ldexp(fabs((double)was->values[k]), -11) + 0x1p-25);
		}
	}
	model_free(&loaded);
	/* A kernel that half precision cannot hold is named, and nothing is left. */
	unlink(path);
	m.weights.items[0].values[5] = -70000;
	assert_int_equal(model_save_safetensors(&m, true, path, &err), BM_ERR_NUMERIC);
	assert_non_null(strstr(err.message, "conv1_conv/kernel"));
	assert_false(base_is_file(path));
	check(model_save_safetensors(&m, false, path, &err), &err);
	model_free(&m);
}

/* From a copy of just this size: the sanitizer sees what is read behind it. */
static bm_status load_copy(const uint8_t *bytes, size_t size, model *out, bm_error *err)
{
	uint8_t *copy = malloc(size ? size : 1);
	bm_status status;

	assert_non_null(copy);
	memcpy(copy, bytes, size);
	memset(err, 0, sizeof(*err));
	status = model_load_bytes(copy, size, "the test's model", out, err);
	free(copy);
	if (status != BM_OK)
		assert_true(err->message[0] && !out->weights.storage && !out->trust);
	return status;
}

static void a_model_is_read_from_memory(void **state)
{
	base_random r = base_random_make(7, 0);
	model m, loaded, again;
	uint8_t *bytes;
	size_t size, header;
	bm_error err;

	(void)state;
	make(&m);
	check(model_save_safetensors(&m, true, path, &err), &err);
	check(base_file_read(path, (size_t)1 << 24, &bytes, &size, &err), &err);
	check(model_load(path, &loaded, &err), &err);
	check(load_copy(bytes, size, &again, &err), &err); /* the bytes are gone by now */
	assert_memory_equal(again.weights.storage, loaded.weights.storage, loaded.weights.total * sizeof(float));
	assert_string_equal(again.trust, m.trust);
	assert_string_equal(again.class_names[2], "c");
	model_free(&again);
	model_free(&loaded);
	header = 8 + bytes[0] + ((size_t)bytes[1] << 8);
	for (size_t cut = 0; cut < size; cut += cut < 64 ? 1 : 997)
		assert_int_not_equal(load_copy(bytes, cut, &again, &err), BM_OK);
	for (int i = 0; i < 600; i++) {
		size_t at = (size_t)base_random_below(&r, header);
		uint8_t kept = bytes[at];

		bytes[at] ^= (uint8_t)(1 + base_random_below(&r, 255));
		if (load_copy(bytes, size, &again, &err) == BM_OK)
			model_free(&again);
		bytes[at] = kept;
	}
	assert_int_equal(load_copy((const uint8_t *)"PK\3\4 is no safetensors file", 25, &again, &err), BM_ERR_FORMAT);
	assert_non_null(strstr(err.message, "the test's model"));
	for (long n = 0;; n++) { /* memory may run out anywhere */
		bm_status status;

		base_memory_fail_after(n);
		status = model_load_bytes(bytes, size, "test", &again, &err);
		base_memory_fail_after(-1);
		if (status == BM_OK)
			break;
		assert_int_equal(status, BM_ERR_MEMORY);
		assert_true(n < 2000);
	}
	model_free(&again);
	base_free(bytes);
	model_free(&m);
}

static void what_ships_is_whole(void **state)
{
	size_t size = 1;
	const uint8_t *bytes = model_shipped(&size);
	model m;
	bm_error err;

	(void)state;
	if (!bytes) {
		assert_int_equal(size, 0);
		assert_null(model_shipped_card());
		skip(); /* this build carries none */
	}
	assert_true(size <= 6000000);
	assert_true(strlen(model_shipped_card()) > 100);
	check(model_load_bytes(bytes, size, "the shipped model", &m, &err), &err);
	assert_non_null(m.trust); /* calibrates, abstains and refuses */
	model_free(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_half_and_what_is_between),
		cmocka_unit_test(a_model_comes_back_rounded),
		cmocka_unit_test(a_model_is_read_from_memory),
		cmocka_unit_test(what_ships_is_whole),
	};

	return cmocka_run_group_tests_name("model/half", tests, test_files_enter, tear_down);
}
