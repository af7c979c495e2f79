#include "evaluate/metrics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

/* One image's score for a class, and whether it is of that class. */
typedef struct scored {
	float score;
	bool positive;
} scored;

static int by_falling_score(const void *a, const void *b)
{
	float x = ((const scored *)a)->score, y = ((const scored *)b)->score;
	return (x < y) - (x > y);
}

static double ratio(double part, double whole)
{
	return whole > 0 ? part / whole : 0;
}

static bm_status check(const float *probabilities, const int *labels, size_t count, int classes, bm_error *err)
{
	if (classes < 2 || classes > DATA_CLASSES_MAX)
		return base_fail(err, BM_ERR_USAGE, "cannot evaluate %d classes: 2 to %d are possible", classes,
				 DATA_CLASSES_MAX);
	if (count == 0)
		return base_fail(err, BM_ERR_DATA,
				 "cannot evaluate: there is no image to test on; use a larger data set "
				 "or another split");
	for (size_t i = 0; i < count; i++)
		if (labels[i] < 0 || labels[i] >= classes)
			return base_fail(err, BM_ERR_DATA,
					 "cannot evaluate: image %zu has the label %d, but there are %d "
					 "classes; preprocess the data again",
					 i, labels[i], classes);
	for (size_t i = 0; i < count * (size_t)classes; i++)
		if (!(probabilities[i] >= 0 && probabilities[i] <= 1.0001f))
			return base_fail(err, BM_ERR_NUMERIC,
					 "cannot evaluate: the model gives image %zu the probability %g; "
					 "train it again, with a smaller learning rate",
					 i / (size_t)classes, (double)probabilities[i]);
	return BM_OK;
}

/* Accuracy, loss and the confusion matrix. */
static void count_predictions(const float *probabilities, const int *labels, evaluate_metrics *m)
{
	size_t right = 0;
	double loss = 0;
	for (size_t i = 0; i < m->count; i++) {
		const float *p = probabilities + i * (size_t)m->classes; /* [classes] */
		int predicted = 0;
		for (int c = 1; c < m->classes; c++)
			if (p[c] > p[predicted])
				predicted = c;
		m->confusion[labels[i]][predicted]++;
		right += predicted == labels[i];
		loss -= log(fmin(fmax((double)p[labels[i]], 1e-7), 1 - 1e-7));
	}
	m->accuracy = (double)right / (double)m->count;
	m->loss = loss / (double)m->count;
}

/* Precision, recall and F1 of each class, and their means. */
static void rate_classes(evaluate_metrics *m)
{
	for (int c = 0; c < m->classes; c++) {
		evaluate_class *class = &m->per_class[c];
		size_t predicted = 0;
		for (int other = 0; other < m->classes; other++) {
			class->support += m->confusion[c][other];
			predicted += m->confusion[other][c];
		}
		double hits = (double)m->confusion[c][c], support = (double)class->support;
		class->precision = ratio(hits, (double)predicted);
		class->recall = ratio(hits, support);
		class->f1 = ratio(2 * hits, support + (double)predicted);

		m->macro_precision += class->precision / m->classes;
		m->macro_recall += class->recall / m->classes;
		m->macro_f1 += class->f1 / m->classes;
		double weight = support / (double)m->count;
		m->weighted_precision += class->precision * weight;
		m->weighted_recall += class->recall * weight;
		m->weighted_f1 += class->f1 * weight;
	}
}

static void interpret(evaluate_metrics *m)
{
	size_t most = 0;
	m->confused_a = m->confused_b = m->best_class = -1;
	for (int a = 0; a < m->classes; a++)
		for (int b = a + 1; b < m->classes; b++) {
			size_t forth = m->confusion[a][b], back = m->confusion[b][a];
			if (forth + back <= most)
				continue;
			most = forth + back;
			m->confused_a = forth >= back ? a : b;
			m->confused_b = forth >= back ? b : a;
		}
	double best = 0;
	for (int c = 0; c < m->classes; c++)
		if (m->per_class[c].f1 > best) {
			best = m->per_class[c].f1;
			m->best_class = c;
		}
}

void evaluate_wilson(double share, double n, double *low, double *high)
{
	const double z = 1.959963984540054;
	double centre = share + z * z / (2 * n);
	double spread = z * sqrt(share * (1 - share) / n + z * z / (4 * n * n));
	double scale = 1 + z * z / n;
	*low = fmax(0, (centre - spread) / scale);
	*high = fmin(1, (centre + spread) / scale);
}

/* The curve of one class against the rest and the area under it; items [count] is scratch, sorted here. */
static bm_status roc(scored *items, size_t count, evaluate_class *class, bm_error *err)
{
	size_t positives = class->support, negatives = count - positives;
	class->auc = NAN;
	if (positives == 0 || negatives == 0)
		return BM_OK;
	qsort(items, count, sizeof *items, by_falling_score);

	/* One point for each distinct score, and (0,0) before them. */
	class->roc_fpr = base_malloc(count + 1, sizeof(double), "a ROC curve", err);
	class->roc_tpr = base_malloc(count + 1, sizeof(double), "a ROC curve", err);
	class->roc_threshold = base_malloc(count + 1, sizeof(double), "a ROC curve", err);
	if (!class->roc_fpr || !class->roc_tpr || !class->roc_threshold)
		return BM_ERR_MEMORY;
	double *fp = class->roc_fpr, *tp = class->roc_tpr, *threshold = class->roc_threshold; /* [count + 1] */
	size_t points = 1, hits = 0;
	fp[0] = tp[0] = 0;
	threshold[0] = INFINITY;
	for (size_t i = 0; i < count; i++) {
		hits += items[i].positive;
		if (i + 1 < count && items[i].score == items[i + 1].score)
			continue;
		tp[points] = (double)hits;
		fp[points] = (double)(i + 1 - hits);
		threshold[points++] = (double)items[i].score;
	}

	/* Points 1 to the last stay when they are an end or the step changes there. The counts are overwritten only behind
	 * the point looked at, so the two neighbours are kept apart. */
	size_t kept = 1;
	double last_fp = 0, last_tp = 0;
	for (size_t i = 1; i < points; i++) {
		double here_fp = fp[i], here_tp = tp[i];
		bool end = i == 1 || i + 1 == points;
		if (end || fp[i + 1] - 2 * here_fp + last_fp != 0 || tp[i + 1] - 2 * here_tp + last_tp != 0) {
			fp[kept] = here_fp;
			tp[kept] = here_tp;
			threshold[kept++] = threshold[i];
		}
		last_fp = here_fp;
		last_tp = here_tp;
	}

	double area = 0;
	for (size_t i = 0; i < kept; i++) {
		fp[i] /= (double)negatives;
		tp[i] /= (double)positives;
		if (i > 0)
			area += (fp[i] - fp[i - 1]) * (tp[i] + tp[i - 1]) / 2;
	}
	class->roc_count = kept;
	class->auc = area;
	return BM_OK;
}

static bm_status roc_all(const float *probabilities, const int *labels, evaluate_metrics *m, bm_error *err)
{
	bm_status status = BM_OK;
	int defined = 0;
	double sum = 0;
	scored *items = base_malloc(m->count, sizeof *items, "the scores of a class", err); /* [count] */
	if (!items)
		return BM_ERR_MEMORY;
	for (int c = 0; c < m->classes && status == BM_OK; c++) {
		for (size_t i = 0; i < m->count; i++)
			items[i] = (scored){probabilities[i * (size_t)m->classes + (size_t)c], labels[i] == c};
		status = roc(items, m->count, &m->per_class[c], err);
		if (status == BM_OK && !isnan(m->per_class[c].auc)) {
			sum += m->per_class[c].auc;
			defined++;
		}
	}
	m->mean_auc = defined > 0 ? sum / defined : NAN;
	base_free(items);
	return status;
}

bm_status evaluate_compute(const float *probabilities, const int *labels, size_t count, int classes,
			   evaluate_metrics *out, bm_error *err)
{
	*out = (evaluate_metrics){0};
	bm_status status = check(probabilities, labels, count, classes, err);
	if (status != BM_OK)
		return status;
	out->count = count;
	out->classes = classes;
	count_predictions(probabilities, labels, out);
	rate_classes(out);
	interpret(out);
	evaluate_wilson(out->accuracy, (double)count, &out->accuracy_low, &out->accuracy_high);
	status = roc_all(probabilities, labels, out, err);
	if (status != BM_OK)
		evaluate_metrics_free(out);
	return status;
}

void evaluate_metrics_free(evaluate_metrics *metrics)
{
	for (int c = 0; c < DATA_CLASSES_MAX; c++) {
		base_free(metrics->per_class[c].roc_fpr);
		base_free(metrics->per_class[c].roc_tpr);
		base_free(metrics->per_class[c].roc_threshold);
	}
	*metrics = (evaluate_metrics){0};
}
