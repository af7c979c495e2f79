#include "evaluate/bootstrap.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "evaluate/metrics.h"

enum { N = 600, K = 3 };

static float p[N * K];
static int labels[N];
static size_t groups[N];

/* Three of four right, in groups of `size` images that are right or wrong together. */
static void make(size_t size)
{
	base_random r = base_random_make(11, size);
	for (size_t i = 0; i < N; i++) {
		static bool right;
		if (i % size == 0)
			right = base_random_uniform(&r) < 0.75f;
		labels[i] = (int)(i / size % K);
		groups[i] = 1000 + i / size * 7;
		int said = right ? labels[i] : (labels[i] + 1) % K;
		float most = 0.5f + 0.4f * base_random_uniform(&r);
		for (int k = 0; k < K; k++)
			p[i * K + (size_t)k] = k == said ? most : (1 - most) / (K - 1);
	}
}

static void the_width_is_that_of_the_groups(void **state)
{
	(void)state;
	evaluate_intervals single, grouped;
	evaluate_metrics m;
	bm_error err;
	make(1);
	assert_int_equal(evaluate_bootstrap(p, p, labels, groups, N, K, 2000, 5, 2, &single, &err), BM_OK);
	assert_int_equal(evaluate_compute(p, labels, N, K, &m, &err), BM_OK);
	assert_int_equal(single.groups, N);
	/* The normal approximation of a share: 1.96 sqrt(a (1 - a) / n). */
	double half = 1.96 * sqrt(m.accuracy * (1 - m.accuracy) / N);
	assert_true(fabs((single.accuracy.high - single.accuracy.low) / 2 - half) < 0.004);
	assert_true(single.accuracy.low < m.accuracy && m.accuracy < single.accuracy.high);
	assert_true(single.macro_f1.low < m.macro_f1 && m.macro_f1 < single.macro_f1.high);
	assert_true(single.mean_auc.low < m.mean_auc && m.mean_auc < single.mean_auc.high);
	assert_true(single.ece.low >= 0 && single.ece.low < single.ece.high);
	evaluate_metrics_free(&m);

	/* Ten copies of each: as much evidence as a tenth of the images. */
	make(10);
	assert_int_equal(evaluate_bootstrap(p, p, labels, groups, N, K, 2000, 5, 2, &grouped, &err), BM_OK);
	assert_int_equal(grouped.groups, N / 10);
	double wider = (grouped.accuracy.high - grouped.accuracy.low) / (single.accuracy.high - single.accuracy.low);
	assert_true(wider > 2.3 && wider < 4.2); /* sqrt(10), but for the other accuracy */
}

static void threads_do_not_matter_and_seeds_do(void **state)
{
	(void)state;
	evaluate_intervals a, b, c;
	make(2);
	assert_int_equal(evaluate_bootstrap(p, p, labels, groups, N, K, 200, 5, 1, &a, NULL), BM_OK);
	assert_int_equal(evaluate_bootstrap(p, p, labels, groups, N, K, 200, 5, 3, &b, NULL), BM_OK);
	assert_int_equal(evaluate_bootstrap(p, p, labels, groups, N, K, 200, 6, 3, &c, NULL), BM_OK);
	assert_memory_equal(&a, &b, sizeof a);
	assert_true(a.accuracy.low < c.accuracy.low || a.accuracy.low > c.accuracy.low || a.ece.low < c.ece.low ||
		    a.ece.low > c.ece.low);
}

/* One image of each class in groups of their own: the extremes of the resamples, an AUC that some of them do not have. */
static void small_sets_are_survived(void **state)
{
	(void)state;
	static const float two[] = {.9f, .1f, .2f, .8f};
	static const int truth[] = {0, 1};
	static const size_t own[] = {4, 9};
	evaluate_intervals i;
	bm_error err;
	assert_int_equal(evaluate_bootstrap(two, two, truth, own, 2, 2, 200, 1, 1, &i, &err), BM_OK);
	assert_true(i.accuracy.low == 1 && i.accuracy.high == 1);
	assert_true(i.mean_auc.low == 1 && i.mean_auc.high == 1);
	assert_int_equal(evaluate_bootstrap(two, two, truth, own, 1, 2, 200, 1, 1, &i, &err), BM_OK);
	assert_true(isnan(i.mean_auc.low));
	assert_int_equal(evaluate_bootstrap(two, two, truth, own, 0, 2, 200, 1, 1, &i, &err), BM_ERR_DATA);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_width_is_that_of_the_groups),
		cmocka_unit_test(threads_do_not_matter_and_seeds_do),
		cmocka_unit_test(small_sets_are_survived),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
