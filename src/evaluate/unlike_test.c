#include "evaluate/unlike.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "image/phantom.h"

enum { SIDE = 224, N = 160, FEATURES = 64, CLASSES = 4 };

static uint8_t pixels[SIDE * SIDE];
static evaluate_unlike unlike;

static void phantom(uint64_t seed, int label, uint64_t index)
{
	image img = {0};
	bm_error err;
	assert_int_equal(image_phantom(seed, label, index, SIDE, &img, &err), BM_OK);
	memcpy(pixels, img.pixels, sizeof pixels);
	image_free(&img);
}

/* What a network might see: a mean of its own for each class, and noise. */
static void features_of(int label, uint64_t index, float *out)
{
	base_random r = base_random_make(9, index);
	for (int k = 0; k < FEATURES; k++)
		out[k] = fabsf(base_random_normal(&r)) * 0.3f + (k % CLASSES == label ? 2.0f : 0.2f);
}

static int fit(void **state)
{
	(void)state;
	float *features = malloc(N * FEATURES * sizeof *features);
	double *statistics = malloc(N * EVALUATE_STATISTICS * sizeof *statistics);
	int labels[N];
	bm_error err;
	assert_non_null(features);
	assert_non_null(statistics);
	for (int i = 0; i < N; i++) {
		labels[i] = i % CLASSES;
		phantom(1, labels[i], (uint64_t)i);
		evaluate_image_statistics(pixels, SIDE, statistics + (size_t)i * EVALUATE_STATISTICS);
		features_of(labels[i], (uint64_t)i, features + (size_t)i * FEATURES);
	}
	assert_int_equal(evaluate_unlike_fit(features, FEATURES, statistics, labels, N, CLASSES, &unlike, &err), BM_OK);
	assert_int_equal(
		evaluate_unlike_fit(features, FEATURES, statistics, labels, 9, CLASSES, &(evaluate_unlike){0}, &err),
		BM_ERR_DATA);
	free(features);
	free(statistics);
	return 0;
}

static double unlikeness_with(const float *features)
{
	double statistics[EVALUATE_STATISTICS];
	evaluate_image_statistics(pixels, SIDE, statistics);
	for (int k = 0; k < EVALUATE_STATISTICS; k++)
		assert_true(isfinite(statistics[k]));
	return evaluate_unlikeness(&unlike, features, statistics);
}

/* Of what is in `pixels`, should the network see class 0. */
static double unlikeness(void)
{
	float features[FEATURES];
	features_of(0, 5000, features);
	return unlikeness_with(features);
}

static void new_images_of_the_kind_pass(void **state)
{
	(void)state;
	int refused = 0;
	for (int i = 0; i < 120; i++) {
		float features[FEATURES];
		phantom(2, i % CLASSES, (uint64_t)i);
		features_of(i % CLASSES, 1000 + (uint64_t)i, features);
		refused += unlikeness_with(features) > 1;
	}
	assert_in_range(refused, 0, 4);
}

static void ellipse(double cx, double cy, double rx, double ry, int value)
{
	for (int y = 0; y < SIDE; y++)
		for (int x = 0; x < SIDE; x++) {
			double u = ((double)x / SIDE - cx) / rx, v = ((double)y / SIDE - cy) / ry;
			if (u * u + v * v < 1)
				pixels[y * SIDE + x] = (uint8_t)value;
		}
}

/* Fine to coarse noise on a grey ground: the texture of a photo. */
static void photo(void)
{
	base_random r = base_random_make(4, 4);
	for (int y = 0; y < SIDE; y++)
		for (int x = 0; x < SIDE; x++) {
			double value = 110 + 30 * sin(x / 31.0 + y / 57.0) + 20 * sin(x / 7.0 - y / 11.0);
			pixels[y * SIDE + x] = (uint8_t)(value + 12 * (double)base_random_uniform(&r));
		}
}

static void pages_and_photos_are_refused(void **state)
{
	(void)state;
	base_random r = base_random_make(5, 5);
	memset(pixels, 0, sizeof pixels);
	assert_true(unlikeness() > 1);
	memset(pixels, 255, sizeof pixels);
	assert_true(unlikeness() > 1);
	memset(pixels, 128, sizeof pixels);
	assert_true(unlikeness() > 1);
	for (int i = 0; i < SIDE * SIDE; i++) /* a gradient */
		pixels[i] = (uint8_t)((i % SIDE + i / SIDE) * 255 / (2 * SIDE));
	assert_true(unlikeness() > 1);
	for (int i = 0; i < SIDE * SIDE; i++) /* noise */
		pixels[i] = (uint8_t)base_random_below(&r, 256);
	assert_true(unlikeness() > 1);
	for (int i = 0; i < SIDE * SIDE; i++) /* lines of text */
		pixels[i] = i / SIDE % 14 < 8 && i % SIDE % 8 < 5 && base_random_below(&r, 2) ? 20 : 250;
	assert_true(unlikeness() > 1);
	photo();
	assert_true(unlikeness() > 1);
	/* A cat: ears, a head, eyes. */
	ellipse(.5, .55, .3, .26, 165);
	ellipse(.32, .3, .08, .14, 150);
	ellipse(.68, .3, .08, .14, 150);
	ellipse(.4, .5, .04, .05, 25);
	ellipse(.6, .5, .04, .05, 25);
	assert_true(unlikeness() > 1);
	phantom(2, 1, 3);
	for (int i = 0; i < SIDE * SIDE; i++) /* inverted */
		pixels[i] = (uint8_t)(255 - pixels[i]);
	assert_true(unlikeness() > 1);
}

/* The pixels look right, the network sees what none of its classes looks like. */
static void strange_features_are_refused(void **state)
{
	(void)state;
	float features[FEATURES];
	phantom(2, 0, 7);
	features_of(0, 7777, features);
	assert_true(unlikeness_with(features) < 1);
	for (int k = 0; k < FEATURES; k++)
		features[k] = k % 3 ? 0.1f : 3.0f;
	assert_true(unlikeness_with(features) > 1);
}

static void any_side_will_do(void **state)
{
	(void)state;
	static const int sides[] = {8, 31, 57, 224};
	double statistics[EVALUATE_STATISTICS];
	for (size_t s = 0; s < sizeof sides / sizeof *sides; s++) {
		memset(pixels, 77, sizeof pixels);
		evaluate_image_statistics(pixels, sides[s], statistics);
		for (int k = 0; k < EVALUATE_STATISTICS; k++)
			assert_true(isfinite(statistics[k]));
		assert_true(fabs(statistics[0] - 77 / 255.0) < 1e-9);
		assert_true(statistics[1] < 1e-6);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(new_images_of_the_kind_pass),
		cmocka_unit_test(pages_and_photos_are_refused),
		cmocka_unit_test(strange_features_are_refused),
		cmocka_unit_test(any_side_will_do),
	};
	return cmocka_run_group_tests(tests, fit, NULL);
}
