/* Saving models. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "model/archive.h"
#include "model/source.h"

#define WEIGHTS_ENTRY "model.weights.h5"

/* Keras' Adam.variables: steps, rate, then the two moments of each trainable array. */
static bm_status add_optimizer(const model *m, const model_optimizer *o, model_hdf5_writer *writer, bm_error *err)
{
	model_array array = {.name = "optimizer/vars/1"};
	size_t at = 0;
	int number = 2;
	bm_status status = model_hdf5_add_group(writer, "optimizer", model_optimizer_name(o), err);

	if (status == BM_OK)
		status = model_hdf5_add_integer(writer, "optimizer/vars/0", o->steps, err);
	if (status == BM_OK)
		status = model_hdf5_add(writer, &array, &o->learning_rate, err);
	for (int i = 0; i < m->weights.count && status == BM_OK; i++) {
		const nn_weight *w = &m->weights.items[i];

		if (!nn_weight_trainable(&m->graph, w))
			continue;
		array.rank = w->rank;
		memcpy(array.shape, w->shape, sizeof(array.shape));
		snprintf(array.name, sizeof(array.name), "optimizer/vars/%d", number++);
		status = model_hdf5_add(writer, &array, o->m + at, err);
		snprintf(array.name, sizeof(array.name), "optimizer/vars/%d", number++);
		if (status == BM_OK)
			status = model_hdf5_add(writer, &array, o->v + at, err);
		at += w->count;
	}
	return status;
}

static bm_status make_weights(const model *m, const model_optimizer *optimizer, uint8_t **bytes, size_t *size,
			      bm_error *err)
{
	model_layer_path *paths = base_calloc((size_t)m->graph.count, sizeof(*paths), "names of arrays", err);
	model_hdf5_writer *writer = NULL;
	model_binding *all = NULL;
	bm_status status = paths ? model_bindings_create(m, MODEL_NAMING_KERAS, &all, err) : BM_ERR_MEMORY;

	if (status == BM_OK)
		status = model_hdf5_create(&writer, err);
	if (status != BM_OK)
		goto cleanup;
	model_layer_paths(&m->graph, paths);
	status = model_hdf5_add_group(writer, "", "resnet50", err);
	for (int i = 0; i < m->graph.count && status == BM_OK; i++)
		status = model_hdf5_add_group(writer, paths[i], m->graph.layers[i].name, err);
	for (int i = 0; i < m->weights.count && status == BM_OK; i++)
		status = model_hdf5_add(writer, &all[i].array, m->weights.items[i].values, err);
	if (status == BM_OK && optimizer)
		status = add_optimizer(m, optimizer, writer, err);
	if (status == BM_OK)
		status = model_hdf5_finish(writer, bytes, size, err);
cleanup:
	model_hdf5_discard(writer);
	base_free(all);
	base_free(paths);
	return status;
}

bm_status model_save(const model *m, const char *path, bm_error *err)
{
	return model_save_compiled(m, NULL, path, err);
}

bm_status model_save_compiled(const model *m, const model_optimizer *optimizer, const char *path, bm_error *err)
{
	char *config = model_config_json(m, optimizer, err), *metadata = NULL, *own = NULL;
	uint8_t *weights = NULL;
	size_t size = 0;
	bm_status status = BM_ERR_MEMORY;

	if (!config)
		goto cleanup;
	metadata = model_metadata_json(err);
	if (!metadata)
		goto cleanup;
	own = model_brainmri_json(m, err);
	if (!own)
		goto cleanup;
	status = make_weights(m, optimizer, &weights, &size, err);
	if (status == BM_OK) {
		const model_entry entries[] = {
			{"metadata.json", metadata, strlen(metadata)},
			{"config.json", config, strlen(config)},
			{"brainmri.json", own, strlen(own)},
			{WEIGHTS_ENTRY, weights, size},
		};

		status = model_archive_write(path, entries, 4, err);
	}
cleanup:
	free(config);
	free(metadata);
	free(own);
	base_free(weights);
	return status;
}

bm_status model_save_trust(const model *m, const char *path, bm_error *err)
{
	static const char *const kept[3] = {"metadata.json", "config.json", WEIGHTS_ENTRY};
	uint8_t *bytes[3] = {NULL};
	size_t sizes[3] = {0};
	model_archive *archive = NULL;
	char *own = model_brainmri_json(m, err);
	bm_status status = own ? model_archive_open(path, &archive, err) : BM_ERR_MEMORY;

	for (int i = 0; i < 3 && status == BM_OK; i++)
		status = model_archive_read(archive, kept[i], (size_t)2 << 30, &bytes[i], &sizes[i], err);
	model_archive_close(archive);
	if (status == BM_OK) {
		const model_entry entries[] = {
			{kept[0], bytes[0], sizes[0]},
			{kept[1], bytes[1], sizes[1]},
			{"brainmri.json", own, strlen(own)},
			{kept[2], bytes[2], sizes[2]},
		};

		status = model_archive_write(path, entries, 4, err);
	}
	for (int i = 0; i < 3; i++)
		base_free(bytes[i]);
	free(own);
	return status;
}

bm_status model_save_safetensors(const model *m, bool half, const char *path, bm_error *err)
{
	char *own = model_brainmri_json(m, err);
	model_binding *all = NULL;
	model_array *arrays = NULL;
	const float **values = NULL;
	bm_status status = own	 ? model_bindings_create(m, MODEL_NAMING_LAYERS, &all, err)
			   : err ? err->status
				 : BM_ERR_MEMORY;

	if (status != BM_OK)
		goto cleanup;
	arrays = base_calloc((size_t)m->weights.count, sizeof(*arrays), "names of arrays", err);
	values = base_calloc((size_t)m->weights.count, sizeof(*values), "names of arrays", err);
	if (!arrays || !values) {
		status = BM_ERR_MEMORY;
		goto cleanup;
	}
	for (int i = 0; i < m->weights.count; i++) {
		arrays[i] = all[i].array;
		values[i] = m->weights.items[i].values;
	}
	status = model_safetensors_write(path, arrays, values, m->weights.count, half, "brainmri", own, err);
cleanup:
	free(own);
	base_free(all);
	base_free(arrays);
	base_free(values);
	return status;
}
