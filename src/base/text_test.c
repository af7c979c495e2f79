#include "base/text.h"

#include <limits.h>
#include <math.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/memory.h"

static void a_text_grows(void **state)
{
	(void)state;
	base_text text = {0};
	assert_string_equal(base_text_string(&text), "");
	base_text_add(&text, "%d,", 1);
	base_text_append(&text, "abc", 2);
	assert_string_equal(base_text_string(&text), "1,ab");
	for (int i = 0; i < 1000; i++)
		base_text_add(&text, "%04d", i);
	assert_int_equal(text.length, 4004);
	assert_memory_equal(text.data + 4000, "0999", 5);
	char line[1000];
	memset(line, 'q', sizeof line - 1);
	line[sizeof line - 1] = '\0';
	base_text_add(&text, "%s", line);
	assert_int_equal(text.length, 5003);
	assert_string_equal(text.data + 4004, line);
	assert_false(text.failed);
	base_text_clear(&text);
	assert_string_equal(base_text_string(&text), "");
	base_text_free(&text);
	base_text_append(&text, "", 0);
	assert_string_equal(text.data, "");
	base_text_free(&text);
	base_text_free(&text);
}

static void without_memory_it_stays_and_says_so(void **state)
{
	(void)state;
	base_text text = {0};
	base_text_add(&text, "kept");
	base_memory_fail_after(0);
	for (int i = 0; i < 100; i++)
		base_text_add(&text, "%d", i % 10);
	base_memory_fail_after(-1);
	assert_true(text.failed);
	size_t length = text.length;
	assert_memory_equal(base_text_string(&text), "kept0123", 8);
	base_text_add(&text, "not added: the text has a hole");
	assert_int_equal(text.length, length);
	base_text_free(&text);
	assert_false(text.failed);
}

static void columns_are_characters(void **state)
{
	(void)state;
	assert_int_equal(base_text_columns(""), 0);
	assert_int_equal(base_text_columns("glioma"), 6);
	assert_int_equal(base_text_columns("├── No Tumor ✓"), 14);
	assert_int_equal(base_text_columns("na\xc3\xafve"), 5);
	assert_int_equal(base_text_columns("nai\xcc\x88ve"), 5);
}

static void check_count(long long n, const char *expected)
{
	char buffer[32];
	assert_string_equal(base_format_count(n, buffer), expected);
}

static void counts_have_separators(void **state)
{
	(void)state;
	check_count(0, "0");
	check_count(999, "999");
	check_count(1000, "1,000");
	check_count(24146692, "24,146,692");
	check_count(-558468, "-558,468");
	check_count(LLONG_MAX, "9,223,372,036,854,775,807");
	check_count(LLONG_MIN, "-9,223,372,036,854,775,808");
}

static void check_bytes(double bytes, const char *expected)
{
	char buffer[32];
	assert_string_equal(base_format_bytes(bytes, buffer), expected);
}

static void sizes_have_units(void **state)
{
	(void)state;
	check_bytes(0, "0 B");
	check_bytes(999, "999 B");
	check_bytes(1000, "1.00 kB");
	check_bytes(999994, "999.99 kB");
	check_bytes(999996, "1.00 MB");
	check_bytes(94.23e6, "94.23 MB");
	check_bytes(1.44e9, "1.4 GB");
	check_bytes(-2e6, "-2.00 MB");
	check_bytes(18446744073709551615.0, "18.4 EB");
	check_bytes(1e300, "1.0e+282 EB");
	check_bytes(INFINITY, "unlimited");
	check_bytes(NAN, "?");
}

static void check_seconds(double seconds, const char *expected)
{
	char buffer[32];
	assert_string_equal(base_format_seconds(seconds, buffer), expected);
}

static void times_have_units(void **state)
{
	(void)state;
	check_seconds(0, "0.00 s");
	check_seconds(2.5, "2.50 s");
	check_seconds(9.996, "10 s");
	check_seconds(45.2, "45 s");
	check_seconds(59.6, "1 min");
	check_seconds(192, "3 min 12 s");
	check_seconds(3599.9, "1.0 h");
	check_seconds(7560, "2.1 h");
	check_seconds(7.3 * 86400, "7.3 days");
	check_seconds(1e300, "1.2e+295 days");
	check_seconds(-1, "?");
	check_seconds(NAN, "?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_text_grows),		  cmocka_unit_test(without_memory_it_stays_and_says_so),
		cmocka_unit_test(columns_are_characters), cmocka_unit_test(counts_have_separators),
		cmocka_unit_test(sizes_have_units),	  cmocka_unit_test(times_have_units),
	};
	return cmocka_run_group_tests_name("base/text", tests, NULL, NULL);
}
