/* How the library tells its caller what it does: it never prints. All members may be NULL. */
#ifndef BASE_OBSERVER_H
#define BASE_OBSERVER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

typedef struct base_progress {
	const char *what;      /* "Preprocessing", "Epoch 3/10" */
	const char *unit;      /* "images", "steps" */
	long long done, total; /* total 0: not known */
	double seconds;	       /* since the work began */
	const char *detail;    /* "loss: 0.4521 - accuracy: 0.8334", or NULL */
} base_progress;

typedef struct base_value {
	const char *name;
	double value; /* NAN: not known */
} base_value;

/* A step's images, as the network got them and as they were. */
typedef struct base_pictures {
	int count, side, channels, original_side, classes;
	const float *pixels;		/* [count][side][side][channels] in [0,1] */
	const uint8_t *originals;	/* [...][original_side][original_side] */
	const size_t *indices;		/* [count] into originals */
	const int *labels;		/* [count] */
	const float *probabilities;	/* [count][classes] */
	const char *const *class_names; /* [classes] */
} base_pictures;

typedef enum base_event_kind {
	BASE_PHASE_BEGINS, /* number: 1 to 10; text: title */
	BASE_PHASE_ENDS,   /* the same; values: numbers of its result */
	BASE_STAGE,	   /* of the training, begins; number, text: title; values: what it is trained with */
	BASE_STEP,	   /* number: of the whole training, from 1; values of this step; pictures */
	BASE_EPOCH,	   /* number: of the whole training, from 1; values as Keras names them: loss, val_loss, ... */
	BASE_CLUSTER,	   /* text: address of the job's page, or ""; values: of its tasks */
} base_event_kind;

/* What happens, in numbers: for programs that draw or record it. All of it is valid during the call only. */
typedef struct base_event {
	base_event_kind kind;
	long long number;
	const char *text; /* may be NULL */
	const base_value *values;
	size_t count;
	const base_pictures *pictures; /* may be NULL */
	bool past;		       /* happened before a training was stopped and resumed, and was told then */
} base_event;

typedef struct base_observer base_observer;
struct base_observer {
	void *self;
	void (*result)(void *self, const char *line);		     /* a line of the phase's result: stdout */
	void (*note)(void *self, const char *line);		     /* what is going on: stderr, log */
	void (*warning)(void *self, const char *line);		     /* stderr, log */
	void (*progress)(void *self, const base_progress *progress); /* done == total ends the bar */
	void (*event)(void *self, const base_event *event);	     /* on the thread that calls the library */
	const base_observer *next;				     /* is told all the same afterwards; NULL: none */
	const atomic_bool *cancel;				     /* set by Ctrl-C; polled between units of work */
};

/* Each is safe with a NULL observer. */
void base_result(const base_observer *observer, const char *format, ...) __attribute__((format(printf, 2, 3)));
void base_result_text(const base_observer *observer, const char *lines); /* many lines, split at '\n' */
void base_note(const base_observer *observer, const char *format, ...) __attribute__((format(printf, 2, 3)));
void base_warning(const base_observer *observer, const char *format, ...) __attribute__((format(printf, 2, 3)));
void base_report_progress(const base_observer *observer, const base_progress *progress);
void base_report_event(const base_observer *observer, const base_event *event);
double base_event_value(const base_event *event, const char *name); /* NAN: it has none of this name */
/* BM_ERR_CANCELLED once the flag is set, else BM_OK. */
bm_status base_check_cancel(const base_observer *observer, bm_error *err);

#endif
