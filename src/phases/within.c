#include "phases/within.h"

#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "phases/phases.h"
#include "phases/precision.h"

bm_status phase_within_prepare(phase_context *c, data_near_copies *copies, bm_error *err)
{
	static const char *const phases[] = {"data", "preprocess"};
	const base_observer *outer = c->outer;
	base_observer quiet = outer ? *outer : (base_observer){0};
	quiet.result = NULL;
	c->outer = &quiet;
	bm_status status = phase_warn_of_slow_bf16(c, err);
	for (size_t i = 0; status == BM_OK && i < sizeof phases / sizeof *phases; i++)
		status = phase_run(c, phase_find(phases[i]), err);
	c->outer = outer;
	return status == BM_OK ? data_find_near_copies(&c->pack, c->threads, &c->observer, copies, err) : status;
}

bm_status phase_within_check_data(const phase_context *c, const json_t *kept, bm_error *err)
{
	char hash[33];
	const char *before = json_string_value(json_object_get(kept, "data"));
	base_hash_text(c->set.hash, hash);
	if (!before || strcmp(before, hash) == 0)
		return BM_OK;
	return base_fail(err, BM_ERR_DATA,
			 "'%s' was begun with other images than '%s' holds now; go on with the same, choose another "
			 "--out, or start it anew without --resume",
			 c->folder, c->config.data);
}

bm_status phase_within_note_fold(const phase_context *inner, int fold, int folds, bm_error *err)
{
	json_t *json = json_pack("{s:i, s:i}", "fold", fold, "folds", folds);
	bm_status status = json ? phase_write_json(inner->folder, PHASE_FOLD, json, err)
				: base_fail(err, BM_ERR_MEMORY, "no memory for " PHASE_FOLD);
	json_decref(json);
	return status;
}

/* What an evaluation that a stopped run may not have reached leaves. */
static bm_status forget(const phase_context *inner, bm_error *err)
{
	static const char *const files[] = {"evaluation_metrics.json", "training_history.json"};
	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		char *path = phase_path(inner, files[i], err);
		if (!path)
			return BM_ERR_MEMORY;
		unlink(path);
		base_free(path);
	}
	return BM_OK;
}

static bm_status write_listing(const phase_context *c, const phase_context *inner, bm_error *err)
{
	char *path = phase_path(inner, "data.json", err);
	bm_status status = path ? phase_listing_write(&c->set, path, err) : BM_ERR_MEMORY;
	base_free(path);
	return status;
}

bm_status phase_within_open(phase_context *c, const char *name, const run_config *settings, bool resume,
			    base_observer *quiet, phase_context *inner, bool *finished, bm_error *err)
{
	run_config config;
	const phase_options options = {.resume = resume, .force = !resume, .precision_measured = true};
	char *folder = phase_path(c, name, err), *pack = phase_pack_folder(c, err), *metrics = NULL;
	*finished = false;
	bm_status status = folder && pack ? run_config_copy(settings, &config, err) : BM_ERR_MEMORY;
	if (status != BM_OK)
		goto done;
	status = run_config_set(&config.out, folder, err);
	if (status == BM_OK)
		status = run_config_set(&config.pack, pack, err);
	*quiet = c->outer ? *c->outer : (base_observer){0};
	quiet->result = NULL;
	if (status == BM_OK)
		status = phase_context_create(&config, &options, quiet, inner, err);
	run_config_free(&config);
	if (status != BM_OK)
		goto done;
	status = resume ? BM_OK : forget(inner, err);
	if (status == BM_OK)
		status = write_listing(c, inner, err);
	metrics = status == BM_OK ? phase_path(inner, "evaluation_metrics.json", err) : NULL;
	if (status == BM_OK && !metrics)
		status = BM_ERR_MEMORY;
	*finished = status == BM_OK && base_is_file(metrics);
	if (status != BM_OK)
		phase_context_free(inner);
done:
	base_free(folder);
	base_free(pack);
	base_free(metrics);
	return status;
}

bm_status phase_within_split(const phase_context *c, const char *path, bm_error *err)
{
	uint8_t *bytes = NULL;
	size_t size = 0;
	char *own = phase_path(c, "split.csv", err);
	bm_status status = own ? base_file_read(own, (size_t)1 << 30, &bytes, &size, err) : BM_ERR_MEMORY;
	if (status == BM_OK)
		status = base_file_write(path, bytes, size, err);
	base_free(bytes);
	base_free(own);
	return status;
}
