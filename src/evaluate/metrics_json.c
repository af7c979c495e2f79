#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/text.h"
#include "evaluate/metrics.h"

enum { FILE_LIMIT = 64 << 20 };

/* JSON knows neither NaN nor infinity: both become null, and each place knows which of them it can be. */
static json_t *number(double value)
{
	return isfinite(value) ? json_real(value) : json_null();
}

static json_t *numbers(const double *values, size_t count)
{
	json_t *list = json_array();
	for (size_t i = 0; i < count; i++)
		json_array_append_new(list, number(values[i]));
	return list;
}

static json_t *make_class(const evaluate_class *class, const char *name)
{
	json_t *json = json_object();
	json_object_set_new(json, "name", json_string(name));
	json_object_set_new(json, "precision", number(class->precision));
	json_object_set_new(json, "recall", number(class->recall));
	json_object_set_new(json, "f1_score", number(class->f1));
	json_object_set_new(json, "support", json_integer((json_int_t) class->support));
	json_object_set_new(json, "auc", number(class->auc));
	json_t *roc = json_object();
	json_object_set_new(roc, "fpr", numbers(class->roc_fpr, class->roc_count));
	json_object_set_new(roc, "tpr", numbers(class->roc_tpr, class->roc_count));
	json_object_set_new(roc, "thresholds", numbers(class->roc_threshold, class->roc_count));
	json_object_set_new(json, "roc", roc);
	return json;
}

static json_t *make_all(const evaluate_metrics *m, const char *const *names)
{
	json_t *json = json_object();
	json_object_set_new(json, "count", json_integer((json_int_t)m->count));
	json_object_set_new(json, "accuracy", number(m->accuracy));
	json_object_set_new(json, "accuracy_interval_95", json_pack("[f,f]", m->accuracy_low, m->accuracy_high));
	json_object_set_new(json, "loss", number(m->loss));
	json_object_set_new(json, "macro_precision", number(m->macro_precision));
	json_object_set_new(json, "macro_recall", number(m->macro_recall));
	json_object_set_new(json, "macro_f1", number(m->macro_f1));
	json_object_set_new(json, "weighted_precision", number(m->weighted_precision));
	json_object_set_new(json, "weighted_recall", number(m->weighted_recall));
	json_object_set_new(json, "weighted_f1", number(m->weighted_f1));
	json_object_set_new(json, "mean_auc", number(m->mean_auc));
	json_object_set_new(json, "most_confused",
			    m->confused_a < 0 ? json_null()
					      : json_pack("[s,s]", names[m->confused_a], names[m->confused_b]));
	json_object_set_new(json, "best_distinguished",
			    m->best_class < 0 ? json_null() : json_string(names[m->best_class]));
	json_t *matrix = json_array(), *classes = json_array();
	for (int a = 0; a < m->classes; a++) {
		json_t *row = json_array();
		for (int b = 0; b < m->classes; b++)
			json_array_append_new(row, json_integer((json_int_t)m->confusion[a][b]));
		json_array_append_new(matrix, row);
		json_array_append_new(classes, make_class(&m->per_class[a], names[a]));
	}
	json_object_set_new(json, "confusion_matrix", matrix);
	json_object_set_new(json, "per_class", classes);
	if (m->have_reliability)
		json_object_set_new(json, "reliability", evaluate_reliability_json(&m->reliability));
	return json;
}

static void add_value(base_text *text, const json_t *value)
{
	char *dump = json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(17));
	if (dump)
		base_text_append(text, dump, strlen(dump));
	else
		text->failed = true;
	free(dump);
}

/* A member a line, a row of a matrix a line: readable, and no list of numbers runs down the page. */
static void add_object(base_text *text, json_t *object, const char *indent)
{
	const char *key, *comma = "";
	json_t *value, *row;
	size_t index;
	base_text_add(text, "{");
	json_object_foreach(object, key, value)
	{
		base_text_add(text, "%s\n%s  \"%s\": ", comma, indent, key);
		comma = ",";
		json_t *first = json_array_get(value, 0);
		if (json_is_array(first) || json_is_object(first)) {
			base_text_add(text, "[");
			json_array_foreach(value, index, row)
			{
				base_text_add(text, "%s\n%s    ", index > 0 ? "," : "", indent);
				if (json_is_object(row))
					add_object(text, row, "    ");
				else
					add_value(text, row);
			}
			base_text_add(text, "\n%s  ]", indent);
		} else if (json_is_object(value)) {
			add_object(text, value, "      ");
		} else {
			add_value(text, value);
		}
	}
	base_text_add(text, "\n%s}", indent);
}

bm_status evaluate_metrics_write(const evaluate_metrics *metrics, const char *const *class_names, const char *path,
				 bm_error *err)
{
	for (int c = 0; c < metrics->classes; c++) {
		json_t *name = json_string(class_names[c]);
		if (!name)
			return base_fail(err, BM_ERR_DATA,
					 "cannot write '%s': the name of class %d is not UTF-8; rename its "
					 "folder",
					 path, c);
		json_decref(name);
	}
	base_text text = {0};
	json_t *json = make_all(metrics, class_names);
	add_object(&text, json, "");
	base_text_add(&text, "\n");
	json_decref(json);
	bm_status status = text.failed ? base_fail(err, BM_ERR_MEMORY, "cannot write '%s': not enough memory", path)
				       : base_file_write(path, text.data, text.length, err);
	base_text_free(&text);
	return status;
}

/* ---- reading ---- */

typedef struct reader {
	const char *path;
	bm_error *err;
	bm_status status; /* of the first failure */
} reader;

static void fail(reader *r, const char *key)
{
	if (r->status == BM_OK)
		r->status = base_fail(r->err, BM_ERR_FORMAT,
				      "cannot use '%s': '%s' is missing or not what it should be; "
				      "evaluate again",
				      r->path, key);
}

static double get_number(reader *r, json_t *object, const char *key, double if_null)
{
	json_t *value = json_object_get(object, key);
	if (json_is_null(value) && isnan(if_null))
		return if_null;
	if (!json_is_number(value))
		fail(r, key);
	return json_number_value(value);
}

static size_t get_count(reader *r, json_t *object, const char *key)
{
	json_t *value = json_object_get(object, key);
	if (!json_is_integer(value) || json_integer_value(value) < 0) {
		fail(r, key);
		return 0;
	}
	return (size_t)json_integer_value(value);
}

/* A list of numbers, *count of them (0: any number of them); null stands for infinity. */
static double *get_numbers(reader *r, json_t *object, const char *key, size_t *count)
{
	json_t *list = json_object_get(object, key);
	size_t size = json_array_size(list);
	if (!json_is_array(list) || (*count > 0 && size != *count)) {
		fail(r, key);
		return NULL;
	}
	*count = size;
	if (size == 0)
		return NULL;
	double *values = base_malloc(size, sizeof *values, r->path, r->err);
	if (!values) {
		r->status = r->status == BM_OK ? BM_ERR_MEMORY : r->status;
		return NULL;
	}
	for (size_t i = 0; i < size; i++) {
		json_t *value = json_array_get(list, i);
		if (!json_is_number(value) && !json_is_null(value))
			fail(r, key);
		values[i] = json_is_null(value) ? INFINITY : json_number_value(value);
	}
	return values;
}

static void read_class(reader *r, json_t *json, evaluate_class *class)
{
	if (!json_is_string(json_object_get(json, "name")))
		fail(r, "name");
	class->precision = get_number(r, json, "precision", 0);
	class->recall = get_number(r, json, "recall", 0);
	class->f1 = get_number(r, json, "f1_score", 0);
	class->support = get_count(r, json, "support");
	class->auc = get_number(r, json, "auc", NAN);
	json_t *roc = json_object_get(json, "roc");
	size_t count = 0;
	class->roc_fpr = get_numbers(r, roc, "fpr", &count);
	class->roc_count = count;
	class->roc_tpr = get_numbers(r, roc, "tpr", &count);
	class->roc_threshold = get_numbers(r, roc, "thresholds", &count);
	if (count != class->roc_count || (count == 0) != isnan(class->auc))
		fail(r, "roc");
}

/* The index of a class by its name; -1 for null. */
static int find_class(reader *r, json_t *classes, json_t *name, const char *key)
{
	size_t index;
	json_t *class;
	if (json_is_null(name))
		return -1;
	json_array_foreach(classes, index, class)
	{
		const char *text = json_string_value(json_object_get(class, "name"));
		if (text && json_is_string(name) && strcmp(text, json_string_value(name)) == 0)
			return (int)index;
	}
	fail(r, key);
	return -1;
}

static void read_all(reader *r, json_t *json, evaluate_metrics *m)
{
	json_t *classes = json_object_get(json, "per_class"), *matrix = json_object_get(json, "confusion_matrix");
	size_t count = json_array_size(classes);
	if (count < 2 || count > DATA_CLASSES_MAX) {
		fail(r, "per_class");
		return;
	}
	m->classes = (int)count;
	m->count = get_count(r, json, "count");
	m->accuracy = get_number(r, json, "accuracy", 0);
	m->loss = get_number(r, json, "loss", 0);
	m->macro_precision = get_number(r, json, "macro_precision", 0);
	m->macro_recall = get_number(r, json, "macro_recall", 0);
	m->macro_f1 = get_number(r, json, "macro_f1", 0);
	m->weighted_precision = get_number(r, json, "weighted_precision", 0);
	m->weighted_recall = get_number(r, json, "weighted_recall", 0);
	m->weighted_f1 = get_number(r, json, "weighted_f1", 0);
	m->mean_auc = get_number(r, json, "mean_auc", NAN);
	if (json_unpack(json, "{s:[F,F]}", "accuracy_interval_95", &m->accuracy_low, &m->accuracy_high) != 0)
		fail(r, "accuracy_interval_95");

	size_t sum = 0;
	for (size_t a = 0; a < count; a++) {
		json_t *row = json_array_get(matrix, a);
		for (size_t b = 0; b < count; b++) {
			json_t *cell = json_array_get(row, b);
			if (!json_is_integer(cell) || json_integer_value(cell) < 0)
				fail(r, "confusion_matrix");
			m->confusion[a][b] = (size_t)json_integer_value(cell);
			sum += m->confusion[a][b];
		}
		read_class(r, json_array_get(classes, a), &m->per_class[a]);
	}
	if (sum != m->count || m->count == 0)
		fail(r, "confusion_matrix");

	json_t *pair = json_object_get(json, "most_confused");
	bool none = json_is_null(pair);
	m->confused_a = none ? -1 : find_class(r, classes, json_array_get(pair, 0), "most_confused");
	m->confused_b = none ? -1 : find_class(r, classes, json_array_get(pair, 1), "most_confused");
	if (!none && (m->confused_a < 0 || m->confused_b < 0)) /* [null, ...]: no pair */
		fail(r, "most_confused");
	m->best_class = find_class(r, classes, json_object_get(json, "best_distinguished"), "best_distinguished");

	const json_t *reliability = json_object_get(json, "reliability");
	const char *missing = NULL;
	m->have_reliability = reliability != NULL;
	if (reliability && !evaluate_reliability_read(reliability, &m->reliability, &missing))
		fail(r, missing);
}

bm_status evaluate_metrics_read(const char *path, evaluate_metrics *out, bm_error *err)
{
	uint8_t *bytes = NULL;
	size_t size = 0;
	*out = (evaluate_metrics){0};
	bm_status status = base_file_read(path, FILE_LIMIT, &bytes, &size, err);
	if (status != BM_OK)
		return status;
	json_error_t why;
	json_t *json = json_loadb((const char *)bytes, size, JSON_REJECT_DUPLICATES, &why);
	base_free(bytes);
	if (!json)
		return base_fail(err, BM_ERR_FORMAT, "cannot read '%s' as JSON: line %d: %s; evaluate again", path,
				 why.line, why.text);
	reader r = {path, err, BM_OK};
	read_all(&r, json, out);
	json_decref(json);
	if (r.status != BM_OK)
		evaluate_metrics_free(out);
	return r.status;
}
