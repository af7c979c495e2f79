/* A checkpoint's file: a text and four runs of floats, checked as a whole.
 *   64 bytes  header: magic, version, sizes
 *   the text  padded with zeros to a multiple of 64
 *   floats    the four sections, one behind the other
 *   16 bytes  XXH3-128 of all that comes before, in blocks of 1 MiB */
#ifndef TRAIN_CHECKPOINT_FILE_H
#define TRAIN_CHECKPOINT_FILE_H

#include "base/file.h"
#include "base/hash.h"

typedef enum train_section { TRAIN_WEIGHTS, TRAIN_MOMENT_M, TRAIN_MOMENT_V, TRAIN_EMA, TRAIN_SECTIONS } train_section;

typedef struct train_piece {
	train_section section; /* ascending */
	const float *values;
	size_t count;
} train_piece;

/* Written whole or not at all. *hash may be NULL. */
bm_status train_file_write(const char *path, const char *text, const train_piece *pieces, size_t piece_count,
			   base_hash *hash, bm_error *err);

typedef struct train_file {
	base_map map;
	const char *text;
	size_t text_length; /* no NUL behind it */
	const float *sections[TRAIN_SECTIONS];
	size_t counts[TRAIN_SECTIONS];
	base_hash hash;
} train_file;
/* BM_ERR_FORMAT: not such a file, or damaged; BM_ERR_UNSUPPORTED: of another version. */
bm_status train_file_open(train_file *file, const char *path, bm_error *err);
void train_file_close(train_file *file);

#endif
