/* Against what Hadoop 3.5's GETFILECHECKSUM answered for the same bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"
#include "storage/storage.h"

enum { SIZE = 200000 };
static uint8_t bytes[SIZE];

static int fill(void **state)
{
	(void)state;
	for (uint64_t i = 0; i < SIZE; i++)
		bytes[i] = (uint8_t)(i * 2654435761u >> 13);
	return 0;
}

static void parse(storage_checksum *sum, const char *algorithm, const char *hex)
{
	*sum = (storage_checksum){0};
	snprintf(sum->algorithm, sizeof sum->algorithm, "%s", algorithm);
	for (; hex[2 * sum->size]; sum->size++) {
		unsigned byte;
		assert_int_equal(sscanf(hex + 2 * sum->size, "%2x", &byte), 1);
		sum->bytes[sum->size] = (uint8_t)byte;
	}
}

static void check(const char *algorithm, const char *hex, size_t size)
{
	storage_checksum there, here;
	bm_error err = {0};
	char text[65];
	parse(&there, algorithm, hex);
	assert_int_equal(storage_checksum_bytes(&there, bytes, size, &here, &err), BM_OK);
	storage_checksum_text(&here, text);
	assert_string_equal(here.algorithm, algorithm);
	assert_string_equal(text, hex);
	assert_true(storage_checksum_equal(&there, &here));
	/* In pieces of any size the same comes out. */
	for (size_t piece = 1; piece < 100000; piece = piece * 7 + 1) {
		storage_summer *summer;
		assert_int_equal(storage_summer_open(&there, &summer, &err), BM_OK);
		for (size_t at = 0; at < size; at += piece)
			assert_int_equal(
				storage_summer_add(summer, bytes + at, size - at < piece ? size - at : piece, &err),
				BM_OK);
		assert_int_equal(storage_summer_end(summer, &here, &err), BM_OK);
		storage_summer_free(summer);
		assert_true(storage_checksum_equal(&there, &here));
	}
	if (size == 0)
		return;
	bytes[size - 1] ^= 1;
	assert_int_equal(storage_checksum_bytes(&there, bytes, size, &here, &err), BM_OK);
	bytes[size - 1] ^= 1;
	assert_false(storage_checksum_equal(&there, &here));
}

static void test_one_block(void **state)
{
	(void)state;
	check("MD5-of-0MD5-of-512CRC32C", "0000020000000000000000003b7e0ef7f0727e893559b8c81e9eec77", SIZE);
}

static void test_blocks(void **state)
{
	(void)state;
	check("MD5-of-128MD5-of-512CRC32C", "00000200000000000000008055ffbb69906b677d252243d00d8a39d0", SIZE);
}

static void test_empty(void **state)
{
	(void)state;
	check("MD5-of-0MD5-of-0CRC32", "00000000000000000000000070bc8f4b72a86921468bf8e8441dce51", 0);
}

/* The check values of the two CRCs are those of "123456789". */
static void test_composite(void **state)
{
	(void)state;
	storage_checksum like, sum;
	char text[65];
	parse(&like, "COMPOSITE-CRC32C", "00000000");
	assert_int_equal(storage_checksum_bytes(&like, "123456789", 9, &sum, NULL), BM_OK);
	storage_checksum_text(&sum, text);
	assert_string_equal(text, "e3069283");
	parse(&like, "COMPOSITE-CRC32", "00000000");
	assert_int_equal(storage_checksum_bytes(&like, "123456789", 9, &sum, NULL), BM_OK);
	storage_checksum_text(&sum, text);
	assert_string_equal(text, "cbf43926");
}

static void test_unknown(void **state)
{
	(void)state;
	static const char *const names[] = {
		"", "SHA-1", "CRC32C", "MD5-of-0MD5-of-512", "MD5-of-CRC32C", "COMPOSITE-CRC64"};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		storage_checksum like, sum;
		bm_error err = {0};
		parse(&like, names[i], "0000");
		assert_int_equal(storage_checksum_bytes(&like, "x", 1, &sum, &err), BM_ERR_UNSUPPORTED);
		assert_int_equal(err.status, BM_ERR_UNSUPPORTED);
	}
	/* Parameters that no file system has: no division by nothing, no endless loop. */
	storage_checksum like, sum;
	parse(&like, "MD5-of-1MD5-of-512CRC32C", "ffffffffffffffffffffffff00000000000000000000000000000000");
	assert_int_equal(storage_checksum_bytes(&like, "x", 1, &sum, NULL), BM_ERR_UNSUPPORTED);
	parse(&like, "MD5-of-1MD5-of-0CRC32C", "00000000ffffffff0000000000000000000000000000000000000000");
	assert_int_equal(storage_checksum_bytes(&like, "x", 1, &sum, NULL), BM_ERR_UNSUPPORTED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_block), cmocka_unit_test(test_blocks),  cmocka_unit_test(test_empty),
		cmocka_unit_test(test_composite), cmocka_unit_test(test_unknown),
	};
	return cmocka_run_group_tests(tests, fill, NULL);
}
