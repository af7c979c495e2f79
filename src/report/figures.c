#include "report/figures.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "report/gnuplot.h"
#include "report/tables.h"

enum { TITLE_SIZE = 64 };

/* What all plots with axes share: thin grey axes, a faint grid, no ticks on the far sides. */
const char report_axes[] = "set border 3 linecolor rgb '#888888'\n"
			   "set tics nomirror out scale 0.6 textcolor rgb '#444444'\n"
			   "set grid linecolor rgb '#e4e4e4' linetype 1 linewidth 0.8\n"
			   "set xlabel textcolor rgb '#222222'\n"
			   "set ylabel textcolor rgb '#222222'\n";

static int clamp(int value, int low, int high)
{
	return value < low ? low : value > high ? high : value;
}

static double largest_of(double a, double b)
{
	return a > b ? a : b;
}

/* ---- class distribution ---- */

bm_status report_figure_classes(const char *folder, const char *const *names, const size_t *counts, int classes,
				bm_error *err)
{
	report_figure f = {.folder = folder,
			   .name = "class_distribution",
			   .width = clamp(200 + 130 * classes, 680, 1400),
			   .height = 460};
	base_text *s = &f.script;
	size_t total = 0, most = 1;
	for (int c = 0; c < classes; c++) {
		total += counts[c];
		most = counts[c] > most ? counts[c] : most;
	}
	base_text_add(&f.data, "index,class,title,count,percent,label,colour\n");
	for (int c = 0; c < classes; c++) {
		char title[TITLE_SIZE], count[32], label[64];
		double percent = total > 0 ? 100.0 * (double)counts[c] / (double)total : 0;
		base_text_add(&f.data, "%d,", c);
		report_add_field(&f.data, names[c]);
		base_text_add(&f.data, ",");
		report_add_field(&f.data, report_class_title(names[c], title));
		snprintf(label, sizeof label, "%s (%.1f %%)", base_format_count((long long)counts[c], count), percent);
		base_text_add(&f.data, ",%zu,%.2f,\"%s\",%s\n", counts[c], percent, label, report_class_colour(c));
	}
	bool crowded = classes > 8;
	base_text_add(s, "%s", report_axes);
	base_text_add(s, "unset key\nset grid noxtics ytics\nset xtics scale 0%s\n",
		      crowded ? " rotate by -40 left" : "");
	char all[32];
	base_text_add(s, "set title 'Class distribution: %s images' font ',15' textcolor rgb '#222222'\n",
		      base_format_count((long long)total, all));
	base_text_add(s, "set ylabel 'Images'\nset xrange [-0.6:%d.6]\nset yrange [0:%.1f]\n", classes - 1,
		      1.12 * (double)most);
	base_text_add(s, "plot 'class_distribution.csv' every ::1 using 1:4:(0.62):(column(7)):xtic(3) with boxes "
			 "fillstyle solid "
			 "linecolor rgb variable");
	if (!crowded)
		base_text_add(s, ", \\\n'' every ::1 using 1:4:6 with labels offset 0,0.8 textcolor rgb '#222222'");
	base_text_add(s, "\n");
	return report_figure_finish(&f, err);
}

/* ---- training history ---- */

static void add_value(base_text *data, double value)
{
	if (isfinite(value))
		base_text_add(data, ",%.6f", value);
	else
		base_text_add(data, ",NaN");
}

/* A line where a stage begins, and its name above the plot. */
static void mark_stages(base_text *s, const train_history *h)
{
	size_t from = 0;
	for (size_t i = 1; i <= h->count; i++) {
		if (i < h->count && h->epochs[i].stage == h->epochs[from].stage)
			continue;
		if (from > 0)
			base_text_add(s,
				      "set arrow from %.1f,graph 0 to %.1f,graph 1 nohead dashtype 2 linecolor rgb "
				      "'#999999'\n",
				      (double)from + 0.5, (double)from + 0.5);
		base_text_add(s, "set label 'stage %d' at %.2f,graph 1.03 center font ',10' textcolor rgb '#666666'\n",
			      h->epochs[from].stage, ((double)from + 1 + (double)i) / 2);
		from = i;
	}
}

bm_status report_figure_history(const char *folder, const train_history *h, bm_error *err)
{
	report_figure f = {.folder = folder, .name = "training_history", .width = 1080, .height = 440};
	base_text *s = &f.script;
	size_t best = 0; /* 1.. over all stages; 0: none */
	bool any = false;
	base_text_add(&f.data, "epoch,stage,epoch_of_stage,loss,val_loss,accuracy,val_accuracy,learning_rate\n");
	for (size_t i = 0; i < h->count; i++) {
		const train_epoch *e = &h->epochs[i];
		base_text_add(&f.data, "%zu,%d,%d", i + 1, e->stage, e->epoch);
		add_value(&f.data, e->loss);
		add_value(&f.data, e->val_loss);
		add_value(&f.data, e->accuracy);
		add_value(&f.data, e->val_accuracy);
		base_text_add(&f.data, ",%.6g\n", e->learning_rate);
		any = any || isfinite(e->loss) || isfinite(e->val_loss);
		if (e->stage == h->best_stage && e->epoch == h->best_epoch)
			best = i + 1;
	}
	if (!any) {
		base_text_free(&f.data);
		return base_fail(err, BM_ERR_DATA, "cannot draw the training history: no epoch was finished");
	}
	const char *how = h->count <= 40 ? "linespoints pointtype 7 pointsize 0.5 linewidth 2" : "lines linewidth 2";
	base_text_add(s, "%s", report_axes);
	base_text_add(s,
		      "set multiplot layout 1,2 margins 0.07,0.985,0.155,0.84 spacing 0.085,0\n"
		      "set xlabel 'Epoch'\nset xrange [0.5:%zu.5]\nset xtics %zu\n",
		      h->count, (h->count + 11) / 12);
	mark_stages(s, h);
	for (int plot = 0; plot < 2; plot++) {
		int column = plot == 0 ? 4 : 6;
		base_text_add(s,
			      "set title '%s' offset 0,0.55 font ',15' textcolor rgb '#222222'\nset ylabel '%s' offset "
			      "0.5,0\n",
			      plot == 0 ? "Model Loss" : "Model Accuracy", plot == 0 ? "Loss" : "Accuracy");
		base_text_add(s, plot == 0 ? "set key top right Left reverse opaque\nset yrange [0:*]\n"
					   : "set key bottom right Left reverse opaque\nset yrange [*:1]\n");
		base_text_add(s,
			      "plot 'training_history.csv' every ::1 using 1:%d with %s linecolor rgb '%s' title "
			      "'Training', \\\n"
			      "'' every ::1 using 1:%d with %s linecolor rgb '%s' title 'Validation'",
			      column, how, REPORT_BLUE, column + 1, how, REPORT_ORANGE);
		if (best > 0)
			base_text_add(s,
				      ", \\\n'' every ::%zu::%zu using 1:%d with points pointtype 6 pointsize 1.4 "
				      "linewidth 1.8 "
				      "linecolor rgb '#222222' title 'Epoch kept'",
				      best, best, column + 1);
		base_text_add(s, "\n");
	}
	base_text_add(s, "unset multiplot\n");
	return report_figure_finish(&f, err);
}

/* ---- confusion matrix ---- */

bm_status report_figure_confusion(const char *folder, const evaluate_metrics *m, const char *const *names,
				  bm_error *err)
{
	/* In pixels: a cell, and the room for class names on the left and below, where many are set slanted. */
	int n = m->classes, cell = clamp(720 / n, 24, 110), name_width = 0;
	for (int c = 0; c < n; c++) {
		char title[TITLE_SIZE];
		int width = 10 * base_text_columns(report_class_title(names[c], title));
		name_width = width > name_width ? width : name_width;
	}
	int left = clamp(name_width + 55, 120, 420), below = n > 6 ? clamp(65 + name_width * 2 / 3, 80, 300) : 80;
	report_figure f = {.folder = folder,
			   .name = "confusion_matrix",
			   .width = left + cell * n + 120,
			   .height = 55 + cell * n + below};
	base_text *s = &f.script;
	base_text_add(&f.data,
		      "actual_index,predicted_index,actual,predicted,count,percent_of_actual,percent_label,ink\n");
	for (int a = 0; a < n; a++)
		for (int b = 0; b < n; b++) {
			char actual[TITLE_SIZE], predicted[TITLE_SIZE];
			size_t count = m->confusion[a][b], support = m->per_class[a].support;
			double percent = support > 0 ? 100.0 * (double)count / (double)support : 0;
			base_text_add(&f.data, "%d,%d,", a, b);
			report_add_field(&f.data, report_class_title(names[a], actual));
			base_text_add(&f.data, ",");
			report_add_field(&f.data, report_class_title(names[b], predicted));
			base_text_add(&f.data, ",%zu,%.2f,%.1f %%,%s\n", count, percent, percent,
				      percent > 62 ? "0xffffff" : "0x222222");
		}
	base_text_add(s,
		      "unset border\nunset key\nset tics scale 0 textcolor rgb '#222222'\n"
		      "set palette defined (0 '#f1f6fa', 0.2 '#a6cbe3', 0.6 '#3f8abf', 1 '#08306b')\n"
		      "set cbrange [0:100]\nset cbtics ('0 %%%%' 0, '50 %%%%' 50, '100 %%%%' 100)\n"
		      "set colorbox user origin %.4f,%.4f size %.4f,%.4f noborder\n",
		      1 - 95.0 / f.width, 0.2, 14.0 / f.width, 0.62);
	base_text_add(s, "set title 'Confusion Matrix: %zu test images' font ',15' textcolor rgb '#222222'\n",
		      m->count);
	base_text_add(
		s,
		"set xlabel 'Predicted' font ',13' textcolor rgb '#222222'\n"
		"set ylabel 'Actual' font ',13' textcolor rgb '#222222'\n"
		"set xrange [-0.5:%d.5]\nset yrange [%d.5:-0.5]\nset lmargin screen %.4f\nset rmargin screen %.4f\n"
		"set tmargin screen %.4f\nset bmargin screen %.4f\n%s",
		n - 1, n - 1, (double)left / f.width, 1 - 120.0 / f.width, 1 - 55.0 / f.height,
		(double)below / f.height, n > 6 ? "set xtics rotate by -40 left\n" : "");
	base_text_add(s, "plot 'confusion_matrix.csv' every ::1 using 2:1:(0.5):(0.5):6:xtic(4):ytic(3) with "
			 "boxxyerror fillstyle solid "
			 "border linecolor rgb 'white' linewidth 2 fillcolor palette");
	if (n <= 16)
		base_text_add(s, ", \\\n'' every ::1 using 2:($1-%s):5:8 with labels font ',%d' textcolor rgb variable",
			      n <= 8 ? "0.1" : "0", clamp(cell / 6, 7, 17));
	if (n <= 8)
		base_text_add(s,
			      ", \\\n'' every ::1 using 2:($1+0.2):7:8 with labels font ',%d' textcolor rgb variable",
			      clamp(cell / 10, 8, 11));
	base_text_add(s, "\n");
	return report_figure_finish(&f, err);
}

/* ---- ROC ---- */

/* The curves, coloured as the classes are everywhere; where a colour comes again, in other dashes. */
static void add_curves(base_text *s, const evaluate_metrics *m, const char *const *names, bool titles)
{
	const char *before = "";
	for (int c = 0; c < m->classes; c++) {
		char title[TITLE_SIZE], text[TITLE_SIZE + 32];
		if (m->per_class[c].roc_count == 0)
			continue;
		snprintf(text, sizeof text, "%s (AUC = %.4f)", report_class_title(names[c], title),
			 m->per_class[c].auc);
		base_text_add(s,
			      "%s'roc_curves.csv' every ::1 using ($1==%d?$3:NaN):4 with lines linewidth 2.2 linecolor "
			      "rgb %s dashtype %d ",
			      before, c, report_class_colour(c), 1 + c / REPORT_CLASS_COLOURS);
		if (titles) {
			base_text_add(s, "title ");
			report_add_quoted(s, text);
		} else {
			base_text_add(s, "notitle");
		}
		before = ", \\\n";
	}
}

bm_status report_figure_roc(const char *folder, const evaluate_metrics *m, const char *const *names, bm_error *err)
{
	report_figure f = {.folder = folder, .name = "roc_curves", .width = 680, .height = 660};
	base_text *s = &f.script;
	size_t points = 0;
	double worst = 1;
	base_text_add(&f.data, "class_index,class,fpr,tpr,threshold\n");
	for (int c = 0; c < m->classes; c++) {
		const evaluate_class *class = &m->per_class[c];
		for (size_t i = 0; i < class->roc_count; i++) {
			base_text_add(&f.data, "%d,", c);
			report_add_field(&f.data, names[c]);
			base_text_add(&f.data, ",%.8f,%.8f,%.8g\n", class->roc_fpr[i], class->roc_tpr[i],
				      class->roc_threshold[i]);
		}
		points += class->roc_count;
		worst = class->roc_count > 0 ? fmin(worst, class->auc) : worst;
	}
	if (points == 0) {
		base_text_free(&f.data);
		return base_fail(err, BM_ERR_DATA, "cannot draw ROC curves: the test set has images of one class only");
	}
	base_text_add(s, "%s", report_axes);
	base_text_add(s, "set multiplot\nset bmargin screen 0.11\nset tmargin screen 0.91\nset title 'ROC curves, each "
			 "class against the rest' font ',15' textcolor rgb '#222222'\n"
			 "set xlabel 'False positive rate'\nset ylabel 'True positive rate'\n"
			 "set xrange [-0.01:1.01]\nset yrange [-0.01:1.01]\nset xtics 0,0.2,1\nset ytics 0,0.2,1\n"
			 "set key bottom right Left reverse opaque samplen 2\nset size square\nplot x with lines "
			 "dashtype 2 linewidth 1.2 "
			 "linecolor rgb '#999999' title 'Chance (AUC = 0.5)', \\\n");
	add_curves(s, m, names, m->classes <= 12);
	base_text_add(s, "\n");
	/* Good curves all lie in the corner: show it enlarged. */
	if (worst > 0.9 && m->classes <= 8) {
		base_text_add(s,
			      "set bmargin at screen 0.47\nset tmargin at screen 0.75\nset lmargin at screen 0.46\nset "
			      "rmargin at screen 0.74\nset title 'Upper left corner' font ',11' textcolor rgb "
			      "'#444444' offset 0,-0.6\nunset xlabel\nunset ylabel\nset xrange [0:0.2]\nset yrange "
			      "[0.8:1.004]\n"
			      "set xtics 0,0.1,0.2 font ',10'\nset ytics 0.8,0.1,1 font ',10'\nset border 15\n"
			      "set object 1 rectangle from graph -0.2,-0.2 to graph 1.1,1.16 behind fillcolor rgb "
			      "'white' fillstyle solid noborder\n"
			      "plot ");
		add_curves(s, m, names, false);
		base_text_add(s, "\n");
	}
	base_text_add(s, "unset multiplot\n");
	return report_figure_finish(&f, err);
}

/* ---- benchmark ---- */

bm_status report_figure_benchmark(const char *folder, const char *const *labels, const double *seconds, int count,
				  bm_error *err)
{
	report_figure f = {
		.folder = folder, .name = "benchmark", .width = 760, .height = clamp(120 + 62 * count, 240, 1400)};
	base_text *s = &f.script;
	double longest = 0;
	base_text_add(&f.data, "index,label,seconds,speedup,text,colour\n");
	for (int i = 0; i < count; i++) {
		double speedup = seconds[i] > 0 ? seconds[0] / seconds[i] : 0;
		base_text_add(&f.data, "%d,", i);
		report_add_field(&f.data, labels[i]);
		base_text_add(&f.data, ",%.6f,%.4f,", seconds[i], speedup);
		if (i == 0)
			base_text_add(&f.data, "%.2f s,0x9a9a9a\n", seconds[i]);
		else
			base_text_add(&f.data, "%.2f s (%.2fx),0x0072b2\n", seconds[i], speedup);
		longest = largest_of(longest, seconds[i]);
	}
	if (count <= 0 || !(longest > 0) || !isfinite(longest)) {
		base_text_free(&f.data);
		return base_fail(err, BM_ERR_DATA, "cannot draw the benchmark: no time was measured");
	}
	base_text_add(s, "%s", report_axes);
	base_text_add(s,
		      "unset key\nset grid xtics noytics\nset border 1\nset ytics scale 0\n"
		      "set title 'Preprocessing time (lower is better)' font ',15' textcolor rgb '#222222'\n"
		      "set xlabel 'Seconds'\nset yrange [%d.6:-0.6]\nset xrange [0:%.6g]\n",
		      count - 1, longest * 1.25);
	base_text_add(s, "plot 'benchmark.csv' every ::1 using (0):1:(0):3:($1-0.3):($1+0.3):6:ytic(2) with boxxyerror "
			 "fillstyle solid "
			 "noborder linecolor rgb variable, \\\n"
			 "'' every ::1 using 3:1:5 with labels left offset 0.8,0 textcolor rgb '#222222'\n");
	return report_figure_finish(&f, err);
}
