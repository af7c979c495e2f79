/* Phase 9: the best model, chosen on the validation images, on the test images. */
#include <math.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/random.h"
#include "base/threads.h"
#include "data/csv.h"
#include "phases/phases.h"
#include "phases/scores.h"
#include "report/figures.h"
#include "report/tables.h"

enum { TILES = 12, BATCH = 16 };

static const uint64_t tile_stream = 0x74696c6573; /* "tiles" */

typedef struct evaluation {
	phase_context *c;
	phase_scores test;
	evaluate_trust trust;
	const char *const *names;
} evaluation;

/* Both parts classified and judged; the model's file learns what it may be believed. */
static bm_status classify(evaluation *e, const char *file, int image_size, bm_error *err)
{
	phase_context *c = e->c;
	model best = {0};
	model_predictor *predictor = NULL;
	phase_scores validation = {0};
	char *path = phase_path(c, file, err), seconds[32];
	if (!path)
		return BM_ERR_MEMORY;
	bm_status status = model_load(path, &best, err);
	if (status == BM_OK && best.options.classes != c->pack.class_count)
		status = base_fail(err, BM_ERR_DATA,
				   "'%s' tells %d classes apart, the data has %d; train again with 'brainmri train %s'",
				   file, best.options.classes, c->pack.class_count, c->folder);
	if (status != BM_OK)
		goto done;
	phase_say(c, "✓ Model loaded: %s (stage %d, epoch %d, %s)", file, c->history.best_stage, c->history.best_epoch,
		  phase_how_chosen(c));
	phase_say(c, "%s", "");
	phase_say(c, "Evaluating on test set (%zu samples)...", c->split.count[DATA_TEST]);
	status = model_predictor_create(&best, BATCH, image_size, c->threads, &predictor, err);
	if (status == BM_OK)
		status = phase_scores_make(c, predictor, DATA_VALIDATION, &validation, err);
	double begun = base_now();
	if (status == BM_OK)
		status = phase_scores_make(c, predictor, DATA_TEST, &e->test, err);
	if (status != BM_OK)
		goto done;
	double took = base_now() - begun;
	phase_say(c, "✓ %zu images in %s (%.1f images/second, %d x %d pixels%s)", e->test.count,
		  base_format_seconds(took, seconds), (double)e->test.count / took, image_size, image_size,
		  c->config.plan.mirror ? ", each with its mirror image" : "");
	phase_put_text(c, NULL, "model", file);
	phase_put_int(c, NULL, "image_size", image_size);
	phase_put(c, NULL, "mirror", json_boolean(c->config.plan.mirror));
	phase_put_real(c, NULL, "evaluation_seconds", took);
	phase_put_real(c, NULL, "images_per_second", (double)e->test.count / took);
	evaluate_metrics_free(&c->metrics);
	c->have_metrics = false;
	status = evaluate_compute(e->test.probabilities, e->test.labels, e->test.count, e->test.classes, &c->metrics,
				  err);
	if (status == BM_OK)
		status = phase_judge(c, &validation, &e->test, &e->trust, err);
	e->trust.image_size = image_size;
	if (status == BM_OK)
		status = phase_keep_trust(&best, path, &e->trust, err);
done:
	base_free(path);
	phase_scores_free(&validation);
	model_predictor_free(predictor);
	model_free(&best);
	return status;
}

static bm_status write_predictions(const evaluation *e, bm_error *err)
{
	const data_pack *pack = &e->c->pack;
	base_text text = {0};
	base_text_add(&text, "path,label,predicted,confidence");
	for (int k = 0; k < e->test.classes; k++) {
		base_text_add(&text, ",");
		data_csv_add(&text, e->names[k]);
	}
	base_text_add(&text, ",answer,unlikeness\n");
	for (size_t i = 0; i < e->test.count; i++) {
		const float *p = e->test.calibrated + i * (size_t)e->test.classes;
		int best = evaluate_best(p, e->test.classes);
		double unlikeness = e->test.unlikeness ? e->test.unlikeness[i] : NAN;
		bool sure = (double)p[best] >= e->trust.threshold;
		data_csv_add(&text, pack->sources[e->test.indices[i]]);
		base_text_add(&text, ",");
		data_csv_add(&text, e->names[e->test.labels[i]]);
		base_text_add(&text, ",");
		data_csv_add(&text, e->names[best]);
		base_text_add(&text, ",%.6f", (double)p[best]);
		for (int k = 0; k < e->test.classes; k++)
			base_text_add(&text, ",%.6f", (double)p[k]);
		base_text_add(&text, ",%s,", unlikeness > 1 ? "refused" : sure ? "sure" : "not sure");
		if (!isnan(unlikeness))
			base_text_add(&text, "%.4f", unlikeness);
		base_text_add(&text, "\n");
	}
	return phase_write_text(e->c->folder, "predictions.csv", &text, err);
}

/* Twelve test images at random: as many wrong ones among them as chance gives. */
static bm_status sample_predictions(const evaluation *e, bm_error *err)
{
	phase_context *c = e->c;
	report_tile tiles[TILES] = {{0}};
	json_t *list = json_array();
	size_t shown = e->test.count < TILES ? e->test.count : TILES, right = 0;
	size_t *order = base_malloc(e->test.count, sizeof *order, "the order of the samples", err);
	if (!order) {
		json_decref(list);
		return BM_ERR_MEMORY;
	}
	for (size_t i = 0; i < e->test.count; i++)
		order[i] = i;
	base_random random = base_random_make(c->config.seed, tile_stream);
	base_random_shuffle(&random, order, e->test.count);
	for (size_t s = 0; s < shown; s++) {
		size_t i = order[s];
		const float *p = e->test.calibrated + i * (size_t)e->test.classes;
		int best = evaluate_best(p, e->test.classes);
		report_tile *tile = &tiles[s];
		char truth[64], guess[64];
		tile->side = c->pack.side;
		tile->pixels = c->pack.images + e->test.indices[i] * (size_t)c->pack.side * (size_t)c->pack.side;
		tile->colour = best == e->test.labels[i] ? 1 : 2;
		right += best == e->test.labels[i];
		snprintf(tile->caption[0], sizeof tile->caption[0], "True: %.50s",
			 report_class_title(e->names[e->test.labels[i]], truth));
		snprintf(tile->caption[1], sizeof tile->caption[1], "Predicted: %.48s",
			 report_class_title(e->names[best], guess));
		snprintf(tile->caption[2], sizeof tile->caption[2], "Confidence: %.2f", (double)p[best]);
		json_array_append_new(list,
				      json_pack("{s:o, s:s, s:s, s:f, s:b}", "path",
						phase_json_text(c->pack.sources[e->test.indices[i]]), "label",
						e->names[e->test.labels[i]], "predicted", e->names[best], "confidence",
						(double)p[best], "correct", (int)(best == e->test.labels[i])));
	}
	base_free(order);
	phase_put(c, NULL, "samples", list);
	phase_say(c, "%s", "");
	phase_say(c, "Sample Predictions: %zu correct (green), %zu incorrect (red) out of %zu", right, shown - right,
		  shown);
	return phase_figure(c, report_figure_predictions(c->figures, tiles, err), "predictions", err);
}

static void metrics_to_json(const evaluation *e)
{
	phase_context *c = e->c;
	const evaluate_metrics *m = &c->metrics;
	json_t *classes = json_object(), *matrix = json_array();
	phase_put_int(c, NULL, "test_samples", (long long)m->count);
	phase_put_real(c, NULL, "accuracy", m->accuracy);
	phase_put(c, NULL, "accuracy_95", json_pack("[f,f]", m->accuracy_low, m->accuracy_high));
	phase_put_real(c, NULL, "loss", m->loss);
	phase_put_real(c, NULL, "macro_precision", m->macro_precision);
	phase_put_real(c, NULL, "macro_recall", m->macro_recall);
	phase_put_real(c, NULL, "macro_f1", m->macro_f1);
	phase_put_real(c, NULL, "weighted_precision", m->weighted_precision);
	phase_put_real(c, NULL, "weighted_recall", m->weighted_recall);
	phase_put_real(c, NULL, "weighted_f1", m->weighted_f1);
	phase_put_real(c, NULL, "mean_auc", m->mean_auc);
	for (int k = 0; k < m->classes; k++) {
		json_t *one = json_object(), *row = json_array();
		phase_put_real(c, one, "precision", m->per_class[k].precision);
		phase_put_real(c, one, "recall", m->per_class[k].recall);
		phase_put_real(c, one, "f1", m->per_class[k].f1);
		phase_put_int(c, one, "support", (long long)m->per_class[k].support);
		phase_put_real(c, one, "auc", m->per_class[k].auc);
		phase_put(c, classes, e->names[k], one);
		for (int j = 0; j < m->classes; j++)
			json_array_append_new(row, json_integer((json_int_t)m->confusion[k][j]));
		json_array_append_new(matrix, row);
	}
	phase_put(c, NULL, "classes", classes);
	phase_put(c, NULL, "confusion", matrix);
	if (m->confused_a >= 0 && m->confused_b >= 0)
		phase_put(c, NULL, "most_confused",
			  json_pack("[s,s]", e->names[m->confused_a], e->names[m->confused_b]));
	if (m->best_class >= 0)
		phase_put_text(c, NULL, "best_distinguished", e->names[m->best_class]);
}

static bm_status say_metrics(const evaluation *e, bm_error *err)
{
	phase_context *c = e->c;
	base_text text = {0};
	base_text_add(&text, "\n");
	report_test_results(&text, &c->metrics);
	base_text_add(&text, "\nPer-Class Metrics:\n\n");
	report_classification(&text, &c->metrics, e->names);
	base_text_add(&text, "\n");
	report_confusion(&text, &c->metrics, e->names);
	base_text_add(&text, "\n");
	bm_status status = phase_print(c, &text, err);
	if (status == BM_OK)
		status = phase_figure(c, report_figure_confusion(c->figures, &c->metrics, e->names, err),
				      "confusion_matrix", err);
	if (status != BM_OK)
		return status;
	base_text_add(&text, "\n");
	report_auc(&text, &c->metrics, e->names);
	base_text_add(&text, "\n");
	status = phase_print(c, &text, err);
	if (status == BM_OK)
		status = phase_figure(c, report_figure_roc(c->figures, &c->metrics, e->names, err), "roc_curves", err);
	return status;
}

/* Everything behind the probabilities. */
static bm_status judge(evaluation *e, bm_error *err)
{
	phase_context *c = e->c;
	c->have_metrics = true;
	char *path = phase_path(c, "evaluation_metrics.json", err);
	bm_status status = path ? evaluate_metrics_write(&c->metrics, e->names, path, err) : BM_ERR_MEMORY;
	base_free(path);
	if (status == BM_OK)
		status = write_predictions(e, err);
	if (status == BM_OK)
		status = phase_note_made(c, "evaluate", err);
	if (status != BM_OK)
		return status;
	metrics_to_json(e);
	status = say_metrics(e, err);
	if (status == BM_OK)
		status = phase_say_reliability(c, err);
	if (status == BM_OK)
		status = sample_predictions(e, err);
	if (status != BM_OK)
		return status;
	phase_say(c, "%s", "");
	phase_say(c, "Note: no patient identifiers in this data: slices of one patient may stand on both sides of the "
		     "split");
	if (!data_split_tests(c->config.split))
		phase_say(c,
			  "Note: the test images are the validation images (--split %s), which choose and calibrate: "
			  "the figures are no test, and too high",
			  run_config_split_name(c->config.split));
	return BM_OK;
}

bm_status phase_evaluate(phase_context *c, bm_error *err)
{
	base_text text = {0};
	char file[64];
	int image_size;
	bm_status status = phase_need_split(c, err);
	if (status == BM_OK)
		status = phase_need_history(c, err);
	if (status != BM_OK)
		return status;
	phase_best_model(c, file, &image_size);
	report_heading(&text, "PHASE 9: MODEL EVALUATION");
	base_text_add(&text, "\nLoading best model...\n");
	status = phase_print(c, &text, err);
	if (status != BM_OK)
		return status;
	evaluation e = {.c = c, .names = (const char *const *)c->pack.class_names};
	status = classify(&e, file, image_size, err);
	if (status == BM_OK)
		status = judge(&e, err);
	phase_scores_free(&e.test);
	return status;
}
