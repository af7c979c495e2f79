#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/memory.h"
#include "train/checkpoint_file.h"

static char path[64];

static int begin(void **unused)
{
	(void)unused;
	snprintf(path, sizeof path, "/tmp/brainmri-checkpoint-test-%ld", (long)getpid());
	return 0;
}

static int end(void **unused)
{
	(void)unused;
	unlink(path);
	return 0;
}

#define LARGE 600000 /* more than two blocks */

static void write_sample(base_hash *hash)
{
	static float values[LARGE];
	static const float few[3] = {1, 2, 3};
	bm_error err;
	for (size_t i = 0; i < LARGE; i++)
		values[i] = (float)i;
	const train_piece pieces[] = {{TRAIN_WEIGHTS, few, 3},
				      {TRAIN_WEIGHTS, values, LARGE},
				      {TRAIN_MOMENT_M, few, 2},
				      {TRAIN_EMA, values, 5}};
	assert_int_equal(train_file_write(path, "{\"a\": 1}", pieces, 4, hash, &err), BM_OK);
}

static void test_round_trip(void **unused)
{
	(void)unused;
	base_hash hash;
	train_file file;
	bm_error err;
	write_sample(&hash);
	assert_int_equal(train_file_open(&file, path, &err), BM_OK);
	assert_true(base_hash_equal(hash, file.hash));
	assert_int_equal(file.text_length, 8);
	assert_memory_equal(file.text, "{\"a\": 1}", 8);
	assert_int_equal(file.counts[TRAIN_WEIGHTS], LARGE + 3);
	assert_int_equal(file.counts[TRAIN_MOMENT_M], 2);
	assert_int_equal(file.counts[TRAIN_MOMENT_V], 0);
	assert_int_equal(file.counts[TRAIN_EMA], 5);
	assert_true(file.sections[TRAIN_WEIGHTS][2] == 3);
	assert_true(file.sections[TRAIN_WEIGHTS][LARGE + 2] == LARGE - 1);
	assert_true(file.sections[TRAIN_MOMENT_M][1] == 2);
	assert_true(file.sections[TRAIN_EMA][4] == 4);
	train_file_close(&file);
}

static void test_damage_is_seen(void **unused)
{
	(void)unused;
	uint8_t *bytes;
	size_t size;
	bm_error err;
	train_file file;
	write_sample(NULL);
	assert_int_equal(base_file_read(path, 1 << 28, &bytes, &size, &err), BM_OK);
	/* One flipped bit, in places all over the file, the header's every byte among them. */
	for (size_t at = 0; at < size; at += at < 64 ? 1 : at < size - 32 ? 79801 : 1) {
		bytes[at] ^= 0x10;
		assert_int_equal(base_file_write(path, bytes, size, &err), BM_OK);
		const bm_status status = train_file_open(&file, path, &err);
		assert_true(status == BM_ERR_FORMAT || (status == BM_ERR_UNSUPPORTED && at >= 8 && at < 12));
		bytes[at] ^= 0x10;
	}
	static const size_t lengths[] = {0, 1, 63, 64, 80, 2000000};
	for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
		assert_int_equal(base_file_write(path, bytes, lengths[i], &err), BM_OK);
		assert_int_equal(train_file_open(&file, path, &err), BM_ERR_FORMAT);
		assert_non_null(strstr(err.message, "without --resume"));
	}
	base_free(bytes);
	unlink(path);
	assert_int_equal(train_file_open(&file, path, &err), BM_ERR_NOT_FOUND);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_damage_is_seen),
	};
	return cmocka_run_group_tests(tests, begin, end);
}
