/* A network made wider without changing what it computes. */
#ifndef MODEL_WIDEN_H
#define MODEL_WIDEN_H

#include "model/model.h"

/* Net2WiderNet (Chen, Goodfellow, Shlens 2016): every channel of `to` repeats one of `from`, and what reads several copies of one channel
 * shares its weight out among them at random, so that the copies learn different things. `to` computes what `from` does, but for
 * rounding. The same networks give the same bytes. `head` false: the base alone; to's head stays. Both were made with the same options
 * except a width that is not smaller and, without the head, the classes. BM_ERR_USAGE when a layer is narrower or another one: then nothing
 * has changed. */
bm_status model_widen(const model *from, bool head, model *to, bm_error *err);

#endif
