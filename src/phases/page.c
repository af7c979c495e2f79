/* report.html out of what the phases left in the run folder. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "phases/phases.h"
#include "report/html.h"

#define PAGE_TEXT_LIMIT ((size_t)16 << 20)

enum { PHASES = 10 };

static const report_figure_ref explore_figures[] = {{"samples", "Sample images"}};
static const report_figure_ref classes_figures[] = {{"class_distribution", "Class distribution"}};
static const report_figure_ref train_figures[] = {{"training_history", "Loss and accuracy over the epochs"}};
static const report_figure_ref evaluate_figures[] = {
	{"confusion_matrix", "Confusion matrix"},
	{"roc_curves", "ROC curves"},
	{"predictions", "Sample predictions: green correct, red incorrect"}};
static const report_figure_ref artifacts_figures[] = {{"benchmark", "Preprocessing time by number of workers"}};

static const struct {
	const report_figure_ref *figures;
	size_t count;
} figures_of[PHASES + 1] = {[4] = {explore_figures, 1},
			    [5] = {classes_figures, 1},
			    [8] = {train_figures, 1},
			    [9] = {evaluate_figures, 3},
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
	report_answer items[6];
	char values[6][96];
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
	answer(a, "Macro F1", "%.3f", m->macro_f1);
	answer(a, "Test loss", "%.3f", m->loss);
	answer(a, "Mean AUC", "%.3f", m->mean_auc);
	answer(a, "Training time", "%s, %zu epochs", base_format_seconds(c->history.seconds, seconds),
	       c->history.count);
	answer(a, "Best model", "best_model_stage%d.keras, epoch %d", c->history.best_stage, c->history.best_epoch);
}

bm_status phase_page(phase_context *c, bm_error *err)
{
	static const char *const cautions[] = {
		"Not a medical device: not for diagnosis.",
		"No patient identifiers in this data: slices of one patient may stand on both sides of the split, so "
		"the figures may be too high for "
		"new patients.",
		"Near-copies of an image stand on one side of the split.",
		"The test images are those that chose the best epoch (--split guide): the figures are too high."};
	base_text texts[PHASES] = {{0}}, data = {0}, repeat = {0};
	report_phase phases[PHASES] = {{0}};
	answers a = {0};
	char *path = NULL;
	bm_status status = phase_need_pack(c, err);
	if (status == BM_OK)
		status = phase_need_split(c, err);
	if (status == BM_OK)
		status = phase_need_history(c, err);
	if (status == BM_OK)
		status = phase_need_metrics(c, err);
	if (status == BM_OK)
		status = phase_check_made(c, "model", err);
	for (int i = 0; i < PHASES && status == BM_OK; i++) {
		phases[i].number = i + 1;
		phases[i].figures = figures_of[i + 1].figures;
		phases[i].figure_count = i + 1 == 10 && !c->config.benchmark ? 0 : figures_of[i + 1].count;
		status = phase_text(c, i + 1, &texts[i], &phases[i].title, err);
		phases[i].text = base_text_string(&texts[i]);
	}
	if (status != BM_OK)
		goto done;
	collect(c, &a);
	base_text_add(&data, "%s: %zu images of %d classes (%zu train, %zu validation, %zu test)",
		      c->config.data ? c->config.data : "?", c->pack.count, c->pack.class_count,
		      c->split.count[DATA_TRAIN], c->split.count[DATA_VALIDATION], c->split.count[DATA_TEST]);
	base_text_add(&repeat, "brainmri run --config '%s/config.json' --out NEW", c->folder);
	report_page page = {.title = "Brain MRI Tumor Classification",
			    .data = base_text_string(&data),
			    .answers = a.items,
			    .answer_count = a.count,
			    .phases = phases,
			    .phase_count = PHASES,
			    .cautions = cautions,
			    .caution_count = c->config.split == DATA_SPLIT_GUIDE ? 4 : 3,
			    .repeat = base_text_string(&repeat)};
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
	for (int i = 0; i < PHASES; i++)
		base_text_free(&texts[i]);
	base_text_free(&data);
	base_text_free(&repeat);
	return status;
}
