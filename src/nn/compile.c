#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "nn/internal.h"

typedef struct compiler {
	nn_network *network;
	const nn_graph *graph;
	bool *gradient; /* [layers]: a gradient is needed for its output */
	bool *absorbed; /* [layers]: computed inside another layer's operation */
	int *consumers; /* [layers] */
} compiler;

void *nn_state(nn_op *op, size_t size, bm_error *err)
{
	op->state = base_calloc(1, size, "an operation", err);
	return op->state;
}

static bool has_weights(const nn_layer *layer)
{
	return layer->type == NN_CONV || layer->type == NN_DENSE || layer->type == NN_BATCH_NORM;
}

static bm_status analyse(compiler *c, bm_error *err)
{
	const nn_graph *graph = c->graph;
	const nn_options *options = &c->network->options;
	int last = graph->count - 1;
	for (int i = 0; i <= last; i++) {
		const nn_layer *layer = &graph->layers[i];
		c->gradient[i] = options->training && ((layer->trainable && has_weights(layer)) ||
						       (options->input_gradient && layer->type == NN_INPUT));
		for (int k = 0; k < layer->input_count; k++) {
			c->gradient[i] = c->gradient[i] || c->gradient[layer->inputs[k]];
			c->consumers[layer->inputs[k]]++;
		}
		if (layer->type == NN_RESCALE && layer->inputs[0] != 0)
			return base_fail(err, BM_ERR_UNSUPPORTED, "layer '%s': a rescaling must read the input layer",
					 layer->name);
	}
	if (c->gradient[last] == false && options->training)
		return base_fail(err, BM_ERR_USAGE, "no layer is trainable: set the trainable flag of at least one");
	c->consumers[last]++; /* the caller */
	for (int i = 0; i <= last; i++) {
		const nn_layer *layer = &graph->layers[i];
		if (c->consumers[i] == 0)
			return base_fail(err, BM_ERR_USAGE, "nothing reads the output of layer '%s': remove it",
					 layer->name);
		if (layer->type == NN_DENSE && layer->activation == NN_SOFTMAX && c->gradient[i] && i != last)
			return base_fail(err, BM_ERR_UNSUPPORTED,
					 "layer '%s': a softmax can be trained only as the last layer", layer->name);
	}
	if (c->consumers[0] > 1 && graph->layers[1].type == NN_RESCALE && c->graph->layers[1].inputs[0] == 0)
		return base_fail(err, BM_ERR_UNSUPPORTED, "layer '%s': nothing else may read the input layer",
				 graph->layers[1].name);
	return BM_OK;
}

static bool absorbable(const compiler *c, int layer, bool gradient)
{
	return c->consumers[layer] == 1 && !c->absorbed[layer] && c->gradient[layer] == gradient;
}

static bool is_linear(const nn_layer *layer)
{
	return layer->type == NN_CONV || (layer->type == NN_DENSE && layer->activation == NN_LINEAR);
}

/* A zero padding in front of a convolution or max pool becomes its own padding. For a max pool, whose padding counts as
 * minus infinity, only where nothing is negative. */
static void absorb_padding(compiler *c, nn_op *op, const nn_layer *layer)
{
	int below = layer->inputs[0];
	const nn_layer *pad = &c->graph->layers[below];
	if (pad->type != NN_ZERO_PADDING || c->consumers[below] != 1 || c->absorbed[below])
		return;
	if (layer->type == NN_MAX_POOL &&
	    (c->graph->layers[pad->inputs[0]].type != NN_RELU || pad->padding >= layer->kernel))
		return;
	op->pad = below;
	op->input_layer = pad->inputs[0];
	c->absorbed[below] = true;
}

/* Tries to compute `layer` in the operation of the ReLU or addition behind it. */
static bool absorb_source(compiler *c, nn_op *op, int layer)
{
	bool gradient = c->gradient[op->head];
	const nn_layer *source = &c->graph->layers[layer];
	if (layer != op->head && !absorbable(c, layer, gradient))
		return false;
	if (source->type == NN_BATCH_NORM) {
		int below = source->inputs[0];
		op->norm = op->main = layer;
		op->class = &nn_norm_class;
		op->input_layer = below;
		c->absorbed[layer] = true;
		const nn_layer *linear = &c->graph->layers[below];
		bool plain = linear->type == NN_CONV || op->add < 0;
		if (!gradient && is_linear(linear) && plain && absorbable(c, below, false)) {
			op->main = below;
			op->class = &nn_linear_class;
			op->input_layer = linear->inputs[0];
			c->absorbed[below] = true;
			absorb_padding(c, op, linear);
		}
		return true;
	}
	if (!gradient && is_linear(source) && (source->type == NN_CONV || op->add < 0)) {
		op->main = layer;
		op->class = &nn_linear_class;
		op->input_layer = source->inputs[0];
		c->absorbed[layer] = true;
		absorb_padding(c, op, source);
		return true;
	}
	return false;
}

static void absorb_add(compiler *c, nn_op *op, int add)
{
	const nn_layer *layer = &c->graph->layers[add];
	op->add = add;
	c->absorbed[add] = true;
	int later = layer->inputs[1] > layer->inputs[0] ? 1 : 0;
	for (int k = 0; k < 2; k++) {
		int side = k == 0 ? later : 1 - later;
		if (absorb_source(c, op, layer->inputs[side])) {
			op->residual_layer = layer->inputs[1 - side];
			return;
		}
	}
	op->main = add;
	op->class = &nn_add_class;
	op->input_layer = layer->inputs[0];
	op->residual_layer = layer->inputs[1];
}

/* The operation whose output is layer `head`'s. */
static void match(compiler *c, int head, nn_op *op)
{
	const nn_layer *layer = &c->graph->layers[head];
	memset(op, 0, sizeof *op);
	op->head = op->main = head;
	op->pad = op->norm = op->add = op->relu = op->residual_layer = -1;
	op->input = op->residual = op->output = -1;
	op->input_layer = layer->input_count > 0 ? layer->inputs[0] : -1;
	op->gradient = c->gradient[head];
	c->absorbed[head] = true;
	switch (layer->type) {
	case NN_INPUT:
		op->class = &nn_input_class;
		break;
	case NN_RESCALE:
		op->class = &nn_input_class;
		op->input_layer = -1;
		c->absorbed[layer->inputs[0]] = true;
		break;
	case NN_ZERO_PADDING:
		op->class = &nn_pad_class;
		break;
	case NN_CONV:
	case NN_DENSE:
		op->class = &nn_linear_class;
		absorb_padding(c, op, layer);
		break;
	case NN_BATCH_NORM:
		absorb_source(c, op, head);
		break;
	case NN_RELU: {
		int below = layer->inputs[0];
		op->relu = head;
		if (c->graph->layers[below].type == NN_ADD && absorbable(c, below, op->gradient)) {
			absorb_add(c, op, below);
		} else if (!absorb_source(c, op, below)) {
			op->class = &nn_relu_class;
		}
		break;
	}
	case NN_ADD:
		absorb_add(c, op, head);
		break;
	case NN_MAX_POOL:
		absorb_padding(c, op, layer);
		op->class = &nn_window_pool_class;
		break;
	case NN_AVERAGE_POOL:
		op->class = &nn_window_pool_class;
		break;
	case NN_GLOBAL_AVERAGE_POOL:
		op->class = &nn_global_pool_class;
		break;
	default:
		op->class = &nn_dropout_class;
		break;
	}
}

/* 0: frozen, on images; 1: frozen, flat; 2: with gradients. */
static int part_of(const compiler *c, const nn_op *op)
{
	if (op->gradient)
		return 2;
	return op->input_layer < 0 || !c->graph->layers[op->input_layer].flat ? 0 : 1;
}

static bm_status make_ops(compiler *c, bm_error *err)
{
	nn_network *network = c->network;
	int layers = c->graph->count;
	nn_op *found = base_calloc((size_t)layers, sizeof *found, "the operations", err);
	network->ops = base_calloc((size_t)layers, sizeof *network->ops, "the operations", err);
	if (found == NULL || network->ops == NULL) {
		base_free(found);
		return BM_ERR_MEMORY;
	}
	for (int i = layers - 1; i >= 0; i--) /* from the end, so that the last of fused layers finds the others */
		if (!c->absorbed[i])
			match(c, i, &found[i]);
	for (int part = 0; part < 3; part++) {
		for (int i = 0; i < layers; i++) {
			if (found[i].class == NULL || part_of(c, &found[i]) != part)
				continue;
			nn_op *op = &network->ops[network->op_count];
			*op = found[i];
			op->chunked = part == 0;
			op->time = network->op_count++;
		}
		if (part == 0)
			network->chunked_count = network->op_count;
		if (part == 1)
			network->frozen_count = network->op_count;
	}
	base_free(found);
	return BM_OK;
}

/* The operations that read the output of `layer` are first, last (by time); -1 when none. */
static int last_reader(const nn_network *network, int layer, bool *beyond_chunks)
{
	int last = -1;
	for (int i = 0; i < network->op_count; i++) {
		const nn_op *op = &network->ops[i];
		if (op->input_layer == layer || op->residual_layer == layer) {
			last = i;
			*beyond_chunks = *beyond_chunks || !op->chunked;
		}
	}
	return last;
}

/* A few channels stay planar when only convolutions that compute no input gradient read them. */
static bool planar(const nn_network *network, const nn_op *op)
{
	if (op->class != &nn_input_class || op->gradient || network->graph.layers[0].channels > 4)
		return false;
	for (int i = 0; i < network->op_count; i++) {
		const nn_op *reader = &network->ops[i];
		if (reader->residual_layer == op->head)
			return false;
		if (reader->input_layer == op->head &&
		    (reader->class != &nn_linear_class || network->graph.layers[reader->main].type != NN_CONV))
			return false;
	}
	return true;
}

/* The residual sum of a frozen convolution goes into the other summand's memory when nothing reads that later. */
static bool in_place(const nn_network *network, const nn_op *op, const nn_tensor *tensor)
{
	if (op->class != &nn_linear_class || op->residual < 0 || op->residual == op->input ||
	    network->options.keep_outputs)
		return false;
	const nn_tensor *residual = &network->tensors[op->residual];
	bool whole = false;
	return residual->batch == tensor->batch && residual->layout == tensor->layout &&
	       last_reader(network, op->residual_layer, &whole) == op->time;
}

static bm_status make_tensor(nn_network *network, nn_op *op, bm_error *err)
{
	const nn_layer *layer = &network->graph.layers[op->head];
	bool is_last = op->head == network->graph.count - 1;
	bool whole = !op->chunked || is_last;
	int death = last_reader(network, op->head, &whole);
	int index = network->tensor_count++;
	nn_tensor *tensor = &network->tensors[index];
	*tensor = (nn_tensor){.layer = op->head,
			      .height = layer->height,
			      .width = layer->width,
			      .channels = layer->channels,
			      .gradient = op->gradient,
			      .buffer = -1,
			      .gradient_buffer = -1,
			      .gradient_buffer2 = -1,
			      .half = -1,
			      .gradient_half = -1,
			      .producer = op->time};
	bool kept = network->options.keep_outputs ||
		    (network->options.keep && strcmp(layer->name, network->options.keep) == 0);
	if (kept)
		whole = true;
	tensor->batch = whole ? network->options.batch : network->chunk;
	tensor->layout = layer->flat		  ? NN_FLAT
			 : network->channels_last ? NN_LAST
			 : planar(network, op)	  ? NN_PLANAR
						  : NN_BLOCKED;
	size_t channels = tensor->layout == NN_BLOCKED ? nn_padded(network, layer->channels) : (size_t)layer->channels;
	tensor->image_floats = channels * (size_t)layer->height * (size_t)layer->width;
	op->output = index;
	network->tensor_of[op->head] = index;
	if (is_last || kept)
		death = network->op_count - 1;
	if (in_place(network, op, tensor)) {
		nn_tensor *residual = &network->tensors[op->residual];
		residual->overwritten = true;
		tensor->buffer = residual->buffer;
		nn_buffer_use(network, tensor->buffer, death);
		return BM_OK;
	}
	/* What outlives its chunk must not be in the way of the next chunk's earlier operations. */
	int birth = op->chunked && tensor->batch != network->chunk ? 0 : op->time;
	return nn_buffer_add(network, tensor->image_floats * (size_t)tensor->batch * sizeof(float), birth, death,
			     &tensor->buffer, err);
}

/* Images that the frozen part computes at a time: the largest divisor of the batch that fits. */
static int choose_chunk(const nn_network *network)
{
	int wanted = network->options.chunk > 0 ? network->options.chunk : NN_CHUNK;
	if (network->options.keep_outputs)
		wanted = network->options.batch;
	for (int chunk = wanted < network->options.batch ? wanted : network->options.batch; chunk > 1; chunk--)
		if (network->options.batch % chunk == 0)
			return chunk;
	return 1;
}

static bm_status plan_backward(nn_network *network, bm_error *err)
{
	int last = network->tensor_of[network->graph.count - 1];
	nn_tensor *output = &network->tensors[last];
	bm_status status = nn_buffer_add(network, output->image_floats * (size_t)output->batch * sizeof(float),
					 network->op_count, network->op_count, &output->gradient_buffer, err);
	for (int i = network->op_count - 1; i >= network->frozen_count && status == BM_OK; i--) {
		nn_op *op = &network->ops[i];
		const nn_tensor *tensor = &network->tensors[op->output];
		if (tensor->gradient_buffer >= 0)
			nn_buffer_use(network, tensor->gradient_buffer, nn_backward_time(network, op));
		if (tensor->gradient_buffer2 >= 0)
			nn_buffer_use(network, tensor->gradient_buffer2, nn_backward_time(network, op));
		status = op->class->plan_backward(network, op, err);
	}
	return status;
}

static int compare_slots(const void *a, const void *b)
{
	return ((const nn_slot *)a)->parameter.weight - ((const nn_slot *)b)->parameter.weight;
}

static bm_status plan(compiler *c, bm_error *err)
{
	nn_network *network = c->network;
	bm_status status = analyse(c, err);
	if (status == BM_OK)
		status = make_ops(c, err);
	if (status != BM_OK)
		return status;
	network->tensors = base_calloc((size_t)network->op_count, sizeof *network->tensors, "the tensors", err);
	if (network->tensors == NULL)
		return BM_ERR_MEMORY;
	network->chunk = choose_chunk(network);
	network->channels_last = nn_channels_last(network);
	for (int i = 0; i < network->op_count && status == BM_OK; i++) {
		nn_op *op = &network->ops[i];
		op->batch = op->chunked ? network->chunk : network->options.batch;
		if (op->input_layer >= 0)
			op->input = network->tensor_of[op->input_layer];
		if (op->residual_layer >= 0)
			op->residual = network->tensor_of[op->residual_layer];
		status = make_tensor(network, op, err);
		if (status == BM_OK)
			status = op->class->plan(network, op, err);
	}
	if (status == BM_OK && network->options.training)
		status = plan_backward(network, err);
	if (status != BM_OK)
		return status;
	if (network->slot_count > 1)
		qsort(network->slots, (size_t)network->slot_count, sizeof *network->slots, compare_slots);
	size_t *order = base_malloc((size_t)network->buffer_count, sizeof *order, "the memory plan", err);
	if (order == NULL)
		return BM_ERR_MEMORY;
	nn_arena_place(network, order);
	base_free(order);
	return BM_OK;
}

bm_status nn_compile(nn_network *network, bm_error *err)
{
	size_t layers = (size_t)network->graph.count;
	compiler c = {.network = network, .graph = &network->graph};
	c.gradient = base_calloc(layers, sizeof *c.gradient, "the compiler", err);
	c.absorbed = base_calloc(layers, sizeof *c.absorbed, "the compiler", err);
	c.consumers = base_calloc(layers, sizeof *c.consumers, "the compiler", err);
	network->tensor_of = base_malloc(layers, sizeof *network->tensor_of, "the compiler", err);
	bm_status status = BM_ERR_MEMORY;
	if (c.gradient != NULL && c.absorbed != NULL && c.consumers != NULL && network->tensor_of != NULL) {
		for (size_t i = 0; i < layers; i++)
			network->tensor_of[i] = -1;
		status = plan(&c, err);
	}
	base_free(c.gradient);
	base_free(c.absorbed);
	base_free(c.consumers);
	return status;
}
