/* What the files of this folder share: where a training stands, and what it works with. */
#ifndef TRAIN_STATE_H
#define TRAIN_STATE_H

#include "base/hash.h"
#include "model/predict.h"
#include "train/budget.h"
#include "train/optimizer.h"
#include "train/sam.h"
#include "train/schedule.h"
#include "train/teachers.h"
#include "train/train.h"

/* Where a training stands, down to the batch. All of it is in a checkpoint. */
typedef struct train_state {
	int stage;	     /* index; plan->count: finished */
	int epoch;	     /* finished ones of this stage */
	size_t batch;	     /* finished ones of the running epoch */
	uint64_t step;	     /* of the whole training; numbers dropout masks */
	uint64_t cycle_step; /* of the stages with a one-cycle rate */
	train_cycle cycle;
	uint64_t optimizer_step; /* set when a checkpoint is written */
	double loss_sum;	 /* over the running epoch's batches */
	size_t correct, seen;
	double epoch_seconds; /* of the running epoch, over all sittings */
	double seconds;	      /* of the whole training, at the checkpoint */
	double rate_factor;   /* by reduce-on-plateau, in (0, 1] */
	double plateau_best;  /* smallest validation loss */
	int plateau_wait;
	int stop_wait;
	bool stage_over; /* stopped early */
	bool have_best;	 /* of this stage */
	int best_epoch;
	double best_accuracy, best_loss;
} train_state;

/* An optimiser's moments in Keras' layout, parameter after parameter: what outlives a compiled network. */
typedef struct train_moments {
	float *m, *v; /* [count] */
	size_t count;
	uint64_t step;
} train_moments;

typedef struct trainer {
	model *m;
	const data_pack *pack;
	const data_split *split;
	train_plan *plan;
	const train_options *options;
	const base_observer *observer;
	train_history *history;
	int threads;
	bool weighted;
	float class_weights[MODEL_CLASSES_MAX];
	int *validation_labels; /* [split->count[DATA_VALIDATION]] */
	float *validation;	/* probabilities [split->count[DATA_VALIDATION]][classes] */
	base_hash data_hash;	/* of pack and split */
	double budget;		/* seconds; 0: none */
	train_cost costs[TRAIN_STAGES_MAX];
	double begin;	/* base_now() of this sitting */
	double earlier; /* seconds of the sittings before */
	bool resumed;

	train_state state;

	/* Of the running stage. */
	nn_network *network;
	data_loader *loader;
	model_predictor *predictor;
	train_optimizer optimizer;
	train_sam sam;			 /* .values NULL: the stage has none */
	float *probabilities, *gradient; /* [batch][classes] */
	float *mixed;			 /* [batch][image_size][image_size][channels]; NULL: the stage mixes none */
	int *mixed_labels;		 /* [batch] */
	train_teachers teachers;
	nn_weights ema;		/* .items NULL: none */
	size_t last_checkpoint; /* state.batch of it */
	base_hash frozen;	/* hash of the stage's start weights on the disk */
	bool frozen_written;
} trainer;

/* stage.c */
train_optimizer_options train_adam_options(const train_stage *stage, int threads);
int train_validation_batch(const train_stage *stage);
bm_status train_network_create(const model *m, const train_stage *stage, uint64_t seed, int threads, nn_network **out,
			       bm_error *err);
bm_status train_loader_create(const model *m, const data_pack *pack, const data_split *split, const train_stage *stage,
			      uint64_t seed, int threads, data_loader **out, bm_error *err);
bm_status train_stage_open(trainer *t, bm_error *err); /* compiles the stage that state.stage names, from m->weights */
void train_stage_close(trainer *t);
double train_rate(const trainer *t);		      /* of the next step */
bm_status train_epoch_run(trainer *t, bm_error *err); /* from state.batch to the epoch's end, validation included */
double train_seconds(const trainer *t);		      /* of the whole training */

/* moments.c */
bm_status train_moments_take(trainer *t, train_moments *moments, bm_error *err);
bm_status train_moments_give(trainer *t, const train_moments *moments,
			     bm_error *err); /* BM_ERR_FORMAT: they do not fit */
/* Writes the model `shown`, which has t's layers, with t's optimiser as it stands. */
bm_status train_moments_save(trainer *t, const model *shown, const char *path, bm_error *err);
void train_moments_free(train_moments *moments);
bm_status train_ema_start(trainer *t, bm_error *err); /* a copy of m->weights */
void train_ema_move(trainer *t, float decay);	      /* towards m->weights */

/* checkpoint.c */
bm_status train_checkpoint_write(trainer *t, bm_error *err);
/* Looks for a checkpoint. *found says whether there is one; state, history, plan and m->weights are then as they were, and *moments holds
 * what train_moments_give wants behind train_stage_open. BM_ERR_USAGE when it belongs to another plan, data set or model. */
bm_status train_checkpoint_read(trainer *t, bool *found, train_moments *moments, bm_error *err);
bm_status train_checkpoint_path(const trainer *t, char **path, bm_error *err); /* base_free */

/* memory.c */
/* Bytes that a stage takes at most, the process as it stands not counted. Sets m's trainable flags. */
bm_status train_memory_needed(model *m, const train_stage *stage, const train_options *options, size_t train_images,
			      uint64_t *bytes, bm_error *err);
/* BM_ERR_MEMORY, with the batch that fits, when a stage of the plan from `first` on needs more than `available` bytes. */
bm_status train_memory_check(model *m, const train_plan *plan, const train_options *options, int first,
			     size_t train_images, uint64_t available, bm_error *err);

/* print.c: the guide's lines */
void train_print_configuration(const trainer *t);
void train_print_stage(const trainer *t, int64_t trainable);
void train_print_epoch_begin(const trainer *t);
void train_print_progress(const trainer *t, size_t batches, double seconds);
void train_print_epoch_end(const trainer *t, const train_epoch *epoch, size_t batches);
void train_print_stage_end(const trainer *t);
void train_print_summary(const trainer *t);
const char *train_format_rate(double rate, char *buffer); /* "0.00001"; buffer at least 32 bytes */
/* best_model_stage<number>.keras in the run folder; base_free. */
bm_status train_best_path(const trainer *t, int stage, char **path, bm_error *err);

/* tell.c: the same as events */
void train_tell_stage(const trainer *t);
/* Behind the step: loss and correct answers of its batch, the rate that it was made with. */
void train_tell_step(const trainer *t, const data_batch *batch, double loss, size_t correct, double rate);
void train_tell_epoch(const trainer *t); /* the last of the history */
void train_tell_past(const trainer *t);	 /* the history of a resumed training */

/* history.c */
bm_status train_history_add(train_history *history, const train_epoch *epoch, bm_error *err);

#endif
