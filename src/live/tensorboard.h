/* RUN/tensorboard, as Keras' TensorBoard callback leaves it: in `train` and `validation` epoch_loss, epoch_accuracy and, in `train`,
 * epoch_learning_rate (steps: epochs from 0) and batch_loss, batch_accuracy, batch_learning_rate (steps of the training); in `test` what the
 * evaluation found, and the picture of the confusion matrix. A resumed training goes on in new files beside the old ones; a new one removes them. */
#ifndef LIVE_TENSORBOARD_H
#define LIVE_TENSORBOARD_H

#include "base/observer.h"

typedef struct live_tensorboard live_tensorboard;

/* Hands everything on to `outer`, which may be NULL and has to outlive it. Nothing is written before there is something to write; what cannot be
 * written then is warned of, and the work goes on without. folder: of the run, copied. */
bm_status live_tensorboard_create(const char *folder, const base_observer *outer, live_tensorboard **out,
				  bm_error *err);
void live_tensorboard_free(live_tensorboard *board); /* NULL is allowed */
const base_observer *live_tensorboard_observer(const live_tensorboard *board);

#endif
