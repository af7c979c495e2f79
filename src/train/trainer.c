#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/threads.h"
#include "train/state.h"

/* Reduce-on-plateau counts a validation loss as better when it is smaller by this much (Keras' min_delta). */
#define PLATEAU_DELTA 1e-4
/* Under a time budget a one-cycle plan grows again when it would fill less than this share of it. */
#define BUDGET_SLACK 0.88

static size_t steps_per_epoch(const trainer *t, int stage)
{
	const size_t batch = (size_t)t->plan->stages[stage].batch;
	return (t->split->count[DATA_TRAIN] + batch - 1) / batch;
}

/* One-cycle steps of the stages from `first` on, whole stages. */
static uint64_t cycle_steps(const trainer *t, int first)
{
	uint64_t total = 0;
	for (int i = first; i < t->plan->count; i++)
		if (t->plan->stages[i].schedule == TRAIN_ONE_CYCLE)
			total += steps_per_epoch(t, i) * (uint64_t)t->plan->stages[i].epochs;
	return total;
}

static void refit_cycle(trainer *t)
{
	const train_state *s = &t->state;
	uint64_t remaining = cycle_steps(t, s->stage + 1);
	const train_stage *stage = &t->plan->stages[s->stage];
	if (stage->schedule == TRAIN_ONE_CYCLE && !s->stage_over && stage->epochs > s->epoch)
		remaining += steps_per_epoch(t, s->stage) * (uint64_t)(stage->epochs - s->epoch);
	train_cycle_refit(&t->state.cycle, s->cycle_step, remaining);
}

static bool all_one_cycle(const train_plan *plan, int first)
{
	for (int i = first; i < plan->count; i++)
		if (plan->stages[i].schedule != TRAIN_ONE_CYCLE)
			return false;
	return true;
}

/* ---- the beginning ---- */

static bm_status check_data(const model *m, const data_pack *pack, const data_split *split, bm_error *err)
{
	if (m->options.classes != pack->class_count)
		return base_fail(err, BM_ERR_USAGE,
				 "the model has %d classes, the data %d; make the model for this data",
				 m->options.classes, pack->class_count);
	for (int part = 0; part < DATA_PART_COUNT; part++) {
		if (part != DATA_TEST && split->count[part] == 0)
			return base_fail(err, BM_ERR_DATA, "the %s part of the split is empty; more images are needed",
					 data_part_name((data_part)part));
		for (size_t i = 0; i < split->count[part]; i++) {
			const size_t index = split->indices[part][i];
			if (index >= pack->count || pack->labels[index] < 0 || pack->labels[index] >= pack->class_count)
				return base_fail(
					err, BM_ERR_DATA,
					"the split names image %zu, which the pack does not hold; split the data again",
					index);
		}
	}
	return BM_OK;
}

static base_hash hash_data(const data_pack *pack, const data_split *split)
{
	base_hash hash = base_hash_join(pack->content, base_hash_bytes(&pack->side, sizeof pack->side));
	for (int part = 0; part < DATA_PART_COUNT; part++)
		hash = base_hash_join(hash, base_hash_bytes(split->indices[part], split->count[part] * sizeof(size_t)));
	return hash;
}

static bm_status prepare(trainer *t, bm_error *err)
{
	const size_t validation = t->split->count[DATA_VALIDATION];
	size_t counts[MODEL_CLASSES_MAX] = {0};
	t->validation_labels = base_calloc(validation, sizeof *t->validation_labels, "the validation labels", err);
	t->validation = base_calloc(validation * (size_t)t->m->options.classes, sizeof *t->validation,
				    "the validation results", err);
	if (!t->validation_labels || !t->validation)
		return BM_ERR_MEMORY;
	for (size_t i = 0; i < validation; i++)
		t->validation_labels[i] = t->pack->labels[t->split->indices[DATA_VALIDATION][i]];
	for (size_t i = 0; i < t->split->count[DATA_TRAIN]; i++)
		counts[t->pack->labels[t->split->indices[DATA_TRAIN][i]]]++;
	t->weighted = t->plan->class_weights;
	data_class_weights(counts, t->m->options.classes, t->class_weights);
	t->data_hash = hash_data(t->pack, t->split);

	char *folder = base_path_join(t->options->run_folder, "checkpoint", err);
	bm_status status = folder ? base_make_folders(folder, err) : BM_ERR_MEMORY;
	base_free(folder);
	return status;
}

/* A training that begins anew leaves nothing behind that a later --resume could take for its own. */
static bm_status forget_checkpoint(const trainer *t, bm_error *err)
{
	char *path = NULL;
	bm_status status = train_checkpoint_path(t, &path, err);
	if (status == BM_OK)
		unlink(path);
	base_free(path);
	return status;
}

/* The plan's epochs for its time budget, which it loses: from here on the epochs say it all. */
static bm_status resolve_budget(trainer *t, bm_error *err)
{
	train_plan *plan = t->plan;
	int wanted[TRAIN_STAGES_MAX], least[TRAIN_STAGES_MAX], epochs[TRAIN_STAGES_MAX];
	char time[32], there[32];
	bm_status status = BM_OK;
	t->budget = plan->time_budget;
	base_note(t->observer, "Measuring the speed of each stage for a time budget of %s",
		  base_format_seconds(t->budget, time));
	for (int i = 0; status == BM_OK && i < plan->count; i++) {
		status = train_measure(t->m, t->pack, t->split, &plan->stages[i], plan->mirror, t->options, t->threads,
				       t->observer, &t->costs[i], err);
		wanted[i] = plan->stages[i].epochs;
	}
	if (status != BM_OK)
		return status;
	const double seconds = t->budget * TRAIN_BUDGET_SHARE - train_seconds(t);
	const double growth = all_one_cycle(plan, 0) ? TRAIN_BUDGET_GROWTH : 1;
	train_budget_least(plan, 0, true, least);
	bool fits = train_budget_fit(t->costs, wanted, least, plan->count, seconds, growth, epochs);
	if (!fits) {
		train_budget_least(plan, 0, false, least);
		fits = train_budget_fit(t->costs, wanted, least, plan->count, seconds, growth, epochs);
	}
	if (!fits)
		base_warning(t->observer,
			     "The time budget of %s is too small for one epoch of every stage: this will take about %s",
			     base_format_seconds(t->budget, time),
			     base_format_seconds(train_seconds(t) + train_budget_total(t->costs, epochs, plan->count),
						 there));
	for (int i = 0; i < plan->count; i++) {
		base_note(t->observer, "Stage %d: %.0f ms/step, %zu steps, validation %.1f s: %d epochs instead of %d",
			  plan->stages[i].number, 1000 * t->costs[i].step, t->costs[i].steps, t->costs[i].validation,
			  epochs[i], wanted[i]);
		plan->stages[i].epochs = epochs[i];
	}
	plan->fitted_budget = plan->time_budget;
	plan->time_budget = 0;
	return BM_OK;
}

/* ---- the end of an epoch ---- */

/* epochs: what is left of the stage under way, and those of the later ones. */
static void take_epochs(trainer *t, const int *epochs)
{
	const int first = t->state.stage;
	for (int i = first; i < t->plan->count; i++) {
		train_stage *stage = &t->plan->stages[i];
		const int whole = epochs[i - first] + (i == first ? t->state.epoch : 0);
		if (stage->epochs != whole)
			base_note(t->observer, "Stage %d: %d epochs instead of %d, to fit the time budget",
				  stage->number, whole, stage->epochs);
		stage->epochs = whole;
	}
	refit_cycle(t);
}

/* When the real speed is another than the measured one: other numbers of epochs for what is left. */
static void guard_budget(trainer *t)
{
	train_plan *plan = t->plan;
	const train_state *s = &t->state;
	const int first = s->stage, count = plan->count - first;
	int wanted[TRAIN_STAGES_MAX], least[TRAIN_STAGES_MAX], epochs[TRAIN_STAGES_MAX];
	train_cost costs[TRAIN_STAGES_MAX];
	if (t->budget <= 0 || s->stage_over)
		return;
	for (int i = 0; i < count; i++) {
		wanted[i] = plan->stages[first + i].epochs;
		costs[i] = t->costs[first + i];
	}
	wanted[0] -= s->epoch;
	costs[0].once = 0; /* spent */
	const double left = t->budget - train_seconds(t),
		     share = train_budget_total(costs, wanted, count) / (left > 0 ? left : 1e-9);
	const bool more = share < BUDGET_SLACK && all_one_cycle(plan, first) && wanted[0] > 0;
	if (share <= 1 && !more)
		return;
	if (more) {
		train_budget_grow(costs, wanted, count, left * TRAIN_BUDGET_SHARE, epochs);
		take_epochs(t, epochs);
		return;
	}
	/* The last stage of a cycle goes on for one epoch at least, in which the rate comes down: weights from the middle of a cycle are worth
	 * less than being in time. */
	const int more_epochs = count == 1 && plan->stages[first].schedule == TRAIN_ONE_CYCLE && wanted[0] > 0;
	train_budget_least(plan, first, true, least);
	least[0] = more_epochs;
	if (!train_budget_fit(costs, wanted, least, count, left * TRAIN_BUDGET_SHARE, 1, epochs)) {
		train_budget_least(plan, first, false, least);
		least[0] = more_epochs;
		train_budget_fit(costs, wanted, least, count, left * TRAIN_BUDGET_SHARE, 1, epochs);
	}
	take_epochs(t, epochs);
}

/* The measured costs of later stages, corrected by how this one turned out. */
static void learn_costs(trainer *t, double expected)
{
	const int stage = t->state.stage;
	const double real = train_cost_epoch(&t->costs[stage]);
	if (t->budget <= 0 || !(expected > 0) || !(real > 0))
		return;
	for (int i = stage + 1; i < t->plan->count; i++) {
		t->costs[i].step *= real / expected;
		t->costs[i].validation *= real / expected;
		t->costs[i].once *= real / expected;
	}
}

static bool better(double accuracy, double loss, double than_accuracy, double than_loss)
{
	return accuracy > than_accuracy || (accuracy == than_accuracy && loss < than_loss);
}

/* The best of the stages' models; a network is judged at the size that it was last trained at, so only stages of that size count. */
static void find_best(trainer *t)
{
	train_history *h = t->history;
	const train_epoch *best = NULL, *last = &h->epochs[h->count - 1];
	const int size = t->plan->stages[t->state.stage].image_size;
	for (const train_epoch *e = h->epochs; e <= last; e++) {
		const train_stage *stage = train_plan_stage(t->plan, e->stage);
		const bool kept = stage && (stage->keep_best || e == last || e[1].stage != e->stage);
		if (kept && stage->image_size == size &&
		    (!best || better(e->val_accuracy, e->val_loss, best->val_accuracy, best->val_loss)))
			best = e;
	}
	h->best_stage = best ? best->stage : 0;
	h->best_epoch = best ? best->epoch : 0;
}

static bm_status save_model(trainer *t, bm_error *err)
{
	model shown = *t->m;
	char *path = NULL;
	if (t->ema.items)
		shown.weights = t->ema;
	bm_status status = train_best_path(t, t->state.stage, &path, err);
	if (status == BM_OK)
		status = t->options->save_optimizer ? train_moments_save(t, &shown, path, err)
						    : model_save(&shown, path, err);
	base_free(path);
	return status;
}

static bm_status write_history(trainer *t, bm_error *err)
{
	t->history->seconds = train_seconds(t);
	char *path = base_path_join(t->options->run_folder, "training_history.json", err);
	bm_status status = path ? train_history_write(t->history, path, err) : BM_ERR_MEMORY;
	base_free(path);
	return status;
}

/* more_accurate: the validation accuracy, not only the loss, is the best of this stage. */
static void stop_or_slow_down(trainer *t, const train_epoch *e, bool more_accurate)
{
	train_state *s = &t->state;
	const train_stage *stage = &t->plan->stages[s->stage];
	s->stop_wait = more_accurate ? 0 : s->stop_wait + 1;
	if (stage->patience > 0 && s->stop_wait >= stage->patience && s->epoch < stage->epochs) {
		s->stage_over = true;
		t->history->early_stopped[s->stage] = true;
		base_note(t->observer, "Stage %d ends early: no better validation accuracy for %d epochs",
			  stage->number, s->stop_wait);
		refit_cycle(t);
	}
	if (stage->plateau_patience < 1)
		return;
	if (e->val_loss < s->plateau_best - PLATEAU_DELTA) {
		s->plateau_best = e->val_loss;
		s->plateau_wait = 0;
	} else if (++s->plateau_wait >= stage->plateau_patience) {
		char rate[32];
		s->plateau_wait = 0;
		s->rate_factor *= (double)stage->plateau_factor;
		if (!s->stage_over && s->epoch < stage->epochs)
			base_note(t->observer, "No better validation loss for %d epochs: learning rate %s",
				  stage->plateau_patience, train_format_rate(train_rate(t), rate));
	}
}

static bm_status after_epoch(trainer *t, double expected, bm_error *err)
{
	train_state *s = &t->state;
	const train_epoch *e = &t->history->epochs[t->history->count - 1];
	const bool improved = !s->have_best || better(e->val_accuracy, e->val_loss, s->best_accuracy, s->best_loss);
	const bool more_accurate = !s->have_best || e->val_accuracy > s->best_accuracy;
	bm_status status = BM_OK;
	if (improved) {
		s->have_best = true;
		s->best_epoch = e->epoch;
		s->best_accuracy = e->val_accuracy;
		s->best_loss = e->val_loss;
	}
	if (improved || !t->plan->stages[s->stage].keep_best)
		status = save_model(t, err);
	find_best(t);
	stop_or_slow_down(t, e, more_accurate);
	learn_costs(t, expected);
	guard_budget(t);
	if (status == BM_OK)
		status = write_history(t, err);
	if (status == BM_OK)
		status = train_checkpoint_write(t, err);
	return status;
}

/* ---- stages ---- */

static void begin_stage(train_state *s, int stage)
{
	s->stage = stage;
	s->epoch = 0;
	s->batch = 0;
	s->rate_factor = 1;
	s->plateau_best = 1e300;
	s->plateau_wait = s->stop_wait = 0;
	s->stage_over = s->have_best = false;
	s->best_epoch = 0;
	s->best_accuracy = s->best_loss = 0;
}

/* The optimiser's moments and the averaged weights go on into a stage that trains the same layers on the same cycle. */
static bool continues(const train_plan *plan, int stage)
{
	if (stage + 1 >= plan->count)
		return false;
	const train_stage *a = &plan->stages[stage], *b = a + 1;
	return a->schedule == TRAIN_ONE_CYCLE && b->schedule == TRAIN_ONE_CYCLE && a->part == b->part &&
	       (a->part != MODEL_LAST_LAYERS || a->last_layers == b->last_layers) && !a->keep_best;
}

static bm_status load_best(trainer *t, int stage, bm_error *err)
{
	char *path = NULL;
	bool head = false;
	bm_status status = train_best_path(t, stage, &path, err);
	if (status == BM_OK)
		status = model_load_weights(t->m, path, &head, err);
	if (status == BM_OK && !head)
		status = base_fail(err, BM_ERR_FORMAT, "'%s' has another head than the model in training; start anew",
				   path);
	base_free(path);
	return status;
}

/* moments: what the stage starts with (count 0: nothing), and afterwards what the next one starts with. */
static bm_status run_stage(trainer *t, train_moments *moments, bm_error *err)
{
	train_state *s = &t->state;
	train_stage *stage = &t->plan->stages[s->stage];
	int64_t all = 0, trainable = 0;
	bm_status status = train_stage_open(t, err);
	if (status == BM_OK && moments->count > 0)
		status = train_moments_give(t, moments, err);
	train_moments_free(moments);
	if (status != BM_OK)
		return status;
	nn_weights_counts(&t->m->graph, &t->m->weights, &all, &trainable);
	train_print_stage(t, trainable);
	train_tell_stage(t);
	if (s->epoch == 0 && s->batch == 0)
		status = train_checkpoint_write(t, err);
	while (status == BM_OK && s->epoch < stage->epochs && !s->stage_over) {
		const double expected = train_cost_epoch(&t->costs[s->stage]);
		status = train_epoch_run(t, err);
		if (status == BM_OK)
			status = after_epoch(t, expected, err);
	}
	if (status != BM_OK)
		return status;
	train_print_stage_end(t);
	const bool carried = continues(t->plan, s->stage);
	if (carried)
		status = train_moments_take(t, moments, err);
	else
		nn_weights_free(&t->ema);
	if (status == BM_OK && stage->keep_best)
		status = load_best(t, s->stage, err);
	train_stage_close(t);
	t->frozen_written = false;
	begin_stage(s, s->stage + 1);
	return status;
}

static bm_status finish(trainer *t, bm_error *err)
{
	const train_stage *best = train_plan_stage(t->plan, t->history->best_stage);
	bm_status status = best ? load_best(t, (int)(best - t->plan->stages), err) : BM_OK;
	if (status == BM_OK)
		status = write_history(t, err);
	if (status == BM_OK)
		status = train_checkpoint_write(t, err);
	if (status == BM_OK)
		train_print_summary(t);
	return status;
}

bm_status train_run(model *m, const data_pack *pack, const data_split *split, train_plan *plan,
		    const train_options *options, const base_observer *observer, train_history *history, bm_error *err)
{
	train_moments moments = {0};
	trainer t = {
		.m = m,
		.pack = pack,
		.split = split,
		.plan = plan,
		.options = options,
		.observer = observer,
		.history = history,
		.threads = options->threads > 0 ? options->threads : base_cores(),
		.begin = base_now(),
	};
	*history = (train_history){0};
	bm_status status = train_plan_check(plan, err);
	if (status == BM_OK)
		status = check_data(m, pack, split, err);
	if (status == BM_OK)
		status = train_teachers_check(m, plan, options, err);
	if (status == BM_OK)
		status = prepare(&t, err);
	if (status == BM_OK && options->resume)
		status = train_checkpoint_read(&t, &t.resumed, &moments, err);
	if (status == BM_OK && t.resumed) {
		t.earlier = t.state.seconds;
		train_tell_past(&t);
	}
	if (status == BM_OK)
		status = train_memory_check(m, plan, options, t.state.stage, split->count[DATA_TRAIN],
					    base_memory_available(), err);
	if (status == BM_OK && !t.resumed && plan->time_budget > 0)
		status = resolve_budget(&t, err);
	if (status == BM_OK && !t.resumed)
		status = forget_checkpoint(&t, err);
	if (status == BM_OK && !t.resumed) {
		begin_stage(&t.state, 0);
		train_cycle_refit(&t.state.cycle, 0, cycle_steps(&t, 0));
	}
	if (status == BM_OK) {
		train_print_configuration(&t);
		if (t.resumed)
			base_note(observer, "Resumed after %zu epochs and %zu steps", history->count, t.state.batch);
	}
	while (status == BM_OK && t.state.stage < plan->count)
		status = run_stage(&t, &moments, err);
	if (status == BM_OK)
		status = finish(&t, err);
	history->seconds = train_seconds(&t);
	train_stage_close(&t);
	train_moments_free(&moments);
	nn_weights_free(&t.ema);
	base_free(t.validation_labels);
	base_free(t.validation);
	return status;
}
