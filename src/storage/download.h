/* One file from the web: resumed where an earlier attempt ended, verified, there whole or not at all. */
#ifndef STORAGE_DOWNLOAD_H
#define STORAGE_DOWNLOAD_H

#include <stdint.h>

#include "base/observer.h"

typedef struct storage_download {
	const char *what; /* for people: "the ImageNet weights" */
	const char *url;  /* http:// or https://; a redirect from https to http is refused */
	uint64_t size;	  /* bytes of the whole file */
	const char *md5;  /* 32 hex digits */
	const char *path; /* where it is to be; folders are made. Beside it: path.part, and path.lock, which stays */
	double stall_timeout; /* seconds without a byte after which an attempt ends; 0: 30 */
	double pause;	      /* seconds before the second attempt, doubled for each further one; 0: 1 */
} storage_download;

/* True when the file at download->path is there, with this size and hash. */
bool storage_download_done(const storage_download *download);

/* Returns at once when the file is there already. One process at a time fetches a file: others wait for it. Several attempts are made as long
 * as bytes come. After a failure or a cancellation path.part stays, for the next call to go on from, unless its bytes are wrong.
 * Errors: BM_ERR_IO (no network, the server fails, the disk is full), BM_ERR_FORMAT (the server sends another file), BM_ERR_CANCELLED. */
bm_status storage_download_file(const storage_download *download, const base_observer *observer, bm_error *err);

#endif
