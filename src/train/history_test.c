#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "train/state.h"

static void test_round_trip_and_damage(void **unused)
{
	(void)unused;
	char path[64];
	snprintf(path, sizeof path, "/tmp/brainmri-history-test-%ld", (long)getpid());
	train_history history = {.best_stage = 2, .best_epoch = 1, .seconds = 12.5, .early_stopped = {false, true}},
		      back;
	bm_error err;
	for (int i = 0; i < 40; i++) {
		const train_epoch epoch = {.stage = 1 + i / 30,
					   .epoch = 1 + i % 30,
					   .loss = 1.0 / 3 + i,
					   .accuracy = 0.1 * i,
					   .val_loss = 0.7,
					   .val_accuracy = 0.5,
					   .learning_rate = 1e-5,
					   .seconds = 3,
					   .ms_per_step = 4,
					   .images_per_second = 5};
		assert_int_equal(train_history_add(&history, &epoch, &err), BM_OK);
	}
	assert_int_equal(train_history_write(&history, path, &err), BM_OK);
	assert_int_equal(train_history_read(path, &back, &err), BM_OK);
	assert_int_equal(back.count, history.count);
	for (size_t i = 0; i < history.count; i++) {
		const train_epoch *a = &history.epochs[i], *b = &back.epochs[i];
		assert_true(a->stage == b->stage && a->epoch == b->epoch && a->loss == b->loss &&
			    a->accuracy == b->accuracy);
		assert_true(a->val_loss == b->val_loss && a->val_accuracy == b->val_accuracy &&
			    a->learning_rate == b->learning_rate);
		assert_true(a->seconds == b->seconds && a->ms_per_step == b->ms_per_step &&
			    a->images_per_second == b->images_per_second);
	}
	assert_true(back.best_stage == 2 && back.best_epoch == 1 && back.seconds == 12.5);
	assert_true(!back.early_stopped[0] && back.early_stopped[1]);
	train_history_free(&back);

	/* A figure that is not finite has no JSON: said, and the file stays as it was. */
	history.epochs[3].loss = NAN;
	assert_int_not_equal(train_history_write(&history, path, &err), BM_OK);
	assert_int_equal(train_history_read(path, &back, &err), BM_OK);
	train_history_free(&back);
	train_history_free(&history);

	assert_int_equal(base_file_write(path, "{\"loss\": [1]}", 13, &err), BM_OK);
	assert_int_equal(train_history_read(path, &back, &err), BM_ERR_FORMAT);
	assert_int_equal(base_file_write(path, "none", 4, &err), BM_OK);
	assert_int_equal(train_history_read(path, &back, &err), BM_ERR_FORMAT);
	unlink(path);
	assert_int_equal(train_history_read(path, &back, &err), BM_ERR_NOT_FOUND);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip_and_damage),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
