/* Several runs side by side: comparison.html. */
#ifndef REPORT_COMPARE_H
#define REPORT_COMPARE_H

#include "report/chart.h"

typedef struct report_row {
	const char *name;
	const char *const *values; /* [runs] */
	int best;		   /* the run with the best value; -1: none, or the row has none */
} report_row;

typedef struct report_compared {
	const char *name; /* its folder */
	const evaluate_metrics *metrics;
	const train_history *history;
	const char *const *class_names;
} report_compared;

typedef struct report_comparison {
	const report_compared *runs;
	size_t run_count;
	const report_row *results; /* what came out */
	size_t result_count;
	const report_row *settings; /* those that differ */
	size_t setting_count;
	const char *const *notes; /* what the figures say of each other: a sentence each */
	size_t note_count;
} report_comparison;

bm_status report_write_comparison(const report_comparison *c, const char *path, bm_error *err);

#endif
