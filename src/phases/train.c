/* Phase 8: training, by the plan. What it prints comes from train/. */
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "nn/network.h"
#include "phases/phases.h"
#include "phases/precision.h"
#include "phases/seen.h"
#include "phases/teachers.h"
#include "report/figures.h"
#include "report/tables.h"

static void history_to_json(phase_context *c)
{
	const train_history *h = &c->history;
	json_t *epochs = json_array();
	for (size_t i = 0; i < h->count; i++) {
		const train_epoch *e = &h->epochs[i];
		json_t *one = json_object();
		phase_put_int(c, one, "stage", e->stage);
		phase_put_int(c, one, "epoch", e->epoch);
		phase_put_real(c, one, "loss", e->loss);
		phase_put_real(c, one, "accuracy", e->accuracy);
		phase_put_real(c, one, "val_loss", e->val_loss);
		phase_put_real(c, one, "val_accuracy", e->val_accuracy);
		phase_put_real(c, one, "learning_rate", e->learning_rate);
		phase_put_real(c, one, "seconds", e->seconds);
		phase_put_real(c, one, "ms_per_step", e->ms_per_step);
		phase_put_real(c, one, "images_per_second", e->images_per_second);
		json_array_append_new(epochs, one);
	}
	phase_put(c, NULL, "epochs", epochs);
	phase_put_int(c, NULL, "best_stage", h->best_stage);
	phase_put_int(c, NULL, "best_epoch", h->best_epoch);
	phase_put_real(c, NULL, "training_seconds", h->seconds);
	phase_put_text(c, NULL, "plan", c->config.plan.name);
	for (int p = 0; p < DATA_PART_COUNT; p++)
		phase_put_int(c, NULL, data_part_name(p), (long long)c->split.count[p]);
}

/* In a command of its own, phase 8 does phase 7's work first, silently: the network depends on the configuration only. */
static bm_status prepare(phase_context *c, bm_error *err)
{
	bool head_taken;
	bm_status status = phase_need_split(c, err);
	if (status != BM_OK || c->have_network)
		return status;
	status = phase_need_network(c, err);
	if (status == BM_OK && c->weights)
		status = model_load_weights(&c->network, c->weights, &head_taken, err);
	return status;
}

bm_status phase_train(phase_context *c, bm_error *err)
{
	bm_status status = prepare(c, err);
	if (status != BM_OK)
		return status;
	phase_teachers teachers = {0};
	train_options options = {.run_folder = c->folder,
				 .seed = c->config.seed,
				 .threads = c->threads,
				 .resume = c->options.resume,
				 .save_optimizer = c->config.save_optimizer};
	base_text text = {0};
	report_heading(&text, strcmp(c->config.plan.name, "two-stage") == 0 ? "PHASE 8: TWO-STAGE TRAINING"
									    : "PHASE 8: TRAINING");
	base_text_add(&text, "\n");
	status = phase_print(c, &text, err);
	if (status != BM_OK)
		return status;
	status = phase_warn_of_slow_bf16(c, err);
	if (status != BM_OK)
		return status;
	if (c->config.weights && c->config.split != DATA_SPLIT_FINAL) {
		bool known; /* of others' weights nothing is */
		phase_warn_of_seen(c, "weights", c->config.weights, &known);
	}
	train_history_free(&c->history);
	c->have_history = false;
	status = phase_teachers_load(c, &teachers, err);
	options.teachers = teachers.models;
	options.teacher_count = teachers.count;
	if (status == BM_OK && c->folder && c->options.resume)
		status = phase_check_made(c, "checkpoint", err);
	if (status == BM_OK)
		status = phase_note_made(c, "checkpoint", err);
	if (status == BM_OK)
		status = train_run(&c->network, &c->pack, &c->split, &c->config.plan, &options, &c->observer,
				   &c->history, err);
	phase_teachers_free(&teachers);
	if (status != BM_OK) {
		if (c->history.count > 0) /* stopped: the epochs that were done are of these settings */
			phase_note_made(c, "train", NULL);
		return status;
	}
	c->have_history = true;
	status = phase_save_config(c, err); /* a time budget became epochs */
	if (status == BM_OK)
		status = phase_note_made(c, "train", err);
	if (status != BM_OK)
		return status;
	history_to_json(c);
	return phase_figure(c, report_figure_history(c->figures, &c->history, err), "training_history", err);
}
