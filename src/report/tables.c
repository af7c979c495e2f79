#include "report/tables.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { HEADING_WIDTH = 60, SECTION_WIDTH = 58, RULE_WIDTH = 59, BOX_WIDTH = 62, TITLE_SIZE = 64, SHORT_SIZE = 8 };

static const char branch[] = "├── ", last_branch[] = "└── ";

static void repeat(base_text *text, const char *what, int times)
{
	for (int i = 0; i < times; i++)
		base_text_append(text, what, strlen(what));
}

static void rule(base_text *text, const char *what, int times)
{
	repeat(text, what, times);
	base_text_add(text, "\n");
}

/* The text in a column: printf's widths count bytes, these count what a terminal shows. */
static void pad(base_text *text, const char *what, int width, bool right)
{
	int space = width - base_text_columns(what);
	if (right)
		repeat(text, " ", space);
	base_text_append(text, what, strlen(what));
	if (!right)
		repeat(text, " ", space);
}

static int largest(int a, int b)
{
	return a > b ? a : b;
}

void report_heading(base_text *text, const char *title)
{
	rule(text, "=", HEADING_WIDTH);
	base_text_add(text, "%s\n", title);
	rule(text, "=", HEADING_WIDTH);
}

void report_section(base_text *text, const char *title)
{
	rule(text, "═", SECTION_WIDTH);
	base_text_add(text, "%s\n", title);
	rule(text, "═", SECTION_WIDTH);
}

void report_tree(base_text *text, const report_line *lines, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const char *name = lines[i].name, *value = lines[i].value;
		base_text_add(text, "%s%s%s%s\n", i + 1 < count ? branch : last_branch, name ? name : "",
			      name && value ? ": " : "", value ? value : "");
	}
}

/* ---- class names ---- */

/* Bytes of the UTF-8 character at p; a stray byte counts as one. */
static size_t character_size(const char *p)
{
	unsigned char c = (unsigned char)*p;
	size_t size = c >= 0xF0 ? 4 : c >= 0xE0 ? 3 : c >= 0xC0 ? 2 : 1;
	for (size_t i = 1; i < size; i++)
		if (((unsigned char)p[i] & 0xC0) != 0x80)
			return i;
	return size;
}

const char *report_class_title(const char *name, char *buffer)
{
	static const char *const none[] = {"notumor", "no_tumor", "no-tumor", "no tumor"};
	for (size_t i = 0; i < sizeof none / sizeof *none; i++)
		if (strcasecmp(name, none[i]) == 0)
			return strcpy(buffer, "No Tumor");
	size_t length = 0;
	for (const char *p = name; *p;) {
		size_t size = character_size(p);
		if (length + size >= TITLE_SIZE)
			break;
		memcpy(buffer + length, p, size);
		if (*p == '_')
			buffer[length] = ' ';
		length += size;
		p += size;
	}
	buffer[length] = '\0';
	buffer[0] = (char)toupper((unsigned char)buffer[0]);
	return buffer;
}

const char *report_class_short(const char *name, char *buffer)
{
	char title[TITLE_SIZE];
	size_t length = 0;
	int letters = 0;
	report_class_title(name, title);
	for (const char *p = title; *p && letters < 3;) {
		size_t size = character_size(p);
		if (length + size >= SHORT_SIZE)
			break;
		if (*p != ' ') {
			memcpy(buffer + length, p, size);
			length += size;
			letters++;
		}
		p += size;
	}
	buffer[length] = '\0';
	return buffer;
}

/* Short names that differ: where two classes share theirs, a letter and the class number. */
static void short_names(const char *const *names, int classes, char shorts[][SHORT_SIZE])
{
	bool shared[DATA_CLASSES_MAX] = {false};
	for (int c = 0; c < classes; c++)
		report_class_short(names[c], shorts[c]);
	for (int a = 0; a < classes; a++)
		for (int b = 0; b < classes; b++)
			if (a != b && strcmp(shorts[a], shorts[b]) == 0)
				shared[a] = true;
	for (int c = 0; c < classes; c++)
		if (shared[c]) {
			size_t first = *shorts[c] ? character_size(shorts[c]) : 0;
			snprintf(shorts[c] + first, SHORT_SIZE - first, "%u",
				 (unsigned)c % 100); /* DATA_CLASSES_MAX is less */
		}
}

/* ---- tables ---- */

static void table_rule(base_text *text, const int *widths, size_t columns, const char *left, const char *middle,
		       const char *right)
{
	for (size_t c = 0; c < columns; c++) {
		base_text_add(text, "%s", c == 0 ? left : middle);
		repeat(text, "─", widths[c] + 2);
	}
	base_text_add(text, "%s\n", right);
}

static void table_row(base_text *text, const char *const *cells, const int *widths, size_t columns, const bool *right)
{
	for (size_t c = 0; c < columns; c++) {
		base_text_add(text, "│ ");
		pad(text, cells[c], widths[c], right && right[c]);
		base_text_add(text, " ");
	}
	base_text_add(text, "│\n");
}

void report_table(base_text *text, const char *const *header, const char *const *cells, size_t rows, size_t columns,
		  const bool *right)
{
	int widths[64] = {0};
	if (columns == 0 || columns > sizeof widths / sizeof *widths) {
		text->failed = true;
		return;
	}
	for (size_t c = 0; c < columns; c++) {
		widths[c] = base_text_columns(header[c]);
		for (size_t r = 0; r < rows; r++)
			widths[c] = largest(widths[c], base_text_columns(cells[r * columns + c]));
	}
	table_rule(text, widths, columns, "┌", "┬", "┐");
	table_row(text, header, widths, columns, NULL);
	table_rule(text, widths, columns, "├", "┼", "┤");
	for (size_t r = 0; r < rows; r++)
		table_row(text, cells + r * columns, widths, columns, right);
	table_rule(text, widths, columns, "└", "┴", "┘");
}

/* A number in the middle of its column, under the others' ends. */
static void centre(base_text *text, const char *what, int number_width, int width)
{
	int before = (width - number_width) / 2;
	repeat(text, " ", before);
	pad(text, what, number_width, true);
	repeat(text, " ", width - number_width - before);
}

void report_class_table(base_text *text, const char *const *names, const size_t *counts, int classes)
{
	int name_width = 11, count_width = 1; /* 11: as in the guide */
	size_t total = 0;
	char number[32];
	for (int c = 0; c < classes; c++) {
		name_width = largest(name_width, base_text_columns(names[c]));
		count_width = largest(count_width, snprintf(number, sizeof number, "%zu", counts[c]));
		total += counts[c];
	}
	int widths[3] = {name_width, largest(6, count_width), 7};
	base_text_add(text, "Class Distribution:\n");
	table_rule(text, widths, 3, "┌", "┬", "┐");
	table_row(text, (const char *const[]){"Class", "Count", "Percent"}, widths, 3, NULL);
	table_rule(text, widths, 3, "├", "┼", "┤");
	for (int c = 0; c < classes; c++) {
		base_text_add(text, "│ ");
		pad(text, names[c], widths[0], false);
		base_text_add(text, " │ ");
		snprintf(number, sizeof number, "%zu", counts[c]);
		centre(text, number, count_width, widths[1]);
		base_text_add(text, " │ ");
		snprintf(number, sizeof number, "%.1f%%", total > 0 ? 100.0 * (double)counts[c] / (double)total : 0);
		centre(text, number, 5, widths[2]);
		base_text_add(text, " │\n");
	}
	table_rule(text, widths, 3, "└", "┴", "┘");
	base_text_add(text, "Total: %zu images\n", total);
}

/* ---- phase 9 ---- */

void report_test_results(base_text *text, const evaluate_metrics *m)
{
	char accuracy[96], loss[32], f1[32];
	snprintf(accuracy, sizeof accuracy, "%.4f (%.2f%%; 95%% interval %.1f%% to %.1f%%)", m->accuracy,
		 100 * m->accuracy, 100 * m->accuracy_low, 100 * m->accuracy_high);
	snprintf(loss, sizeof loss, "%.4f", m->loss);
	snprintf(f1, sizeof f1, "%.4f", m->macro_f1);
	report_section(text, "TEST SET RESULTS");
	base_text_add(text, "\nOverall Metrics:\n");
	report_tree(text,
		    (const report_line[]){{"Test Accuracy", accuracy}, {"Test Loss", loss}, {"Macro F1-Score", f1}}, 3);
}

static void classification_row(base_text *text, int width, const char *name, double precision, double recall, double f1,
			       size_t support)
{
	pad(text, name, width, true);
	base_text_add(text, "  %9.2f %9.2f %9.2f %9zu\n", precision, recall, f1, support);
}

void report_classification(base_text *text, const evaluate_metrics *m, const char *const *names)
{
	int width = (int)strlen("weighted avg");
	for (int c = 0; c < m->classes; c++)
		width = largest(width, base_text_columns(names[c]));
	base_text_add(text, "Classification Report:\n");
	rule(text, "═", RULE_WIDTH);
	pad(text, "", width, true);
	base_text_add(text, "  %9s %9s %9s %9s\n\n", "precision", "recall", "f1-score", "support");
	for (int c = 0; c < m->classes; c++) {
		const evaluate_class *class = &m->per_class[c];
		classification_row(text, width, names[c], class->precision, class->recall, class->f1, class->support);
	}
	base_text_add(text, "\n");
	pad(text, "accuracy", width, true);
	base_text_add(text, "  %9s %9s %9.2f %9zu\n", "", "", m->accuracy, m->count);
	classification_row(text, width, "macro avg", m->macro_precision, m->macro_recall, m->macro_f1, m->count);
	classification_row(text, width, "weighted avg", m->weighted_precision, m->weighted_recall, m->weighted_f1,
			   m->count);
	rule(text, "═", RULE_WIDTH);
}

static void interpretation(base_text *text, const evaluate_metrics *m, const char *const *names)
{
	char right[80], wrong[64], most[256] = "none (every image was classified correctly)",
				   best[128] = "none (nothing was recognised)";
	char a[TITLE_SIZE], b[TITLE_SIZE];
	size_t hits = 0;
	for (int c = 0; c < m->classes; c++)
		hits += m->confusion[c][c];
	size_t errors = m->count - hits;
	snprintf(right, sizeof right, "Correct predictions (%zu of %zu, should be darkest)", hits, m->count);
	snprintf(wrong, sizeof wrong, "Misclassifications (%zu of %zu)", errors, m->count);
	if (m->confused_a >= 0)
		snprintf(most, sizeof most, "%s ↔ %s (%zu of %zu errors)", report_class_title(names[m->confused_a], a),
			 report_class_title(names[m->confused_b], b),
			 m->confusion[m->confused_a][m->confused_b] + m->confusion[m->confused_b][m->confused_a],
			 errors);
	if (m->best_class >= 0)
		snprintf(best, sizeof best, "%s (F1 %.2f)", report_class_title(names[m->best_class], a),
			 m->per_class[m->best_class].f1);
	base_text_add(text, "Interpretation:\n");
	report_tree(text,
		    (const report_line[]){{"Diagonal", right},
					  {"Off-diagonal", wrong},
					  {"Most confusion", most},
					  {"Best distinguished", best}},
		    4);
}

void report_confusion(base_text *text, const evaluate_metrics *m, const char *const *names)
{
	char shorts[DATA_CLASSES_MAX][SHORT_SIZE], number[32];
	int width = 3, name_width = 3;
	short_names(names, m->classes, shorts);
	for (int a = 0; a < m->classes; a++) {
		name_width = largest(name_width, base_text_columns(shorts[a]));
		for (int b = 0; b < m->classes; b++)
			width = largest(width, snprintf(number, sizeof number, "%zu", m->confusion[a][b]));
	}
	width = largest(width, name_width);

	const int left = (int)strlen("Actual  ") + name_width + (int)strlen(" [ ");
	int centred = (m->classes * (width + 2) - 2 - (int)strlen("Predicted")) / 2;
	base_text_add(text, "Confusion Matrix:\n");
	rule(text, "═", RULE_WIDTH);
	repeat(text, " ", left + (centred < 3 ? largest(centred, 0) : 3));
	base_text_add(text, "Predicted\n");
	repeat(text, " ", left - 2);
	for (int c = 0; c < m->classes; c++) {
		base_text_add(text, "  ");
		pad(text, shorts[c], width, true);
	}
	base_text_add(text, "\n");
	for (int a = 0; a < m->classes; a++) {
		base_text_add(text, "%s", a == 0 ? "Actual  " : "        ");
		pad(text, shorts[a], name_width, false);
		base_text_add(text, " [");
		for (int b = 0; b < m->classes; b++)
			base_text_add(text, "%s%*zu", b == 0 ? " " : "  ", width, m->confusion[a][b]);
		base_text_add(text, " ]\n");
	}
	rule(text, "═", RULE_WIDTH);
	base_text_add(text, "\n");
	interpretation(text, m, names);
}

static int title_width(const evaluate_metrics *m, const char *const *names)
{
	char title[TITLE_SIZE];
	int width = 0;
	for (int c = 0; c < m->classes; c++)
		width = largest(width, base_text_columns(report_class_title(names[c], title)));
	return width;
}

/* "Glioma:    ", as wide as the longest. */
static void add_title(base_text *text, const char *name, int width)
{
	char title[TITLE_SIZE];
	report_class_title(name, title);
	base_text_add(text, "%s:", title);
	repeat(text, " ", width - base_text_columns(title));
}

void report_auc(base_text *text, const evaluate_metrics *m, const char *const *names)
{
	int width = title_width(m, names);
	base_text_add(text, "ROC-AUC Scores:\n");
	for (int c = 0; c < m->classes; c++) {
		base_text_add(text, "%s", c + 1 < m->classes ? branch : last_branch);
		add_title(text, names[c], width);
		if (isnan(m->per_class[c].auc))
			base_text_add(text, " AUC = not defined (the test set has %s of this class)\n",
				      m->per_class[c].support == 0 ? "no image" : "only images");
		else
			base_text_add(text, " AUC = %.4f\n", m->per_class[c].auc);
	}
	if (isnan(m->mean_auc))
		base_text_add(text, "\nMean AUC: not defined\n");
	else
		base_text_add(text, "\nMean AUC: %.4f\n", m->mean_auc);
}

/* ---- the final box ---- */

static void final_training(base_text *text, const train_history *h)
{
	const train_epoch *best = NULL;
	for (size_t i = 0; i < h->count; i++)
		if (h->epochs[i].stage == h->best_stage && h->epochs[i].epoch == h->best_epoch)
			best = &h->epochs[i];
	if (!best)
		return;
	base_text_add(text, "Training Metrics (%zu epochs; kept: stage %d, epoch %d):\n", h->count, best->stage,
		      best->epoch);
	base_text_add(text, "%sTraining Accuracy:    %.2f%%\n", branch, 100 * best->accuracy);
	base_text_add(text, "%sTraining Loss:        %.4f\n", branch, best->loss);
	base_text_add(text, "%sValidation Accuracy:  %.2f%%\n", branch, 100 * best->val_accuracy);
	base_text_add(text, "%sValidation Loss:      %.4f\n\n", last_branch, best->val_loss);
}

static void final_test(base_text *text, const evaluate_metrics *m, const char *const *names)
{
	base_text_add(text, "Test Set Performance (%zu images):\n", m->count);
	base_text_add(text, "%sTest Accuracy:        %.2f%% (95%%: %.1f to %.1f)\n", branch, 100 * m->accuracy,
		      100 * m->accuracy_low, 100 * m->accuracy_high);
	base_text_add(text, "%sTest Loss:            %.4f\n", branch, m->loss);
	base_text_add(text, "%sMacro F1-Score:       %.4f\n\n", last_branch, m->macro_f1);

	int width = title_width(m, names);
	double low = INFINITY, high = -INFINITY;
	base_text_add(text, "Per-Class Performance:\n");
	for (int c = 0; c < m->classes; c++) {
		const evaluate_class *class = &m->per_class[c];
		base_text_add(text, "%s", c + 1 < m->classes ? branch : last_branch);
		add_title(text, names[c], width);
		base_text_add(text, "  Precision %.2f, Recall %.2f, F1 %.2f\n", class->precision, class->recall,
			      class->f1);
		low = fmin(low, class->auc);
		high = fmax(high, class->auc);
	}
	base_text_add(text, "\nROC-AUC Scores:\n");
	if (isnan(m->mean_auc))
		base_text_add(text, "%sAll classes: not defined\n", last_branch);
	else
		base_text_add(text, "%sAll classes: %.4f to %.4f, mean %.4f\n", last_branch, low, high, m->mean_auc);
}

/* Draws the box around the lines of `body`, as wide as the guide's or as the longest line needs. */
static void box(base_text *text, const char *title, base_text *body)
{
	int width = BOX_WIDTH;
	char *end, *from = body->data;
	for (char *line = from; line && (end = strchr(line, '\n')); line = end + 1) {
		*end = '\0';
		width = largest(width, base_text_columns(line) + 4);
		*end = '\n';
	}
	int before = (width - base_text_columns(title) + 1) / 2;
	base_text_add(text, "╔");
	repeat(text, "═", width);
	base_text_add(text, "╗\n║");
	repeat(text, " ", before);
	pad(text, title, width - before, false);
	base_text_add(text, "║\n╠");
	repeat(text, "═", width);
	base_text_add(text, "╣\n");
	for (char *line = from; line && (end = strchr(line, '\n')); line = end + 1) {
		*end = '\0';
		base_text_add(text, "║  ");
		pad(text, line, width - 2, false);
		base_text_add(text, "║\n");
	}
	base_text_add(text, "╚");
	repeat(text, "═", width);
	base_text_add(text, "╝\n");
}

void report_final_with(base_text *text, const train_history *h, const evaluate_metrics *m, const char *const *names,
		       const report_line *benchmarks, size_t count)
{
	base_text body = {0};
	base_text_add(&body, "\n");
	if (h)
		final_training(&body, h);
	final_test(&body, m, names);
	if (count > 0) {
		base_text_add(&body, "\nPerformance Benchmarks:\n");
		report_tree(&body, benchmarks, count);
	}
	base_text_add(&body, "\n");
	box(text, "FINAL MODEL PERFORMANCE", &body);
	text->failed = text->failed || body.failed;
	base_text_free(&body);
}

void report_final(base_text *text, const train_history *h, const evaluate_metrics *m, const char *const *names)
{
	char time[32];
	bool trained = h && h->seconds > 0;
	report_line line = {"Total Training Time", trained ? base_format_seconds(h->seconds, time) : NULL};
	report_final_with(text, h, m, names, &line, trained ? 1 : 0);
}
