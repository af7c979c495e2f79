/* Content hashes: XXH3-128 (libxxhash), for finding equal files, not for security. */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct base_hash {
	uint64_t high, low;
} base_hash;

base_hash base_hash_bytes(const void *bytes, size_t size);
base_hash base_hash_join(base_hash a, base_hash b); /* order matters */
bool base_hash_equal(base_hash a, base_hash b);
void base_hash_text(base_hash hash, char text[33]); /* 32 hex digits and a NUL */
bool base_hash_parse(const char *text, base_hash *hash);

/* CRC-32C (Castagnoli; reflected, polynomial 0x82F63B78) of bytes behind those with checksum `crc`; 0: of none. What HDFS and TensorBoard's files have. */
uint32_t base_crc32c(uint32_t crc, const void *bytes, size_t size);

#endif
