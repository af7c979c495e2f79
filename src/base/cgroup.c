#include "base/cgroup.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Is `name` one of the names in "cpu,cpuacct"? */
static bool listed(const char *names, const char *name)
{
	size_t length = strlen(name);
	for (const char *p = names; *p; p += strcspn(p, ",")) {
		p += *p == ',';
		if (strncmp(p, name, length) == 0 && (p[length] == ',' || p[length] == '\0'))
			return true;
	}
	return false;
}

static void walk_up(char *folder, size_t root, bool unified, base_cgroup_visit *visit, void *arg)
{
	for (;;) {
		visit(arg, folder, unified);
		char *slash = strrchr(folder + root, '/');
		if (!slash)
			return;
		*slash = '\0';
	}
}

void base_cgroup_each(const char *membership, const char *root, const char *controller, base_cgroup_visit *visit,
		      void *arg)
{
	FILE *file = fopen(membership, "re");
	if (!file)
		return;
	/* A line is "ID:CONTROLLERS:/GROUP", the list being empty for version 2. */
	char line[2048], folder[4096], stem[1024];
	while (fgets(line, sizeof line, file)) {
		line[strcspn(line, "\n")] = '\0';
		char *names = strchr(line, ':'), *group = names ? strchr(names + 1, ':') : NULL;
		if (!group)
			continue;
		*group++ = '\0';
		names++;
		bool unified = *names == '\0';
		if (!unified && !listed(names, controller))
			continue;
		if (strcmp(group, "/") == 0)
			*group = '\0';
		int length = unified ? snprintf(stem, sizeof stem, "%s", root)
				     : snprintf(stem, sizeof stem, "%s/%s", root, controller);
		if (length < 0 || (size_t)length >= sizeof stem)
			continue;
		snprintf(folder, sizeof folder, "%s%s", stem, group);
		walk_up(folder, (size_t)length, unified, visit, arg);
	}
	fclose(file);
}

int base_read_numbers(const char *folder, const char *name, const char *key, uint64_t *numbers, int most)
{
	char path[4400], line[512];
	int found = 0;
	snprintf(path, sizeof path, "%s/%s", folder, name);
	FILE *file = fopen(path, "re");
	if (!file)
		return 0;
	size_t length = strlen(key);
	while (fgets(line, sizeof line, file)) {
		if (strncmp(line, key, length) != 0)
			continue;
		for (char *p = line + length, *end; found < most; p = end) {
			p += strspn(p, " \t");
			if (strncmp(p, "max", 3) == 0) {
				numbers[found++] = UINT64_MAX;
				end = p + 3;
				continue;
			}
			if (*p < '0' || *p > '9') /* also "-1", which version 1 writes for no limit */
				break;
			numbers[found++] = strtoull(p, &end, 10);
		}
		break;
	}
	fclose(file);
	return found;
}
