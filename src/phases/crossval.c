#include "phases/crossval.h"

#include <math.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/threads.h"
#include "phases/phases.h"
#include "phases/within.h"
#include "report/tables.h"

enum { FIGURES = 5, USUAL_FOLDS = 5 };

#define CUT "folds.json"

static const char *const figure_names[FIGURES] = {"Accuracy", "Macro F1", "Mean AUC", "Loss", "ECE"};
static const char *const figure_keys[FIGURES] = {"accuracy", "macro_f1", "mean_auc", "loss", "ece"};

typedef struct fold {
	bool done;
	size_t images;
	double figures[FIGURES];
	double seconds;
} fold;

typedef struct crossval {
	phase_context *c;
	const phase_crossval_options *options;
	int count; /* of the folds */
	data_near_copies copies;
	fold folds[DATA_FOLDS_MAX];
} crossval;

static bm_status write_split(const crossval *v, int number, const phase_context *inner, bm_error *err)
{
	data_split split = {0};
	char *path = phase_path(inner, "split.csv", err);
	bm_status status = path ? data_split_fold(&v->c->pack, &v->copies, v->count, number,
						  run_config_split_seed(&v->c->config), &split, err)
				: BM_ERR_MEMORY;
	if (status == BM_OK)
		status = data_split_write(&split, &v->copies, path, err);
	data_split_free(&split);
	base_free(path);
	return status;
}

static void take_figures(const phase_context *inner, fold *f)
{
	const evaluate_metrics *m = &inner->metrics;
	f->images = m->count;
	f->figures[0] = m->accuracy;
	f->figures[1] = m->macro_f1;
	f->figures[2] = m->mean_auc;
	f->figures[3] = m->loss;
	f->figures[4] = m->have_reliability ? m->reliability.after.ece : NAN;
	f->seconds = inner->history.seconds;
	f->done = true;
}

static bm_status run_fold(crossval *v, int number, bm_error *err)
{
	static const char *const phases[] = {"train", "evaluate", "artifacts"};
	phase_context *c = v->c, inner = {0};
	char name[32];
	base_observer quiet;
	bool finished = false;
	snprintf(name, sizeof name, "fold%d", number + 1);
	bm_status status = phase_within_open(c, name, &c->config, v->options->resume, &quiet, &inner, &finished, err);
	if (status != BM_OK)
		return status;
	base_note(c->outer, "Fold %d of %d%s", number + 1, v->count, finished ? ": done before" : "");
	if (!finished) {
		status = write_split(v, number, &inner, err);
		if (status == BM_OK)
			status = phase_within_note_fold(&inner, number + 1, v->count, err);
		for (size_t i = 0; status == BM_OK && i < sizeof phases / sizeof *phases; i++)
			status = phase_run(&inner, phase_find(phases[i]), err);
	} else {
		status = phase_need_metrics(&inner, err);
		if (status == BM_OK)
			status = phase_need_history(&inner, err);
	}
	if (status == BM_OK)
		take_figures(&inner, &v->folds[number]);
	phase_context_free(&inner);
	return status;
}

/* ---- what came out ---- */

static void spread(const crossval *v, int figure, double *mean, double *deviation, double *low, double *high)
{
	int n = v->count;
	double sum = 0, squares = 0;
	*low = INFINITY;
	*high = -INFINITY;
	for (int i = 0; i < n; i++) {
		double value = v->folds[i].figures[figure];
		sum += value;
		*low = fmin(*low, value);
		*high = fmax(*high, value);
	}
	*mean = sum / n;
	for (int i = 0; i < n; i++)
		squares += (v->folds[i].figures[figure] - *mean) * (v->folds[i].figures[figure] - *mean);
	*deviation = sqrt(squares / (n - 1));
}

static bm_status say_results(const crossval *v, bm_error *err)
{
	enum { COLUMNS = FIGURES + 2 };
	static const bool right[COLUMNS] = {false, true, true, true, true, true, true};
	const char *header[COLUMNS] = {"Fold", "Images"}, *cells[DATA_FOLDS_MAX * COLUMNS];
	char texts[DATA_FOLDS_MAX][COLUMNS][24], values[FIGURES][96];
	report_line lines[FIGURES];
	base_text text = {0};
	json_t *list = json_array(), *summary = json_object();
	int n = v->count;
	for (int k = 0; k < FIGURES; k++)
		header[2 + k] = figure_names[k];
	for (int i = 0; i < n; i++) {
		const fold *f = &v->folds[i];
		json_t *one = json_object();
		snprintf(texts[i][0], sizeof texts[i][0], "%d", i + 1);
		snprintf(texts[i][1], sizeof texts[i][1], "%zu", f->images);
		phase_put_int(v->c, one, "fold", i + 1);
		phase_put_int(v->c, one, "test_images", (long long)f->images);
		phase_put_real(v->c, one, "training_seconds", f->seconds);
		for (int k = 0; k < FIGURES; k++) {
			snprintf(texts[i][2 + k], sizeof texts[i][0], "%.4f", f->figures[k]);
			phase_put_real(v->c, one, figure_keys[k], f->figures[k]);
		}
		for (int k = 0; k < COLUMNS; k++)
			cells[i * COLUMNS + k] = texts[i][k];
		json_array_append_new(list, one);
	}
	for (int k = 0; k < FIGURES; k++) {
		double mean, deviation, low, high;
		spread(v, k, &mean, &deviation, &low, &high);
		snprintf(values[k], sizeof values[k], "%.4f, standard deviation %.4f (%.4f to %.4f)", mean, deviation,
			 low, high);
		lines[k] = (report_line){figure_names[k], values[k]};
		json_t *one = json_object();
		phase_put_real(v->c, one, "mean", mean);
		phase_put_real(v->c, one, "standard_deviation", deviation);
		phase_put_real(v->c, one, "low", low);
		phase_put_real(v->c, one, "high", high);
		phase_put(v->c, summary, figure_keys[k], one);
	}
	base_text_add(&text, "\nCross-validation, %d folds (each image is tested once, near-copies in one fold):\n", n);
	report_table(&text, header, cells, (size_t)n, COLUMNS, right);
	base_text_add(&text, "\nMean over the folds:\n");
	report_tree(&text, lines, FIGURES);
	base_text_add(&text, "The deviation is that of a fold: folds share training images, so it is no error of the "
			     "mean.\n");
	phase_put_int(v->c, NULL, "folds", n);
	phase_put(v->c, NULL, "results", list);
	phase_put(v->c, NULL, "summary", summary);
	return phase_print(v->c, &text, err);
}

/* folds.json: into how many folds which data was cut. *kept: that of an earlier sitting, NULL when there is none. */
static bm_status recall(crossval *v, json_t **kept, bm_error *err)
{
	const phase_context *c = v->c;
	char *path = phase_path(c, CUT, err);
	bm_status status = path ? BM_OK : BM_ERR_MEMORY;
	*kept = NULL;
	if (status == BM_OK && v->options->resume && base_is_file(path))
		status = phase_json_read(path, kept, err);
	base_free(path);
	if (status != BM_OK)
		return status;
	const int before = (int)json_integer_value(json_object_get(*kept, "folds"));
	v->count = v->options->folds ? v->options->folds : *kept ? before : USUAL_FOLDS;
	if (v->count < 2 || v->count > DATA_FOLDS_MAX)
		return base_fail(err, BM_ERR_USAGE, "%d folds: 2 to %d are possible", v->count, DATA_FOLDS_MAX);
	if (*kept && before != v->count)
		return base_fail(err, BM_ERR_USAGE,
				 "'%s' holds a cross-validation of %d folds, not %d; leave --folds away, or choose "
				 "another --out",
				 c->folder, before, v->count);
	return BM_OK;
}

static bm_status keep(const crossval *v, bm_error *err)
{
	char hash[33];
	base_hash_text(v->c->set.hash, hash);
	json_t *json = json_pack("{s:i, s:s}", "folds", v->count, "data", hash);
	bm_status status = json ? phase_write_json(v->c->folder, CUT, json, err)
				: base_fail(err, BM_ERR_MEMORY, "no memory for " CUT);
	json_decref(json);
	return status;
}

bm_status phase_crossval(phase_context *c, const phase_crossval_options *options, bm_error *err)
{
	crossval v = {.c = c, .options = options};
	base_text text = {0};
	json_t *kept = NULL;
	if (c->config.split != DATA_SPLIT_DEFAULT)
		return base_fail(err, BM_ERR_USAGE,
				 "the folds are the split, so --split %s has no meaning here; say --split default, or "
				 "leave it away",
				 run_config_split_name(c->config.split));
	bm_status status = recall(&v, &kept, err);
	if (status == BM_OK)
		status = phase_within_prepare(c, &v.copies, err);
	if (status == BM_OK)
		status = phase_within_check_data(c, kept, err);
	if (status == BM_OK)
		status = keep(&v, err);
	if (status == BM_OK)
		status = phase_begin(c, err);
	if (status != BM_OK)
		goto done;
	report_heading(&text, "CROSS-VALIDATION");
	status = phase_print(c, &text, err);
	for (int i = 0; i < v.count && status == BM_OK; i++)
		status = run_fold(&v, i, err);
	if (status == BM_OK)
		status = say_results(&v, err);
	if (status == BM_OK)
		status = phase_write_json(c->folder, "crossval.json", c->json, err);
done:
	json_decref(kept);
	base_text_free(&text);
	data_near_copies_free(&v.copies);
	return status;
}
