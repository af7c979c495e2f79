#include "data/csv.h"

#include "data/test_fixture.h"

static void any_text_comes_back(void **state)
{
	static const char *const fields[] = {"plain",
					     "with, comma",
					     "with \"quotes\"",
					     "\"",
					     "",
					     "two\nlines",
					     "carriage\rreturn",
					     "M\xc3\xbcnchen \xe2\x80\x94 \xf0\x9f\xa7\xa0",
					     " blanks ",
					     ",",
					     "\"\"",
					     "bytes \xff\xfe"};
	enum { COUNT = sizeof fields / sizeof *fields };
	base_text text = {0};
	char *found[COUNT];
	(void)state;
	for (int row = 0; row < 2; row++) {
		for (int i = 0; i < COUNT; i++) {
			if (i > 0)
				base_text_append(&text, ",", 1);
			data_csv_add(&text, fields[i]);
		}
		base_text_append(&text, "\n", 1);
	}
	assert_false(text.failed);
	data_csv csv = {.at = text.data, .end = text.data + text.length};
	for (int row = 0; row < 2; row++) {
		assert_int_equal(data_csv_row(&csv, found, COUNT), COUNT);
		for (int i = 0; i < COUNT; i++)
			assert_string_equal(found[i], fields[i]);
	}
	assert_int_equal(data_csv_row(&csv, found, COUNT), 0);
	base_text_free(&text);
}

static int rows(const char *source, size_t size, char **fields, int room)
{
	static char copy[256];
	memcpy(copy, source, size);
	copy[size] = '\0';
	data_csv csv = {.at = copy, .end = copy + size};
	return data_csv_row(&csv, fields, room);
}

static void broken_rows_are_told(void **state)
{
	char *fields[2];
	(void)state;
	assert_int_equal(rows("\"open", 5, fields, 2), -1);
	assert_int_equal(rows("\"a\"b,c\n", 7, fields, 2), -1);
	assert_int_equal(rows("a\0b,c\n", 6, fields, 2), -1);
	assert_int_equal(rows("a\rb\n", 4, fields, 2), -1);
	assert_int_equal(rows("a,b\r\nc", 6, fields, 2), 2);
	assert_string_equal(fields[1], "b");
	assert_int_equal(rows("a,b,c,d", 7, fields, 2), 4); /* more than there is room for */
	assert_int_equal(rows("a,", 2, fields, 2), 2);
	assert_string_equal(fields[1], "");
	assert_int_equal(rows("\n", 1, fields, 2), 1);
	assert_int_equal(rows("", 0, fields, 2), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_text_comes_back),
		cmocka_unit_test(broken_rows_are_told),
	};
	(void)fixture_setup, (void)fixture_teardown;
	return cmocka_run_group_tests_name("data/csv", tests, NULL, NULL);
}
