/* brainmri-nn-bench: images/s of ResNet-50 with the guide's head, on random images; for make bench.
 * Arguments: [eval|stage1|stage2|full] [batch] [image size] [steps] [threads]. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/memory.h"
#include "base/threads.h"
#include "nn/network.h"

typedef struct builder {
	nn_graph graph;
	int at; /* the layer that was added last */
	bm_error err;
	bool failed;
} builder;

static void add(builder *b, nn_type type, const char *name, int input, nn_layer layer)
{
	layer.type = type;
	snprintf(layer.name, sizeof layer.name, "%s", name);
	if (!b->failed)
		b->failed = nn_graph_add(&b->graph, &layer, input, &b->at, &b->err) != BM_OK;
}

static void conv_norm(builder *b, const char *prefix, int part, int input, int filters, int kernel, int stride,
		      bool relu)
{
	char name[NN_NAME_SIZE];
	snprintf(name, sizeof name, "%.40s_%d_conv", prefix, part);
	add(b, NN_CONV, name, input,
	    (nn_layer){.units = filters, .kernel = kernel, .stride = stride, .padding = kernel == 3, .bias = true});
	snprintf(name, sizeof name, "%.40s_%d_bn", prefix, part);
	add(b, NN_BATCH_NORM, name, b->at, (nn_layer){.epsilon = 1.001e-5f, .momentum = 0.99f});
	if (relu) {
		snprintf(name, sizeof name, "%.40s_%d_relu", prefix, part);
		add(b, NN_RELU, name, b->at, (nn_layer){0});
	}
}

static void block(builder *b, const char *prefix, int filters, int stride, bool shortcut)
{
	char name[NN_NAME_SIZE];
	int input = b->at, kept = b->at;
	if (shortcut) {
		conv_norm(b, prefix, 0, input, 4 * filters, 1, stride, false);
		kept = b->at;
	}
	conv_norm(b, prefix, 1, input, filters, 1, stride, true);
	conv_norm(b, prefix, 2, b->at, filters, 3, 1, true);
	conv_norm(b, prefix, 3, b->at, 4 * filters, 1, 1, false);
	nn_layer layer = {.type = NN_ADD};
	snprintf(layer.name, sizeof layer.name, "%.40s_add", prefix);
	if (!b->failed)
		b->failed = nn_graph_add2(&b->graph, &layer, kept, b->at, &b->at, &b->err) != BM_OK;
	snprintf(name, sizeof name, "%.40s_out", prefix);
	add(b, NN_RELU, name, b->at, (nn_layer){0});
}

/* Returns the index of the first layer of the head. */
static int build(builder *b)
{
	static const int blocks[4] = {3, 4, 6, 3};
	char name[NN_NAME_SIZE];
	add(b, NN_INPUT, "input", -1, (nn_layer){0});
	add(b, NN_ZERO_PADDING, "conv1_pad", b->at, (nn_layer){.padding = 3});
	add(b, NN_CONV, "conv1_conv", b->at, (nn_layer){.units = 64, .kernel = 7, .stride = 2, .bias = true});
	add(b, NN_BATCH_NORM, "conv1_bn", b->at, (nn_layer){.epsilon = 1.001e-5f, .momentum = 0.99f});
	add(b, NN_RELU, "conv1_relu", b->at, (nn_layer){0});
	add(b, NN_ZERO_PADDING, "pool1_pad", b->at, (nn_layer){.padding = 1});
	add(b, NN_MAX_POOL, "pool1_pool", b->at, (nn_layer){.kernel = 3, .stride = 2});
	for (int stage = 0; stage < 4; stage++) {
		for (int i = 0; i < blocks[stage]; i++) {
			snprintf(name, sizeof name, "conv%d_block%d", stage + 2, i + 1);
			block(b, name, 64 << stage, i == 0 && stage > 0 ? 2 : 1, i == 0);
		}
	}
	int head = b->at + 1;
	add(b, NN_GLOBAL_AVERAGE_POOL, "gap", b->at, (nn_layer){0});
	add(b, NN_DENSE, "dense1", b->at, (nn_layer){.units = 256, .bias = true, .activation = NN_ACTIVATION_RELU});
	add(b, NN_BATCH_NORM, "dense1_bn", b->at, (nn_layer){.epsilon = 1e-3f, .momentum = 0.99f});
	add(b, NN_DROPOUT, "dropout1", b->at, (nn_layer){.rate = 0.5f});
	add(b, NN_DENSE, "dense2", b->at, (nn_layer){.units = 128, .bias = true, .activation = NN_ACTIVATION_RELU});
	add(b, NN_DROPOUT, "dropout2", b->at, (nn_layer){.rate = 0.3f});
	add(b, NN_DENSE, "predictions", b->at, (nn_layer){.units = 4, .bias = true, .activation = NN_SOFTMAX});
	return head;
}

/* A plain Adam, so that a step is a whole step. */
static void adam(nn_network *network, float **moments, int step)
{
	float correct1 = 1.0f - powf(0.9f, (float)step), correct2 = 1.0f - powf(0.999f, (float)step);
	float rate = 1e-5f * sqrtf(correct2) / correct1;
	for (int i = 0; i < nn_network_parameter_count(network); i++) {
		nn_parameter *p = nn_network_parameter(network, i);
		float *m = moments[i], *v = m + p->count;
#pragma omp parallel for simd schedule(static)
		for (size_t k = 0; k < p->count; k++) {
			float g = p->gradient[k];
			m[k] += (g - m[k]) * 0.1f;
			v[k] += (g * g - v[k]) * 0.001f;
			p->value[k] -= rate * m[k] / (sqrtf(v[k]) + 1e-7f);
		}
	}
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "eval";
	int batch = argc > 2 ? atoi(argv[2]) : 16, size = argc > 3 ? atoi(argv[3]) : 224,
	    steps = argc > 4 ? atoi(argv[4]) : 8;
	int threads = argc > 5 ? atoi(argv[5]) : 0;
	bool training = strcmp(mode, "eval") != 0;
	int classes = 4, status = 1;
	builder b = {0};
	nn_weights weights = {0};
	nn_network *network = NULL;
	float **moments = NULL;
	size_t pixels = (size_t)batch * (size_t)size * (size_t)size * 3;
	float *images = base_malloc(pixels, sizeof *images, "images", &b.err);
	float *probabilities = base_calloc((size_t)(batch * classes), sizeof *probabilities, "probabilities", &b.err);
	int head = build(&b);
	if (b.failed || images == NULL || probabilities == NULL)
		goto done;
	for (size_t i = 0; i < pixels; i++)
		images[i] = (float)(i * 2654435761u % 1000) / 1000.0f;
	int first = strcmp(mode, "stage1") == 0 ? head : strcmp(mode, "stage2") == 0 ? head - 30 : 0;
	for (int i = first; i < b.graph.count; i++)
		b.graph.layers[i].trainable = training;
	nn_options options = {
		.batch = batch, .height = size, .width = size, .channels = 3, .training = training, .threads = threads};
	uint64_t estimate;
	if (nn_graph_infer(&b.graph, size, size, 3, &b.err) != BM_OK ||
	    nn_weights_create(&b.graph, &weights, &b.err) != BM_OK)
		goto done;
	nn_weights_initialize(&b.graph, &weights, 0, NN_GLOROT_UNIFORM, 1);
	if (nn_network_estimate(&b.graph, &options, &estimate, &b.err) != BM_OK ||
	    nn_network_create(&b.graph, &weights, &options, &network, &b.err) != BM_OK)
		goto done;
	int parameters = nn_network_parameter_count(network);
	moments = base_calloc((size_t)parameters, sizeof *moments, "moments", &b.err);
	for (int i = 0; moments != NULL && i < parameters; i++)
		moments[i] = base_calloc(2 * nn_network_parameter(network, i)->count, sizeof(float), "moments", &b.err);
	double best = 1e30, start = 0.0, processor = 0.0; /* seconds of all cores: what counts on a busy machine */
	for (int step = -2; step < steps; step++) {
		double begin = base_now();
		if (step == 0) {
			start = begin;
			processor = (double)clock() / CLOCKS_PER_SEC;
		}
		if (nn_network_forward(network, images, batch, training, (uint64_t)(step + 2), probabilities, &b.err) !=
		    BM_OK)
			goto done;
		if (training) {
			for (int i = 0; i < batch * classes; i++)
				probabilities[i] =
					(probabilities[i] - (i % classes == i / classes % classes)) / (float)batch;
			if (nn_network_backward(network, probabilities, &b.err) != BM_OK)
				goto done;
			adam(network, moments, step + 3);
			if (nn_network_parameters_changed(network, &b.err) != BM_OK)
				goto done;
		}
		double time = base_now() - begin;
		best = time < best ? time : best;
	}
	double seconds = base_now() - start;
	processor = (double)clock() / CLOCKS_PER_SEC - processor;
	printf("brainmri %s batch %d size %d: %.2f images/s (best step %.2f), %.2f a processor second, estimate %.0f "
	       "MB, "
	       "resident peak %.0f MB\n",
	       mode, batch, size, batch * steps / seconds, batch / best, batch * steps / processor,
	       (double)estimate / 1e6, (double)base_memory_resident_peak() / 1e6);
	status = 0;
done:
	if (status != 0)
		fprintf(stderr, "%s\n", b.err.message);
	for (int i = 0; moments != NULL && network != NULL && i < nn_network_parameter_count(network); i++)
		base_free(moments[i]);
	base_free(moments);
	nn_network_free(network);
	nn_weights_free(&weights);
	nn_graph_free(&b.graph);
	base_free(images);
	base_free(probabilities);
	return status;
}
