/* Which array of a file holds which weight. */
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "model/resnet50.h"
#include "model/source.h"

/* torchvision/models/resnet.py: "conv3_block2_1_conv" is layer2.1.conv1. Empty when PyTorch has no such layer. */
static void torch_layer(const nn_layer *layer, char *name, size_t size)
{
	int stage, block, number;
	char kind[8];

	name[0] = '\0';
	if (strcmp(layer->name, "conv1_conv") == 0)
		snprintf(name, size, "conv1");
	else if (strcmp(layer->name, "conv1_bn") == 0)
		snprintf(name, size, "bn1");
	else if (strcmp(layer->name, "dense") == 0)
		snprintf(name, size, "fc");
	else if (sscanf(layer->name, "conv%d_block%d_%d_%7s", &stage, &block, &number, kind) != 4)
		return;
	else if (number == 0)
		snprintf(name, size, "layer%d.%d.downsample.%d", stage - 1, block - 1, layer->type == NN_BATCH_NORM);
	else
		snprintf(name, size, "layer%d.%d.%s%d", stage - 1, block - 1, kind, number);
}

static void torch_array(const nn_layer *layer, const nn_weight *w, model_array *array)
{
	static const char *const roles[NN_ROLE_COUNT] = {[NN_KERNEL] = "weight",
							 [NN_BIAS] = "bias",
							 [NN_GAMMA] = "weight",
							 [NN_BETA] = "bias",
							 [NN_MOVING_MEAN] = "running_mean",
							 [NN_MOVING_VARIANCE] = "running_var"};
	char name[96];

	torch_layer(layer, name, sizeof(name));
	if (name[0])
		snprintf(array->name, sizeof(array->name), "%s.%s", name, roles[w->role]);
	if (w->rank == 4) { /* [h][w][in][out] -> [out][in][h][w] */
		array->shape[0] = w->shape[3];
		array->shape[1] = w->shape[2];
		array->shape[2] = w->shape[0];
		array->shape[3] = w->shape[1];
	} else if (w->rank == 2) {
		array->shape[0] = w->shape[1];
		array->shape[1] = w->shape[0];
	}
}

bm_status model_bindings_create(const model *m, model_naming naming, model_binding **out, bm_error *err)
{
	const nn_graph *graph = &m->graph;
	model_layer_path *paths = base_calloc((size_t)graph->count, sizeof(*paths), "names of arrays", err);
	model_binding *all = base_calloc((size_t)m->weights.count, sizeof(*all), "names of arrays", err);
	int number = 0;

	*out = all;
	if (!paths || !all) {
		base_free(paths);
		base_free(all);
		*out = NULL;
		return BM_ERR_MEMORY;
	}
	model_layer_paths(graph, paths);
	for (int i = 0; i < m->weights.count; i++) {
		const nn_weight *w = &m->weights.items[i];
		const nn_layer *layer = &graph->layers[w->layer];
		model_binding *b = &all[i];

		number = i > 0 && m->weights.items[i - 1].layer == w->layer ? number + 1 : 0;
		snprintf(b->label, sizeof(b->label), "%s/%s", layer->name, nn_role_keras(w->role));
		b->array.rank = w->rank;
		memcpy(b->array.shape, w->shape, sizeof(b->array.shape));
		b->found = -1;
		if (naming == MODEL_NAMING_KERAS)
			snprintf(b->array.name, sizeof(b->array.name), "%s/vars/%d", paths[w->layer], number);
		else if (naming == MODEL_NAMING_LAYERS)
			snprintf(b->array.name, sizeof(b->array.name), "%s", b->label);
		else
			torch_array(layer, w, &b->array);
	}
	base_free(paths);
	return BM_OK;
}

bool model_naming_is_head(model_naming naming, const char *name)
{
	static const char *const starts[] = {
		[MODEL_NAMING_KERAS] = "layers/", [MODEL_NAMING_LAYERS] = "", [MODEL_NAMING_TORCH] = ""};
	size_t start = strlen(starts[naming]);

	if (strncmp(name, starts[naming], start) != 0)
		return false;
	name += start;
	if (naming == MODEL_NAMING_TORCH)
		return strncmp(name, "fc.", 3) == 0;
	/* "predictions" is the top of keras.applications. */
	return strncmp(name, "dense", 5) == 0 || strncmp(name, "batch_norm", 10) == 0 ||
	       strncmp(name, "predictions", 11) == 0;
}
