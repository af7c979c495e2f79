/* HDFS's file checksums, computed here: org.apache.hadoop.hdfs.FileChecksumHelper. By default the CRC of each 512 bytes, the MD5 of
 * each block's CRCs, and the MD5 of those; or one CRC of the whole file (dfs.checksum.combine.mode COMPOSITE_CRC). */
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/hash.h"
#include "base/memory.h"
#include "storage/storage.h"

enum { MD5_SIZE = 16, CRC_SIZE = 4, HEAD_SIZE = 12, BYTES_PER_CRC = 512, CRCS_AT_ONCE = 256 };
#define BLOCK_SIZE ((uint64_t)128 << 20)
#define BYTES_PER_CRC_MAX (1u << 24)

typedef enum crc_kind { CRC32_NONE, CRC32_ZLIB, CRC32_CASTAGNOLI } crc_kind;

static uint32_t crc_add(crc_kind kind, uint32_t crc, const uint8_t *bytes, size_t size)
{
	if (kind == CRC32_CASTAGNOLI)
		return base_crc32c(crc, bytes, size);
	return (uint32_t)crc32_z(crc, bytes, size);
}

/* ---- the state ---- */

struct storage_summer {
	crc_kind kind;
	bool composite;
	uint32_t bytes_per_crc;
	uint64_t block_size; /* UINT64_MAX: the file is one block */
	uint32_t crc;
	uint64_t size, in_block;
	uint32_t in_chunk;
	EVP_MD_CTX *block; /* over the CRCs of the running block */
	uint8_t crcs[CRCS_AT_ONCE * CRC_SIZE];
	size_t crc_count;
	uint8_t *sums; /* an MD5 per finished block */
	size_t sum_count, sum_capacity;
};

static void put_big_endian(uint8_t *at, uint64_t value, int bytes)
{
	for (int i = bytes - 1; i >= 0; i--, value >>= 8)
		at[i] = (uint8_t)value;
}

static uint64_t big_endian(const uint8_t *at, int bytes)
{
	uint64_t value = 0;
	for (int i = 0; i < bytes; i++)
		value = value << 8 | at[i];
	return value;
}

static bm_status unknown(const storage_checksum *like, bm_error *err)
{
	return base_fail(
		err, BM_ERR_UNSUPPORTED,
		"the file system's checksum '%.47s' cannot be compared with a local file; compare lengths only",
		like->algorithm);
}

/* What algorithm and parameters `like` was made with. */
static bm_status parse(const storage_checksum *like, storage_summer *s, bm_error *err)
{
	const char *name = like->algorithm, *end = name + strnlen(name, sizeof like->algorithm);
	size_t length = (size_t)(end - name);
	s->kind = length >= 6 && memcmp(end - 6, "CRC32C", 6) == 0  ? CRC32_CASTAGNOLI
		  : length >= 5 && memcmp(end - 5, "CRC32", 5) == 0 ? CRC32_ZLIB
								    : CRC32_NONE;
	if (s->kind == CRC32_NONE)
		return unknown(like, err);
	if (strncmp(name, "COMPOSITE-CRC", 13) == 0 && like->size == CRC_SIZE) {
		s->composite = true;
		return BM_OK;
	}
	if (strncmp(name, "MD5-of-", 7) != 0 || like->size != HEAD_SIZE + MD5_SIZE)
		return unknown(like, err);
	s->bytes_per_crc = (uint32_t)big_endian(like->bytes, 4);
	uint64_t crcs = big_endian(like->bytes + 4, 8);
	if (s->bytes_per_crc > BYTES_PER_CRC_MAX || crcs > UINT64_MAX / BYTES_PER_CRC_MAX)
		return unknown(like, err);
	if (s->bytes_per_crc == 0) /* of an empty file: any parameters do */
		s->bytes_per_crc = BYTES_PER_CRC;
	s->block_size = crcs > 0 ? crcs * s->bytes_per_crc : UINT64_MAX;
	return BM_OK;
}

static bm_status no_md5(bm_error *err)
{
	return base_fail(
		err, BM_ERR_UNSUPPORTED,
		"OpenSSL does not compute MD5 here (FIPS mode?), which HDFS's checksums need; compare lengths only");
}

bm_status storage_summer_open(const storage_checksum *like, storage_summer **out, bm_error *err)
{
	*out = NULL;
	storage_summer *s = base_calloc(1, sizeof *s, "a checksum", err);
	if (!s)
		return BM_ERR_MEMORY;
	s->kind = CRC32_CASTAGNOLI;
	s->bytes_per_crc = BYTES_PER_CRC;
	s->block_size = BLOCK_SIZE;
	bm_status status = like ? parse(like, s, err) : BM_OK;
	if (status == BM_OK && !s->composite) {
		s->block = EVP_MD_CTX_new();
		if (!s->block || EVP_DigestInit_ex(s->block, EVP_md5(), NULL) != 1)
			status = no_md5(err);
	}
	if (status == BM_OK)
		*out = s;
	else
		storage_summer_free(s);
	return status;
}

void storage_summer_free(storage_summer *s)
{
	if (!s)
		return;
	EVP_MD_CTX_free(s->block);
	base_free(s->sums);
	base_free(s);
}

static bm_status flush_crcs(storage_summer *s, bm_error *err)
{
	if (s->crc_count > 0 && EVP_DigestUpdate(s->block, s->crcs, s->crc_count * CRC_SIZE) != 1)
		return no_md5(err);
	s->crc_count = 0;
	return BM_OK;
}

static bm_status end_chunk(storage_summer *s, bm_error *err)
{
	put_big_endian(s->crcs + s->crc_count++ * CRC_SIZE, s->crc, CRC_SIZE);
	s->crc = 0;
	s->in_chunk = 0;
	return s->crc_count == CRCS_AT_ONCE ? flush_crcs(s, err) : BM_OK;
}

static bm_status end_block(storage_summer *s, bm_error *err)
{
	bm_status status = s->in_chunk > 0 ? end_chunk(s, err) : BM_OK;
	if (status == BM_OK)
		status = flush_crcs(s, err);
	if (status == BM_OK)
		status = base_grow(&s->sums, &s->sum_capacity, s->sum_count, MD5_SIZE, "a checksum", err);
	if (status != BM_OK)
		return status;
	if (EVP_DigestFinal_ex(s->block, s->sums + s->sum_count * MD5_SIZE, NULL) != 1 ||
	    EVP_DigestInit_ex(s->block, EVP_md5(), NULL) != 1)
		return no_md5(err);
	s->sum_count++;
	s->in_block = 0;
	return BM_OK;
}

bm_status storage_summer_add(storage_summer *s, const void *bytes, size_t size, bm_error *err)
{
	const uint8_t *at = bytes;
	s->size += size;
	if (s->composite) {
		s->crc = crc_add(s->kind, s->crc, at, size);
		return BM_OK;
	}
	while (size > 0) {
		size_t some = s->bytes_per_crc - s->in_chunk;
		bm_status status = BM_OK;
		if (some > size)
			some = size;
		if (some > s->block_size - s->in_block)
			some = (size_t)(s->block_size - s->in_block);
		s->crc = crc_add(s->kind, s->crc, at, some);
		s->in_chunk += (uint32_t)some;
		s->in_block += some;
		at += some;
		size -= some;
		if (s->in_chunk == s->bytes_per_crc)
			status = end_chunk(s, err);
		if (status == BM_OK && s->in_block == s->block_size)
			status = end_block(s, err);
		if (status != BM_OK)
			return status;
	}
	return BM_OK;
}

/* The MD5 of the blocks' MD5s as Hadoop takes it: over its whole buffer, which is 32 bytes at first, doubles, and is zero behind what
 * was written. That became part of the format. */
static bool md5_of_blocks(const storage_summer *s, uint8_t out[MD5_SIZE])
{
	static const uint8_t zeros[64];
	size_t used = s->sum_count * MD5_SIZE, padded = 32;
	while (padded < used)
		padded *= 2;
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	bool good = context && EVP_DigestInit_ex(context, EVP_md5(), NULL) == 1 &&
		    (used == 0 || EVP_DigestUpdate(context, s->sums, used) == 1);
	for (size_t left = padded - used; good && left > 0;) {
		size_t some = left < sizeof zeros ? left : sizeof zeros;
		good = EVP_DigestUpdate(context, zeros, some) == 1;
		left -= some;
	}
	good = good && EVP_DigestFinal_ex(context, out, NULL) == 1;
	EVP_MD_CTX_free(context);
	return good;
}

bm_status storage_summer_end(storage_summer *s, storage_checksum *sum, bm_error *err)
{
	const char *kind = s->kind == CRC32_CASTAGNOLI ? "CRC32C" : "CRC32";
	*sum = (storage_checksum){0};
	if (s->composite) {
		snprintf(sum->algorithm, sizeof sum->algorithm, "COMPOSITE-%s", kind);
		put_big_endian(sum->bytes, s->crc, CRC_SIZE);
		sum->size = CRC_SIZE;
		return BM_OK;
	}
	bm_status status = s->in_block > 0 ? end_block(s, err) : BM_OK;
	if (status != BM_OK)
		return status;
	uint64_t crcs = s->sum_count > 1 ? s->block_size / s->bytes_per_crc : 0;
	uint32_t per_crc = s->bytes_per_crc;
	if (s->size == 0) { /* Hadoop names no parameters of an empty file, and another kind */
		per_crc = 0;
		kind = "CRC32";
	}
	snprintf(sum->algorithm, sizeof sum->algorithm, "MD5-of-%lluMD5-of-%u%s", (unsigned long long)crcs, per_crc,
		 kind);
	put_big_endian(sum->bytes, per_crc, 4);
	put_big_endian(sum->bytes + 4, crcs, 8);
	sum->size = HEAD_SIZE + MD5_SIZE;
	return md5_of_blocks(s, sum->bytes + HEAD_SIZE) ? BM_OK : no_md5(err);
}

/* ---- what is asked ---- */

bm_status storage_checksum_bytes(const storage_checksum *like, const void *bytes, size_t size, storage_checksum *sum,
				 bm_error *err)
{
	storage_summer *summer;
	*sum = (storage_checksum){0};
	bm_status status = storage_summer_open(like, &summer, err);
	if (status == BM_OK)
		status = storage_summer_add(summer, bytes, size, err);
	if (status == BM_OK)
		status = storage_summer_end(summer, sum, err);
	storage_summer_free(summer);
	return status;
}

bool storage_checksum_equal(const storage_checksum *a, const storage_checksum *b)
{
	return a->size > 0 && a->size == b->size && strcmp(a->algorithm, b->algorithm) == 0 &&
	       memcmp(a->bytes, b->bytes, a->size) == 0;
}

void storage_checksum_text(const storage_checksum *sum, char text[65])
{
	text[0] = '\0';
	for (size_t i = 0; i < sum->size && i < sizeof sum->bytes; i++)
		snprintf(text + 2 * i, 3, "%02x", sum->bytes[i]);
}
