#include "model/predict.h"

#include <string.h>

#include "base/memory.h"
#include "base/threads.h"
#include "data/loader.h"

/* What every head begins with (model_build_graph). */
#define FEATURES "global_average_pooling2d"

struct model_predictor {
	nn_network *network;
	int batch, size, channels, classes, features;
	float *images;	      /* [batch][size][size][channels], for packs */
	float *probabilities; /* [batch][classes] */
	float *kept;	      /* [batch][features] */
};

int model_feature_count(const model *m)
{
	return m->graph.layers[nn_graph_find(&m->graph, FEATURES)].channels;
}

bm_status model_predictor_create(const model *m, int batch, int image_size, int threads, model_predictor **out,
				 bm_error *err)
{
	int size = image_size > 0 ? image_size : m->options.image_size;
	nn_options options = {.batch = batch,
			      .height = size,
			      .width = size,
			      .channels = m->options.channels,
			      .threads = threads,
			      .keep = FEATURES};
	model_predictor *p;
	bm_status status;

	*out = NULL;
	if (batch < 1)
		return base_fail(err, BM_ERR_USAGE, "a batch of %d images: at least 1 is needed", batch);
	p = base_calloc(1, sizeof(*p), "a predictor", err);
	if (!p)
		return BM_ERR_MEMORY;
	p->batch = batch;
	p->size = size;
	p->channels = m->options.channels;
	p->classes = m->options.classes;
	p->features = model_feature_count(m);
	status = nn_network_create(&m->graph, &m->weights, &options, &p->network, err);
	if (status != BM_OK)
		goto cleanup;
	p->probabilities = base_malloc((size_t)batch * (size_t)p->classes, sizeof(float), "probabilities", err);
	p->kept = base_malloc((size_t)batch * (size_t)p->features, sizeof(float), "features", err);
	if (!p->probabilities || !p->kept)
		status = BM_ERR_MEMORY;
cleanup:
	if (status != BM_OK)
		model_predictor_free(p);
	else
		*out = p;
	return status;
}

void model_predictor_free(model_predictor *p)
{
	if (!p)
		return;
	nn_network_free(p->network);
	base_free(p->images);
	base_free(p->probabilities);
	base_free(p->kept);
	base_free(p);
}

bm_status model_predictor_update(model_predictor *p, const nn_weights *weights, bm_error *err)
{
	return nn_network_load(p->network, weights, err);
}

int model_predictor_classes(const model_predictor *p)
{
	return p->classes;
}

int model_predictor_size(const model_predictor *p)
{
	return p->size;
}

int model_predictor_channels(const model_predictor *p)
{
	return p->channels;
}

int model_predictor_features(const model_predictor *p)
{
	return p->features;
}

static size_t image_floats(const model_predictor *p)
{
	return (size_t)p->size * (size_t)p->size * (size_t)p->channels;
}

bm_status model_predictor_run(model_predictor *p, const float *images, int n, float *probs, bm_error *err)
{
	return model_predictor_run_features(p, images, n, probs, NULL, err);
}

bm_status model_predictor_run_features(model_predictor *p, const float *images, int n, float *probs, float *features,
				       bm_error *err)
{
	size_t width = (size_t)p->features;
	bm_status status = BM_OK;

	for (int done = 0; done < n && status == BM_OK; done += p->batch) {
		int count = n - done < p->batch ? n - done : p->batch;

		status = nn_network_forward(p->network, images + (size_t)done * image_floats(p), count, false, 0,
					    probs + (size_t)done * (size_t)p->classes, err);
		if (status == BM_OK && features)
			status = nn_network_output(p->network, FEATURES, p->kept, (size_t)p->batch * width, err);
		if (status == BM_OK && features)
			memcpy(features + (size_t)done * width, p->kept, (size_t)count * width * sizeof(float));
	}
	return status;
}

static void mirror_image(float *pixels, int size, int channels)
{
	for (int y = 0; y < size; y++) {
		float *row = pixels + (size_t)y * (size_t)size * (size_t)channels;

		for (int left = 0, right = size - 1; left < right; left++, right--) {
			for (int c = 0; c < channels; c++) {
				float kept = row[left * channels + c];

				row[left * channels + c] = row[right * channels + c];
				row[right * channels + c] = kept;
			}
		}
	}
}

/* Classifies `count` images of the pack into probs; the images are left in p->images. */
static bm_status run_batch(model_predictor *p, const data_pack *pack, const size_t *indices, size_t first, int count,
			   bool mirror, float *probs, float *features, bm_error *err)
{
	size_t floats = image_floats(p), pixels = (size_t)pack->side * (size_t)pack->side,
	       values = (size_t)count * (size_t)p->classes;
	bm_status status;

	for (int i = 0; i < count; i++) {
		size_t index = indices ? indices[first + (size_t)i] : first + (size_t)i;

		if (index >= pack->count)
			return base_fail(err, BM_ERR_INTERNAL, "image %zu of a pack of %zu", index, pack->count);
		status = data_image_to_floats(pack->images + index * pixels, pack->side, p->size, p->channels,
					      p->images + (size_t)i * floats, err);
		if (status != BM_OK)
			return status;
	}
	status = model_predictor_run_features(p, p->images, count, probs, features, err);
	if (status != BM_OK || !mirror)
		return status;
	for (int i = 0; i < count; i++)
		mirror_image(p->images + (size_t)i * floats, p->size, p->channels);
	status = model_predictor_run(p, p->images, count, p->probabilities, err);
	for (size_t i = 0; status == BM_OK && i < values; i++)
		probs[i] = (probs[i] + p->probabilities[i]) / 2;
	return status;
}

bm_status model_predict_pack(model_predictor *p, const data_pack *pack, const size_t *indices, size_t count,
			     bool mirror, const base_observer *observer, float *probs, bm_error *err)
{
	return model_predict_pack_features(p, pack, indices, count, mirror, observer, probs, NULL, err);
}

bm_status model_predict_pack_features(model_predictor *p, const data_pack *pack, const size_t *indices, size_t count,
				      bool mirror, const base_observer *observer, float *probs, float *features,
				      bm_error *err)
{
	base_progress progress = {.what = "Predicting", .unit = "images", .total = (long long)count};
	double start = base_now();
	bm_status status = BM_OK;

	if (!p->images) {
		p->images = base_malloc((size_t)p->batch * image_floats(p), sizeof(float), "a batch of images", err);
		if (!p->images)
			return BM_ERR_MEMORY;
	}
	for (size_t done = 0; done < count && status == BM_OK;) {
		int now = count - done < (size_t)p->batch ? (int)(count - done) : p->batch;

		status = base_check_cancel(observer, err);
		if (status == BM_OK)
			status = run_batch(p, pack, indices, done, now, mirror, probs + done * (size_t)p->classes,
					   features ? features + done * (size_t)p->features : NULL, err);
		done += (size_t)now;
		progress.done = (long long)done;
		progress.seconds = base_now() - start;
		if (status == BM_OK)
			base_report_progress(observer, &progress);
	}
	return status;
}
