#include "nn/network.h"

#include <omp.h>
#include <string.h>

#include "base/memory.h"
#include "base/threads.h"
#include "nn/internal.h"

/* oneDNN and our loops take the number of threads from OpenMP; the caller's own setting is put back. */
static int enter(const nn_network *network)
{
	int before = omp_get_max_threads();
	omp_set_num_threads(network->threads);
	return before;
}

static void leave(int before)
{
	omp_set_num_threads(before);
}

static bm_status check_options(const nn_graph *graph, const nn_options *options, bm_error *err)
{
	if (options->batch < 1 || options->batch > 65536)
		return base_fail(err, BM_ERR_USAGE, "a batch of %d images is not possible: choose 1 to 65536",
				 options->batch);
	if (options->threads < 0 || options->threads > 4096)
		return base_fail(err, BM_ERR_USAGE,
				 "%d threads are not possible: choose 1 to 4096, or 0 for one per core",
				 options->threads);
	if (options->chunk < 0)
		return base_fail(err, BM_ERR_USAGE, "chunks of %d images are not possible: choose 0 or more",
				 options->chunk);
	if (options->bf16 && !nn_has_bf16())
		return base_fail(err, BM_ERR_UNSUPPORTED,
				 "this processor has no bfloat16 arithmetic (AVX512_BF16): use --precision f32");
	if (graph->count < 2)
		return base_fail(err, BM_ERR_USAGE, "the network has no layers");
	return BM_OK;
}

/* Everything but memory and weights. */
static bm_status plan(const nn_graph *graph, const nn_options *options, nn_network **out, bm_error *err)
{
	*out = NULL;
	bm_status status = check_options(graph, options, err);
	if (status != BM_OK)
		return status;
	nn_network *network = base_calloc(1, sizeof *network, "a network", err);
	if (network == NULL)
		return BM_ERR_MEMORY;
	network->options = *options;
	network->threads = options->threads > 0 ? options->threads : base_cores();
	int before = enter(network);
	status = nn_graph_copy(graph, &network->graph, err);
	if (status == BM_OK)
		status = nn_graph_infer(&network->graph, options->height, options->width, options->channels, err);
	if (status == BM_OK)
		status = nn_engine_create(network, err);
	if (status == BM_OK)
		status = nn_compile(network, err);
	leave(before);
	if (status != BM_OK) {
		nn_network_free(network);
		return status;
	}
	*out = network;
	return BM_OK;
}

void nn_network_free(nn_network *network)
{
	if (network == NULL)
		return;
	for (int i = 0; i < network->op_count; i++)
		network->ops[i].class->free(network->ops[i].state);
	nn_primitives_free(network);
	base_free(network->ops);
	base_free(network->tensors);
	base_free(network->tensor_of);
	base_free(network->buffers);
	base_free(network->slots);
	base_free(network->arena);
	base_free(network->store);
	base_free(network->scratchpad);
	nn_graph_free(&network->graph);
	base_free(network);
}

bm_status nn_network_estimate(const nn_graph *graph, const nn_options *options, uint64_t *bytes, bm_error *err)
{
	nn_network *network;
	bm_status status = plan(graph, options, &network, err);
	if (status != BM_OK)
		return status;
	enum { CODE_BYTES = 64 << 10 }; /* of a primitive that oneDNN compiled, roughly */
	*bytes = (uint64_t)network->arena_bytes + network->store_bytes + network->scratchpad_bytes +
		 (uint64_t)network->primitive_count * CODE_BYTES;
	nn_network_free(network);
	return BM_OK;
}

static bm_status allocate(nn_network *network, bm_error *err)
{
	network->arena = nn_large_alloc(network->arena_bytes, false, "the network's activations", err);
	network->store = nn_large_alloc(network->store_bytes, true, "the network's weights and gradients", err);
	network->scratchpad = nn_large_alloc(network->scratchpad_bytes, false, "oneDNN's scratchpad", err);
	if (network->arena == NULL || network->store == NULL || network->scratchpad == NULL)
		return BM_ERR_MEMORY;
	for (int i = 0; i < network->slot_count; i++) {
		nn_slot *slot = &network->slots[i];
		slot->parameter.value = nn_store_data(network, slot->value);
		slot->parameter.gradient = nn_store_data(network, slot->gradient);
	}
	return nn_primitives_build(network, err);
}

bm_status nn_network_create(const nn_graph *graph, const nn_weights *weights, const nn_options *options,
			    nn_network **out, bm_error *err)
{
	nn_network *network;
	*out = NULL;
	bm_status status = plan(graph, options, &network, err);
	if (status != BM_OK)
		return status;
	int before = enter(network);
	status = allocate(network, err);
	leave(before);
	if (status == BM_OK)
		status = nn_network_load(network, weights, err);
	if (status != BM_OK) {
		nn_network_free(network);
		return status;
	}
	*out = network;
	return BM_OK;
}

/* Do the weights belong to the graph? */
static bm_status check_weights(const nn_network *network, const nn_weights *weights, bm_error *err)
{
	nn_role roles[NN_ROLE_COUNT];
	int index = 0;
	for (int i = 0; i < network->graph.count; i++) {
		const nn_layer *layer = &network->graph.layers[i];
		int count = nn_layer_roles(layer, roles);
		for (int k = 0; k < count; k++, index++) {
			const nn_weight *weight = index < weights->count ? &weights->items[index] : NULL;
			size_t wanted = (size_t)layer->channels;
			if (roles[k] == NN_KERNEL) {
				wanted *= (size_t)network->graph.layers[layer->inputs[0]].channels;
				if (layer->type == NN_CONV)
					wanted *= (size_t)layer->kernel * (size_t)layer->kernel;
			}
			if (weight == NULL || weight->layer != i || weight->role != roles[k] || weight->count != wanted)
				return base_fail(
					err, BM_ERR_USAGE,
					"layer '%s': its %s should have %zu values; the weights do not belong to this "
					"network",
					layer->name, nn_role_keras(roles[k]), wanted);
		}
	}
	if (index != weights->count)
		return base_fail(err, BM_ERR_USAGE, "there are %d weights too many: they do not belong to this network",
				 weights->count - index);
	return BM_OK;
}

bm_status nn_network_load(nn_network *network, const nn_weights *weights, bm_error *err)
{
	bm_status status = check_weights(network, weights, err);
	int before = enter(network);
	for (int i = 0; i < network->op_count && status == BM_OK; i++)
		if (network->ops[i].class->load != NULL)
			status = network->ops[i].class->load(network, &network->ops[i], weights, err);
	leave(before);
	network->backward_ready = false;
	return status;
}

bm_status nn_network_store(nn_network *network, nn_weights *weights, bm_error *err)
{
	bm_status status = check_weights(network, weights, err);
	int before = enter(network);
	for (int i = 0; i < network->op_count && status == BM_OK; i++)
		if (network->ops[i].class->store != NULL)
			status = network->ops[i].class->store(network, &network->ops[i], weights, err);
	leave(before);
	return status;
}

/* ---- passes ---- */

/* Between a tensor and [batch][height][width][channels]. */
static bm_status convert_tensor(nn_network *network, const nn_tensor *tensor, bool to_keras, const float *from,
				float *to, bm_error *err)
{
	dnnl_memory_desc_t inside, outside;
	nn_tensor_desc(network, tensor, tensor->batch, &inside);
	outside = inside;
	if (tensor->layout != NN_FLAT) {
		dnnl_dims_t dims = {tensor->batch, tensor->channels, tensor->height, tensor->width};
		dnnl_memory_desc_init_by_tag(&outside, 4, dims, dnnl_f32, dnnl_nhwc);
	}
	return nn_reorder(network, network->graph.layers[tensor->layer].name, to_keras ? &inside : &outside, from,
			  to_keras ? &outside : &inside, to, err);
}

static bm_status run_forward(nn_network *network, bm_error *err)
{
	int chunks = (network->image_count + network->chunk - 1) / network->chunk;
	for (int chunk = 0; chunk < chunks; chunk++) {
		network->chunk_index = chunk;
		for (int i = 0; i < network->chunked_count; i++) {
			nn_op *op = &network->ops[i];
			bm_status status = op->class->forward(network, op, err);
			if (status != BM_OK)
				return status;
		}
	}
	network->chunk_index = 0;
	for (int i = 0; i < network->op_count && chunks * network->chunk < network->options.batch; i++) {
		/* Images that no chunk computed: zeros, so that nothing is read that was never written. */
		const nn_tensor *tensor = &network->tensors[i];
		if (i < network->chunked_count && tensor->batch == network->options.batch) {
			size_t done = (size_t)(chunks * network->chunk) * tensor->image_floats;
			memset(nn_buffer_data(network, tensor->buffer) + done, 0,
			       ((size_t)tensor->batch * tensor->image_floats - done) * sizeof(float));
		}
	}
	for (int i = network->chunked_count; i < network->op_count; i++) {
		nn_op *op = &network->ops[i];
		bm_status status = op->class->forward(network, op, err);
		if (status != BM_OK)
			return status;
	}
	return BM_OK;
}

static bm_status copy_output(nn_network *network, float *values, bm_error *err)
{
	const nn_tensor *output = &network->tensors[network->tensor_of[network->graph.count - 1]];
	const float *data = nn_buffer_data(network, output->buffer);
	size_t per_image = (size_t)output->height * (size_t)output->width * (size_t)output->channels;
	size_t wanted = (size_t)network->image_count * per_image;
	if (output->layout == NN_FLAT) {
		memcpy(values, data, wanted * sizeof *values);
		return BM_OK;
	}
	float *all = base_malloc((size_t)output->batch * per_image, sizeof *all, "the network's output", err);
	if (all == NULL)
		return BM_ERR_MEMORY;
	bm_status status = convert_tensor(network, output, true, data, all, err);
	if (status == BM_OK)
		memcpy(values, all, wanted * sizeof *values);
	base_free(all);
	return status;
}

bm_status nn_network_forward(nn_network *network, const float *images, int count, bool training, uint64_t step,
			     float *probabilities, bm_error *err)
{
	if (count < 1 || count > network->options.batch)
		return base_fail(err, BM_ERR_USAGE, "%d images do not fit a network compiled for batches of %d", count,
				 network->options.batch);
	if (training && !network->options.training)
		return base_fail(err, BM_ERR_USAGE, "the network was compiled for inference: compile it for training");
	if (training && count != network->options.batch)
		return base_fail(err, BM_ERR_USAGE, "a training step needs a whole batch of %d images, not %d",
				 network->options.batch, count);
	int before = enter(network);
	network->images = images;
	network->image_count = count;
	network->training = training;
	network->step = step;
	network->backward_ready = network->backward_done = false;
	bm_status status = run_forward(network, err);
	if (status == BM_OK)
		status = copy_output(network, probabilities, err);
	network->images = NULL;
	network->backward_ready = status == BM_OK && training;
	leave(before);
	return status;
}

bm_status nn_network_backward(nn_network *network, const float *gradient, bm_error *err)
{
	if (!network->backward_ready)
		return base_fail(err, BM_ERR_USAGE, "a backward pass needs a training forward pass before it");
	int before = enter(network);
	int last = network->tensor_of[network->graph.count - 1];
	bm_status status =
		convert_tensor(network, &network->tensors[last], false, gradient, nn_gradient(network, last), err);
	for (int i = network->op_count - 1; i >= network->frozen_count && status == BM_OK; i--)
		status = network->ops[i].class->backward(network, &network->ops[i], err);
	network->backward_ready = false; /* its activations are partly overwritten */
	network->backward_done = status == BM_OK;
	leave(before);
	return status;
}

/* ---- parameters ---- */

int nn_network_parameter_count(const nn_network *network)
{
	return network->slot_count;
}

nn_parameter *nn_network_parameter(nn_network *network, int index)
{
	return index < 0 || index >= network->slot_count ? NULL : &network->slots[index].parameter;
}

bm_status nn_network_parameters_changed(nn_network *network, bm_error *err)
{
	(void)err; /* every derived layout is made when it is used */
	network->backward_ready = false;
	return BM_OK;
}

void nn_network_hold_statistics(nn_network *network, bool held)
{
	network->statistics_held = held;
}

void nn_network_renew_statistics(nn_network *network, float share)
{
	network->statistics_share = share;
}

static bm_status convert_parameter(nn_network *network, int index, bool to_keras, const float *from, float *to,
				   bm_error *err)
{
	if (index < 0 || index >= network->slot_count)
		return base_fail(err, BM_ERR_USAGE, "there is no parameter %d: the network has %d", index,
				 network->slot_count);
	const nn_slot *slot = &network->slots[index];
	nn_op *op = &network->ops[slot->op];
	int before = enter(network);
	bm_status status = op->class->convert(network, op, slot->parameter.role, to_keras, from, to, err);
	leave(before);
	return status;
}

bm_status nn_parameter_to_keras(nn_network *network, int index, const float *physical, float *keras, bm_error *err)
{
	return convert_parameter(network, index, true, physical, keras, err);
}

bm_status nn_parameter_from_keras(nn_network *network, int index, const float *keras, float *physical, bm_error *err)
{
	return convert_parameter(network, index, false, keras, physical, err);
}

/* ---- looking inside ---- */

/* Are a tensor's values of the last pass still there? */
static bool intact(const nn_network *network, const nn_tensor *tensor)
{
	if (tensor->overwritten || tensor->batch != network->options.batch)
		return false;
	const nn_buffer *own = &network->buffers[tensor->buffer];
	int end = network->backward_done ? 2 * network->op_count : network->op_count - 1;
	for (int i = 0; i < network->buffer_count; i++) {
		const nn_buffer *other = &network->buffers[i];
		bool later = other->birth > own->death && other->birth <= end;
		if (later && other->offset < own->offset + own->bytes && own->offset < other->offset + other->bytes)
			return false;
	}
	return true;
}

bm_status nn_network_output(nn_network *network, const char *layer, float *values, size_t count, bm_error *err)
{
	int index = nn_graph_find(&network->graph, layer);
	if (index < 0)
		return base_fail(err, BM_ERR_NOT_FOUND, "the network has no layer '%s'", layer);
	if (network->tensor_of[index] < 0)
		return base_fail(err, BM_ERR_UNSUPPORTED,
				 "layer '%s' was fused into the one behind it: its output is never in memory", layer);
	const nn_tensor *tensor = &network->tensors[network->tensor_of[index]];
	if (!intact(network, tensor))
		return base_fail(err, BM_ERR_UNSUPPORTED,
				 "the memory of layer '%s' was used again: set nn_options.keep_outputs", layer);
	size_t wanted =
		(size_t)tensor->batch * (size_t)tensor->height * (size_t)tensor->width * (size_t)tensor->channels;
	if (count != wanted)
		return base_fail(err, BM_ERR_USAGE, "layer '%s' has %zu values, but room for %zu was given", layer,
				 wanted, count);
	int before = enter(network);
	bm_status status = convert_tensor(network, tensor, true, nn_buffer_data(network, tensor->buffer), values, err);
	leave(before);
	return status;
}
