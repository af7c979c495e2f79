/* A pack of raw files: one zip file that holds them uncompressed, so that a server answers a few large requests instead of thousands
 * of small ones. Any zip program reads and writes it. storage_open shows it as a folder. */
#ifndef STORAGE_PACK_H
#define STORAGE_PACK_H

#include "base/observer.h"
#include "storage/backend.h"

typedef struct storage_pack_file {
	const char *path; /* below the root that it is read from; its name in the pack */
	uint64_t size;	  /* bytes */
} storage_pack_file;

#define STORAGE_PACK_FILE_LIMIT ((size_t)64 << 20)

/* Writes files[count] of `from` as a pack; nothing stands under `path` before it is whole and HDFS's checksum of it is what it
 * should be. A pack that is there is replaced. *bytes (may be NULL): its size. */
bm_status storage_pack_write(storage *from, const storage_pack_file *files, size_t count, storage *to, const char *path,
			     const base_observer *observer, uint64_t *bytes, bm_error *err);

/* Whether a name is a pack's (".zip"), and opening one: pack_read.c. */
bool storage_pack_name(const char *url);
/* Whether a file's name, not ended by NUL, may stand in a pack: below the root, no "..", no empty part, no backslash of Windows, no NUL. */
bool storage_pack_good_name(const char *name, size_t length);
bm_status storage_pack_open(storage *s, const storage_options *options, bool *is_file, bm_error *err);

/* ---- the format, shared by writing and reading ---- */

enum { ZIP_LOCAL_SIZE = 30, ZIP_CENTRAL_SIZE = 46, ZIP_END_SIZE = 22, ZIP64_END_SIZE = 56, ZIP64_LOCATOR_SIZE = 20 };
#define ZIP_LOCAL 0x04034b50u
#define ZIP_CENTRAL 0x02014b50u
#define ZIP_END 0x06054b50u
#define ZIP64_END 0x06064b50u
#define ZIP64_LOCATOR 0x07064b50u
#define ZIP_32 0xFFFFFFFFu
#define ZIP_16 0xFFFFu

static inline uint64_t storage_little_endian(const uint8_t *at, int bytes)
{
	uint64_t value = 0;
	for (int i = bytes - 1; i >= 0; i--)
		value = value << 8 | at[i];
	return value;
}

#endif
