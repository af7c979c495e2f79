#include "evaluate/bootstrap.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/random.h"
#include "base/threads.h"
#include "data/set.h"
#include "evaluate/calibrate.h"

enum { FIGURES = 4 }; /* accuracy, macro F1, mean AUC, ECE */

static const uint64_t bootstrap_stream = 0x626f6f74; /* "boot" */

typedef struct keyed {
	size_t key, index;
} keyed;

typedef struct ranked {
	float score;
	size_t index;
} ranked;

typedef struct sample {
	const int *labels;
	size_t count;
	int classes;
	size_t *group; /* [count]: 0 .. groups - 1 */
	size_t groups;
	int *predicted, *bin; /* [count] */
	double *confidence;   /* [count], calibrated */
	ranked *order;	      /* [classes][count], by rising score */
	uint64_t seed;
	size_t resamples;
	unsigned *times; /* [threads][groups]: how often a group was drawn */
	double *figures; /* [FIGURES][resamples] */
} sample;

static int compare_keyed(const void *a, const void *b)
{
	const keyed *x = a, *y = b;
	return x->key != y->key ? (x->key > y->key) - (x->key < y->key) : (x->index > y->index) - (x->index < y->index);
}

static int compare_ranked(const void *a, const void *b)
{
	float x = ((const ranked *)a)->score, y = ((const ranked *)b)->score;
	return (x > y) - (x < y);
}

/* Group numbers, whatever they are, become 0, 1, ... */
static bm_status number_groups(sample *s, const size_t *groups, bm_error *err)
{
	keyed *keys = base_malloc(s->count, sizeof *keys, "the groups", err);
	if (!keys)
		return BM_ERR_MEMORY;
	for (size_t i = 0; i < s->count; i++)
		keys[i] = (keyed){groups[i], i};
	qsort(keys, s->count, sizeof *keys, compare_keyed);
	for (size_t i = 0; i < s->count; i++) {
		s->groups += i == 0 || keys[i].key != keys[i - 1].key;
		s->group[keys[i].index] = s->groups - 1;
	}
	base_free(keys);
	return BM_OK;
}

static void prepare(sample *s, const float *probabilities, const float *calibrated)
{
	for (size_t i = 0; i < s->count; i++) {
		const float *q = calibrated + i * (size_t)s->classes;
		s->predicted[i] = evaluate_best(probabilities + i * (size_t)s->classes, s->classes);
		s->confidence[i] = fmin((double)q[evaluate_best(q, s->classes)], 1);
		int b = (int)ceil(s->confidence[i] * EVALUATE_BINS) - 1;
		s->bin[i] = b < 0 ? 0 : b >= EVALUATE_BINS ? EVALUATE_BINS - 1 : b;
	}
	for (int c = 0; c < s->classes; c++) {
		ranked *order = s->order + (size_t)c * s->count;
		for (size_t i = 0; i < s->count; i++)
			order[i] = (ranked){probabilities[i * (size_t)s->classes + (size_t)c], i};
		qsort(order, s->count, sizeof *order, compare_ranked);
	}
}

/* The chance that an image of the class scores higher than one that is not, ties counting half; NaN without either. */
static double auc_of(const sample *s, int c, const unsigned *times)
{
	const ranked *order = s->order + (size_t)c * s->count;
	double below = 0, positives = 0, wins = 0; /* below: others with a lower score */
	for (size_t i = 0; i < s->count;) {
		double here_positive = 0, here_other = 0;
		size_t j = i;
		for (; j < s->count && order[j].score == order[i].score; j++) {
			double weight = times[s->group[order[j].index]];
			if (s->labels[order[j].index] == c)
				here_positive += weight;
			else
				here_other += weight;
		}
		wins += here_positive * (below + here_other / 2);
		below += here_other;
		positives += here_positive;
		i = j;
	}
	return positives > 0 && below > 0 ? wins / (positives * below) : NAN;
}

static double macro_f1(int classes, const double *hits, const double *support, const double *guessed)
{
	double sum = 0;
	for (int c = 0; c < classes; c++)
		sum += support[c] + guessed[c] > 0 ? 2 * hits[c] / (support[c] + guessed[c]) : 0;
	return sum / classes;
}

static bm_status resample(void *arg, int worker, size_t index, bm_error *err)
{
	const sample *s = arg;
	unsigned *times = s->times + (size_t)worker * s->groups;
	double hits[DATA_CLASSES_MAX] = {0}, support[DATA_CLASSES_MAX] = {0}, guessed[DATA_CLASSES_MAX] = {0};
	double in_bin[EVALUATE_BINS] = {0}, gap[EVALUATE_BINS] = {0}, total = 0, right = 0, ece = 0, auc = 0;
	int defined = 0;
	(void)err;
	base_random random = base_random_make(s->seed, base_random_mix(bootstrap_stream, index));
	memset(times, 0, s->groups * sizeof *times);
	for (size_t g = 0; g < s->groups; g++)
		times[base_random_below(&random, s->groups)]++;
	for (size_t i = 0; i < s->count; i++) {
		double weight = times[s->group[i]];
		bool hit = s->predicted[i] == s->labels[i];
		total += weight;
		right += hit ? weight : 0;
		hits[s->labels[i]] += hit ? weight : 0;
		support[s->labels[i]] += weight;
		guessed[s->predicted[i]] += weight;
		in_bin[s->bin[i]] += weight;
		gap[s->bin[i]] += weight * (s->confidence[i] - hit);
	}
	for (int b = 0; b < EVALUATE_BINS; b++)
		ece += in_bin[b] > 0 ? fabs(gap[b]) / total : 0;
	for (int c = 0; c < s->classes; c++) {
		double one = auc_of(s, c, times);
		if (isnan(one))
			continue;
		auc += one;
		defined++;
	}
	s->figures[index] = right / total;
	s->figures[s->resamples + index] = macro_f1(s->classes, hits, support, guessed);
	s->figures[2 * s->resamples + index] = defined > 0 ? auc / defined : NAN;
	s->figures[3 * s->resamples + index] = ece;
	return BM_OK;
}

static int compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

/* Linear between order statistics, as NumPy's percentile. */
static double quantile(const double *sorted, size_t count, double q)
{
	double at = q * (double)(count - 1);
	size_t low = (size_t)at;
	double share = at - (double)low;
	return low + 1 < count ? sorted[low] + share * (sorted[low + 1] - sorted[low]) : sorted[low];
}

static evaluate_interval interval(double *values, size_t count)
{
	size_t known = 0;
	for (size_t i = 0; i < count; i++)
		if (!isnan(values[i]))
			values[known++] = values[i];
	if (known == 0)
		return (evaluate_interval){NAN, NAN};
	qsort(values, known, sizeof *values, compare_doubles);
	return (evaluate_interval){quantile(values, known, 0.025), quantile(values, known, 0.975)};
}

bm_status evaluate_bootstrap(const float *probabilities, const float *calibrated, const int *labels,
			     const size_t *groups, size_t count, int classes, size_t resamples, uint64_t seed,
			     int threads, evaluate_intervals *out, bm_error *err)
{
	sample s = {.labels = labels, .count = count, .classes = classes, .seed = seed, .resamples = resamples};
	size_t cells = count * (size_t)classes;
	bm_status status = BM_ERR_MEMORY;
	*out = (evaluate_intervals){.resamples = resamples};
	if (count == 0 || resamples == 0)
		return base_fail(err, BM_ERR_DATA, "cannot give confidence intervals: there is no image");
	threads = threads > 0 ? threads : 1;
	s.group = base_malloc(count, sizeof *s.group, "confidence intervals", err);
	s.predicted = base_malloc(count, sizeof *s.predicted, "confidence intervals", err);
	s.bin = base_malloc(count, sizeof *s.bin, "confidence intervals", err);
	s.confidence = base_malloc(count, sizeof *s.confidence, "confidence intervals", err);
	s.order = base_malloc(cells, sizeof *s.order, "confidence intervals", err);
	s.figures = base_malloc(resamples, FIGURES * sizeof *s.figures, "confidence intervals", err);
	if (!s.group || !s.predicted || !s.bin || !s.confidence || !s.order || !s.figures)
		goto done;
	status = number_groups(&s, groups, err);
	if (status != BM_OK)
		goto done;
	s.times = base_malloc(s.groups, (size_t)threads * sizeof *s.times, "confidence intervals", err);
	if (!s.times) {
		status = BM_ERR_MEMORY;
		goto done;
	}
	prepare(&s, probabilities, calibrated);
	status = base_parallel(threads, resamples, resample, &s, err);
	if (status != BM_OK)
		goto done;
	out->groups = s.groups;
	out->accuracy = interval(s.figures, resamples);
	out->macro_f1 = interval(s.figures + resamples, resamples);
	out->mean_auc = interval(s.figures + 2 * resamples, resamples);
	out->ece = interval(s.figures + 3 * resamples, resamples);
done:
	base_free(s.group);
	base_free(s.predicted);
	base_free(s.bin);
	base_free(s.confidence);
	base_free(s.order);
	base_free(s.figures);
	base_free(s.times);
	return status;
}
