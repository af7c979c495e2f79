#include "live/event_file.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/memory.h"
#include "base/test_folder.h"

typedef struct records {
	uint8_t *bytes;
	const uint8_t *events[16];
	size_t sizes[16];
	int count;
} records;

static uint64_t little_endian(const uint8_t *at, int bytes)
{
	uint64_t value = 0;
	for (int i = bytes - 1; i >= 0; i--)
		value = value << 8 | at[i];
	return value;
}

/* The mask undone, as TFRecord's documentation has it. */
static uint32_t checksum(const uint8_t *at)
{
	const uint32_t rotated = (uint32_t)little_endian(at, 4) - 0xa282ead8u;
	return rotated >> 17 | rotated << 15;
}

static void read_records(const char *path, records *r)
{
	size_t size = 0;
	*r = (records){0};
	assert_int_equal(base_file_read(path, 1 << 20, &r->bytes, &size, NULL), BM_OK);
	for (const uint8_t *at = r->bytes; at < r->bytes + size; r->count++) {
		assert_true(r->count < 16 && (size_t)(r->bytes + size - at) >= 16);
		const size_t length = little_endian(at, 8);
		assert_int_equal(checksum(at + 8), base_crc32c(0, at, 8));
		assert_true(length <= (size_t)(r->bytes + size - at) - 16);
		assert_int_equal(checksum(at + 12 + length), base_crc32c(0, at + 12, length));
		r->events[r->count] = at + 12;
		r->sizes[r->count] = length;
		at += length + 16;
	}
}

/* The event begins with its wall time and its step; what follows is `expected`. */
static void assert_event(const records *r, int i, const void *expected, size_t size)
{
	assert_true(r->sizes[i] >= 11);
	assert_int_equal(r->events[i][0], 0x09);
	assert_int_equal(r->events[i][9], 0x10);
	const uint8_t *at = r->events[i] + 10;
	assert_int_equal((size_t)(r->events[i] + r->sizes[i] - at), size);
	assert_memory_equal(at, expected, size);
}

static void events_are_protobufs_in_records(void **state)
{
	(void)state;
	live_event_file file;
	records r;
	bm_error err;
	const base_value values[] = {{"a", 0.5}, {"nothing", (double)NAN}, {"b", -2}};
	assert_int_equal(live_event_file_open("x/train", &file, &err), BM_OK);
	assert_non_null(strstr(file.path, "x/train/events.out.tfevents."));
	assert_int_equal(live_event_file_scalars(&file, 300, values, 3, &err), BM_OK);
	assert_int_equal(live_event_file_restart(&file, 5, &err), BM_OK);
	assert_int_equal(live_event_file_image(&file, 1, "p", (const uint8_t *)"PNG", 3, 7, 9, &err), BM_OK);
	assert_int_equal(live_event_file_flush(&file, &err), BM_OK);
	read_records(file.path, &r);
	assert_int_equal(r.count, 4);
	assert_event(&r, 0,
		     "\x00\x1a\x0d"
		     "brain.Event:2",
		     16);
	assert_event(&r, 1,
		     "\xac\x02"
		     "\x2a\x14"
		     "\x0a\x08\x0a\x01"
		     "a\x15\x00\x00\x00\x3f"
		     "\x0a\x08\x0a\x01"
		     "b\x15\x00\x00\x00\xc0",
		     24);
	assert_event(&r, 2,
		     "\x05"
		     "\x3a\x02\x08\x01",
		     5);
	assert_event(&r, 3,
		     "\x01"
		     "\x2a\x12\x0a\x10\x0a\x01"
		     "p\x22\x0b\x08\x09\x10\x07\x18\x03\x22\x03PNG",
		     21);
	base_free(r.bytes);
	live_event_file_close(&file);
	live_event_file_close(&file);
}

static void an_earlier_file_is_not_touched(void **state)
{
	(void)state;
	live_event_file one, two;
	assert_int_equal(live_event_file_open("y", &one, NULL), BM_OK);
	assert_int_equal(live_event_file_open("y", &two, NULL), BM_OK);
	assert_string_not_equal(one.path, two.path);
	live_event_file_close(&one);
	live_event_file_close(&two);
}

static void what_goes_wrong_is_told(void **state)
{
	(void)state;
	live_event_file file;
	bm_error err = {0};
	const base_value values[] = {{"a", 0.5}};
	assert_int_equal(base_file_write("file", "", 0, NULL), BM_OK);
	assert_int_equal(live_event_file_open("file", &file, &err), BM_ERR_IO);
	live_event_file_close(&file);
	for (long n = 0; n < 50; n++) {
		char folder[16];
		snprintf(folder, sizeof folder, "z%ld", n); /* each name that is taken costs memory */
		base_memory_fail_after(n);
		bm_status status = live_event_file_open(folder, &file, &err);
		if (status == BM_OK)
			status = live_event_file_scalars(&file, 1, values, 1, &err);
		base_memory_fail_after(-1);
		live_event_file_close(&file);
		if (status == BM_OK) {
			assert_true(n > 3);
			return;
		}
		assert_int_equal(status, BM_ERR_MEMORY);
	}
	fail_msg("it never had enough memory");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(events_are_protobufs_in_records, test_folder_enter, test_folder_leave),
		cmocka_unit_test_setup_teardown(an_earlier_file_is_not_touched, test_folder_enter, test_folder_leave),
		cmocka_unit_test_setup_teardown(what_goes_wrong_is_told, test_folder_enter, test_folder_leave),
	};
	return cmocka_run_group_tests_name("live/event_file", tests, NULL, NULL);
}
