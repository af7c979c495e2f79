#include <math.h>
#include <string.h>

#include "base/hash.h"
#include "base/memory.h"
#include "base/random.h"
#include "nn/internal.h"

const char *nn_role_keras(nn_role role)
{
	static const char *const names[NN_ROLE_COUNT] = {"kernel", "bias",	  "gamma",
							 "beta",   "moving_mean", "moving_variance"};
	return (unsigned)role < NN_ROLE_COUNT ? names[role] : "?";
}

int nn_layer_roles(const nn_layer *layer, nn_role roles[NN_ROLE_COUNT])
{
	int count = 0;
	switch (layer->type) {
	case NN_CONV:
	case NN_DENSE:
		roles[count++] = NN_KERNEL;
		if (layer->bias)
			roles[count++] = NN_BIAS;
		break;
	case NN_BATCH_NORM:
		roles[count++] = NN_GAMMA;
		roles[count++] = NN_BETA;
		roles[count++] = NN_MOVING_MEAN;
		roles[count++] = NN_MOVING_VARIANCE;
		break;
	default:
		break;
	}
	return count;
}

int nn_weight_index(const nn_graph *graph, int layer, nn_role role)
{
	nn_role roles[NN_ROLE_COUNT];
	int index = 0;
	for (int i = 0; i < layer; i++)
		index += nn_layer_roles(&graph->layers[i], roles);
	int count = nn_layer_roles(&graph->layers[layer], roles);
	for (int k = 0; k < count; k++)
		if (roles[k] == role)
			return index + k;
	return -1;
}

static void shape_weight(const nn_graph *graph, int layer_index, nn_role role, nn_weight *weight)
{
	const nn_layer *layer = &graph->layers[layer_index];
	memset(weight, 0, sizeof *weight);
	weight->layer = layer_index;
	weight->role = role;
	weight->rank = 1;
	weight->shape[0] = layer->channels;
	if (role == NN_KERNEL) {
		int in = graph->layers[layer->inputs[0]].channels;
		if (layer->type == NN_CONV) {
			weight->rank = 4;
			weight->shape[0] = weight->shape[1] = layer->kernel;
			weight->shape[2] = in;
			weight->shape[3] = layer->units;
		} else {
			weight->rank = 2;
			weight->shape[0] = in;
			weight->shape[1] = layer->units;
		}
	}
	weight->count = 1;
	for (int i = 0; i < weight->rank; i++)
		weight->count *= (size_t)weight->shape[i];
}

static void fill(nn_weight *weight, float value)
{
	for (size_t i = 0; i < weight->count; i++)
		weight->values[i] = value;
}

static float neutral(nn_role role)
{
	return role == NN_GAMMA || role == NN_MOVING_VARIANCE ? 1.0f : 0.0f;
}

static bm_status allocate(nn_weights *weights, bm_error *err)
{
	weights->storage = base_calloc(weights->total, sizeof *weights->storage, "the network's weights", err);
	if (weights->storage == NULL)
		return BM_ERR_MEMORY;
	float *next = weights->storage;
	for (int i = 0; i < weights->count; i++) {
		weights->items[i].values = next;
		next += weights->items[i].count;
	}
	return BM_OK;
}

bm_status nn_weights_create(const nn_graph *graph, nn_weights *weights, bm_error *err)
{
	memset(weights, 0, sizeof *weights);
	nn_role roles[NN_ROLE_COUNT];
	size_t count = 0;
	for (int i = 0; i < graph->count; i++) {
		if (graph->layers[i].channels < 1)
			return base_fail(err, BM_ERR_USAGE, "layer '%s' has no shape yet: call nn_graph_infer first",
					 graph->layers[i].name);
		count += (size_t)nn_layer_roles(&graph->layers[i], roles);
	}
	weights->items = base_calloc(count, sizeof *weights->items, "the list of weights", err);
	if (weights->items == NULL)
		return BM_ERR_MEMORY;
	for (int i = 0; i < graph->count; i++) {
		int n = nn_layer_roles(&graph->layers[i], roles);
		for (int k = 0; k < n; k++) {
			nn_weight *weight = &weights->items[weights->count++];
			shape_weight(graph, i, roles[k], weight);
			weights->total += weight->count;
		}
	}
	bm_status status = allocate(weights, err);
	if (status != BM_OK) {
		nn_weights_free(weights);
		return status;
	}
	for (int i = 0; i < weights->count; i++)
		fill(&weights->items[i], neutral(weights->items[i].role));
	return BM_OK;
}

void nn_weights_free(nn_weights *weights)
{
	base_free(weights->items);
	base_free(weights->storage);
	memset(weights, 0, sizeof *weights);
}

bm_status nn_weights_copy(const nn_weights *from, nn_weights *to, bm_error *err)
{
	memset(to, 0, sizeof *to);
	to->items = base_malloc((size_t)from->count, sizeof *to->items, "the list of weights", err);
	if (to->items == NULL)
		return BM_ERR_MEMORY;
	if (from->count > 0)
		memcpy(to->items, from->items, (size_t)from->count * sizeof *to->items);
	to->count = from->count;
	to->total = from->total;
	bm_status status = allocate(to, err);
	if (status != BM_OK) {
		nn_weights_free(to);
		return status;
	}
	if (from->total > 0)
		memcpy(to->storage, from->storage, from->total * sizeof *to->storage);
	return BM_OK;
}

const nn_weight *nn_weights_find(const nn_weights *weights, int layer, nn_role role)
{
	int low = 0, high = weights->count; /* items are sorted by layer */
	while (low < high) {
		int middle = (low + high) / 2;
		if (weights->items[middle].layer < layer)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < weights->count && weights->items[low].layer == layer; low++)
		if (weights->items[low].role == role)
			return &weights->items[low];
	return NULL;
}

bool nn_weight_trainable(const nn_graph *graph, const nn_weight *weight)
{
	return graph->layers[weight->layer].trainable && weight->role != NN_MOVING_MEAN &&
	       weight->role != NN_MOVING_VARIANCE;
}

void nn_weights_counts(const nn_graph *graph, const nn_weights *weights, int64_t *total, int64_t *trainable)
{
	*total = *trainable = 0;
	for (int i = 0; i < weights->count; i++) {
		*total += (int64_t)weights->items[i].count;
		if (nn_weight_trainable(graph, &weights->items[i]))
			*trainable += (int64_t)weights->items[i].count;
	}
}

void nn_weights_initialize(const nn_graph *graph, nn_weights *weights, int first, nn_initializer kernels, uint64_t seed)
{
	for (int i = 0; i < weights->count; i++) {
		nn_weight *weight = &weights->items[i];
		if (weight->layer < first)
			continue;
		if (weight->role != NN_KERNEL) {
			fill(weight, neutral(weight->role));
			continue;
		}
		const char *name = graph->layers[weight->layer].name;
		base_random random = base_random_make(seed, base_hash_bytes(name, strlen(name)).low);
		double area = weight->rank == 4 ? (double)weight->shape[0] * weight->shape[1] : 1.0;
		double fan_in = area * weight->shape[weight->rank - 2],
		       fan_out = area * weight->shape[weight->rank - 1];
		if (kernels == NN_HE_NORMAL) {
			float deviation = (float)sqrt(2.0 / fan_out);
			for (size_t k = 0; k < weight->count; k++)
				weight->values[k] = deviation * base_random_normal(&random);
		} else {
			float limit = (float)sqrt(6.0 / (fan_in + fan_out));
			for (size_t k = 0; k < weight->count; k++)
				weight->values[k] = base_random_range(&random, -limit, limit);
		}
	}
}
