/* What the model says of the images of one part of the split. */
#ifndef PHASES_SCORES_H
#define PHASES_SCORES_H

#include "phases/context.h"

typedef struct phase_scores {
	const size_t *indices; /* [count] into the pack, of the split */
	size_t count;
	int classes, features;
	int *labels;	      /* [count] */
	float *probabilities; /* [count][classes], as the network gives them */
	float *seen;	      /* [count][features]: what the head saw */
	double *statistics;   /* [count][EVALUATE_STATISTICS] */
	float *calibrated;    /* [count][classes]; NULL before phase_judge */
	double *unlikeness;   /* [count]; NULL: not judged */
} phase_scores;

/* Classifies the part. Free with phase_scores_free in any case. */
bm_status phase_scores_make(phase_context *c, model_predictor *predictor, data_part part, phase_scores *out,
			    bm_error *err);
void phase_scores_free(phase_scores *scores); /* safe on a zeroed one */

/* Chooses temperature, threshold and what an image looks like on `validation`, measures all of it on `test`: into *trust and
 * c->metrics.reliability; fills test->calibrated and test->unlikeness. */
bm_status phase_judge(phase_context *c, const phase_scores *validation, phase_scores *test, evaluate_trust *trust,
		      bm_error *err);
/* Keeps it in the model's file, unless it is there already. `m` was loaded from `path`. */
bm_status phase_keep_trust(model *m, const char *path, const evaluate_trust *trust, bm_error *err);
/* Text, JSON and pictures of c->metrics.reliability. */
bm_status phase_say_reliability(phase_context *c, bm_error *err);

#endif
