#include "base/memory.h"
#include "base/threads.h"
#include "train/loss.h"
#include "train/state.h"

#define WARM_UP 1
#define MEASURED 2

/* Seconds for one step: the mean of MEASURED steps behind a first that is not counted. */
static bm_status measure_steps(model *m, const data_pack *pack, const data_split *split, const train_stage *stage,
			       const train_options *options, int threads, const base_observer *observer,
			       train_cost *cost, bm_error *err)
{
	nn_network *network = NULL;
	data_loader *loader = NULL;
	train_optimizer optimizer = {0};
	train_teachers teachers = {0};
	const size_t outputs = (size_t)stage->batch * (size_t)m->options.classes;
	float *probabilities = base_calloc(outputs * 2, sizeof(float), "a batch's probabilities", err);
	bm_status status = probabilities ? BM_OK : BM_ERR_MEMORY;
	const double begin = base_now();
	if (status == BM_OK)
		status = train_network_create(m, stage, options->seed, threads, &network, err);
	if (status == BM_OK)
		status = train_loader_create(m, pack, split, stage, options->seed, threads, &loader, err);
	if (status == BM_OK)
		status = train_teachers_open(m, options, stage, threads, &teachers, err);
	const train_optimizer_options adam = train_adam_options(stage, threads);
	if (status == BM_OK)
		status = train_optimizer_create(network, &adam, &optimizer, err);
	if (status == BM_OK)
		status = data_loader_start(loader, 0, 0, err);
	double first = 0, last = 0;
	int done = 0;
	for (int i = 0; status == BM_OK && i < WARM_UP + MEASURED; i++) {
		const data_batch *batch = NULL;
		if (i == WARM_UP)
			first = base_now();
		status = base_check_cancel(observer, err);
		if (status == BM_OK)
			status = data_loader_next(loader, &batch, err);
		if (status == BM_OK && !batch) {
			if (i > WARM_UP)
				break;
			/* An epoch of one batch: the same again. */
			i--;
			status = data_loader_start(loader, 0, 0, err);
			continue;
		}
		double loss = 0;
		const float *said;
		if (status == BM_OK)
			status = train_teachers_ask(&teachers, batch->images, batch->count, (uint64_t)i, &said, err);
		for (int pass = 0; status == BM_OK && pass < (stage->sam_rho > 0 ? 2 : 1); pass++) {
			status = nn_network_forward(network, batch->images, batch->count, true, (uint64_t)i,
						    probabilities, err);
			if (status != BM_OK)
				break;
			train_cross_entropy(probabilities, batch->labels, batch->count, m->options.classes, NULL,
					    stage->label_smoothing, NULL, NULL, &loss, probabilities + outputs, NULL);
			status = nn_network_backward(network, probabilities + outputs, err);
		}
		/* The learning rate is 0: what is measured stays finite whatever the stage's rate is. */
		if (status == BM_OK)
			status = train_optimizer_step(&optimizer, network, 0, NULL, err);
		if (status == BM_OK)
			status = nn_network_parameters_changed(network, err);
		last = base_now();
		if (i >= WARM_UP)
			done++;
	}
	if (status == BM_OK) {
		cost->steps = data_loader_batches(loader);
		cost->step = (last - first) / done;
		cost->once = first - begin;
	}
	train_teachers_close(&teachers);
	train_optimizer_free(&optimizer);
	data_loader_free(loader);
	nn_network_free(network);
	base_free(probabilities);
	return status;
}

static bm_status measure_validation(model *m, const data_pack *pack, const data_split *split, const train_stage *stage,
				    bool mirror, int threads, const base_observer *observer, train_cost *cost,
				    bm_error *err)
{
	model_predictor *predictor = NULL;
	const size_t all = split->count[DATA_VALIDATION];
	const int batch = train_validation_batch(stage);
	const size_t few = all < (size_t)batch * 2 ? all : (size_t)batch * 2;
	const size_t one = few < (size_t)batch ? few : (size_t)batch;
	float *probabilities = base_calloc(few * (size_t)m->options.classes, sizeof(float), "probabilities", err);
	bm_status status = probabilities ? BM_OK : BM_ERR_MEMORY;
	const double begin = base_now();
	double first = 0;
	if (status == BM_OK)
		status = model_predictor_create(m, batch, stage->image_size, threads, &predictor, err);
	if (status == BM_OK)
		status = model_predict_pack(predictor, pack, split->indices[DATA_VALIDATION], one, mirror, observer,
					    probabilities, err);
	if (status == BM_OK) {
		first = base_now();
		status = model_predict_pack(predictor, pack, split->indices[DATA_VALIDATION], few, mirror, observer,
					    probabilities, err);
	}
	if (status == BM_OK) {
		cost->validation = (base_now() - first) * (double)all / (double)few;
		cost->once += first - begin;
	}
	model_predictor_free(predictor);
	base_free(probabilities);
	return status;
}

bm_status train_measure(model *m, const data_pack *pack, const data_split *split, const train_stage *stage, bool mirror,
			const train_options *options, int threads, const base_observer *observer, train_cost *cost,
			bm_error *err)
{
	const base_observer quiet = {.cancel = observer ? observer->cancel : NULL};
	*cost = (train_cost){0};
	model_set_trainable(m, stage->part, stage->last_layers);
	bm_status status = measure_steps(m, pack, split, stage, options, threads, &quiet, cost, err);
	if (status == BM_OK)
		status = measure_validation(m, pack, split, stage, mirror, threads, &quiet, cost, err);
	return status;
}
