#include "base/threads.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cgroup.h"
#include "base/memory.h"

enum { MAX_THREADS = 1024 };

/* Caps *arg by the whole cores of one control group's quota, rounded up. */
static void cap_by_quota(void *arg, const char *folder, bool unified)
{
	uint64_t quota[2];
	if (unified) {
		if (base_read_numbers(folder, "cpu.max", "", quota, 2) != 2)
			return;
	} else if (base_read_numbers(folder, "cpu.cfs_quota_us", "", &quota[0], 1) != 1 ||
		   base_read_numbers(folder, "cpu.cfs_period_us", "", &quota[1], 1) != 1) {
		return;
	}
	if (quota[0] == UINT64_MAX || quota[1] == 0)
		return;
	uint64_t cores = quota[0] / quota[1] + (quota[0] % quota[1] != 0);
	int *limit = arg;
	if (cores < (uint64_t)*limit)
		*limit = (int)cores;
}

int base_cores(void)
{
	int cores = 1;
	/* A mask for more processors than cpu_set_t holds makes the call fail with EINVAL: then a larger one. */
	for (int room = CPU_SETSIZE; room <= 1 << 16; room *= 4) {
		cpu_set_t *set = CPU_ALLOC((size_t)room);
		if (!set)
			break;
		size_t size = CPU_ALLOC_SIZE((size_t)room);
		CPU_ZERO_S(size, set);
		int status = sched_getaffinity(0, size, set), number = errno;
		if (status == 0)
			cores = CPU_COUNT_S(size, set);
		CPU_FREE(set);
		if (status == 0 || number != EINVAL)
			break;
	}
	base_cgroup_each("/proc/self/cgroup", "/sys/fs/cgroup", "cpu", cap_by_quota, &cores);
	return cores > 0 ? cores : 1;
}

/* One call of base_parallel. */
struct crew {
	base_work *work;
	void *arg;
	size_t count;
	atomic_size_t next, failed; /* failed: the lowest failing index, or count */
	pthread_mutex_t lock;	    /* guards status and message */
	bm_status status;
	bm_error message;
};

struct member {
	struct crew *crew;
	int worker;
	pthread_t thread;
};

static void *work_on(void *arg)
{
	const struct member *member = arg;
	struct crew *crew = member->crew;
	/* Indices are handed out in order and one that was handed out is done, so every index below the lowest
	 * failing one has run and succeeded: the answer does not depend on timing. */
	while (atomic_load(&crew->failed) == crew->count) {
		size_t index = atomic_fetch_add(&crew->next, 1);
		if (index >= crew->count)
			break;
		bm_error err = {0};
		bm_status status = crew->work(crew->arg, member->worker, index, &err);
		if (status == BM_OK)
			continue;
		pthread_mutex_lock(&crew->lock);
		if (index < atomic_load(&crew->failed)) {
			atomic_store(&crew->failed, index);
			crew->status = status;
			crew->message = err;
		}
		pthread_mutex_unlock(&crew->lock);
	}
	return NULL;
}

bm_status base_parallel(int threads, size_t count, base_work *work, void *arg, bm_error *err)
{
	if (count == 0)
		return BM_OK;
	if (threads < 1)
		threads = base_cores();
	if (threads > MAX_THREADS)
		threads = MAX_THREADS;
	if ((size_t)threads > count)
		threads = (int)count;
	struct member *members = base_calloc((size_t)threads, sizeof *members, "worker threads", err);
	if (!members)
		return BM_ERR_MEMORY;
	struct crew crew = {.work = work, .arg = arg, .count = count, .lock = PTHREAD_MUTEX_INITIALIZER};
	atomic_init(&crew.next, 0);
	atomic_init(&crew.failed, count);
	/* Fewer threads than asked for (a limit of the system) only make it slower: the caller's does the rest. */
	int started = 1;
	for (; started < threads; started++) {
		members[started] = (struct member){.crew = &crew, .worker = started};
		if (pthread_create(&members[started].thread, NULL, work_on, &members[started]) != 0)
			break;
	}
	members[0] = (struct member){.crew = &crew, .worker = 0};
	work_on(&members[0]);
	for (int i = 1; i < started; i++)
		pthread_join(members[i].thread, NULL);
	base_free(members);
	pthread_mutex_destroy(&crew.lock);
	if (crew.status != BM_OK && err) {
		*err = crew.message;
		err->status = crew.status;
	}
	return crew.status;
}

int base_threads_parse(const char *text)
{
	if (strcmp(text, "local") == 0)
		return 1; /* as Spark has it */
	if (strcmp(text, "local[*]") == 0)
		return base_cores();
	bool bracket = strncmp(text, "local[", 6) == 0;
	const char *digits = bracket ? text + 6 : text;
	size_t length = strspn(digits, "0123456789");
	if (length == 0 || length > 6 || strcmp(digits + length, bracket ? "]" : "") != 0)
		return 0;
	int threads = (int)strtol(digits, NULL, 10);
	return threads > MAX_THREADS ? 0 : threads;
}

double base_now(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}
