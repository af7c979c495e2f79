/* Learning from finished models: distillation (Hinton, Vinyals & Dean 2015) on the same changed and mixed images that the network sees
 * (Beyer et al. 2022), each asked at the image size that it was trained for. */
#ifndef TRAIN_TEACHERS_H
#define TRAIN_TEACHERS_H

#include "train/train.h"

/* The teachers, compiled for a stage. */
typedef struct train_teachers {
	nn_network *networks[TRAIN_TEACHERS_MAX];
	int channels[TRAIN_TEACHERS_MAX], sizes[TRAIN_TEACHERS_MAX]; /* that each takes */
	int count;
	int own_channels, own_size; /* of the network that learns */
	float *probabilities;	    /* [batch][classes] */
	float *grey;		    /* [batch][own_size][own_size] */
	float *resized;		    /* [batch][size][size] of the largest teacher */
	float *spread;		    /* the same with three channels */
} train_teachers;

/* BM_ERR_USAGE, naming what differs, for a teacher that knows other classes than m, and for a plan that wants
 * teachers (train_stage.distillation) where there are none, or the other way round. */
bm_status train_teachers_check(const model *m, const train_plan *plan, const train_options *options, bm_error *err);
/* Leaves *out empty when the stage learns from none. train_teachers_close. */
bm_status train_teachers_open(const model *m, const train_options *options, const train_stage *stage, int threads,
			      train_teachers *out, bm_error *err);
void train_teachers_close(train_teachers *teachers); /* safe on a zeroed one */
/* What a teacher says of images [count][own_size][own_size][own_channels], which are grey: it is shown them resized to its own size (at another
 * one a network is right less often), the first of three channels if it takes one, the same thrice if it takes three; *out [count][classes]
 * holds until the next call, NULL: there is none. Teachers take turns by `step`: the gradient in the logits is linear in what is taught, so over
 * the steps it is that of learning from their mean, at the price of one. */
bm_status train_teachers_ask(train_teachers *teachers, const float *images, int count, uint64_t step, const float **out,
			     bm_error *err);
/* Of the teachers' weights, in their order; all zero for none. */
base_hash train_teachers_hash(const train_options *options);
/* Bytes that train_teachers_open takes at most. */
bm_status train_teachers_memory(const train_options *options, const train_stage *stage, uint64_t *bytes, bm_error *err);

#endif
