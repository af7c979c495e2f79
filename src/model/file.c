/* Saving and loading models. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "model/archive.h"
#include "model/hdf5_file.h"
#include "model/keras_config.h"
#include "model/resnet50.h"

#define JSON_LIMIT ((size_t)16 << 20)
#define WEIGHTS_LIMIT ((size_t)2 << 30)
#define WEIGHTS_ENTRY "model.weights.h5"

/* The array in the file that holds weight i of the graph. */
typedef struct binding {
	model_hdf5_array array; /* as it has to be */
	char label[128];	/* "conv1_conv/kernel", for messages */
	int found;		/* index in the file, -1: none */
} binding;

static bm_status bindings_create(const model *m, binding **out, bm_error *err)
{
	const nn_graph *graph = &m->graph;
	model_layer_path *paths = base_calloc((size_t)graph->count, sizeof(*paths), "names of arrays", err);
	binding *all = base_calloc((size_t)m->weights.count, sizeof(*all), "names of arrays", err);
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
		binding *b = &all[i];

		number = i > 0 && m->weights.items[i - 1].layer == w->layer ? number + 1 : 0;
		snprintf(b->array.path, sizeof(b->array.path), "%s/vars/%d", paths[w->layer], number);
		snprintf(b->label, sizeof(b->label), "%s/%s", graph->layers[w->layer].name, nn_role_keras(w->role));
		b->array.rank = w->rank;
		memcpy(b->array.shape, w->shape, sizeof(b->array.shape));
		b->found = -1;
	}
	base_free(paths);
	return BM_OK;
}

/* ---- saving ---- */

static bm_status make_weights(const model *m, uint8_t **bytes, size_t *size, bm_error *err)
{
	model_layer_path *paths = base_calloc((size_t)m->graph.count, sizeof(*paths), "names of arrays", err);
	model_hdf5_writer *writer = NULL;
	binding *all = NULL;
	bm_status status = paths ? bindings_create(m, &all, err) : BM_ERR_MEMORY;

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
	char *config = model_config_json(m, err), *metadata = NULL, *own = NULL;
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
	status = make_weights(m, &weights, &size, err);
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

/* ---- loading ---- */

static bm_status describe_archive(model_archive *archive, const char *path, model_description *out, bm_error *err)
{
	bool own = model_archive_has(archive, "brainmri.json");
	uint8_t *config = NULL, *json = NULL;
	size_t config_size = 0, size = 0;
	/* With brainmri.json the other is only read to see that it is whole. */
	bm_status status = model_archive_read(archive, "config.json", JSON_LIMIT, &config, &config_size, err);

	if (status == BM_OK && own)
		status = model_archive_read(archive, "brainmri.json", JSON_LIMIT, &json, &size, err);
	if (status == BM_OK)
		status = own ? model_describe(path, json, size, out, err)
			     : model_describe_keras(path, config, config_size, out, err);
	base_free(config);
	base_free(json);
	return status;
}

bm_status model_peek(const char *path, model_options *options, bm_error *err)
{
	model_archive *archive = NULL;
	model_description description = {0};
	bm_status status = model_archive_open(path, &archive, err);

	if (status == BM_OK)
		status = describe_archive(archive, path, &description, err);
	if (status == BM_OK)
		*options = description.options;
	model_description_free(&description);
	model_archive_close(archive);
	return status;
}

static const char *shape_text(const model_hdf5_array *array, char *text, size_t size)
{
	size_t n = 0;

	text[0] = '\0';
	for (int i = 0; i < array->rank && n < size; i++)
		n += (size_t)snprintf(text + n, size - n, "%s%d", i ? "x" : "", array->shape[i]);
	return text;
}

static bool same_shape(const model_hdf5_array *a, const model_hdf5_array *b)
{
	bool same = a->rank == b->rank;

	for (int i = 0; same && i < a->rank; i++)
		same = a->shape[i] == b->shape[i];
	return same;
}

/* A list in a message: as many as fit, then "and 12 more". */
typedef struct list {
	base_text text;
	int shown, left_out;
} list;

static void list_add(list *l, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void list_add(list *l, const char *format, ...)
{
	char item[256];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(item, sizeof(item), format, arguments);
	va_end(arguments);
	if (l->text.length + strlen(item) > BM_MESSAGE_SIZE - 350) {
		l->left_out++;
		return;
	}
	base_text_add(&l->text, "%s%s", l->shown++ ? "; " : "", item);
}

/* Finds weights [first, end) in the file and puts what is wrong with them on the list; marks what was found as used. */
static int bind(binding *all, int first, int end, model_hdf5_reader *file, bool *used, list *problems)
{
	char has[64], needs[64];
	int wrong = 0;

	for (int i = first; i < end; i++) {
		binding *b = &all[i];
		const model_hdf5_array *found;

		b->found = model_hdf5_find(file, b->array.path);
		if (b->found < 0) {
			wrong++;
			list_add(problems, "missing %s (%s)", b->label, b->array.path);
			continue;
		}
		used[b->found] = true;
		found = model_hdf5_get(file, b->found);
		if (!same_shape(found, &b->array)) {
			wrong++;
			list_add(problems, "%s (%s) is %s, must be %s", b->label, b->array.path,
				 shape_text(found, has, sizeof(has)), shape_text(&b->array, needs, sizeof(needs)));
		}
	}
	return wrong;
}

/* Arrays that no weight was bound to. Dense layers and batch norms may belong to another head, which is allowed unless all is strict. */
static int find_extra(const model_hdf5_reader *file, const bool *used, bool strict, int *head_extra, list *problems)
{
	int wrong = 0;

	*head_extra = 0;
	for (int i = 0; i < model_hdf5_count(file); i++) {
		const char *path = model_hdf5_get(file, i)->path;

		if (used[i])
			continue;
		if (!strict &&
		    (strncmp(path, "layers/dense", 12) == 0 || strncmp(path, "layers/batch_norm", 17) == 0)) {
			++*head_extra;
			continue;
		}
		wrong++;
		list_add(problems, "extra %s", path);
	}
	return wrong;
}

/* Reads the model's weights from an HDF5 file in memory. head_taken NULL: the head must fit. Nothing is changed when the shapes are
 * wrong; when an array cannot be read, those before it are. */
static bm_status take_weights(model *m, const char *path, const uint8_t *bytes, size_t size, bool *head_taken,
			      bm_error *err)
{
	nn_weights *weights = &m->weights;
	model_hdf5_reader *file = NULL;
	list problems = {0}, head_problems = {0};
	binding *all = NULL;
	bool *used = NULL, head = true;
	int base = 0, wrong, head_extra;
	bm_status status = model_hdf5_open(bytes, size, path, &file, err);

	if (status == BM_OK)
		status = bindings_create(m, &all, err);
	if (status != BM_OK)
		goto cleanup;
	used = base_calloc((size_t)model_hdf5_count(file) + 1, sizeof(*used), "a list of arrays", err);
	if (!used) {
		status = BM_ERR_MEMORY;
		goto cleanup;
	}
	while (base < weights->count && weights->items[base].layer < m->base_layers)
		base++;
	wrong = bind(all, 0, base, file, used, &problems);
	head = bind(all, base, weights->count, file, used, head_taken ? &head_problems : &problems) == 0;
	if (!head_taken)
		wrong += !head;
	wrong += find_extra(file, used, !head_taken, &head_extra, &problems);
	if (wrong > 0) {
		if (problems.left_out > 0)
			base_text_add(&problems.text, "; and %d more", problems.left_out);
		status = base_fail(err, BM_ERR_FORMAT,
				   "the weights in '%s' do not fit the network: %s. Use the --width, --head and "
				   "channels that they were made with",
				   path, base_text_string(&problems.text));
		goto cleanup;
	}
	head = head && head_extra == 0;
	if (head_taken)
		*head_taken = head;
	for (int i = 0; i < (head ? weights->count : base) && status == BM_OK; i++)
		status = model_hdf5_read(file, all[i].found, weights->items[i].values, err);
cleanup:
	base_text_free(&problems.text);
	base_text_free(&head_problems.text);
	base_free(used);
	base_free(all);
	model_hdf5_close(file);
	return status;
}

/* A file that claims a huge network must hold as many weights. */
static bm_status check_size(const char *path, const model_options *options, size_t bytes, bm_error *err)
{
	nn_graph graph = {0};
	int64_t total = 0, statistics;
	int base;
	bm_status status = model_build_graph(options, &graph, &base, err);

	for (int i = 0; status == BM_OK && i < graph.count; i++)
		total += model_layer_parameters(&graph, i, &statistics);
	nn_graph_free(&graph);
	if (status == BM_OK && (uint64_t)total * 2 > bytes)
		status = base_fail(err, BM_ERR_FORMAT,
				   "'%s' describes a network of %lld parameters but holds only %zu bytes of weights",
				   path, (long long)total, bytes);
	return status;
}

bm_status model_load(const char *path, model *out, bm_error *err)
{
	model_archive *archive = NULL;
	model_description description = {0};
	uint8_t *weights = NULL;
	size_t size = 0;
	bm_status status;

	memset(out, 0, sizeof(*out));
	status = model_archive_open(path, &archive, err);
	if (status == BM_OK)
		status = describe_archive(archive, path, &description, err);
	if (status == BM_OK)
		status = model_archive_read(archive, WEIGHTS_ENTRY, WEIGHTS_LIMIT, &weights, &size, err);
	if (status == BM_OK)
		status = check_size(path, &description.options, size, err);
	if (status == BM_OK)
		status = model_build(&description.options, (const char *const *)description.class_names, out, err);
	if (status == BM_OK)
		status = take_weights(out, path, weights, size, NULL, err);
	if (status == BM_OK)
		model_set_trainable(out, MODEL_LAST_LAYERS, description.trainable_base);
	else
		model_free(out);
	base_free(weights);
	model_description_free(&description);
	model_archive_close(archive);
	return status;
}

bm_status model_load_weights(model *m, const char *path, bool *head_taken, bm_error *err)
{
	static const uint8_t hdf5_magic[8] = {0x89, 'H', 'D', 'F', '\r', '\n', 0x1a, '\n'};
	model_archive *archive = NULL;
	uint8_t *bytes = NULL, start[8] = {0};
	model fresh = *m;
	bool taken = false;
	size_t size = 0;
	FILE *file;
	bm_status status;

	fresh.weights = (nn_weights){0};
	*head_taken = false;
	file = fopen(path, "rb");
	if (!file)
		return base_fail(err, BM_ERR_NOT_FOUND,
				 "cannot open the weights '%s': name a .keras or .weights.h5 file", path);
	size = fread(start, 1, sizeof(start), file);
	fclose(file);
	if (size == sizeof(start) && memcmp(start, hdf5_magic, sizeof(start)) == 0) {
		status = base_file_read(path, WEIGHTS_LIMIT, &bytes, &size, err);
	} else {
		status = model_archive_open(path, &archive, err);
		if (status == BM_OK)
			status = model_archive_read(archive, WEIGHTS_ENTRY, WEIGHTS_LIMIT, &bytes, &size, err);
	}
	/* Into a copy: an array may turn out to be unreadable when others have been read. */
	if (status == BM_OK)
		status = nn_weights_copy(&m->weights, &fresh.weights, err);
	if (status == BM_OK)
		status = take_weights(&fresh, path, bytes, size, &taken, err);
	if (status == BM_OK) {
		memcpy(m->weights.storage, fresh.weights.storage, m->weights.total * sizeof(float));
		*head_taken = taken;
	}
	nn_weights_free(&fresh.weights);
	base_free(bytes);
	model_archive_close(archive);
	return status;
}
