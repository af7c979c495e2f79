/* Confidence intervals by the bootstrap over groups: near-copies of one image are no independent evidence, so whole groups are drawn. */
#ifndef EVALUATE_BOOTSTRAP_H
#define EVALUATE_BOOTSTRAP_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define EVALUATE_RESAMPLES 2000

typedef struct evaluate_interval {
	double low, high; /* 2.5 % and 97.5 % of the resamples; NaN when no resample has the figure */
} evaluate_interval;

typedef struct evaluate_intervals {
	size_t resamples, groups;
	evaluate_interval accuracy, macro_f1, mean_auc, ece;
} evaluate_intervals;

/* probabilities [count][classes] for accuracy, macro F1 and AUC (as evaluate_compute defines them); calibrated [count][classes] for the
 * ECE; groups [count]: any numbers, equal for images of one group. Depends on the seed, not on `threads`. */
bm_status evaluate_bootstrap(const float *probabilities, const float *calibrated, const int *labels,
			     const size_t *groups, size_t count, int classes, size_t resamples, uint64_t seed,
			     int threads, evaluate_intervals *out, bm_error *err);

#endif
