/* The public API: a model opened, an image classified. */
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "data/loader.h"
#include "engine/preprocess.h"
#include "evaluate/trust.h"
#include "model/predict.h"
#include "model/shipped.h"
#include "phases/finished.h"

struct bm_model {
	phase_finished finished; /* its class names are those of the API */
	model_predictor *predictor;
	int size, channels;
	bool refuse;
	double threshold; /* confidence that an answer takes */
	uint8_t *pixels;  /* [DATA_PACK_SIDE][DATA_PACK_SIDE] */
	float *images;	  /* [1 or 2][size][size][channels] */
	float *scores;	  /* [1 or 2][classes] */
	float *seen;	  /* [1 or 2][features]: what the head saw */
};

bm_status bm_model_open(const char *path, int threads, bm_model **out, bm_error *err)
{
	*out = NULL;
	bm_model *m = base_calloc(1, sizeof *m, "a model", err);
	if (!m)
		return BM_ERR_MEMORY;
	phase_finished *f = &m->finished;
	bm_status status = phase_finished_load(path, f, err);
	if (status == BM_OK)
		status = model_predictor_create(&f->network, f->mirror ? 2 : 1, f->size, threads, &m->predictor, err);
	if (status != BM_OK)
		goto done;
	m->size = model_predictor_size(m->predictor);
	m->channels = model_predictor_channels(m->predictor);
	m->refuse = f->evaluated;
	m->pixels = base_malloc(DATA_PACK_SIDE, DATA_PACK_SIDE, "an image", err);
	m->images = base_malloc((size_t)m->size * (size_t)m->size, (size_t)m->channels * 2 * sizeof(float), "an image",
				err);
	m->scores =
		base_malloc((size_t)m->finished.network.options.classes, 2 * sizeof(float), "the probabilities", err);
	m->seen = base_malloc((size_t)model_predictor_features(m->predictor), 2 * sizeof(float), "the features", err);
	if (!m->pixels || !m->images || !m->scores || !m->seen)
		status = BM_ERR_MEMORY;
done:
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
	phase_finished_free(&m->finished);
	base_free(m->pixels);
	base_free(m->images);
	base_free(m->scores);
	base_free(m->seen);
	base_free(m);
}

const char *bm_shipped_card(void)
{
	return model_shipped_card();
}

int bm_model_class_count(const bm_model *m)
{
	return m->finished.network.options.classes;
}

const char *bm_model_class_name(const bm_model *m, int index)
{
	return index >= 0 && index < m->finished.network.options.classes ? m->finished.network.class_names[index]
									 : NULL;
}

static void mirror_image(const float *in, int size, int channels, float *out)
{
	for (int y = 0; y < size; y++)
		for (int x = 0; x < size; x++)
			memcpy(out + ((size_t)y * (size_t)size + (size_t)x) * (size_t)channels,
			       in + ((size_t)y * (size_t)size + (size_t)(size - 1 - x)) * (size_t)channels,
			       (size_t)channels * sizeof *out);
}

/* The same way as the images that the model was evaluated on: into a pack image, then into what the network takes.
 * scores [classes] and seen, of the image as it stands, are left in the model. */
static bm_status run(bm_model *m, const void *bytes, size_t bytes_size, bm_error *err)
{
	size_t floats = (size_t)m->size * (size_t)m->size * (size_t)m->channels;
	int classes = m->finished.network.options.classes, count = m->finished.mirror ? 2 : 1;
	bm_status status = engine_preprocess_bytes(bytes, bytes_size, DATA_PACK_SIDE, m->pixels, err);
	if (status == BM_OK)
		status = data_image_to_floats(m->pixels, DATA_PACK_SIDE, m->size, m->channels, m->images, err);
	if (status != BM_OK)
		return status;
	if (m->finished.mirror)
		mirror_image(m->images, m->size, m->channels, m->images + floats);
	status = model_predictor_run_features(m->predictor, m->images, count, m->scores, m->seen, err);
	if (status != BM_OK)
		return status;
	for (int k = 0; m->finished.mirror && k < classes; k++)
		m->scores[k] = 0.5f * (m->scores[k] + m->scores[classes + k]);
	if (m->finished.evaluated)
		evaluate_temper(m->scores, 1, classes, m->finished.trust.temperature, m->scores);
	return BM_OK;
}

static void judge(const bm_model *m, bm_result *r)
{
	static const char *const advice[] = {
		[BM_ANSWERED] = "a suggestion of a program for learning and research, not a diagnosis",
		[BM_NOT_SURE] = "not sure: see a radiologist",
		[BM_REFUSED] = "unlike the images that the model was trained on: no answer",
	};
	r->best = evaluate_best(m->scores, m->finished.network.options.classes);
	r->confidence = m->scores[r->best];
	r->threshold = (float)m->threshold;
	r->unlikeness = -1;
	if (m->finished.trust.have_unlike) {
		double statistics[EVALUATE_STATISTICS];
		evaluate_image_statistics(m->pixels, DATA_PACK_SIDE, statistics);
		r->unlikeness = (float)evaluate_unlikeness(&m->finished.trust.unlike, m->seen, statistics);
	}
	if (m->refuse && r->unlikeness > 1)
		r->verdict = BM_REFUSED;
	else
		r->verdict = (double)r->confidence < m->threshold ? BM_NOT_SURE : BM_ANSWERED;
	r->advice = advice[r->verdict];
}

bm_status bm_model_judge_bytes(bm_model *m, const void *bytes, size_t bytes_size, bm_result *result,
			       float *probabilities, bm_error *err)
{
	if (result->size < sizeof *result)
		return base_fail(err, BM_ERR_USAGE, "bm_result.size is %zu: set it to sizeof(bm_result)", result->size);
	bm_status status = run(m, bytes, bytes_size, err);
	if (status != BM_OK)
		return status;
	judge(m, result);
	if (probabilities)
		memcpy(probabilities, m->scores, (size_t)m->finished.network.options.classes * sizeof *probabilities);
	return BM_OK;
}

bm_status bm_model_classify_bytes(bm_model *m, const void *bytes, size_t bytes_size, float *probabilities,
				  bm_error *err)
{
	bm_status status = run(m, bytes, bytes_size, err);
	if (status == BM_OK)
		memcpy(probabilities, m->scores, (size_t)m->finished.network.options.classes * sizeof *probabilities);
	return status;
}

bm_status bm_model_judge_file(bm_model *m, const char *path, bm_result *result, float *probabilities, bm_error *err)
{
	uint8_t *bytes = NULL;
	size_t size = 0;
	bm_status status = base_file_read(path, IMAGE_FILE_LIMIT, &bytes, &size, err);
	if (status != BM_OK)
		return status;
	status = bm_model_judge_bytes(m, bytes, size, result, probabilities, err);
	base_free(bytes);
	return status == BM_OK ? status : base_prefix(err, status, "'%s'", path);
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

bm_status bm_model_set_abstain(bm_model *m, double threshold, bm_error *err)
{
	if (threshold < 0 && !m->finished.evaluated)
		return base_fail(
			err, BM_ERR_NOT_FOUND,
			"this model has no threshold of its own, as it was not evaluated; run 'brainmri evaluate "
			"RUN' first, or give one");
	if (!(threshold <= 1))
		return base_fail(err, BM_ERR_USAGE, "a threshold of %g: a confidence is at most 1", threshold);
	m->threshold = threshold < 0 ? m->finished.trust.threshold : threshold;
	return BM_OK;
}

void bm_model_set_refuse(bm_model *m, int refuse)
{
	m->refuse = refuse && m->finished.trust.have_unlike;
}
