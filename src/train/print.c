#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "train/state.h"

#define RULE "══════════════════════════════════════════════════════════"

static const train_stage *stage_of(const trainer *t)
{
	return &t->plan->stages[t->state.stage];
}

bm_status train_best_path(const trainer *t, int stage, char **path, bm_error *err)
{
	char name[64];
	snprintf(name, sizeof name, "best_model_stage%d.keras", t->plan->stages[stage].number);
	*path = base_path_join(t->options->run_folder, name, err);
	return *path ? BM_OK : BM_ERR_MEMORY;
}

const char *train_format_rate(double rate, char *buffer)
{
	snprintf(buffer, 32, "%.10f", rate);
	size_t length = strlen(buffer);
	while (length > 1 && buffer[length - 1] == '0')
		buffer[--length] = '\0';
	if (buffer[length - 1] == '.')
		strcat(buffer, "0");
	return buffer;
}

static bool augments(const data_augmentation *a)
{
	return a->flip || a->rotation > 0 || a->shift > 0 || a->zoom > 0 || a->brightness > 0 || a->contrast > 0 ||
	       a->stretch > 0 || a->gamma > 0 || a->sharpness > 0 || a->noise > 0 || a->levels > 0 || a->erase > 0;
}

static void samples(const trainer *t, const char *name, data_part part)
{
	char number[32];
	size_t all = t->split->count[DATA_TRAIN] + t->split->count[DATA_VALIDATION];
	/* With --split guide or final the validation part is also the test part: it counts once. */
	const size_t tests = t->split->count[DATA_TEST];
	if (all + tests <= t->pack->count)
		all += tests;
	base_result(t->observer, "├── %s samples: %s (%.0f%%)", name,
		    base_format_count((long long)t->split->count[part], number),
		    100.0 * (double)t->split->count[part] / (double)(all > 0 ? all : 1));
}

void train_print_configuration(const trainer *t)
{
	const train_plan *plan = t->plan;
	char sizes[128] = "", batches[64] = "";
	bool changes = false, halves = false, aware = false;
	for (int i = 0; i < plan->count; i++) {
		const train_stage *s = &plan->stages[i], *before = i > 0 ? s - 1 : NULL;
		size_t end = strlen(sizes);
		if (!before || before->image_size != s->image_size)
			snprintf(sizes + end, sizeof sizes - end, "%s%d x %d", before ? ", " : "", s->image_size,
				 s->image_size);
		end = strlen(batches);
		if (!before || before->batch != s->batch)
			snprintf(batches + end, sizeof batches - end, "%s%d", before ? ", " : "", s->batch);
		changes |= augments(&s->augmentation);
		halves |= s->bf16;
		aware |= s->sam_rho > 0;
	}
	base_result(t->observer, "Training Configuration:");
	samples(t, "Training", DATA_TRAIN);
	samples(t, "Validation", DATA_VALIDATION);
	base_result(t->observer, "├── Batch size: %s", batches);
	base_result(t->observer, "├── Image size: %s", sizes);
	if (t->options->teacher_count > 0)
		base_result(t->observer, "├── Teachers: %d (%.0f%% of the loss in the last stage)",
			    t->options->teacher_count, 100 * (double)plan->stages[plan->count - 1].distillation);
	if (aware)
		base_result(t->observer, "├── Steps: sharpness-aware, rho %g in the last stage",
			    (double)plan->stages[plan->count - 1].sam_rho);
	if (halves)
		base_result(t->observer, "├── Precision: bfloat16 in convolutions, f32");
	base_result(t->observer, "└── Data augmentation: %s", changes ? "Enabled" : "Disabled");
	base_result(t->observer, "%s", "");
}

static void section(const trainer *t, const char *title)
{
	base_result(t->observer, RULE);
	base_result(t->observer, "%s", title);
	base_result(t->observer, RULE);
}

void train_print_stage(const trainer *t, int64_t trainable)
{
	const train_stage *s = stage_of(t);
	char title[160], number[32];
	snprintf(title, sizeof title, "STAGE %d: %s", s->number, s->title);
	section(t, title);
	base_result(t->observer, "Epochs: %d", s->epochs);
	base_result(t->observer, "Trainable parameters: %s", base_format_count(trainable, number));
	train_format_rate((double)s->learning_rate, number);
	if (s->schedule == TRAIN_ONE_CYCLE)
		base_result(t->observer, "Learning rate: %s (peak of one cycle over all stages)", number);
	else if (t->state.stage > 0 && s->learning_rate < s[-1].learning_rate)
		base_result(t->observer, "Learning rate: %s (reduced for fine-tuning)", number);
	else
		base_result(t->observer, "Learning rate: %s", number);
	base_result(t->observer, "%s", "");
}

void train_print_epoch_begin(const trainer *t)
{
	base_result(t->observer, "Epoch %d/%d", t->state.epoch + 1, stage_of(t)->epochs);
}

void train_print_progress(const trainer *t, size_t batches, double seconds)
{
	const train_state *s = &t->state;
	char what[48], detail[96];
	snprintf(what, sizeof what, "Epoch %d/%d", s->epoch + 1, stage_of(t)->epochs);
	snprintf(detail, sizeof detail, "loss: %.4f - accuracy: %.4f",
		 s->loss_sum / (double)(s->batch > 0 ? s->batch : 1),
		 (double)s->correct / (double)(s->seen > 0 ? s->seen : 1));
	const base_progress progress = {
		.what = what,
		.unit = "steps",
		.done = (long long)s->batch,
		.total = (long long)batches,
		.seconds = seconds,
		.detail = detail,
	};
	base_report_progress(t->observer, &progress);
}

void train_print_epoch_end(const trainer *t, const train_epoch *e, size_t batches)
{
	base_result(t->observer, "%zu/%zu [==============================] - %.0fs %.0fms/step", batches, batches,
		    e->seconds, e->ms_per_step);
	base_result(t->observer, "loss: %.4f - accuracy: %.4f - val_loss: %.4f - val_accuracy: %.4f", e->loss,
		    e->accuracy, e->val_loss, e->val_accuracy);
	base_result(t->observer, "%s", "");
}

void train_print_stage_end(const trainer *t)
{
	const train_stage *s = stage_of(t);
	base_result(t->observer, "✓ Stage %d complete! Best val_accuracy: %.4f", s->number, t->state.best_accuracy);
	base_result(t->observer, "✓ Model saved: best_model_stage%d.keras", s->number);
	base_result(t->observer, "%s", "");
}

void train_print_summary(const trainer *t)
{
	const train_history *h = t->history;
	if (h->count == 0)
		return;
	const train_epoch *last = &h->epochs[h->count - 1], *best = last;
	for (size_t i = 0; i < h->count; i++)
		if (h->epochs[i].stage == h->best_stage && h->epochs[i].epoch == h->best_epoch)
			best = &h->epochs[i];
	section(t, "TRAINING SUMMARY");
	base_result(t->observer, "Total training time: %.1f minutes", h->seconds / 60);
	base_result(t->observer, "Final training accuracy: %.1f%%", 100 * last->accuracy);
	base_result(t->observer, "Final validation accuracy: %.1f%%", 100 * last->val_accuracy);
	const train_stage *stage = train_plan_stage(t->plan, h->best_stage);
	if (stage && !stage->keep_best)
		base_result(t->observer, "Model saved: the last epoch, %d of stage %d (val_accuracy: %.4f)",
			    best->epoch, best->stage, best->val_accuracy);
	else if (best->stage == last->stage)
		base_result(t->observer, "Best model saved at epoch: %d (val_accuracy: %.4f)", best->epoch,
			    best->val_accuracy);
	else
		base_result(t->observer, "Best model saved at epoch: %d of stage %d (val_accuracy: %.4f)", best->epoch,
			    best->stage, best->val_accuracy);
}
