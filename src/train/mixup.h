#ifndef TRAIN_MIXUP_H
#define TRAIN_MIXUP_H

#include "data/loader.h"
#include "train/loss.h"

/* Mixup (Zhang et al. 2018): image i of the batch with image count - 1 - i, all by one share, the larger of l and 1 - l with l from
 * Beta(alpha, alpha), drawn for (seed, step). plane: values of an image. images [count][plane] and labels [count] are written; `mix` points to
 * them. */
void train_mixup(const data_batch *batch, size_t plane, float alpha, uint64_t seed, uint64_t step, float *images,
		 int *labels, train_mix *mix);

#endif
