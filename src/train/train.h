/* Phase 8: a plan of stages, trained one after the other, with checkpoints that a later process can go on from. */
#ifndef TRAIN_TRAIN_H
#define TRAIN_TRAIN_H

#include "base/observer.h"
#include "data/loader.h"
#include "data/split.h"
#include "model/model.h"

#define TRAIN_STAGES_MAX 8
#define TRAIN_TEACHERS_MAX 16

typedef enum train_schedule {
	TRAIN_CONSTANT,
	TRAIN_ONE_CYCLE, /* Smith & Topin 2018, cosine: warms up over the first tenth, anneals to ~0; spans all stages of a plan that use it */
} train_schedule;

typedef struct train_stage {
	char title[96]; /* "Training with frozen ResNet-50 base" */
	int number;	/* as printed and in file names: best_model_stage<number>.keras */
	int epochs;
	model_part part;
	int last_layers; /* for MODEL_LAST_LAYERS */
	int image_size;
	int batch;
	train_schedule schedule;
	float learning_rate; /* peak */
	float weight_decay;  /* > 0: AdamW */
	float label_smoothing;
	float clip_norm;
	data_augmentation augmentation;
	float mixup; /* alpha of Beta(alpha, alpha), by which two images and their losses are mixed (Zhang et al. 2018), at most 4; 0: not */
	float distillation; /* share of the loss that compares with what the teachers say of the same images, [0, 1]; 0: labels only (teachers.h) */
	int patience; /* epochs without a better validation accuracy until the stage ends early; 0: never */
	int plateau_patience; /* epochs without a better validation loss until the rate is multiplied by plateau_factor; 0: never */
	float plateau_factor;
	float bn_momentum; /* of the trainable batch norms' moving statistics while this stage trains; 0: the layer's own (Keras: 0.99, which
	                          * forgets the random beginning only after some 500 steps) */
	float ema_decay; /* per step, in [0, 1): validated and saved are exponential moving averages of the weights and moving statistics; 0: not */
	float sam_rho; /* steps go by the gradient where the loss is highest within about this distance of the weights (sam.h); 0: by that at the weights */
	bool bf16;     /* convolutions multiply in bfloat16 (nn/network.h); weights, sums and validation are f32 */
	bool keep_best; /* the stage's model is that of its best epoch (by validation accuracy, then loss), else of its last */
} train_stage;

typedef struct train_plan {
	char name[32]; /* "two-stage", "scratch" */
	train_stage stages[TRAIN_STAGES_MAX];
	int count;
	bool class_weights;
	bool mirror; /* evaluate the mean of an image and its mirror image */
	double time_budget; /* seconds for training and validation together; 0: none. The step rate of every stage is measured first and the epochs
	                      * are scaled to fit; the plan with the epochs so found is what is saved and repeated */
	double fitted_budget; /* the time budget that the epochs were found for; 0: they are as given */
} train_plan;

/* The stage with that number; NULL: there is none. */
const train_stage *train_plan_stage(const train_plan *plan, int number);

/* The guide's: stage 1 frozen, 5 epochs, Adam 1e-3; stage 2 last 30 layers, 10 epochs, 1e-5; batch 16; augmentation. */
void train_plan_two_stage(train_plan *plan, int image_size);
/* All layers from random weights, growing image sizes, one cycle, AdamW, label smoothing. */
void train_plan_scratch(train_plan *plan, int image_size);
/* The sizes, in pixels a side, that the plans are meant for: the guide's, and the one that makes the most of an hour on two cores. */
#define TRAIN_TWO_STAGE_SIZE 224
#define TRAIN_SCRATCH_SIZE 128
#define TRAIN_COMPACT_SIZE 160
/* The same for the compact network: sizes of 0.6, 0.8 and 1 of image_size, batch 64, AdamW 0.05, one cycle to 4e-3, mixup, 40 minutes. */
void train_plan_compact(train_plan *plan, int image_size);
/* Makes the titles that the plans here give say the size of the stage and, when the network is the compact one, no other network's name. */
void train_plan_fit_titles(train_plan *plan, bool compact);
/* BM_ERR_USAGE, naming stage and field, for a plan that cannot be trained. train_run checks too. */
bm_status train_plan_check(const train_plan *plan, bm_error *err);
/* JSON text of a plan and back; what train_run saved and --config repeats. base_free. Read back, a stage must have epochs, part, image_size and
 * learning_rate; another field that is missing is off, or 16 (batch), constant (schedule), true (class_weights, keep_best); one that is unknown is
 * BM_ERR_FORMAT, as is one of a wrong type. */
bm_status train_plan_to_json(const train_plan *plan, char **json, bm_error *err);
bm_status train_plan_from_json(const char *json, train_plan *plan, bm_error *err);

typedef struct train_epoch {
	int stage;	       /* number */
	int epoch;	       /* 1.. within the stage */
	double loss, accuracy; /* of the training pass (augmented, dropout on) */
	double val_loss, val_accuracy;
	double learning_rate; /* at the end */
	double seconds, ms_per_step, images_per_second;
} train_epoch;

typedef struct train_history {
	train_epoch *epochs;
	size_t count, capacity;
	int best_stage, best_epoch; /* whose weights the model has: the best of the stages' (keep_best) */
	double seconds;		    /* of all training, over all sittings */
	bool early_stopped[TRAIN_STAGES_MAX];
} train_history;
void train_history_free(train_history *history);
/* training_history.json: Keras' History (lists loss, accuracy, val_loss, val_accuracy, learning_rate) and the stage of each. */
bm_status train_history_write(const train_history *history, const char *path, bm_error *err);
bm_status train_history_read(const char *path, train_history *history, bm_error *err);

typedef struct train_options {
	const char *run_folder; /* best_model_stage<n>.keras, training_history.json, checkpoint/ go here */
	uint64_t seed;
	int threads;	     /* 0: one per core */
	bool resume;	     /* go on from checkpoint/ when there is one for the same plan, data and model */
	bool save_optimizer; /* into the best models' files, for Keras to go on from: three times their size */
	const model *const
		*teachers;    /* [teacher_count]: finished models, compiled at the stages' sizes; the caller's */
	int teacher_count;    /* at most TRAIN_TEACHERS_MAX */
	int checkpoint_steps; /* a checkpoint at least every so many steps besides each epoch's end; 0: 200 */
} train_options;

/* Prints (through the observer) the guide's phase 8: configuration, stages, a progress bar and two lines per epoch, the summary.
 * model: changed in place; ends with the weights of the best stage's best epoch. plan->time_budget is resolved into epochs in place.
 * Errors: BM_ERR_NUMERIC (a loss that is not finite: the last good checkpoint is kept, what to try is said), BM_ERR_CANCELLED (checkpoint written),
 * BM_ERR_MEMORY (before the first step: says which batch would fit). */
bm_status train_run(model *m, const data_pack *pack, const data_split *split, train_plan *plan,
		    const train_options *options, const base_observer *observer, train_history *history, bm_error *err);

#endif
