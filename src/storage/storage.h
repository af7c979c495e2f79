/* Where bytes live. Today a local folder; HDFS takes its place behind the same handle. Thread-safe after opening. */
#ifndef STORAGE_STORAGE_H
#define STORAGE_STORAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

typedef struct storage storage;

typedef struct storage_entry {
	char *name; /* below the listed folder, no slash */
	bool folder;
	uint64_t size; /* bytes; 0 for a folder */
} storage_entry;

typedef struct storage_list {
	storage_entry *items; /* sorted by name (bytewise), hidden names (".x") left out */
	size_t count;
} storage_list;

/* url: a path or file:///path. BM_ERR_NOT_FOUND names it; BM_ERR_UNSUPPORTED for a scheme that this build has not.
 * On success *out is the caller's (storage_close). */
bm_status storage_open(const char *url, storage **out, bm_error *err);
void storage_close(storage *s); /* NULL is allowed */
const char *storage_url(const storage *s);

/* path is below the root, "" for the root itself; never leaves it ("..", absolute: BM_ERR_USAGE). */
bm_status storage_list_folder(storage *s, const char *path, storage_list *list, bm_error *err);
void storage_list_free(storage_list *list);
/* A file of at most `limit` bytes (BM_ERR_LIMIT); *bytes is the caller's (base_free). */
bm_status storage_read(storage *s, const char *path, size_t limit, uint8_t **bytes, size_t *size, bm_error *err);

#endif
