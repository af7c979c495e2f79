#include "phases/finished.h"

#include "base/file.h"
#include "base/memory.h"
#include "model/predict.h"
#include "model/shipped.h"
#include "phases/context.h"

/* What a run folder says: its best model's file (base_free), the size it was trained at, whether to mirror. */
static bm_status look_into_run(const char *folder, char **file, int *size, bool *mirror, bm_error *err)
{
	phase_context run = {0};
	char name[64], *config = base_path_join(folder, "config.json", err),
		       *history = base_path_join(folder, "training_history.json", err);
	bm_status status = BM_ERR_MEMORY;
	if (!config || !history)
		goto done;
	if (!base_is_file(config)) {
		status = base_fail(err, BM_ERR_NOT_FOUND,
				   "'%s' is no run folder (it has no config.json); name a run folder or a .keras file",
				   folder);
		goto done;
	}
	if (!base_is_file(history)) {
		status = base_fail(err, BM_ERR_NOT_FOUND,
				   "'%s' holds no trained model yet; run 'brainmri train %s' first", folder, folder);
		goto done;
	}
	run_config_init(&run.config);
	status = run_config_read(config, &run.config, err);
	if (status == BM_OK)
		status = train_history_read(history, &run.history, err);
	if (status != BM_OK)
		goto done;
	phase_best_model(&run, name, size);
	*mirror = run.config.plan.mirror;
	*file = base_path_join(folder, name, err);
	status = *file ? BM_OK : BM_ERR_MEMORY;
done:
	run_config_free(&run.config);
	train_history_free(&run.history);
	base_free(config);
	base_free(history);
	return status;
}

static bm_status take_trust(const char *name, phase_finished *f, bm_error *err)
{
	bm_status status = evaluate_trust_from_text(f->network.trust, &f->trust, err);
	if (status != BM_OK)
		return base_prefix(err, status, "'%s'", name);
	if (f->trust.have_unlike && f->trust.unlike.features != model_feature_count(&f->network))
		return base_fail(err, BM_ERR_FORMAT,
				 "'%s': its trust belongs to another network; evaluate the run again", name);
	f->evaluated = true;
	if (f->trust.image_size > 0) { /* settings that were changed since do not count */
		f->size = f->trust.image_size;
		f->mirror = f->trust.mirror;
	}
	return BM_OK;
}

/* A model that was not evaluated is used as its run's config.json says, so that must be what it was trained with. */
static bm_status check_run(const char *folder, bm_error *err)
{
	phase_context run = {.folder = base_strdup(folder, err)};
	bm_status status = run.folder ? phase_check_made(&run, "train", err) : BM_ERR_MEMORY;
	base_free(run.folder);
	return status;
}

static bm_status load_shipped(model *m, bm_error *err)
{
	size_t size;
	const uint8_t *bytes = model_shipped(&size);
	if (!bytes)
		return base_fail(err, BM_ERR_NOT_FOUND,
				 "no model ships with this build of the program (models/brain-mri-compact.safetensors "
				 "was not there): name a run folder or a model file");
	return model_load_bytes(bytes, size, "the shipped model", m, err);
}

bm_status phase_finished_load(const char *path, phase_finished *out, bm_error *err)
{
	char *file = NULL;
	bm_status status = BM_OK;
	*out = (phase_finished){.trust = {.temperature = 1}};
	if (path && base_is_folder(path))
		status = look_into_run(path, &file, &out->size, &out->mirror, err);
	else if (path && !base_is_file(path))
		status = base_fail(err, BM_ERR_NOT_FOUND,
				   "there is no model at '%s'; name a run folder or a model file", path);
	if (status == BM_OK)
		status = path ? model_load(file ? file : path, &out->network, err) : load_shipped(&out->network, err);
	if (status == BM_OK && out->network.trust)
		status = take_trust(file ? file : path ? path : "the shipped model", out, err);
	if (status == BM_OK && file && out->trust.image_size <= 0)
		status = check_run(path, err);
	base_free(file);
	if (status != BM_OK)
		phase_finished_free(out);
	return status;
}

void phase_finished_free(phase_finished *finished)
{
	model_free(&finished->network);
	*finished = (phase_finished){0};
}
