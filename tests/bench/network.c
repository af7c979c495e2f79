/* Images per second of the guide's model, for the work that shared/peers/keras_resnet50.py and torch_resnet50.py measure: evaluate,
 * stage 1, stage 2 (last 30 layers), all layers; random images, batch 16, Adam, warmed up by a pass that is not counted.
 * With bf16 each line is followed by the same work with convolutions in bfloat16, one pass of each in turn, where the processor can.
 * usage: bench-network [THREADS [STEPS [bf16]]] */
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
	bool bf16;
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

/* One network, or the same twice: in f32 and in bfloat16, their passes taking turns, as ratios of one call count. */
static bm_status measure(const model *m, bool training, struct bench *bench, const char *name, bm_error *err)
{
	enum { KINDS = 2 };
	const int kinds = bench->bf16 ? 2 : 1;
	nn_network *networks[KINDS] = {NULL};
	train_optimizer optimizers[KINDS];
	double seconds[KINDS] = {0};
	nn_options options = {.batch = BATCH,
			      .height = SIZE,
			      .width = SIZE,
			      .channels = CHANNELS,
			      .training = training,
			      .threads = bench->threads,
			      .seed = 1};
	const train_optimizer_options adam = {
		.beta1 = 0.9f, .beta2 = 0.999f, .epsilon = 1e-7f, .threads = bench->threads};
	bm_status status = BM_OK;
	memset(optimizers, 0, sizeof optimizers);
	for (int k = 0; k < kinds && status == BM_OK; k++) {
		options.bf16 = k == 1;
		status = nn_network_create(&m->graph, &m->weights, &options, &networks[k], err);
		if (status == BM_OK && training)
			status = train_optimizer_create(networks[k], &adam, &optimizers[k], err);
	}
	for (int i = 0; i <= bench->steps && status == BM_OK; i++)
		for (int k = 0; k < kinds && status == BM_OK; k++) {
			const double start = base_now();
			status = pass(networks[k], training ? &optimizers[k] : NULL, bench, i, err);
			if (i > 0) /* the first is not counted */
				seconds[k] += base_now() - start;
		}
	for (int k = 0; k < kinds && status == BM_OK; k++)
		printf("%s %s %.2f images/s\n", k == 0 ? "brainmri" : "bfloat", name,
		       BATCH * bench->steps / seconds[k]);
	fflush(stdout);
	for (int k = 0; k < kinds; k++) {
		train_optimizer_free(&optimizers[k]);
		nn_network_free(networks[k]);
	}
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
	bench.bf16 = argc > 3 && nn_has_bf16();
	if (argc > 4 || (argc > 3 && strcmp(argv[3], "bf16") != 0) || bench.steps < 1 ||
	    (argc > 1 && bench.threads == 0)) {
		fprintf(stderr, "usage: bench-network [THREADS [STEPS [bf16]]]\n");
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
