/* How far the figures and the model's confidence may be believed: a text and two pictures. */
#include <math.h>
#include <stdio.h>

#include "report/figures.h"
#include "report/gnuplot.h"
#include "report/tables.h"

/* ---- text ---- */

static void add_calibration(base_text *text, const evaluate_reliability *r)
{
	static const char *const header[3] = {"Figure", "Before", "After"};
	static const bool right[3] = {false, true, true};
	static const char *const names[4] = {"ECE (15 bins)", "Brier score", "Loss", "Mean confidence"};
	const double values[4][2] = {{r->before.ece, r->after.ece},
				     {r->before.brier, r->after.brier},
				     {r->before.loss, r->after.loss},
				     {r->before.confidence, r->after.confidence}};
	char numbers[4][2][32];
	const char *cells[12];
	for (int i = 0; i < 4; i++) {
		cells[3 * i] = names[i];
		for (int k = 0; k < 2; k++) {
			snprintf(numbers[i][k], sizeof numbers[i][k], "%.4f", values[i][k]);
			cells[3 * i + 1 + k] = numbers[i][k];
		}
	}
	base_text_add(text, "Calibration (temperature %.3f, fitted on %zu validation images):\n", r->temperature,
		      r->validation);
	report_table(text, header, cells, 4, 3, right);
}

static void add_interval(char *buffer, size_t size, double value, evaluate_interval i)
{
	if (isnan(value) || isnan(i.low))
		snprintf(buffer, size, "not defined");
	else
		snprintf(buffer, size, "%.4f (%.4f to %.4f)", value, i.low, i.high);
}

void report_reliability(base_text *text, const evaluate_metrics *m)
{
	const evaluate_reliability *r = &m->reliability;
	char values[4][96], count[32], groups[32];
	if (!m->have_reliability)
		return;
	add_calibration(text, r);

	add_interval(values[0], sizeof values[0], m->accuracy, r->intervals.accuracy);
	add_interval(values[1], sizeof values[1], m->macro_f1, r->intervals.macro_f1);
	add_interval(values[2], sizeof values[2], m->mean_auc, r->intervals.mean_auc);
	add_interval(values[3], sizeof values[3], r->after.ece, r->intervals.ece);
	base_text_add(text, "\n95 %% intervals (bootstrap, %s resamples of %s groups of near-copies):\n",
		      base_format_count((long long)r->intervals.resamples, count),
		      base_format_count((long long)r->intervals.groups, groups));
	report_tree(text,
		    (report_line[]){{"Accuracy", values[0]},
				    {"Macro F1", values[1]},
				    {"Mean AUC", values[2]},
				    {"ECE after temperature", values[3]}},
		    4);

	double share = (double)r->answered / (double)m->count;
	snprintf(values[0], sizeof values[0], "%.3f (%zu of %zu validation images answered, %zu of them right)",
		 r->threshold, r->validation_answered, r->validation, r->validation_right);
	snprintf(values[1], sizeof values[1], "%zu of %zu test images (%.1f %%)", r->answered, m->count, 100 * share);
	if (r->answered > 0)
		snprintf(values[2], sizeof values[2], "%zu (%.4f)", r->right, (double)r->right / (double)r->answered);
	else
		snprintf(values[2], sizeof values[2], "none was answered");
	snprintf(values[3], sizeof values[3], "%zu", m->count - r->answered);
	base_text_add(text, "\nWhen it may abstain (predict --abstain):\n");
	report_tree(text,
		    (report_line[]){{"Confidence that it takes", values[0]},
				    {"Answered", values[1]},
				    {"Right of these", values[2]},
				    {"Not sure: see a radiologist", values[3]}},
		    4);

	if (r->have_unlike)
		snprintf(values[0], sizeof values[0],
			 "%zu of %zu test images (%.1f %%), all real slices: false refusals", r->refused, m->count,
			 100.0 * (double)r->refused / (double)m->count);
	else
		snprintf(values[0], sizeof values[0], "no check: too few validation images");
	base_text_add(text, "\nImages that are unlike those trained on (never called a class):\n");
	report_tree(text, &(report_line){"Refused", values[0]}, 1);
}

/* ---- pictures ---- */

static bm_status none(const char *what, bm_error *err)
{
	return base_fail(err, BM_ERR_DATA, "cannot draw %s: these metrics have none; evaluate again", what);
}

bm_status report_figure_reliability(const char *folder, const evaluate_metrics *m, bm_error *err)
{
	report_figure f = {.folder = folder, .name = "reliability", .width = 980, .height = 520};
	const evaluate_reliability *r = &m->reliability;
	const evaluate_calibration *both[2] = {&r->before, &r->after};
	static const char *const titles[2] = {"Before", "After"};
	base_text *s = &f.script;
	if (!m->have_reliability)
		return none("the reliability diagram", err);
	base_text_add(&f.data, "temperature,bin,low,high,count,share,confidence,accuracy\n");
	for (int k = 0; k < 2; k++)
		for (int b = 0; b < EVALUATE_BINS; b++) {
			const evaluate_bin *bin = &both[k]->bins[b];
			base_text_add(&f.data, "%d,%d,%.6f,%.6f,%zu,%.6f,", k, b, (double)b / EVALUATE_BINS,
				      (b + 1.0) / EVALUATE_BINS, bin->count, (double)bin->count / (double)m->count);
			if (bin->count > 0)
				base_text_add(&f.data, "%.6f,%.6f\n", bin->confidence, bin->accuracy);
			else
				base_text_add(&f.data, "NaN,NaN\n");
		}
	base_text_add(s, "%s", report_axes);
	base_text_add(s, "set multiplot layout 1,2 margins 0.07,0.985,0.13,0.88 spacing 0.08,0\n"
			 "set xrange [0:1]\nset yrange [0:1.32]\nset xtics 0,0.2,1\nset ytics 0,0.2,1\n"
			 "set xlabel 'Confidence'\nset ylabel 'Accuracy' offset 1,0\n"
			 "set key top left Left reverse samplen 1.6\n");
	for (int k = 0; k < 2; k++) {
		base_text_add(s,
			      "set title '%s temperature %.3f: ECE %.4f' font ',15' textcolor rgb '#222222'\n"
			      "plot 'reliability.csv' every ::1 using ($1==%d?($3+$4)/2:NaN):8:(0.9/%d) with boxes "
			      "fillstyle solid 0.75 noborder linecolor rgb '%s' title 'Accuracy', \\\n"
			      "'' every ::1 using ($1==%d?($3+$4)/2:NaN):6:(0.9/%d) with boxes fillstyle empty "
			      "linewidth 1.4 linecolor rgb '%s' title 'Share of the images', \\\n"
			      "x with lines dashtype 2 linewidth 1.2 linecolor rgb '#777777' title 'As confident as "
			      "right', \\\n"
			      "'' every ::1 using ($1==%d?$7:NaN):8 with points pointtype 7 pointsize 0.8 linecolor "
			      "rgb '#222222' title 'Mean of a bin'\n",
			      titles[k], r->temperature, both[k]->ece, k, EVALUATE_BINS, REPORT_BLUE, k, EVALUATE_BINS,
			      REPORT_ORANGE, k);
	}
	base_text_add(s, "unset multiplot\n");
	return report_figure_finish(&f, err);
}

bm_status report_figure_coverage(const char *folder, const evaluate_metrics *m, bm_error *err)
{
	report_figure f = {.folder = folder, .name = "coverage", .width = 720, .height = 480};
	const evaluate_reliability *r = &m->reliability;
	base_text *s = &f.script;
	double lowest = 1;
	if (!m->have_reliability)
		return none("accuracy against coverage", err);
	base_text_add(&f.data, "coverage,accuracy,threshold\n");
	for (int i = 0; i < EVALUATE_COVERAGE_STEPS; i++) {
		const evaluate_coverage *point = &r->curve[i];
		base_text_add(&f.data, "%.6f,%.6f,%.6f\n", point->coverage, point->accuracy, point->threshold);
		lowest = fmin(lowest, point->accuracy);
	}
	double share = (double)r->answered / (double)m->count;
	char right[32] = "none right or wrong";
	if (r->answered > 0)
		snprintf(right, sizeof right, "%.4f right", (double)r->right / (double)r->answered);
	base_text_add(s, "%s", report_axes);
	base_text_add(s,
		      "set title 'Accuracy of what is answered' font ',15' textcolor rgb '#222222'\n"
		      "set xlabel 'Share of the test images that is answered, the most confident first'\n"
		      "set ylabel 'Accuracy' offset 1,0\nset xrange [0:1]\nset yrange [%.3f:1.003]\n"
		      "set key below left Left reverse maxrows 2 height 1\n"
		      "set arrow from %.5f,graph 0 to %.5f,graph 1 nohead dashtype 2 linewidth 1.2 linecolor rgb "
		      "'#777777'\n"
		      "plot 'coverage.csv' every ::1 using 1:2 with lines linewidth 2.4 linecolor rgb '%s' title "
		      "'Test accuracy', \\\n"
		      "NaN with lines dashtype 2 linewidth 1.2 linecolor rgb '#777777' title "
		      "'Confidence %.3f: %.1f %% answered, %s'\n",
		      fmax(0, lowest - 0.02), share, share, REPORT_BLUE, r->threshold, 100 * share, right);
	return report_figure_finish(&f, err);
}
