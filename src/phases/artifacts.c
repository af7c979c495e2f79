/* Phase 10: what was saved, and model_metadata.json beside it. */
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/file.h"
#include "base/memory.h"
#include "phases/phases.h"
#include "report/tables.h"

/* A file of the run folder: its size, or -1 when it is not there. */
static long long size_of(const phase_context *c, const char *name)
{
	struct stat info;
	char *path = phase_path(c, name, NULL);
	long long size = path && stat(path, &info) == 0 && S_ISREG(info.st_mode) ? (long long)info.st_size : -1;
	base_free(path);
	return size;
}

/* One tick and, for the JSON, name and size. */
static void saved(phase_context *c, base_text *text, json_t *files, const char *label, const char *name)
{
	char bytes[32];
	long long size = size_of(c, name);
	if (size < 0)
		return;
	base_text_add(text, "✓ %s: %s (%s)\n", label, name, base_format_bytes((double)size, bytes));
	phase_put_int(c, files, name, size);
}

static bm_status write_metadata(phase_context *c, const char *best, int image_size, bm_error *err)
{
	char stamp[32], hash[33];
	time_t now = time(NULL);
	struct tm parts;
	gmtime_r(&now, &parts);
	strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%SZ", &parts);
	base_hash_text(c->pack.content, hash);
	json_t *classes = json_array(), *json = json_object(), *config = NULL;
	for (int k = 0; k < c->pack.class_count; k++)
		json_array_append_new(classes, json_string(c->pack.class_names[k]));
	phase_put_text(c, json, "program", "brainmri " BM_VERSION);
	phase_put_text(c, json, "created", stamp);
	phase_put_text(c, json, "model", best);
	phase_put_text(c, json, "architecture", phase_network_name(c));
	phase_put_real(c, json, "width", c->config.width);
	phase_put_text(c, json, "head", run_config_head_name(c->config.head));
	phase_put(c, json, "classes", classes);
	phase_put(c, json, "input",
		  json_pack("{s:[i,i,i], s:s, s:s}", "shape", image_size, image_size, run_config_channels(&c->config),
			    "range", "[0, 1]", "colour",
			    run_config_channels(&c->config) == 1 ? "grey" : "grey, repeated in 3 channels"));
	phase_put(c, json, "mirror_at_test_time", json_boolean(c->config.plan.mirror));
	phase_put(c, json, "training",
		  json_pack("{s:s, s:I, s:i, s:i, s:f}", "plan", c->config.plan.name, "epochs",
			    (json_int_t)c->history.count, "best_stage", c->history.best_stage, "best_epoch",
			    c->history.best_epoch, "seconds", c->history.seconds));
	phase_put(c, json, "test",
		  json_pack("{s:I, s:f, s:f, s:f}", "samples", (json_int_t)c->metrics.count, "accuracy",
			    c->metrics.accuracy, "loss", c->metrics.loss, "macro_f1", c->metrics.macro_f1));
	phase_put(c, json, "data",
		  json_pack("{s:s?, s:s, s:I, s:I, s:I, s:I}", "folder", c->config.data, "content_hash", hash, "images",
			    (json_int_t)c->pack.count, "train", (json_int_t)c->split.count[DATA_TRAIN], "validation",
			    (json_int_t)c->split.count[DATA_VALIDATION], "test",
			    (json_int_t)c->split.count[DATA_TEST]));
	if (c->metrics.have_reliability) {
		const evaluate_reliability *r = &c->metrics.reliability;
		phase_put(c, json, "trust",
			  json_pack("{s:f, s:f, s:b, s:f, s:f}", "temperature", r->temperature, "abstain_threshold",
				    r->threshold, "refuses_unlike_images", (int)r->have_unlike, "test_ece",
				    r->after.ece, "test_brier", r->after.brier));
	}
	phase_put_text(
		c, json, "caution",
		"not a medical device; no patient identifiers in the data, so slices of one patient may stand on both "
		"sides of the split");
	bm_status status = run_config_to_json(&c->config, &config, err);
	if (status == BM_OK) {
		phase_put(c, json, "config", config);
		status = phase_write_json(c->folder, "model_metadata.json", json, err);
	}
	json_decref(json);
	return status;
}

bm_status phase_artifacts(phase_context *c, bm_error *err)
{
	static const char *const others[][2] = {{"Metrics saved", "evaluation_metrics.json"},
						{"Predictions saved", "predictions.csv"},
						{"Metadata saved", "model_metadata.json"},
						{"Model card saved", "MODEL_CARD.md"},
						{"Split saved", "split.csv"},
						{"Configuration saved", "config.json"},
						{"Log", "log.txt"}};
	base_text text = {0};
	char best[64], name[64];
	int image_size;
	bm_status status = phase_need_split(c, err);
	if (status == BM_OK)
		status = phase_need_history(c, err);
	if (status == BM_OK)
		status = phase_need_metrics(c, err);
	if (status != BM_OK)
		return status;
	phase_best_model(c, best, &image_size);
	status = write_metadata(c, best, image_size, err);
	if (status == BM_OK)
		status = phase_write_card(c, best, image_size, err);
	if (status != BM_OK)
		return status;
	json_t *files = json_object();
	report_heading(&text, "PHASE 10: SAVE ARTIFACTS");
	base_text_add(&text, "\nSaving trained model...\n");
	for (int i = 0; i < c->config.plan.count; i++) {
		snprintf(name, sizeof name, "best_model_stage%d.keras", c->config.plan.stages[i].number);
		saved(c, &text, files, strcmp(name, best) == 0 ? "Best model" : "Model saved", name);
	}
	base_text_add(&text, "\nSaving training history...\n");
	saved(c, &text, files, "History saved", "training_history.json");
	base_text_add(&text, "\nSaving results...\n");
	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		saved(c, &text, files, others[i][0], others[i][1]);
	base_text_add(&text, "\nArtifacts saved successfully in %s\n", c->folder);
	phase_put_text(c, NULL, "folder", c->folder);
	phase_put_text(c, NULL, "best_model", best);
	phase_put(c, NULL, "files", files);
	return phase_print(c, &text, err);
}

bm_status phase_summary(phase_context *c, bm_error *err)
{
	base_text text = {0};
	bm_status status = phase_need_pack(c, err);
	if (status == BM_OK)
		status = phase_need_history(c, err);
	if (status == BM_OK)
		status = phase_need_metrics(c, err);
	if (status != BM_OK)
		return status;
	report_final(&text, &c->history, &c->metrics, (const char *const *)c->pack.class_names);
	phase_put_real(c, NULL, "test_accuracy", c->metrics.accuracy);
	phase_put_real(c, NULL, "test_loss", c->metrics.loss);
	phase_put_real(c, NULL, "macro_f1", c->metrics.macro_f1);
	phase_put_real(c, NULL, "training_seconds", c->history.seconds);
	phase_put_int(c, NULL, "epochs", (long long)c->history.count);
	return phase_print(c, &text, err);
}
