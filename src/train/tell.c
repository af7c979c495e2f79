/* What happens in a training, as events. */
#include <math.h>

#include "train/state.h"

static const train_stage *stage_of(const trainer *t)
{
	return &t->plan->stages[t->state.stage];
}

/* Epochs from the running one on, and those of the later stages; NAN when the speed of a later stage is not known yet. */
static double seconds_left(const trainer *t, size_t batches, double step, double *of_stage)
{
	const train_state *s = &t->state;
	const double validation = t->costs[s->stage].validation;
	const int epochs = stage_of(t)->epochs - s->epoch;
	*of_stage = step * ((double)epochs * (double)batches - (double)s->batch) + validation * epochs;
	double all = *of_stage;
	for (int i = s->stage + 1; i < t->plan->count; i++) {
		if (!(t->costs[i].step > 0))
			return (double)NAN;
		all += train_budget_total(&t->costs[i], &t->plan->stages[i].epochs, 1);
	}
	return all;
}

void train_tell_stage(const trainer *t)
{
	const train_stage *s = stage_of(t);
	const data_augmentation *a = &s->augmentation;
	int before = 0, all = 0;
	for (int i = 0; i < t->plan->count; i++) {
		before += i < t->state.stage ? t->plan->stages[i].epochs : 0;
		all += t->plan->stages[i].epochs;
	}
	const base_value values[] = {
		{"epochs", s->epochs},
		{"epochs_before", before},
		{"epochs_of_all_stages", all},
		{"batch", s->batch},
		{"batches", (double)data_loader_batches(t->loader)},
		{"image_size", s->image_size},
		{"steps_before", (double)t->state.step},
		{"augmentation_flip", a->flip},
		{"augmentation_rotation", (double)a->rotation},
		{"augmentation_shift", (double)a->shift},
		{"augmentation_zoom", (double)a->zoom},
		{"augmentation_brightness", (double)a->brightness},
		{"augmentation_contrast", (double)a->contrast},
	};
	base_report_event(t->observer, &(base_event){.kind = BASE_STAGE,
						     .number = s->number,
						     .text = s->title,
						     .values = values,
						     .count = sizeof values / sizeof *values});
}

void train_tell_step(const trainer *t, const data_batch *batch, double loss, size_t correct, double rate)
{
	const train_state *s = &t->state;
	const size_t batches = data_loader_batches(t->loader);
	const double step = s->epoch_seconds / (double)s->batch;
	double of_stage;
	const double left = seconds_left(t, batches, step, &of_stage);
	const base_value values[] = {
		{"loss", loss},
		{"accuracy", (double)correct / (double)batch->count},
		{"learning_rate", rate},
		{"ms_per_step", 1000 * step},
		{"images_per_second", s->epoch_seconds > 0 ? (double)s->seen / s->epoch_seconds : (double)NAN},
		{"epoch", s->epoch + 1},
		{"batch", (double)s->batch},
		{"seconds_left_of_stage", of_stage},
		{"seconds_left", left},
	};
	const base_pictures pictures = {
		.count = batch->count,
		.side = stage_of(t)->image_size,
		.channels = t->m->options.channels,
		.original_side = t->pack->side,
		.classes = t->m->options.classes,
		.pixels = batch->images,
		.originals = t->pack->images,
		.indices = batch->indices,
		.labels = batch->labels,
		.probabilities = t->probabilities,
		.class_names = (const char *const *)t->m->class_names,
	};
	base_report_event(t->observer, &(base_event){.kind = BASE_STEP,
						     .number = (long long)s->step,
						     .values = values,
						     .count = sizeof values / sizeof *values,
						     .pictures = &pictures});
}

/* i: into the history. */
static void tell_epoch(const trainer *t, size_t i, bool past)
{
	const train_epoch *e = &t->history->epochs[i];
	const base_value values[] = {
		{"loss", e->loss},
		{"accuracy", e->accuracy},
		{"learning_rate", e->learning_rate},
		{"val_loss", e->val_loss},
		{"val_accuracy", e->val_accuracy},
		{"stage", e->stage},
		{"epoch_of_stage", e->epoch},
		{"seconds", e->seconds},
		{"ms_per_step", e->ms_per_step},
		{"images_per_second", e->images_per_second},
	};
	base_report_event(t->observer, &(base_event){.kind = BASE_EPOCH,
						     .number = (long long)i + 1,
						     .values = values,
						     .count = sizeof values / sizeof *values,
						     .past = past});
}

void train_tell_epoch(const trainer *t)
{
	tell_epoch(t, t->history->count - 1, false);
}

void train_tell_past(const trainer *t)
{
	for (size_t i = 0; i < t->history->count; i++)
		tell_epoch(t, i, true);
}
