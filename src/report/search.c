/* The trials of a search. */
#include <math.h>

#include "report/figures.h"
#include "report/gnuplot.h"

bm_status report_figure_search(const char *folder, const report_trial *trials, int count, bm_error *err)
{
	report_figure f = {.folder = folder, .name = "search", .width = 820, .height = 500};
	base_text *s = &f.script;
	int last = 0, done = 0;
	double lowest = INFINITY, slowest = INFINITY, fastest = 0; /* accuracy; rates of the finished trials */
	base_text_add(&f.data,
		      "trial,rung,learning_rate,head,dropout,augmentation,batch,val_accuracy,val_loss,seconds\n");
	for (int i = 0; i < count; i++) {
		const report_trial *t = &trials[i];
		base_text_add(&f.data, "%d,%d,%.6g,", t->number, t->rung + 1, t->rate);
		report_add_field(&f.data, t->head);
		base_text_add(&f.data, ",%g,%g,%g,", t->dropout, t->augmentation, t->batch);
		if (isnan(t->accuracy))
			base_text_add(&f.data, "NaN,NaN,%.1f\n", t->seconds);
		else
			base_text_add(&f.data, "%.6f,%.6f,%.1f\n", t->accuracy, t->loss, t->seconds);
		last = t->rung > last ? t->rung : last;
		if (isnan(t->accuracy))
			continue;
		done++;
		lowest = fmin(lowest, t->accuracy);
		slowest = fmin(slowest, t->rate);
		fastest = fmax(fastest, t->rate);
	}
	if (done == 0) {
		base_text_free(&f.data);
		return base_fail(err, BM_ERR_DATA, "cannot draw the search: no trial was finished");
	}
	base_text_add(s, "%s", report_axes);
	base_text_add(s,
		      "set title 'Trials: the better go on with more epochs' font ',15' textcolor rgb '#222222'\n"
		      "set logscale x\nset format x '%%g'\nset xlabel 'Learning rate'\n"
		      "set ylabel 'Validation accuracy' offset 1,0\nset xrange [%.6g:%.6g]\nset yrange [%.3f:1.005]\n"
		      "set key below center horizontal Left reverse height 1\nplot ",
		      slowest / 1.5, fastest * 1.5, fmax(0, lowest - 0.03));
	for (int rung = 0; rung <= last; rung++)
		base_text_add(s,
			      "%s'search.csv' every ::1 using ($2==%d?$3:NaN):8 with points pointtype 7 pointsize %.2f "
			      "linecolor rgb %s title 'reached rung %d'",
			      rung > 0 ? ", \\\n" : "", rung + 1, 0.9 + 0.45 * rung, report_class_colour(rung),
			      rung + 1);
	base_text_add(
		s,
		", \\\n'' every ::1 using 3:8:1 with labels offset 1,0.6 font ',9' textcolor rgb '#555555' notitle\n");
	return report_figure_finish(&f, err);
}
