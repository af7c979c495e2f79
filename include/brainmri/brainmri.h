/* brainmri: classify brain-MRI slices with a network that this library trains.
 *
 * The one public header. Every function that can fail returns a bm_status and, when `err` is not NULL,
 * leaves there a message for a person: what failed, on what, why, and what to do next.
 * The library never prints and never exits. A bm_model may be used by one thread at a time. */
#ifndef BRAINMRI_H
#define BRAINMRI_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BM_VERSION "0.1.0"

typedef enum bm_status {
	BM_OK = 0,
	BM_ERR_USAGE,	    /* an argument or option is wrong */
	BM_ERR_NOT_FOUND,   /* a file or folder does not exist */
	BM_ERR_IO,	    /* reading or writing failed */
	BM_ERR_FORMAT,	    /* the bytes are not what they claim to be */
	BM_ERR_LIMIT,	    /* larger than the program accepts */
	BM_ERR_MEMORY,	    /* not enough memory */
	BM_ERR_DATA,	    /* the data set cannot be used as it is */
	BM_ERR_NUMERIC,	    /* a loss or weight is not finite */
	BM_ERR_CANCELLED,   /* stopped on request; what was done is kept */
	BM_ERR_UNSUPPORTED, /* a known thing that this build does not do */
	BM_ERR_INTERNAL,    /* a bug: please report it */
	BM_STATUS_COUNT
} bm_status;

#define BM_MESSAGE_SIZE 1024

typedef struct bm_error {
	bm_status status;
	char message[BM_MESSAGE_SIZE]; /* one line, NUL-terminated, UTF-8 */
} bm_error;

/* "0.1.0"; static storage. */
const char *bm_version(void);

/* A short name such as "not found"; static storage, never NULL. */
const char *bm_status_name(bm_status status);

typedef struct bm_model bm_model;

/* Opens a model: a `.keras` file that brainmri wrote, or a run folder (its best model is taken).
 * `threads` 0 means one per core. On success *out is the caller's, to be freed with bm_model_close;
 * on failure *out is NULL. */
bm_status bm_model_open(const char *path, int threads, bm_model **out, bm_error *err);
void bm_model_close(bm_model *model); /* NULL is allowed */

int bm_model_class_count(const bm_model *model);
const char *bm_model_class_name(const bm_model *model, int index); /* owned by the model */

/* Classifies one JPEG or PNG, at most 64 MiB and 16 Mpixel.
 * probabilities: float[bm_model_class_count(model)], each in [0,1], sum 1. */
bm_status bm_model_classify_file(bm_model *model, const char *path, float *probabilities, bm_error *err);
bm_status bm_model_classify_bytes(bm_model *model, const void *bytes, size_t size, float *probabilities, bm_error *err);

#ifdef __cplusplus
}
#endif
#endif
