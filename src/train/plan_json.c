#include <jansson.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "train/train.h"

typedef enum kind { WHOLE, REAL, TRUTH, PART, SCHEDULE } kind;

typedef struct field {
	const char *name;
	kind kind;
	size_t offset;
	double low, high; /* inclusive; of numbers */
	double missing;	  /* the value of a field that is not there; NEEDED: it must be */
} field;

#define NEEDED NAN

#define AT(member) offsetof(train_stage, member)
/* A stage is known by NEEDED fields; any other may have come after a file was written, and is then what the program did before: nothing. */
static const field fields[] = {
	{"number", WHOLE, AT(number), 1, 99, 0},
	{"epochs", WHOLE, AT(epochs), 1, 100000, NEEDED},
	{"part", PART, AT(part), MODEL_HEAD_ONLY, MODEL_ALL, NEEDED},
	{"last_layers", WHOLE, AT(last_layers), 0, 100000, 0},
	{"image_size", WHOLE, AT(image_size), 32, 1024, NEEDED},
	{"batch", WHOLE, AT(batch), 1, 65536, 16},
	{"schedule", SCHEDULE, AT(schedule), TRAIN_CONSTANT, TRAIN_ONE_CYCLE, TRAIN_CONSTANT},
	{"learning_rate", REAL, AT(learning_rate), 0, 1000, NEEDED},
	{"weight_decay", REAL, AT(weight_decay), 0, 100, 0},
	{"label_smoothing", REAL, AT(label_smoothing), 0, 0.99, 0},
	{"clip_norm", REAL, AT(clip_norm), 0, 1e9, 0},
	{"flip", TRUTH, AT(augmentation.flip), 0, 0, 0},
	{"rotation", REAL, AT(augmentation.rotation), 0, 180, 0},
	{"shift", REAL, AT(augmentation.shift), 0, 1, 0},
	{"zoom", REAL, AT(augmentation.zoom), 0, 0.9, 0},
	{"brightness", REAL, AT(augmentation.brightness), 0, 1, 0},
	{"contrast", REAL, AT(augmentation.contrast), 0, 1, 0},
	{"stretch", REAL, AT(augmentation.stretch), 0, 0.9, 0},
	{"gamma", REAL, AT(augmentation.gamma), 0, 2, 0},
	{"sharpness", REAL, AT(augmentation.sharpness), 0, 4, 0},
	{"noise", REAL, AT(augmentation.noise), 0, 1, 0},
	{"levels", REAL, AT(augmentation.levels), 0, 1, 0},
	{"erase", REAL, AT(augmentation.erase), 0, 0.9, 0},
	{"mixup", REAL, AT(mixup), 0, 4, 0},
	{"distillation", REAL, AT(distillation), 0, 1, 0},
	{"patience", WHOLE, AT(patience), 0, 100000, 0},
	{"plateau_patience", WHOLE, AT(plateau_patience), 0, 100000, 0},
	{"plateau_factor", REAL, AT(plateau_factor), 0, 1, 0.5},
	{"bn_momentum", REAL, AT(bn_momentum), 0, 0.99999, 0},
	{"ema_decay", REAL, AT(ema_decay), 0, 0.99999, 0},
	{"sam_rho", REAL, AT(sam_rho), 0, 10, 0},
	{"bf16", TRUTH, AT(bf16), 0, 0, 0},
	{"keep_best", TRUTH, AT(keep_best), 0, 0, 1},
};
#define FIELDS (sizeof fields / sizeof *fields)

static const char *const part_names[] = {"head", "last-layers", "all"};
static const char *const schedule_names[] = {"constant", "one-cycle"};
_Static_assert(MODEL_ALL == 2 && TRAIN_ONE_CYCLE == 1, "a name for each");

static int read_enum(const void *at)
{
	int value;
	memcpy(&value, at, sizeof value);
	return value;
}
_Static_assert(sizeof(model_part) == sizeof(int) && sizeof(train_schedule) == sizeof(int), "enums are read as int");

/* The shortest decimal that is this float: 0.001, not 0.00100000005. */
static double short_decimal(float value)
{
	char text[32];
	for (int digits = 6; digits <= 9; digits++) {
		snprintf(text, sizeof text, "%.*g", digits, (double)value);
		if (strtof(text, NULL) == value)
			break;
	}
	return strtod(text, NULL);
}

static json_t *stage_to_json(const train_stage *stage)
{
	json_t *object = json_object();
	int failed = json_object_set_new(object, "title", json_string(stage->title));
	for (size_t i = 0; i < FIELDS; i++) {
		const char *at = (const char *)stage + fields[i].offset;
		json_t *value = NULL;
		switch (fields[i].kind) {
		case WHOLE:
			value = json_integer(read_enum(at));
			break;
		case REAL: {
			float real;
			memcpy(&real, at, sizeof real);
			value = json_real(short_decimal(real));
			break;
		}
		case TRUTH: {
			bool truth;
			memcpy(&truth, at, sizeof truth);
			value = json_boolean(truth);
			break;
		}
		case PART:
			value = json_string(part_names[read_enum(at)]);
			break;
		case SCHEDULE:
			value = json_string(schedule_names[read_enum(at)]);
			break;
		}
		failed |= json_object_set_new(object, fields[i].name, value);
	}
	if (failed) {
		json_decref(object);
		return NULL;
	}
	return object;
}

static bm_status check_stage(const train_stage *stage, int index, bm_error *err)
{
	for (size_t i = 0; i < FIELDS; i++) {
		const field *f = &fields[i];
		const char *at = (const char *)stage + f->offset;
		double value = 0;
		if (f->kind == TRUTH)
			continue;
		if (f->kind == REAL) {
			float real;
			memcpy(&real, at, sizeof real);
			value = (double)real;
		} else {
			value = read_enum(at);
		}
		if (!(value >= f->low && value <= f->high + 1e-6))
			return base_fail(err, BM_ERR_USAGE,
					 "training plan: '%s' of stage %d is %g; it must lie between %g and %g",
					 f->name, index + 1, value, f->low, f->high);
	}
	if (stage->part == MODEL_LAST_LAYERS && stage->last_layers < 1)
		return base_fail(
			err, BM_ERR_USAGE,
			"training plan: stage %d trains the last layers, but 'last_layers' is %d; say how many",
			index + 1, stage->last_layers);
	return BM_OK;
}

bm_status train_plan_check(const train_plan *plan, bm_error *err)
{
	if (plan->count < 1 || plan->count > TRAIN_STAGES_MAX)
		return base_fail(err, BM_ERR_USAGE, "training plan: it has %d stages; it must have 1 to %d",
				 plan->count, TRAIN_STAGES_MAX);
	const double budgets[] = {plan->time_budget, plan->fitted_budget};
	for (int i = 0; i < 2; i++)
		if (!(budgets[i] >= 0) || isinf(budgets[i]))
			return base_fail(err, BM_ERR_USAGE,
					 "training plan: the %stime budget is %g s; it must be a number of seconds, or "
					 "0 for none",
					 i ? "fitted " : "", budgets[i]);
	for (int i = 0; i < plan->count; i++) {
		bm_status status = check_stage(&plan->stages[i], i, err);
		if (status != BM_OK)
			return status;
		for (int j = 0; j < i; j++)
			if (plan->stages[j].number == plan->stages[i].number)
				return base_fail(
					err, BM_ERR_USAGE,
					"training plan: stages %d and %d have the same 'number', %d; they would "
					"write the same file",
					j + 1, i + 1, plan->stages[i].number);
	}
	return BM_OK;
}

bm_status train_plan_to_json(const train_plan *plan, char **json, bm_error *err)
{
	*json = NULL;
	json_t *root = json_object(), *stages = json_array();
	int failed = !root || !stages;
	for (int i = 0; i < plan->count; i++)
		failed |= json_array_append_new(stages, stage_to_json(&plan->stages[i]));
	failed |= json_object_set_new(root, "name", json_string(plan->name));
	failed |= json_object_set_new(root, "class_weights", json_boolean(plan->class_weights));
	failed |= json_object_set_new(root, "mirror", json_boolean(plan->mirror));
	failed |= json_object_set_new(root, "time_budget", json_real(plan->time_budget));
	if (plan->fitted_budget > 0)
		failed |= json_object_set_new(root, "fitted_budget", json_real(plan->fitted_budget));
	failed |= json_object_set(root, "stages", stages);
	char *text = failed ? NULL : json_dumps(root, JSON_INDENT(2) | JSON_REAL_PRECISION(15));
	json_decref(stages);
	json_decref(root);
	if (!text)
		return base_fail(err, BM_ERR_MEMORY, "no memory for the training plan's JSON");
	*json = base_strdup(text, err);
	free(text);
	return *json ? BM_OK : BM_ERR_MEMORY;
}

static int name_index(const char *const *names, int count, const json_t *value)
{
	const char *text = json_string_value(value);
	for (int i = 0; text && i < count; i++)
		if (strcmp(names[i], text) == 0)
			return i;
	return -1;
}

static bm_status misread(bm_error *err, int stage, const char *name, const char *wanted)
{
	return base_fail(err, BM_ERR_FORMAT, "training plan: '%s' of stage %d is missing or wrong; it must be %s", name,
			 stage + 1, wanted);
}

static void set_missing(train_stage *stage, const field *f)
{
	char *at = (char *)stage + f->offset;
	const int whole = (int)f->missing;
	const float real = (float)f->missing;
	const bool truth = f->missing != 0;
	if (f->kind == REAL)
		memcpy(at, &real, sizeof real);
	else if (f->kind == TRUTH)
		memcpy(at, &truth, sizeof truth);
	else
		memcpy(at, &whole, sizeof whole);
}

/* A field that no version knew: most likely a slip of the pen. */
static bm_status check_known(json_t *object, int index, bm_error *err)
{
	const char *key;
	json_t *value;
	json_object_foreach(object, key, value)
	{
		bool known = strcmp(key, "title") == 0;
		for (size_t i = 0; i < FIELDS; i++)
			known |= strcmp(key, fields[i].name) == 0;
		if (!known)
			return base_fail(err, BM_ERR_FORMAT,
					 "training plan: unknown field '%s' of stage %d; a run's config.json shows all "
					 "that there are",
					 key, index + 1);
	}
	return BM_OK;
}

/* Cut short, it could end within a character, and the plan could not be written again. */
static bm_status take_text(char *member, size_t size, const char *text, const char *what, bm_error *err)
{
	const int length = snprintf(member, size, "%s", text);
	if (length < 0 || (size_t)length >= size)
		return base_fail(err, BM_ERR_FORMAT,
				 "training plan: %s is %zu bytes long, and at most %zu are possible; shorten it", what,
				 strlen(text), size - 1);
	return BM_OK;
}

static bm_status stage_from_json(json_t *object, int index, train_stage *stage, bm_error *err)
{
	const json_t *title = json_object_get(object, "title");
	if (title && !json_is_string(title))
		return misread(err, index, "title", "a text");
	char text[32];
	snprintf(text, sizeof text, title ? "'title' of stage %d" : "Stage %d", index + 1);
	bm_status status =
		take_text(stage->title, sizeof stage->title, title ? json_string_value(title) : text, text, err);
	stage->number = index + 1;
	if (status == BM_OK)
		status = check_known(object, index, err);
	if (status != BM_OK)
		return status;
	for (size_t i = 0; i < FIELDS; i++) {
		const field *f = &fields[i];
		char *at = (char *)stage + f->offset;
		const json_t *value = json_object_get(object, f->name);
		int whole = 0;
		if (!value && !isnan(f->missing)) {
			if (f->offset != AT(number))
				set_missing(stage, f);
			continue;
		}
		switch (f->kind) {
		case WHOLE:
			if (!json_is_integer(value) || json_integer_value(value) < -1000000000 ||
			    json_integer_value(value) > 1000000000)
				return misread(err, index, f->name, "a whole number");
			whole = (int)json_integer_value(value);
			memcpy(at, &whole, sizeof whole);
			break;
		case REAL: {
			if (!json_is_number(value))
				return misread(err, index, f->name, "a number");
			const float real = (float)json_number_value(value);
			memcpy(at, &real, sizeof real);
			break;
		}
		case TRUTH: {
			if (!json_is_boolean(value))
				return misread(err, index, f->name, "true or false");
			const bool truth = json_is_true(value);
			memcpy(at, &truth, sizeof truth);
			break;
		}
		case PART:
			whole = name_index(part_names, 3, value);
			if (whole < 0)
				return misread(err, index, f->name, "\"head\", \"last-layers\" or \"all\"");
			memcpy(at, &whole, sizeof whole);
			break;
		case SCHEDULE:
			whole = name_index(schedule_names, 2, value);
			if (whole < 0)
				return misread(err, index, f->name, "\"constant\" or \"one-cycle\"");
			memcpy(at, &whole, sizeof whole);
			break;
		}
	}
	return BM_OK;
}

bm_status train_plan_from_json(const char *json, train_plan *plan, bm_error *err)
{
	json_error_t place;
	bm_status status = BM_OK;
	*plan = (train_plan){0};
	json_t *root = json_loads(json, JSON_REJECT_DUPLICATES, &place);
	if (!root)
		return base_fail(err, BM_ERR_FORMAT, "training plan: no JSON: line %d: %s", place.line, place.text);
	const char *name = NULL;
	json_t *stages = NULL;
	int weights = true, mirror = false;
	double budget = 0, fitted = 0;
	/* "!": a member that is not among these is an error. */
	if (json_unpack_ex(root, &place, 0, "{s:s, s:o, s?b, s?b, s?F, s?F !}", "name", &name, "stages", &stages,
			   "class_weights", &weights, "mirror", &mirror, "time_budget", &budget, "fitted_budget",
			   &fitted) != 0)
		status = base_fail(err, BM_ERR_FORMAT,
				   "training plan: %s; it needs 'name' and 'stages', and may have 'class_weights', "
				   "'mirror' (true or false) and 'time_budget' (seconds)",
				   place.text);
	else if (!json_is_array(stages))
		status = base_fail(err, BM_ERR_FORMAT, "training plan: 'stages' is no list");
	if (status == BM_OK && json_array_size(stages) > TRAIN_STAGES_MAX)
		status = base_fail(err, BM_ERR_FORMAT, "training plan: it has %zu stages; at most %d are possible",
				   json_array_size(stages), TRAIN_STAGES_MAX);
	if (status == BM_OK)
		status = take_text(plan->name, sizeof plan->name, name, "'name'", err);
	if (status == BM_OK) {
		plan->class_weights = weights;
		plan->mirror = mirror;
		plan->time_budget = budget;
		plan->fitted_budget = fitted;
		plan->count = (int)json_array_size(stages);
	}
	for (int i = 0; status == BM_OK && i < plan->count; i++)
		status = stage_from_json(json_array_get(stages, (size_t)i), i, &plan->stages[i], err);
	json_decref(root);
	return status == BM_OK ? train_plan_check(plan, err) : status;
}
