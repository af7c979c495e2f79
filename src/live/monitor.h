/* How a running command stands: heard as an observer, kept for the live page. What it keeps has a bounded size however long the work takes, and
 * nobody who reads it makes the work wait. */
#ifndef LIVE_MONITOR_H
#define LIVE_MONITOR_H

#include <jansson.h>

#include "base/observer.h"

typedef struct live_monitor live_monitor;

typedef struct live_options {
	const char *command; /* "run" */
	const char *folder;  /* of the run; NULL: none */
} live_options;

/* Hands everything on to `outer`, which may be NULL and has to outlive it. The texts are copied. */
bm_status live_monitor_create(const live_options *options, const base_observer *outer, live_monitor **out,
			      bm_error *err);
void live_monitor_free(live_monitor *monitor); /* NULL is allowed */
const base_observer *live_monitor_observer(const live_monitor *monitor);

/* The command has ended; status and message are its error's, BM_OK and NULL: none. */
void live_monitor_finish(live_monitor *monitor, bm_status status, const char *message);

/* Waits until the state is newer than `after` or the command has ended, `seconds` at most. Returns the state's number, which grows. */
uint64_t live_monitor_wait(live_monitor *monitor, uint64_t after, double seconds);
bool live_monitor_finished(live_monitor *monitor);

/* All that the page shows; NULL: no memory. json_decref. */
json_t *live_monitor_state(live_monitor *monitor);
/* {"number": N, "pictures": [{"label", "answer", "probability", "image", "original"}]}: images of one of the last steps, as data: URLs. NULL: no memory. */
json_t *live_monitor_pictures(live_monitor *monitor);

#endif
