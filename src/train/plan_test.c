#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"
#include "train/train.h"

static void round_trip(const train_plan *plan)
{
	char *json = NULL, *again = NULL;
	train_plan back;
	bm_error err;
	assert_int_equal(train_plan_to_json(plan, &json, &err), BM_OK);
	assert_int_equal(train_plan_from_json(json, &back, &err), BM_OK);
	assert_int_equal(train_plan_to_json(&back, &again, &err), BM_OK);
	assert_string_equal(json, again);
	assert_string_equal(back.name, plan->name);
	assert_int_equal(back.count, plan->count);
	for (int i = 0; i < plan->count; i++) {
		const train_stage *a = &plan->stages[i], *b = &back.stages[i];
		assert_string_equal(a->title, b->title);
		assert_int_equal(a->epochs, b->epochs);
		assert_int_equal(a->part, b->part);
		assert_int_equal(a->schedule, b->schedule);
		assert_int_equal(a->augmentation.flip, b->augmentation.flip);
		assert_true(a->learning_rate == b->learning_rate && a->augmentation.shift == b->augmentation.shift);
		assert_true(a->keep_best == b->keep_best && a->ema_decay == b->ema_decay &&
			    a->clip_norm == b->clip_norm);
	}
	base_free(json);
	base_free(again);
}

static void test_two_stage(void **unused)
{
	(void)unused;
	train_plan plan;
	train_plan_two_stage(&plan, 224);
	assert_int_equal(plan.count, 2);
	assert_int_equal(plan.stages[0].epochs, 5);
	assert_int_equal(plan.stages[1].epochs, 10);
	assert_int_equal(plan.stages[0].part, MODEL_HEAD_ONLY);
	assert_int_equal(plan.stages[1].last_layers, 30);
	assert_string_equal(plan.stages[1].title, "Fine-tuning last 30 layers");
	assert_true(plan.stages[1].learning_rate == 1e-5f);
	assert_int_equal(plan.stages[1].batch, 16);
	assert_int_equal(train_plan_check(&plan, NULL), BM_OK);
	round_trip(&plan);
}

static void test_scratch_sizes(void **unused)
{
	(void)unused;
	static const struct {
		int size, count, sizes[3];
	} cases[] = {{160, 3, {96, 128, 160}}, {128, 3, {64, 96, 128}}, {224, 3, {128, 160, 224}}, {96, 2, {64, 96}},
		     {64, 2, {32, 64}},	       {32, 1, {32}},		{100, 2, {64, 100}}};
	for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
		train_plan plan;
		train_plan_scratch(&plan, cases[c].size);
		int epochs = 0;
		assert_int_equal(plan.count, cases[c].count);
		for (int i = 0; i < plan.count; i++) {
			assert_int_equal(plan.stages[i].image_size, cases[c].sizes[i]);
			assert_int_equal(plan.stages[i].number, i + 1);
			assert_int_equal(plan.stages[i].keep_best, i == plan.count - 1);
			epochs += plan.stages[i].epochs;
		}
		assert_int_equal(epochs, 32);
		assert_ptr_equal(train_plan_stage(&plan, plan.count), &plan.stages[plan.count - 1]);
		assert_null(train_plan_stage(&plan, 0));
		assert_int_equal(train_plan_check(&plan, NULL), BM_OK);
		train_plan_compact(&plan, cases[c].size);
		assert_false(plan.stages[plan.count - 1].keep_best);
		round_trip(&plan);
	}
}

/* As little of a stage as is allowed. */
#define STAGE "\"epochs\":3,\"part\":\"all\",\"image_size\":64,\"learning_rate\":0.001"

static void test_bad_plans_are_named(void **unused)
{
	(void)unused;
	train_plan plan;
	bm_error err;
	train_plan_two_stage(&plan, 224);
	plan.stages[1].learning_rate = NAN;
	assert_int_equal(train_plan_check(&plan, &err), BM_ERR_USAGE);
	assert_non_null(strstr(err.message, "learning_rate"));
	train_plan_two_stage(&plan, 224);
	plan.stages[1].number = 1;
	assert_int_equal(train_plan_check(&plan, &err), BM_ERR_USAGE);
	train_plan_two_stage(&plan, 224);
	plan.count = 0;
	assert_int_equal(train_plan_check(&plan, &err), BM_ERR_USAGE);

	static const char *const texts[] = {
		"",
		"[]",
		"{\"name\": 3}",
		"{\"name\":\"x\",\"class_weights\":true,\"mirror\":true,\"time_budget\":0,\"stages\":[{}]}",
		"{\"name\":\"x\",\"class_weights\":true,\"mirror\":true,\"time_budget\":0,\"stages\":[{\"title\":\"t\","
		"\"number\":\"one\"}]}",
		"{\"name\":\"x\",\"class_weights\":true,\"mirror\":true,\"time_budget\":0,\"stages\":[1,2,3,4,5,6,7,8,"
		"9]}",
		"{\"name\":\"x\",\"stages\":[3]}",
		"{\"name\":\"x\",\"mirror\":1,\"stages\":[{" STAGE "}]}",
		"{\"name\":\"x\",\"stages\":[{" STAGE ", \"title\":5}]}",
	};
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		assert_int_equal(train_plan_from_json(texts[i], &plan, &err), BM_ERR_FORMAT);
	assert_int_equal(
		train_plan_from_json(
			"{\"name\":\"x\",\"class_weights\":true,\"mirror\":true,\"time_budget\":0,\"stages\":[]}",
			&plan, &err),
		BM_ERR_USAGE);
	static const char *const budgets[] = {"time_budget", "fitted_budget"};
	for (size_t i = 0; i < 2; i++) {
		char text[400];
		snprintf(text, sizeof text, "{\"name\":\"x\",\"%s\":-1,\"stages\":[{" STAGE "}]}", budgets[i]);
		assert_int_equal(train_plan_from_json(text, &plan, &err), BM_ERR_USAGE);
		assert_non_null(strstr(err.message, i ? "the fitted time budget is -1 s" : "the time budget is -1 s"));
	}
}

static void test_what_the_training_cannot_do_is_refused(void **unused)
{
	(void)unused;
	train_plan plan;
	bm_error err;
	train_plan_compact(&plan, 160);
	plan.stages[0].image_size = 1025; /* the loader makes no larger images */
	assert_int_equal(train_plan_check(&plan, &err), BM_ERR_USAGE);
	assert_non_null(strstr(err.message, "image_size"));
	plan.stages[0].image_size = 1024;
	plan.stages[0].mixup = 4;
	assert_int_equal(train_plan_check(&plan, &err), BM_OK);
	plan.stages[0].mixup = 4.5f;
	assert_int_equal(train_plan_check(&plan, &err), BM_ERR_USAGE);
	assert_non_null(strstr(err.message, "mixup"));
}

static void test_long_names_are_refused_whole(void **unused)
{
	(void)unused;
	train_plan plan;
	bm_error err;
	char letters[100] = "", text[400], *json;
	for (int i = 0; i < 48; i++)
		strcat(letters, "ш"); /* two bytes */
	snprintf(text, sizeof text, "{\"name\":\"x\", \"stages\":[{" STAGE ", \"title\":\"%s\"}]}", letters);
	assert_int_equal(train_plan_from_json(text, &plan, &err), BM_ERR_FORMAT);
	assert_non_null(strstr(err.message, "'title' of stage 1"));
	assert_non_null(strstr(err.message, "95"));
	letters[94] = '\0';
	snprintf(text, sizeof text, "{\"name\":\"x\", \"stages\":[{" STAGE ", \"title\":\"%s\"}]}", letters);
	assert_int_equal(train_plan_from_json(text, &plan, &err), BM_OK);
	assert_string_equal(plan.stages[0].title, letters);
	assert_int_equal(train_plan_to_json(&plan, &json, &err), BM_OK);
	base_free(json);
	letters[32] = '\0';
	snprintf(text, sizeof text, "{\"name\":\"%s\", \"stages\":[{" STAGE "}]}", letters);
	assert_int_equal(train_plan_from_json(text, &plan, &err), BM_ERR_FORMAT);
	assert_non_null(strstr(err.message, "'name'"));
	assert_non_null(strstr(err.message, "31"));
}

/* A file from before fields were added. */
static void test_missing_fields_have_defaults(void **unused)
{
	(void)unused;
	train_plan plan;
	bm_error err;
	assert_int_equal(train_plan_from_json("{\"name\":\"old\", \"stages\":[{" STAGE "}, {" STAGE ", \"batch\": 8, "
					      "\"keep_best\": false, \"schedule\": \"one-cycle\"}]}",
					      &plan, &err),
			 BM_OK);
	assert_int_equal(plan.count, 2);
	assert_true(plan.class_weights && !plan.mirror && plan.time_budget == 0);
	const train_stage *a = &plan.stages[0], *b = &plan.stages[1];
	assert_string_equal(a->title, "Stage 1");
	assert_int_equal(a->number, 1);
	assert_int_equal(b->number, 2);
	assert_int_equal(a->epochs, 3);
	assert_int_equal(a->batch, 16);
	assert_int_equal(b->batch, 8);
	assert_true(a->keep_best && !b->keep_best && a->ema_decay == 0 && a->bn_momentum == 0);
	assert_true(a->schedule == TRAIN_CONSTANT && b->schedule == TRAIN_ONE_CYCLE);
	assert_false(a->augmentation.flip);
}

static void test_unknown_fields_are_named(void **unused)
{
	(void)unused;
	train_plan plan;
	bm_error err;
	assert_int_equal(train_plan_from_json("{\"name\":\"x\", \"stages\":[{" STAGE ", \"epoch\": 3}]}", &plan, &err),
			 BM_ERR_FORMAT);
	assert_non_null(strstr(err.message, "'epoch' of stage 1"));
	assert_int_equal(
		train_plan_from_json("{\"name\":\"x\", \"miror\": true, \"stages\":[{" STAGE "}]}", &plan, &err),
		BM_ERR_FORMAT);
	assert_non_null(strstr(err.message, "miror"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_two_stage),
		cmocka_unit_test(test_scratch_sizes),
		cmocka_unit_test(test_bad_plans_are_named),
		cmocka_unit_test(test_what_the_training_cannot_do_is_refused),
		cmocka_unit_test(test_long_names_are_refused_whole),
		cmocka_unit_test(test_missing_fields_have_defaults),
		cmocka_unit_test(test_unknown_fields_are_named),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
