/* A network made wider and deeper without changing what it computes. */
#ifndef MODEL_GROW_H
#define MODEL_GROW_H

#include "model/model.h"

/* Wider by Net2WiderNet (Chen, Goodfellow, Shlens 2016): every channel of `to` repeats one of `from`, and what reads several copies of one
 * channel shares its weight out among them at random, so that the copies learn different things. Deeper by blocks at the end of a stage whose
 * last batch norm is 0: the identity (as Goyal et al. 2017 begin all blocks); their other weights stay as `to` has them. `to` computes what `from` does,
 * but for rounding. The same networks give the same bytes. `head` false: the base alone; to's head stays. Both were made with the same
 * options except a width and a depth that are not smaller and, without the head, the classes. BM_ERR_USAGE when a layer is narrower, or
 * another one, or missing: then nothing has changed. */
bm_status model_grow(const model *from, bool head, model *to, bm_error *err);

#endif
