/* The predictor: a model compiled for evaluation, which turns images into class probabilities. Used by validation, evaluation and
 * the command line. */
#ifndef MODEL_PREDICT_H
#define MODEL_PREDICT_H

#include "base/observer.h"
#include "data/pack.h"
#include "model/model.h"

typedef struct model_predictor model_predictor;

/* Compiles `m` for evaluation: `batch` images per pass, of image_size x image_size pixels (0: m->options.image_size) and m's
 * channels; `threads` 0: one per core. Copies the weights. On success *out is the caller's (model_predictor_free). */
bm_status model_predictor_create(const model *m, int batch, int image_size, int threads, model_predictor **out,
				 bm_error *err);
void model_predictor_free(model_predictor *p); /* NULL is allowed */

/* Takes new values of the same model's weights. */
bm_status model_predictor_update(model_predictor *p, const nn_weights *weights, bm_error *err);

int model_predictor_classes(const model_predictor *p);
int model_predictor_size(const model_predictor *p); /* image_size */
int model_predictor_channels(const model_predictor *p);
/* Values of the layer that the head reads: the mean of each channel of the base. */
int model_predictor_features(const model_predictor *p);
int model_feature_count(const model *m); /* the same */

/* images: [n][image_size][image_size][channels] in [0,1], any n (worked off in batches); probs: [n][classes]. */
bm_status model_predictor_run(model_predictor *p, const float *images, int n, float *probs, bm_error *err);

/* The same, and what the head saw of each image: features [n][model_predictor_features]. */
bm_status model_predictor_run_features(model_predictor *p, const float *images, int n, float *probs, float *features,
				       bm_error *err);

/* Classifies pack[indices[0 .. count)] (indices NULL: the images 0 .. count). `mirror`: the mean of the probabilities of the image and
 * of its mirror image. probs: [count][classes]. `observer` gets progress and may cancel; NULL is allowed. */
bm_status model_predict_pack(model_predictor *p, const data_pack *pack, const size_t *indices, size_t count,
			     bool mirror, const base_observer *observer, float *probs, bm_error *err);
/* The same; features: [count][model_predictor_features] of the image as it stands, not of its mirror image. NULL: not wanted. */
bm_status model_predict_pack_features(model_predictor *p, const data_pack *pack, const size_t *indices, size_t count,
				      bool mirror, const base_observer *observer, float *probs, float *features,
				      bm_error *err);

#endif
