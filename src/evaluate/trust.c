#include "evaluate/trust.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

enum { FORMAT = 1 };

/* ---- in the model's file ---- */

static json_t *row_json(const double *values, int count)
{
	json_t *row = json_array();
	for (int i = 0; i < count; i++)
		json_array_append_new(row, json_real(values[i]));
	return row;
}

static json_t *gaussian_json(const evaluate_gaussian *g)
{
	json_t *means = json_array(), *root = json_array();
	for (int c = 0; c < g->means; c++)
		json_array_append_new(means, row_json(g->mean[c], g->size));
	for (int a = 0; a < g->size; a++)
		json_array_append_new(root, row_json(g->root[a], a + 1));
	return json_pack("{s:f, s:o, s:o}", "threshold", g->threshold, "means", means, "root", root);
}

char *evaluate_trust_to_text(const evaluate_trust *t, bm_error *err)
{
	json_t *unlike = NULL;
	if (t->have_unlike)
		unlike = json_pack("{s:i, s:o, s:o}", "features", t->unlike.features, "image",
				   gaussian_json(&t->unlike.image), "network", gaussian_json(&t->unlike.network));
	json_t *json = json_pack("{s:i, s:f, s:f, s:b, s:i, s:o?}", "format", FORMAT, "temperature", t->temperature,
				 "abstain_threshold", t->threshold, "mirror", (int)t->mirror, "image_size",
				 t->image_size, "unlike", unlike);
	char *text = json ? json_dumps(json, JSON_INDENT(0) | JSON_REAL_PRECISION(9)) : NULL;
	json_decref(json);
	char *copy = text ? base_strdup(text, err) : NULL;
	if (!text)
		base_fail(err, BM_ERR_MEMORY, "no memory for what is known of the model");
	free(text);
	return copy;
}

static bool read_row(const json_t *list, int count, double *values)
{
	if (!json_is_array(list) || json_array_size(list) != (size_t)count)
		return false;
	for (int i = 0; i < count; i++) {
		const json_t *value = json_array_get(list, (size_t)i);
		if (!json_is_number(value))
			return false;
		values[i] = json_number_value(value);
	}
	return true;
}

static bool read_gaussian(const json_t *json, int size_max, evaluate_gaussian *g)
{
	const json_t *means = json_object_get(json, "means"), *root = json_object_get(json, "root");
	size_t size = json_array_size(root), count = json_array_size(means);
	g->threshold = json_number_value(json_object_get(json, "threshold"));
	if (size < 1 || size > (size_t)size_max || count < 1 || count > DATA_CLASSES_MAX || !(g->threshold > 0))
		return false;
	g->size = (int)size;
	g->means = (int)count;
	for (int c = 0; c < g->means; c++)
		if (!read_row(json_array_get(means, (size_t)c), g->size, g->mean[c]))
			return false;
	for (int a = 0; a < g->size; a++)
		if (!read_row(json_array_get(root, (size_t)a), a + 1, g->root[a]) || !(g->root[a][a] > 0))
			return false;
	return true;
}

static const char *read_trust(const json_t *json, evaluate_trust *t)
{
	const json_t *unlike = json_object_get(json, "unlike");
	if (json_integer_value(json_object_get(json, "format")) != FORMAT)
		return "format";
	t->temperature = json_number_value(json_object_get(json, "temperature"));
	if (!(t->temperature >= EVALUATE_TEMPERATURE_MIN / 2 && t->temperature <= EVALUATE_TEMPERATURE_MAX * 2))
		return "temperature";
	t->threshold = json_number_value(json_object_get(json, "abstain_threshold"));
	if (!json_is_number(json_object_get(json, "abstain_threshold")) || !(t->threshold >= 0 && t->threshold <= 1))
		return "abstain_threshold";
	if (!json_is_boolean(json_object_get(json, "mirror")))
		return "mirror";
	t->mirror = json_is_true(json_object_get(json, "mirror"));
	json_int_t size = json_integer_value(json_object_get(json, "image_size"));
	if (size < 32 || size > 4096)
		return "image_size";
	t->image_size = (int)size;
	if (!unlike || json_is_null(unlike))
		return NULL;
	json_int_t features = json_integer_value(json_object_get(unlike, "features"));
	t->have_unlike = features > 0 && features < 1 << 20 &&
			 read_gaussian(json_object_get(unlike, "image"), EVALUATE_STATISTICS, &t->unlike.image) &&
			 t->unlike.image.size == EVALUATE_STATISTICS &&
			 read_gaussian(json_object_get(unlike, "network"), EVALUATE_PROJECTED, &t->unlike.network);
	t->unlike.features = (int)features;
	return t->have_unlike ? NULL : "unlike";
}

bm_status evaluate_trust_from_text(const char *text, evaluate_trust *trust, bm_error *err)
{
	json_error_t where;
	*trust = (evaluate_trust){.temperature = 1};
	json_t *json = json_loads(text, JSON_REJECT_DUPLICATES, &where);
	if (!json)
		return base_fail(
			err, BM_ERR_FORMAT,
			"what the model file says of its trust is damaged (line %d: %s); evaluate the run again",
			where.line, where.text);
	const char *wrong = read_trust(json, trust);
	json_decref(json);
	if (!wrong)
		return BM_OK;
	*trust = (evaluate_trust){.temperature = 1};
	return base_fail(err, BM_ERR_FORMAT,
			 "the model file's trust: '%s' is missing or not what it should be; evaluate the run again",
			 wrong);
}

/* ---- in evaluation_metrics.json ---- */

static json_t *number(double value)
{
	return isfinite(value) ? json_real(value) : json_null();
}

static json_t *interval_json(evaluate_interval i)
{
	return json_pack("[o,o]", number(i.low), number(i.high));
}

static json_t *calibration_json(const evaluate_calibration *c)
{
	json_t *bins = json_array();
	for (int b = 0; b < EVALUATE_BINS; b++)
		json_array_append_new(bins, json_pack("[I,f,f]", (json_int_t)c->bins[b].count, c->bins[b].confidence,
						      c->bins[b].accuracy));
	return json_pack("{s:f, s:f, s:f, s:f, s:f, s:o}", "ece", c->ece, "largest_gap", c->largest, "brier", c->brier,
			 "loss", c->loss, "mean_confidence", c->confidence, "bins", bins);
}

json_t *evaluate_reliability_json(const evaluate_reliability *r)
{
	json_t *curve = json_array();
	for (int i = 0; i < EVALUATE_COVERAGE_STEPS; i++)
		json_array_append_new(
			curve, json_pack("[f,f,f]", r->curve[i].coverage, r->curve[i].accuracy, r->curve[i].threshold));
	return json_pack(
		"{s:f, s:f, s:I, s:I, s:I, s:I, s:I, s:b, s:I, s:I, s:o, s:o, s:I, s:I, s:{s:o, s:o, s:o, s:o}, s:o}",
		"temperature", r->temperature, "abstain_threshold", r->threshold, "validation_images",
		(json_int_t)r->validation, "validation_answered", (json_int_t)r->validation_answered,
		"validation_answered_right", (json_int_t)r->validation_right, "test_answered", (json_int_t)r->answered,
		"test_answered_right", (json_int_t)r->right, "unlike_check", (int)r->have_unlike, "validation_refused",
		(json_int_t)r->validation_refused, "test_refused", (json_int_t)r->refused, "before_temperature",
		calibration_json(&r->before), "after_temperature", calibration_json(&r->after), "bootstrap_resamples",
		(json_int_t)r->intervals.resamples, "bootstrap_groups", (json_int_t)r->intervals.groups, "bootstrap_95",
		"accuracy", interval_json(r->intervals.accuracy), "macro_f1", interval_json(r->intervals.macro_f1),
		"mean_auc", interval_json(r->intervals.mean_auc), "ece", interval_json(r->intervals.ece),
		"coverage_accuracy_threshold", curve);
}

static bool get_real(const json_t *json, const char *key, double *value, const char **missing)
{
	const json_t *found = json_object_get(json, key);
	*value = json_number_value(found);
	if (!json_is_number(found) && !*missing)
		*missing = key;
	return json_is_number(found);
}

static void get_count(const json_t *json, const char *key, size_t *value, const char **missing)
{
	const json_t *found = json_object_get(json, key);
	if ((!json_is_integer(found) || json_integer_value(found) < 0) && !*missing)
		*missing = key;
	*value = (size_t)json_integer_value(found);
}

static void get_interval(const json_t *json, const char *key, evaluate_interval *value, const char **missing)
{
	const json_t *found = json_object_get(json, key);
	double *ends[2] = {&value->low, &value->high};
	if (json_array_size(found) != 2 && !*missing)
		*missing = key;
	for (size_t i = 0; i < 2; i++) {
		const json_t *end = json_array_get(found, i);
		*ends[i] = json_is_number(end) ? json_number_value(end) : NAN;
	}
}

static void get_calibration(const json_t *json, const char *key, evaluate_calibration *c, const char **missing)
{
	const json_t *found = json_object_get(json, key), *bins = json_object_get(found, "bins");
	double row[3];
	get_real(found, "ece", &c->ece, missing);
	get_real(found, "largest_gap", &c->largest, missing);
	get_real(found, "brier", &c->brier, missing);
	get_real(found, "loss", &c->loss, missing);
	get_real(found, "mean_confidence", &c->confidence, missing);
	for (size_t b = 0; b < EVALUATE_BINS; b++) {
		if (!read_row(json_array_get(bins, b), 3, row) || !(row[0] >= 0)) {
			*missing = *missing ? *missing : "bins";
			return;
		}
		c->bins[b] = (evaluate_bin){(size_t)row[0], row[1], row[2]};
	}
}

bool evaluate_reliability_read(const json_t *json, evaluate_reliability *r, const char **missing)
{
	const json_t *intervals = json_object_get(json, "bootstrap_95"),
		     *curve = json_object_get(json, "coverage_accuracy_threshold");
	*missing = NULL;
	*r = (evaluate_reliability){0};
	get_real(json, "temperature", &r->temperature, missing);
	get_real(json, "abstain_threshold", &r->threshold, missing);
	get_count(json, "validation_images", &r->validation, missing);
	get_count(json, "validation_answered", &r->validation_answered, missing);
	get_count(json, "validation_answered_right", &r->validation_right, missing);
	get_count(json, "test_answered", &r->answered, missing);
	get_count(json, "test_answered_right", &r->right, missing);
	r->have_unlike = json_is_true(json_object_get(json, "unlike_check"));
	get_count(json, "validation_refused", &r->validation_refused, missing);
	get_count(json, "test_refused", &r->refused, missing);
	get_calibration(json, "before_temperature", &r->before, missing);
	get_calibration(json, "after_temperature", &r->after, missing);
	get_count(json, "bootstrap_resamples", &r->intervals.resamples, missing);
	get_count(json, "bootstrap_groups", &r->intervals.groups, missing);
	get_interval(intervals, "accuracy", &r->intervals.accuracy, missing);
	get_interval(intervals, "macro_f1", &r->intervals.macro_f1, missing);
	get_interval(intervals, "mean_auc", &r->intervals.mean_auc, missing);
	get_interval(intervals, "ece", &r->intervals.ece, missing);
	for (size_t i = 0; i < EVALUATE_COVERAGE_STEPS; i++) {
		double row[3];
		if (!read_row(json_array_get(curve, i), 3, row)) {
			*missing = *missing ? *missing : "coverage_accuracy_threshold";
			break;
		}
		r->curve[i] = (evaluate_coverage){row[0], row[1], row[2]};
	}
	return !*missing;
}
