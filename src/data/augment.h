/* One image on its way into a batch: changed at random, then floats. */
#ifndef DATA_AUGMENT_H
#define DATA_AUGMENT_H

#include "base/random.h"
#include "data/loader.h"

/* What one worker needs besides its input and output. */
typedef struct data_scratch {
	uint32_t *quads;  /* [size + 2][size + 2]: each with its right, lower and lower right neighbour */
	float *plane;	  /* [size][size]: the changed image */
	float *rows;	  /* [3][size + 2] */
	uint8_t *matched; /* [size][size]: with another image's grey levels */
} data_scratch;
bm_status data_scratch_create(int size, data_scratch *out, bm_error *err);
void data_scratch_free(data_scratch *scratch); /* safe on a zeroed one */

/* Histogram matching: the foreground of `pixels` goes the share `amount`, 0 to 1, of the way to the grey levels of `like`. */
void data_match_levels(const uint8_t *pixels, const uint8_t *like, size_t count, float amount, uint8_t *out);

/* True when no range is set: images pass unchanged. */
bool data_augmentation_is_none(const data_augmentation *a);

/* pixels [size][size] to out [size][size][channels] in [0,1], changed within the ranges of `a` by numbers drawn
 * from `random`. */
void data_augment(const uint8_t *pixels, int size, int channels, const data_augmentation *a, base_random *random,
		  data_scratch *scratch, float *out);

/* The same without a change: pixel / 255. */
void data_pixels_to_floats(const uint8_t *pixels, int size, int channels, float *out);

#endif
