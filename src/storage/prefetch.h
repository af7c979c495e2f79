/* Files read ahead of those who work on them, several transfers at once: a server's answers are waited for together. */
#ifndef STORAGE_PREFETCH_H
#define STORAGE_PREFETCH_H

#include "storage/storage.h"

typedef struct storage_prefetch storage_prefetch;

/* paths[count] are read about in this order, each at most `limit` bytes. They must stay until the end. From a local disk nothing is
 * read ahead: taking a file reads it. At most some 256 MB wait. */
bm_status storage_prefetch_open(storage *s, const char *const *paths, size_t count, size_t limit,
				storage_prefetch **out, bm_error *err);
/* As storage_read of paths[index]; each may be taken once, by any thread. */
bm_status storage_prefetch_take(storage_prefetch *p, size_t index, uint8_t **bytes, size_t *size, bm_error *err);
void storage_prefetch_close(storage_prefetch *p); /* NULL is allowed; waits for running transfers */

#endif
