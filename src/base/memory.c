#include "base/memory.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/cgroup.h"
#include "base/text.h"

enum { ALIGNMENT = 64 };

static atomic_long fail_after = -1;

void base_memory_fail_after(long n)
{
	atomic_store(&fail_after, n < 0 ? -1 : n);
}

static int must_fail(void)
{
	long left = atomic_load(&fail_after);
	while (left > 0) {
		if (atomic_compare_exchange_weak(&fail_after, &left, left - 1))
			return 0;
	}
	return left == 0;
}

void *base_malloc(size_t count, size_t size, const char *what, bm_error *err)
{
	size_t bytes;
	if (__builtin_mul_overflow(count, size, &bytes) || bytes > PTRDIFF_MAX - ALIGNMENT) {
		base_fail(err, BM_ERR_MEMORY,
			  "%s: %zu x %zu bytes are more than a program can have; use less data at once", what, count,
			  size);
		return NULL;
	}
	/* Rounded up to whole cache lines, and at least one. */
	size_t rounded = bytes == 0 ? ALIGNMENT : (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
	void *block = must_fail() ? NULL : aligned_alloc(ALIGNMENT, rounded);
	if (!block) {
		char text[32];
		base_fail(err, BM_ERR_MEMORY,
			  "%s: no memory for %s; use a smaller batch or image size, or close other programs", what,
			  base_format_bytes((double)bytes, text));
	}
	return block;
}

void *base_calloc(size_t count, size_t size, const char *what, bm_error *err)
{
	void *block = base_malloc(count, size, what, err);
	if (block)
		memset(block, 0, count * size);
	return block;
}

void base_free(void *block)
{
	free(block);
}

char *base_strdup(const char *text, bm_error *err)
{
	size_t size = strlen(text) + 1;
	char *copy = base_malloc(size, 1, "a text", err);
	if (copy)
		memcpy(copy, text, size);
	return copy;
}

bm_status base_grow(void *items, size_t *capacity, size_t count, size_t size, const char *what, bm_error *err)
{
	if (*capacity > count)
		return BM_OK;
	size_t more;
	if (__builtin_add_overflow(count, count / 2 + 16, &more))
		more = SIZE_MAX;
	void *old, *grown = base_malloc(more, size, what, err);
	if (!grown)
		return BM_ERR_MEMORY;
	memcpy(&old, items, sizeof old); /* items is a pointer to some pointer: no aliasing tricks */
	if (old && count > 0)
		memcpy(grown, old, count * size);
	base_free(old);
	memcpy(items, &grown, sizeof grown);
	*capacity = more;
	return BM_OK;
}

/* Caps *arg by limit - (usage - cache that the kernel gives back when asked) of one control group. */
static void cap_by_group(void *arg, const char *folder, bool unified)
{
	uint64_t *available = arg, limit, usage, cache;
	if (base_read_numbers(folder, unified ? "memory.max" : "memory.limit_in_bytes", "", &limit, 1) != 1 ||
	    base_read_numbers(folder, unified ? "memory.current" : "memory.usage_in_bytes", "", &usage, 1) != 1)
		return;
	const char *key = unified ? "inactive_file " : "total_inactive_file ";
	if (base_read_numbers(folder, "memory.stat", key, &cache, 1) == 1)
		usage = usage > cache ? usage - cache : 0;
	uint64_t left = limit > usage ? limit - usage : 0;
	if (left < *available)
		*available = left;
}

uint64_t base_memory_available(void)
{
	uint64_t available, kilobytes;
	if (base_read_numbers("/proc", "meminfo", "MemAvailable:", &kilobytes, 1) == 1)
		available = kilobytes * 1024;
	else
		available = UINT64_MAX;
	base_cgroup_each("/proc/self/cgroup", "/sys/fs/cgroup", "memory", cap_by_group, &available);
	return available;
}

uint64_t base_memory_resident_peak(void)
{
	uint64_t kilobytes;
	if (base_read_numbers("/proc/self", "status", "VmHWM:", &kilobytes, 1) != 1)
		return 0;
	return kilobytes * 1024;
}
