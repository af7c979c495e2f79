#include "base/memory.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

/* The number in a file's line that starts with `key` ("" for a file that is just a number). */
static int read_number(const char *path, const char *key, uint64_t *number)
{
	FILE *file = fopen(path, "re");
	if (!file)
		return 0;
	char line[512];
	int found = 0;
	while (!found && fgets(line, sizeof line, file)) {
		unsigned long long value;
		if (strncmp(line, key, strlen(key)) == 0 && sscanf(line + strlen(key), "%llu", &value) == 1) {
			*number = value;
			found = 1;
		}
	}
	fclose(file);
	return found;
}

/* limit - (usage - cache that the kernel gives back when asked) of one control group folder. */
static void cap_by_group(const char *folder, const char *limit_name, const char *usage_name, const char *cache_key,
			 uint64_t *available)
{
	char path[1400];
	uint64_t limit, usage, cache = 0;
	snprintf(path, sizeof path, "%s/%s", folder, limit_name);
	if (!read_number(path, "", &limit)) /* "max": no limit */
		return;
	snprintf(path, sizeof path, "%s/%s", folder, usage_name);
	if (!read_number(path, "", &usage))
		return;
	snprintf(path, sizeof path, "%s/memory.stat", folder);
	if (read_number(path, cache_key, &cache))
		usage = usage > cache ? usage - cache : 0;
	uint64_t left = limit > usage ? limit - usage : 0;
	if (left < *available)
		*available = left;
}

/* Every group from this process's up to the root limits it. */
static void cap_by_groups(const char *root, const char *group, int version, uint64_t *available)
{
	char folder[1200];
	int length = snprintf(folder, sizeof folder, "%s%s", root, strcmp(group, "/") == 0 ? "" : group);
	if (length < 0 || (size_t)length >= sizeof folder)
		return;
	size_t stem = strlen(root);
	for (;;) {
		if (version == 2)
			cap_by_group(folder, "memory.max", "memory.current", "inactive_file ", available);
		else
			cap_by_group(folder, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file ",
				     available);
		char *slash = strrchr(folder + stem, '/');
		if (!slash)
			return;
		*slash = '\0';
	}
}

uint64_t base_memory_available(void)
{
	uint64_t available = 0;
	if (read_number("/proc/meminfo", "MemAvailable:", &available))
		available *= 1024;
	else
		available = UINT64_MAX;
	FILE *file = fopen("/proc/self/cgroup", "re");
	if (!file)
		return available;
	char line[1024];
	while (fgets(line, sizeof line, file)) {
		line[strcspn(line, "\n")] = '\0';
		if (strncmp(line, "0::", 3) == 0) {
			cap_by_groups("/sys/fs/cgroup", line + 3, 2, &available);
			continue;
		}
		char *names = strchr(line, ':');
		char *group = names ? strchr(names + 1, ':') : NULL;
		if (!group)
			continue;
		*group++ = '\0';
		if (strcmp(names + 1, "memory") == 0)
			cap_by_groups("/sys/fs/cgroup/memory", group, 1, &available);
	}
	fclose(file);
	return available;
}

uint64_t base_memory_resident_peak(void)
{
	uint64_t kilobytes = 0;
	if (!read_number("/proc/self/status", "VmHWM:", &kilobytes))
		return 0;
	return kilobytes * 1024;
}
