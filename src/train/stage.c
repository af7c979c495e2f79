#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/threads.h"
#include "train/loss.h"
#include "train/mixup.h"
#include "train/state.h"

#define PROGRESS_SECONDS 0.1
#define EMA_STEPS \
	4 /* the average moves every so many steps: copying the weights out at each would cost time for nothing */

static size_t image_values(const trainer *t)
{
	const size_t side = (size_t)t->plan->stages[t->state.stage].image_size;
	return side * side * (size_t)t->m->options.channels;
}

train_optimizer_options train_adam_options(const train_stage *stage, int threads)
{
	return (train_optimizer_options){
		.beta1 = 0.9f,
		.beta2 = 0.999f,
		.epsilon = 1e-7f,
		.weight_decay = stage->weight_decay,
		.clip_norm = stage->clip_norm,
		.threads = threads,
	};
}

int train_validation_batch(const train_stage *stage)
{
	return stage->image_size > 160 ? 16 : 32;
}

bm_status train_network_create(const model *m, const train_stage *stage, uint64_t seed, int threads, nn_network **out,
			       bm_error *err)
{
	const nn_options options = {
		.batch = stage->batch,
		.height = stage->image_size,
		.width = stage->image_size,
		.channels = m->options.channels,
		.training = true,
		.threads = threads,
		.seed = seed,
		.bf16 = stage->bf16,
	};
	/* The momentum is the stage's, not the model's: its file keeps Keras' own. */
	nn_graph graph = {0};
	bm_status status = nn_graph_copy(&m->graph, &graph, err);
	for (int i = 0; status == BM_OK && stage->bn_momentum > 0 && i < graph.count; i++)
		if (graph.layers[i].type == NN_BATCH_NORM && graph.layers[i].trainable)
			graph.layers[i].momentum = stage->bn_momentum;
	if (status == BM_OK)
		status = nn_network_create(&graph, &m->weights, &options, out, err);
	nn_graph_free(&graph);
	return status;
}

bm_status train_loader_create(const model *m, const data_pack *pack, const data_split *split, const train_stage *stage,
			      uint64_t seed, int threads, data_loader **out, bm_error *err)
{
	const data_loader_options options = {
		.batch = stage->batch,
		.image_size = stage->image_size,
		.channels = m->options.channels,
		.shuffle = true,
		.seed = seed,
		.threads = threads > 3 ? 2 : 1, /* an image takes far less time to make than to learn */
		.augmentation = stage->augmentation,
	};
	return data_loader_create(pack, split->indices[DATA_TRAIN], split->count[DATA_TRAIN], &options, out, err);
}

bm_status train_stage_open(trainer *t, bm_error *err)
{
	const train_stage *stage = &t->plan->stages[t->state.stage];
	const size_t outputs = (size_t)stage->batch * (size_t)t->m->options.classes;
	const train_optimizer_options adam = train_adam_options(stage, t->threads);
	train_stage_close(t);
	model_set_trainable(t->m, stage->part, stage->last_layers);
	t->probabilities = base_calloc(outputs, sizeof(float), "a batch's probabilities", err);
	t->gradient = base_calloc(outputs, sizeof(float), "a batch's gradient", err);
	bm_status status = t->probabilities && t->gradient ? BM_OK : BM_ERR_MEMORY;
	if (status == BM_OK && stage->mixup > 0) {
		t->mixed = base_malloc((size_t)stage->batch * image_values(t), sizeof(float), "mixed images", err);
		t->mixed_labels = base_malloc((size_t)stage->batch, sizeof(int), "mixed images", err);
		status = t->mixed && t->mixed_labels ? BM_OK : BM_ERR_MEMORY;
	}
	if (status == BM_OK)
		status = train_network_create(t->m, stage, t->options->seed, t->threads, &t->network, err);
	if (status == BM_OK)
		status = train_optimizer_create(t->network, &adam, &t->optimizer, err);
	if (status == BM_OK && stage->sam_rho > 0)
		status = train_sam_create(t->network, &t->sam, err);
	if (status == BM_OK)
		status = train_loader_create(t->m, t->pack, t->split, stage, t->options->seed, t->threads, &t->loader,
					     err);
	if (status == BM_OK)
		status = model_predictor_create(t->m, train_validation_batch(stage), stage->image_size, t->threads,
						&t->predictor, err);
	if (status == BM_OK)
		status = train_teachers_open(t->m, t->options, stage, t->threads, &t->teachers, err);
	if (stage->ema_decay <= 0)
		nn_weights_free(&t->ema);
	else if (status == BM_OK && !t->ema.items)
		status = train_ema_start(t, err);
	t->last_checkpoint = t->state.batch;
	if (status != BM_OK)
		train_stage_close(t);
	return status;
}

void train_stage_close(trainer *t)
{
	train_optimizer_free(&t->optimizer);
	train_sam_free(&t->sam);
	nn_network_free(t->network);
	data_loader_free(t->loader);
	model_predictor_free(t->predictor);
	train_teachers_close(&t->teachers);
	base_free(t->probabilities);
	base_free(t->gradient);
	base_free(t->mixed);
	base_free(t->mixed_labels);
	t->mixed = NULL;
	t->mixed_labels = NULL;
	t->network = NULL;
	t->loader = NULL;
	t->predictor = NULL;
	t->probabilities = t->gradient = NULL;
}

static double rate_at(const trainer *t, uint64_t cycle_step)
{
	const train_stage *stage = &t->plan->stages[t->state.stage];
	const double peak = (double)stage->learning_rate * t->state.rate_factor;
	if (stage->schedule == TRAIN_ONE_CYCLE)
		return peak * train_cycle_shape(train_cycle_progress(&t->state.cycle, cycle_step));
	return peak;
}

double train_rate(const trainer *t)
{
	return rate_at(t, t->state.cycle_step);
}

double train_seconds(const trainer *t)
{
	return t->earlier + (base_now() - t->begin);
}

static bm_status not_finite(const trainer *t, const char *what, double value, bm_error *err)
{
	const train_stage *stage = &t->plan->stages[t->state.stage];
	char rate[32];
	train_format_rate((double)stage->learning_rate / 10, rate);
	return base_fail(err, BM_ERR_NUMERIC,
			 "stage %d, epoch %d, step %zu: the %s is not finite (%g); training stopped, the last good "
			 "checkpoint is kept in '%s/checkpoint'. Try a lower learning rate, for instance %s, and look "
			 "at the images for damaged ones",
			 stage->number, t->state.epoch + 1, t->state.batch + 1, what, value, t->options->run_folder,
			 rate);
}

/* What a step learns from. */
typedef struct lesson {
	const float *images;
	const int *labels;
	int count;
	const train_mix *mix;	    /* NULL: none */
	const train_taught *taught; /* NULL: none */
} lesson;

/* The gradient of the network as it stands. */
static bm_status differentiate(trainer *t, const lesson *l, double *loss, int *correct, bm_error *err)
{
	const train_stage *stage = &t->plan->stages[t->state.stage];
	bm_status status =
		nn_network_forward(t->network, l->images, l->count, true, t->state.step, t->probabilities, err);
	if (status != BM_OK)
		return status;
	train_cross_entropy(t->probabilities, l->labels, l->count, t->m->options.classes,
			    t->weighted ? t->class_weights : NULL, stage->label_smoothing, l->mix, l->taught, loss,
			    t->gradient, correct);
	return isfinite(*loss) ? nn_network_backward(t->network, t->gradient, err) : not_finite(t, "loss", *loss, err);
}

/* The same as train_sam (sam.h) wants it. Loss and correct answers stay those of the weights themselves. */
static bm_status differentiate_above(trainer *t, const lesson *l, float rho, bm_error *err)
{
	double loss;
	float norm;
	int correct;
	bm_status status = train_sam_climb(&t->sam, t->network, rho, t->threads, &norm, err);
	if (status == BM_ERR_NUMERIC)
		return not_finite(t, "gradient", (double)norm, err);
	if (status != BM_OK)
		return status;
	status = differentiate(t, l, &loss, &correct, err);
	if (status == BM_OK)
		status = train_sam_return(&t->sam, t->network, err);
	return status;
}

/* The first steps of a stage forget the moving statistics of another image size or of the random beginning, which a momentum of 0.95
 * still holds a fifth of after 32 steps: a short trial would be judged by them. */
static void renew_statistics(trainer *t)
{
	const double done = (double)t->state.epoch * (double)data_loader_batches(t->loader) + (double)t->state.batch;
	nn_network_renew_statistics(t->network, (float)(1 / (1 + done)));
}

static bm_status learn(trainer *t, const data_batch *batch, double *rate, bm_error *err)
{
	train_state *s = &t->state;
	const train_stage *stage = &t->plan->stages[s->stage];
	double loss = 0;
	float norm = 0;
	int correct = 0;
	train_mix mix = {0};
	train_taught taught = {.share = stage->distillation};
	lesson l = {.images = batch->images, .labels = batch->labels, .count = batch->count};
	if (stage->mixup > 0) {
		train_mixup(batch, image_values(t), stage->mixup, t->options->seed, s->step, t->mixed, t->mixed_labels,
			    &mix);
		l.images = t->mixed;
		l.mix = &mix;
	}
	bm_status status = train_teachers_ask(&t->teachers, l.images, l.count, s->step, &taught.probabilities, err);
	if (taught.probabilities)
		l.taught = &taught;
	if (stage->bn_momentum > 0)
		renew_statistics(t);
	if (status == BM_OK)
		status = differentiate(t, &l, &loss, &correct, err);
	if (status == BM_OK && stage->sam_rho > 0)
		status = differentiate_above(t, &l, stage->sam_rho, err);
	if (status != BM_OK)
		return status;
	*rate = train_rate(t);
	status = train_optimizer_step(&t->optimizer, t->network, (float)*rate, &norm, err);
	if (status == BM_ERR_NUMERIC)
		return not_finite(t, "gradient", (double)norm, err);
	if (status == BM_OK)
		status = nn_network_parameters_changed(t->network, err);
	if (status != BM_OK)
		return status;
	s->loss_sum += loss;
	s->correct += (size_t)correct;
	s->seen += (size_t)batch->count;
	s->batch++;
	s->step++;
	if (stage->schedule == TRAIN_ONE_CYCLE)
		s->cycle_step++;
	if (t->ema.items && s->step % EMA_STEPS == 0) {
		/* At first the average follows closely, or it would remember the random beginning. */
		const double n = (double)s->step, close = (1 + n) / (10 + n);
		const double decay = close < (double)stage->ema_decay ? close : (double)stage->ema_decay;
		status = nn_network_store(t->network, &t->m->weights, err);
		if (status == BM_OK)
			train_ema_move(t, (float)pow(decay, EMA_STEPS));
	}
	return status;
}

static bm_status checkpoint_if_due(trainer *t, bm_error *err)
{
	const size_t every = t->options->checkpoint_steps > 0 ? (size_t)t->options->checkpoint_steps : 200;
	if (t->state.batch < t->last_checkpoint + every || t->state.batch == data_loader_batches(t->loader))
		return BM_OK;
	return train_checkpoint_write(t, err);
}

static bm_status train_pass(trainer *t, double *rate, bm_error *err)
{
	train_state *s = &t->state;
	const size_t batches = data_loader_batches(t->loader);
	const double earlier = s->epoch_seconds;
	double shown = 0;
	bm_status status = BM_OK;
	*rate = train_rate(t);
	if (s->batch >= batches) { /* stopped in the validation: the rate is that of the epoch's last step */
		if (s->cycle_step > 0)
			*rate = rate_at(t, s->cycle_step - 1);
		return BM_OK;
	}
	const double begin = base_now();
	/* Any number that no other epoch of the plan has. */
	status = data_loader_start(t->loader, (uint64_t)s->stage * 1000000 + (uint64_t)s->epoch, s->batch, err);
	while (status == BM_OK && s->batch < batches) {
		const data_batch *batch = NULL;
		const double loss = s->loss_sum;
		const size_t correct = s->correct;
		status = base_check_cancel(t->observer, err);
		if (status == BM_OK)
			status = data_loader_next(t->loader, &batch, err);
		if (status == BM_OK && !batch)
			status = base_fail(err, BM_ERR_INTERNAL,
					   "an epoch ended after %zu of %zu batches; please report this", s->batch,
					   batches);
		if (status == BM_OK)
			status = learn(t, batch, rate, err);
		const double now = base_now();
		s->epoch_seconds = earlier + (now - begin);
		if (status == BM_OK)
			train_tell_step(t, batch, s->loss_sum - loss, s->correct - correct, *rate);
		if (status == BM_OK && (now - shown >= PROGRESS_SECONDS || s->batch == batches)) {
			shown = now;
			train_print_progress(t, batches, s->epoch_seconds);
		}
		if (status == BM_OK)
			status = checkpoint_if_due(t, err);
	}
	return status;
}

static bm_status validate(trainer *t, double *loss, double *accuracy, bm_error *err)
{
	const train_stage *stage = &t->plan->stages[t->state.stage];
	const size_t count = t->split->count[DATA_VALIDATION];
	const base_observer quiet = {.cancel = t->observer ? t->observer->cancel : NULL};
	int correct = 0;
	bm_status status = nn_network_store(t->network, &t->m->weights, err);
	if (status == BM_OK)
		status = model_predictor_update(t->predictor, t->ema.items ? &t->ema : &t->m->weights, err);
	if (status == BM_OK)
		status = model_predict_pack(t->predictor, t->pack, t->split->indices[DATA_VALIDATION], count,
					    t->plan->mirror, &quiet, t->validation, err);
	if (status != BM_OK)
		return status;
	train_cross_entropy(t->validation, t->validation_labels, (int)count, t->m->options.classes, NULL,
			    stage->label_smoothing, NULL, NULL, loss, NULL, &correct);
	*accuracy = (double)correct / (double)count;
	return isfinite(*loss) ? BM_OK : not_finite(t, "validation loss", *loss, err);
}

/* A checkpoint, and a message that says how to go on. */
static bm_status interrupted(trainer *t, bm_error *err)
{
	const train_state *s = &t->state;
	bm_status status = train_checkpoint_write(t, err);
	if (status != BM_OK)
		return base_prefix(err, status, "stopped on request, but the checkpoint could not be written");
	return base_fail(err, BM_ERR_CANCELLED,
			 "stopped on request in stage %d, epoch %d, behind step %zu of %zu; all of it is kept in "
			 "'%s/checkpoint': the same command with --resume goes on from there",
			 t->plan->stages[s->stage].number, s->epoch + 1, s->batch, data_loader_batches(t->loader),
			 t->options->run_folder);
}

/* One slow epoch on a busy machine says half as much as all that was seen before. */
static void observe(double *cost, double seconds)
{
	*cost = *cost > 0 ? (*cost + seconds) / 2 : seconds;
}

bm_status train_epoch_run(trainer *t, bm_error *err)
{
	train_state *s = &t->state;
	const train_stage *stage = &t->plan->stages[s->stage];
	const size_t batches = data_loader_batches(t->loader);
	train_epoch epoch = {.stage = stage->number, .epoch = s->epoch + 1};
	train_print_epoch_begin(t);
	bm_status status = train_pass(t, &epoch.learning_rate, err);
	const double begin = base_now();
	if (status == BM_OK)
		status = validate(t, &epoch.val_loss, &epoch.val_accuracy, err);
	if (status == BM_ERR_CANCELLED)
		return interrupted(t, err);
	if (status != BM_OK)
		return status;
	const double validation = base_now() - begin;
	epoch.loss = s->loss_sum / (double)batches;
	epoch.accuracy = (double)s->correct / (double)s->seen;
	epoch.seconds = s->epoch_seconds + validation;
	epoch.ms_per_step = 1000 * s->epoch_seconds / (double)batches;
	epoch.images_per_second = s->epoch_seconds > 0 ? (double)s->seen / s->epoch_seconds : 0;
	observe(&t->costs[s->stage].step, s->epoch_seconds / (double)batches);
	observe(&t->costs[s->stage].validation, validation);
	train_print_epoch_end(t, &epoch, batches);
	status = train_history_add(t->history, &epoch, err);
	if (status != BM_OK)
		return status;
	train_tell_epoch(t);
	s->epoch++;
	s->batch = 0;
	s->loss_sum = 0;
	s->correct = s->seen = 0;
	s->epoch_seconds = 0;
	return BM_OK;
}
