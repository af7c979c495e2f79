#include "base/error.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void every_status_has_its_own_name(void **state)
{
	(void)state;
	for (int i = 0; i < BM_STATUS_COUNT; i++) {
		assert_true(strlen(bm_status_name((bm_status)i)) > 1);
		for (int j = 0; j < i; j++)
			assert_string_not_equal(bm_status_name((bm_status)i), bm_status_name((bm_status)j));
	}
	assert_string_equal(bm_status_name(BM_STATUS_COUNT), "unknown status");
	assert_string_equal(bm_status_name((bm_status)-1), "unknown status");
	assert_string_equal(bm_version(), BM_VERSION);
}

static void fail_formats_and_returns(void **state)
{
	(void)state;
	bm_error err = {0};
	assert_int_equal(base_fail(&err, BM_ERR_IO, "cannot read '%s': %d", "x.jpg", 7), BM_ERR_IO);
	assert_int_equal(err.status, BM_ERR_IO);
	assert_string_equal(err.message, "cannot read 'x.jpg': 7");
	assert_int_equal(base_fail(NULL, BM_ERR_DATA, "dropped"), BM_ERR_DATA);
	assert_int_equal(base_fail(&err, BM_ERR_DATA, "again: %s", err.message), BM_ERR_DATA);
	assert_string_equal(err.message, "again: cannot read 'x.jpg': 7");
}

static void a_message_is_one_line(void **state)
{
	(void)state;
	bm_error err;
	base_fail(&err, BM_ERR_IO, "a\nb\tc\033[31m");
	assert_string_equal(err.message, "a b c [31m");
}

static void what_is_no_utf8_becomes_a_question_mark(void **state)
{
	(void)state;
	bm_error err;
	/* Latin-1, a byte that leads nothing, overlong, half of UTF-16, beyond the last; then good ones of 2, 3 and 4. */
	base_fail(&err, BM_ERR_IO,
		  "b\xFF"
		  "d \xE4h \xC0\x80 \xED\xA0\x80 \xF4\x90\x80\x80 \xC3\xA4\xE2\x94\x9C\xF0\x9F\x98\x80");
	assert_string_equal(err.message, "b?d ?h ?? ??? ???? \xC3\xA4\xE2\x94\x9C\xF0\x9F\x98\x80");
	base_fail(&err, BM_ERR_IO, "ends within \xE2\x94");
	assert_string_equal(err.message, "ends within ??");
}

static void a_long_message_is_cut_between_characters(void **state)
{
	(void)state;
	char text[2 * BM_MESSAGE_SIZE];
	for (int shift = 0; shift < 4; shift++) {
		bm_error err;
		size_t n = (size_t)shift;
		memset(text, 'x', sizeof text);
		for (; n + 3 < sizeof text; n += 3)
			memcpy(text + n, "\xE2\x94\x9C", 3); /* a box-drawing character */
		text[n] = '\0';
		base_fail(&err, BM_ERR_IO, "%s", text);
		size_t length = strlen(err.message);
		assert_in_range(length, BM_MESSAGE_SIZE - 4, BM_MESSAGE_SIZE - 1);
		assert_int_equal((length - (size_t)shift) % 3, 0);
		assert_memory_equal(err.message, text, length);
	}
}

static void prefix_goes_before(void **state)
{
	(void)state;
	bm_error err;
	base_fail(&err, BM_ERR_FORMAT, "not a JPEG");
	assert_int_equal(base_prefix(&err, err.status, "image %d", 3), BM_ERR_FORMAT);
	assert_string_equal(err.message, "image 3: not a JPEG");
	assert_int_equal(base_prefix(NULL, BM_ERR_IO, "image"), BM_ERR_IO);

	char text[BM_MESSAGE_SIZE];
	memset(text, 'y', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	base_fail(&err, BM_ERR_FORMAT, "%s", text);
	base_prefix(&err, BM_ERR_FORMAT, "image 3");
	assert_int_equal(strlen(err.message), BM_MESSAGE_SIZE - 1);
	assert_memory_equal(err.message, "image 3: yyy", 12);
	base_prefix(&err, BM_ERR_FORMAT, "%s%s", text, text);
	assert_int_equal(strlen(err.message), BM_MESSAGE_SIZE - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_status_has_its_own_name),
		cmocka_unit_test(fail_formats_and_returns),
		cmocka_unit_test(a_message_is_one_line),
		cmocka_unit_test(what_is_no_utf8_becomes_a_question_mark),
		cmocka_unit_test(a_long_message_is_cut_between_characters),
		cmocka_unit_test(prefix_goes_before),
	};
	return cmocka_run_group_tests_name("base/error", tests, NULL, NULL);
}
