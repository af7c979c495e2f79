#include "phases/search.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void rungs_halve_to_one(void **state)
{
	(void)state;
	assert_int_equal(phase_search_rungs(27), 3);
	assert_int_equal(phase_search_width(27, 0), 27);
	assert_int_equal(phase_search_width(27, 1), 9);
	assert_int_equal(phase_search_width(27, 2), 3);
	assert_int_equal(phase_search_width(27, 3), 1);
	assert_int_equal(phase_search_rungs(2), 1);
	assert_int_equal(phase_search_rungs(4), 2);
	for (int n = 2; n <= PHASE_TRIALS_MAX; n++)
		assert_int_equal(phase_search_width(n, phase_search_rungs(n)), 1);
}

static void trials_repeat_and_differ(void **state)
{
	(void)state;
	run_config base;
	run_config_init(&base);
	int heads[3] = {0}, low = 0, high = 0;
	for (int i = 0; i < 200; i++) {
		phase_trial a = phase_trial_draw(7, i, &base), b = phase_trial_draw(7, i, &base);
		assert_true(a.rate_factor == b.rate_factor && a.head == b.head && a.dropout == b.dropout);
		assert_true(a.rate_factor >= 0.0999 && a.rate_factor <= 3.001);
		assert_true(a.dropout < 0.9 && a.augmentation <= 1.5);
		assert_true(a.head != MODEL_HEAD_LINEAR || i == 0 || a.dropout < 0);
		heads[a.head]++;
		low += a.rate_factor < 0.3;
		high += a.rate_factor > 1;
	}
	assert_true(heads[0] > 30 && heads[1] > 30 && heads[2] > 30);
	assert_true(low > 30 && high > 30);
	/* The first is the plan as it is. */
	phase_trial first = phase_trial_draw(7, 0, &base);
	assert_true(first.rate_factor == 1 && first.batch_factor == 1 && first.augmentation == 1);
	assert_true(first.head == base.head && first.dropout == base.dropout);
	assert_true(phase_trial_draw(8, 3, &base).rate_factor != phase_trial_draw(7, 3, &base).rate_factor);
	run_config_free(&base);
}

static void a_share_of_the_plan(void **state)
{
	(void)state;
	run_config base, out;
	bm_error err;
	run_config_init(&base);
	assert_int_equal(run_config_plan(&base, "compact", true, &err), BM_OK);
	phase_trial t = {.rate_factor = 0.5,
			 .batch_factor = 0.5,
			 .augmentation = 1.5,
			 .head = MODEL_HEAD_DENSE512,
			 .dropout = 0.2};
	assert_int_equal(phase_trial_settings(&t, &base, 1.0 / 9, &out, &err), BM_OK);
	assert_int_equal(out.head, MODEL_HEAD_DENSE512);
	assert_true(out.dropout == 0.2);
	assert_true(fabs(out.plan.time_budget - base.plan.time_budget / 9) < 1e-9);
	for (int i = 0; i < out.plan.count; i++) {
		const train_stage *a = &base.plan.stages[i], *b = &out.plan.stages[i];
		assert_int_equal(b->batch, a->batch / 2);
		assert_int_equal(b->epochs, lround(a->epochs / 9.0));
		assert_true(fabsf(b->learning_rate - a->learning_rate / 2) < 1e-9f);
		assert_true(fabsf(b->augmentation.rotation - 1.5f * a->augmentation.rotation) < 1e-5f);
		assert_true(b->augmentation.flip);
	}
	assert_int_equal(train_plan_check(&out.plan, &err), BM_OK);
	run_config_free(&out);
	/* The whole plan is the plan. */
	t = phase_trial_draw(1, 0, &base);
	assert_int_equal(phase_trial_settings(&t, &base, 1, &out, &err), BM_OK);
	char names[128];
	assert_int_equal(run_config_difference(&base, &out, names, sizeof names, &err), BM_OK);
	assert_string_equal(names, "");
	run_config_free(&out);
	run_config_free(&base);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rungs_halve_to_one),
		cmocka_unit_test(trials_repeat_and_differ),
		cmocka_unit_test(a_share_of_the_plan),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
