/* The pictures that the guide names, drawn by gnuplot: for each NAME the folder gets NAME.png, NAME.svg, NAME.gp (the script) and NAME.csv (its
 * data), so that anyone can draw it again. */
#ifndef REPORT_FIGURES_H
#define REPORT_FIGURES_H

#include "evaluate/metrics.h"
#include "image/image.h"
#include "train/train.h"

/* Is gnuplot there? When not, scripts and data are still written and each function returns BM_ERR_UNSUPPORTED with what to install.
 * Other errors: BM_ERR_IO with what gnuplot said. `folder` is made when it is not there. `names` are the class folders' names. */
bool report_gnuplot_available(void);

/* A captioned picture of a grid; pixels NULL: the place stays empty. A caption in green or red is also marked with a tick or a cross. */
typedef struct report_tile {
	const uint8_t *pixels; /* [side][side] grey */
	int side;
	char caption[3][64]; /* lines above the image, "" for none */
	int colour;	     /* of the caption: 0 neutral, 1 green (right), 2 red (wrong) */
} report_tile;

/* samples: 2x4. names[8]: what else is known of each (its file, its class), for samples.csv; NULL: nothing. */
bm_status report_figure_samples(const char *folder, const report_tile tiles[8], const char *const *names,
				bm_error *err);
/* class_distribution: bars with counts */
bm_status report_figure_classes(const char *folder, const char *const *names, const size_t *counts, int classes,
				bm_error *err);
/* training_history: loss | accuracy, the stages and the kept epoch marked. BM_ERR_DATA when no epoch was finished. */
bm_status report_figure_history(const char *folder, const train_history *history, bm_error *err);
/* confusion_matrix: counts and shares of the actual class */
bm_status report_figure_confusion(const char *folder, const evaluate_metrics *m, const char *const *names,
				  bm_error *err);
/* roc_curves: each class against the rest. BM_ERR_DATA when the test set has one class only. */
bm_status report_figure_roc(const char *folder, const evaluate_metrics *m, const char *const *names, bm_error *err);
typedef struct report_trial {
	int number, rung;
	double rate;
	const char *head;
	double dropout, augmentation, batch;
	double accuracy, loss; /* validation; NaN: failed */
	double seconds;
} report_trial;
/* search: validation accuracy of each trial against its learning rate, by the rung that it reached. */
bm_status report_figure_search(const char *folder, const report_trial *trials, int count, bm_error *err);
/* copies: 3x4, pairs beside each other */
bm_status report_figure_copies(const char *folder, const report_tile tiles[12], bm_error *err);
/* predictions: 3x4 */
bm_status report_figure_predictions(const char *folder, const report_tile tiles[12], bm_error *err);
/* reliability: accuracy against confidence, in bins, before and after the temperature. BM_ERR_DATA when m has none. */
bm_status report_figure_reliability(const char *folder, const evaluate_metrics *m, bm_error *err);
/* coverage: accuracy of the images that are answered, against their share; the chosen threshold marked. BM_ERR_DATA when m has none. */
bm_status report_figure_coverage(const char *folder, const evaluate_metrics *m, bm_error *err);
/* benchmark: bars of seconds, with the speed-up against the first. BM_ERR_DATA when nothing was measured. */
bm_status report_figure_benchmark(const char *folder, const char *const *labels, const double *seconds, int count,
				  bm_error *err);

#endif
