/* Phase 9: how far the model and its figures may be believed. All that is chosen is chosen on validation images. */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "phases/phases.h"
#include "phases/scores.h"
#include "report/figures.h"
#include "report/tables.h"

bm_status phase_scores_make(phase_context *c, model_predictor *predictor, data_part part, phase_scores *out,
			    bm_error *err)
{
	const data_pack *pack = &c->pack;
	size_t pixels = (size_t)pack->side * (size_t)pack->side;
	*out = (phase_scores){.indices = c->split.indices[part],
			      .count = c->split.count[part],
			      .classes = model_predictor_classes(predictor),
			      .features = model_predictor_features(predictor)};
	out->labels = base_malloc(out->count, sizeof *out->labels, "the labels", err);
	out->probabilities = base_malloc(out->count, (size_t)out->classes * sizeof(float), "the predictions", err);
	out->seen = base_malloc(out->count, (size_t)out->features * sizeof(float), "the features", err);
	out->statistics = base_malloc(out->count, EVALUATE_STATISTICS * sizeof(double), "the features", err);
	if (!out->labels || !out->probabilities || !out->seen || !out->statistics)
		return BM_ERR_MEMORY;
	for (size_t i = 0; i < out->count; i++) {
		out->labels[i] = pack->labels[out->indices[i]];
		evaluate_image_statistics(pack->images + out->indices[i] * pixels, pack->side,
					  out->statistics + i * EVALUATE_STATISTICS);
	}
	return model_predict_pack_features(predictor, pack, out->indices, out->count, c->config.plan.mirror,
					   &c->observer, out->probabilities, out->seen, err);
}

void phase_scores_free(phase_scores *s)
{
	base_free(s->labels);
	base_free(s->probabilities);
	base_free(s->seen);
	base_free(s->statistics);
	base_free(s->calibrated);
	base_free(s->unlikeness);
	*s = (phase_scores){0};
}

static bm_status temper(const phase_scores *s, double temperature, float **out, bm_error *err)
{
	*out = base_malloc(s->count, (size_t)s->classes * sizeof(float), "the predictions", err);
	if (!*out)
		return BM_ERR_MEMORY;
	evaluate_temper(s->probabilities, s->count, s->classes, temperature, *out);
	return BM_OK;
}

static size_t refused(const phase_scores *s, const evaluate_unlike *u, double *unlikeness)
{
	size_t count = 0;
	for (size_t i = 0; i < s->count; i++) {
		double value = evaluate_unlikeness(u, s->seen + i * (size_t)s->features,
						   s->statistics + i * EVALUATE_STATISTICS);
		count += value > 1;
		if (unlikeness)
			unlikeness[i] = value;
	}
	return count;
}

static bm_status learn_likeness(phase_context *c, const phase_scores *validation, phase_scores *test,
				evaluate_trust *trust, bm_error *err)
{
	evaluate_reliability *r = &c->metrics.reliability;
	bm_error why = {0};
	bm_status status =
		evaluate_unlike_fit(validation->seen, validation->features, validation->statistics, validation->labels,
				    validation->count, validation->classes, &trust->unlike, &why);
	if (status == BM_ERR_DATA) {
		base_warning(&c->observer, "No check for images that are unlike those trained on: %s", why.message);
		return BM_OK;
	}
	if (status != BM_OK)
		return base_fail(err, status, "%s", why.message);
	test->unlikeness = base_malloc(test->count, sizeof *test->unlikeness, "the predictions", err);
	if (!test->unlikeness)
		return BM_ERR_MEMORY;
	trust->have_unlike = r->have_unlike = true;
	r->validation_refused = refused(validation, &trust->unlike, NULL);
	r->refused = refused(test, &trust->unlike, test->unlikeness);
	return BM_OK;
}

/* Intervals over whole groups of near-copies, as split.csv names them. */
static bm_status intervals(phase_context *c, const phase_scores *test, bm_error *err)
{
	size_t *all = base_malloc(c->pack.count, sizeof *all, "the groups", err);
	size_t *groups = base_malloc(test->count, sizeof *groups, "the groups", err);
	char *path = phase_path(c, "split.csv", err);
	bm_status status =
		all && groups && path ? data_split_read_groups(path, c->pack.count, all, err) : BM_ERR_MEMORY;
	for (size_t i = 0; status == BM_OK && i < test->count; i++)
		groups[i] = all[test->indices[i]];
	if (status == BM_OK)
		status = evaluate_bootstrap(test->probabilities, test->calibrated, test->labels, groups, test->count,
					    test->classes, EVALUATE_RESAMPLES, c->config.seed, c->threads,
					    &c->metrics.reliability.intervals, err);
	base_free(path);
	base_free(groups);
	base_free(all);
	return status;
}

bm_status phase_judge(phase_context *c, const phase_scores *validation, phase_scores *test, evaluate_trust *trust,
		      bm_error *err)
{
	evaluate_reliability *r = &c->metrics.reliability;
	const int classes = test->classes;
	float *seen = NULL; /* the validation images, tempered */
	*trust = (evaluate_trust){.temperature = 1, .mirror = c->config.plan.mirror};
	*r = (evaluate_reliability){.validation = validation->count};
	bm_status status = evaluate_fit_temperature(validation->probabilities, validation->labels, validation->count,
						    classes, &trust->temperature, err);
	if (status == BM_OK)
		status = temper(validation, trust->temperature, &seen, err);
	if (status == BM_OK)
		status = temper(test, trust->temperature, &test->calibrated, err);
	if (status == BM_OK)
		status = evaluate_choose_threshold(seen, validation->labels, validation->count, classes,
						   EVALUATE_TARGET, &trust->threshold, err);
	if (status == BM_OK)
		status = learn_likeness(c, validation, test, trust, err);
	if (status != BM_OK)
		goto done;
	r->temperature = trust->temperature;
	r->threshold = trust->threshold;
	evaluate_at_threshold(seen, validation->labels, validation->count, classes, trust->threshold,
			      &r->validation_answered, &r->validation_right);
	evaluate_at_threshold(test->calibrated, test->labels, test->count, classes, trust->threshold, &r->answered,
			      &r->right);
	evaluate_calibrate(test->probabilities, test->labels, test->count, classes, &r->before);
	evaluate_calibrate(test->calibrated, test->labels, test->count, classes, &r->after);
	status = evaluate_coverage_curve(test->calibrated, test->labels, test->count, classes, r->curve, err);
	if (status == BM_OK)
		status = intervals(c, test, err);
	c->metrics.have_reliability = status == BM_OK;
done:
	base_free(seen);
	return status;
}

bm_status phase_keep_trust(model *m, const char *path, const evaluate_trust *trust, bm_error *err)
{
	char *text = evaluate_trust_to_text(trust, err);
	if (!text)
		return BM_ERR_MEMORY;
	bool same = m->trust && strcmp(m->trust, text) == 0;
	base_free(m->trust);
	m->trust = text;
	return same ? BM_OK : model_save_trust(m, path, err);
}

bm_status phase_say_reliability(phase_context *c, bm_error *err)
{
	base_text text = {0};
	base_text_add(&text, "\n");
	report_reliability(&text, &c->metrics);
	base_text_add(&text, "\n");
	bm_status status = phase_print(c, &text, err);
	phase_put(c, NULL, "reliability", evaluate_reliability_json(&c->metrics.reliability));
	if (status == BM_OK)
		status = phase_figure(c, report_figure_reliability(c->figures, &c->metrics, err), "reliability", err);
	if (status == BM_OK)
		status = phase_figure(c, report_figure_coverage(c->figures, &c->metrics, err), "coverage", err);
	return status;
}
