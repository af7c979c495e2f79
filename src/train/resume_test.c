#include "train/test_fixture.h"

#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "base/random.h"
#include "base/threads.h"

/* A training that is stopped or killed and resumed, as often as it takes, ends with the same bytes as one that ran through.
 * Every run is a process of its own, as in life (and OpenMP's threads do not survive a fork). */

/* Stages: head only, with early checkpoints; the last layers; then all layers in two sizes on one cycle with averaged weights. */
static void the_plan(train_plan *plan)
{
	train_plan scratch;
	train_plan_two_stage(plan, FIXTURE_SIDE);
	train_plan_scratch(&scratch, 64);
	for (int i = 0; i < 2; i++) {
		plan->stages[i].epochs = 2;
		plan->stages[i].learning_rate = 1e-3f;
		plan->stages[2 + i] = scratch.stages[i];
		plan->stages[2 + i].number = 3 + i;
		plan->stages[2 + i].epochs = 2;
		plan->stages[2 + i].ema_decay = 0.9f;
		plan->stages[2 + i].distillation = 0.5f;
	}
	plan->stages[2].batch = 16;
	plan->stages[2].sam_rho = 0.05f;
	plan->count = 4;
	assert_int_equal(plan->stages[2].image_size, 32);
	assert_int_equal(plan->stages[3].image_size, 64);
	plan->mirror = true;
}

static fixture_data data;

/* Kills the process at the n-th report of progress, or cancels behind the last step of the n-th epoch, in its validation. */
typedef struct stop {
	long reports, kill_at;
	int epochs, cancel_epoch;
	atomic_bool cancel;
} stop;

static void on_progress(void *self, const base_progress *progress)
{
	stop *s = self;
	if (++s->reports == s->kill_at)
		kill(getpid(), SIGKILL);
	if (progress->done == progress->total && strncmp(progress->what, "Epoch", 5) == 0 &&
	    ++s->epochs == s->cancel_epoch)
		atomic_store(&s->cancel, true);
}

/* What a child does: exit code 0 done, 3 cancelled, 1 failed. */
static int run(const char *folder, bool resume, long kill_at, int cancel_epoch)
{
	model m, teacher;
	train_plan plan;
	train_history history;
	bm_error err = {0};
	stop s = {.kill_at = kill_at, .cancel_epoch = cancel_epoch};
	const base_observer observer = {.self = &s, .progress = on_progress, .cancel = &s.cancel};
	const train_options options = {
		.run_folder = folder,
		.seed = 21,
		.threads = 1,
		.resume = resume,
		.teachers = (const model *const[]){&teacher},
		.teacher_count = 1,
		.checkpoint_steps = 2,
	};
	fixture_model(&teacher, true);
	fixture_model(&m, false);
	the_plan(&plan);
	if (cancel_epoch == 0) /* at once */
		atomic_store(&s.cancel, true);
	const bm_status status = train_run(&m, &data.pack, &data.split, &plan, &options, &observer, &history, &err);
	if (status == BM_OK) {
		/* The model in memory is part of the result. */
		char path[160];
		snprintf(path, sizeof path, "%s/final.bin", folder);
		if (base_file_write(path, m.weights.storage, m.weights.total * sizeof(float), &err) != BM_OK)
			return 1;
	} else if (status != BM_ERR_CANCELLED) {
		fprintf(stderr, "%s\n", err.message);
	}
	return status == BM_OK ? 0 : status == BM_ERR_CANCELLED ? 3 : 1;
}

/* Runs a child; with kill_after_ms >= 0 kills it then. Returns the exit code, or -1 when it was killed. */
static int child(const char *folder, bool resume, long kill_at, int cancel_epoch, int kill_after_ms)
{
	const pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(run(folder, resume, kill_at, cancel_epoch));
	if (kill_after_ms >= 0) {
		const struct timespec pause = {kill_after_ms / 1000, (long)(kill_after_ms % 1000) * 1000000};
		nanosleep(&pause, NULL);
		kill(pid, SIGKILL);
	}
	int status = 0;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void same_file(const char *a, const char *b, const char *name)
{
	char paths[2][192];
	uint8_t *bytes[2];
	size_t sizes[2];
	snprintf(paths[0], sizeof paths[0], "%s/%s", a, name);
	snprintf(paths[1], sizeof paths[1], "%s/%s", b, name);
	for (int i = 0; i < 2; i++)
		assert_ok(base_file_read(paths[i], (size_t)1 << 28, &bytes[i], &sizes[i], err));
	if (sizes[0] != sizes[1] || memcmp(bytes[0], bytes[1], sizes[0]) != 0)
		fail_msg("'%s' and '%s' differ", paths[0], paths[1]);
	base_free(bytes[0]);
	base_free(bytes[1]);
}

static void same_history(const char *a, const char *b)
{
	const char *folders[2] = {a, b};
	train_history histories[2];
	for (int i = 0; i < 2; i++) {
		char path[192];
		snprintf(path, sizeof path, "%s/training_history.json", folders[i]);
		assert_ok(train_history_read(path, &histories[i], err));
		for (size_t e = 0; e < histories[i].count; e++)
			histories[i].epochs[e].seconds = histories[i].epochs[e].ms_per_step =
				histories[i].epochs[e].images_per_second = 0;
	}
	assert_int_equal(histories[0].count, histories[1].count);
	assert_memory_equal(histories[0].epochs, histories[1].epochs, histories[0].count * sizeof(train_epoch));
	assert_int_equal(histories[0].best_stage, histories[1].best_stage);
	assert_int_equal(histories[0].best_epoch, histories[1].best_epoch);
	train_history_free(&histories[0]);
	train_history_free(&histories[1]);
}

static void compare(const char *a, const char *b)
{
	same_history(a, b);
	for (int stage = 1; stage <= 4; stage++) {
		char name[32];
		snprintf(name, sizeof name, "best_model_stage%d.keras", stage);
		same_file(a, b, name);
	}
	same_file(a, b, "final.bin");
}

static void folder_of(const char *name, char *path)
{
	snprintf(path, 128, "%s/%s", fixture_root, name);
}

static double whole_seconds;

static void test_repeats(void **unused)
{
	(void)unused;
	char whole[128], again[128];
	folder_of("whole", whole);
	folder_of("again", again);
	const double begin = base_now();
	assert_int_equal(child(whole, false, -1, -1, -1), 0);
	whole_seconds = base_now() - begin;
	print_message("one run: %.2f s\n", whole_seconds);
	assert_int_equal(child(again, false, -1, -1, -1), 0);
	compare(whole, again);
}

static void test_killed_at_steps(void **unused)
{
	(void)unused;
	char whole[128], path[128];
	folder_of("whole", whole);
	folder_of("killed", path);
	int kills = 0, code = child(path, false, 2, -1, -1);
	/* Each sitting gets a few reports further. */
	for (long reports = 4; code == -1; reports += 3) {
		kills++;
		assert_true(kills < 100);
		code = child(path, true, reports, -1, -1);
	}
	print_message("killed %d times\n", kills);
	assert_int_equal(code, 0);
	assert_true(kills >= 3);
	compare(whole, path);
	/* Once more: there is nothing left to do, and the result is the same. */
	assert_int_equal(child(path, true, -1, -1, -1), 0);
	compare(whole, path);
}

static void test_killed_at_any_time(void **unused)
{
	(void)unused;
	char whole[128], path[128];
	folder_of("whole", whole);
	folder_of("shot", path);
	base_random random = base_random_make((uint64_t)time(NULL), 0);
	int kills = 0, code = -1;
	for (int i = 0; code == -1 && i < 200; i++) {
		/* Longer and longer, so that it ends. */
		const int ms = (int)(1000 * whole_seconds * (0.1 + 0.1 * i) * (double)base_random_uniform(&random));
		code = child(path, i > 0, -1, -1, ms);
		kills += code == -1;
	}
	print_message("killed %d times\n", kills);
	assert_int_equal(code, 0);
	compare(whole, path);
}

static void test_cancelled(void **unused)
{
	(void)unused;
	char whole[128], path[128], checkpoint[192];
	folder_of("whole", whole);
	folder_of("cancelled", path);
	assert_int_equal(child(path, false, -1, 0, -1), 3);
	snprintf(checkpoint, sizeof checkpoint, "%s/checkpoint/state.bin", path);
	assert_true(base_is_file(checkpoint));
	assert_int_equal(child(path, true, -1, 0, -1), 3);
	assert_int_equal(child(path, true, -1, -1, -1), 0);
	compare(whole, path);
}

/* The rate of the epoch is that of its last step, which was made before. */
static void test_cancelled_in_the_validation(void **unused)
{
	(void)unused;
	char whole[128], path[128];
	folder_of("whole", whole);
	folder_of("validated", path);
	assert_int_equal(child(path, false, -1, 5, -1), 3); /* of the first stage on the cycle */
	assert_int_equal(child(path, true, -1, 3, -1), 3);  /* the last of all */
	assert_int_equal(child(path, true, -1, -1, -1), 0);
	compare(whole, path);
}

static void test_another_plan_is_refused(void **unused)
{
	(void)unused;
	char path[128];
	model m, teacher;
	train_plan plan;
	train_history history;
	bm_error err;
	folder_of("whole", path);
	train_options options = {.run_folder = path,
				 .seed = 21,
				 .threads = 1,
				 .resume = true,
				 .teachers = (const model *const[]){&teacher},
				 .teacher_count = 1};
	fixture_model(&teacher, true);
	fixture_model(&m, false);
	the_plan(&plan);
	plan.stages[1].learning_rate = 0.5f;
	assert_int_equal(train_run(&m, &data.pack, &data.split, &plan, &options, NULL, &history, &err), BM_ERR_USAGE);
	assert_non_null(strstr(err.message, "training plan"));
	the_plan(&plan);
	options.seed = 22;
	assert_int_equal(train_run(&m, &data.pack, &data.split, &plan, &options, NULL, &history, &err), BM_ERR_USAGE);
	assert_non_null(strstr(err.message, "seed"));
	options.seed = 21;
	const float kept = teacher.weights.storage[5];
	teacher.weights.storage[5] = kept + 1;
	assert_int_equal(train_run(&m, &data.pack, &data.split, &plan, &options, NULL, &history, &err), BM_ERR_USAGE);
	assert_non_null(strstr(err.message, "set of teachers"));
	teacher.weights.storage[5] = kept;
	data.pack.content.low ^= 1;
	assert_int_equal(train_run(&m, &data.pack, &data.split, &plan, &options, NULL, &history, &err), BM_ERR_USAGE);
	assert_non_null(strstr(err.message, "data set"));
	data.pack.content.low ^= 1;
	m.options.head = MODEL_HEAD_LINEAR;
	assert_int_equal(train_run(&m, &data.pack, &data.split, &plan, &options, NULL, &history, &err), BM_ERR_USAGE);
	assert_non_null(strstr(err.message, "model"));
	model_free(&m);
	model_free(&teacher);
}

static int begin(void **state)
{
	fixture_data_make(&data, 20, 5);
	return fixture_setup(state);
}

static int end(void **state)
{
	fixture_data_free(&data);
	return fixture_teardown(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_repeats),
		cmocka_unit_test(test_killed_at_steps),
		cmocka_unit_test(test_killed_at_any_time),
		cmocka_unit_test(test_cancelled),
		cmocka_unit_test(test_cancelled_in_the_validation),
		cmocka_unit_test(test_another_plan_is_refused),
	};
	return cmocka_run_group_tests(tests, begin, end);
}
