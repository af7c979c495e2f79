/* How the library tells its caller what it does: it never prints. All members may be NULL. */
#ifndef BASE_OBSERVER_H
#define BASE_OBSERVER_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/error.h"

typedef struct base_progress {
	const char *what;      /* "Preprocessing", "Epoch 3/10" */
	const char *unit;      /* "images", "steps" */
	long long done, total; /* total 0: not known */
	double seconds;	       /* since the work began */
	const char *detail;    /* "loss: 0.4521 - accuracy: 0.8334", or NULL */
} base_progress;

typedef struct base_observer {
	void *self;
	void (*result)(void *self, const char *line);		     /* a line of the phase's result: stdout */
	void (*note)(void *self, const char *line);		     /* what is going on: stderr, log */
	void (*warning)(void *self, const char *line);		     /* stderr, log */
	void (*progress)(void *self, const base_progress *progress); /* done == total ends the bar */
	const atomic_bool *cancel;				     /* set by Ctrl-C; polled between units of work */
} base_observer;

/* Each is safe with a NULL observer. */
void base_result(const base_observer *observer, const char *format, ...) __attribute__((format(printf, 2, 3)));
void base_result_text(const base_observer *observer, const char *lines); /* many lines, split at '\n' */
void base_note(const base_observer *observer, const char *format, ...) __attribute__((format(printf, 2, 3)));
void base_warning(const base_observer *observer, const char *format, ...) __attribute__((format(printf, 2, 3)));
void base_report_progress(const base_observer *observer, const base_progress *progress);
/* BM_ERR_CANCELLED once the flag is set, else BM_OK. */
bm_status base_check_cancel(const base_observer *observer, bm_error *err);

#endif
