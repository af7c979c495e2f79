#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/random.h"
#include "train/loss.h"

#define COUNT 5
#define CLASSES 4

static void softmax(const double *logits, float *probabilities)
{
	for (int i = 0; i < COUNT; i++) {
		double sum = 0;
		for (int c = 0; c < CLASSES; c++)
			sum += exp(logits[i * CLASSES + c]);
		for (int c = 0; c < CLASSES; c++)
			probabilities[i * CLASSES + c] = (float)(exp(logits[i * CLASSES + c]) / sum);
	}
}

static const int labels[COUNT] = {0, 3, 2, 2, 1};
static const float weights[CLASSES] = {0.5f, 1.5f, 1.0f, 2.0f};

/* The loss itself in double precision, straight from the logits. */
static double reference(const double *logits, const int *of, const float *class_weights, double smoothing)
{
	double total = 0;
	for (int i = 0; i < COUNT; i++) {
		double sum = 0, one = 0;
		for (int c = 0; c < CLASSES; c++)
			sum += exp(logits[i * CLASSES + c]);
		for (int c = 0; c < CLASSES; c++) {
			const double t = (c == of[i] ? 1 - smoothing : 0) + smoothing / CLASSES;
			one -= t * (logits[i * CLASSES + c] - log(sum));
		}
		total += one * (class_weights ? (double)class_weights[of[i]] : 1);
	}
	return total / COUNT;
}

static const train_mix mixed = {.labels = (const int[]){1, 3, 0, 2, 2}, .share = 0.7f};

static double mixed_reference(const double *logits, const train_mix *mix, const float *class_weights, double smoothing)
{
	const double own = reference(logits, labels, class_weights, smoothing);
	if (!mix)
		return own;
	return (double)mix->share * own +
	       (1 - (double)mix->share) * reference(logits, mix->labels, class_weights, smoothing);
}

static const train_taught taught = {.probabilities =
					    (const float[]){0.7f, 0.1f, 0.1f,  0.1f,  0.25f, 0.25f, 0.25f, 0.25f, 0, 0,
							    1,	  0,	0.05f, 0.05f, 0.6f,  0.3f,  0.4f,  0.6f,  0, 0},
				    .share = 0.75f};

/* What is asked for, of labels and teacher together; class weights are of the labels only. */
static double taught_reference(const double *logits, const train_mix *mix, const float *class_weights, double smoothing,
			       const train_taught *by)
{
	const double own = mixed_reference(logits, mix, class_weights, smoothing);
	double total = 0;
	for (int i = 0; by && i < COUNT; i++) {
		double sum = 0;
		for (int c = 0; c < CLASSES; c++)
			sum += exp(logits[i * CLASSES + c]);
		for (int c = 0; c < CLASSES; c++)
			total -= (double)by->probabilities[i * CLASSES + c] * (logits[i * CLASSES + c] - log(sum));
	}
	return by ? (1 - (double)by->share) * own + (double)by->share * total / COUNT : own;
}

static void test_value_and_gradient(void **unused)
{
	(void)unused;
	const float smoothings[] = {0, 0.05f, 0.3f};
	base_random random = base_random_make(7, 1);
	double logits[COUNT * CLASSES];
	for (int i = 0; i < COUNT * CLASSES; i++)
		logits[i] = (double)base_random_range(&random, -2, 2);
	for (int s = 0; s < 3; s++)
		for (int w = 0; w < 8; w++) {
			const float *class_weights = w % 2 ? weights : NULL;
			const train_mix *mix = w & 2 ? &mixed : NULL;
			const train_taught *by = w & 4 ? &taught : NULL;
			float p[COUNT * CLASSES], gradient[COUNT * CLASSES];
			double loss;
			int correct;
			softmax(logits, p);
			train_cross_entropy(p, labels, COUNT, CLASSES, class_weights, smoothings[s], mix, by, &loss,
					    gradient, &correct);
			assert_true(fabs(loss - taught_reference(logits, mix, class_weights, (double)smoothings[s],
								 by)) < 1e-6);
			for (int i = 0; i < COUNT * CLASSES; i++) {
				const double keep = logits[i], step = 1e-5;
				logits[i] = keep + step;
				const double up =
					taught_reference(logits, mix, class_weights, (double)smoothings[s], by);
				logits[i] = keep - step;
				const double down =
					taught_reference(logits, mix, class_weights, (double)smoothings[s], by);
				logits[i] = keep;
				assert_true(fabs((up - down) / (2 * step) - (double)gradient[i]) < 1e-6);
			}
		}
}

static void test_clipping_and_counting(void **unused)
{
	(void)unused;
	const float p[] = {1, 0, 0, 1, 0.5f, 0.5f};
	const int y[] = {0, 0, 1};
	double loss;
	int correct;
	train_cross_entropy(p, y, 3, 2, NULL, 0, NULL, NULL, &loss, NULL, &correct);
	/* Of two equal probabilities the first counts as the answer. */
	assert_int_equal(correct, 1);
	assert_true(fabs(loss - (-log(1 - 1e-7) - log(1e-7) - log(0.5)) / 3) < 1e-6);
}

static void test_not_a_number_stays_one(void **unused)
{
	(void)unused;
	const float p[] = {NAN, NAN, 0.5f, 0.5f};
	const int y[] = {0, 1};
	double loss;
	train_cross_entropy(p, y, 2, 2, NULL, 0.1f, NULL, NULL, &loss, NULL, NULL);
	assert_true(isnan(loss));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_value_and_gradient),
		cmocka_unit_test(test_clipping_and_counting),
		cmocka_unit_test(test_not_a_number_stays_one),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
