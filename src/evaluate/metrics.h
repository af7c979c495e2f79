/* Phase 9: probabilities and labels -> figures, as scikit-learn defines them. */
#ifndef EVALUATE_METRICS_H
#define EVALUATE_METRICS_H

#include <stddef.h>

#include "base/error.h"
#include "data/set.h"
#include "evaluate/trust.h"

typedef struct evaluate_class {
	double precision, recall, f1; /* 0 where undefined (0/0), as scikit-learn's zero_division=0 */
	size_t support;
	double auc;				   /* one against the rest; NaN when the class or the rest is empty */
	size_t roc_count;			   /* 0 when auc is NaN */
	double *roc_fpr, *roc_tpr, *roc_threshold; /* [roc_count], from (0,0) to (1,1), the first threshold infinite;
						    * collinear points left out as by roc_curve(drop_intermediate=True) */
} evaluate_class;

typedef struct evaluate_metrics {
	size_t count;
	int classes;
	double accuracy, loss; /* loss: mean cross-entropy, p clipped to [1e-7, 1 - 1e-7] as in Keras */
	double macro_precision, macro_recall, macro_f1;
	double weighted_precision, weighted_recall, weighted_f1;
	double mean_auc;				      /* over the classes that have one; NaN when none has */
	size_t confusion[DATA_CLASSES_MAX][DATA_CLASSES_MAX]; /* [actual][predicted] */
	evaluate_class per_class[DATA_CLASSES_MAX];
	int confused_a, confused_b; /* the pair with the most confusions, both ways, a the one that is more often
						* taken for the other; -1 when nothing is confused */
	int best_class;		    /* the one best told apart: highest f1; -1 when all are 0 */
	double accuracy_low, accuracy_high; /* Wilson 95 % interval */
	bool have_reliability;
	evaluate_reliability reliability;
} evaluate_metrics;

/* Wilson's score interval (1927) for a share of n, 95 %. */
void evaluate_wilson(double share, double n, double *low, double *high);

/* probabilities [count][classes], labels [count] in [0, classes), 2 <= classes <= DATA_CLASSES_MAX. The first largest
 * probability is the prediction. BM_ERR_DATA for count 0 and labels out of range, BM_ERR_NUMERIC for probabilities outside
 * [0,1]. Free with evaluate_metrics_free; on failure *out is zeroed. */
bm_status evaluate_compute(const float *probabilities, const int *labels, size_t count, int classes,
			   evaluate_metrics *out, bm_error *err);
/* Safe on a zeroed one. */
void evaluate_metrics_free(evaluate_metrics *metrics);
/* evaluation_metrics.json, with class names; written whole or not at all. Numbers have 17 digits: they come back the same. */
bm_status evaluate_metrics_write(const evaluate_metrics *metrics, const char *const *class_names, const char *path,
				 bm_error *err);
/* BM_ERR_FORMAT names what is missing. Free with evaluate_metrics_free; on failure *out is zeroed. */
bm_status evaluate_metrics_read(const char *path, evaluate_metrics *out, bm_error *err);

#endif
