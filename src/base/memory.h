/* Memory that says when there is none. Every block is aligned to 64 bytes (a cache line, an AVX-512 register). */
#ifndef BASE_MEMORY_H
#define BASE_MEMORY_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* count * size bytes, zeroed. NULL (and a message in err that names `what`) on overflow or when there is none;
 * never NULL for count 0. Free with base_free. */
void *base_calloc(size_t count, size_t size, const char *what, bm_error *err);
/* The same, not zeroed. */
void *base_malloc(size_t count, size_t size, const char *what, bm_error *err);
void base_free(void *block);			    /* NULL is allowed */
char *base_strdup(const char *text, bm_error *err); /* free with base_free */

/* Makes room for one more element in a growing array: *items has *capacity elements of `size` bytes, `count` used.
 * Afterwards *capacity > count. *items was NULL or came from here; free with base_free. */
bm_status base_grow(void *items, size_t *capacity, size_t count, size_t size, const char *what, bm_error *err);

uint64_t base_memory_available(void);	  /* bytes that this process may still take (MemAvailable, cgroup limit) */
uint64_t base_memory_resident_peak(void); /* bytes, this process's peak resident set (VmHWM) */

/* Tests only: after n more successful allocations every allocation fails; a negative n turns it off. */
void base_memory_fail_after(long n);

#endif
