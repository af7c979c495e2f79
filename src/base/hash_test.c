#include "base/hash.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

/* XXH3_128bits of nothing, as xxhash's own documentation and `xxhsum -H2` give it. */
static void nothing_has_its_known_hash(void **state)
{
	(void)state;
	char text[33];
	base_hash_text(base_hash_bytes(NULL, 0), text);
	assert_string_equal(text, "99aa06d3014798d86001c324468d497f");
}

static void equal_bytes_have_equal_hashes(void **state)
{
	(void)state;
	uint8_t bytes[1000], other[1000];
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)(i * 7);
	memcpy(other, bytes, sizeof bytes);
	base_hash hash = base_hash_bytes(bytes, sizeof bytes);
	assert_true(base_hash_equal(hash, base_hash_bytes(other, sizeof other)));
	assert_false(base_hash_equal(hash, base_hash_bytes(bytes, sizeof bytes - 1)));
	for (size_t i = 0; i < sizeof bytes; i += 37) {
		other[i] ^= 1;
		assert_false(base_hash_equal(hash, base_hash_bytes(other, sizeof other)));
		other[i] ^= 1;
	}
}

static void joining_minds_the_order(void **state)
{
	(void)state;
	base_hash a = base_hash_bytes("a", 1), b = base_hash_bytes("b", 1);
	assert_false(base_hash_equal(base_hash_join(a, b), base_hash_join(b, a)));
	assert_true(base_hash_equal(base_hash_join(a, b), base_hash_join(a, b)));
}

static void texts_go_there_and_back(void **state)
{
	(void)state;
	char text[33], again[33];
	base_hash hash = base_hash_bytes("brain", 5), back = {0, 0};
	base_hash_text(hash, text);
	assert_int_equal(strlen(text), 32);
	assert_true(base_hash_parse(text, &back));
	assert_true(base_hash_equal(hash, back));
	assert_true(base_hash_parse("0123456789ABCDEF0123456789abcdef", &back));
	base_hash_text(back, again);
	assert_string_equal(again, "0123456789abcdef0123456789abcdef");
	static const char *const wrong[] = {"",
					    "0123",
					    "0123456789abcdef0123456789abcde",
					    "0123456789abcdef0123456789abcdefa",
					    "0123456789abcdeg0123456789abcdef",
					    " 123456789abcdef0123456789abcdef"};
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		assert_false(base_hash_parse(wrong[i], &back));
}

static void the_checksum_is_castagnolis(void **state)
{
	(void)state;
	uint8_t zeros[32] = {0};
	assert_int_equal(base_crc32c(0, "", 0), 0);
	assert_int_equal(base_crc32c(0, "123456789", 9), 0xe3069283u);
	assert_int_equal(base_crc32c(0, zeros, sizeof zeros), 0x8a9136aau); /* RFC 3720, B.4 */
	assert_int_equal(base_crc32c(base_crc32c(0, "1234", 4), "56789", 5), 0xe3069283u);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_has_its_known_hash),  cmocka_unit_test(equal_bytes_have_equal_hashes),
		cmocka_unit_test(joining_minds_the_order),     cmocka_unit_test(texts_go_there_and_back),
		cmocka_unit_test(the_checksum_is_castagnolis),
	};
	return cmocka_run_group_tests_name("base/hash", tests, NULL, NULL);
}
