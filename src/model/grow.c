/* A network made wider and deeper without changing what it computes: Net2WiderNet (Chen, Goodfellow, Shlens 2016, "Net2Net: Accelerating
 * learning via knowledge transfer"), and residual blocks that begin as the identity. */
#include "model/grow.h"

#include <math.h>
#include <string.h>

#include "base/hash.h"
#include "base/memory.h"
#include "base/random.h"

/* Channel c of `wide` repeats channel c % narrow, so that what two branches add up belongs together in every layer. */
static int copies_of(int channel, int narrow, int wide)
{
	return (wide - channel + narrow - 1) / narrow;
}

/* Shares that add up to 1, uniform among all such: what the copies of one channel pass on of its one weight. Equal shares would have equal
 * gradients, and the copies would stay copies for ever. */
static void draw_shares(base_random *random, int count, float *shares)
{
	double sum = 0;

	for (int k = 0; k < count; k++) {
		shares[k] = -logf(1 - base_random_uniform(random));
		sum += shares[k];
	}
	for (int k = 0; k < count; k++)
		shares[k] = sum > 0 ? (float)(shares[k] / sum) : 1.f / (float)count;
}

/* [area][in][out], of a convolution or (area 1) a dense layer. `shares` has room for the copies of a channel. */
static void widen_kernel(const nn_weight *from, const nn_weight *to, base_random *random, float *shares)
{
	int narrow_in = from->shape[from->rank - 2], narrow_out = from->shape[from->rank - 1];
	int wide_in = to->shape[to->rank - 2], wide_out = to->shape[to->rank - 1];
	size_t area = from->count / (size_t)narrow_in / (size_t)narrow_out;

	for (size_t a = 0; a < area; a++) {
		const float *narrow = from->values + a * (size_t)narrow_in * (size_t)narrow_out;
		float *wide = to->values + a * (size_t)wide_in * (size_t)wide_out;

		for (int i = 0; i < narrow_in; i++) {
			int copies = copies_of(i, narrow_in, wide_in);

			for (int o = 0; o < wide_out; o++) {
				if (copies > 1)
					draw_shares(random, copies, shares);
				else
					shares[0] = 1;
				for (int k = 0; k < copies; k++)
					wide[(size_t)(i + k * narrow_in) * (size_t)wide_out + (size_t)o] =
						shares[k] *
						narrow[(size_t)i * (size_t)narrow_out + (size_t)(o % narrow_out)];
			}
		}
	}
}

static void widen_vector(const nn_weight *from, const nn_weight *to)
{
	for (size_t c = 0; c < to->count; c++)
		to->values[c] = from->values[c % from->count];
}

static bool is_wider(const nn_weight *from, const nn_weight *to)
{
	bool wider = from->rank == to->rank && from->role == to->role;

	for (int i = 0; wider && i < from->rank; i++)
		wider = i < from->rank - 2 ? from->shape[i] == to->shape[i] : from->shape[i] <= to->shape[i];
	return wider;
}

static const char *layer_of(const model *m, const nn_weight *w)
{
	return m->graph.layers[w->layer].name;
}

/* The weight of `to` that a weight of `from` grows into; NULL: there is none, or another one. */
static const nn_weight *grown(const model *from, const nn_weight *weight, const model *to)
{
	int layer = nn_graph_find(&to->graph, layer_of(from, weight));
	const nn_weight *found = layer < 0 ? NULL : nn_weights_find(&to->weights, layer, weight->role);

	return found && is_wider(weight, found) ? found : NULL;
}

/* A block that `from` does not have adds nothing to its shortcut, whose values are not negative: the ReLU behind it changes none. */
static void silence_new_blocks(const model *from, model *to)
{
	for (int i = 0; i < to->graph.count; i++) {
		const nn_layer *sum = &to->graph.layers[i];

		if (sum->type != NN_ADD || nn_graph_find(&from->graph, sum->name) >= 0)
			continue;
		for (int role = NN_GAMMA; role <= NN_BETA; role++) {
			const nn_weight *w = nn_weights_find(&to->weights, sum->inputs[1], (nn_role)role);

			memset(w->values, 0, w->count * sizeof(float));
		}
	}
}

bm_status model_grow(const model *from, bool head, model *to, bm_error *err)
{
	const nn_weights *all = &from->weights;
	float *shares;
	int most = 1, count = 0;

	while (count < all->count && (head || all->items[count].layer < from->base_layers)) {
		const nn_weight *a = &all->items[count++], *b = grown(from, a, to);

		if (!b)
			return base_fail(
				err, BM_ERR_USAGE,
				"layer '%s' of the network to grow is wider than that of the network to make, or is "
				"not in it",
				layer_of(from, a));
		if (a->role == NN_KERNEL) {
			int copies = copies_of(0, a->shape[a->rank - 2], b->shape[b->rank - 2]);

			most = copies > most ? copies : most;
		}
	}
	shares = base_malloc((size_t)most, sizeof(*shares), "shares of weights", err);
	if (!shares)
		return BM_ERR_MEMORY;
	silence_new_blocks(from, to);
	for (int i = 0; i < count; i++) {
		const nn_weight *a = &all->items[i], *b = grown(from, a, to);
		const char *name = layer_of(from, a);
		base_random random = base_random_make(0, base_hash_bytes(name, strlen(name)).low);

		if (a->role == NN_KERNEL)
			widen_kernel(a, b, &random, shares);
		else
			widen_vector(a, b);
	}
	base_free(shares);
	return BM_OK;
}
