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

/* Opens a model: a `.keras` or `.safetensors` file that brainmri wrote, or a run folder (its best model is taken); NULL: the model that ships
 * within the library (BM_ERR_NOT_FOUND when it was built without).
 * `threads` 0 means one per core. On success *out is the caller's, to be freed with bm_model_close;
 * on failure *out is NULL. */
bm_status bm_model_open(const char *path, int threads, bm_model **out, bm_error *err);
void bm_model_close(bm_model *model); /* NULL is allowed */
/* The model card of the one that ships, in Markdown: what it is, what it was measured to do, what it must not be used for. Static storage;
 * NULL: there is none. */
const char *bm_shipped_card(void);

int bm_model_class_count(const bm_model *model);
const char *bm_model_class_name(const bm_model *model, int index); /* owned by the model */

/* What an answer is worth. */
typedef enum bm_verdict {
	BM_ANSWERED, /* the class is the model's answer */
	BM_NOT_SURE, /* the confidence is below the threshold: see a radiologist */
	BM_REFUSED   /* unlike the images that the model was trained on: the class means nothing */
} bm_verdict;

typedef struct bm_result {
	size_t size;	    /* sizeof(bm_result), set by the caller: members may be added at the end */
	bm_verdict verdict; /* the first that holds of BM_REFUSED, BM_NOT_SURE, BM_ANSWERED */
	int best;	    /* index of the most probable class */
	float confidence;   /* its probability */
	float threshold;    /* confidence that an answer takes; 0: any */
	float unlikeness;   /* over 1: refused; negative: the model has no check */
	const char *advice; /* one line for a person; static storage */
} bm_result;

/* Lets the model abstain: a confidence below `threshold` is BM_NOT_SURE. A model does not abstain unless told to.
 * Negative: the threshold that was chosen on validation images when the model was evaluated; BM_ERR_NOT_FOUND when it
 * has none. Up to 1 (BM_ERR_USAGE); 0 turns it off. */
bm_status bm_model_set_abstain(bm_model *model, double threshold, bm_error *err);
/* Whether images that are unlike those trained on are refused (1, as at first, where the model has a check) or not (0). */
void bm_model_set_refuse(bm_model *model, int refuse);

/* As bm_model_classify_... below, with the verdict. result->size must be set. probabilities may be NULL. */
bm_status bm_model_judge_file(bm_model *model, const char *path, bm_result *result, float *probabilities,
			      bm_error *err);
bm_status bm_model_judge_bytes(bm_model *model, const void *bytes, size_t size, bm_result *result, float *probabilities,
			       bm_error *err);

/* Classifies one JPEG or PNG, at most 64 MiB and 16 Mpixel.
 * probabilities: float[bm_model_class_count(model)], each in [0,1], sum 1, calibrated when the model was evaluated.
 * Every image gets a class, a photo of a cat as well: bm_model_judge_ tells whether to believe it. */
bm_status bm_model_classify_file(bm_model *model, const char *path, float *probabilities, bm_error *err);
bm_status bm_model_classify_bytes(bm_model *model, const void *bytes, size_t size, float *probabilities, bm_error *err);

#ifdef __cplusplus
}
#endif
#endif
