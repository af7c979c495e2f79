/* What goes between an engine and a worker in another process: frames on a pipe, and the part files made of them.
 * All numbers little-endian.
 *
 *   to the worker    "BMWORK01" u32 side, u32 seconds
 *                    then for each image a request of 40 bytes, the name and the body:
 *                    u32 'BMRQ', u32 kind, u64 index, u32 name size, u32 body size, u64 hash low, u64 hash high
 *   from the worker  a part:  "BMPART02" u32 side, u32 its engine_preprocessing_number
 *                    then for each image an answer of 48 bytes, the reason and the pixels:
 *                    u32 'BMAN', u32 status, u64 index, u32 reason size, u32 pixel size, u64 file size,
 *                    u64 check low, u64 check high
 *                    at the end 16 bytes:  u32 'BMEN', u32 0, u64 answers
 *
 * Requests end where the pipe ends, between two of them. A part without its end is not whole. A part of another preprocessing
 * is refused, by the task and by who reads it: its pixels would be others than those that are made here. */
#ifndef ENGINE_FRAME_H
#define ENGINE_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/hash.h"

enum {
	ENGINE_NAME_LIMIT = 4096,   /* bytes of an image's name */
	ENGINE_REASON_LIMIT = 1024, /* bytes of the reason why an image was left out */
	ENGINE_SECONDS_LIMIT = 86400,
	ENGINE_ANSWER_HEADER = 48,
};

/* Where frames come from. read: *got < size only where the bytes end. */
typedef struct engine_source {
	bm_status (*read)(void *state, void *to, size_t size, size_t *got, bm_error *err);
	void *state;
} engine_source;

bm_status engine_source_fd(void *fd, void *to, size_t size, size_t *got,
			   bm_error *err); /* state: int *, a descriptor */
/* Writes everything; a pipe whose other end is gone is BM_ERR_IO. */
bm_status engine_write_fd(int fd, const void *bytes, size_t size, bm_error *err);

typedef struct engine_hello {
	int side;    /* DATA_PACK_SIDE_MIN to _MAX */
	int seconds; /* that an image may take; 0: no limit */
} engine_hello;

typedef struct engine_request {
	uint64_t index;
	bool skip;	/* the body is no image but the reason for leaving it out */
	base_hash hash; /* that the file's bytes must have */
	char name[ENGINE_NAME_LIMIT + 1];
	uint8_t *body; /* base_free; kept and grown from request to request */
	size_t size, capacity;
} engine_request;

bm_status engine_read_hello(const engine_source *source, engine_hello *hello, bm_error *err);
/* *end: there is no further one. BM_ERR_FORMAT: what came is no request, or was cut off. */
bm_status engine_read_request(const engine_source *source, engine_request *request, bool *end, bm_error *err);
void engine_request_free(engine_request *request);

typedef struct engine_answer {
	uint64_t index;
	bm_status status; /* BM_OK: pixels are there; else the reason */
	char reason[ENGINE_REASON_LIMIT + 1];
	uint8_t *pixels; /* [side][side]; the caller's room */
	uint64_t size;	 /* of the file that it was made from, bytes */
} engine_answer;

/* Another one for every text of DATA_PACK_PREPROCESSING. */
uint32_t engine_preprocessing_number(void);

bm_status engine_write_part_begin(int fd, int side, bm_error *err);
bm_status engine_write_answer(int fd, int side, const engine_answer *answer, bm_error *err);
bm_status engine_write_part_end(int fd, uint64_t count, bm_error *err);

/* Reads a part: begin, then next until *end. name: what messages call it. */
typedef struct engine_part {
	engine_source source;
	const char *name;
	int side;
	uint64_t count; /* answers read */
} engine_part;
/* BM_ERR_UNSUPPORTED: of a worker of another version; BM_ERR_FORMAT: no part, or of another side. */
bm_status engine_part_begin(engine_part *part, int side, bm_error *err);
/* The answer's header and reason; when its status is BM_OK engine_part_pixels must follow, which checks all of it.
 * BM_ERR_FORMAT: cut off, damaged, no part. */
bm_status engine_part_next(engine_part *part, engine_answer *answer, base_hash *check, bool *end, bm_error *err);
bm_status engine_part_pixels(engine_part *part, const engine_answer *answer, base_hash check, uint8_t *pixels,
			     bm_error *err);

#endif
