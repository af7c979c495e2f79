/* The worker of an engine whose work runs in other processes: frames in, frames out (engine/frame.h). */
#ifndef ENGINE_WORKER_H
#define ENGINE_WORKER_H

#include "base/error.h"

/* Preprocesses what comes on descriptor `in` until it ends between two requests, and writes a part to `out`. A damaged
 * file is an answer; a stream that is none, or that is cut off, is BM_ERR_FORMAT or BM_ERR_LIMIT. An image that takes twice
 * its time ends the process (SIGALRM): the watchdog of the one who asked may be gone. */
bm_status engine_worker(int in, int out, bm_error *err);

#endif
