/* Copies of training images among test images: what makes a test figure too good. */
#ifndef DATA_LEAKS_H
#define DATA_LEAKS_H

#include "data/split.h"

typedef enum data_leak {
	DATA_LEAK_NONE,
	DATA_LEAK_EXACT, /* a training file has the same bytes */
	DATA_LEAK_NEAR,	 /* a training image is correlated above DATA_NEAR_COPY_CORRELATION */
	DATA_LEAK_CHAIN, /* none is, but a near-copy of this image (or of that one, ...) has one: an image in between */
	DATA_LEAK_COUNT
} data_leak;

typedef struct data_leaks {
	data_leak *kind;    /* [count] of each test image */
	size_t *partner;    /* [count]: the training image that it is most like; SIZE_MAX for DATA_LEAK_NONE */
	float *correlation; /* [count]: with it, at 48x48; 1 for DATA_LEAK_EXACT */
	size_t count;
	size_t of_kind[DATA_LEAK_COUNT];
	size_t across_classes; /* of the leaks: whose partner's class has another name */
} data_leaks;

/* Both packs have the same side. Free with data_leaks_free. */
bm_status data_find_leaks(const data_pack *train, const data_pack *test, int threads, const base_observer *observer,
			  data_leaks *out, bm_error *err);
void data_leaks_free(data_leaks *leaks); /* safe on a zeroed one */

#endif
