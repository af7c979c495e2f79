#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "train/checkpoint_file.h"
#include "train/state.h"

static bm_status folder_file(const trainer *t, const char *name, char **path, bm_error *err)
{
	char *folder = base_path_join(t->options->run_folder, "checkpoint", err);
	*path = folder ? base_path_join(folder, name, err) : NULL;
	base_free(folder);
	return *path ? BM_OK : BM_ERR_MEMORY;
}

bm_status train_checkpoint_path(const trainer *t, char **path, bm_error *err)
{
	return folder_file(t, "state.bin", path, err);
}

/* The weights that a stage leaves as they are, written once: all weights as they stood when it began. */
static bm_status frozen_path(const trainer *t, int stage, char **path, bm_error *err)
{
	char name[48];
	snprintf(name, sizeof name, "stage%d-start.bin", t->plan->stages[stage].number);
	return folder_file(t, name, path, err);
}

static bool changes(const model *m, int item)
{
	return m->graph.layers[m->weights.items[item].layer].trainable;
}

static bool some_frozen(const model *m)
{
	for (int i = 0; i < m->weights.count; i++)
		if (!changes(m, i))
			return true;
	return false;
}

/* ---- the text ---- */

static const struct {
	const char *name;
	size_t offset;
	enum { AN_INT, A_SIZE, A_U64, A_DOUBLE, A_BOOL } kind;
} members[] = {
#define MEMBER(name, kind)                               \
	{                                                \
#name, offsetof(train_state, name), kind \
	}
	MEMBER(stage, AN_INT),
	MEMBER(epoch, AN_INT),
	MEMBER(batch, A_SIZE),
	MEMBER(step, A_U64),
	MEMBER(cycle_step, A_U64),
	{"cycle_anchor", offsetof(train_state, cycle.anchor), A_DOUBLE},
	{"cycle_anchor_step", offsetof(train_state, cycle.anchor_step), A_U64},
	{"cycle_total", offsetof(train_state, cycle.total), A_U64},
	MEMBER(optimizer_step, A_U64),
	MEMBER(loss_sum, A_DOUBLE),
	MEMBER(correct, A_SIZE),
	MEMBER(seen, A_SIZE),
	MEMBER(epoch_seconds, A_DOUBLE),
	MEMBER(seconds, A_DOUBLE),
	MEMBER(rate_factor, A_DOUBLE),
	MEMBER(plateau_best, A_DOUBLE),
	MEMBER(plateau_wait, AN_INT),
	MEMBER(stop_wait, AN_INT),
	MEMBER(stage_over, A_BOOL),
	MEMBER(have_best, A_BOOL),
	MEMBER(best_epoch, AN_INT),
	MEMBER(best_accuracy, A_DOUBLE),
	MEMBER(best_loss, A_DOUBLE),
#undef MEMBER
};
_Static_assert(sizeof(size_t) == sizeof(uint64_t), "sizes are stored as 64 bits");

static json_t *state_to_json(const train_state *state)
{
	json_t *object = json_object();
	for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
		const char *at = (const char *)state + members[i].offset;
		json_t *value = NULL;
		int whole;
		uint64_t large;
		double real;
		bool truth;
		switch (members[i].kind) {
		case AN_INT:
			memcpy(&whole, at, sizeof whole);
			value = json_integer(whole);
			break;
		case A_SIZE:
		case A_U64:
			memcpy(&large, at, sizeof large);
			value = json_integer((json_int_t)large);
			break;
		case A_DOUBLE:
			memcpy(&real, at, sizeof real);
			value = json_real(real);
			break;
		case A_BOOL:
			memcpy(&truth, at, sizeof truth);
			value = json_boolean(truth);
			break;
		}
		if (json_object_set_new(object, members[i].name, value) != 0) {
			json_decref(object);
			return NULL;
		}
	}
	return object;
}

static bool state_from_json(const json_t *object, train_state *state)
{
	for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
		char *at = (char *)state + members[i].offset;
		const json_t *value = json_object_get(object, members[i].name);
		const int whole = (int)json_integer_value(value);
		const uint64_t large = (uint64_t)json_integer_value(value);
		const double real = json_number_value(value);
		const bool truth = json_is_true(value);
		switch (members[i].kind) {
		case AN_INT:
			memcpy(at, &whole, sizeof whole);
			break;
		case A_SIZE:
		case A_U64:
			memcpy(at, &large, sizeof large);
			break;
		case A_DOUBLE:
			memcpy(at, &real, sizeof real);
			break;
		case A_BOOL:
			memcpy(at, &truth, sizeof truth);
			break;
		}
		if (members[i].kind == A_BOOL ? !json_is_boolean(value) : !json_is_number(value))
			return false;
	}
	return true;
}

static json_t *hash_to_json(base_hash hash)
{
	char text[33];
	base_hash_text(hash, text);
	return json_string(text);
}

/* A row for each epoch, in the order of train_epoch. */
static json_t *epochs_to_json(const train_history *history)
{
	json_t *list = json_array();
	for (size_t i = 0; i < history->count; i++) {
		const train_epoch *e = &history->epochs[i];
		json_t *row =
			json_pack("[i,i,f,f,f,f,f,f,f,f]", e->stage, e->epoch, e->loss, e->accuracy, e->val_loss,
				  e->val_accuracy, e->learning_rate, e->seconds, e->ms_per_step, e->images_per_second);
		if (json_array_append_new(list, row) != 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

static bm_status epochs_from_json(json_t *list, train_history *history, bool *fits, bm_error *err)
{
	size_t i;
	json_t *row;
	*fits = json_is_array(list);
	json_array_foreach(list, i, row)
	{
		train_epoch e = {0};
		*fits = *fits && json_unpack(row, "[i,i,F,F,F,F,F,F,F,F]", &e.stage, &e.epoch, &e.loss, &e.accuracy,
					     &e.val_loss, &e.val_accuracy, &e.learning_rate, &e.seconds, &e.ms_per_step,
					     &e.images_per_second) == 0;
		if (!*fits)
			return BM_OK;
		bm_status status = train_history_add(history, &e, err);
		if (status != BM_OK)
			return status;
	}
	return BM_OK;
}

static json_t *model_to_json(const model *m)
{
	json_t *names = json_array();
	for (int i = 0; i < m->options.classes; i++)
		if (json_array_append_new(names, json_string(m->class_names[i])) != 0)
			break;
	return json_pack("{s:f,s:i,s:i,s:i,s:o}", "width", m->options.width, "image_size", m->options.image_size,
			 "channels", m->options.channels, "head", (int)m->options.head, "classes", names);
}

static char *text_make(const trainer *t, bm_error *err)
{
	char *plan = NULL, *text = NULL;
	if (train_plan_to_json(t->plan, &plan, err) != BM_OK)
		return NULL;
	json_t *costs = json_array(), *stopped = json_array();
	int failed = 0;
	for (int i = 0; i < TRAIN_STAGES_MAX; i++) {
		failed |= json_array_append_new(costs,
						json_pack("[f,I,f,f]", t->costs[i].step, (json_int_t)t->costs[i].steps,
							  t->costs[i].validation, t->costs[i].once));
		failed |= json_array_append_new(stopped, json_boolean(t->history->early_stopped[i]));
	}
	json_t *root =
		json_pack("{s:s,s:o,s:o,s:I,s:o,s:i,s:f,s:o,s:o,s:o,s:o,s:i,s:i,s:o}", "plan", plan, "model",
			  model_to_json(t->m), "data", hash_to_json(t->data_hash), "seed", (json_int_t)t->options->seed,
			  "teachers", hash_to_json(train_teachers_hash(t->options)), "threads", t->threads, "budget",
			  t->budget, "costs", costs, "early_stopped", stopped, "state", state_to_json(&t->state),
			  "history", epochs_to_json(t->history), "best_stage", t->history->best_stage, "best_epoch",
			  t->history->best_epoch, "frozen", hash_to_json(t->frozen));
	char *dump = root && !failed ? json_dumps(root, JSON_INDENT(1) | JSON_REAL_PRECISION(17)) : NULL;
	if (!dump)
		base_fail(err, BM_ERR_MEMORY, "no memory for a checkpoint");
	else
		text = base_strdup(dump, err);
	free(dump);
	json_decref(root);
	base_free(plan);
	return text;
}

/* ---- writing ---- */

static bm_status frozen_write(trainer *t, bm_error *err)
{
	const train_piece all = {TRAIN_WEIGHTS, t->m->weights.storage, t->m->weights.total};
	char *path = NULL;
	bm_status status = frozen_path(t, t->state.stage, &path, err);
	if (status == BM_OK)
		status = train_file_write(path, "{}", &all, 1, &t->frozen, err);
	base_free(path);
	t->frozen_written = status == BM_OK;
	return status;
}

static void frozen_remove(const trainer *t, int but)
{
	for (int i = 0; i < t->plan->count; i++) {
		char *path = NULL;
		if (i != but && frozen_path(t, i, &path, NULL) == BM_OK)
			unlink(path);
		base_free(path);
	}
}

bm_status train_checkpoint_write(trainer *t, bm_error *err)
{
	const int count = t->m->weights.count;
	train_moments moments = {0};
	char *path = NULL, *text = NULL;
	size_t used = 0;
	bm_status status = BM_ERR_MEMORY;
	train_piece *pieces = base_calloc((size_t)count * 2 + 2, sizeof *pieces, "a checkpoint", err);
	if (!pieces)
		return status;
	t->state.seconds = train_seconds(t);
	t->state.optimizer_step = t->optimizer.step;
	if (t->network) {
		status = nn_network_store(t->network, &t->m->weights, err);
		if (status == BM_OK && !t->frozen_written && some_frozen(t->m))
			status = frozen_write(t, err);
		if (status == BM_OK)
			status = train_moments_take(t, &moments, err);
		if (status != BM_OK)
			goto end;
		for (int i = 0; i < count; i++)
			if (changes(t->m, i))
				pieces[used++] = (train_piece){TRAIN_WEIGHTS, t->m->weights.items[i].values,
							       t->m->weights.items[i].count};
		pieces[used++] = (train_piece){TRAIN_MOMENT_M, moments.m, moments.count};
		pieces[used++] = (train_piece){TRAIN_MOMENT_V, moments.v, moments.count};
		for (int i = 0; t->ema.items && i < count; i++)
			if (changes(t->m, i))
				pieces[used++] =
					(train_piece){TRAIN_EMA, t->ema.items[i].values, t->ema.items[i].count};
	}
	status = train_checkpoint_path(t, &path, err);
	if (status != BM_OK)
		goto end;
	text = text_make(t, err);
	status = text ? train_file_write(path, text, pieces, used, NULL, err) : BM_ERR_MEMORY;
	if (status == BM_OK) {
		t->last_checkpoint = t->state.batch;
		frozen_remove(t, t->frozen_written ? t->state.stage : -1);
	}
end:
	train_moments_free(&moments);
	base_free(text);
	base_free(path);
	base_free(pieces);
	return status;
}

/* ---- reading ---- */

static bm_status differs(const char *what, bm_error *err)
{
	return base_fail(
		err, BM_ERR_USAGE,
		"cannot resume: the checkpoint belongs to another %s; start anew without --resume, in another run "
		"folder to keep what this one holds",
		what);
}

/* Under the time budget that its epochs were fitted to, a plan's epochs are no part of what was asked for. */
static bm_status same_plan(const train_plan *then, const train_plan *now, double budget, bool *same, bm_error *err)
{
	const train_plan *plans[2] = {then, now};
	const bool fitted = budget > 0 && (now->time_budget == budget || now->fitted_budget == budget);
	char *texts[2] = {NULL, NULL};
	bm_status status = BM_OK;
	for (int i = 0; status == BM_OK && i < 2; i++) {
		train_plan plan = *plans[i];
		plan.fitted_budget = 0;
		if (fitted)
			plan.time_budget = 0;
		for (int s = 0; fitted && s < plan.count; s++)
			plan.stages[s].epochs = 1;
		status = train_plan_to_json(&plan, &texts[i], err);
	}
	*same = status == BM_OK && strcmp(texts[0], texts[1]) == 0;
	base_free(texts[0]);
	base_free(texts[1]);
	return status;
}

/* A checkpoint of an earlier version knows of no teachers. */
static bool same_teachers(const trainer *t, const json_t *hash)
{
	base_hash then = {0};
	const char *text = json_string_value(hash);
	return (!text || base_hash_parse(text, &then)) && base_hash_equal(then, train_teachers_hash(t->options));
}

static bm_status read_text(trainer *t, const json_t *root, const char *path, bm_error *err)
{
	const json_t *costs = json_object_get(root, "costs"), *stopped = json_object_get(root, "early_stopped");
	const char *plan_text = json_string_value(json_object_get(root, "plan"));
	const char *data = json_string_value(json_object_get(root, "data")),
		   *frozen = json_string_value(json_object_get(root, "frozen"));
	base_hash data_hash = {0};
	train_plan plan;
	bool fits = true, same = false;
	json_t *is = model_to_json(t->m);
	const bool same_model = json_equal(is, json_object_get(root, "model"));
	json_decref(is);
	if (!plan_text || !data || !base_hash_parse(data, &data_hash) || !frozen ||
	    !base_hash_parse(frozen, &t->frozen))
		goto odd;
	if (!same_model)
		return differs("model (width, image size, channels, head or classes)", err);
	if (!base_hash_equal(data_hash, t->data_hash))
		return differs("data set or split", err);
	if ((uint64_t)json_integer_value(json_object_get(root, "seed")) != t->options->seed)
		return differs("seed", err);
	if (!same_teachers(t, json_object_get(root, "teachers")))
		return differs("set of teachers", err);
	t->budget = json_number_value(json_object_get(root, "budget"));
	bm_status status = train_plan_from_json(plan_text, &plan, err);
	if (status == BM_OK)
		status = same_plan(&plan, t->plan, t->budget, &same, err);
	if (status != BM_OK)
		return status;
	if (!same)
		return differs("training plan", err);
	*t->plan = plan;
	train_history_free(t->history);
	status = epochs_from_json(json_object_get(root, "history"), t->history, &fits, err);
	if (status != BM_OK)
		return status;
	t->history->best_stage = (int)json_integer_value(json_object_get(root, "best_stage"));
	t->history->best_epoch = (int)json_integer_value(json_object_get(root, "best_epoch"));
	for (size_t i = 0; i < TRAIN_STAGES_MAX; i++) {
		json_int_t steps = 0;
		fits = fits && json_unpack(json_array_get(costs, i), "[F,I,F,F]", &t->costs[i].step, &steps,
					   &t->costs[i].validation, &t->costs[i].once) == 0;
		t->costs[i].steps = (size_t)steps;
		t->history->early_stopped[i] = json_is_true(json_array_get(stopped, i));
	}
	const int threads = (int)json_integer_value(json_object_get(root, "threads"));
	if (threads != t->threads)
		base_warning(t->observer,
			     "The checkpoint was made with %d threads, now there are %d: the figures may differ in the "
			     "last digits",
			     threads, t->threads);
	if (fits && state_from_json(json_object_get(root, "state"), &t->state) && t->state.stage >= 0 &&
	    t->state.stage <= plan.count)
		return BM_OK;
odd:
	return base_fail(err, BM_ERR_FORMAT,
			 "the checkpoint '%s' lacks something; start the training anew, without --resume", path);
}

static bm_status read_frozen(trainer *t, bm_error *err)
{
	train_file file = {0};
	char *path = NULL;
	bm_status status = frozen_path(t, t->state.stage, &path, err);
	if (status == BM_OK)
		status = train_file_open(&file, path, err);
	if (status == BM_OK &&
	    (file.counts[TRAIN_WEIGHTS] != t->m->weights.total || !base_hash_equal(file.hash, t->frozen)))
		status = base_fail(err, BM_ERR_FORMAT,
				   "'%s' does not belong to the checkpoint beside it; start the training anew, without "
				   "--resume",
				   path);
	if (status == BM_OK)
		memcpy(t->m->weights.storage, file.sections[TRAIN_WEIGHTS], t->m->weights.total * sizeof(float));
	t->frozen_written = status == BM_OK;
	train_file_close(&file);
	base_free(path);
	return status;
}

/* Into the weights of the layers that change; false when the section has another length. */
static bool read_section(const trainer *t, const train_file *file, train_section section, nn_weights *weights)
{
	size_t at = 0, total = 0;
	for (int i = 0; i < weights->count; i++)
		if (changes(t->m, i))
			total += weights->items[i].count;
	if (total != file->counts[section])
		return false;
	for (int i = 0; i < weights->count; i++)
		if (changes(t->m, i)) {
			memcpy(weights->items[i].values, file->sections[section] + at,
			       weights->items[i].count * sizeof(float));
			at += weights->items[i].count;
		}
	return true;
}

static bm_status read_moments(const train_file *file, uint64_t step, train_moments *moments, bm_error *err)
{
	const size_t count = file->counts[TRAIN_MOMENT_M];
	*moments = (train_moments){.count = count, .step = step};
	moments->m = base_malloc(count, sizeof(float), "the optimiser's moments", err);
	moments->v = base_malloc(count, sizeof(float), "the optimiser's moments", err);
	if (!moments->m || !moments->v)
		return BM_ERR_MEMORY;
	memcpy(moments->m, file->sections[TRAIN_MOMENT_M], count * sizeof(float));
	memcpy(moments->v, file->sections[TRAIN_MOMENT_V], count * sizeof(float));
	return BM_OK;
}

bm_status train_checkpoint_read(trainer *t, bool *found, train_moments *moments, bm_error *err)
{
	train_file file = {0};
	json_t *root = NULL;
	char *path = NULL;
	*found = false;
	*moments = (train_moments){0};
	bm_status status = train_checkpoint_path(t, &path, err);
	if (status != BM_OK || !base_is_file(path))
		goto end;
	status = train_file_open(&file, path, err);
	if (status != BM_OK)
		goto end;
	root = json_loadb(file.text, file.text_length, 0, NULL);
	status = read_text(t, root, path, err);
	if (status != BM_OK)
		goto end;
	*found = true;
	if (t->state.stage == t->plan->count)
		goto end;
	const train_stage *stage = &t->plan->stages[t->state.stage];
	model_set_trainable(t->m, stage->part, stage->last_layers);
	if (some_frozen(t->m))
		status = read_frozen(t, err);
	if (status != BM_OK)
		goto end;
	bool fits = read_section(t, &file, TRAIN_WEIGHTS, &t->m->weights) &&
		    file.counts[TRAIN_MOMENT_M] == file.counts[TRAIN_MOMENT_V];
	if (fits && stage->ema_decay > 0) {
		status = train_ema_start(t, err);
		if (status != BM_OK)
			goto end;
		fits = read_section(t, &file, TRAIN_EMA, &t->ema);
	}
	if (fits)
		status = read_moments(&file, t->state.optimizer_step, moments, err);
	else
		status = base_fail(err, BM_ERR_FORMAT,
				   "the checkpoint '%s' holds other weights than this model has; start the training "
				   "anew, without --resume",
				   path);
end:
	json_decref(root);
	train_file_close(&file);
	base_free(path);
	if (status != BM_OK)
		train_moments_free(moments);
	return status;
}
