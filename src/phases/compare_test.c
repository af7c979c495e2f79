#include "phases/compare.h"

#include <math.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void mcnemar_is_exact(void **state)
{
	(void)state;
	/* scipy.stats.binomtest(a, a + b).pvalue */
	static const struct {
		size_t a, b;
		double p;
	} known[] = {
		{0, 0, 1},	 {1, 0, 1}, {5, 5, 1}, {10, 0, 0.001953125}, {0, 10, 0.001953125}, {33, 17, 0.03283914},
		{8, 2, 0.109375}};
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		assert_true(fabs(phase_mcnemar(known[i].a, known[i].b) - known[i].p) < 1e-7);
	assert_true(phase_mcnemar(4000, 1000) < 1e-300 && phase_mcnemar(4000, 1000) >= 0);
}

static void the_number_of_runs_is_checked(void **state)
{
	(void)state;
	bm_error err;
	json_t *json;
	base_text text = {0};
	const char *const one[] = {"run"};
	assert_int_equal(phase_compare(one, 1, "/nowhere/x.html", &text, &json, &err), BM_ERR_USAGE);
	assert_null(json);
	base_text_free(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(mcnemar_is_exact),
					   cmocka_unit_test(the_number_of_runs_is_checked)};
	return cmocka_run_group_tests_name("phases/compare", tests, NULL, NULL);
}
