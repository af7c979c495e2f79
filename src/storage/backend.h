/* What a place where bytes live has to do. storage.c checks paths and hands the work to one of these. */
#ifndef STORAGE_BACKEND_H
#define STORAGE_BACKEND_H

#include "storage/storage.h"

/* url: the storage's, for messages. path: checked by storage.c; below the root, "" for the root itself, without "..", "." or
 * empty parts. Called by many threads at once. NULL where a place cannot do something. */
typedef struct storage_backend {
	/* Fills *list (zeroed before) in any order, hidden names left out unless `hidden`; what is there on failure is
	 * freed by the caller. */
	bm_status (*list)(void *state, const char *url, const char *path, bool hidden, storage_list *list,
			  bm_error *err);
	bm_status (*look)(void *state, const char *url, const char *path, storage_info *info, bm_error *err);
	bm_status (*summarize)(void *state, const char *url, const char *path, storage_summary *out, bm_error *err);
	bm_status (*read)(void *state, const char *url, const char *path, size_t limit, uint8_t **bytes, size_t *size,
			  bm_error *err);
	bm_status (*read_range)(void *state, const char *url, const char *path, uint64_t offset, size_t length,
				uint8_t *bytes, size_t *got, bm_error *err);
	bm_status (*create)(void *state, const char *url, const char *path, const storage_source *source,
			    bm_error *err);
	bm_status (*make_folders)(void *state, const char *url, const char *path, bm_error *err);
	bm_status (*rename)(void *state, const char *url, const char *from, const char *to, bool replace,
			    bm_error *err);
	bm_status (*remove)(void *state, const char *url, const char *path, bool all, bool *was, bm_error *err);
	bm_status (*set_permission)(void *state, const char *url, const char *path, int permission, bm_error *err);
	bm_status (*set_replication)(void *state, const char *url, const char *path, int copies, bm_error *err);
	bm_status (*checksum)(void *state, const char *url, const char *path, storage_checksum *sum, bm_error *err);
	bm_status (*describe)(void *state, const char *url, storage_service *service, bm_error *err);
	void (*close)(void *state);
	int transfers; /* at once */
} storage_backend;

struct storage {
	const storage_backend *backend;
	void *state;   /* the backend's */
	char *webhdfs; /* see storage_webhdfs */
	bool remote;   /* see storage_remote */
	char *url;     /* as the user wrote it, without slashes at the end: messages name it */
};

/* Copies a path without its empty and "." parts; "..", an absolute path and what a path cannot hold are refused. */
bm_status storage_clean_path(const storage *s, const char *path, char **clean, bm_error *err);

/* ".NAME.0123456789abcdef.part" beside `path`; *out: base_free. */
bm_status storage_temporary_name(const char *path, char **out, bm_error *err);

/* Appends an entry; `capacity` is the list's, 0 at first. */
bm_status storage_list_add(storage_list *list, size_t *capacity, const char *name, const storage_info *info,
			   bm_error *err);

/* where: what stands behind "scheme://", or a whole path. On success s->backend and s->state are set. */
typedef bm_status storage_opener(storage *s, const char *where, const storage_options *options, bm_error *err);
storage_opener storage_local_open;
storage_opener storage_hdfs_open;

/* What local_write.c adds to a local folder. root: its descriptor. */
bm_status storage_local_fail(bm_error *err, const char *verb, const char *url, const char *path, int number);
bm_status storage_local_create(int root, const char *url, const char *path, const storage_source *source,
			       bm_error *err);
bm_status storage_local_make_folders(int root, const char *url, const char *path, bm_error *err);
bm_status storage_local_remove(int root, const char *url, const char *path, bool all, bool *was, bm_error *err);

#endif
