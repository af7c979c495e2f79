#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "train/mixup.h"

enum { COUNT = 5, PLANE = 3 };

static void mixed_as_the_loss_says(void **state)
{
	float in[COUNT * PLANE], out[COUNT * PLANE];
	const int labels[COUNT] = {0, 1, 2, 3, 0};
	int others[COUNT];
	const data_batch batch = {.count = COUNT, .images = in, .labels = labels};
	train_mix mix;
	(void)state;
	for (int i = 0; i < COUNT * PLANE; i++)
		in[i] = (float)(i * i);
	train_mixup(&batch, PLANE, 0.4f, 42, 7, out, others, &mix);
	assert_ptr_equal(mix.labels, others);
	assert_true(mix.share >= 0.5f && mix.share <= 1);
	for (int i = 0; i < COUNT; i++) {
		assert_int_equal(others[i], labels[COUNT - 1 - i]);
		for (int k = 0; k < PLANE; k++)
			assert_float_equal(out[i * PLANE + k],
					   mix.share * in[i * PLANE + k] +
						   (1 - mix.share) * in[(COUNT - 1 - i) * PLANE + k],
					   1e-4);
	}
	const float share = mix.share;
	train_mixup(&batch, PLANE, 0.4f, 42, 7, out, others, &mix);
	assert_true(mix.share == share);
	train_mixup(&batch, PLANE, 0.4f, 42, 8, out, others, &mix);
	assert_true(mix.share != share);
}

/* Of Beta(a, a), folded at one half, the second moment about it is 1 / (4 (2a + 1)). */
static void shares_have_the_moments_of_beta(void **state)
{
	static const float alphas[] = {0.1f, 0.2f, 1, 4};
	float in[PLANE] = {0}, out[PLANE];
	const int label = 0;
	int other;
	const data_batch batch = {.count = 1, .images = in, .labels = &label};
	(void)state;
	for (int a = 0; a < 4; a++) {
		enum { DRAWS = 20000 };
		double sum = 0;
		for (uint64_t step = 0; step < DRAWS; step++) {
			train_mix mix;
			train_mixup(&batch, PLANE, alphas[a], 1, step, out, &other, &mix);
			sum += ((double)mix.share - 0.5) * ((double)mix.share - 0.5);
		}
		const double expected = 1 / (4 * (2 * (double)alphas[a] + 1));
		assert_true(fabs(sum / DRAWS / expected - 1) < 0.04);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mixed_as_the_loss_says),
		cmocka_unit_test(shares_have_the_moments_of_beta),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
