#include "phases/search.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/random.h"
#include "base/threads.h"
#include "phases/phases.h"
#include "phases/within.h"
#include "report/figures.h"
#include "report/tables.h"

enum { KEEP = 3, SHOWN = 20 }; /* one of KEEP goes on */

static const uint64_t trial_stream = 0x747269616c; /* "trial" */

typedef struct search {
	phase_context *c;
	const phase_search_options *options;
	phase_trial trials[PHASE_TRIALS_MAX];
	int alive[PHASE_TRIALS_MAX]; /* the trials of the running rung */
	int rung, width;
	double share;	      /* of the plan's epochs in this rung */
	pthread_mutex_t lock; /* of trials and search.json */
} search;

/* ---- what is tried ---- */

int phase_search_width(int trials, int rung)
{
	for (; rung > 0; rung--)
		trials = (trials + KEEP - 1) / KEEP;
	return trials;
}

int phase_search_rungs(int trials)
{
	int rungs = 1;
	while (phase_search_width(trials, rungs) > 1)
		rungs++;
	return rungs;
}

phase_trial phase_trial_draw(uint64_t seed, int number, const run_config *base)
{
	static const double dropouts[] = {0, 0.2, 0.35, 0.5}, batches[] = {0.5, 1, 2};
	static const double augmentations[] = {0, 0.5, 1, 1.5};
	phase_trial t = {.number = number,
			 .rate_factor = 1,
			 .batch_factor = 1,
			 .augmentation = 1,
			 .head = base->head,
			 .dropout = base->dropout,
			 .rung = -1};
	if (number == 0)
		return t;
	base_random r = base_random_make(seed, base_random_mix(trial_stream, (uint64_t)number));
	/* Log-uniform from a tenth to three times. */
	double wanted = exp(log(0.1) + (double)base_random_uniform(&r) * log(30));
	char digits[32];
	snprintf(digits, sizeof digits, "%.3g", wanted);
	t.rate_factor = strtod(digits, NULL);
	t.head = (model_head)base_random_below(&r, 3);
	t.dropout = dropouts[base_random_below(&r, 4)];
	t.augmentation = augmentations[base_random_below(&r, 4)];
	t.batch_factor = batches[base_random_below(&r, 3)];
	if (t.head == MODEL_HEAD_LINEAR)
		t.dropout = -1; /* has none */
	return t;
}

bm_status phase_trial_settings(const phase_trial *t, const run_config *base, double share, run_config *out,
			       bm_error *err)
{
	bm_status status = run_config_copy(base, out, err);
	if (status != BM_OK)
		return status;
	out->head = t->head;
	out->dropout = t->dropout;
	out->plan.time_budget *= share;
	for (int i = 0; i < out->plan.count; i++) {
		train_stage *s = &out->plan.stages[i];
		data_augmentation *a = &s->augmentation;
		long batch = lround(s->batch * t->batch_factor), epochs = lround(s->epochs * share);
		s->batch = batch < 4 ? 4 : (int)batch;
		s->epochs = epochs < 1 ? 1 : (int)epochs;
		s->learning_rate = (float)((double)s->learning_rate * t->rate_factor);
		a->flip = a->flip && t->augmentation > 0;
		a->rotation = fminf(a->rotation * (float)t->augmentation, 180);
		a->shift = fminf(a->shift * (float)t->augmentation, 1);
		a->zoom = fminf(a->zoom * (float)t->augmentation, 0.9f);
		a->brightness = fminf(a->brightness * (float)t->augmentation, 1);
		a->contrast = fminf(a->contrast * (float)t->augmentation, 1);
		a->stretch = fminf(a->stretch * (float)t->augmentation, 0.9f);
		a->gamma = fminf(a->gamma * (float)t->augmentation, 2);
		a->sharpness = fminf(a->sharpness * (float)t->augmentation, 4);
		a->noise = fminf(a->noise * (float)t->augmentation, 1);
		a->levels = fminf(a->levels * (float)t->augmentation, 1);
		a->erase = fminf(a->erase * (float)t->augmentation, 0.9f);
	}
	return BM_OK;
}

/* ---- the record ---- */

static json_t *trial_json(const search *s, const phase_trial *t)
{
	json_t *one = json_object();
	const char *state = t->failed ? "failed" : t->done ? "done" : "waiting";
	phase_put_int(s->c, one, "trial", t->number);
	phase_put_int(s->c, one, "rung", t->rung);
	phase_put_text(s->c, one, "state", state);
	phase_put_real(s->c, one, "rate_factor", t->rate_factor);
	phase_put_real(s->c, one, "learning_rate", t->rate_factor * (double)s->c->config.plan.stages[0].learning_rate);
	phase_put_text(s->c, one, "head", run_config_head_name(t->head));
	phase_put_real(s->c, one, "dropout", t->dropout);
	phase_put_real(s->c, one, "augmentation", t->augmentation);
	phase_put_real(s->c, one, "batch_factor", t->batch_factor);
	phase_put_real(s->c, one, "val_accuracy", t->done ? t->accuracy : NAN);
	phase_put_real(s->c, one, "val_loss", t->done ? t->loss : NAN);
	phase_put_real(s->c, one, "seconds", t->seconds);
	return one;
}

static bm_status record(const search *s, bm_error *err)
{
	json_t *list = json_array();
	char hash[33];
	base_hash_text(s->c->set.hash, hash);
	for (int i = 0; i < s->options->trials; i++)
		json_array_append_new(list, trial_json(s, &s->trials[i]));
	json_t *json = json_pack("{s:i, s:i, s:s, s:o}", "trials", s->options->trials, "keeps_one_of", KEEP, "data",
				 hash, "results", list);
	bm_status status = json ? phase_write_json(s->c->folder, "search.json", json, err)
				: base_fail(err, BM_ERR_MEMORY, "no memory for search.json");
	json_decref(json);
	return status;
}

/* The trials of an earlier sitting; none when there was none. */
static bm_status recall(search *s, bm_error *err)
{
	json_t *json = NULL;
	char *path = phase_path(s->c, "search.json", err);
	bm_status status = path ? BM_OK : BM_ERR_MEMORY;
	if (status == BM_OK && base_is_file(path))
		status = phase_json_read(path, &json, err);
	base_free(path);
	if (status != BM_OK || !json)
		return status;
	const json_t *list = json_object_get(json, "results");
	status = phase_within_check_data(s->c, json, err);
	if (status != BM_OK) {
		json_decref(json);
		return status;
	}
	if (json_array_size(list) != (size_t)s->options->trials) {
		status = base_fail(err, BM_ERR_USAGE,
				   "'%s' holds a search of %zu trials, not %d; repeat its --trials, or "
				   "choose another --out",
				   s->c->folder, json_array_size(list), s->options->trials);
		json_decref(json);
		return status;
	}
	for (int i = 0; i < s->options->trials; i++) {
		const json_t *one = json_array_get(list, (size_t)i);
		const char *state = json_string_value(json_object_get(one, "state"));
		phase_trial *t = &s->trials[i];
		t->rung = (int)json_integer_value(json_object_get(one, "rung"));
		t->failed = state && strcmp(state, "failed") == 0;
		t->done = state && strcmp(state, "done") == 0;
		t->accuracy = json_number_value(json_object_get(one, "val_accuracy"));
		t->loss = json_number_value(json_object_get(one, "val_loss"));
		t->seconds = json_number_value(json_object_get(one, "seconds"));
	}
	json_decref(json);
	return BM_OK;
}

/* ---- a trial ---- */

static void take_history(const train_history *h, phase_trial *t)
{
	for (size_t i = 0; i < h->count; i++)
		if (h->epochs[i].stage == h->best_stage && h->epochs[i].epoch == h->best_epoch) {
			t->accuracy = h->epochs[i].val_accuracy;
			t->loss = h->epochs[i].val_loss;
		}
	t->seconds += h->seconds;
}

static bm_status train_trial(search *s, phase_trial *t, bm_error *err)
{
	phase_context *c = s->c, inner = {0};
	run_config settings;
	base_observer quiet;
	bool finished;
	char name[64], *split = NULL;
	bm_status status = phase_trial_settings(t, &c->config, s->share, &settings, err);
	if (status != BM_OK)
		return status;
	int threads = c->threads / s->options->parallel;
	settings.threads = threads > 0 ? threads : 1;
	snprintf(name, sizeof name, "trials/rung%d-trial%03d", s->rung, t->number);
	status = phase_within_open(c, name, &settings, s->options->resume, &quiet, &inner, &finished, err);
	run_config_free(&settings);
	if (status != BM_OK)
		return status;
	split = phase_path(&inner, "split.csv", err);
	status = split ? phase_within_split(c, split, err) : BM_ERR_MEMORY;
	if (status == BM_OK)
		status = phase_run(&inner, phase_find("train"), err);
	if (status == BM_OK)
		take_history(&inner.history, t);
	base_free(split);
	phase_context_free(&inner);
	return status;
}

static bm_status run_trial(void *arg, int worker, size_t index, bm_error *err)
{
	search *s = arg;
	phase_trial *shared = &s->trials[s->alive[index]], mine = *shared;
	bm_error why = {0};
	(void)worker;
	if (mine.rung >= s->rung && (mine.done || mine.failed))
		return BM_OK; /* in an earlier sitting */
	bm_status status = base_check_cancel(&s->c->observer, err);
	if (status != BM_OK)
		return status;
	mine.done = mine.failed = false;
	status = train_trial(s, &mine, &why);
	/* A rate that is too high, a network that is too large for the memory: that is what trials are for. */
	mine.failed = status == BM_ERR_NUMERIC || status == BM_ERR_MEMORY;
	if (status != BM_OK && !mine.failed)
		return base_fail(err, status, "%s", why.message);
	mine.done = status == BM_OK;
	mine.rung = s->rung;
	pthread_mutex_lock(&s->lock);
	*shared = mine;
	if (mine.failed)
		base_warning(&s->c->observer, "Trial %d failed: %s", mine.number, why.message);
	else
		base_note(&s->c->observer, "Trial %d, rung %d: validation accuracy %.4f", mine.number, s->rung + 1,
			  mine.accuracy);
	status = record(s, err);
	pthread_mutex_unlock(&s->lock);
	return status;
}

/* ---- rungs ---- */

/* Higher rung, then accuracy, then loss, then number; failed ones last. */
static bool before(const phase_trial *a, const phase_trial *b)
{
	if (a->done != b->done)
		return a->done;
	if (a->rung != b->rung)
		return a->rung > b->rung;
	if (a->done && a->accuracy != b->accuracy)
		return a->accuracy > b->accuracy;
	if (a->done && a->loss != b->loss)
		return a->loss < b->loss;
	return a->number < b->number;
}

static void sort(const phase_trial *trials, int *order, int count)
{
	for (int i = 1; i < count; i++) /* at most 256 */
		for (int k = i; k > 0 && before(&trials[order[k]], &trials[order[k - 1]]); k--) {
			int kept = order[k];
			order[k] = order[k - 1];
			order[k - 1] = kept;
		}
}

static bm_status run_rungs(search *s, bm_error *err)
{
	int rungs = phase_search_rungs(s->options->trials);
	bm_status status = BM_OK;
	s->width = s->options->trials;
	for (int i = 0; i < s->width; i++)
		s->alive[i] = i;
	for (s->rung = 0; s->rung < rungs && status == BM_OK; s->rung++) {
		s->share = pow(1.0 / KEEP, rungs - s->rung);
		base_note(&s->c->observer, "Rung %d of %d: %d trials with %.0f %% of the plan", s->rung + 1, rungs,
			  s->width, 100 * s->share);
		status = base_parallel(s->options->parallel, (size_t)s->width, run_trial, s, err);
		sort(s->trials, s->alive, s->width);
		s->width = (s->width + KEEP - 1) / KEEP;
	}
	if (status == BM_OK && !s->trials[s->alive[0]].done)
		status = base_fail(err, BM_ERR_NUMERIC,
				   "every trial failed (see search.json); begin with a lower learning rate (--lr) or a "
				   "smaller network");
	return status;
}

/* ---- what came out ---- */

static bm_status say_trials(search *s, const int *order, bm_error *err)
{
	enum { COLUMNS = 9 };
	static const char *const header[COLUMNS] = {"Trial",   "Rungs", "Rate",	   "Head",    "Dropout",
						    "Augment", "Batch", "Val acc", "Val loss"};
	static const bool right[COLUMNS] = {true, true, true, false, true, true, true, true, true};
	static char texts[SHOWN][COLUMNS][24];
	const char *cells[SHOWN * COLUMNS];
	const train_stage *first = &s->c->config.plan.stages[0];
	base_text text = {0};
	int shown = s->options->trials < SHOWN ? s->options->trials : SHOWN;
	for (int i = 0; i < shown; i++) {
		const phase_trial *t = &s->trials[order[i]];
		char(*row)[24] = texts[i];
		snprintf(row[0], sizeof row[0], "%d", t->number);
		snprintf(row[1], sizeof row[1], "%d", t->rung + 1);
		snprintf(row[2], sizeof row[2], "%.3g", t->rate_factor * (double)first->learning_rate);
		snprintf(row[3], sizeof row[3], "%s", run_config_head_name(t->head));
		snprintf(row[4], sizeof row[4], t->dropout < 0 ? "as built" : "%.2f", t->dropout);
		snprintf(row[5], sizeof row[5], "%.1f", t->augmentation);
		snprintf(row[6], sizeof row[6], "%.0f", fmax(4, round(first->batch * t->batch_factor)));
		snprintf(row[7], sizeof row[7], t->done ? "%.4f" : "failed", t->accuracy);
		snprintf(row[8], sizeof row[8], t->done ? "%.4f" : "", t->loss);
		for (int k = 0; k < COLUMNS; k++)
			cells[i * COLUMNS + k] = row[k];
	}
	base_text_add(&text, "\nTrials, the best first (accuracy on the validation images):\n");
	report_table(&text, header, cells, (size_t)shown, COLUMNS, right);
	if (shown < s->options->trials)
		base_text_add(&text, "... and %d more, all in search.csv\n", s->options->trials - shown);
	return phase_print(s->c, &text, err);
}

static bm_status draw(search *s, const int *order, bm_error *err)
{
	report_trial shown[PHASE_TRIALS_MAX];
	for (int i = 0; i < s->options->trials; i++) {
		const phase_trial *t = &s->trials[order[i]];
		shown[i] = (report_trial){.number = t->number,
					  .rung = t->rung,
					  .rate = t->rate_factor * (double)s->c->config.plan.stages[0].learning_rate,
					  .head = run_config_head_name(t->head),
					  .dropout = t->dropout,
					  .augmentation = t->augmentation,
					  .batch = t->batch_factor * s->c->config.plan.stages[0].batch,
					  .accuracy = t->done ? t->accuracy : NAN,
					  .loss = t->done ? t->loss : NAN,
					  .seconds = t->seconds};
	}
	return phase_figure(s->c, report_figure_search(s->c->figures, shown, s->options->trials, err), "search", err);
}

/* Trained in full, and evaluated on the test images: the only time that they are looked at. */
static bm_status run_best(search *s, const phase_trial *best, bm_error *err)
{
	static const char *const phases[] = {"model", "train", "evaluate", "artifacts"};
	phase_context *c = s->c, inner = {0};
	run_config settings;
	base_observer quiet;
	bool finished = false;
	char *split = NULL;
	bm_status status = phase_trial_settings(best, &c->config, 1, &settings, err);
	if (status != BM_OK)
		return status;
	phase_say(c, "%s", "");
	phase_say(c, "Training trial %d in full...", best->number);
	status = phase_within_open(c, "best", &settings, s->options->resume, &quiet, &inner, &finished, err);
	run_config_free(&settings);
	if (status != BM_OK)
		return status;
	split = phase_path(&inner, "split.csv", err);
	status = split ? phase_within_split(c, split, err) : BM_ERR_MEMORY;
	for (size_t i = 0; status == BM_OK && !finished && i < sizeof phases / sizeof *phases; i++)
		status = phase_run(&inner, phase_find(phases[i]), err);
	if (status == BM_OK)
		status = phase_need_metrics(&inner, err);
	if (status == BM_OK) {
		const evaluate_metrics *m = &inner.metrics;
		phase_say(c, "✓ Test accuracy: %.4f (%.4f to %.4f), macro F1 %.4f, %zu images", m->accuracy,
			  m->accuracy_low, m->accuracy_high, m->macro_f1, m->count);
		phase_say(c, "✓ The run: %s", inner.folder);
		phase_put_text(c, NULL, "best", inner.folder);
		phase_put_int(c, NULL, "best_trial", best->number);
		phase_put_real(c, NULL, "test_accuracy", m->accuracy);
		phase_put(c, NULL, "test_accuracy_95", json_pack("[f,f]", m->accuracy_low, m->accuracy_high));
		phase_put_real(c, NULL, "test_macro_f1", m->macro_f1);
	}
	base_free(split);
	phase_context_free(&inner);
	return status;
}

static bm_status finish(search *s, bm_error *err)
{
	int order[PHASE_TRIALS_MAX];
	json_t *list = json_array();
	for (int i = 0; i < s->options->trials; i++)
		order[i] = i;
	sort(s->trials, order, s->options->trials);
	for (int i = 0; i < s->options->trials; i++)
		json_array_append_new(list, trial_json(s, &s->trials[order[i]]));
	phase_put(s->c, NULL, "trials", list);
	bm_status status = say_trials(s, order, err);
	if (status == BM_OK)
		status = draw(s, order, err);
	return status == BM_OK ? run_best(s, &s->trials[order[0]], err) : status;
}

bm_status phase_search(phase_context *c, const phase_search_options *options, bm_error *err)
{
	data_near_copies copies = {0};
	base_text text = {0};
	if (options->trials < 2 || options->trials > PHASE_TRIALS_MAX)
		return base_fail(err, BM_ERR_USAGE, "%d trials: 2 to %d are possible", options->trials,
				 PHASE_TRIALS_MAX);
	search *s = base_calloc(1, sizeof *s, "the search", err);
	if (!s)
		return BM_ERR_MEMORY;
	s->c = c;
	s->options = options;
	if (pthread_mutex_init(&s->lock, NULL) != 0) {
		base_free(s);
		return base_fail(err, BM_ERR_INTERNAL, "cannot make a lock");
	}
	for (int i = 0; i < options->trials; i++)
		s->trials[i] = phase_trial_draw(c->config.seed, i, &c->config);
	bm_status status = phase_within_prepare(c, &copies, err);
	if (status == BM_OK && options->resume)
		status = recall(s, err);
	if (status == BM_OK)
		status = record(s, err);
	if (status == BM_OK)
		status = phase_begin(c, err);
	report_heading(&text, "HYPER-PARAMETER SEARCH");
	if (status == BM_OK)
		status = phase_print(c, &text, err);
	if (status == BM_OK)
		status = run_rungs(s, err);
	if (status == BM_OK)
		status = finish(s, err);
	base_text_free(&text);
	data_near_copies_free(&copies);
	pthread_mutex_destroy(&s->lock);
	base_free(s);
	return status;
}
