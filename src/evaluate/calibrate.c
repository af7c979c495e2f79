#include "evaluate/calibrate.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/memory.h"

enum { NEWTON_STEPS = 100 };

/* A float softmax can be 0; its logarithm must not decide alone. */
static const double LEAST = 1e-12;

/* ---- temperature ---- */

void evaluate_temper(const float *probabilities, size_t count, int classes, double temperature, float *out)
{
	for (size_t i = 0; i < count; i++) {
		const float *p = probabilities + i * (size_t)classes; /* [classes] */
		float *q = out + i * (size_t)classes;
		double most = log(fmax((double)p[evaluate_best(p, classes)], LEAST)), sum = 0;
		for (int k = 0; k < classes; k++)
			sum += exp((log(fmax((double)p[k], LEAST)) - most) / temperature);
		for (int k = 0; k < classes; k++)
			q[k] = (float)(exp((log(fmax((double)p[k], LEAST)) - most) / temperature) / sum);
	}
}

/* First and second derivative of the mean cross-entropy by b = 1 / temperature: the means of E[z] - z_label and Var[z] under the tempered
 * probabilities, z = log p. */
static void slopes(const float *probabilities, const int *labels, size_t count, int classes, double b, double *first,
		   double *second)
{
	*first = *second = 0;
	for (size_t i = 0; i < count; i++) {
		const float *p = probabilities + i * (size_t)classes;
		double most = log(fmax((double)p[evaluate_best(p, classes)], LEAST)), sum = 0, mean = 0, square = 0;
		for (int k = 0; k < classes; k++) {
			double z = log(fmax((double)p[k], LEAST)) - most, w = exp(b * z);
			sum += w;
			mean += w * z;
			square += w * z * z;
		}
		mean /= sum;
		*first += mean - (log(fmax((double)p[labels[i]], LEAST)) - most);
		*second += square / sum - mean * mean;
	}
	*first /= (double)count;
	*second /= (double)count;
}

static double mean_confidence(const float *probabilities, size_t count, int classes, double b)
{
	double total = 0;
	for (size_t i = 0; i < count; i++) {
		const float *p = probabilities + i * (size_t)classes;
		double most = log(fmax((double)p[evaluate_best(p, classes)], LEAST)), sum = 0;
		for (int k = 0; k < classes; k++)
			sum += exp(b * (log(fmax((double)p[k], LEAST)) - most));
		total += 1 / sum;
	}
	return total / (double)count;
}

/* The largest b in [low, high] whose mean confidence, which grows with b, is not above `wanted`. */
static double confident(const float *probabilities, size_t count, int classes, double wanted, double low, double high)
{
	for (int i = 0; i < NEWTON_STEPS; i++) {
		double middle = (low + high) / 2;
		if (mean_confidence(probabilities, count, classes, middle) > wanted)
			high = middle;
		else
			low = middle;
	}
	return low;
}

bm_status evaluate_fit_temperature(const float *probabilities, const int *labels, size_t count, int classes,
				   double *temperature, bm_error *err)
{
	double low = 1 / EVALUATE_TEMPERATURE_MAX, high = 1 / EVALUATE_TEMPERATURE_MIN, b = 1;
	bool all_right = true;
	if (count == 0)
		return base_fail(err, BM_ERR_DATA, "cannot fit a temperature: there is no validation image");
	for (size_t i = 0; i < count; i++)
		all_right = all_right && evaluate_best(probabilities + i * (size_t)classes, classes) == labels[i];
	if (all_right) {
		double wanted = ((double)count + 1) / ((double)count + 2);
		*temperature = 1 / confident(probabilities, count, classes, wanted, low, high);
		return BM_OK;
	}
	/* Newton's step where it stays between the bounds, which close in; else the middle. */
	for (int i = 0; i < NEWTON_STEPS && high - low > 1e-9; i++) {
		double first, second;
		slopes(probabilities, labels, count, classes, b, &first, &second);
		if (first > 0)
			high = b;
		else
			low = b;
		double next = second > 0 ? b - first / second : low;
		bool inside = next > low && next < high;
		double step = fabs(next - b);
		b = inside ? next : (low + high) / 2;
		if (inside && step < 1e-10)
			break;
	}
	*temperature = 1 / b;
	return BM_OK;
}

/* ---- reliability ---- */

void evaluate_calibrate(const float *probabilities, const int *labels, size_t count, int classes,
			evaluate_calibration *out)
{
	*out = (evaluate_calibration){0};
	for (size_t i = 0; i < count; i++) {
		const float *p = probabilities + i * (size_t)classes;
		int best = evaluate_best(p, classes);
		double confidence = fmin((double)p[best], 1);
		int b = (int)ceil(confidence * EVALUATE_BINS) - 1;
		evaluate_bin *bin = &out->bins[b < 0 ? 0 : b >= EVALUATE_BINS ? EVALUATE_BINS - 1 : b];
		bin->count++;
		bin->confidence += confidence;
		bin->accuracy += best == labels[i];
		for (int k = 0; k < classes; k++) {
			double off = (double)p[k] - (k == labels[i]);
			out->brier += off * off;
		}
		out->loss -= log(fmin(fmax((double)p[labels[i]], 1e-7), 1 - 1e-7));
		out->confidence += confidence;
	}
	for (int b = 0; b < EVALUATE_BINS; b++) {
		evaluate_bin *bin = &out->bins[b];
		if (bin->count == 0)
			continue;
		bin->confidence /= (double)bin->count;
		bin->accuracy /= (double)bin->count;
		double gap = fabs(bin->confidence - bin->accuracy);
		out->ece += gap * (double)bin->count / (double)count;
		out->largest = fmax(out->largest, gap);
	}
	out->brier /= (double)count;
	out->loss /= (double)count;
	out->confidence /= (double)count;
}

/* ---- coverage ---- */

typedef struct answer {
	float confidence;
	bool right;
} answer;

static int by_falling_confidence(const void *a, const void *b)
{
	float x = ((const answer *)a)->confidence, y = ((const answer *)b)->confidence;
	return (x < y) - (x > y);
}

/* *out: sorted, base_free. */
static bm_status sort_answers(const float *probabilities, const int *labels, size_t count, int classes, answer **out,
			      bm_error *err)
{
	answer *all = base_malloc(count, sizeof *all, "the answers by confidence", err);
	*out = all;
	if (!all)
		return BM_ERR_MEMORY;
	for (size_t i = 0; i < count; i++) {
		const float *p = probabilities + i * (size_t)classes;
		int best = evaluate_best(p, classes);
		all[i] = (answer){p[best], best == labels[i]};
	}
	qsort(all, count, sizeof *all, by_falling_confidence);
	return BM_OK;
}

bm_status evaluate_coverage_curve(const float *probabilities, const int *labels, size_t count, int classes,
				  evaluate_coverage *points, bm_error *err)
{
	answer *all;
	if (count == 0)
		return base_fail(err, BM_ERR_DATA, "no image: no coverage");
	bm_status status = sort_answers(probabilities, labels, count, classes, &all, err);
	if (status != BM_OK)
		return status;
	size_t taken = 0, right = 0;
	for (int s = 0; s < EVALUATE_COVERAGE_STEPS; s++) {
		size_t wanted = (size_t)llround((double)count * (s + 1) / EVALUATE_COVERAGE_STEPS);
		for (; taken < count && (taken < wanted || taken == 0); taken++)
			right += all[taken].right;
		points[s] = (evaluate_coverage){.coverage = (double)taken / (double)count,
						.accuracy = (double)right / (double)taken,
						.threshold = (double)all[taken - 1].confidence};
	}
	base_free(all);
	return BM_OK;
}

bm_status evaluate_choose_threshold(const float *probabilities, const int *labels, size_t count, int classes,
				    double target, double *threshold, bm_error *err)
{
	answer *all;
	*threshold = 0.5;
	if (count == 0)
		return base_fail(err, BM_ERR_DATA,
				 "cannot choose a threshold to abstain: there is no validation image");
	bm_status status = sort_answers(probabilities, labels, count, classes, &all, err);
	if (status != BM_OK)
		return status;
	size_t right = 0;
	double best = -1;
	bool reached = false;
	for (size_t i = 0; i < count; i++) {
		right += all[i].right;
		/* A threshold answers all images of the same confidence or none; halfway to the next, it is not an image's own. */
		if (i + 1 < count && all[i + 1].confidence == all[i].confidence)
			continue;
		double accuracy = (double)right / (double)(i + 1);
		if (2 * (i + 1) < count)
			continue;
		if (accuracy >= target || (!reached && accuracy >= best)) {
			double next = i + 1 < count ? (double)all[i + 1].confidence : 0;
			reached = reached || accuracy >= target;
			best = accuracy;
			*threshold = fmax(0.5, ((double)all[i].confidence + next) / 2);
		}
	}
	base_free(all);
	return BM_OK;
}

void evaluate_at_threshold(const float *probabilities, const int *labels, size_t count, int classes, double threshold,
			   size_t *answered, size_t *right)
{
	*answered = *right = 0;
	for (size_t i = 0; i < count; i++) {
		const float *p = probabilities + i * (size_t)classes;
		int best = evaluate_best(p, classes);
		if ((double)p[best] < threshold)
			continue;
		++*answered;
		*right += best == labels[i];
	}
}
