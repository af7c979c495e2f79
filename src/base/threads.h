/* Worker threads. */
#ifndef BASE_THREADS_H
#define BASE_THREADS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

int base_cores(void); /* that this process may use (affinity, cgroup quota), at least 1 */

/* Calls work(arg, worker, index) for each index in [0, count), dynamically shared among `threads` workers
 * (worker 0 is the calling thread). Returns when all are done. The first failure stops the hand-out and is
 * returned, the lowest failing index winning, with its message in err. */
typedef bm_status base_work(void *arg, int worker, size_t index, bm_error *err);
bm_status base_parallel(int threads, size_t count, base_work *work, void *arg, bm_error *err);

/* Parses "4", "local[4]", "local[*]", "local": the number of threads, or 0 when the text is none of these. */
int base_threads_parse(const char *text);

double base_now(void); /* seconds, monotonic */

#endif
