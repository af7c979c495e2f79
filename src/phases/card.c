/* MODEL_CARD.md (Mitchell et al. 2019): what the model is, what it was measured to do, and what it must not be used for; every number
 * is the run's own. */
#include <math.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "phases/context.h"
#include "report/tables.h"

static void add_value(base_text *text, const char *name, double value, const evaluate_interval *i)
{
	if (isnan(value))
		base_text_add(text, "| %s | not defined | |\n", name);
	else if (i && !isnan(i->low))
		base_text_add(text, "| %s | %.4f | %.4f to %.4f |\n", name, value, i->low, i->high);
	else
		base_text_add(text, "| %s | %.4f | |\n", name, value);
}

static void add_model(base_text *text, const phase_context *c, const char *file, int size)
{
	const run_config *config = &c->config;
	char head[64];
	snprintf(head, sizeof head, "%s", run_config_head_name(config->head));
	base_text_add(text, "## The model\n\n");
	base_text_add(text, "- file: `%s`, stage %d, epoch %d, %s\n", file, c->history.best_stage,
		      c->history.best_epoch, phase_how_chosen(c));
	base_text_add(text, "- network: %s, width %g, head `%s`; made by brainmri " BM_VERSION "\n",
		      phase_network_name(c), config->width, head);
	base_text_add(text, "- input: one grey slice, resized to %d x %d; JPEG or PNG\n", size, size);
	base_text_add(text, "- output: a probability for each of");
	for (int k = 0; k < c->pack.class_count; k++)
		base_text_add(text, "%s %s", k == 0 ? "" : ",", c->pack.class_names[k]);
	base_text_add(text, "\n- start: %s\n",
		      config->weights ? base_path_name(config->weights) : "random weights, nothing pre-trained");
}

static void add_use(base_text *text)
{
	base_text_add(
		text,
		"\n## Intended use\n\n"
		"Learning and research: how such a network is trained, measured and doubted, on data like the data "
		"below.\n"
		"\n## It must not be used\n\n"
		"- for diagnosis, treatment, triage or any other decision about a person: it is no medical device, was "
		"not "
		"tested on patients, and nobody has approved it\n"
		"- on images of another kind than those it was trained on: other organs, sequences, scanners, whole "
		"volumes, photos of screens\n"
		"- to rule a tumour out: \"notumor\" means no more than \"looks like the images in that folder\"\n"
		"- without a radiologist where an answer matters, whatever its confidence\n");
}

static void add_data(base_text *text, const phase_context *c)
{
	static const char *const names[DATA_PART_COUNT] = {"train", "validation", "test"};
	char hash[33], split[32];
	base_hash_text(c->pack.content, hash);
	base_text_add(text, "\n## Data\n\n`%s` (content %s): %zu images\n\n| part |",
		      c->config.data ? c->config.data : "?", hash, c->pack.count);
	for (int k = 0; k < c->pack.class_count; k++)
		base_text_add(text, " %s |", c->pack.class_names[k]);
	base_text_add(text, " all |\n|---|");
	for (int k = 0; k <= c->pack.class_count; k++)
		base_text_add(text, "---:|");
	for (int p = 0; p < DATA_PART_COUNT; p++) {
		size_t counts[DATA_CLASSES_MAX] = {0};
		for (size_t i = 0; i < c->split.count[p]; i++)
			counts[c->pack.labels[c->split.indices[p][i]]]++;
		base_text_add(text, "\n| %s |", names[p]);
		for (int k = 0; k < c->pack.class_count; k++)
			base_text_add(text, " %zu |", counts[k]);
		base_text_add(text, " %zu |", c->split.count[p]);
	}
	base_text_add(text, "\n\nSplit `%s`, seed %llu; near-copies stand on one side of it.\n",
		      phase_split_name(c, split), (unsigned long long)run_config_split_seed(&c->config));
	if (c->config.train_share < 1)
		base_text_add(text, "The training images are the share of %g of that split's (`--train-share`).\n",
			      c->config.train_share);
}

/* How the training was another than the table says. */
static void add_ways(base_text *text, const phase_context *c)
{
	const train_stage *last = &c->config.plan.stages[c->config.plan.count - 1];
	if (last->sam_rho > 0)
		base_text_add(text, "Steps were sharpness-aware (Foret et al. 2021; rho %g). ", (double)last->sam_rho);
	if (last->bf16)
		base_text_add(text, "Convolutions multiplied in bfloat16, all else in f32. ");
	if (c->config.teachers)
		base_text_add(text,
			      "%.0f %% of the loss was how far it is from what finished models say of the same images "
			      "(distillation): `%s`.",
			      100 * (double)last->distillation, c->config.teachers);
	if (last->sam_rho > 0 || last->bf16 || c->config.teachers)
		base_text_add(text, "\n\n");
}

static void add_training(base_text *text, const phase_context *c)
{
	const train_plan *plan = &c->config.plan;
	char seconds[32];
	base_text_add(text, "\n## Training\n\nPlan `%s`, %zu epochs in %s:\n\n", plan->name, c->history.count,
		      base_format_seconds(c->history.seconds, seconds));
	add_ways(text, c);
	base_text_add(text, "| stage | epochs | pixels | batch | learning rate | weight decay | label smoothing |\n"
			    "|---|---:|---:|---:|---:|---:|---:|\n");
	for (int i = 0; i < plan->count; i++) {
		const train_stage *s = &plan->stages[i];
		base_text_add(text, "| %d: %s | %d | %d | %d | %g | %g | %g |\n", s->number, s->title, s->epochs,
			      s->image_size, s->batch, (double)s->learning_rate, (double)s->weight_decay,
			      (double)s->label_smoothing);
	}
}

static void add_figures(base_text *text, const phase_context *c)
{
	const evaluate_metrics *m = &c->metrics;
	const evaluate_reliability *r = &m->reliability;
	const evaluate_intervals *i = m->have_reliability ? &r->intervals : NULL;
	base_text_add(text, "\n## %s figures\n\n", data_split_tests(c->config.split) ? "Test" : "Validation");
	if (data_split_tests(c->config.split))
		base_text_add(text, "%zu images that nothing was chosen on.", m->count);
	else
		base_text_add(
			text,
			"**No test: these %zu images are the validation images (`--split %s`), which "
			"calibrate, and may have chosen the epoch; the figures are too high.**%s",
			m->count, run_config_split_name(c->config.split),
			c->config.split == DATA_SPLIT_FINAL
				? " Nearly all images trained; for figures that are a test, run the same settings "
				  "with the default split."
				: "");
	if (i)
		base_text_add(text, " 95 %% intervals: bootstrap over %zu groups of near-copies, %zu resamples.",
			      i->groups, i->resamples);
	base_text_add(text, "\n\n| figure | value | 95 %% |\n|---|---:|---|\n");
	add_value(text, "accuracy", m->accuracy, i ? &i->accuracy : NULL);
	add_value(text, "macro F1", m->macro_f1, i ? &i->macro_f1 : NULL);
	add_value(text, "mean AUC", m->mean_auc, i ? &i->mean_auc : NULL);
	if (i) {
		add_value(text, "expected calibration error", r->after.ece, &i->ece);
		add_value(text, "Brier score", r->after.brier, NULL);
	}
	base_text_add(text, "\n| class | precision | recall | F1 | images |\n|---|---:|---:|---:|---:|\n");
	for (int k = 0; k < m->classes; k++)
		base_text_add(text, "| %s | %.4f | %.4f | %.4f | %zu |\n", c->pack.class_names[k],
			      m->per_class[k].precision, m->per_class[k].recall, m->per_class[k].f1,
			      m->per_class[k].support);
	if (m->confused_a >= 0)
		base_text_add(text, "\nMost often confused: %s and %s.\n", c->pack.class_names[m->confused_a],
			      c->pack.class_names[m->confused_b]);
}

static void add_doubt(base_text *text, const evaluate_metrics *m, bool tests)
{
	const evaluate_reliability *r = &m->reliability;
	if (!m->have_reliability)
		return;
	base_text_add(
		text,
		"\n## When it doubts\n\nChosen on %zu validation images, measured on %s:\n\n"
		"- confidences are calibrated with a temperature of %.3f: expected calibration error %.4f before, %.4f "
		"after\n",
		r->validation, tests ? "the test images" : "the same, which is no test", r->temperature, r->before.ece,
		r->after.ece);
	base_text_add(
		text,
		"- `--abstain`: below a confidence of %.3f it says \"not sure: see a radiologist\"; it answered %zu "
		"of %zu",
		r->threshold, r->answered, m->count);
	if (r->answered > 0)
		base_text_add(text, ", %.4f of them right", (double)r->right / (double)r->answered);
	if (r->have_unlike)
		base_text_add(
			text,
			"\n- images unlike those trained on are refused; so were %zu of these %zu images (%.1f %%), "
			"which are of the right kind. That a strange image is refused is likely, not certain\n",
			r->refused, m->count, 100.0 * (double)r->refused / (double)m->count);
	else
		base_text_add(text,
			      "\n- images unlike those trained on are **not** refused: too few validation images to "
			      "learn what is like them\n");
}

static void add_limits(base_text *text, const phase_context *c)
{
	base_text_add(
		text,
		"\n## Limits\n\n"
		"- No patient identifiers in this data: slices of one patient may stand on both sides of the split, so "
		"the figures may be too high for new patients.\n"
		"- Nothing is known of age, sex, origin, scanner or hospital; no figure says how it does in a group of "
		"people.\n"
		"- Labels are taken as they are: wrong ones were learnt and count as mistakes.\n"
		"- It knows its %d classes only. Any other finding gets one of them.\n",
		c->pack.class_count);
	base_text_add(text, "\n## Again\n\n    brainmri run --config '%s/config.json' --out NEW\n", c->folder);
}

bm_status phase_write_card(phase_context *c, const char *best, int image_size, bm_error *err)
{
	base_text text = {0};
	base_text_add(&text, "# Model card: %s\n\n**Not a medical device.**\n\n", base_path_name(c->folder));
	add_model(&text, c, best, image_size);
	add_use(&text);
	add_data(&text, c);
	add_training(&text, c);
	add_figures(&text, c);
	add_doubt(&text, &c->metrics, data_split_tests(c->config.split));
	add_limits(&text, c);
	return phase_write_text(c->folder, "MODEL_CARD.md", &text, err);
}
