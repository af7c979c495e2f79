/* A search over hyper-parameters: random trials, of which the better third goes on with three times the epochs (successive halving, Jamieson &
 * Talwalkar 2016), until one is left; it alone is trained in full and evaluated on the test images, once. Trials are judged on validation
 * images. */
#ifndef PHASES_SEARCH_H
#define PHASES_SEARCH_H

#include "phases/context.h"

#define PHASE_TRIALS_MAX 256

typedef struct phase_search_options {
	int trials;   /* 2 to PHASE_TRIALS_MAX */
	int parallel; /* trials that run at once, each with its share of the threads */
	bool resume;
} phase_search_options;

/* The context has the run folder OUT, with the settings that the search begins with: learning rates, batch and augmentation are varied around its
 * plan's. Leaves search.json (written anew whenever a trial ends), search.csv, figures/search, the trials in OUT/trials and
 * the winner in OUT/best. A trial that diverges is recorded as failed. BM_ERR_CANCELLED says how to go on. */
bm_status phase_search(phase_context *c, const phase_search_options *options, bm_error *err);

/* ---- for its tests ---- */

typedef struct phase_trial {
	int number;					/* 0 ... */
	double rate_factor, batch_factor, augmentation; /* times the plan's */
	model_head head;
	double dropout;

	/* The last rung that it reached. */
	int rung;
	bool done, failed;
	double accuracy, loss; /* on the validation images */
	double seconds;	       /* of all rungs */
} phase_trial;

/* What trial `number` of a search with this seed tries. Trial 0 is the plan as it is. */
phase_trial phase_trial_draw(uint64_t seed, int number, const run_config *base);
/* The settings of a trial that trains `share` of the plan's epochs (or of its time budget). */
bm_status phase_trial_settings(const phase_trial *trial, const run_config *base, double share, run_config *out,
			       bm_error *err);
/* Rungs before the full training, and how many trials rung r begins with. */
int phase_search_rungs(int trials);
int phase_search_width(int trials, int rung);

#endif
