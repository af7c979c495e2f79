/* Images per second of the guide's model, for the work that shared/peers/keras_resnet50.py and torch_resnet50.py measure: evaluate,
 * stage 1, stage 2 (last 30 layers), all layers; random images, batch 16, Adam, warmed up by a pass that is not counted.
 * usage: bench-network [THREADS [STEPS]] */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/random.h"
#include "base/threads.h"
#include "model/model.h"
#include "train/loss.h"
#include "train/optimizer.h"

enum { BATCH = 16, SIZE = 224, CHANNELS = 3, CLASSES = 4 };

struct bench {
	int threads, steps;
	float *images; /* [BATCH][SIZE][SIZE][CHANNELS] */
	int labels[BATCH];
};

static bm_status pass(nn_network *network, train_optimizer *optimizer, struct bench *bench, int number, bm_error *err)
{
	float probabilities[BATCH * CLASSES], gradient[BATCH * CLASSES];
	bool training = optimizer != NULL;
	bm_status status =
		nn_network_forward(network, bench->images, BATCH, training, (uint64_t)number, probabilities, err);
	if (status != BM_OK || !training)
		return status;
	double loss;
	int correct;
	train_cross_entropy(probabilities, bench->labels, BATCH, CLASSES, NULL, 0.0f, NULL, NULL, &loss, gradient,
			    &correct);
	status = nn_network_backward(network, gradient, err);
	if (status == BM_OK)
		status = train_optimizer_step(optimizer, network, 1e-5f, NULL, err);
	if (status == BM_OK)
		status = nn_network_parameters_changed(network, err);
	return status;
}

static bm_status measure(const model *m, bool training, struct bench *bench, const char *name, bm_error *err)
{
	nn_network *network = NULL;
	train_optimizer optimizer = {0};
	const nn_options options = {.batch = BATCH,
				    .height = SIZE,
				    .width = SIZE,
				    .channels = CHANNELS,
				    .training = training,
				    .threads = bench->threads,
				    .seed = 1};
	const train_optimizer_options adam = {
		.beta1 = 0.9f, .beta2 = 0.999f, .epsilon = 1e-7f, .threads = bench->threads};
	bm_status status = nn_network_create(&m->graph, &m->weights, &options, &network, err);
	if (status == BM_OK && training)
		status = train_optimizer_create(network, &adam, &optimizer, err);
	if (status == BM_OK)
		status = pass(network, training ? &optimizer : NULL, bench, 0, err);
	double start = base_now();
	for (int i = 1; i <= bench->steps && status == BM_OK; i++)
		status = pass(network, training ? &optimizer : NULL, bench, i, err);
	double seconds = base_now() - start;
	if (status == BM_OK) {
		printf("brainmri %s %.2f images/s\n", name, BATCH * bench->steps / seconds);
		fflush(stdout);
	}
	train_optimizer_free(&optimizer);
	nn_network_free(network);
	return status;
}

static bm_status run(struct bench *bench, bm_error *err)
{
	static const char *const names[CLASSES] = {"glioma", "meningioma", "notumor", "pituitary"};
	const model_options options = {
		.width = 1, .image_size = SIZE, .channels = CHANNELS, .head = MODEL_HEAD_GUIDE, .classes = CLASSES};
	model m = {0};
	bm_status status = model_create(&options, names, false, 1, &m, err);
	if (status != BM_OK)
		return status;
	model_set_trainable(&m, MODEL_HEAD_ONLY, 0);
	status = measure(&m, false, bench, "evaluate", err);
	if (status == BM_OK)
		status = measure(&m, true, bench, "stage1", err);
	model_set_trainable(&m, MODEL_LAST_LAYERS, 30);
	if (status == BM_OK)
		status = measure(&m, true, bench, "stage2", err);
	model_set_trainable(&m, MODEL_ALL, 0);
	if (status == BM_OK)
		status = measure(&m, true, bench, "full", err);
	model_free(&m);
	return status;
}

int main(int argc, char **argv)
{
	bm_error err = {0};
	struct bench bench = {.threads = argc > 1 ? base_threads_parse(argv[1]) : 0, .steps = 8};
	if (argc > 2)
		bench.steps = (int)strtol(argv[2], NULL, 10);
	if (argc > 3 || bench.steps < 1 || (argc > 1 && bench.threads == 0)) {
		fprintf(stderr, "usage: bench-network [THREADS [STEPS]]\n");
		return 2;
	}
	size_t count = (size_t)BATCH * SIZE * SIZE * CHANNELS;
	bench.images = base_malloc(count, sizeof *bench.images, "images", &err);
	bm_status status = bench.images ? BM_OK : BM_ERR_MEMORY;
	if (status == BM_OK) {
		base_random r = base_random_make(1, 1);
		for (size_t i = 0; i < count; i++)
			bench.images[i] = base_random_uniform(&r);
		for (int i = 0; i < BATCH; i++)
			bench.labels[i] = (int)base_random_below(&r, CLASSES);
		status = run(&bench, &err);
	}
	base_free(bench.images);
	if (status != BM_OK) {
		fprintf(stderr, "bench-network: %s\n", err.message);
		return 1;
	}
	printf("brainmri peak memory %.0f MB\n", (double)base_memory_resident_peak() / 1e6);
	return 0;
}
