#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "train/budget.h"

/* Epochs of 20, 40 and 70 s. */
static const train_cost costs[3] = {
	{.step = 0.18, .steps = 100, .validation = 2, .once = 5},
	{.step = 0.36, .steps = 100, .validation = 4, .once = 5},
	{.step = 0.60, .steps = 100, .validation = 10, .once = 5},
};
static const int wanted[3] = {10, 8, 6}, least[3] = {1, 1, 3};

static void test_fits_and_keeps_ratios(void **unused)
{
	(void)unused;
	for (int budget = 300; budget < 8000; budget += 37) {
		const double seconds = budget;
		int epochs[3];
		assert_true(train_budget_fit(costs, wanted, least, 3, seconds, 5, epochs));
		const double total = train_budget_total(costs, epochs, 3);
		assert_true(total <= seconds);
		for (int i = 0; i < 3; i++)
			assert_in_range(epochs[i], least[i], wanted[i] * 5);
		if (seconds < 4000) {
			/* Nothing large is left over: not even the dearest epoch would fit, or the cheapest one twice. */
			assert_true(seconds - total < 80);
		}
		if (seconds > 700) {
			const double share = (double)epochs[2] / wanted[2];
			assert_true(epochs[0] >= (int)(wanted[0] * (share - 0.35)) &&
				    epochs[0] <= (int)(wanted[0] * (share + 0.35)));
		}
	}
}

static void test_growth_is_bounded(void **unused)
{
	(void)unused;
	int epochs[3];
	assert_true(train_budget_fit(costs, wanted, least, 3, 1e6, 1, epochs));
	assert_int_equal(epochs[0], 10);
	assert_int_equal(epochs[1], 8);
	assert_int_equal(epochs[2], 6);
	assert_true(train_budget_fit(costs, wanted, least, 3, 1e6, 5, epochs));
	assert_int_equal(epochs[2], 30);
}

static void test_time_gained_goes_to_later_stages(void **unused)
{
	(void)unused;
	int plan[3] = {10, 8, 6}, epochs[3];
	/* Twice as fast as was measured, noticed after each epoch of the first stage. */
	train_cost fast[3];
	double left = train_budget_total(costs, plan, 3);
	for (int i = 0; i < 3; i++)
		fast[i] = (train_cost){.step = costs[i].step / 2, .steps = costs[i].steps};
	for (int epoch = 0; plan[0] > 0; epoch++) {
		train_budget_grow(fast, plan, 3, left, epochs);
		assert_int_equal(epochs[0], 10 - epoch);
		assert_true(epochs[1] >= plan[1] && epochs[2] >= plan[2]);
		assert_true(train_budget_total(fast, epochs, 3) <= left);
		memcpy(plan, epochs, sizeof plan);
		left -= train_cost_epoch(&fast[0]);
		plan[0]--;
	}
	assert_true(plan[1] > 16 && plan[2] >= 12);
	/* The last stage grows itself. */
	train_budget_grow(&costs[2], &wanted[2], 1, 1000, epochs);
	assert_in_range(epochs[0], 12, 14);
	/* Nothing to be gained: nothing changes. */
	train_budget_grow(costs, wanted, 3, 10, epochs);
	assert_memory_equal(epochs, wanted, sizeof wanted);
}

static void test_too_small(void **unused)
{
	(void)unused;
	int epochs[3];
	assert_false(train_budget_fit(costs, wanted, least, 3, 200, 1, epochs));
	assert_memory_equal(epochs, least, sizeof least);
}

static void test_least_epochs(void **unused)
{
	(void)unused;
	train_plan plan;
	int values[TRAIN_STAGES_MAX];
	train_plan_scratch(&plan, 160);
	train_budget_least(&plan, 0, true, values);
	assert_int_equal(values[0], 1);
	assert_int_equal(values[2], 3);
	train_budget_least(&plan, 2, true, values);
	assert_int_equal(values[0], 3);
	train_budget_least(&plan, 0, false, values);
	assert_int_equal(values[2], 1);
	plan.stages[2].epochs = 2;
	train_budget_least(&plan, 0, true, values);
	assert_int_equal(values[2], 2);
}

static void test_a_stage_without_epochs_costs_nothing(void **unused)
{
	(void)unused;
	const int none[3] = {0, 0, 1};
	assert_true(train_budget_total(costs, none, 3) == 75);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fits_and_keeps_ratios),
		cmocka_unit_test(test_growth_is_bounded),
		cmocka_unit_test(test_time_gained_goes_to_later_stages),
		cmocka_unit_test(test_too_small),
		cmocka_unit_test(test_least_epochs),
		cmocka_unit_test(test_a_stage_without_epochs_costs_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
