/* Local files: read whole, written whole or not at all. */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/error.h"

/* Reads a regular file of at most `limit` bytes. *bytes is the caller's (base_free) and has a NUL behind it. */
bm_status base_file_read(const char *path, size_t limit, uint8_t **bytes, size_t *size, bm_error *err);

/* Writes through a temporary file beside `path`, flushed to disk and renamed: after a crash the path holds
 * either the old content or the new. */
bm_status base_file_write(const char *path, const void *bytes, size_t size, bm_error *err);

/* The same for content that is made piece by piece or by a library that wants a path or a FILE. */
typedef struct base_writer {
	FILE *file;
	char *path;	 /* the final name */
	char *temporary; /* where the bytes go until the commit */
	int failed;	 /* errno of the first base_writer_write that failed */
} base_writer;
bm_status base_writer_open(base_writer *writer, const char *path, bm_error *err);
/* What fails is told by the commit, and by its reason, which is lost with a plain fwrite. */
void base_writer_write(base_writer *writer, const void *bytes, size_t size);
bm_status base_writer_commit(base_writer *writer, bm_error *err); /* also checks ferror; closes in any case */
void base_writer_abort(base_writer *writer);			  /* safe after a commit and on a zeroed writer */

bm_status base_make_folders(const char *path, bm_error *err); /* like mkdir -p */
bool base_is_folder(const char *path);
bool base_is_file(const char *path);
char *base_path_join(const char *folder, const char *name, bm_error *err); /* base_free */
const char *base_path_name(const char *path);				   /* the part behind the last slash */

/* A file mapped read-only. */
typedef struct base_map {
	const uint8_t *bytes;
	size_t size;
} base_map;
bm_status base_map_open(base_map *map, const char *path, bm_error *err);
void base_map_close(base_map *map);

#endif
