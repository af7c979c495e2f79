/* A model that an earlier run left, with what is known of it. */
#ifndef PHASES_FINISHED_H
#define PHASES_FINISHED_H

#include "evaluate/trust.h"
#include "model/model.h"

typedef struct phase_finished {
	model network;
	evaluate_trust trust; /* temperature 1 and no check unless `evaluated` */
	bool evaluated;
	int size;    /* pixels a side that it was evaluated at; 0: that it was built for */
	bool mirror; /* the mean of an image and its mirror image, as it was evaluated */
} phase_finished;

/* `path`: a run folder (its best model is taken) or a model file; NULL: the model that ships with the program (BM_ERR_NOT_FOUND when it was
 * built without). Free with phase_finished_free; on failure *out is zeroed. */
bm_status phase_finished_load(const char *path, phase_finished *out, bm_error *err);
void phase_finished_free(phase_finished *finished); /* safe on a zeroed one */

#endif
