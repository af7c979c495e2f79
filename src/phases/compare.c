#include "phases/compare.h"

#include <math.h>
#include <stdarg.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "data/csv.h"
#include "phases/context.h"
#include "report/compare.h"
#include "report/tables.h"

enum { FIXED_COLUMNS = 4, RESULT_ROWS = 12 + DATA_CLASSES_MAX, PLACES = 96, RUNS_MOST = 16 };

/* One run, as far as it is compared. */
typedef struct run {
	const char *folder;
	json_t *config;
	base_hash data; /* of the listed images */
	train_history history;
	evaluate_metrics metrics;
	uint8_t *csv;		       /* predictions.csv, its fields in place */
	char **paths;		       /* [metrics.count] */
	bool *right;		       /* [metrics.count] */
	char *names[DATA_CLASSES_MAX]; /* into csv */
} run;

/* A table that grows by rows of strings. */
typedef struct rows {
	report_row items[RESULT_ROWS];
	size_t count;
	char *cells; /* [RESULT_ROWS][runs][PLACES] */
	const char **values;
	char names[RESULT_ROWS][PLACES];
} rows;

static void run_free(run *r)
{
	json_decref(r->config);
	train_history_free(&r->history);
	evaluate_metrics_free(&r->metrics);
	base_free(r->paths);
	base_free(r->right);
	base_free(r->csv);
}

/* The path of a file of the run; BM_ERR_NOT_FOUND with the command that makes it. */
static bm_status find(const run *r, const char *name, const char *command, char **path, bm_error *err)
{
	*path = base_path_join(r->folder, name, err);
	if (!*path)
		return BM_ERR_MEMORY;
	if (base_is_file(*path))
		return BM_OK;
	base_free(*path);
	*path = NULL;
	return base_fail(err, BM_ERR_NOT_FOUND, "'%s' has no %s yet; run 'brainmri %s %s' first", r->folder, name,
			 command, r->folder);
}

static bm_status damaged(const run *r, bm_error *err)
{
	return base_fail(err, BM_ERR_FORMAT,
			 "'%s/predictions.csv' does not fit evaluation_metrics.json; run 'brainmri evaluate %s' again",
			 r->folder, r->folder);
}

static bm_status read_predictions(run *r, const char *path, bm_error *err)
{
	char *fields[FIXED_COLUMNS + DATA_CLASSES_MAX + 1];
	size_t size = 0, i = 0;
	int columns = FIXED_COLUMNS + r->metrics.classes, found;
	bm_status status = base_file_read(path, (size_t)1 << 30, &r->csv, &size, err);
	if (status != BM_OK)
		return status;
	r->paths = base_calloc(r->metrics.count, sizeof *r->paths, "the predictions", err);
	r->right = base_calloc(r->metrics.count, sizeof *r->right, "the predictions", err);
	if (!r->paths || !r->right)
		return BM_ERR_MEMORY;
	data_csv csv = {.at = (char *)r->csv, .end = (char *)r->csv + size};
	if (data_csv_row(&csv, fields, columns + 1) < columns)
		return damaged(r, err);
	memcpy(r->names, fields + FIXED_COLUMNS, (size_t)r->metrics.classes * sizeof *r->names);
	while ((found = data_csv_row(&csv, fields, columns + 1)) != 0) {
		if (found < columns || i >= r->metrics.count)
			return damaged(r, err);
		r->paths[i] = fields[0];
		r->right[i] = strcmp(fields[1], fields[2]) == 0;
		i++;
	}
	return i == r->metrics.count ? BM_OK : damaged(r, err);
}

/* Figures beside settings that they were not made with, or of images that are not those listed, would compare nothing. */
static bm_status check_run(run *r, bm_error *err)
{
	static const char *const phases[] = {"preprocess", "train", "evaluate"};
	phase_context c = {.folder = base_strdup(r->folder, err)};
	bm_status status = c.folder ? phase_need_set(&c, err) : BM_ERR_MEMORY;
	r->data = c.set.hash;
	for (size_t i = 0; status == BM_OK && i < sizeof phases / sizeof *phases; i++)
		status = phase_check_made(&c, phases[i], err);
	data_set_free(&c.set);
	base_free(c.folder);
	return status;
}

static bm_status read_run(const char *folder, run *r, bm_error *err)
{
	char *path;
	run_config config;
	r->folder = folder;
	bm_status status = find(r, "config.json", "run DATA --out", &path, err);
	if (status != BM_OK)
		return status;
	run_config_init(&config);
	status = run_config_read(path, &config, err);
	base_free(path);
	if (status == BM_OK)
		status = run_config_to_json(&config, &r->config, err);
	run_config_free(&config);
	if (status == BM_OK)
		status = find(r, "training_history.json", "train", &path, err);
	if (status != BM_OK)
		return status;
	status = train_history_read(path, &r->history, err);
	base_free(path);
	if (status == BM_OK)
		status = find(r, "evaluation_metrics.json", "evaluate", &path, err);
	if (status != BM_OK)
		return status;
	status = evaluate_metrics_read(path, &r->metrics, err);
	base_free(path);
	if (status == BM_OK)
		status = find(r, "predictions.csv", "evaluate", &path, err);
	if (status != BM_OK)
		return status;
	status = read_predictions(r, path, err);
	base_free(path);
	return status == BM_OK ? check_run(r, err) : status;
}

/* ---- rows ---- */

static char *cell_of(const rows *t, size_t row, size_t runs, size_t r)
{
	return t->cells + (row * runs + r) * PLACES;
}

static bm_status rows_create(rows *t, size_t runs, bm_error *err)
{
	*t = (rows){0};
	t->cells = base_calloc(RESULT_ROWS * runs, PLACES, "the comparison", err);
	t->values = base_calloc(RESULT_ROWS * runs, sizeof *t->values, "the comparison", err);
	for (size_t i = 0; t->cells && t->values && i < RESULT_ROWS * runs; i++)
		t->values[i] = t->cells + i * PLACES;
	return t->cells && t->values ? BM_OK : BM_ERR_MEMORY;
}

static void rows_free(rows *t)
{
	base_free(t->cells);
	base_free(t->values);
}

/* A new row; its cells are filled by the caller. sign 1: more is better, -1: less, 0: neither; figures[runs]. */
static size_t add_row(rows *t, size_t runs, const char *name, const double *figures, int sign)
{
	size_t row = t->count++;
	int best = -1;
	for (size_t r = 0; sign != 0 && r < runs; r++)
		if (isfinite(figures[r]) && (best < 0 || sign * figures[r] > sign * figures[best]))
			best = (int)r;
	for (size_t r = 0; best >= 0 && r < runs; r++)
		if ((int)r != best && isfinite(figures[r]) && !(sign * figures[r] < sign * figures[best]))
			best = -1; /* a tie */
	snprintf(t->names[row], sizeof t->names[row], "%s", name);
	t->items[row] = (report_row){t->names[row], t->values + row * runs, best};
	return row;
}

static void add_figures(rows *t, size_t runs, const char *name, const char *format, const double *figures, int sign)
	__attribute__((format(printf, 4, 0)));
static void add_figures(rows *t, size_t runs, const char *name, const char *format, const double *figures, int sign)
{
	size_t row = add_row(t, runs, name, figures, sign);
	for (size_t r = 0; r < runs; r++) {
		if (isfinite(figures[r]))
			snprintf(cell_of(t, row, runs, r), PLACES, format, figures[r]);
		else
			snprintf(cell_of(t, row, runs, r), PLACES, "-");
	}
}

static bm_status results(const run *all, size_t runs, rows *t, bm_error *err)
{
	double *figures = base_calloc(runs, sizeof *figures, "the comparison", err);
	char name[96], title[64], seconds[32];
	if (!figures)
		return BM_ERR_MEMORY;
#define EACH(value)                       \
	for (size_t r = 0; r < runs; r++) \
	figures[r] = (value)
	EACH(all[r].metrics.accuracy);
	size_t row = add_row(t, runs, "Test accuracy (95 % interval)", figures, 1);
	for (size_t r = 0; r < runs; r++)
		snprintf(cell_of(t, row, runs, r), PLACES, "%.1f %% (%.1f to %.1f)", 100 * all[r].metrics.accuracy,
			 100 * all[r].metrics.accuracy_low, 100 * all[r].metrics.accuracy_high);
	EACH((double)all[r].metrics.count);
	add_figures(t, runs, "Test images", "%.0f", figures, 0);
	EACH(all[r].metrics.macro_f1);
	add_figures(t, runs, "Macro F1", "%.4f", figures, 1);
	for (int k = 0; k < all[0].metrics.classes; k++) {
		snprintf(name, sizeof name, "F1 of %s", report_class_title(all[0].names[k], title));
		EACH(all[r].metrics.per_class[k].f1);
		add_figures(t, runs, name, "%.4f", figures, 1);
	}
	EACH(all[r].metrics.mean_auc);
	add_figures(t, runs, "Mean AUC", "%.4f", figures, 1);
	EACH(all[r].metrics.loss);
	add_figures(t, runs, "Test loss", "%.4f", figures, -1);
	EACH(all[r].history.seconds);
	row = add_row(t, runs, "Training time", figures, -1);
	for (size_t r = 0; r < runs; r++)
		snprintf(cell_of(t, row, runs, r), PLACES, "%s", base_format_seconds(figures[r], seconds));
	EACH((double)all[r].history.count);
	add_figures(t, runs, "Epochs", "%.0f", figures, 0);
	EACH((double)all[r].history.best_epoch);
	row = add_row(t, runs, "Best epoch", figures, 0);
	for (size_t r = 0; r < runs; r++)
		snprintf(cell_of(t, row, runs, r), PLACES, "stage %d, epoch %d", all[r].history.best_stage,
			 all[r].history.best_epoch);
#undef EACH
	base_free(figures);
	return BM_OK;
}

/* ---- settings ---- */

static void setting_text(const json_t *value, char *text)
{
	if (json_is_string(value))
		snprintf(text, PLACES, "%s", json_string_value(value));
	else if (json_is_boolean(value))
		snprintf(text, PLACES, json_is_true(value) ? "yes" : "no");
	else if (json_is_integer(value))
		snprintf(text, PLACES, "%lld", (long long)json_integer_value(value));
	else if (json_is_real(value))
		snprintf(text, PLACES, "%g", json_real_value(value));
	else
		snprintf(text, PLACES, json_is_array(value) || json_is_object(value) ? "(%zu)" : "-",
			 json_array_size(value));
}

/* Rows for what differs among the same member of each run's configuration. values[runs], NULL where there is none. */
static void differences(rows *t, size_t runs, const char *name, json_t *const *values)
{
	bool same = true, nested = true;
	for (size_t r = 0; r < runs; r++) {
		same = same && (values[r] ? json_equal(values[0], values[r]) : !values[0]);
		nested = nested && (json_is_object(values[r]) || json_is_array(values[r]));
	}
	if (same || t->count == RESULT_ROWS)
		return;
	if (!nested) {
		size_t row = add_row(t, runs, name, NULL, 0);
		for (size_t r = 0; r < runs; r++)
			setting_text(values[r], cell_of(t, row, runs, r));
		return;
	}
	json_t *parts[RUNS_MOST];
	char part[PLACES];
	if (json_is_array(values[0])) {
		size_t most = 0;
		for (size_t r = 0; r < runs; r++)
			most = json_array_size(values[r]) > most ? json_array_size(values[r]) : most;
		for (size_t i = 0; i < most; i++) {
			for (size_t r = 0; r < runs; r++)
				parts[r] = json_array_get(values[r], i);
			snprintf(part, sizeof part, "%.70s[%zu]", name, i + 1);
			differences(t, runs, part, parts);
		}
		return;
	}
	/* All runs' configurations come from the same writer: the first has every key. */
	for (void *i = json_object_iter(values[0]); i; i = json_object_iter_next(values[0], i)) {
		const char *key = json_object_iter_key(i);
		if (strcmp(key, "out") == 0)
			continue;
		for (size_t r = 0; r < runs; r++)
			parts[r] = json_object_get(values[r], key);
		snprintf(part, sizeof part, "%.50s%s%.40s", name, *name ? "." : "", key);
		differences(t, runs, part, parts);
	}
}

/* ---- two by two ---- */

double phase_mcnemar(size_t a, size_t b)
{
	size_t n = a + b, least = a < b ? a : b;
	double sum = 0;
	for (size_t i = 0; i <= least; i++)
		sum += exp(lgamma((double)n + 1) - lgamma((double)i + 1) - lgamma((double)(n - i) + 1) -
			   (double)n * log(2));
	return fmin(1, 2 * sum);
}

static bool same_images(const run *a, const run *b)
{
	bool same = base_hash_equal(a->data, b->data) && a->metrics.count == b->metrics.count;
	for (size_t i = 0; same && i < a->metrics.count; i++)
		same = strcmp(a->paths[i], b->paths[i]) == 0;
	return same;
}

/* A sentence about each two runs, and the same as JSON. */
static bm_status pairs(const run *all, size_t runs, base_text *notes, size_t *count, json_t *list, bm_error *err)
{
	for (size_t x = 0; x < runs; x++)
		for (size_t y = x + 1; y < runs; y++) {
			const run *a = &all[x], *b = &all[y];
			size_t only_a = 0, only_b = 0;
			(*count)++;
			if (!same_images(a, b)) {
				base_text_add(notes,
					      "%s and %s were tested on different images: only their intervals can be "
					      "compared.",
					      a->folder, b->folder);
				base_text_append(notes, "", 1); /* a NUL ends each */
				json_array_append_new(list, json_pack("{s:s, s:s, s:b}", "a", a->folder, "b", b->folder,
								      "same_images", 0));
				continue;
			}
			for (size_t i = 0; i < a->metrics.count; i++) {
				only_a += a->right[i] && !b->right[i];
				only_b += b->right[i] && !a->right[i];
			}
			double p = phase_mcnemar(only_a, only_b);
			base_text_add(notes, "Of the same %zu test images %s alone gets %zu right, %s alone %zu: ",
				      a->metrics.count, a->folder, only_a, b->folder, only_b);
			base_text_add(notes,
				      p < 0.05 ? "more than chance (McNemar, p = %.2g)."
					       : "no more than chance may give (McNemar, p = %.2g).",
				      p);
			base_text_append(notes, "", 1);
			json_array_append_new(list,
					      json_pack("{s:s, s:s, s:b, s:I, s:I, s:f}", "a", a->folder, "b",
							b->folder, "same_images", 1, "only_a_right", (json_int_t)only_a,
							"only_b_right", (json_int_t)only_b, "mcnemar_p", p));
		}
	return notes->failed ? base_fail(err, BM_ERR_MEMORY, "no memory for the comparison") : BM_OK;
}

/* ---- all of it ---- */

static json_t *run_json(const run *r)
{
	json_t *classes = json_object();
	for (int k = 0; k < r->metrics.classes; k++)
		json_object_set_new(classes, r->names[k], json_real(r->metrics.per_class[k].f1));
	return json_pack("{s:s, s:I, s:f, s:[f,f], s:f, s:f, s:o?, s:f, s:I, s:o}", "run", r->folder, "test_samples",
			 (json_int_t)r->metrics.count, "accuracy", r->metrics.accuracy, "accuracy_95",
			 r->metrics.accuracy_low, r->metrics.accuracy_high, "loss", r->metrics.loss, "macro_f1",
			 r->metrics.macro_f1, "mean_auc",
			 isfinite(r->metrics.mean_auc) ? json_real(r->metrics.mean_auc) : NULL, "training_seconds",
			 r->history.seconds, "epochs", (json_int_t)r->history.count, "f1", classes);
}

static json_t *rows_json(const rows *t, size_t runs)
{
	json_t *object = json_object();
	for (size_t i = 0; i < t->count; i++) {
		json_t *list = json_array();
		for (size_t r = 0; r < runs; r++)
			json_array_append_new(list, json_string(t->items[i].values[r]));
		json_object_set_new(object, t->items[i].name, list);
	}
	return object;
}

static bm_status add_table(base_text *text, const run *all, size_t runs, const rows *t, const char *title,
			   bm_error *err)
{
	size_t columns = runs + 1;
	const char **header = base_calloc(columns, sizeof *header, "the comparison", err);
	const char **cells = base_calloc(columns * (t->count + 1), sizeof *cells, "the comparison", err);
	bool *right = base_calloc(columns, sizeof *right, "the comparison", err);
	bm_status status = header && cells && right ? BM_OK : BM_ERR_MEMORY;
	if (status == BM_OK) {
		header[0] = title;
		for (size_t r = 0; r < runs; r++) {
			header[r + 1] = all[r].folder;
			right[r + 1] = true;
		}
		for (size_t i = 0; i < t->count; i++) {
			cells[i * columns] = t->items[i].name;
			memcpy(&cells[i * columns + 1], t->items[i].values, runs * sizeof *cells);
		}
		report_table(text, header, cells, t->count, columns, right);
	}
	base_free(header);
	base_free(cells);
	base_free(right);
	return status;
}

static bm_status check_classes(const run *all, size_t runs, bm_error *err)
{
	for (size_t r = 1; r < runs; r++) {
		bool same = all[r].metrics.classes == all[0].metrics.classes;
		for (int k = 0; same && k < all[0].metrics.classes; k++)
			same = strcmp(all[r].names[k], all[0].names[k]) == 0;
		if (!same)
			return base_fail(err, BM_ERR_DATA,
					 "'%s' and '%s' have different classes: they cannot be compared", all[0].folder,
					 all[r].folder);
	}
	return BM_OK;
}

/* The page, the lines and the JSON of what was read. */
static bm_status tell(const run *all, size_t runs, const char *path, base_text *text, json_t **json, bm_error *err)
{
	rows result = {0}, setting = {0};
	base_text notes = {0};
	size_t note_count = 0;
	json_t *pair_list = json_array(), *run_list = json_array();
	json_t *configs[RUNS_MOST] = {NULL};
	const char **sentences = base_calloc(runs * runs, sizeof *sentences, "the comparison", err);
	report_compared *shown = base_calloc(runs, sizeof *shown, "the comparison", err);
	bm_status status = sentences && shown && pair_list && run_list ? BM_OK : BM_ERR_MEMORY;
	if (status == BM_OK)
		status = rows_create(&result, runs, err);
	if (status == BM_OK)
		status = rows_create(&setting, runs, err);
	if (status == BM_OK)
		status = results(all, runs, &result, err);
	if (status == BM_OK)
		status = pairs(all, runs, &notes, &note_count, pair_list, err);
	if (status != BM_OK)
		goto done;
	for (size_t r = 0; r < runs; r++) {
		configs[r] = all[r].config;
		shown[r] = (report_compared){all[r].folder, &all[r].metrics, &all[r].history,
					     (const char *const *)all[r].names};
		json_array_append_new(run_list, run_json(&all[r]));
	}
	differences(&setting, runs, "", configs);
	const char *at = base_text_string(&notes);
	for (size_t i = 0; i < note_count; i++, at += strlen(at) + 1)
		sentences[i] = at;
	status = add_table(text, all, runs, &result, "Results", err);
	if (status == BM_OK && setting.count > 0) {
		base_text_add(text, "\n");
		status = add_table(text, all, runs, &setting, "Settings that differ", err);
	}
	base_text_add(text, "\n");
	for (size_t i = 0; i < note_count; i++)
		base_text_add(text, "%s\n", sentences[i]);
	report_comparison page = {shown,	 runs,		result.items, result.count,
				  setting.items, setting.count, sentences,    note_count};
	if (status == BM_OK)
		status = report_write_comparison(&page, path, err);
	if (status != BM_OK)
		goto done;
	base_text_add(text, "\nReport: %s\n", path);
	*json = json_pack("{s:s, s:O, s:o, s:O, s:s}", "command", "report", "runs", run_list, "settings",
			  rows_json(&setting, runs), "pairs", pair_list, "report", path);
	if (!*json || text->failed)
		status = base_fail(err, BM_ERR_MEMORY, "no memory for the comparison");
done:
	json_decref(pair_list);
	json_decref(run_list);
	base_free(sentences);
	base_free(shown);
	rows_free(&result);
	rows_free(&setting);
	base_text_free(&notes);
	return status;
}

bm_status phase_compare(const char *const *folders, size_t count, const char *path, base_text *text, json_t **json,
			bm_error *err)
{
	*json = NULL;
	if (count < 2 || count > RUNS_MOST)
		return base_fail(err, BM_ERR_USAGE, "2 to %d runs can be compared, not %zu", RUNS_MOST, count);
	run *all = base_calloc(count, sizeof *all, "the comparison", err);
	bm_status status = all ? BM_OK : BM_ERR_MEMORY;
	for (size_t r = 0; r < count && status == BM_OK; r++)
		status = read_run(folders[r], &all[r], err);
	if (status == BM_OK)
		status = check_classes(all, count, err);
	if (status == BM_OK)
		status = tell(all, count, path, text, json, err);
	for (size_t r = 0; all && r < count; r++)
		run_free(&all[r]);
	base_free(all);
	return status;
}
