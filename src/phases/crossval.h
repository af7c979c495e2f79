/* Cross-validation: the same run on every split of a set of folds, which stand in OUT/fold1, OUT/fold2, ... as run folders. */
#ifndef PHASES_CROSSVAL_H
#define PHASES_CROSSVAL_H

#include "phases/context.h"

typedef struct phase_crossval_options {
	int folds;   /* 2 to DATA_FOLDS_MAX; 0: as many as what is gone on with has, else 5 */
	bool resume; /* folds that are finished stay, one that was stopped goes on */
} phase_crossval_options;

/* The context has the run folder OUT, with the settings of every fold; a time budget is that of one fold. Lists and preprocesses the data
 * once, then trains and evaluates fold after fold, and leaves crossval.json. BM_ERR_CANCELLED says how to go on. */
bm_status phase_crossval(phase_context *c, const phase_crossval_options *options, bm_error *err);

#endif
