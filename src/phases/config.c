#include "phases/config.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"

#define CONFIG_FILE_LIMIT ((size_t)1 << 20)

static const char *const split_names[DATA_SPLIT_COUNT] = {[DATA_SPLIT_DEFAULT] = "default",
							  [DATA_SPLIT_GUIDE] = "guide",
							  [DATA_SPLIT_FINAL] = "final",
							  [DATA_SPLIT_REFIT] = "refit"};
static const char *const head_names[] = {
	[MODEL_HEAD_GUIDE] = "guide", [MODEL_HEAD_DENSE512] = "dense512", [MODEL_HEAD_LINEAR] = "linear"};

#define COUNT(array) (int)(sizeof(array) / sizeof(array)[0])

static int index_of(const char *const *names, size_t count, const char *text)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(names[i], text) == 0)
			return (int)i;
	return -1;
}

const char *run_config_split_name(data_split_kind kind)
{
	return split_names[kind];
}

bool run_config_split_parse(const char *text, data_split_kind *kind)
{
	int i = index_of(split_names, COUNT(split_names), text);
	if (i >= 0)
		*kind = (data_split_kind)i;
	return i >= 0;
}

const char *run_config_head_name(model_head head)
{
	return head_names[head];
}

bool run_config_head_parse(const char *text, model_head *head)
{
	int i = index_of(head_names, COUNT(head_names), text);
	if (i >= 0)
		*head = (model_head)i;
	return i >= 0;
}

static const char *const model_names[] = {
	[MODEL_V1] = "resnet50", [MODEL_V1_5] = "resnet50v1.5", [MODEL_COMPACT] = "compact"};

const char *run_config_model_name(const run_config *config)
{
	return model_names[config->variant];
}

bool run_config_model_parse(const char *text, model_variant *variant)
{
	for (size_t i = 0; i < sizeof model_names / sizeof *model_names; i++)
		if (strcmp(text, model_names[i]) == 0) {
			*variant = (model_variant)i;
			return true;
		}
	return false;
}

bm_status run_config_other_network(const run_config *config, model_variant theirs, bm_error *err)
{
	return base_fail(err, BM_ERR_USAGE,
			 "the model is to be %s, but the weights (%s) are of a %s network: take other weights, "
			 "--weights none, or --model %s",
			 model_names[config->variant], config->weights, model_names[theirs], model_names[theirs]);
}

bool run_config_set_depth(run_config *config, int depth)
{
	int blocks[4];
	const bool known = model_depth_blocks(MODEL_V1, depth, blocks);
	if (known)
		config->depth = depth == model_variant_depth(MODEL_V1) ? 0 : depth;
	return known;
}

int run_config_channels(const run_config *config)
{
	return config->variant == MODEL_COMPACT ? 1 : 3;
}

uint64_t run_config_split_seed(const run_config *config)
{
	return config->split_seed < 0 ? config->seed : (uint64_t)config->split_seed;
}

bool run_config_from_scratch(const run_config *config)
{
	return strcmp(config->plan.name, "two-stage") != 0;
}

void run_config_init(run_config *config)
{
	*config = (run_config){.seed = 42,
			       .split_seed = -1,
			       .train_share = 1,
			       .dropout = -1,
			       .width = 1,
			       .image_size = TRAIN_TWO_STAGE_SIZE,
			       .benchmark = true,
			       .image_seconds = 60};
	train_plan_two_stage(&config->plan, config->image_size);
}

void run_config_free(run_config *config)
{
	base_free(config->data);
	base_free(config->out);
	base_free(config->webhdfs);
	base_free(config->pack);
	base_free(config->weights);
	base_free(config->teachers);
	base_free(config->master);
	base_free(config->spark_conf);
	*config = (run_config){0};
}

bm_status run_config_set(char **member, const char *value, bm_error *err)
{
	char *copy = NULL;
	if (value) {
		copy = base_strdup(value, err);
		if (!copy)
			return BM_ERR_MEMORY;
	}
	base_free(*member);
	*member = copy;
	return BM_OK;
}

bm_status run_config_set_path(char **member, const char *value, bm_error *err)
{
	char absolute[PATH_MAX];
	if (value && !strstr(value, "://") && realpath(value, absolute))
		return run_config_set(member, absolute, err);
	return run_config_set(member, value, err);
}

bm_status run_config_copy(const run_config *from, run_config *to, bm_error *err)
{
	*to = *from;
	to->data = to->webhdfs = to->out = to->pack = to->weights = to->teachers = to->master = to->spark_conf = NULL;
	bm_status status = run_config_set(&to->data, from->data, err);
	if (status == BM_OK)
		status = run_config_set(&to->out, from->out, err);
	if (status == BM_OK)
		status = run_config_set(&to->webhdfs, from->webhdfs, err);
	if (status == BM_OK)
		status = run_config_set(&to->pack, from->pack, err);
	if (status == BM_OK)
		status = run_config_set(&to->weights, from->weights, err);
	if (status == BM_OK)
		status = run_config_set(&to->teachers, from->teachers, err);
	if (status == BM_OK)
		status = run_config_set(&to->master, from->master, err);
	if (status == BM_OK)
		status = run_config_set(&to->spark_conf, from->spark_conf, err);
	if (status != BM_OK)
		run_config_free(to);
	return status;
}

static const struct {
	const char *name;
	int image_size;
	void (*make)(train_plan *plan, int image_size);
} plans[] = {{"two-stage", TRAIN_TWO_STAGE_SIZE, train_plan_two_stage},
	     {"scratch", TRAIN_SCRATCH_SIZE, train_plan_scratch},
	     {"compact", TRAIN_COMPACT_SIZE, train_plan_compact}};

static int find_plan(const char *name)
{
	for (int i = 0; i < COUNT(plans); i++)
		if (strcmp(plans[i].name, name) == 0)
			return i;
	return -1;
}

bm_status run_config_plan(run_config *config, const char *name, bool own_size, bm_error *err)
{
	const int plan = find_plan(name), old = find_plan(config->plan.name);
	if (plan < 0)
		return base_fail(err, BM_ERR_USAGE,
				 "no training plan is called '%s'; there are 'two-stage', 'scratch' and 'compact'",
				 name);
	if (own_size && old >= 0 && config->image_size == plans[old].image_size)
		config->image_size = plans[plan].image_size;
	plans[plan].make(&config->plan, config->image_size);
	return BM_OK;
}

void run_config_resize(run_config *config, int size)
{
	int old = config->plan.count ? config->plan.stages[config->plan.count - 1].image_size : size;
	for (int i = 0; i < config->plan.count; i++) {
		train_stage *stage = &config->plan.stages[i];
		int scaled = stage->image_size == old || old <= 0 ? size : (stage->image_size * size / old + 4) / 8 * 8;
		stage->image_size = scaled < 32 ? (size < 32 ? size : 32) : scaled;
	}
	config->image_size = size;
}

/* ---- JSON ---- */

/* What config.json holds of a number, so that a config and what was written of it are the same: 0.1, not 0.10000000000000001. */
enum { DIGITS = 15 };

static double as_written(double value)
{
	char text[40];
	snprintf(text, sizeof text, "%.*g", DIGITS, value);
	return strtod(text, NULL);
}

bm_status run_config_to_json(const run_config *config, json_t **json, bm_error *err)
{
	json_t *plan = NULL, *object = NULL;
	char *plan_text = NULL;
	bm_status status = train_plan_to_json(&config->plan, &plan_text, err);
	if (status != BM_OK)
		return status;
	plan = json_loads(plan_text, 0, NULL);
	base_free(plan_text);
	if (!plan)
		return base_fail(err, BM_ERR_INTERNAL, "the training plan did not become JSON; please report it");
	object = json_pack("{s:s?, s:s?, s:s?, s:s?, s:s, s:s?, s:I, s:o, s:f, s:i, s:b, s:s, s:s, s:s, s:f, s:f, s:i, "
			   "s:o, s:b, s:b, s:s?, "
			   "s:s?, s:i, s:i, s:o}",
			   "data", config->data, "webhdfs", config->webhdfs, "out", config->out, "pack", config->pack,
			   "weights", config->weights ? config->weights : "none", "teachers", config->teachers, "seed",
			   (json_int_t)config->seed, "split_seed",
			   config->split_seed < 0 ? json_null() : json_integer(config->split_seed), "train_share",
			   as_written(config->train_share), "threads", config->threads, "strict", (int)config->strict,
			   "split", split_names[config->split], "model", run_config_model_name(config), "head",
			   head_names[config->head], "dropout", as_written(config->dropout), "width",
			   as_written(config->width), "image_size", config->image_size, "depth",
			   config->depth ? json_integer(config->depth) : json_null(), "save_optimizer",
			   (int)config->save_optimizer, "benchmark", (int)config->benchmark, "master", config->master,
			   "spark_conf", config->spark_conf, "partitions", config->partitions, "image_seconds",
			   config->image_seconds, "plan", plan);
	if (!object)
		return base_fail(err, BM_ERR_MEMORY, "no memory for the configuration, or a path in it is not UTF-8");
	*json = object;
	return BM_OK;
}

/* One member of config.json: how it is taken. */
typedef struct reader {
	const char *origin, *key;
	json_t *value;
	run_config *config;
	bool own_size; /* of a plan that is named; see run_config_plan */
} reader;

static bm_status wrong(const reader *r, const char *expected, bm_error *err)
{
	return base_fail(err, BM_ERR_USAGE, "'%s' in '%s' must be %s", r->key, r->origin, expected);
}

static bm_status read_text(const reader *r, char **member, bm_error *err)
{
	if (json_is_null(r->value))
		return run_config_set(member, NULL, err);
	if (!json_is_string(r->value) || json_string_length(r->value) != strlen(json_string_value(r->value)))
		return wrong(r, "a text or null", err);
	return run_config_set(member, json_string_value(r->value), err);
}

static bm_status read_int(const reader *r, int low, int high, int *member, bm_error *err)
{
	json_int_t value = json_integer_value(r->value);
	if (!json_is_integer(r->value) || value < low || value > high) {
		char expected[64];
		snprintf(expected, sizeof expected, "a whole number from %d to %d", low, high);
		return wrong(r, expected, err);
	}
	*member = (int)value;
	return BM_OK;
}

static bm_status read_bool(const reader *r, bool *member, bm_error *err)
{
	if (!json_is_boolean(r->value))
		return wrong(r, "true or false", err);
	*member = json_is_true(r->value);
	return BM_OK;
}

static bm_status read_weights(const reader *r, bm_error *err)
{
	if (json_is_string(r->value) && strcmp(json_string_value(r->value), "none") == 0)
		return run_config_set(&r->config->weights, NULL, err);
	return read_text(r, &r->config->weights, err);
}

static bm_status read_plan(const reader *r, bm_error *err)
{
	if (json_is_string(r->value))
		return run_config_plan(r->config, json_string_value(r->value), r->own_size, err);
	if (!json_is_object(r->value))
		return wrong(r, "the name of a plan or a plan", err);
	char *text = json_dumps(r->value, JSON_REAL_PRECISION(15));
	if (!text)
		return base_fail(err, BM_ERR_MEMORY, "no memory for the plan of '%s'", r->origin);
	bm_status status = train_plan_from_json(text, &r->config->plan, err);
	free(text);
	return status == BM_OK ? status : base_prefix(err, status, "'plan' in '%s'", r->origin);
}

static bm_status read_member(const reader *r, bm_error *err)
{
	run_config *config = r->config;
	const char *key = r->key;
	if (strcmp(key, "data") == 0)
		return read_text(r, &config->data, err);
	if (strcmp(key, "out") == 0)
		return read_text(r, &config->out, err);
	if (strcmp(key, "webhdfs") == 0)
		return read_text(r, &config->webhdfs, err);
	if (strcmp(key, "pack") == 0)
		return read_text(r, &config->pack, err);
	if (strcmp(key, "master") == 0)
		return read_text(r, &config->master, err);
	if (strcmp(key, "spark_conf") == 0)
		return read_text(r, &config->spark_conf, err);
	if (strcmp(key, "partitions") == 0)
		return read_int(r, 0, 100000, &config->partitions, err);
	if (strcmp(key, "image_seconds") == 0)
		return read_int(r, 1, 86400, &config->image_seconds, err);
	if (strcmp(key, "weights") == 0)
		return read_weights(r, err);
	if (strcmp(key, "teachers") == 0)
		return read_text(r, &config->teachers, err);
	if (strcmp(key, "threads") == 0)
		return read_int(r, 0, 1024, &config->threads, err);
	if (strcmp(key, "image_size") == 0)
		return read_int(r, 32, 1024, &config->image_size, err);
	if (strcmp(key, "strict") == 0)
		return read_bool(r, &config->strict, err);
	if (strcmp(key, "save_optimizer") == 0)
		return read_bool(r, &config->save_optimizer, err);
	if (strcmp(key, "benchmark") == 0)
		return read_bool(r, &config->benchmark, err);
	if (strcmp(key, "plan") == 0)
		return BM_OK; /* last: a plan that is given by name needs the image size */
	if (strcmp(key, "seed") == 0) {
		if (!json_is_integer(r->value) || json_integer_value(r->value) < 0)
			return wrong(r, "a whole number that is not negative", err);
		config->seed = (uint64_t)json_integer_value(r->value);
		return BM_OK;
	}
	if (strcmp(key, "split_seed") == 0) {
		bool given = json_is_integer(r->value);
		if (!json_is_null(r->value) && !(given && json_integer_value(r->value) >= 0))
			return wrong(r, "a whole number that is not negative, or null", err);
		config->split_seed = given ? json_integer_value(r->value) : -1;
		return BM_OK;
	}
	if (strcmp(key, "train_share") == 0) {
		double share = json_number_value(r->value);
		if (!json_is_number(r->value) || !(share > 0 && share <= 1))
			return wrong(r, "a number above 0, up to 1", err);
		config->train_share = share;
		return BM_OK;
	}
	if (strcmp(key, "dropout") == 0) {
		double rate = json_number_value(r->value);
		if (!json_is_number(r->value) || !(rate < 1))
			return wrong(r, "a number below 1; negative: as the head has it", err);
		config->dropout = rate;
		return BM_OK;
	}
	if (strcmp(key, "width") == 0) {
		double width = json_number_value(r->value);
		if (!json_is_number(r->value) || !(width >= 0.0625 && width <= 4))
			return wrong(r, "a number from 0.0625 to 4", err);
		config->width = width;
		return BM_OK;
	}
	if (strcmp(key, "depth") == 0) {
		const json_int_t depth = json_is_null(r->value) ? 50 : json_integer_value(r->value);
		if (depth < 0 || depth > INT_MAX || !run_config_set_depth(config, (int)depth))
			return wrong(r, "14, 26 or 50, of a ResNet, or null", err);
		return BM_OK;
	}
	if (strcmp(key, "split") == 0) {
		if (!json_is_string(r->value) || !run_config_split_parse(json_string_value(r->value), &config->split))
			return wrong(r, "\"default\", \"guide\", \"final\" or \"refit\"", err);
		return BM_OK;
	}
	if (strcmp(key, "model") == 0) {
		if (!json_is_string(r->value) || !run_config_model_parse(json_string_value(r->value), &config->variant))
			return wrong(r, "\"resnet50\", \"resnet50v1.5\" or \"compact\"", err);
		return BM_OK;
	}
	if (strcmp(key, "head") == 0) {
		if (!json_is_string(r->value) || !run_config_head_parse(json_string_value(r->value), &config->head))
			return wrong(r, "\"guide\", \"dense512\" or \"linear\"", err);
		return BM_OK;
	}
	return base_fail(
		err, BM_ERR_USAGE,
		"unknown setting '%s' in '%s'; known are data, webhdfs, out, pack, weights, teachers, seed, "
		"split_seed, train_share, threads, strict, split, model, head, dropout, width, depth, "
		"image_size, save_optimizer, benchmark, master, spark_conf, partitions, image_seconds and plan",
		key, r->origin);
}

bm_status run_config_from_json(json_t *json, const char *origin, run_config *config, bm_error *err)
{
	if (!json_is_object(json))
		return base_fail(err, BM_ERR_USAGE, "'%s' holds no JSON object; a run's config.json is an example",
				 origin);
	const char *key;
	json_t *value;
	json_object_foreach(json, key, value)
	{
		reader r = {.origin = origin, .key = key, .value = value, .config = config};
		bm_status status = read_member(&r, err);
		if (status != BM_OK)
			return status;
	}
	json_t *plan = json_object_get(json, "plan");
	const bool compact = json_object_get(json, "model") && config->variant == MODEL_COMPACT;
	/* A file that names the network alone means its head and plan too, as --model does. */
	if (compact && !json_object_get(json, "head"))
		config->head = MODEL_HEAD_LINEAR;
	if (compact && !plan)
		return run_config_plan(config, "compact", !json_object_get(json, "image_size") && !config->weights,
				       err);
	if (plan) {
		reader r = {.origin = origin,
			    .key = "plan",
			    .value = plan,
			    .config = config,
			    .own_size = !json_object_get(json, "image_size")};
		return read_plan(&r, err);
	}
	if (json_object_get(json, "image_size"))
		run_config_resize(config, config->image_size);
	return BM_OK;
}

bm_status run_config_write(const run_config *config, const char *path, bm_error *err)
{
	json_t *json = NULL;
	bm_status status = run_config_to_json(config, &json, err);
	if (status != BM_OK)
		return status;
	char *text = json_dumps(json, JSON_INDENT(2) | JSON_REAL_PRECISION(DIGITS));
	json_decref(json);
	if (!text)
		return base_fail(err, BM_ERR_MEMORY, "no memory for '%s'", path);
	status = base_file_write(path, text, strlen(text), err);
	free(text);
	return status;
}

bm_status run_config_read(const char *path, run_config *config, bm_error *err)
{
	uint8_t *bytes = NULL;
	size_t size = 0;
	bm_status status = base_file_read(path, CONFIG_FILE_LIMIT, &bytes, &size, err);
	if (status != BM_OK)
		return status;
	json_error_t where;
	json_t *json = json_loadb((const char *)bytes, size, JSON_REJECT_DUPLICATES, &where);
	base_free(bytes);
	if (!json)
		return base_fail(err, BM_ERR_USAGE, "'%s' is not valid JSON: line %d, column %d: %s", path, where.line,
				 where.column, where.text);
	status = run_config_from_json(json, path, config, err);
	json_decref(json);
	return status;
}

static double budget_of(const json_t *plan, const char *name)
{
	return json_number_value(json_object_get(plan, name));
}

/* A time budget becomes the plan's epochs when training begins. Plans before and after that are the same if their budget is; where both
 * have become epochs, or none had a budget, the epochs say it all. */
static void strip_budgets(json_t *a, json_t *b)
{
	json_t *both[2] = {json_object_get(a, "plan"), json_object_get(b, "plan")}, *stage;
	double asked[2], budget[2];
	size_t i;
	for (int p = 0; p < 2; p++) {
		asked[p] = budget_of(both[p], "time_budget");
		budget[p] = asked[p] > 0 ? asked[p] : budget_of(both[p], "fitted_budget");
	}
	const bool same = (asked[0] > 0 || asked[1] > 0) && budget[0] == budget[1];
	for (int p = 0; p < 2; p++) {
		json_object_del(both[p], "fitted_budget");
		if (!same)
			continue;
		json_object_del(both[p], "time_budget");
		json_array_foreach(json_object_get(both[p], "stages"), i, stage) json_object_del(stage, "epochs");
	}
}

/* Takes out what does not change a run's results. */
static void strip(json_t *json)
{
	static const char *const free_to_change[] = {"out",	   "webhdfs",	     "pack",   "threads",
						     "benchmark",  "save_optimizer", "master", "spark_conf",
						     "partitions", "image_seconds"};
	static const char *const optional[] = {"teachers", "split_seed", "depth"};
	const char *network = json_string_value(json_object_get(json, "model"));
	size_t i;
	if (network && strcmp(network, "resnet50") == 0) /* what an earlier version did not write */
		json_object_del(json, "model");
	if (json_number_value(json_object_get(json, "dropout")) < 0)
		json_object_del(json, "dropout");
	if (json_number_value(json_object_get(json, "train_share")) >= 1)
		json_object_del(json, "train_share");
	for (i = 0; i < COUNT(optional); i++)
		if (json_is_null(json_object_get(json, optional[i])))
			json_object_del(json, optional[i]);
	for (i = 0; i < COUNT(free_to_change); i++)
		json_object_del(json, free_to_change[i]);
}

static void add_name(const char *name, char *names, size_t size)
{
	const size_t used = strlen(names);
	const int length = snprintf(names + used, size - used, "%s%s", used ? ", " : "", name);
	if (length < 0 || used + (size_t)length >= size)
		names[used] = '\0';
}

void run_config_compare(json_t *a, json_t *b, char *names, size_t size)
{
	const char *key;
	json_t *value;
	names[0] = '\0';
	strip(a);
	strip(b);
	strip_budgets(a, b);
	json_object_foreach(a, key, value)
	{
		if (!json_equal(value, json_object_get(b, key)))
			add_name(key, names, size);
	}
	json_object_foreach(b, key, value)
	{
		if (!json_object_get(a, key))
			add_name(key, names, size);
	}
}

bm_status run_config_difference(const run_config *a, const run_config *b, char *names, size_t size, bm_error *err)
{
	json_t *first = NULL, *second = NULL;
	names[0] = '\0';
	bm_status status = run_config_to_json(a, &first, err);
	if (status == BM_OK)
		status = run_config_to_json(b, &second, err);
	if (status == BM_OK)
		run_config_compare(first, second, names, size);
	json_decref(first);
	json_decref(second);
	return status;
}
