/* What a place where bytes live has to do. storage.c checks paths and hands the work to one of these. */
#ifndef STORAGE_BACKEND_H
#define STORAGE_BACKEND_H

#include "storage/storage.h"

/* path: checked by storage.c; below the root, "" for the root itself, without "..", "." or empty parts.
 * Called by many threads at once. */
typedef struct storage_backend {
	/* Fills *list (zeroed before) in any order, hidden names left out; what is there on failure is freed by the
	 * caller. */
	bm_status (*list)(void *state, const char *url, const char *path, storage_list *list, bm_error *err);
	bm_status (*read)(void *state, const char *url, const char *path, size_t limit, uint8_t **bytes, size_t *size,
			  bm_error *err);
	void (*close)(void *state);
} storage_backend;

struct storage {
	const storage_backend *backend;
	void *state; /* the backend's */
	char *url;   /* as the user wrote it, without slashes at the end: messages name it */
};

/* Appends an entry; `capacity` is the list's, 0 at first. */
bm_status storage_list_add(storage_list *list, size_t *capacity, const char *name, bool folder, uint64_t size,
			   bm_error *err);

/* where: what stands behind "scheme://", or a whole path. On success s->backend and s->state are set. */
typedef bm_status storage_opener(storage *s, const char *where, bm_error *err);
storage_opener storage_local_open;

#endif
