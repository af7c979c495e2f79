#include "nn/reference.h"

#include <assert.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/random.h"

#undef NDEBUG
#include <assert.h>

/* ---- graphs ---- */

static int put(nn_graph *graph, nn_layer layer, int a, int b)
{
	bm_error err = {0};
	int index = -1;
	snprintf(layer.name, sizeof layer.name, "%s%d", nn_type_keras(layer.type), graph->count);
	layer.trainable = true;
	bm_status status = b >= 0 ? nn_graph_add2(graph, &layer, a, b, &index, &err)
				  : nn_graph_add(graph, &layer, a, &index, &err);
	if (status != BM_OK)
		fprintf(stderr, "%s\n", err.message);
	assert(status == BM_OK);
	return index;
}

int ref_input(nn_graph *graph)
{
	return put(graph, (nn_layer){.type = NN_INPUT}, -1, -1);
}

int ref_rescale(nn_graph *graph, int in)
{
	return put(graph, (nn_layer){.type = NN_RESCALE, .scale = {2.0f, 0.5f, 3.0f}, .offset = {-1.0f, 0.25f, 0.5f}},
		   in, -1);
}

int ref_pad(nn_graph *graph, int in, int padding)
{
	return put(graph, (nn_layer){.type = NN_ZERO_PADDING, .padding = padding}, in, -1);
}

int ref_conv(nn_graph *graph, int in, int units, int kernel, int stride, int same)
{
	return put(graph,
		   (nn_layer){.type = NN_CONV,
			      .units = units,
			      .kernel = kernel,
			      .stride = stride,
			      .padding = same,
			      .bias = true},
		   in, -1);
}

int ref_conv_no_bias(nn_graph *graph, int in, int units, int kernel, int stride, int same)
{
	return put(graph,
		   (nn_layer){.type = NN_CONV, .units = units, .kernel = kernel, .stride = stride, .padding = same}, in,
		   -1);
}

int ref_norm(nn_graph *graph, int in)
{
	return put(graph, (nn_layer){.type = NN_BATCH_NORM, .epsilon = 1.001e-5f, .momentum = 0.99f}, in, -1);
}

int ref_relu(nn_graph *graph, int in)
{
	return put(graph, (nn_layer){.type = NN_RELU}, in, -1);
}

int ref_max_pool(nn_graph *graph, int in, int kernel, int stride)
{
	return put(graph, (nn_layer){.type = NN_MAX_POOL, .kernel = kernel, .stride = stride}, in, -1);
}

int ref_average_pool(nn_graph *graph, int in, int kernel, int stride)
{
	return put(graph, (nn_layer){.type = NN_AVERAGE_POOL, .kernel = kernel, .stride = stride}, in, -1);
}

int ref_add(nn_graph *graph, int a, int b)
{
	return put(graph, (nn_layer){.type = NN_ADD}, a, b);
}

int ref_global_pool(nn_graph *graph, int in)
{
	return put(graph, (nn_layer){.type = NN_GLOBAL_AVERAGE_POOL}, in, -1);
}

int ref_dense(nn_graph *graph, int in, int units, nn_activation activation)
{
	return put(graph, (nn_layer){.type = NN_DENSE, .units = units, .bias = true, .activation = activation}, in, -1);
}

int ref_dropout(nn_graph *graph, int in, float rate)
{
	return put(graph, (nn_layer){.type = NN_DROPOUT, .rate = rate}, in, -1);
}

void ref_fill(nn_weights *weights, uint64_t seed)
{
	base_random random = base_random_make(seed, 77);
	for (int i = 0; i < weights->count; i++) {
		nn_weight *weight = &weights->items[i];
		double fan = weight->rank == 1 ? 1.0 : (double)weight->count / weight->shape[weight->rank - 1];
		for (size_t k = 0; k < weight->count; k++) {
			float u = base_random_range(&random, -1.0f, 1.0f);
			weight->values[k] = weight->role == NN_KERNEL ? u * (float)(1.7 / sqrt(fan))
					    : weight->role == NN_GAMMA || weight->role == NN_MOVING_VARIANCE
						    ? 1.0f + 0.6f * u
						    : 0.5f * u;
		}
	}
}

/* ---- forward ---- */

static double *room(size_t count)
{
	double *values = calloc(count > 0 ? count : 1, sizeof *values);
	assert(values != NULL);
	return values;
}

size_t ref_size(const ref_pass *pass, int layer)
{
	const nn_layer *l = &pass->graph->layers[layer];
	return (size_t)pass->batch * (size_t)l->height * (size_t)l->width * (size_t)l->channels;
}

static size_t at(const nn_layer *shape, int n, int y, int x, int c)
{
	return (((size_t)n * (size_t)shape->height + (size_t)y) * (size_t)shape->width + (size_t)x) *
		       (size_t)shape->channels +
	       (size_t)c;
}

static const double *weight(const ref_pass *pass, int layer, nn_role role)
{
	const nn_weight *found = nn_weights_find(pass->weights, layer, role);
	return found == NULL ? NULL : pass->values + (found->values - pass->weights->storage);
}

/* TensorFlow's "same": as many outputs as ceil(size / stride), the odd pixel of padding behind. */
static int before_same(int size, int out, const nn_layer *l)
{
	int total = (out - 1) * l->stride + l->kernel - size;
	return l->padding == 1 && total > 0 ? total / 2 : 0;
}

static void conv(ref_pass *pass, int layer, const nn_layer *in, const double *x, double *y)
{
	const nn_layer *l = &pass->graph->layers[layer];
	const double *kernel = weight(pass, layer, NN_KERNEL), *bias = weight(pass, layer, NN_BIAS);
	int top = before_same(in->height, l->height, l), left = before_same(in->width, l->width, l);
	for (int n = 0; n < pass->batch; n++)
		for (int oy = 0; oy < l->height; oy++)
			for (int ox = 0; ox < l->width; ox++)
				for (int o = 0; o < l->channels; o++) {
					double sum = bias == NULL ? 0.0 : bias[o];
					for (int ky = 0; ky < l->kernel; ky++)
						for (int kx = 0; kx < l->kernel; kx++) {
							int iy = oy * l->stride + ky - top,
							    ix = ox * l->stride + kx - left;
							if (iy < 0 || ix < 0 || iy >= in->height || ix >= in->width)
								continue;
							for (int c = 0; c < in->channels; c++)
								sum += x[at(in, n, iy, ix, c)] *
								       kernel[((ky * l->kernel + kx) * in->channels +
									       c) * l->units +
									      o];
						}
					y[at(l, n, oy, ox, o)] = sum;
				}
}

static void norm(ref_pass *pass, int layer, const double *x, double *y)
{
	const nn_layer *l = &pass->graph->layers[layer];
	const double *gamma = weight(pass, layer, NN_GAMMA), *beta = weight(pass, layer, NN_BETA);
	size_t channels = (size_t)l->channels, rows = ref_size(pass, layer) / channels;
	if (pass->means[layer] == NULL)
		pass->means[layer] = room(channels);
	if (pass->variances[layer] == NULL)
		pass->variances[layer] = room(channels);
	for (size_t c = 0; c < channels; c++) {
		double mean = weight(pass, layer, NN_MOVING_MEAN)[c];
		double variance = weight(pass, layer, NN_MOVING_VARIANCE)[c];
		if (pass->training && l->trainable) {
			mean = variance = 0.0;
			for (size_t r = 0; r < rows; r++)
				mean += x[r * channels + c] / (double)rows;
			for (size_t r = 0; r < rows; r++)
				variance += (x[r * channels + c] - mean) * (x[r * channels + c] - mean) / (double)rows;
		}
		pass->means[layer][c] = mean;
		pass->variances[layer][c] = variance;
		double scale = gamma[c] / sqrt(variance + (double)l->epsilon);
		for (size_t r = 0; r < rows; r++)
			y[r * channels + c] = (x[r * channels + c] - mean) * scale + beta[c];
	}
}

static void pool(ref_pass *pass, int layer, const nn_layer *in, const double *x, double *y)
{
	const nn_layer *l = &pass->graph->layers[layer];
	for (int n = 0; n < pass->batch; n++)
		for (int oy = 0; oy < l->height; oy++)
			for (int ox = 0; ox < l->width; ox++)
				for (int c = 0; c < l->channels; c++) {
					double best = -INFINITY, sum = 0.0;
					for (int ky = 0; ky < l->kernel; ky++)
						for (int kx = 0; kx < l->kernel; kx++) {
							double v = x[at(in, n, oy * l->stride + ky, ox * l->stride + kx,
									c)];
							best = v > best ? v : best;
							sum += v / (l->kernel * l->kernel);
						}
					y[at(l, n, oy, ox, c)] = l->type == NN_MAX_POOL ? best : sum;
				}
}

static void dense(ref_pass *pass, int layer, const nn_layer *in, const double *x, double *y, bool last)
{
	const nn_layer *l = &pass->graph->layers[layer];
	const double *kernel = weight(pass, layer, NN_KERNEL), *bias = weight(pass, layer, NN_BIAS);
	for (int n = 0; n < pass->batch; n++) {
		double *row = y + (size_t)n * (size_t)l->units, total = 0.0;
		for (int o = 0; o < l->units; o++) {
			double sum = bias == NULL ? 0.0 : bias[o];
			for (int i = 0; i < in->channels; i++)
				sum += x[(size_t)n * (size_t)in->channels + (size_t)i] * kernel[i * l->units + o];
			row[o] = l->activation == NN_ACTIVATION_RELU && sum < 0.0 ? 0.0 : sum;
			total += exp(sum);
		}
		for (int o = 0; l->activation == NN_SOFTMAX && !last && o < l->units; o++)
			row[o] = exp(row[o]) / total;
	}
}

static void pad(ref_pass *pass, int layer, const nn_layer *in, const double *x, double *y)
{
	const nn_layer *l = &pass->graph->layers[layer];
	for (int n = 0; n < pass->batch; n++)
		for (int iy = 0; iy < in->height; iy++)
			for (int ix = 0; ix < in->width; ix++)
				for (int c = 0; c < in->channels; c++)
					y[at(l, n, iy + l->padding, ix + l->padding, c)] = x[at(in, n, iy, ix, c)];
}

static void global_pool(ref_pass *pass, int layer, const nn_layer *in, const double *x, double *y)
{
	for (int n = 0; n < pass->batch; n++)
		for (int iy = 0; iy < in->height; iy++)
			for (int ix = 0; ix < in->width; ix++)
				for (int c = 0; c < in->channels; c++)
					y[(size_t)n * (size_t)in->channels + (size_t)c] +=
						x[at(in, n, iy, ix, c)] / (in->height * in->width);
	(void)layer;
}

/* On flat tensors only: the network numbers values as it stores them. */
static void dropout(ref_pass *pass, int layer, const double *x, double *y)
{
	const nn_layer *l = &pass->graph->layers[layer];
	uint64_t name = base_hash_bytes(l->name, strlen(l->name)).low;
	base_random random = base_random_make(pass->seed, base_random_mix(name, pass->step));
	assert(l->flat);
	for (size_t i = 0; i < ref_size(pass, layer); i++)
		y[i] = !pass->training				? x[i]
		       : base_random_uniform(&random) < l->rate ? 0.0
								: x[i] / (1.0 - (double)l->rate);
}

static void compute(ref_pass *pass, int layer, const double *images)
{
	const nn_layer *l = &pass->graph->layers[layer];
	const nn_layer *in = l->input_count > 0 ? &pass->graph->layers[l->inputs[0]] : NULL;
	const double *x = l->input_count > 0 ? pass->outputs[l->inputs[0]] : images;
	size_t count = ref_size(pass, layer);
	if (pass->outputs[layer] == NULL)
		pass->outputs[layer] = room(count);
	double *y = pass->outputs[layer];
	memset(y, 0, count * sizeof *y);
	switch (l->type) {
	case NN_INPUT:
		memcpy(y, x, count * sizeof *y);
		break;
	case NN_RESCALE:
		for (size_t i = 0; i < count; i++) {
			size_t c = i % (size_t)l->channels;
			y[i] = x[i] * (double)l->scale[c] + (double)l->offset[c];
		}
		break;
	case NN_ZERO_PADDING:
		pad(pass, layer, in, x, y);
		break;
	case NN_CONV:
		conv(pass, layer, in, x, y);
		break;
	case NN_BATCH_NORM:
		norm(pass, layer, x, y);
		break;
	case NN_RELU:
		for (size_t i = 0; i < count; i++)
			y[i] = x[i] > 0.0 ? x[i] : 0.0;
		break;
	case NN_MAX_POOL:
	case NN_AVERAGE_POOL:
		pool(pass, layer, in, x, y);
		break;
	case NN_ADD:
		for (size_t i = 0; i < count; i++)
			y[i] = x[i] + pass->outputs[l->inputs[1]][i];
		break;
	case NN_GLOBAL_AVERAGE_POOL:
		global_pool(pass, layer, in, x, y);
		break;
	case NN_DENSE:
		dense(pass, layer, in, x, y, layer == pass->graph->count - 1);
		break;
	case NN_DROPOUT:
		dropout(pass, layer, x, y);
		break;
	default:
		assert(!"a layer type without a reference");
	}
}

ref_pass ref_forward(const nn_graph *graph, const nn_weights *weights, const double *images, int batch, bool training,
		     uint64_t seed, uint64_t step)
{
	size_t layers = (size_t)graph->count;
	ref_pass pass = {
		.graph = graph, .weights = weights, .batch = batch, .training = training, .seed = seed, .step = step};
	pass.outputs = calloc(layers, sizeof *pass.outputs);
	pass.means = calloc(layers, sizeof *pass.means);
	pass.variances = calloc(layers, sizeof *pass.variances);
	assert(pass.outputs != NULL && pass.means != NULL && pass.variances != NULL);
	pass.values = room(weights->total);
	for (size_t i = 0; i < weights->total; i++)
		pass.values[i] = (double)weights->storage[i];
	ref_again(&pass, images, 0);
	return pass;
}

void ref_again(ref_pass *pass, const double *images, int first)
{
	for (int i = first; i < pass->graph->count; i++)
		compute(pass, i, images);
}

void ref_free(ref_pass *pass)
{
	for (int i = 0; i < pass->graph->count; i++) {
		free(pass->outputs[i]);
		free(pass->means[i]);
		free(pass->variances[i]);
	}
	free(pass->values);
	free(pass->outputs);
	free(pass->means);
	free(pass->variances);
}

double ref_loss(const ref_pass *pass, const double *factors)
{
	int last = pass->graph->count - 1;
	double sum = 0.0;
	for (size_t i = 0; i < ref_size(pass, last); i++)
		sum += pass->outputs[last][i] * factors[i];
	return sum;
}
