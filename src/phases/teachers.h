/* The finished models that --teacher names, to learn from. */
#ifndef PHASES_TEACHERS_H
#define PHASES_TEACHERS_H

#include "phases/context.h"
#include "phases/finished.h"

typedef struct phase_teachers {
	phase_finished finished[TRAIN_TEACHERS_MAX];
	const model *models[TRAIN_TEACHERS_MAX]; /* of those */
	int count;
} phase_teachers;

/* Loads those of config.teachers, none when there are none, and warns of each that may have seen the images that this run is tested on.
 * phase_teachers_free, also after a failure. */
bm_status phase_teachers_load(phase_context *context, phase_teachers *out, bm_error *err);
void phase_teachers_free(phase_teachers *teachers);

#endif
