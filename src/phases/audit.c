#include "phases/audit.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "data/csv.h"
#include "data/leaks.h"
#include "data/pack_format.h"
#include "phases/finished.h"
#include "report/figures.h"
#include "report/tables.h"

enum { SIDES = 2, TRAIN = 0, TEST = 1, SHOWN = 10, PAIRS = 6, BATCH = 16 };

typedef struct audit {
	phase_context *c;
	const phase_audit_options *options;
	char *folder; /* of the packs: options->out, or a temporary one */
	bool temporary;
	data_pack packs[SIDES];
	bool opened[SIDES];
	data_leaks leaks;
	size_t *order; /* [leaks found]: test images, the most alike first */
	size_t found;
} audit;

static const char *const pack_names[SIDES] = {"pack-train", "pack-test"};
static const char *const kind_names[DATA_LEAK_COUNT] = {"none", "exact", "near", "chain"};

/* ---- the folders, preprocessed ---- */

static bm_status choose_folder(audit *a, bm_error *err)
{
	if (a->options->out) {
		a->folder = base_strdup(a->options->out, err);
		return a->folder ? base_make_folders(a->folder, err) : BM_ERR_MEMORY;
	}
	const char *where = getenv("TMPDIR");
	a->folder = base_path_join(where && where[0] ? where : "/tmp", "brainmri-audit-XXXXXX", err);
	if (!a->folder)
		return BM_ERR_MEMORY;
	if (!mkdtemp(a->folder))
		return base_fail(err, BM_ERR_IO, "cannot make a folder for the audit at '%s': %s; name one with --out",
				 a->folder, strerror(errno));
	a->temporary = true;
	return BM_OK;
}

static bm_status make_pack(audit *a, int side, bm_error *err)
{
	phase_context *c = a->c;
	const char *url = side == TRAIN ? a->options->train : a->options->test;
	engine_options options = {.threads = c->threads, .side = DATA_PACK_SIDE, .strict = a->options->strict};
	engine_stats stats = {0};
	storage *store = NULL;
	data_set set = {0};
	char *folder = base_path_join(a->folder, pack_names[side], err);
	bm_status status = folder ? storage_open(url, &store, err) : BM_ERR_MEMORY;
	if (status == BM_OK)
		status = data_scan(store, c->threads, a->options->strict, &c->observer, &set, err);
	if (status == BM_OK)
		status = engine_preprocess(store, &set, folder, &options, &c->observer, &stats, err);
	if (status == BM_OK)
		status = data_pack_open(folder, &a->packs[side], err);
	a->opened[side] = status == BM_OK;
	if (status == BM_OK) {
		char count[32];
		phase_say(c, "%s: %s images of %d classes in %s", side == TRAIN ? "Train" : "Test",
			  base_format_count((long long)a->packs[side].count, count), a->packs[side].class_count, url);
	}
	data_set_free(&set);
	storage_close(store);
	base_free(folder);
	return status;
}

static void remove_temporary(const audit *a)
{
	static const char *const files[] = {DATA_PACK_IMAGES, DATA_PACK_MANIFEST, DATA_PACK_JSON};
	for (int side = 0; side < SIDES; side++) {
		char *folder = base_path_join(a->folder, pack_names[side], NULL);
		for (size_t f = 0; folder && f < sizeof files / sizeof *files; f++) {
			char *path = base_path_join(folder, files[f], NULL);
			if (path)
				unlink(path);
			base_free(path);
		}
		if (folder)
			rmdir(folder);
		base_free(folder);
	}
	rmdir(a->folder);
}

/* ---- what was found ---- */

static const data_leaks *sorting; /* of the running qsort; an audit has one caller */

static int by_likeness(const void *x, const void *y)
{
	size_t a = *(const size_t *)x, b = *(const size_t *)y;
	float r = sorting->correlation[a], s = sorting->correlation[b];
	if (sorting->kind[a] != sorting->kind[b])
		return (sorting->kind[a] > sorting->kind[b]) - (sorting->kind[a] < sorting->kind[b]);
	return r != s ? (r < s) - (r > s) : (a > b) - (a < b);
}

static bm_status sort_leaks(audit *a, bm_error *err)
{
	a->order = base_malloc(a->leaks.count, sizeof *a->order, "the audit", err);
	if (!a->order)
		return BM_ERR_MEMORY;
	for (size_t i = 0; i < a->leaks.count; i++)
		if (a->leaks.kind[i] != DATA_LEAK_NONE)
			a->order[a->found++] = i;
	sorting = &a->leaks;
	qsort(a->order, a->found, sizeof *a->order, by_likeness);
	return BM_OK;
}

static void pairs_to_json(const audit *a)
{
	json_t *list = json_array();
	for (size_t i = 0; i < a->found; i++) {
		size_t t = a->order[i], p = a->leaks.partner[t];
		json_array_append_new(
			list, json_pack("{s:o, s:o, s:s, s:f}", "test", phase_json_text(a->packs[TEST].sources[t]),
					"train", phase_json_text(a->packs[TRAIN].sources[p]), "kind",
					kind_names[a->leaks.kind[t]], "correlation", (double)a->leaks.correlation[t]));
	}
	phase_put(a->c, NULL, "copies", list);
}

static bm_status say_table(audit *a, bm_error *err)
{
	static const char *const header[3] = {"Test images", "Count", "Share"};
	static const bool right[3] = {false, true, true};
	static const char *const labels[DATA_LEAK_COUNT] = {"no copy in the training data", "byte for byte in it",
							    "near-copy of one of it", "near-copy of a near-copy"};
	static const data_leak rows[DATA_LEAK_COUNT] = {DATA_LEAK_EXACT, DATA_LEAK_NEAR, DATA_LEAK_CHAIN,
							DATA_LEAK_NONE};
	char numbers[DATA_LEAK_COUNT][2][32];
	const char *cells[DATA_LEAK_COUNT * 3];
	base_text text = {0};
	for (int i = 0; i < DATA_LEAK_COUNT; i++) {
		size_t n = a->leaks.of_kind[rows[i]];
		base_format_count((long long)n, numbers[i][0]);
		snprintf(numbers[i][1], sizeof numbers[i][1], "%.1f%%", 100.0 * (double)n / (double)a->leaks.count);
		cells[3 * i] = labels[rows[i]];
		cells[3 * i + 1] = numbers[i][0];
		cells[3 * i + 2] = numbers[i][1];
		phase_put_int(a->c, NULL, kind_names[rows[i]], (long long)n);
	}
	base_text_add(&text, "\nCopies (near: correlation over %.2f at %dx%d):\n", (double)DATA_NEAR_COPY_CORRELATION,
		      DATA_NEAR_COPY_SIDE, DATA_NEAR_COPY_SIDE);
	report_table(&text, header, cells, DATA_LEAK_COUNT, 3, right);
	if (a->leaks.across_classes > 0)
		base_text_add(&text, "%zu of them %s of another class there: look at their labels\n",
			      a->leaks.across_classes, a->leaks.across_classes == 1 ? "is" : "are");
	if (a->found > 0)
		base_text_add(&text, "\nThe most alike (test image: training image, correlation):\n");
	for (size_t i = 0; i < a->found && i < SHOWN; i++)
		base_text_add(&text, "  %s: %s, %.4f%s\n", a->packs[TEST].sources[a->order[i]],
			      a->packs[TRAIN].sources[a->leaks.partner[a->order[i]]],
			      (double)a->leaks.correlation[a->order[i]],
			      a->leaks.kind[a->order[i]] == DATA_LEAK_EXACT ? " (same bytes)" : "");
	if (a->found > SHOWN)
		base_text_add(&text, "  ... and %zu more%s\n", a->found - SHOWN,
			      a->options->out ? ", all in copies.csv" : " (--out FOLDER keeps the list)");
	phase_put_int(a->c, NULL, "train_images", (long long)a->packs[TRAIN].count);
	phase_put_int(a->c, NULL, "test_images", (long long)a->packs[TEST].count);
	phase_put_int(a->c, NULL, "across_classes", (long long)a->leaks.across_classes);
	pairs_to_json(a);
	return phase_print(a->c, &text, err);
}

static bm_status write_list(const audit *a, bm_error *err)
{
	base_text text = {0};
	base_text_add(&text, "test,train,kind,correlation\n");
	for (size_t i = 0; i < a->found; i++) {
		size_t t = a->order[i];
		data_csv_add(&text, a->packs[TEST].sources[t]);
		base_text_add(&text, ",");
		data_csv_add(&text, a->packs[TRAIN].sources[a->leaks.partner[t]]);
		base_text_add(&text, ",%s,%.6f\n", kind_names[a->leaks.kind[t]], (double)a->leaks.correlation[t]);
	}
	return phase_write_text(a->options->out, "copies.csv", &text, err);
}

static void fill_tile(report_tile *tile, const data_pack *pack, size_t index, const char *what, const char *more)
{
	tile->pixels = pack->images + index * (size_t)pack->side * (size_t)pack->side;
	tile->side = pack->side;
	snprintf(tile->caption[0], sizeof tile->caption[0], "%s", what);
	snprintf(tile->caption[1], sizeof tile->caption[1], "%.26s", base_path_name(pack->sources[index]));
	snprintf(tile->caption[2], sizeof tile->caption[2], "%s", more);
}

/* Six pairs from all over the list, not only those with the same bytes. */
static bm_status draw_pairs(const audit *a, bm_error *err)
{
	report_tile tiles[2 * PAIRS] = {{0}};
	size_t shown = a->found < PAIRS ? a->found : PAIRS;
	for (size_t i = 0; i < shown; i++) {
		size_t t = a->order[shown > 1 ? i * (a->found - 1) / (shown - 1) : 0];
		char likeness[64];
		snprintf(likeness, sizeof likeness, "r = %.4f%s", (double)a->leaks.correlation[t],
			 a->leaks.kind[t] == DATA_LEAK_EXACT ? ", same bytes" : "");
		fill_tile(&tiles[2 * i], &a->packs[TEST], t, "test", likeness);
		fill_tile(&tiles[2 * i + 1], &a->packs[TRAIN], a->leaks.partner[t], "train", "");
	}
	char *figures = base_path_join(a->options->out, "figures", err);
	bm_status status =
		figures ? phase_figure(a->c, report_figure_copies(figures, tiles, err), "copies", err) : BM_ERR_MEMORY;
	base_free(figures);
	return status;
}

/* ---- a model on the test images ---- */

static void say_accuracy(const audit *a, base_text *text, const char *name, const char *key, size_t right, size_t count)
{
	json_t *json = json_pack("{s:I, s:I}", "images", (json_int_t)count, "right", (json_int_t)right);
	double low, high, share = count > 0 ? (double)right / (double)count : NAN;
	if (count > 0) {
		evaluate_wilson(share, (double)count, &low, &high);
		base_text_add(text, "  %-28s %.4f (%.4f to %.4f), %zu of %zu\n", name, share, low, high, right, count);
		phase_put(a->c, json, "interval_95", json_pack("[f,f]", low, high));
	} else {
		base_text_add(text, "  %-28s no image\n", name);
	}
	phase_put_real(a->c, json, "accuracy", share);
	phase_put(a->c, NULL, key, json);
}

/* labels[k]: the model's class that has the name of the test folder's class k; -1: none. */
static bm_status match_classes(const audit *a, const model *m, int labels[DATA_CLASSES_MAX], bm_error *err)
{
	const data_pack *test = &a->packs[TEST];
	for (int k = 0; k < test->class_count; k++) {
		labels[k] = -1;
		for (int j = 0; j < m->options.classes; j++)
			if (strcmp(test->class_names[k], m->class_names[j]) == 0)
				labels[k] = j;
		if (labels[k] < 0)
			return base_fail(err, BM_ERR_DATA,
					 "'%s' knows no class called '%s', which '%s' has; audit with a model that was "
					 "trained on these classes",
					 a->options->model, test->class_names[k], a->options->test);
	}
	return BM_OK;
}

static bm_status judge_model(audit *a, bm_error *err)
{
	phase_finished f = {0};
	model_predictor *predictor = NULL;
	float *probabilities = NULL;
	const data_pack *test = &a->packs[TEST];
	int labels[DATA_CLASSES_MAX];
	size_t right[2] = {0}, count[2] = {0}; /* without a copy, with one */
	base_text text = {0};
	bm_status status = phase_finished_load(a->options->model, &f, err);
	if (status == BM_OK)
		status = match_classes(a, &f.network, labels, err);
	if (status == BM_OK)
		status = model_predictor_create(&f.network, BATCH, f.size, a->c->threads, &predictor, err);
	if (status != BM_OK)
		goto done;
	const int classes = f.network.options.classes;
	probabilities = base_malloc(test->count, (size_t)classes * sizeof(float), "the predictions", err);
	status = probabilities ? model_predict_pack(predictor, test, NULL, test->count, f.mirror, &a->c->observer,
						    probabilities, err)
			       : BM_ERR_MEMORY;
	if (status != BM_OK)
		goto done;
	for (size_t i = 0; i < test->count; i++) {
		int copied = a->leaks.kind[i] != DATA_LEAK_NONE;
		count[copied]++;
		right[copied] += evaluate_best(probabilities + i * (size_t)classes, classes) == labels[test->labels[i]];
	}
	base_text_add(&text, "\nAccuracy of %s (95 %% interval):\n", a->options->model);
	say_accuracy(a, &text, "all test images", "accuracy_all", right[0] + right[1], test->count);
	say_accuracy(a, &text, "without the copies", "accuracy_without", right[0], count[0]);
	say_accuracy(a, &text, "the copies alone", "accuracy_copies", right[1], count[1]);
	phase_put_text(a->c, NULL, "model", a->options->model);
	status = phase_print(a->c, &text, err);
done:
	base_text_free(&text);
	base_free(probabilities);
	model_predictor_free(predictor);
	phase_finished_free(&f);
	return status;
}

static bm_status keep(audit *a, bm_error *err)
{
	bm_status status = phase_write_json(a->options->out, "audit.json", a->c->json, err);
	if (status == BM_OK)
		status = write_list(a, err);
	if (status == BM_OK && a->found > 0)
		status = draw_pairs(a, err);
	return status;
}

bm_status phase_audit(phase_context *c, const phase_audit_options *options, bm_error *err)
{
	audit a = {.c = c, .options = options};
	base_text text = {0};
	report_heading(&text, "LEAK AUDIT");
	base_text_add(&text, "\n");
	bm_status status = phase_print(c, &text, err);
	if (status == BM_OK)
		status = choose_folder(&a, err);
	for (int side = 0; side < SIDES && status == BM_OK; side++)
		status = make_pack(&a, side, err);
	if (status == BM_OK)
		status = data_find_leaks(&a.packs[TRAIN], &a.packs[TEST], c->threads, &c->observer, &a.leaks, err);
	if (status == BM_OK)
		status = sort_leaks(&a, err);
	if (status == BM_OK)
		status = say_table(&a, err);
	if (status == BM_OK && options->model)
		status = judge_model(&a, err);
	if (status == BM_OK && options->out)
		status = keep(&a, err);
	if (status == BM_OK)
		phase_say(c, "%s", "");
	if (status == BM_OK)
		phase_say(c, "Note: copies are found by content. Different slices of one patient are no copies, and no "
			     "audit of images without patient identifiers can find them.");
	for (int side = 0; side < SIDES; side++)
		if (a.opened[side])
			data_pack_close(&a.packs[side]);
	if (a.temporary)
		remove_temporary(&a);
	data_leaks_free(&a.leaks);
	base_free(a.order);
	base_free(a.folder);
	return status;
}
