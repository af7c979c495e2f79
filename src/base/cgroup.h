/* Linux control groups: what a container may use of the machine. */
#ifndef BASE_CGROUP_H
#define BASE_CGROUP_H

#include <stdbool.h>
#include <stdint.h>

/* Calls visit with the folder of each control group that limits this process for `controller` ("memory", "cpu"), from its
 * own up to the root; unified: version 2. `membership` and `root` are "/proc/self/cgroup" and "/sys/fs/cgroup", except in
 * tests. Where there are no control groups nothing is called. */
typedef void base_cgroup_visit(void *arg, const char *folder, bool unified);
void base_cgroup_each(const char *membership, const char *root, const char *controller, base_cgroup_visit *visit,
		      void *arg);

/* The numbers of a text file's first line that starts with `key` ("" takes any line): as many as there are, up to `most`,
 * "max" standing for UINT64_MAX. Returns how many; 0 also when the file or such a line is not there. */
int base_read_numbers(const char *folder, const char *name, const char *key, uint64_t *numbers, int most);

#endif
