#include "train/test_fixture.h"

#include <math.h>

static const data_augmentation gentle = {.flip = true, .rotation = 10, .shift = 0.05f, .brightness = 0.05f};

static void scratch_plan(train_plan *plan, int epochs, float rate)
{
	train_plan_scratch(plan, FIXTURE_SIDE);
	assert_int_equal(plan->count, 1);
	plan->stages[0].epochs = epochs;
	plan->stages[0].learning_rate = rate;
	plan->stages[0].augmentation = gentle;
}

/* What a training needs; the caller makes model and plan, trial_end frees all of it. */
typedef struct trial {
	fixture_data data;
	model m;
	train_plan plan;
	train_history history;
} trial;

static void trial_begin(trial *t, size_t train, size_t validation)
{
	*t = (trial){0};
	fixture_data_make(&t->data, train, validation);
}

static bm_status trial_run(trial *t, const base_observer *observer, bm_error *err)
{
	const train_options options = {.run_folder = fixture_root, .seed = 11, .threads = 1};
	return train_run(&t->m, &t->data.pack, &t->data.split, &t->plan, &options, observer, &t->history, err);
}

static void trial_end(trial *t)
{
	train_history_free(&t->history);
	model_free(&t->m);
	fixture_data_free(&t->data);
}

/* How many of 100 validation images the trained model is right on, and was by the history. */
static int right_of_validation(trial *t)
{
	model_predictor *p = NULL;
	float probabilities[100 * IMAGE_PHANTOM_CLASSES];
	int right = 0;
	assert_ok(model_predictor_create(&t->m, 32, FIXTURE_SIDE, 2, &p, err));
	assert_ok(model_predict_pack(p, &t->data.pack, t->data.split.indices[DATA_VALIDATION], 100, t->plan.mirror,
				     NULL, probabilities, err));
	for (int i = 0; i < 100; i++) {
		int best = 0;
		for (int c = 1; c < IMAGE_PHANTOM_CLASSES; c++)
			if (probabilities[i * IMAGE_PHANTOM_CLASSES + c] >
			    probabilities[i * IMAGE_PHANTOM_CLASSES + best])
				best = c;
		right += best == t->data.pack.labels[t->data.split.indices[DATA_VALIDATION][i]];
	}
	model_predictor_free(p);
	return right;
}

static int right_in_epoch(const trial *t, int epoch)
{
	return (int)(100 * t->history.epochs[epoch - 1].val_accuracy + 0.5);
}

static void test_learns_phantoms(void **unused)
{
	(void)unused;
	fixture_ear *ear = base_calloc(1, sizeof *ear, "test", NULL);
	const base_observer observer = fixture_observer(ear);
	trial t;
	trial_begin(&t, 120, 25);
	fixture_model(&t.m, true);
	scratch_plan(&t.plan, 14, 4e-3f);
	assert_ok(trial_run(&t, &observer, err));
	assert_int_equal(t.history.count, 14);
	const train_epoch *first = &t.history.epochs[0], *last = &t.history.epochs[13];
	print_message("loss %.3f -> %.3f, validation accuracy %.3f -> %.3f\n", first->loss, last->loss,
		      first->val_accuracy, last->val_accuracy);
	assert_true(last->loss < first->loss - 0.2);
	/* Chance is 0.25 with a deviation of 0.043 on 100 images. */
	assert_true(last->val_accuracy > 0.4);
	assert_true(last->learning_rate < 1e-4);

	/* The lines of the guide. */
	static const char *const lines[] = {
		"Training Configuration:\n├── Training samples: 480 (71%)\n├── Validation samples: 100 (15%)\n",
		"├── Batch size: 32\n├── Image size: 32 x 32\n└── Data augmentation: Enabled\n",
		"\nSTAGE 1: All layers at 32 x 32\n═",
		"\nEpochs: 14\nTrainable parameters: ",
		"\nEpoch 1/14\n15/15 [==============================] - ",
		" - val_accuracy: ",
		"✓ Stage 1 complete! Best val_accuracy: ",
		"✓ Model saved: best_model_stage1.keras\n",
		"\nTRAINING SUMMARY\n",
		"\nBest model saved at epoch: "};
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
		if (!strstr(ear->text, lines[i]))
			fail_msg("not printed: %s\nbut: %s", lines[i], ear->text);

	/* The model came out with the best epoch's weights: it predicts what the history says. */
	assert_int_equal(right_of_validation(&t), right_in_epoch(&t, t.history.best_epoch));
	trial_end(&t);
	base_free(ear);
}

/* A stage that keeps its last epoch has that one's weights at the end, in its file, and in the history, however good another was. */
static void test_keeps_the_last_epoch(void **unused)
{
	(void)unused;
	trial t;
	trial_begin(&t, 60, 25);
	fixture_model(&t.m, true);
	scratch_plan(&t.plan, 6, 4e-3f);
	t.plan.stages[0].schedule = TRAIN_CONSTANT;
	t.plan.stages[0].keep_best = false;
	assert_ok(trial_run(&t, NULL, err));
	int best = 0;
	for (int i = 1; i <= 6; i++)
		best = right_in_epoch(&t, i) > best ? right_in_epoch(&t, i) : best;
	print_message("right in the best epoch %d, in the last %d\n", best, right_in_epoch(&t, 6));
	assert_int_equal(t.history.best_stage, 1);
	assert_int_equal(t.history.best_epoch, 6);
	assert_int_equal(right_of_validation(&t), right_in_epoch(&t, 6));
	trial_end(&t);
}

/* Steps by the gradient above the weights (sam.h) are others, and lead down too. */
static void test_sharpness_aware_steps(void **unused)
{
	(void)unused;
	float gained[2];
	double ended[2];
	for (int k = 0; k < 2; k++) {
		trial t;
		trial_begin(&t, 40, 10);
		fixture_model(&t.m, true);
		scratch_plan(&t.plan, 6, 4e-3f);
		t.plan.stages[0].sam_rho = k ? 0.05f : 0;
		assert_ok(trial_run(&t, NULL, err));
		gained[k] = (float)(t.history.epochs[0].loss - t.history.epochs[5].loss);
		ended[k] = t.history.epochs[5].loss;
		trial_end(&t);
	}
	print_message("loss fell by %.3f without, by %.3f with\n", (double)gained[0], (double)gained[1]);
	assert_true(gained[1] > 0.05f);
	assert_true(ended[0] != ended[1]);
}

/* A stage of few steps is not judged by moving statistics from before it. */
static void test_forgets_earlier_statistics(void **unused)
{
	(void)unused;
	double loss[2];
	for (int k = 0; k < 2; k++) {
		trial t;
		trial_begin(&t, 20, 5);
		fixture_model(&t.m, true);
		for (int i = 0; i < t.m.weights.count; i++) {
			const nn_weight *weight = &t.m.weights.items[i];
			for (size_t c = 0; k && weight->role == NN_MOVING_VARIANCE && c < weight->count; c++)
				weight->values[c] *= 1000;
		}
		scratch_plan(&t.plan, 1, 1e-3f);
		assert_true(t.plan.stages[0].bn_momentum > 0);
		assert_ok(trial_run(&t, NULL, err));
		loss[k] = t.history.epochs[0].val_loss;
		trial_end(&t);
	}
	assert_true(loss[0] == loss[1]);
}

static void test_not_finite_stops_at_once(void **unused)
{
	(void)unused;
	bm_error err;
	char path[128];
	trial t;
	trial_begin(&t, 20, 5);
	fixture_model(&t.m, true);
	scratch_plan(&t.plan, 3, 1e-3f);
	/* An infinite rate turns every weight into an infinity or a NaN with the first step. */
	t.plan.stages[0].learning_rate = 1000;
	t.plan.stages[0].weight_decay = 100;
	t.plan.stages[0].schedule = TRAIN_CONSTANT;
	t.plan.stages[0].epochs = 60;
	assert_int_equal(trial_run(&t, NULL, &err), BM_ERR_NUMERIC);
	assert_non_null(strstr(err.message, "lower learning rate, for instance 100.0"));
	assert_non_null(strstr(err.message, "stage 1, epoch "));
	snprintf(path, sizeof path, "%s/checkpoint/state.bin", fixture_root);
	assert_true(base_is_file(path));
	trial_end(&t);
}

static void test_memory_is_checked_before(void **unused)
{
	(void)unused;
	model m;
	train_plan plan;
	const train_options options = {0};
	bm_error failure;
	uint64_t bytes[2];
	fixture_model(&m, true);
	scratch_plan(&plan, 1, 1e-3f);
	train_stage small = plan.stages[0];
	small.batch = 8;
	assert_ok(train_memory_needed(&m, &plan.stages[0], &options, 480, &bytes[0], err));
	assert_ok(train_memory_needed(&m, &small, &options, 480, &bytes[1], err));
	assert_true(bytes[1] < bytes[0]);
	assert_ok(train_memory_check(&m, &plan, &options, 0, 480, bytes[0], err));
	assert_int_equal(train_memory_check(&m, &plan, &options, 0, 480, bytes[1], &failure), BM_ERR_MEMORY);
	assert_non_null(strstr(failure.message, "a batch of 8 fits: use --batch 8"));
	assert_int_equal(train_memory_check(&m, &plan, &options, 0, 480, 1000, &failure), BM_ERR_MEMORY);
	assert_non_null(strstr(failure.message, "not even a batch of 1"));
	model_free(&m);
}

static void test_early_stop_and_plateau(void **unused)
{
	(void)unused;
	fixture_ear *ear = base_calloc(1, sizeof *ear, "test", NULL);
	const base_observer observer = fixture_observer(ear);
	trial t;
	trial_begin(&t, 8, 2);
	/* Without batch norm: its moving statistics would change the predictions at any rate. */
	fixture_model_headed(&t.m, false, MODEL_HEAD_LINEAR);
	train_plan_two_stage(&t.plan, FIXTURE_SIDE);
	t.plan.count = 1;
	/* A rate this small changes no prediction: the first epoch stays the best. */
	t.plan.stages[0].learning_rate = 1e-9f;
	t.plan.stages[0].epochs = 30;
	t.plan.stages[0].patience = 4;
	t.plan.stages[0].plateau_patience = 2;
	assert_ok(trial_run(&t, &observer, err));
	assert_true(t.history.early_stopped[0]);
	assert_true(t.history.count < 30);
	const train_epoch *last = &t.history.epochs[t.history.count - 1];
	assert_true(last->learning_rate < 0.6e-9);
	assert_non_null(strstr(ear->text, "Stage 1 ends early"));
	assert_non_null(strstr(ear->text, "No better validation loss for 2 epochs"));
	trial_end(&t);
	base_free(ear);
}

static void test_time_budget(void **unused)
{
	(void)unused;
	trial t;
	trial_begin(&t, 60, 10);
	fixture_model(&t.m, true);
	scratch_plan(&t.plan, 400, 1e-3f);
	t.plan.time_budget = 3;
	assert_ok(trial_run(&t, NULL, err));
	assert_true(t.plan.time_budget == 0 && t.plan.fitted_budget == 3);
	print_message("%zu epochs in %.2f s of 3 s\n", t.history.count, t.history.seconds);
	assert_int_equal((int)t.history.count, t.plan.stages[0].epochs);
	assert_true(t.history.count >= 1 && t.history.count < 400);
	/* Other programs may take the processor away in the very last epoch. */
	assert_true(t.history.seconds < 6);
	assert_true(t.history.epochs[t.history.count - 1].learning_rate < 0.1e-3);
	trial_end(&t);
}

static void test_wrong_data(void **unused)
{
	(void)unused;
	bm_error err;
	trial t;
	trial_begin(&t, 2, 1);
	fixture_model(&t.m, true);
	scratch_plan(&t.plan, 1, 1e-3f);
	t.data.split.count[DATA_VALIDATION] = 0;
	assert_int_equal(trial_run(&t, NULL, &err), BM_ERR_DATA);
	t.data.split.count[DATA_VALIDATION] = 4;
	t.data.split.indices[DATA_TRAIN][1] = 5000;
	assert_int_equal(trial_run(&t, NULL, &err), BM_ERR_DATA);
	t.data.split.indices[DATA_TRAIN][1] = 1;
	t.data.pack.class_count = 3;
	assert_int_equal(trial_run(&t, NULL, &err), BM_ERR_USAGE);
	trial_end(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_learns_phantoms, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_keeps_the_last_epoch, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_sharpness_aware_steps, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_forgets_earlier_statistics, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_not_finite_stops_at_once, fixture_setup, fixture_teardown),
		cmocka_unit_test(test_memory_is_checked_before),
		cmocka_unit_test_setup_teardown(test_early_stop_and_plateau, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_time_budget, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_wrong_data, fixture_setup, fixture_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
