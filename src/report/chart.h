/* Pictures that stand in the page as SVG: they take the page's colours, light and dark, and show their values under the pointer and the arrow
 * keys (page.js). Each appends its markup; the gnuplot pictures of figures.h are the same figures as files. `names` are the class folders' names. */
#ifndef REPORT_CHART_H
#define REPORT_CHART_H

#include "base/text.h"
#include "evaluate/metrics.h"
#include "train/train.h"

/* Counts and shares of the actual class; each cell carries data-cell="actual,predicted". */
void report_chart_confusion(base_text *html, const evaluate_metrics *m, const char *const *names);
/* Each class against the rest; a point tells its threshold. Nothing when no class has a curve. */
void report_chart_roc(base_text *html, const evaluate_metrics *m, const char *const *names);
/* Loss | accuracy; stages and the kept epoch marked. Nothing without an epoch. */
void report_chart_history(base_text *html, const train_history *history);
/* Bars with counts and shares. */
void report_chart_classes(base_text *html, const char *const *names, const size_t *counts, int classes);

/* Validation accuracy of several runs over their epochs. */
typedef struct report_curve {
	const char *name;
	const train_history *history;
} report_curve;
void report_chart_curves(base_text *html, const report_curve *curves, size_t count);

#endif
