#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/random.h"
#include "model/predict.h"
#include "model/test_files.h"

#define SIDE 48
#define COUNT 7
#define CLASSES 3

static const char *const classes[] = {"a", "b", "c"};
static model m;
static uint8_t pixels[COUNT * SIDE * SIDE];
static const data_pack pack = {.count = COUNT, .side = SIDE, .images = pixels};

static int set_up(void **state)
{
	const model_options options = {
		.width = .125, .image_size = SIDE, .channels = 1, .head = MODEL_HEAD_LINEAR, .classes = CLASSES};
	base_random r = base_random_make(1, 1);

	(void)state;
	/* Bright on the left, so that mirror images differ. */
	for (size_t i = 0; i < sizeof(pixels); i++)
		pixels[i] = (uint8_t)(base_random_below(&r, 128) + (i % SIDE < SIDE / 3 ? 127 : 0));
	return model_create(&options, classes, false, 2, &m, NULL) == BM_OK ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	model_free(&m);
	return 0;
}

static model_predictor *make(int batch)
{
	model_predictor *p;
	bm_error err;

	check(model_predictor_create(&m, batch, 0, 1, &p, &err), &err);
	assert_int_equal(model_predictor_size(p), SIDE);
	assert_int_equal(model_predictor_channels(p), 1);
	assert_int_equal(model_predictor_classes(p), CLASSES);
	return p;
}

static void near(const float *a, const float *b, size_t n)
{
	for (size_t i = 0; i < n; i++)
		assert_true(fabsf(a[i] - b[i]) < 1e-5f);
}

static void probabilities_do_not_depend_on_the_batch(void **state)
{
	float one[COUNT * CLASSES], three[COUNT * CLASSES];
	model_predictor *a = make(1), *b = make(3);
	bm_error err;

	(void)state;
	check(model_predict_pack(a, &pack, NULL, COUNT, false, NULL, one, &err), &err);
	check(model_predict_pack(b, &pack, NULL, COUNT, false, NULL, three, &err), &err);
	near(one, three, COUNT * CLASSES);
	for (int i = 0; i < COUNT; i++)
		assert_true(fabsf(one[3 * i] + one[3 * i + 1] + one[3 * i + 2] - 1) < 1e-5f);
	assert_true(one[0] < one[CLASSES] || one[0] > one[CLASSES]); /* two images, two answers */
	model_predictor_free(a);
	model_predictor_free(b);
}

static void pack_and_floats_agree(void **state)
{
	const size_t indices[] = {5, 0, 5};
	float images[3 * SIDE * SIDE], from_pack[3 * CLASSES], from_floats[3 * CLASSES];
	model_predictor *p = make(2);
	bm_error err;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		for (size_t k = 0; k < SIDE * SIDE; k++)
			images[i * SIDE * SIDE + k] = (float)pixels[indices[i] * SIDE * SIDE + k] / 255;
	}
	check(model_predict_pack(p, &pack, indices, 3, false, NULL, from_pack, &err), &err);
	check(model_predictor_run(p, images, 3, from_floats, &err), &err);
	near(from_pack, from_floats, 3 * CLASSES);
	model_predictor_free(p);
}

static void mirror_is_the_mean_of_both(void **state)
{
	static uint8_t mirrored[COUNT * SIDE * SIDE];
	const data_pack other = {.count = COUNT, .side = SIDE, .images = mirrored};
	float a[COUNT * CLASSES], b[COUNT * CLASSES], both[COUNT * CLASSES];
	model_predictor *p = make(4);
	bm_error err;

	(void)state;
	for (size_t i = 0; i < sizeof(mirrored); i++)
		mirrored[i] = pixels[i / SIDE * SIDE + (SIDE - 1 - i % SIDE)];
	check(model_predict_pack(p, &pack, NULL, COUNT, false, NULL, a, &err), &err);
	check(model_predict_pack(p, &other, NULL, COUNT, false, NULL, b, &err), &err);
	check(model_predict_pack(p, &pack, NULL, COUNT, true, NULL, both, &err), &err);
	assert_true(fabsf(a[0] - b[0]) > 1e-6f);
	for (int i = 0; i < COUNT * CLASSES; i++)
		a[i] = (a[i] + b[i]) / 2;
	near(a, both, COUNT * CLASSES);
	model_predictor_free(p);
}

/* The linear head, done by hand on the features, gives the probabilities; in whatever pieces the base is computed (34: two at a time). */
static void features_are_what_the_head_reads(void **state)
{
	static const int batches[] = {1, 4, 34};
	const nn_weight *kernel = &m.weights.items[m.weights.count - 2], *bias = kernel + 1;
	bm_error err;

	(void)state;
	for (size_t b = 0; b < 3; b++) {
		model_predictor *p = make(batches[b]);
		int width = model_predictor_features(p);
		float probabilities[COUNT * CLASSES];
		float *features = calloc((size_t)(COUNT * width), sizeof(float));

		assert_non_null(features);
		assert_int_equal(width, kernel->shape[0]);
		assert_int_equal(width, model_feature_count(&m));
		check(model_predict_pack_features(p, &pack, NULL, COUNT, false, NULL, probabilities, features, &err),
		      &err);
		for (int i = 0; i < COUNT; i++) {
			double score[CLASSES], sum = 0;

			for (int k = 0; k < CLASSES; k++) {
				score[k] = (double)bias->values[k];
				for (int f = 0; f < width; f++)
					score[k] += (double)features[i * width + f] *
						    (double)kernel->values[f * CLASSES + k];
				sum += exp(score[k]);
			}
			for (int k = 0; k < CLASSES; k++)
				assert_true(fabs(exp(score[k]) / sum - (double)probabilities[i * CLASSES + k]) < 1e-5);
		}
		free(features);
		model_predictor_free(p);
	}
}

static void update_takes_new_weights(void **state)
{
	float before[CLASSES], after[CLASSES], again[CLASSES];
	model_predictor *p = make(1), *fresh;
	nn_weights kept;
	nn_weight *bias = &m.weights.items[m.weights.count - 1];
	bm_error err;

	(void)state;
	check(nn_weights_copy(&m.weights, &kept, &err), &err);
	check(model_predict_pack(p, &pack, NULL, 1, false, NULL, before, &err), &err);
	bias->values[1] += 3;
	check(model_predictor_update(p, &m.weights, &err), &err);
	check(model_predict_pack(p, &pack, NULL, 1, false, NULL, after, &err), &err);
	assert_true(after[1] > before[1] + .1f);
	fresh = make(1);
	check(model_predict_pack(fresh, &pack, NULL, 1, false, NULL, again, &err), &err);
	assert_memory_equal(after, again, sizeof(after));
	memcpy(m.weights.storage, kept.storage, kept.total * sizeof(float));
	nn_weights_free(&kept);
	model_predictor_free(fresh);
	model_predictor_free(p);
}

static void count_progress(void *self, const base_progress *progress)
{
	*(long long *)self = progress->done;
	assert_int_equal(progress->total, COUNT);
}

static void progress_and_cancel(void **state)
{
	atomic_bool stop = false;
	long long done = 0;
	const base_observer observer = {.self = &done, .progress = count_progress, .cancel = &stop};
	float probs[COUNT * CLASSES];
	model_predictor *p = make(4);
	const size_t beyond[] = {COUNT};
	bm_error err;

	(void)state;
	check(model_predict_pack(p, &pack, NULL, COUNT, false, &observer, probs, &err), &err);
	assert_int_equal(done, COUNT);
	stop = true;
	assert_int_equal(model_predict_pack(p, &pack, NULL, COUNT, false, &observer, probs, &err), BM_ERR_CANCELLED);
	assert_int_equal(model_predict_pack(p, &pack, beyond, 1, false, NULL, probs, &err), BM_ERR_INTERNAL);
	model_predictor_free(p);
	assert_int_equal(model_predictor_create(&m, 0, 0, 1, &p, &err), BM_ERR_USAGE);
	assert_null(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(probabilities_do_not_depend_on_the_batch),
		cmocka_unit_test(pack_and_floats_agree),
		cmocka_unit_test(mirror_is_the_mean_of_both),
		cmocka_unit_test(features_are_what_the_head_reads),
		cmocka_unit_test(update_takes_new_weights),
		cmocka_unit_test(progress_and_cancel),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
