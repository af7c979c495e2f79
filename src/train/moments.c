#include <string.h>

#include "base/memory.h"
#include "train/state.h"

static size_t keras_count(const trainer *t, int index)
{
	return t->m->weights.items[nn_network_parameter(t->network, index)->weight].count;
}

static size_t moment_total(const trainer *t)
{
	size_t total = 0;
	for (int i = 0; i < t->optimizer.count; i++)
		total += keras_count(t, i);
	return total;
}

bm_status train_moments_take(trainer *t, train_moments *moments, bm_error *err)
{
	*moments = (train_moments){.count = moment_total(t), .step = t->optimizer.step};
	moments->m = base_malloc(moments->count, sizeof(float), "the optimiser's moments", err);
	moments->v = base_malloc(moments->count, sizeof(float), "the optimiser's moments", err);
	bm_status status = moments->m && moments->v ? BM_OK : BM_ERR_MEMORY;
	size_t at = 0;
	for (int i = 0; status == BM_OK && i < t->optimizer.count; i++) {
		status = nn_parameter_to_keras(t->network, i, t->optimizer.m[i], moments->m + at, err);
		if (status == BM_OK)
			status = nn_parameter_to_keras(t->network, i, t->optimizer.v[i], moments->v + at, err);
		at += keras_count(t, i);
	}
	if (status != BM_OK)
		train_moments_free(moments);
	return status;
}

bm_status train_moments_give(trainer *t, const train_moments *moments, bm_error *err)
{
	if (moments->count != moment_total(t))
		return base_fail(err, BM_ERR_FORMAT, "the optimiser's state has %zu values, the network %zu parameters",
				 moments->count, moment_total(t));
	bm_status status = BM_OK;
	size_t at = 0;
	for (int i = 0; status == BM_OK && i < t->optimizer.count; i++) {
		status = nn_parameter_from_keras(t->network, i, moments->m + at, t->optimizer.m[i], err);
		if (status == BM_OK)
			status = nn_parameter_from_keras(t->network, i, moments->v + at, t->optimizer.v[i], err);
		at += keras_count(t, i);
	}
	t->optimizer.step = moments->step;
	return status;
}

/* Where the arrays of parameter `index` begin when all are put in the order of the weights. */
static size_t sorted_offset(const trainer *t, int index)
{
	int weight = nn_network_parameter(t->network, index)->weight;
	size_t at = 0;
	for (int i = 0; i < t->optimizer.count; i++)
		if (nn_network_parameter(t->network, i)->weight < weight)
			at += keras_count(t, i);
	return at;
}

bm_status train_moments_save(trainer *t, const model *shown, const char *path, bm_error *err)
{
	const train_optimizer_options *o = &t->optimizer.options;
	size_t total = moment_total(t);
	float *m = base_malloc(total, sizeof(float), "the optimiser's moments", err),
	      *v = base_malloc(total, sizeof(float), "the optimiser's moments", err);
	bm_status status = m && v ? BM_OK : BM_ERR_MEMORY;
	for (int i = 0; status == BM_OK && i < t->optimizer.count; i++) {
		size_t at = sorted_offset(t, i);
		status = nn_parameter_to_keras(t->network, i, t->optimizer.m[i], m + at, err);
		if (status == BM_OK)
			status = nn_parameter_to_keras(t->network, i, t->optimizer.v[i], v + at, err);
	}
	if (status == BM_OK) {
		model_optimizer optimizer = {.learning_rate = (float)train_rate(t),
					     .beta1 = o->beta1,
					     .beta2 = o->beta2,
					     .epsilon = o->epsilon,
					     .weight_decay = o->weight_decay,
					     .clip_norm = o->clip_norm,
					     .steps = (int64_t)t->optimizer.step,
					     .m = m,
					     .v = v};
		status = model_save_compiled(shown, &optimizer, path, err);
	}
	base_free(m);
	base_free(v);
	return status;
}

void train_moments_free(train_moments *moments)
{
	base_free(moments->m);
	base_free(moments->v);
	*moments = (train_moments){0};
}

bm_status train_ema_start(trainer *t, bm_error *err)
{
	nn_weights_free(&t->ema);
	return nn_weights_copy(&t->m->weights, &t->ema, err);
}

void train_ema_move(trainer *t, float decay)
{
	const float *from = t->m->weights.storage;
	float *to = t->ema.storage;
	for (size_t i = 0; i < t->ema.total; i++)
		to[i] += (from[i] - to[i]) * (1.0f - decay);
}
