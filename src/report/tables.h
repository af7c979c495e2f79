/* The guide's text blocks with true numbers. Each appends lines to `text`; nothing is indented (the program does that). */
#ifndef REPORT_TABLES_H
#define REPORT_TABLES_H

#include "base/text.h"
#include "evaluate/metrics.h"
#include "train/train.h"

void report_heading(base_text *text, const char *title); /* ==== / title / ==== (60 wide) */
void report_section(base_text *text, const char *title); /* ════ / title / ════ (58 wide) */
/* "├── name: value" lines, the last with "└──". */
typedef struct report_line {
	const char *name; /* NULL: value alone */
	const char *value;
} report_line;
void report_tree(base_text *text, const report_line *lines, size_t count);

/* A box-drawing table; right[i] aligns column i right. cells[row * columns + column]. */
void report_table(base_text *text, const char *const *header, const char *const *cells, size_t rows, size_t columns,
		  const bool *right);

/* Each with its title line ("Class Distribution:", ...), as in the guide, and no blank line at its end. */
void report_class_table(base_text *text, const char *const *names, const size_t *counts, int classes);
void report_classification(base_text *text, const evaluate_metrics *m,
			   const char *const *names); /* scikit-learn's layout */
void report_confusion(base_text *text, const evaluate_metrics *m,
		      const char *const *names); /* matrix and computed interpretation */
void report_auc(base_text *text, const evaluate_metrics *m, const char *const *names);
/* "TEST SET RESULTS": accuracy with its 95 % interval, loss, macro F1. */
void report_test_results(base_text *text, const evaluate_metrics *m);
/* Calibration, intervals, abstaining, refusals; nothing when m has no reliability. */
void report_reliability(base_text *text, const evaluate_metrics *m);
/* The boxed FINAL MODEL PERFORMANCE of the guide, from the run's own figures. Training figures are those of the best epoch, whose
 * weights were evaluated. */
void report_final(base_text *text, const train_history *h, const evaluate_metrics *m, const char *const *names);
/* The same with the lines of its last part, "Performance Benchmarks" ("Preprocessing Speedup", "Total Training Time", ...). */
void report_final_with(base_text *text, const train_history *h, const evaluate_metrics *m, const char *const *names,
		       const report_line *benchmarks, size_t count);
/* "No Tumor" for notumor, else the name with a capital: for people. Into buffer (64 bytes). */
const char *report_class_title(const char *name, char *buffer);
/* Three letters, as in the guide's matrix: "Gli", "NoT". Into buffer (8 bytes). */
const char *report_class_short(const char *name, char *buffer);

#endif
