#include "base/threads.h"

#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/memory.h"

enum { COUNT = 5000 };

struct job {
	atomic_int calls[COUNT];
	atomic_int most_worker;
	size_t fails_at, fails_too;
};

static bm_status mark(void *arg, int worker, size_t index, bm_error *err)
{
	struct job *job = arg;
	atomic_fetch_add(&job->calls[index], 1);
	int most = atomic_load(&job->most_worker);
	while (worker > most && !atomic_compare_exchange_weak(&job->most_worker, &most, worker))
		;
	if (index == job->fails_at || index == job->fails_too) {
		/* The lower one is slower, so that the higher one is seen first. */
		if (index == job->fails_at)
			nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
		return base_fail(err, BM_ERR_DATA, "index %zu", index);
	}
	return BM_OK;
}

static void each_index_is_done_once(void **state)
{
	(void)state;
	static struct job job;
	for (int threads = 0; threads <= 9; threads += 3) {
		memset(&job, 0, sizeof job);
		job.fails_at = job.fails_too = COUNT;
		assert_int_equal(base_parallel(threads, COUNT, mark, &job, NULL), BM_OK);
		for (size_t i = 0; i < COUNT; i++)
			assert_int_equal(atomic_load(&job.calls[i]), 1);
		assert_true(atomic_load(&job.most_worker) < (threads > 0 ? threads : base_cores()));
	}
	assert_int_equal(base_parallel(4, 0, mark, NULL, NULL), BM_OK);
	assert_int_equal(base_parallel(8, 2, mark, &job, NULL), BM_OK);
}

static void the_lowest_failure_wins(void **state)
{
	(void)state;
	static struct job job;
	for (int round = 0; round < 50; round++) {
		memset(&job, 0, sizeof job);
		job.fails_at = 100;
		job.fails_too = 101;
		bm_error err = {0};
		assert_int_equal(base_parallel(4, COUNT, mark, &job, &err), BM_ERR_DATA);
		assert_int_equal(err.status, BM_ERR_DATA);
		assert_string_equal(err.message, "index 100");
		for (size_t i = 0; i <= 100; i++)
			assert_int_equal(atomic_load(&job.calls[i]), 1);
	}
	/* One thread stops right there; others may get as far as they like before they hear of it. */
	memset(&job, 0, sizeof job);
	job.fails_at = 100;
	job.fails_too = 101;
	assert_int_equal(base_parallel(1, COUNT, mark, &job, NULL), BM_ERR_DATA);
	assert_int_equal(atomic_load(&job.calls[101]), 0);
}

static void no_memory_is_a_failure(void **state)
{
	(void)state;
	static struct job job;
	bm_error err = {0};
	base_memory_fail_after(0);
	bm_status status = base_parallel(2, COUNT, mark, &job, &err);
	base_memory_fail_after(-1);
	assert_int_equal(status, BM_ERR_MEMORY);
	assert_int_equal(atomic_load(&job.calls[0]), 0);
}

static void thread_counts_are_parsed(void **state)
{
	(void)state;
	assert_int_equal(base_threads_parse("1"), 1);
	assert_int_equal(base_threads_parse("12"), 12);
	assert_int_equal(base_threads_parse("local[4]"), 4);
	assert_int_equal(base_threads_parse("local"), 1);
	assert_int_equal(base_threads_parse("local[*]"), base_cores());
	static const char *const wrong[] = {"",		"0",	   "-1",	"4x",	    " 4",	"local[]",
					    "local[0]", "local[4", "local[4]]", "local(4)", "99999999", "spark://x"};
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		assert_int_equal(base_threads_parse(wrong[i]), 0);
}

static void cores_follow_the_affinity(void **state)
{
	(void)state;
	cpu_set_t before, one;
	assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
	int cores = base_cores();
	assert_in_range(cores, 1, CPU_COUNT(&before));
	CPU_ZERO(&one);
	for (int i = 0; i < CPU_SETSIZE; i++) {
		if (CPU_ISSET(i, &before)) {
			CPU_SET(i, &one);
			break;
		}
	}
	assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
	int with_one = base_cores();
	assert_int_equal(sched_setaffinity(0, sizeof before, &before), 0);
	assert_int_equal(with_one, 1);
}

static void time_goes_on(void **state)
{
	(void)state;
	double start = base_now();
	nanosleep(&(struct timespec){.tv_nsec = 3000000}, NULL);
	double seconds = base_now() - start;
	assert_true(seconds >= 0.003 && seconds < 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_index_is_done_once),   cmocka_unit_test(the_lowest_failure_wins),
		cmocka_unit_test(no_memory_is_a_failure),    cmocka_unit_test(thread_counts_are_parsed),
		cmocka_unit_test(cores_follow_the_affinity), cmocka_unit_test(time_goes_on),
	};
	return cmocka_run_group_tests_name("base/threads", tests, NULL, NULL);
}
