/* Which precision this machine trains faster in: a processor may have bfloat16 and be slower at it. */
#include "base/memory.h"
#include "base/threads.h"
#include "nn/network.h"

enum { BATCH = 8, SIDE = 32, CHANNELS = 64, PASSES = 8 };

/* Half of a residual block at the size that takes most of the time, between a convolution that makes channels of the image and a dense
 * layer. */
static bm_status make_graph(nn_graph *graph, bm_error *err)
{
	static const int kernels[] = {1, 3, 1, 3};
	nn_layer conv = {.type = NN_CONV, .trainable = true, .padding = 1, .stride = 1, .units = CHANNELS};
	nn_layer dense = {.type = NN_DENSE, .trainable = true, .units = 2, .activation = NN_SOFTMAX, .name = "dense"};
	nn_layer mean = {.type = NN_GLOBAL_AVERAGE_POOL, .trainable = true, .name = "mean"};
	nn_layer input = {.type = NN_INPUT, .trainable = true, .name = "input"};
	int x = 0;
	bm_status status = nn_graph_add(graph, &input, -1, &x, err);
	for (int i = 0; i < (int)(sizeof kernels / sizeof *kernels) && status == BM_OK; i++) {
		conv.kernel = kernels[i];
		conv.name[0] = (char)('a' + i);
		status = nn_graph_add(graph, &conv, x, &x, err);
	}
	if (status == BM_OK)
		status = nn_graph_add(graph, &mean, x, &x, err);
	if (status == BM_OK)
		status = nn_graph_add(graph, &dense, x, &x, err);
	return status == BM_OK ? nn_graph_infer(graph, SIDE, SIDE, CHANNELS, err) : status;
}

static bm_status pass(nn_network *network, const float *images, uint64_t step, double *seconds, bm_error *err)
{
	float probabilities[BATCH * 2], gradient[BATCH * 2] = {0.5f, -0.5f};
	const double begin = base_now();
	bm_status status = nn_network_forward(network, images, BATCH, true, step, probabilities, err);
	if (status == BM_OK)
		status = nn_network_backward(network, gradient, err);
	*seconds = base_now() - begin;
	return status;
}

/* Passes in turn; of each the fastest counts, which other work on the machine disturbed least. */
static bm_status compare(nn_network *const networks[2], double *ratio, bm_error *err)
{
	float *images = base_calloc((size_t)BATCH * SIDE * SIDE * CHANNELS, sizeof *images, "images", err);
	double best[2] = {0, 0};
	bm_status status = images ? BM_OK : BM_ERR_MEMORY;
	for (size_t i = 0; images && i < (size_t)BATCH * SIDE * SIDE * CHANNELS; i++)
		images[i] = (float)(i % 7) / 7;
	for (int i = 0; i <= PASSES && status == BM_OK; i++) {
		for (int k = 0; k < 2 && status == BM_OK; k++) {
			double seconds;
			status = pass(networks[k], images, (uint64_t)i, &seconds, err);
			if (i == 1 || (i > 1 && seconds < best[k])) /* the first warms up */
				best[k] = seconds;
		}
	}
	base_free(images);
	*ratio = status == BM_OK && best[1] > 0 ? best[0] / best[1] : 0;
	return status;
}

bm_status nn_bf16_speed(int threads, double *ratio, bm_error *err)
{
	nn_options options = {.batch = BATCH,
			      .height = SIDE,
			      .width = SIDE,
			      .channels = CHANNELS,
			      .training = true,
			      .threads = threads};
	nn_graph graph = {0};
	nn_weights weights = {0};
	nn_network *networks[2] = {NULL, NULL};
	bm_status status = BM_OK;
	*ratio = 0;
	if (!nn_has_bf16())
		return BM_OK;
	status = make_graph(&graph, err);
	if (status == BM_OK)
		status = nn_weights_create(&graph, &weights, err);
	if (status == BM_OK)
		nn_weights_initialize(&graph, &weights, 0, NN_HE_NORMAL, 1);
	for (int k = 0; k < 2 && status == BM_OK; k++) {
		options.bf16 = k == 1;
		status = nn_network_create(&graph, &weights, &options, &networks[k], err);
	}
	if (status == BM_OK)
		status = compare(networks, ratio, err);
	for (int k = 0; k < 2; k++)
		nn_network_free(networks[k]);
	nn_weights_free(&weights);
	nn_graph_free(&graph);
	return status;
}
