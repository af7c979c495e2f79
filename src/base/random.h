/* Random numbers by counter (Philox 4x32-10, Salmon et al. 2011): the stream of (seed, stream) is the same
 * whichever thread draws it, so an image's augmentation depends on seed, epoch and image only. */
#ifndef BASE_RANDOM_H
#define BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

typedef struct base_random {
	uint64_t seed, stream, counter;
	uint32_t block[4];
	int used; /* of block; 4 = empty */
} base_random;

base_random base_random_make(uint64_t seed, uint64_t stream);
uint64_t base_random_mix(uint64_t a, uint64_t b); /* a stream number out of two numbers */
uint32_t base_random_u32(base_random *r);
uint64_t base_random_below(base_random *r, uint64_t n);		       /* [0, n), unbiased; n > 0 */
float base_random_uniform(base_random *r);			       /* [0, 1) */
float base_random_range(base_random *r, float low, float high);	       /* [low, high) */
float base_random_normal(base_random *r);			       /* mean 0, deviation 1 */
void base_random_shuffle(base_random *r, size_t *items, size_t count); /* Fisher-Yates */

#endif
