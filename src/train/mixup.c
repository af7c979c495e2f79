#include "train/mixup.h"

#include <math.h>

#include "base/clones.h"
#include "base/random.h"

enum { MIXUP = 0x6d6978 }; /* its stream of random numbers */

/* Johnk's way to Beta(alpha, alpha), which suits the small alphas that mixup uses. */
static float draw_share(float alpha, base_random *random)
{
	for (int tries = 0; tries < 1000; tries++) {
		double x = pow((double)base_random_uniform(random), 1 / (double)alpha),
		       y = pow((double)base_random_uniform(random), 1 / (double)alpha);
		if (x + y > 0 && x + y <= 1) {
			double share = x / (x + y);
			return (float)(share < 0.5 ? 1 - share : share);
		}
	}
	return 1;
}

BASE_CLONES static void blend(const float *restrict a, const float *restrict b, size_t count, float share,
			      float *restrict out)
{
	for (size_t i = 0; i < count; i++)
		out[i] = b[i] + (a[i] - b[i]) * share;
}

void train_mixup(const data_batch *batch, size_t plane, float alpha, uint64_t seed, uint64_t step, float *images,
		 int *labels, train_mix *mix)
{
	base_random random = base_random_make(seed, base_random_mix(MIXUP, step));
	const float share = draw_share(alpha, &random);
	for (int i = 0; i < batch->count; i++) {
		const int other = batch->count - 1 - i;
		blend(batch->images + (size_t)i * plane, batch->images + (size_t)other * plane, plane, share,
		      images + (size_t)i * plane);
		labels[i] = batch->labels[other];
	}
	*mix = (train_mix){.labels = labels, .share = share};
}
