/* The public API: a model opened, an image classified. */
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "data/loader.h"
#include "engine/preprocess.h"
#include "model/predict.h"
#include "phases/context.h"

struct bm_model {
	model network; /* its class names are those of the API */
	model_predictor *predictor;
	int size, channels;
	bool mirror;	 /* the mean of the image and its mirror image, as the run was evaluated */
	uint8_t *pixels; /* [DATA_PACK_SIDE][DATA_PACK_SIDE] */
	float *images;	 /* [1 or 2][size][size][channels] */
	float *scores;	 /* [1 or 2][classes] */
};

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

bm_status bm_model_open(const char *path, int threads, bm_model **out, bm_error *err)
{
	char *file = NULL;
	int size = 0;
	bool mirror = false;
	*out = NULL;
	bm_model *m = base_calloc(1, sizeof *m, "a model", err);
	if (!m)
		return BM_ERR_MEMORY;
	bm_status status = BM_OK;
	if (base_is_folder(path))
		status = look_into_run(path, &file, &size, &mirror, err);
	else if (!base_is_file(path))
		status = base_fail(err, BM_ERR_NOT_FOUND,
				   "there is no model at '%s'; name a run folder or a .keras file", path);
	if (status == BM_OK)
		status = model_load(file ? file : path, &m->network, err);
	if (status == BM_OK)
		status = model_predictor_create(&m->network, mirror ? 2 : 1, size, threads, &m->predictor, err);
	if (status != BM_OK)
		goto done;
	m->size = model_predictor_size(m->predictor);
	m->channels = model_predictor_channels(m->predictor);
	m->mirror = mirror;
	m->pixels = base_malloc(DATA_PACK_SIDE, DATA_PACK_SIDE, "an image", err);
	m->images = base_malloc((size_t)m->size * (size_t)m->size, (size_t)m->channels * 2 * sizeof(float), "an image",
				err);
	m->scores = base_malloc((size_t)m->network.options.classes, 2 * sizeof(float), "the probabilities", err);
	if (!m->pixels || !m->images || !m->scores)
		status = BM_ERR_MEMORY;
done:
	base_free(file);
	if (status == BM_OK)
		*out = m;
	else
		bm_model_close(m);
	return status;
}

void bm_model_close(bm_model *m)
{
	if (!m)
		return;
	model_predictor_free(m->predictor);
	model_free(&m->network);
	base_free(m->pixels);
	base_free(m->images);
	base_free(m->scores);
	base_free(m);
}

int bm_model_class_count(const bm_model *m)
{
	return m->network.options.classes;
}

const char *bm_model_class_name(const bm_model *m, int index)
{
	return index >= 0 && index < m->network.options.classes ? m->network.class_names[index] : NULL;
}

static void mirror_image(const float *in, int size, int channels, float *out)
{
	for (int y = 0; y < size; y++)
		for (int x = 0; x < size; x++)
			memcpy(out + ((size_t)y * (size_t)size + (size_t)x) * (size_t)channels,
			       in + ((size_t)y * (size_t)size + (size_t)(size - 1 - x)) * (size_t)channels,
			       (size_t)channels * sizeof *out);
}

/* The same way as the images that the model was evaluated on: into a pack image, then into what the network takes. */
bm_status bm_model_classify_bytes(bm_model *m, const void *bytes, size_t bytes_size, float *probabilities,
				  bm_error *err)
{
	size_t floats = (size_t)m->size * (size_t)m->size * (size_t)m->channels;
	int classes = m->network.options.classes, count = m->mirror ? 2 : 1;
	bm_status status = engine_preprocess_bytes(bytes, bytes_size, DATA_PACK_SIDE, m->pixels, err);
	if (status == BM_OK)
		status = data_image_to_floats(m->pixels, DATA_PACK_SIDE, m->size, m->channels, m->images, err);
	if (status != BM_OK)
		return status;
	if (m->mirror)
		mirror_image(m->images, m->size, m->channels, m->images + floats);
	status = model_predictor_run(m->predictor, m->images, count, m->scores, err);
	if (status != BM_OK)
		return status;
	for (int k = 0; k < classes; k++)
		probabilities[k] = m->mirror ? 0.5f * (m->scores[k] + m->scores[classes + k]) : m->scores[k];
	return BM_OK;
}

bm_status bm_model_classify_file(bm_model *m, const char *path, float *probabilities, bm_error *err)
{
	uint8_t *bytes = NULL;
	size_t size = 0;
	bm_status status = base_file_read(path, IMAGE_FILE_LIMIT, &bytes, &size, err);
	if (status != BM_OK)
		return status;
	status = bm_model_classify_bytes(m, bytes, size, probabilities, err);
	base_free(bytes);
	return status == BM_OK ? status : base_prefix(err, status, "'%s'", path);
}
