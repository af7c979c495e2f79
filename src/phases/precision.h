/* Whether the precision that a plan asks for is worth its name on this processor. */
#ifndef PHASES_PRECISION_H
#define PHASES_PRECISION_H

#include "phases/context.h"

/* Warns when a stage of the plan multiplies in bfloat16 and this processor is slower at that than in f32, which it measures: for less than a second
 * and with all the threads, so once a command, before other work begins. Nothing is measured when options.precision_measured. */
bm_status phase_warn_of_slow_bf16(phase_context *context, bm_error *err);

#endif
