/* Zip archives: a few named entries, read within limits, written whole or not at all. */
#ifndef MODEL_ARCHIVE_H
#define MODEL_ARCHIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

typedef struct model_entry {
	const char *name; /* "config.json" */
	const void *bytes;
	size_t size;
} model_entry;

/* Writes a new archive: entries stored, not compressed, as Keras does, dated 1980 so that equal contents give equal bytes. */
bm_status model_archive_write(const char *path, const model_entry *entries, int count, bm_error *err);

typedef struct model_archive model_archive;
bm_status model_archive_open(const char *path, model_archive **out, bm_error *err);
bool model_archive_has(model_archive *a, const char *name);
/* The bytes of one entry, at most `limit` of them, checked against the entry's CRC; the caller's (base_free). */
bm_status model_archive_read(model_archive *a, const char *name, size_t limit, uint8_t **bytes, size_t *size,
			     bm_error *err);
void model_archive_close(model_archive *a); /* NULL is allowed */

#endif
