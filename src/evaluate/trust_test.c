#include "evaluate/trust.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"

static evaluate_trust example(void)
{
	evaluate_trust t = {
		.temperature = 1.25, .threshold = 0.71, .mirror = true, .image_size = 160, .have_unlike = true};
	evaluate_gaussian *all[2] = {&t.unlike.image, &t.unlike.network};
	t.unlike.features = 256;
	for (int g = 0; g < 2; g++) {
		all[g]->size = g == 0 ? EVALUATE_STATISTICS : 20;
		all[g]->means = g == 0 ? 1 : 4;
		all[g]->threshold = 3.5 + g;
		for (int c = 0; c < all[g]->means; c++)
			for (int k = 0; k < all[g]->size; k++)
				all[g]->mean[c][k] = c + k / 8.0;
		for (int a = 0; a < all[g]->size; a++)
			for (int b = 0; b <= a; b++)
				all[g]->root[a][b] = a == b ? 1 : 0.125;
	}
	return t;
}

static void text_and_back(void **state)
{
	(void)state;
	evaluate_trust t = example(), back;
	bm_error err = {0};
	char *text = evaluate_trust_to_text(&t, &err);
	assert_non_null(text);
	assert_int_equal(evaluate_trust_from_text(text, &back, &err), BM_OK);
	assert_memory_equal(&t.unlike, &back.unlike, sizeof t.unlike);
	assert_true(back.temperature == 1.25 && back.threshold == 0.71 && back.mirror && back.image_size == 160);
	base_free(text);
	t.have_unlike = false;
	text = evaluate_trust_to_text(&t, &err);
	assert_int_equal(evaluate_trust_from_text(text, &back, &err), BM_OK);
	assert_false(back.have_unlike);
	base_free(text);
}

static void what_is_wrong_is_named(void **state)
{
	(void)state;
	static const struct {
		const char *text, *named;
	} wrong[] = {
		{"", "damaged"},
		{"{\"format\":1", "damaged"},
		{"{\"format\":2}", "format"},
		{"{\"format\":1,\"temperature\":0}", "temperature"},
		{"{\"format\":1,\"temperature\":1,\"abstain_threshold\":1.5}", "abstain_threshold"},
		{"{\"format\":1,\"temperature\":1,\"abstain_threshold\":0.5,\"mirror\":1}", "mirror"},
		{"{\"format\":1,\"temperature\":1,\"abstain_threshold\":0.5,\"mirror\":true,\"image_size\":9}",
		 "image_size"},
		{"{\"format\":1,\"temperature\":1,\"abstain_threshold\":0.5,\"mirror\":true,\"image_size\":96,"
		 "\"unlike\":{\"features\":9,\"image\":{\"threshold\":1,\"means\":[[1]],\"root\":[[1]]}}}",
		 "unlike"},
	};
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		evaluate_trust t;
		bm_error err = {0};
		assert_int_equal(evaluate_trust_from_text(wrong[i].text, &t, &err), BM_ERR_FORMAT);
		assert_non_null(strstr(err.message, wrong[i].named));
		assert_true(t.temperature == 1 && !t.have_unlike);
	}
}

static void reliability_and_back(void **state)
{
	(void)state;
	evaluate_reliability r = {.temperature = 0.8,
				  .threshold = 0.6,
				  .validation = 90,
				  .validation_answered = 80,
				  .validation_right = 79,
				  .answered = 70,
				  .right = 69,
				  .have_unlike = true,
				  .validation_refused = 1,
				  .refused = 2,
				  .intervals = {.resamples = 2000, .groups = 55}},
			     back;
	const char *missing;
	r.before.ece = 0.125;
	r.after.bins[3] = (evaluate_bin){7, 0.25, 0.5};
	r.curve[9] = (evaluate_coverage){0.1, 0.75, 0.875};
	r.intervals.accuracy = (evaluate_interval){0.5, 0.75};
	r.intervals.mean_auc = (evaluate_interval){NAN, NAN};
	json_t *json = evaluate_reliability_json(&r);
	assert_non_null(json);
	assert_true(evaluate_reliability_read(json, &back, &missing));
	assert_true(isnan(back.intervals.mean_auc.low) && isnan(back.intervals.mean_auc.high));
	r.intervals.mean_auc = back.intervals.mean_auc = (evaluate_interval){0, 0};
	assert_memory_equal(&r, &back, sizeof r);
	json_object_del(json, "test_refused");
	assert_false(evaluate_reliability_read(json, &back, &missing));
	assert_string_equal(missing, "test_refused");
	json_decref(json);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_and_back),
		cmocka_unit_test(what_is_wrong_is_named),
		cmocka_unit_test(reliability_and_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
