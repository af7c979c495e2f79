#include "report/chart.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "report/markup.h"
#include "report/tables.h"

/* A plot's frame in the SVG's units, and what its edges stand for. */
typedef struct plot {
	double left, top, width, height;
	double low_x, high_x, low_y, high_y;
} plot;

static double at_x(const plot *p, double x)
{
	return p->left + p->width * (x - p->low_x) / (p->high_x - p->low_x);
}

static double at_y(const plot *p, double y)
{
	return p->top + p->height * (1 - (y - p->low_y) / (p->high_y - p->low_y));
}

/* 1, 2 or 5 times a power of ten, so that about `wanted` steps make up `range`. */
static double nice_step(double range, int wanted)
{
	double step = pow(10, floor(log10(range / wanted)));
	while (range / step > wanted)
		step *= range / step / 2 <= wanted ? 2 : range / step / 5 <= wanted ? 5 : 10;
	return step;
}

/* A point of data-points: [x, y, "text"]. */
static void point(base_text *points, double x, double y, const char *text)
{
	base_text json = {0};
	report_add_json_string(&json, text);
	base_text_add(points, "%s[%.1f,%.1f,", points->length ? "," : "", x, y);
	report_add_escaped(points, base_text_string(&json));
	base_text_add(points, "]");
	points->failed = points->failed || json.failed;
	base_text_free(&json);
}

static void begin(base_text *html, const char *css, const char *axis, const base_text *points, int width, int height,
		  const char *label)
{
	base_text_add(html, "<div class=\"chart %s\"", css);
	if (points) {
		base_text_add(html, " data-axis=\"%s\" data-points=\"[", axis);
		base_text_append(html, base_text_string(points), points->length);
		base_text_add(html, "]\"");
		html->failed = html->failed || points->failed;
	}
	base_text_add(html, ">\n<svg viewBox=\"0 0 %d %d\" role=\"%s\"%s aria-label=\"", width, height,
		      points ? "img" : "group", points ? " tabindex=\"0\"" : "");
	report_add_escaped(html, label);
	base_text_add(html, "\">\n");
}

static void label(base_text *html, double x, double y, const char *css, const char *text)
{
	base_text_add(html, "<text x=\"%.1f\" y=\"%.1f\" class=\"%s\">", x, y, css);
	report_add_escaped(html, text);
	base_text_add(html, "</text>\n");
}

static void line(base_text *html, double x1, double y1, double x2, double y2, const char *css)
{
	base_text_add(html, "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" class=\"%s\"></line>\n", x1, y1, x2,
		      y2, css);
}

/* The first multiple of the step that is not below `low`. */
static int first_step(double low, double step)
{
	return low > 0 ? (int)ceil(low / step - 1e-9) : 0;
}

/* Lines across with their values, and values below. Lower ends are 0 or 1, so that no step is below 0. */
static void axes(base_text *html, const plot *p, double step_x, double step_y, const char *name_x, const char *title)
{
	char text[32];
	for (int i = first_step(p->low_y, step_y); i * step_y <= p->high_y + step_y * 1e-6; i++) {
		line(html, p->left, at_y(p, i * step_y), p->left + p->width, at_y(p, i * step_y), "grid");
		snprintf(text, sizeof text, "%g", i * step_y);
		label(html, p->left - 7, at_y(p, i * step_y) + 4, "end soft", text);
	}
	for (int i = first_step(p->low_x, step_x); i * step_x <= p->high_x + step_x * 1e-6; i++) {
		snprintf(text, sizeof text, "%g", i * step_x);
		label(html, at_x(p, i * step_x), p->top + p->height + 18, "middle soft", text);
	}
	label(html, p->left + p->width / 2, p->top + p->height + 36, "middle soft", name_x);
	label(html, p->left + p->width / 2, p->top - 12, "middle title", title);
}

/* ---- confusion ---- */

static void cell(base_text *html, const evaluate_metrics *m, const char *const *names, int a, int p, double x, double y,
		 double size)
{
	size_t n = m->confusion[a][p], all = m->per_class[a].support;
	double share = all ? (double)n / (double)all : 0;
	/* Between 45 and 80 % of the colour neither dark nor light figures have a contrast of 4.5, so there are no such cells. */
	const bool dark = share > 0.6;
	const double opacity = dark ? 0.8 + 0.15 * (share - 0.6) / 0.4 : 0.75 * share;
	char actual[64], predicted[64];
	report_class_title(names[a], actual);
	report_class_title(names[p], predicted);
	base_text_add(html, "<g class=\"cell%s\" data-cell=\"%d,%d\" aria-label=\"", dark ? " dark" : "", a, p);
	report_add_escaped(html, actual);
	base_text_add(html, a == p ? " classified right" : " taken for ");
	report_add_escaped(html, a == p ? "" : predicted);
	base_text_add(html, ": %zu of %zu\">\n<title>", n, all);
	report_add_escaped(html, actual);
	base_text_add(html, a == p ? " classified right" : " taken for ");
	report_add_escaped(html, a == p ? "" : predicted);
	base_text_add(html, ": %zu of %zu (%.1f %%)</title>\n", n, all, 100 * share);
	base_text_add(html, "<rect class=\"under\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"></rect>\n", x,
		      y, size, size);
	base_text_add(html,
		      "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill-opacity=\"%.3f\"></rect>\n", x,
		      y, size, size, opacity);
	base_text_add(html, "<text x=\"%.1f\" y=\"%.1f\">%zu</text>\n", x + size / 2, y + size / 2 + 2, n);
	base_text_add(html, "<text class=\"share\" x=\"%.1f\" y=\"%.1f\">%.1f %%</text>\n</g>\n", x + size / 2,
		      y + size / 2 + 20, 100 * share);
}

void report_chart_confusion(base_text *html, const evaluate_metrics *m, const char *const *names)
{
	const double size = m->classes <= 6 ? 92 : 64, left = 128, top = 56;
	char name[64];
	begin(html, m->classes <= 6 ? "matrix small" : "matrix", "", NULL, (int)(left + size * m->classes + 12),
	      (int)(top + size * m->classes + 12),
	      "Confusion matrix: rows are the actual class, columns the predicted");
	label(html, left + size * m->classes / 2, 16, "middle soft", "Predicted");
	label(html, 6, top - 10, "soft", "Actual");
	for (int k = 0; k < m->classes; k++) {
		report_class_title(names[k], name);
		name[14] = '\0';
		label(html, left + size * (k + 0.5), top - 10, "middle", name);
		label(html, left - 10, top + size * (k + 0.5) + 4, "end", name);
	}
	for (int a = 0; a < m->classes; a++)
		for (int p = 0; p < m->classes; p++)
			cell(html, m, names, a, p, left + size * p, top + size * a, size);
	base_text_add(html, "</svg>\n</div>\n");
}

/* ---- ROC ---- */

static void legend(base_text *html, int colour, const char *name, const char *more)
{
	base_text_add(
		html,
		"<span><svg viewBox=\"0 0 36 10\" aria-hidden=\"true\"><line x1=\"0\" y1=\"5\" x2=\"36\" y2=\"5\" "
		"stroke-width=\"3\" class=\"k%d\"></line></svg>",
		colour % 8);
	report_add_escaped(html, name);
	report_add_escaped(html, more);
	base_text_add(html, "</span>\n");
}

void report_chart_roc(base_text *html, const evaluate_metrics *m, const char *const *names)
{
	const plot p = {56, 34, 440, 400, 0, 1, 0, 1};
	base_text points = {0}, curves = {0};
	char title[64], text[256];
	bool any = false;
	for (int k = 0; k < m->classes; k++) {
		const evaluate_class *c = &m->per_class[k];
		if (c->roc_count == 0)
			continue;
		any = true;
		report_class_title(names[k], title);
		base_text_add(&curves, "<polyline class=\"k%d\" points=\"", k % 8);
		for (size_t i = 0; i < c->roc_count; i++) {
			base_text_add(&curves, "%s%.1f,%.1f", i ? " " : "", at_x(&p, c->roc_fpr[i]),
				      at_y(&p, c->roc_tpr[i]));
			if (!isfinite(c->roc_threshold[i]))
				continue;
			snprintf(text, sizeof text,
				 "%.60s from probability %.3f on:\n%.1f %% found, %.1f %% false alarms", title,
				 c->roc_threshold[i], 100 * c->roc_tpr[i], 100 * c->roc_fpr[i]);
			point(&points, at_x(&p, c->roc_fpr[i]), at_y(&p, c->roc_tpr[i]), text);
		}
		base_text_add(&curves, "\"></polyline>\n");
	}
	if (any) {
		begin(html, "small", "xy", &points, 520, 480,
		      "ROC curves, each class against the rest; the arrow keys go along the points");
		axes(html, &p, 0.2, 0.2, "False positive rate", "ROC curves");
		line(html, at_x(&p, 0), at_y(&p, 0), at_x(&p, 1), at_y(&p, 1), "even");
		base_text_append(html, base_text_string(&curves), curves.length);
		label(html, 8, 20, "soft", "True positive rate");
		base_text_add(html, "</svg>\n<div class=\"legend\">\n");
		for (int k = 0; k < m->classes; k++)
			if (m->per_class[k].roc_count > 0) {
				snprintf(text, sizeof text, ": AUC %.3f", m->per_class[k].auc);
				legend(html, k, report_class_title(names[k], title), text);
			}
		base_text_add(html, "</div>\n</div>\n");
	}
	html->failed = html->failed || curves.failed;
	base_text_free(&points);
	base_text_free(&curves);
}

/* ---- history ---- */

static double value_of(const train_epoch *e, int kind)
{
	return kind == 0 ? e->loss : kind == 1 ? e->val_loss : kind == 2 ? e->accuracy : e->val_accuracy;
}

static void curve(base_text *html, const plot *p, const train_history *h, int kind, int colour)
{
	base_text_add(html, "<polyline class=\"k%d\" points=\"", colour);
	for (size_t i = 0; i < h->count; i++)
		base_text_add(html, "%s%.1f,%.1f", i ? " " : "", at_x(p, (double)(i + 1)),
			      at_y(p, fmin(fmax(value_of(&h->epochs[i], kind), p->low_y), p->high_y)));
	base_text_add(html, "\"></polyline>\n");
	if (h->count == 1) /* a line of one point is not seen */
		base_text_add(html, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"4\" class=\"f%d\"></circle>\n", at_x(p, 1),
			      at_y(p, fmin(fmax(value_of(&h->epochs[0], kind), p->low_y), p->high_y)), colour);
}

/* Stages, each with its name in its middle (a short one's would run into the next one's), and the kept epoch on the curve of this kind. */
static void marks(base_text *html, const plot *p, const train_history *h, int kind)
{
	char text[48];
	double begin = p->left;
	for (size_t i = 0; i < h->count; i++) {
		const train_epoch *e = &h->epochs[i];
		const bool last = i + 1 == h->count;
		if (last || h->epochs[i + 1].stage != e->stage) {
			const double end = last ? p->left + p->width : at_x(p, (double)i + 1.5);
			snprintf(text, sizeof text, "stage %d", e->stage);
			label(html, (begin + end) / 2, p->top + 14, "middle soft", text);
			if (!last)
				line(html, end, p->top, end, p->top + p->height, "even");
			begin = end;
		}
		if (e->stage == h->best_stage && e->epoch == h->best_epoch)
			base_text_add(html,
				      "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"5\" class=\"mark\"><title>Epoch "
				      "kept</title></circle>\n",
				      at_x(p, (double)(i + 1)), at_y(p, value_of(e, kind)));
	}
}

void report_chart_history(base_text *html, const train_history *h)
{
	double highest = 0, most = 0;
	base_text points = {0};
	if (h->count == 0)
		return;
	for (size_t i = 0; i < h->count; i++) {
		highest = fmax(highest, fmax(h->epochs[i].loss, h->epochs[i].val_loss));
		most = fmax(most, h->epochs[i].loss);
	}
	highest = fmin(highest, 3 * most); /* one wild validation loss must not flatten the rest */
	if (!(highest > 0))
		highest = 1;
	double step = nice_step(highest, 6), last = (double)h->count;
	const plot loss = {52, 40, 400, 300, fmin(1, last - 1), fmax(last, 2), 0, ceil(highest / step) * step};
	const plot accuracy = {530, 40, 400, 300, loss.low_x, loss.high_x, 0, 1};
	for (int side = 0; side < 2; side++)
		for (size_t i = 0; i < h->count; i++) {
			const train_epoch *e = &h->epochs[i];
			const plot *p = side ? &accuracy : &loss;
			char text[256];
			snprintf(text, sizeof text,
				 "Epoch %zu (stage %d, epoch %d)\ntraining: loss %.4f, accuracy %.4f\nvalidation: loss "
				 "%.4f, accuracy %.4f",
				 i + 1, e->stage, e->epoch, e->loss, e->accuracy, e->val_loss, e->val_accuracy);
			point(&points, at_x(p, (double)(i + 1)),
			      at_y(p, fmin(fmax(side ? e->val_accuracy : e->val_loss, p->low_y), p->high_y)), text);
		}
	begin(html, "wide", "x", &points, 950, 390,
	      "Loss and accuracy over the epochs, training and validation; the arrow keys go along the epochs");
	double step_x = fmax(1, nice_step(last, 10));
	axes(html, &loss, step_x, step, "Epoch", "Loss");
	axes(html, &accuracy, step_x, 0.2, "Epoch", "Accuracy");
	curve(html, &loss, h, 0, 0);
	curve(html, &loss, h, 1, 1);
	curve(html, &accuracy, h, 2, 0);
	curve(html, &accuracy, h, 3, 1);
	marks(html, &loss, h, 1);
	marks(html, &accuracy, h, 3);
	base_text_add(html, "</svg>\n<div class=\"legend\">\n");
	legend(html, 0, "training", " (augmented images)");
	legend(html, 1, "validation", ", kept epoch circled");
	base_text_add(html, "</div>\n</div>\n");
	base_text_free(&points);
}

void report_chart_curves(base_text *html, const report_curve *curves, size_t count)
{
	base_text points = {0};
	size_t longest = 0;
	for (size_t r = 0; r < count; r++)
		longest = curves[r].history->count > longest ? curves[r].history->count : longest;
	if (longest == 0)
		return;
	const plot p = {52, 40, 880, 320, 0, (double)longest, 0, 1};
	for (size_t r = 0; r < count; r++)
		for (size_t i = 0; i < curves[r].history->count; i++) {
			const train_epoch *e = &curves[r].history->epochs[i];
			char text[256];
			snprintf(text, sizeof text, "%.80s\nepoch %zu (stage %d, epoch %d): %.4f", curves[r].name,
				 i + 1, e->stage, e->epoch, e->val_accuracy);
			point(&points, at_x(&p, (double)(i + 1)), at_y(&p, e->val_accuracy), text);
		}
	begin(html, "wide", "xy", &points, 950, 410,
	      "Validation accuracy over the epochs; the arrow keys go along the points");
	axes(html, &p, fmax(1, nice_step((double)longest, 12)), 0.2, "Epoch", "Validation accuracy");
	for (size_t r = 0; r < count; r++)
		curve(html, &p, curves[r].history, 3, (int)(r % 8));
	base_text_add(html, "</svg>\n<div class=\"legend\">\n");
	for (size_t r = 0; r < count; r++)
		legend(html, (int)r, curves[r].name, "");
	base_text_add(html, "</div>\n</div>\n");
	base_text_free(&points);
}

/* ---- classes ---- */

void report_chart_classes(base_text *html, const char *const *names, const size_t *counts, int classes)
{
	size_t most = 1, all = 0;
	const int row = 34;
	for (int k = 0; k < classes; k++) {
		most = counts[k] > most ? counts[k] : most;
		all += counts[k];
	}
	begin(html, "small", "", NULL, 560, row * classes + 16, "Images of each class");
	for (int k = 0; k < classes; k++) {
		char name[64], number[32], text[96];
		double y = 8 + row * k, width = 290.0 * (double)counts[k] / (double)most;
		report_class_title(names[k], name);
		snprintf(text, sizeof text, "%s (%.1f %%)", base_format_count((long long)counts[k], number),
			 all ? 100.0 * (double)counts[k] / (double)all : 0);
		label(html, 128, y + 21, "end", name);
		base_text_add(html, "<rect x=\"138\" y=\"%.1f\" width=\"%.1f\" height=\"%d\" class=\"f%d\"></rect>\n",
			      y + 3, width, row - 8, k % 8);
		label(html, 138 + width + 8, y + 21, "soft", text);
	}
	base_text_add(html, "</svg>\n</div>\n");
}
