#include "base/hash.h"

#include <stdio.h>
#include <string.h>
#include <xxhash.h>

base_hash base_hash_bytes(const void *bytes, size_t size)
{
	XXH128_hash_t hash = XXH3_128bits(size > 0 ? bytes : "", size);
	return (base_hash){.high = hash.high64, .low = hash.low64};
}

base_hash base_hash_join(base_hash a, base_hash b)
{
	/* Byte by byte, so that a hash in a file means the same on any machine. */
	const uint64_t words[4] = {a.high, a.low, b.high, b.low};
	uint8_t bytes[32];
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)(words[i / 8] >> (8 * (i % 8)));
	return base_hash_bytes(bytes, sizeof bytes);
}

bool base_hash_equal(base_hash a, base_hash b)
{
	return a.high == b.high && a.low == b.low;
}

void base_hash_text(base_hash hash, char text[33])
{
	snprintf(text, 33, "%016llx%016llx", (unsigned long long)hash.high, (unsigned long long)hash.low);
}

bool base_hash_parse(const char *text, base_hash *hash)
{
	uint64_t words[2] = {0, 0};
	for (int i = 0; i < 32; i++) {
		char c = text[i];
		int digit;
		if (c >= '0' && c <= '9')
			digit = c - '0';
		else if (c >= 'a' && c <= 'f')
			digit = c - 'a' + 10;
		else if (c >= 'A' && c <= 'F')
			digit = c - 'A' + 10;
		else
			return false;
		words[i / 16] = words[i / 16] << 4 | (uint64_t)digit;
	}
	if (text[32] != '\0')
		return false;
	*hash = (base_hash){.high = words[0], .low = words[1]};
	return true;
}

#ifdef __SSE4_2__
uint32_t base_crc32c(uint32_t crc, const void *bytes, size_t size)
{
	const uint8_t *at = bytes;
	uint64_t state = ~crc;
	while (size >= 8) {
		uint64_t word;
		memcpy(&word, at, 8);
		state = __builtin_ia32_crc32di(state, word);
		at += 8;
		size -= 8;
	}
	while (size-- > 0)
		state = __builtin_ia32_crc32qi((uint32_t)state, *at++);
	return ~(uint32_t)state;
}
#else
uint32_t base_crc32c(uint32_t crc, const void *bytes, size_t size)
{
	const uint8_t *at = bytes;
	crc = ~crc;
	while (size-- > 0) {
		crc ^= *at++;
		for (int i = 0; i < 8; i++)
			crc = crc >> 1 ^ (0x82F63B78u & (0u - (crc & 1)));
	}
	return ~crc;
}
#endif
