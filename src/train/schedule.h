/* The one-cycle learning rate (Smith & Topin 2018), as a fraction of the stage's peak, over all steps of a plan that use it. */
#ifndef TRAIN_SCHEDULE_H
#define TRAIN_SCHEDULE_H

#include <stdint.h>

/* Where the cycle stands. When the number of steps changes on the way, the rest of the cycle is stretched or squeezed from
 * where it is: the rate never jumps. */
typedef struct train_cycle {
	double anchor; /* progress, in [0, 1], at anchor_step */
	uint64_t anchor_step;
	uint64_t total; /* steps; progress is 1 there */
} train_cycle;

/* Progress in [0, 1] -> fraction of the peak: 1/25 at 0, 1 at 0.1, 0 (nearly) at 1; cosine both ways. */
double train_cycle_shape(double progress);
double train_cycle_progress(const train_cycle *cycle, uint64_t step);
/* From `step` on there are `remaining` steps. A zeroed cycle begins. */
void train_cycle_refit(train_cycle *cycle, uint64_t step, uint64_t remaining);

#endif
