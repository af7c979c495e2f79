/* Probabilities that mean what they say: temperature scaling (Guo et al. 2017), the reliability diagram and its error, the Brier score,
 * and accuracy against coverage. */
#ifndef EVALUATE_CALIBRATE_H
#define EVALUATE_CALIBRATE_H

#include <stddef.h>

#include "base/error.h"

#define EVALUATE_BINS 15
#define EVALUATE_COVERAGE_STEPS 100
#define EVALUATE_TEMPERATURE_MIN 0.05
#define EVALUATE_TEMPERATURE_MAX 20.0

/* out [count][classes] (may be `probabilities`): softmax(log p / temperature). */
void evaluate_temper(const float *probabilities, size_t count, int classes, double temperature, float *out);

/* The temperature with the least cross-entropy (Newton's method in 1 / temperature, in which it is convex). Where every image is
 * right, the least would be 0: then it is the one at which the mean confidence is (count + 1) / (count + 2), Laplace's rule of succession.
 * BM_ERR_DATA for count 0. */
bm_status evaluate_fit_temperature(const float *probabilities, const int *labels, size_t count, int classes,
				   double *temperature, bm_error *err);

typedef struct evaluate_bin {
	size_t count;
	double confidence, accuracy; /* means of its images; 0 when it has none */
} evaluate_bin;

typedef struct evaluate_calibration {
	evaluate_bin bins[EVALUATE_BINS]; /* of equal width: bin b has the images with confidence in (b/15, (b+1)/15] */
	double ece;	/* expected calibration error: mean over the images of |confidence - accuracy| of their bin */
	double largest; /* of a bin that has images */
	double brier;	/* mean of the sum over classes of (p - y)^2: 0 to 2 */
	double loss;	/* mean cross-entropy, p at least 1e-7 */
	double confidence; /* mean */
} evaluate_calibration;

/* count > 0. */
void evaluate_calibrate(const float *probabilities, const int *labels, size_t count, int classes,
			evaluate_calibration *out);

typedef struct evaluate_coverage {
	double coverage;  /* share of the images that are answered: the most confident ones */
	double accuracy;  /* of these */
	double threshold; /* confidence of the least confident of them */
} evaluate_coverage;

/* points [EVALUATE_COVERAGE_STEPS]: coverage 1 %, 2 %, ... 100 % (at least one image). */
bm_status evaluate_coverage_curve(const float *probabilities, const int *labels, size_t count, int classes,
				  evaluate_coverage *points, bm_error *err);

/* The lowest confidence threshold, never below 0.5, at which the images that are answered are right in `target` of all cases, answering
 * half of the images at least; where that cannot be had, the threshold of the best accuracy that can. To be chosen on validation images. */
bm_status evaluate_choose_threshold(const float *probabilities, const int *labels, size_t count, int classes,
				    double target, double *threshold, bm_error *err);
/* Images with at least this confidence, and how many of them are right. */
void evaluate_at_threshold(const float *probabilities, const int *labels, size_t count, int classes, double threshold,
			   size_t *answered, size_t *right);

/* The first largest. */
static inline int evaluate_best(const float *p, int classes)
{
	int best = 0;
	for (int k = 1; k < classes; k++)
		if (p[k] > p[best])
			best = k;
	return best;
}

#endif
