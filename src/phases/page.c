/* report.html out of what the phases left in the run folder. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "brainmri/brainmri.h"
#include "phases/page_data.h"
#include "phases/phases.h"
#include "report/chart.h"
#include "report/html.h"
#include "report/tables.h"

#define PAGE_TEXT_LIMIT ((size_t)16 << 20)

enum { PHASES = 10 };

static const report_figure_ref explore_figures[] = {{"samples", "Sample images", NULL}};
static const report_figure_ref classes_figures[] = {{"class_distribution", "Class distribution", NULL}};
static const report_figure_ref train_figures[] = {{"training_history", "Loss and accuracy over the epochs", NULL}};
static const report_figure_ref evaluate_figures[] = {
	{"confusion_matrix", "Confusion matrix", NULL},
	{"roc_curves", "ROC curves", NULL},
	{"reliability", "Is it as often right as it is confident? Before and after the temperature", NULL},
	{"coverage", "Accuracy of the answers when the least confident are left open", NULL},
	{"predictions", "Sample predictions: green correct, red incorrect", NULL}};
static const report_figure_ref artifacts_figures[] = {{"benchmark", "Preprocessing time by number of workers", NULL}};

static const struct {
	const report_figure_ref *figures;
	size_t count;
} figures_of[PHASES + 1] = {[4] = {explore_figures, 1},
			    [5] = {classes_figures, 1},
			    [8] = {train_figures, 1},
			    [9] = {evaluate_figures, 5},
			    [10] = {artifacts_figures, 1}};

/* The texts of all entries of a phase, one behind the other; "" for a phase that has not run. */
static bm_status phase_text(const phase_context *c, int number, base_text *text, const char **title, bm_error *err)
{
	*title = NULL;
	for (size_t i = 0; i < PHASE_ENTRIES; i++) {
		char name[96];
		uint8_t *bytes;
		size_t size;
		if (phase_entries[i].number != number || phase_entries[i].function == phase_page)
			continue;
		if (!*title)
			*title = phase_entries[i].title;
		snprintf(name, sizeof name, "phases/%02d-%s.txt", number, phase_entries[i].name);
		char *path = phase_path(c, name, err);
		if (!path)
			return BM_ERR_MEMORY;
		bm_status status = BM_OK;
		if (base_is_file(path)) {
			status = base_file_read(path, PAGE_TEXT_LIMIT, &bytes, &size, err);
			if (status == BM_OK) {
				if (text->length)
					base_text_append(text, "\n", 1);
				base_text_append(text, (const char *)bytes, size);
				base_free(bytes);
			}
		}
		base_free(path);
		if (status != BM_OK)
			return status;
	}
	return text->failed ? base_fail(err, BM_ERR_MEMORY, "no memory for the report") : BM_OK;
}

typedef struct answers {
	report_answer items[10];
	char values[10][256];
	size_t count;
} answers;

static void answer(answers *a, const char *name, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void answer(answers *a, const char *name, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(a->values[a->count], sizeof a->values[0], format, args);
	va_end(args);
	a->items[a->count] = (report_answer){name, a->values[a->count]};
	a->count++;
}

static void collect(const phase_context *c, answers *a)
{
	const evaluate_metrics *m = &c->metrics;
	char seconds[32];
	answer(a, "Test accuracy", "%.1f %% (%.1f to %.1f; %zu images)", 100 * m->accuracy, 100 * m->accuracy_low,
	       100 * m->accuracy_high, m->count);
	if (m->have_reliability) {
		const evaluate_reliability *r = &m->reliability;
		answer(a, "Calibration", "ECE %.3f, Brier %.3f", r->after.ece, r->after.brier);
		if (r->answered > 0)
			answer(a, "When it may abstain", "%.1f %% answered, %.1f %% right",
			       100.0 * (double)r->answered / (double)m->count,
			       100.0 * (double)r->right / (double)r->answered);
	}
	answer(a, "Macro F1", "%.3f", m->macro_f1);
	answer(a, "Test loss", "%.3f", m->loss);
	answer(a, "Mean AUC", "%.3f", m->mean_auc);
	answer(a, "Training time", "%s (%zu epochs)", base_format_seconds(c->history.seconds, seconds),
	       c->history.count);
	answer(a, "Trained model", "stage %d, epoch %d (best_model_stage%d.keras)", c->history.best_stage,
	       c->history.best_epoch, c->history.best_stage);
}

/* The answer in sentences. */
static void lead(const phase_context *c, base_text *text)
{
	const evaluate_metrics *m = &c->metrics;
	char a[64], b[64], seconds[32], images[32];
	base_text_add(text, "%.1f %% of the %zu test images were classified right (95 %% interval: %.1f to %.1f %%).",
		      100 * m->accuracy, m->count, 100 * m->accuracy_low, 100 * m->accuracy_high);
	if (m->confused_a >= 0 && m->confused_b >= 0)
		base_text_add(text, " Most often confused: %s taken for %s (%zu) or the other way (%zu).",
			      report_class_title(c->pack.class_names[m->confused_a], a),
			      report_class_title(c->pack.class_names[m->confused_b], b),
			      m->confusion[m->confused_a][m->confused_b], m->confusion[m->confused_b][m->confused_a]);
	if (m->best_class >= 0)
		base_text_add(text, " Best told apart: %s.", report_class_title(c->pack.class_names[m->best_class], a));
	base_text_add(text, " Training took %s: %zu epochs on %s images.",
		      base_format_seconds(c->history.seconds, seconds), c->history.count,
		      base_format_count((long long)c->split.count[DATA_TRAIN], images));
}

static void collect_facts(const phase_context *c, answers *a)
{
	const train_stage *last = &c->config.plan.stages[c->config.plan.count - 1];
	char hash[33], split[32];
	base_hash_text(c->pack.content, hash);
	answer(a, "Program", "brainmri %s", BM_VERSION);
	answer(a, "Seed", "%llu", (unsigned long long)c->config.seed);
	answer(a, "Threads", c->config.threads ? "%d" : "%d (one for each core)", c->threads);
	answer(a, "Split", c->config.split_seed < 0 ? "%s" : "%s, seed %lld", phase_split_name(c, split),
	       (long long)c->config.split_seed);
	if (c->config.train_share < 1)
		answer(a, "Training images used", "a share of %g", c->config.train_share);
	answer(a, "Plan", "%s", c->config.plan.name);
	if (last->sam_rho > 0)
		answer(a, "Steps", "sharpness-aware, rho %g", (double)last->sam_rho);
	if (last->bf16)
		answer(a, "Precision", "convolutions in bfloat16, else f32");
	if (c->config.teachers)
		answer(a, "Taught by", "%s", c->config.teachers);
	answer(a, "Hash of the data", "%s", hash);
	answer(a, "Same bytes", "with the same data, seed, program and number of threads");
}

/* What the page shows of the run instead of gnuplot's pictures, and beside them. */
typedef struct parts {
	base_text samples, classes, history, confusion, roc, predictions; /* in a figure's place */
	base_text split, mistakes;					  /* more of phases 6 and 9 */
	report_figure_ref figures[16];
} parts;

static const char *markup_of(const parts *p, const char *figure)
{
	const struct {
		const char *name;
		const base_text *text;
	} all[] = {{"samples", &p->samples},	      {"class_distribution", &p->classes},
		   {"training_history", &p->history}, {"confusion_matrix", &p->confusion},
		   {"roc_curves", &p->roc},	      {"predictions", &p->predictions}};
	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		if (strcmp(all[i].name, figure) == 0)
			return base_text_string(all[i].text);
	return NULL;
}

static void parts_free(parts *p)
{
	base_text_free(&p->samples);
	base_text_free(&p->classes);
	base_text_free(&p->history);
	base_text_free(&p->confusion);
	base_text_free(&p->roc);
	base_text_free(&p->predictions);
	base_text_free(&p->split);
	base_text_free(&p->mistakes);
}

static bm_status single_images(phase_context *c, parts *p, bm_error *err)
{
	page_predictions predictions;
	bm_status status = phase_page_predictions(c, &predictions, err);
	if (status == BM_ERR_NOT_FOUND || status == BM_ERR_FORMAT) {
		base_warning(&c->observer, "the report shows no single test images: %s", err ? err->message : "");
		return BM_OK;
	}
	if (status != BM_OK)
		return status;
	report_gallery_data(&p->confusion, &predictions.view);
	status = report_gallery_mistakes(&p->mistakes, &predictions.view, err);
	if (status == BM_OK)
		status = phase_page_predicted(c, &predictions, &p->predictions, err);
	phase_page_predictions_free(&predictions);
	return status;
}

static bm_status make_parts(phase_context *c, parts *p, bm_error *err)
{
	const char *const *names = (const char *const *)c->pack.class_names;
	size_t counts[DATA_CLASSES_MAX] = {0};
	for (size_t i = 0; i < c->pack.count; i++)
		counts[c->pack.labels[i]]++;
	report_chart_classes(&p->classes, names, counts, c->pack.class_count);
	report_chart_history(&p->history, &c->history);
	report_chart_confusion(&p->confusion, &c->metrics, names);
	report_chart_roc(&p->roc, &c->metrics, names);
	bm_status status = phase_page_samples(c, &p->samples, err);
	if (status == BM_OK)
		status = phase_page_split(c, &p->split, err);
	return status == BM_OK ? single_images(c, p, err) : status;
}

/* The run's config.json as it stands; NULL when it cannot be read. base_free. */
static char *config_text(const phase_context *c)
{
	uint8_t *bytes = NULL;
	size_t size = 0;
	char *path = phase_path(c, "config.json", NULL);
	if (path && base_file_read(path, PAGE_TEXT_LIMIT, &bytes, &size, NULL) != BM_OK)
		bytes = NULL;
	base_free(path);
	return (char *)bytes;
}

static bm_status make_phases(const phase_context *c, parts *p, report_phase phases[PHASES], base_text texts[PHASES],
			     bm_error *err)
{
	size_t used = 0;
	for (int i = 0; i < PHASES; i++) {
		const size_t count = i + 1 == 10 && !c->config.benchmark ? 0 : figures_of[i + 1].count;
		phases[i] = (report_phase){.number = i + 1, .figures = &p->figures[used], .figure_count = count};
		for (size_t k = 0; k < count; k++, used++) {
			p->figures[used] = figures_of[i + 1].figures[k];
			p->figures[used].markup = markup_of(p, p->figures[used].name);
		}
		bm_status status = phase_text(c, i + 1, &texts[i], &phases[i].title, err);
		if (status != BM_OK)
			return status;
		phases[i].text = base_text_string(&texts[i]);
	}
	phases[5].markup = base_text_string(&p->split);
	phases[8].markup = base_text_string(&p->mistakes);
	return BM_OK;
}

bm_status phase_page(phase_context *c, bm_error *err)
{
	static const char *const cautions[] = {
		"Not a medical device: not for diagnosis.",
		"No patient identifiers in this data: slices of one patient may stand on both sides of the split, so "
		"the figures may be too high for "
		"new patients.",
		"Near-copies of an image stand on one side of the split.",
		"The test images are the validation images (--split guide or final), which choose and calibrate: the "
		"figures are no test, and too high."};
	base_text texts[PHASES] = {{0}}, data = {0}, repeat = {0}, answer_text = {0};
	report_phase phases[PHASES] = {{0}};
	answers a = {0}, facts = {0};
	parts p = {0};
	char *path = NULL, *config = NULL;
	bm_status status = phase_need_pack(c, err);
	if (status == BM_OK)
		status = phase_need_split(c, err);
	if (status == BM_OK)
		status = phase_need_history(c, err);
	if (status == BM_OK)
		status = phase_need_metrics(c, err);
	if (status == BM_OK)
		status = phase_check_made(c, "model", err);
	if (status == BM_OK)
		status = make_parts(c, &p, err);
	if (status == BM_OK)
		status = make_phases(c, &p, phases, texts, err);
	if (status != BM_OK)
		goto done;
	collect(c, &a);
	collect_facts(c, &facts);
	lead(c, &answer_text);
	config = config_text(c);
	base_text_add(&data, "%s: %zu images of %d classes (%zu train, %zu validation, %zu test)",
		      c->config.data ? c->config.data : "?", c->pack.count, c->pack.class_count,
		      c->split.count[DATA_TRAIN], c->split.count[DATA_VALIDATION], c->split.count[DATA_TEST]);
	base_text_add(&repeat, "brainmri run --config '%s/config.json' --out NEW", c->folder);
	report_page page = {.title = "Brain MRI Tumor Classification",
			    .data = base_text_string(&data),
			    .lead = base_text_string(&answer_text),
			    .answers = a.items,
			    .answer_count = a.count,
			    .phases = phases,
			    .phase_count = PHASES,
			    .cautions = cautions,
			    .caution_count = data_split_tests(c->config.split) ? 3 : 4,
			    .repeat = base_text_string(&repeat),
			    .facts = facts.items,
			    .fact_count = facts.count,
			    .config = config};
	path = phase_path(c, "report.html", err);
	status = path ? report_write_html(&page, c->figures, path, err) : BM_ERR_MEMORY;
	if (status != BM_OK)
		goto done;
	phase_say(c, "Run folder: %s", c->folder);
	phase_say(c, "Report: %s", path);
	phase_put_text(c, NULL, "folder", c->folder);
	phase_put_text(c, NULL, "report", path);
done:
	base_free(path);
	base_free(config);
	parts_free(&p);
	for (int i = 0; i < PHASES; i++)
		base_text_free(&texts[i]);
	base_text_free(&data);
	base_text_free(&repeat);
	base_text_free(&answer_text);
	return status;
}
