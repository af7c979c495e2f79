#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "train/schedule.h"

static void test_shape(void **unused)
{
	(void)unused;
	assert_true(fabs(train_cycle_shape(0) - 0.04) < 1e-12);
	assert_true(fabs(train_cycle_shape(0.1) - 1) < 1e-12);
	assert_true(train_cycle_shape(1) < 1e-5 && train_cycle_shape(1) > 0);
	assert_true(fabs(train_cycle_shape(0.55) - 0.5) < 1e-3);
	for (int i = 0; i < 1000; i++) {
		const double p = i * 0.001;
		if (p < 0.099)
			assert_true(train_cycle_shape(p + 0.001) > train_cycle_shape(p));
		if (p > 0.1)
			assert_true(train_cycle_shape(p + 0.001) < train_cycle_shape(p));
	}
}

static void test_refit_is_continuous(void **unused)
{
	(void)unused;
	train_cycle cycle = {0};
	train_cycle_refit(&cycle, 0, 1000);
	assert_true(train_cycle_progress(&cycle, 250) == 0.25);
	const double before = train_cycle_progress(&cycle, 400);
	train_cycle_refit(&cycle, 400, 300);
	assert_true(train_cycle_progress(&cycle, 400) == before);
	assert_true(fabs(train_cycle_progress(&cycle, 550) - 0.7) < 1e-12);
	assert_true(train_cycle_progress(&cycle, 700) == 1);
	train_cycle_refit(&cycle, 700, 0);
	assert_true(train_cycle_progress(&cycle, 700) == 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shape),
		cmocka_unit_test(test_refit_is_continuous),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
