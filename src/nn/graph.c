#include "nn/graph.h"

#include <string.h>

#include "base/memory.h"

#define SIZE_LIMIT 65536 /* of an image side, of channels: keeps every product inside 64 bits */

const char *nn_type_keras(nn_type type)
{
	static const char *const names[NN_TYPE_COUNT] = {
		[NN_INPUT] = "InputLayer",
		[NN_RESCALE] = "Rescaling",
		[NN_ZERO_PADDING] = "ZeroPadding2D",
		[NN_CONV] = "Conv2D",
		[NN_BATCH_NORM] = "BatchNormalization",
		[NN_RELU] = "Activation",
		[NN_MAX_POOL] = "MaxPooling2D",
		[NN_AVERAGE_POOL] = "AveragePooling2D",
		[NN_ADD] = "Add",
		[NN_GLOBAL_AVERAGE_POOL] = "GlobalAveragePooling2D",
		[NN_DENSE] = "Dense",
		[NN_DROPOUT] = "Dropout",
	};
	return (unsigned)type < NN_TYPE_COUNT ? names[type] : "?";
}

int nn_graph_find(const nn_graph *graph, const char *name)
{
	for (int i = 0; i < graph->count; i++)
		if (strcmp(graph->layers[i].name, name) == 0)
			return i;
	return -1;
}

static bm_status out_of_range(const nn_layer *layer, const char *what, bm_error *err)
{
	return base_fail(err, BM_ERR_USAGE, "layer '%s' (%s): %s", layer->name, nn_type_keras(layer->type), what);
}

static bm_status check_attributes(const nn_layer *layer, bm_error *err)
{
	switch (layer->type) {
	case NN_CONV:
		if (layer->units < 1 || layer->units > SIZE_LIMIT)
			return out_of_range(layer, "the number of filters must be 1 to 65536", err);
		if (layer->kernel < 1 || layer->kernel > 63 || layer->stride < 1 || layer->stride > 63)
			return out_of_range(layer, "kernel and stride must be 1 to 63", err);
		if (layer->padding != 0 && layer->padding != 1)
			return out_of_range(layer, "padding must be 0 (valid) or 1 (same)", err);
		break;
	case NN_MAX_POOL:
	case NN_AVERAGE_POOL:
		if (layer->kernel < 1 || layer->kernel > 63 || layer->stride < 1 || layer->stride > 63)
			return out_of_range(layer, "pool size and stride must be 1 to 63", err);
		break;
	case NN_ZERO_PADDING:
		if (layer->padding < 0 || layer->padding > 1024)
			return out_of_range(layer, "padding must be 0 to 1024 pixels", err);
		break;
	case NN_BATCH_NORM:
		if (!(layer->epsilon > 0.0f) || !(layer->momentum >= 0.0f && layer->momentum < 1.0f))
			return out_of_range(layer, "epsilon must be positive and momentum in [0, 1)", err);
		break;
	case NN_DENSE:
		if (layer->units < 1 || layer->units > SIZE_LIMIT)
			return out_of_range(layer, "the number of units must be 1 to 65536", err);
		if ((unsigned)layer->activation > NN_SOFTMAX)
			return out_of_range(layer, "unknown activation", err);
		break;
	case NN_DROPOUT:
		if (!(layer->rate >= 0.0f && layer->rate < 1.0f))
			return out_of_range(layer, "rate must be in [0, 1)", err);
		break;
	default:
		break;
	}
	return BM_OK;
}

static bm_status add(nn_graph *graph, const nn_layer *layer, const int *inputs, int input_count, int *index,
		     bm_error *err)
{
	if ((unsigned)layer->type >= NN_TYPE_COUNT)
		return base_fail(err, BM_ERR_USAGE, "layer '%.63s': unknown layer type %d", layer->name,
				 (int)layer->type);
	if (layer->name[0] == '\0' || memchr(layer->name, '\0', NN_NAME_SIZE) == NULL)
		return base_fail(err, BM_ERR_USAGE, "layer %d has no name, or one longer than %d bytes", graph->count,
				 NN_NAME_SIZE - 1);
	if (nn_graph_find(graph, layer->name) >= 0)
		return out_of_range(layer, "the name is taken by an earlier layer", err);
	int wanted = layer->type == NN_INPUT ? 0 : layer->type == NN_ADD ? 2 : 1;
	if (input_count != wanted)
		return out_of_range(layer, "wrong number of inputs", err);
	for (int i = 0; i < input_count; i++)
		if (inputs[i] < 0 || inputs[i] >= graph->count)
			return out_of_range(layer, "an input is not an earlier layer", err);
	if (layer->type == NN_INPUT && graph->count > 0)
		return out_of_range(layer, "the input must be the first layer, and the only one", err);
	bm_status status = check_attributes(layer, err);
	if (status != BM_OK)
		return status;
	status = base_grow(&graph->layers, &graph->capacity, (size_t)graph->count, sizeof *graph->layers,
			   "network layers", err);
	if (status != BM_OK)
		return status;
	nn_layer *added = &graph->layers[graph->count];
	*added = *layer;
	added->input_count = input_count;
	added->inputs[0] = added->inputs[1] = -1;
	for (int i = 0; i < input_count; i++)
		added->inputs[i] = inputs[i];
	if (index != NULL)
		*index = graph->count;
	graph->count++;
	return BM_OK;
}

bm_status nn_graph_add(nn_graph *graph, const nn_layer *layer, int input, int *index, bm_error *err)
{
	return add(graph, layer, &input, layer->type == NN_INPUT ? 0 : 1, index, err);
}

bm_status nn_graph_add2(nn_graph *graph, const nn_layer *layer, int input_a, int input_b, int *index, bm_error *err)
{
	int inputs[2] = {input_a, input_b};
	return add(graph, layer, inputs, 2, index, err);
}

void nn_graph_free(nn_graph *graph)
{
	base_free(graph->layers);
	memset(graph, 0, sizeof *graph);
}

bm_status nn_graph_copy(const nn_graph *graph, nn_graph *copy, bm_error *err)
{
	memset(copy, 0, sizeof *copy);
	copy->layers = base_malloc((size_t)graph->count, sizeof *copy->layers, "network layers", err);
	if (copy->layers == NULL)
		return BM_ERR_MEMORY;
	if (graph->count > 0)
		memcpy(copy->layers, graph->layers, (size_t)graph->count * sizeof *copy->layers);
	copy->count = graph->count;
	copy->capacity = (size_t)graph->count;
	return BM_OK;
}

/* Output size of a window along one side; 0 when the window does not fit. */
static int window(int size, int kernel, int stride)
{
	return size < kernel ? 0 : (size - kernel) / stride + 1;
}

static bm_status infer_layer(const nn_graph *graph, nn_layer *layer, bm_error *err)
{
	const nn_layer *in = &graph->layers[layer->inputs[0]];
	layer->height = in->height;
	layer->width = in->width;
	layer->channels = in->channels;
	layer->flat = in->flat;
	bool image = layer->type == NN_ZERO_PADDING || layer->type == NN_CONV || layer->type == NN_MAX_POOL ||
		     layer->type == NN_AVERAGE_POOL || layer->type == NN_GLOBAL_AVERAGE_POOL;
	if (image && in->flat)
		return out_of_range(layer, "needs an image, but its input is flat", err);
	switch (layer->type) {
	case NN_RESCALE:
		if (in->flat || in->channels > NN_CHANNELS_RESCALED)
			return out_of_range(layer, "rescales images of at most 3 channels", err);
		break;
	case NN_ZERO_PADDING:
		layer->height += 2 * layer->padding;
		layer->width += 2 * layer->padding;
		break;
	case NN_CONV:
		layer->channels = layer->units;
		if (layer->padding == 1) {
			layer->height = (in->height + layer->stride - 1) / layer->stride;
			layer->width = (in->width + layer->stride - 1) / layer->stride;
			break;
		} /* fall through */
	case NN_MAX_POOL:
	case NN_AVERAGE_POOL:
		layer->height = window(in->height, layer->kernel, layer->stride);
		layer->width = window(in->width, layer->kernel, layer->stride);
		break;
	case NN_ADD: {
		const nn_layer *other = &graph->layers[layer->inputs[1]];
		if (other->height != in->height || other->width != in->width || other->channels != in->channels ||
		    other->flat != in->flat)
			return base_fail(err, BM_ERR_USAGE,
					 "layer '%s' cannot add '%s' (%dx%dx%d) and '%s' (%dx%dx%d): the shapes differ",
					 layer->name, in->name, in->height, in->width, in->channels, other->name,
					 other->height, other->width, other->channels);
		break;
	}
	case NN_GLOBAL_AVERAGE_POOL:
		layer->height = layer->width = 1;
		layer->flat = true;
		break;
	case NN_DENSE:
		if (!in->flat)
			return out_of_range(layer, "needs a flat input: put a global average pooling before it", err);
		layer->channels = layer->units;
		break;
	default:
		break;
	}
	if (layer->height < 1 || layer->width < 1)
		return base_fail(err, BM_ERR_USAGE,
				 "layer '%s' (%s, %dx%d) does not fit on its input of %dx%d: use a larger image size",
				 layer->name, nn_type_keras(layer->type), layer->kernel, layer->kernel, in->height,
				 in->width);
	if (layer->height > SIZE_LIMIT || layer->width > SIZE_LIMIT)
		return out_of_range(layer, "the output is larger than 65536 pixels", err);
	return BM_OK;
}

bm_status nn_graph_infer(nn_graph *graph, int height, int width, int channels, bm_error *err)
{
	if (graph->count < 1 || graph->layers[0].type != NN_INPUT)
		return base_fail(err, BM_ERR_USAGE, "the network has no input layer: add it first");
	if (height < 1 || width < 1 || channels < 1 || height > SIZE_LIMIT || width > SIZE_LIMIT ||
	    channels > SIZE_LIMIT)
		return base_fail(err, BM_ERR_USAGE, "an input of %dx%dx%d is not possible: each must be 1 to 65536",
				 height, width, channels);
	nn_layer *input = &graph->layers[0];
	input->height = height;
	input->width = width;
	input->channels = channels;
	input->flat = false;
	for (int i = 1; i < graph->count; i++) {
		bm_status status = infer_layer(graph, &graph->layers[i], err);
		if (status != BM_OK)
			return status;
	}
	return BM_OK;
}
