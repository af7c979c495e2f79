/* Whether a model that a training starts from, or learns from, has been trained on the images that the training is tested on. */
#ifndef PHASES_SEEN_H
#define PHASES_SEEN_H

#include "phases/context.h"

/* Warns when the run that `path` is of (its folder, or a file in it) trained on images of this run's test or validation part, as that makes
 * this run's figures too high: `what` ("teacher", "weights") and `path` name it. *known: whether path is of a run whose split.csv tells;
 * false too when it has another number of images, so is of other data. The context must have its split. */
void phase_warn_of_seen(const phase_context *context, const char *what, const char *path, bool *known);

#endif
