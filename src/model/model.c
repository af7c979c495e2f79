#include "model/model.h"

#include <string.h>

#include "base/memory.h"
#include "model/resnet50.h"

bm_status model_build(const model_options *options, const char *const *class_names, model *out, bm_error *err)
{
	bm_status status;

	memset(out, 0, sizeof(*out));
	status = model_check_options(options, err);
	if (status != BM_OK)
		return status;
	out->options = *options;
	for (int i = 0; i < options->classes; i++) {
		out->class_names[i] = base_strdup(class_names[i], err);
		if (!out->class_names[i]) {
			status = BM_ERR_MEMORY;
			goto cleanup;
		}
	}
	status = model_build_graph(options, &out->graph, &out->base_layers, err);
	if (status == BM_OK)
		status = nn_weights_create(&out->graph, &out->weights, err);
cleanup:
	if (status != BM_OK)
		model_free(out);
	return status;
}

/* Each residual block begins as the identity: the gamma before its sum is 0. */
static void zero_last_gammas(model *m)
{
	for (int i = 0; i < m->graph.count; i++) {
		const nn_layer *layer = &m->graph.layers[i];
		const nn_weight *gamma;

		if (layer->type != NN_ADD)
			continue;
		gamma = nn_weights_find(&m->weights, layer->inputs[1], NN_GAMMA);
		if (gamma)
			memset(gamma->values, 0, gamma->count * sizeof(float));
	}
}

bm_status model_create(const model_options *options, const char *const *class_names, bool from_scratch, uint64_t seed,
		       model *out, bm_error *err)
{
	bm_status status = model_build(options, class_names, out, err);

	if (status != BM_OK)
		return status;
	nn_weights_initialize(&out->graph, &out->weights, 0, from_scratch ? NN_HE_NORMAL : NN_GLOROT_UNIFORM, seed);
	if (from_scratch) {
		/* He's rule is for what a ReLU follows and, by the fan-out, makes huge logits of a layer with 4 units. */
		nn_weights_initialize(&out->graph, &out->weights, out->base_layers, NN_GLOROT_UNIFORM, seed);
		zero_last_gammas(out);
	}
	return BM_OK;
}

void model_free(model *m)
{
	for (int i = 0; i < MODEL_CLASSES_MAX; i++)
		base_free(m->class_names[i]);
	base_free(m->trust);
	nn_weights_free(&m->weights);
	nn_graph_free(&m->graph);
	memset(m, 0, sizeof(*m));
}

void model_set_trainable(model *m, model_part part, int last)
{
	int first = 0;

	if (part == MODEL_HEAD_ONLY)
		first = m->base_layers;
	else if (part == MODEL_LAST_LAYERS)
		first = last < 0 ? m->base_layers : last > m->base_layers ? 0 : m->base_layers - last;
	for (int i = 0; i < m->graph.count; i++)
		m->graph.layers[i].trainable = i >= first;
}
