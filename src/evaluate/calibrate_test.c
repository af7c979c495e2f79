#include "evaluate/calibrate.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "evaluate/metrics_reference.h"

static void assert_near(double is, double should, double off)
{
	if (!(fabs(is - should) <= off))
		fail_msg("is %.17g, should be %.17g", is, should);
}

/* Figures by NumPy; the temperature by scipy.optimize.minimize_scalar on the mean cross-entropy. */
static void agrees_with_numpy_and_scipy(void **state)
{
	(void)state;
	float p[REFERENCE_COUNT * REFERENCE_CLASSES], q[REFERENCE_COUNT * REFERENCE_CLASSES];
	evaluate_calibration c;
	double t;
	bm_error err;
	reference_probabilities(p);
	evaluate_calibrate(p, reference_labels, REFERENCE_COUNT, REFERENCE_CLASSES, &c);
	assert_near(c.ece, 0.1546875, 1e-9);
	assert_near(c.brier, 0.4953125, 1e-9);
	assert_near(c.loss, 0.8321340232546188, 1e-9);
	assert_near(c.confidence, 0.4953125, 1e-9);
	assert_int_equal(evaluate_fit_temperature(p, reference_labels, REFERENCE_COUNT, REFERENCE_CLASSES, &t, &err),
			 BM_OK);
	assert_near(t, 0.38510925019819886, 1e-6);
	evaluate_temper(p, REFERENCE_COUNT, REFERENCE_CLASSES, t, q);
	evaluate_calibrate(q, reference_labels, REFERENCE_COUNT, REFERENCE_CLASSES, &c);
	assert_near(c.ece, 0.1076722993914313, 1e-5);
	assert_near(c.brier, 0.4449830775257295, 1e-5);
	assert_near(c.loss, 0.7291382981767234, 1e-5);
	assert_near(c.confidence, 0.6635294626133543, 1e-5);
}

/* Labels drawn from softmax(z), the network says softmax(z * 2.5): 2.5 is found again, and confidence is then what it says. */
static void a_known_temperature_is_found(void **state)
{
	(void)state;
	enum { N = 20000, K = 4 };
	float *p = malloc(N * K * sizeof *p);
	int *labels = malloc(N * sizeof *labels);
	base_random r = base_random_make(3, 1);
	evaluate_calibration before, after;
	double t;
	assert_non_null(p);
	assert_non_null(labels);
	for (int i = 0; i < N; i++) {
		double z[K], truth = 0, said = 0, u;
		for (int k = 0; k < K; k++) {
			z[k] = 1.5 * (double)base_random_normal(&r);
			truth += exp(z[k]);
			said += exp(2.5 * z[k]);
		}
		u = (double)base_random_uniform(&r) * truth;
		labels[i] = 0;
		double sum = exp(z[0]);
		while (labels[i] < K - 1 && u >= sum)
			sum += exp(z[++labels[i]]);
		for (int k = 0; k < K; k++)
			p[i * K + k] = (float)(exp(2.5 * z[k]) / said);
	}
	assert_int_equal(evaluate_fit_temperature(p, labels, N, K, &t, NULL), BM_OK);
	assert_near(t, 2.5, 0.06);
	evaluate_calibrate(p, labels, N, K, &before);
	evaluate_temper(p, N, K, t, p);
	evaluate_calibrate(p, labels, N, K, &after);
	assert_true(before.ece > 0.1);
	assert_true(after.ece < 0.015);
	assert_true(after.brier < before.brier && after.loss < before.loss);
	free(p);
	free(labels);
}

static void without_a_mistake_confidence_follows_the_count(void **state)
{
	(void)state;
	static const float p[] = {.7f, .3f, .6f, .4f, .2f, .8f, .1f, .9f};
	static const int labels[] = {0, 0, 1, 1};
	float q[8];
	evaluate_calibration c;
	double t;
	assert_int_equal(evaluate_fit_temperature(p, labels, 4, 2, &t, NULL), BM_OK);
	evaluate_temper(p, 4, 2, t, q);
	evaluate_calibrate(q, labels, 4, 2, &c);
	assert_near(c.confidence, 5.0 / 6, 1e-5);
	assert_int_equal(evaluate_fit_temperature(p, labels, 0, 2, &t, NULL), BM_ERR_DATA);
}

/* Probabilities of 0 and 1: nothing becomes infinite, and every row still sums to 1. */
static void certainty_is_survived(void **state)
{
	(void)state;
	static const float p[] = {1, 0, 0, 1, 1, 0};
	static const int labels[] = {0, 1, 1};
	float q[6];
	double t;
	assert_int_equal(evaluate_fit_temperature(p, labels, 3, 2, &t, NULL), BM_OK);
	assert_near(t, EVALUATE_TEMPERATURE_MAX, 1e-3); /* as doubtful as it gets */
	evaluate_temper(p, 3, 2, t, q);
	for (int i = 0; i < 3; i++)
		assert_near((double)(q[2 * i] + q[2 * i + 1]), 1, 1e-6);
	assert_near((double)q[0], 1 / (1 + exp(log(1e-12) / EVALUATE_TEMPERATURE_MAX)), 1e-3);
}

/* Ten images, the confidence falling from .96 to .51; images 6 and 9 are wrong. */
static void coverage_by_hand(void **state)
{
	(void)state;
	float p[20];
	int labels[10];
	evaluate_coverage curve[EVALUATE_COVERAGE_STEPS];
	size_t answered, right;
	double threshold;
	bm_error err;
	for (int i = 0; i < 10; i++) {
		p[2 * i] = 0.96f - 0.05f * (float)i;
		p[2 * i + 1] = 1 - p[2 * i];
		labels[i] = i == 6 || i == 9;
	}
	assert_int_equal(evaluate_coverage_curve(p, labels, 10, 2, curve, &err), BM_OK);
	assert_near(curve[0].coverage, 0.1, 1e-12);
	assert_near(curve[59].coverage, 0.6, 1e-12);
	assert_near(curve[59].accuracy, 1, 1e-12);
	assert_near(curve[59].threshold, 0.71, 1e-6);
	assert_near(curve[99].coverage, 1, 1e-12);
	assert_near(curve[99].accuracy, 0.8, 1e-12);
	/* Nine in ten right: the six before the first mistake, or the first nine with 8/9 are not enough; six are all right. */
	assert_int_equal(evaluate_choose_threshold(p, labels, 10, 2, 0.9, &threshold, &err), BM_OK);
	assert_near(threshold, 0.685, 1e-6);
	evaluate_at_threshold(p, labels, 10, 2, threshold, &answered, &right);
	assert_int_equal(answered, 6);
	assert_int_equal(right, 6);
	/* 8/9 is enough: nine are answered. */
	assert_int_equal(evaluate_choose_threshold(p, labels, 10, 2, 0.88, &threshold, &err), BM_OK);
	evaluate_at_threshold(p, labels, 10, 2, threshold, &answered, &right);
	assert_int_equal(answered, 9);
	/* What cannot be had: the best that answers half of them. */
	labels[0] = 1;
	assert_int_equal(evaluate_choose_threshold(p, labels, 10, 2, 0.999, &threshold, &err), BM_OK);
	evaluate_at_threshold(p, labels, 10, 2, threshold, &answered, &right);
	assert_int_equal(answered, 6);
	assert_int_equal(right, 5);
	assert_int_equal(evaluate_coverage_curve(p, labels, 0, 2, curve, &err), BM_ERR_DATA);
	assert_int_equal(evaluate_choose_threshold(p, labels, 0, 2, 0.9, &threshold, &err), BM_ERR_DATA);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(agrees_with_numpy_and_scipy),
		cmocka_unit_test(a_known_temperature_is_found),
		cmocka_unit_test(without_a_mistake_confidence_follows_the_count),
		cmocka_unit_test(certainty_is_survived),
		cmocka_unit_test(coverage_by_hand),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
