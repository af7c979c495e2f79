/* Phase 9: probabilities and labels -> figures, as scikit-learn defines them. */
#ifndef EVALUATE_METRICS_H
#define EVALUATE_METRICS_H

#include <stddef.h>

#include "base/error.h"
#include "data/set.h"

typedef struct evaluate_class {
	double precision, recall, f1; /* 0 where undefined (0/0), as scikit-learn's zero_division=0 */
	size_t support;
	double auc;                   /* one against the rest; NaN when the class or the rest is empty */
	size_t roc_count;
	double *roc_fpr, *roc_tpr, *roc_threshold; /* [roc_count], from (0,0) to (1,1); collinear points left out */
} evaluate_class;

typedef struct evaluate_metrics {
	size_t count;
	int classes;
	double accuracy, loss;                 /* loss: mean cross-entropy */
	double macro_precision, macro_recall, macro_f1;
	double weighted_precision, weighted_recall, weighted_f1;
	double mean_auc;                       /* over the classes that have one */
	size_t confusion[DATA_CLASSES_MAX][DATA_CLASSES_MAX]; /* [actual][predicted] */
	evaluate_class per_class[DATA_CLASSES_MAX];
	int confused_a, confused_b;            /* the pair with the most confusions, both ways; -1 when nothing is confused */
	int best_class;                        /* the one best told apart: highest f1 */
	double accuracy_low, accuracy_high;    /* Wilson 95 % interval */
} evaluate_metrics;

/* probabilities [count][classes], labels [count]. BM_ERR_DATA for count 0. Free with evaluate_metrics_free. */
bm_status evaluate_compute(const float *probabilities, const int *labels, size_t count, int classes, evaluate_metrics *out, bm_error *err);
void evaluate_metrics_free(evaluate_metrics *metrics);
/* evaluation_metrics.json, with class names; written whole or not at all. */
bm_status evaluate_metrics_write(const evaluate_metrics *metrics, const char *const *class_names, const char *path, bm_error *err);
bm_status evaluate_metrics_read(const char *path, evaluate_metrics *out, bm_error *err);

#endif
