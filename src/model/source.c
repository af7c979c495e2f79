#include "model/source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "model/archive.h"
#include "model/resnet50.h"

#define JSON_LIMIT ((size_t)16 << 20)
#define WEIGHTS_LIMIT ((size_t)2 << 30)

/* torchvision.transforms.Normalize of every ImageNet model; timm's resnet50 too. */
static const float torch_mean[3] = {.485f, .456f, .406f}, torch_deviation[3] = {.229f, .224f, .225f};
/* keras.applications.imagenet_utils.preprocess_input, mode "caffe": 0 to 255, these means (red, green, blue) subtracted, then BGR. */
static const float caffe_mean[3] = {123.68f, 116.779f, 103.939f};

static bm_status describe_archive(model_archive *archive, model_source *s, bm_error *err)
{
	bool own = model_archive_has(archive, "brainmri.json");
	uint8_t *config = NULL, *json = NULL;
	size_t config_size = 0, size = 0;
	/* With brainmri.json the other is only read to see that it is whole. */
	bm_status status = model_archive_read(archive, "config.json", JSON_LIMIT, &config, &config_size, err);

	if (status == BM_OK && own)
		status = model_archive_read(archive, "brainmri.json", JSON_LIMIT, &json, &size, err);
	if (status == BM_OK)
		status = own ? model_describe(s->path, json, size, &s->description, err)
			     : model_describe_keras(s->path, config, config_size, &s->description, err);
	base_free(config);
	base_free(json);
	return status;
}

/* Parameters of the network that the file describes. */
static bm_status count_parameters(const model_options *options, int64_t *total, bm_error *err)
{
	nn_graph graph = {0};
	int64_t statistics;
	int base;
	bm_status status = model_build_graph(options, &graph, &base, err);

	*total = 0;
	for (int i = 0; status == BM_OK && i < graph.count; i++)
		*total += model_layer_parameters(&graph, i, &statistics);
	nn_graph_free(&graph);
	return status;
}

/* A file that claims a huge network must hold as many weights; they may be halves. */
static bm_status check_size(const model_source *s, int64_t total, size_t size, bm_error *err)
{
	if ((uint64_t)total * 2 <= size)
		return BM_OK;
	return base_fail(err, BM_ERR_FORMAT,
			 "'%s' describes a network of %lld parameters but holds only %zu bytes of weights", s->path,
			 (long long)total, size);
}

/* One that packs many more weights than its network has is a bomb: float64 and an optimizer's moments take 24 bytes a parameter. */
static bm_status read_archive_weights(model_archive *archive, model_source *s, bm_error *err)
{
	model_options options = s->description.options;
	int64_t total;
	size_t limit;
	bm_status status;

	if (options.classes == 0) { /* the base counts */
		options.head = MODEL_HEAD_LINEAR;
		options.classes = 2;
		options.image_size = MODEL_SIZE_USUAL;
	}
	status = count_parameters(&options, &total, err);

	if (status != BM_OK)
		return status;
	limit = (size_t)total * 32 + ((size_t)16 << 20);
	status = model_archive_read(archive, "model.weights.h5", limit < WEIGHTS_LIMIT ? limit : WEIGHTS_LIMIT,
				    &s->bytes, &s->size, err);
	return status == BM_OK ? check_size(s, total, s->size, err) : status;
}

static bm_status open_archive(model_source *s, bool weights, bm_error *err)
{
	model_archive *archive = NULL;
	bm_status status = model_archive_open(s->path, &archive, err);

	if (status == BM_OK)
		status = describe_archive(archive, s, err);
	s->whole = s->description.options.classes > 0;
	if (status == BM_OK && weights)
		status = read_archive_weights(archive, s, err);
	if (status == BM_OK && weights)
		status = model_hdf5_open(s->bytes, s->size, s->path, &s->hdf5, err);
	if (status == BM_OK && weights && model_hdf5_is_legacy(s->hdf5))
		status = base_fail(err, BM_ERR_FORMAT, "the weights in '%s' are not laid out as in a .keras file",
				   s->path);
	model_archive_close(archive);
	return status;
}

/* A bias of any convolution: torchvision's ResNet-50 has none, that of Keras has one everywhere. */
static bool has_biases(const model_source *s)
{
	for (int i = 0; i < model_source_count(s); i++) {
		const char *name = model_source_get(s, i)->name, *end;

		if (s->naming == MODEL_NAMING_KERAS && strncmp(name, "layers/conv2d", 13) == 0) {
			end = strrchr(name, '/');
			if (end && strcmp(end, "/1") == 0)
				return true;
		}
		end = s->naming == MODEL_NAMING_LAYERS ? strstr(name, "_conv/bias") : NULL;
		if (end && strcmp(end, "_conv/bias") == 0)
			return true;
	}
	return false;
}

/* By its convolutions, of which the first stands alone and one stands in the shortcut of each stage's first block. 0: the file lacks some, which
 * is said when weights are taken, or holds another network. */
static int depth_of(const model_source *s)
{
	int kernels = 0, blocks[4];

	for (int i = 0; i < model_source_count(s); i++)
		kernels += model_source_get(s, i)->rank == 4;
	return model_depth_blocks(MODEL_V1, kernels - 3, blocks) ? kernels - 3 : 0;
}

/* What arrays alone tell: width, depth, channels, and by the biases whose ResNet it is. */
static void describe_arrays(model_source *s)
{
	static const char *const kernels[] = {[MODEL_NAMING_KERAS] = "layers/conv2d/vars/0",
					      [MODEL_NAMING_LAYERS] = "conv1_conv/kernel",
					      [MODEL_NAMING_TORCH] = "conv1.weight"};
	model_options *o = &s->description.options;
	bool torch = s->naming == MODEL_NAMING_TORCH;
	int index = model_source_find(s, kernels[s->naming]);
	const model_array *kernel = index >= 0 ? model_source_get(s, index) : NULL;

	if (!kernel || kernel->rank != 4)
		return; /* what is missing is said when weights are taken */
	o->width = kernel->shape[torch ? 0 : 3] / 64.0;
	o->channels = kernel->shape[torch ? 1 : 2];
	o->variant = has_biases(s) ? MODEL_V1 : MODEL_V1_5;
	o->depth = depth_of(s);
	for (int c = 0; torch && c < 3; c++) {
		o->input.rescaled = true;
		o->input.scale[c] = 1 / torch_deviation[c];
		o->input.offset[c] = -torch_mean[c] / torch_deviation[c];
	}
}

static bm_status open_hdf5(model_source *s, bm_error *err)
{
	model_options *o = &s->description.options;
	bm_status status = base_file_read(s->path, WEIGHTS_LIMIT, &s->bytes, &s->size, err);

	if (status == BM_OK)
		status = model_hdf5_open(s->bytes, s->size, s->path, &s->hdf5, err);
	if (status != BM_OK)
		return status;
	s->naming = model_hdf5_is_legacy(s->hdf5) ? MODEL_NAMING_LAYERS : MODEL_NAMING_KERAS;
	describe_arrays(s);
	/* The layout of the official ImageNet weights, and their input. */
	if (s->naming == MODEL_NAMING_LAYERS && o->channels == 3) {
		o->input.rescaled = s->reversed = true;
		for (int c = 0; c < 3; c++) {
			o->input.scale[c] = 255;
			o->input.offset[c] = -caffe_mean[c];
		}
	}
	return status;
}

static bm_status read_safetensors(model_source *s, const uint8_t *bytes, size_t size, bm_error *err)
{
	const char *own;
	int64_t total;
	bm_status status = model_safetensors_open(bytes, size, s->path, &s->safetensors, err);

	if (status != BM_OK)
		return status;
	own = model_safetensors_metadata(s->safetensors, "brainmri");
	s->whole = own != NULL;
	s->naming = model_source_find(s, "conv1.weight") >= 0 ? MODEL_NAMING_TORCH : MODEL_NAMING_LAYERS;
	if (!own) {
		describe_arrays(s);
		return BM_OK;
	}
	status = model_describe(s->path, own, strlen(own), &s->description, err);
	if (status == BM_OK)
		status = count_parameters(&s->description.options, &total, err);
	return status == BM_OK ? check_size(s, total, size, err) : status;
}

static bm_status open_safetensors(model_source *s, bm_error *err)
{
	bm_status status = base_file_read(s->path, WEIGHTS_LIMIT, &s->bytes, &s->size, err);

	return status == BM_OK ? read_safetensors(s, s->bytes, s->size, err) : status;
}

static bm_status read_start(const char *path, uint8_t start[16], size_t *size, bm_error *err)
{
	FILE *file = base_is_folder(path) ? NULL : fopen(path, "rb");

	*size = 0;
	if (!file)
		return base_fail(err, BM_ERR_NOT_FOUND,
				 "there is no file '%s': name a .keras, .weights.h5, .h5 or .safetensors file", path);
	*size = fread(start, 1, 16, file);
	fclose(file);
	return BM_OK;
}

bm_status model_source_open(const char *path, bool weights, model_source **out, bm_error *err)
{
	static const uint8_t hdf5_magic[8] = {0x89, 'H', 'D', 'F', '\r', '\n', 0x1a, '\n'};
	model_source *s = base_calloc(1, sizeof(*s), "a weights file", err);
	uint8_t start[16] = {0};
	size_t size = 0;
	bm_status status = BM_ERR_MEMORY;

	*out = NULL;
	if (!s)
		return status;
	s->path = base_strdup(path, err);
	if (s->path)
		status = read_start(path, start, &size, err);
	if (status != BM_OK)
		goto cleanup;
	if (size >= 8 && memcmp(start, hdf5_magic, 8) == 0)
		status = open_hdf5(s, err);
	else if (model_safetensors_begins(start, size))
		status = open_safetensors(s, err);
	else /* a zip's end tells what it is, not its beginning: libzip knows best */
		status = open_archive(s, weights, err);
cleanup:
	if (status == BM_OK)
		*out = s;
	else
		model_source_close(s);
	return status;
}

bm_status model_source_open_bytes(const uint8_t *bytes, size_t size, const char *name, model_source **out,
				  bm_error *err)
{
	model_source *s = base_calloc(1, sizeof(*s), "a weights file", err);
	bm_status status = BM_ERR_MEMORY;

	*out = NULL;
	if (!s)
		return status;
	s->path = base_strdup(name, err);
	if (s->path)
		status = read_safetensors(s, bytes, size, err);
	if (status == BM_OK)
		*out = s;
	else
		model_source_close(s);
	return status;
}

void model_source_close(model_source *s)
{
	if (!s)
		return;
	model_hdf5_close(s->hdf5);
	model_safetensors_close(s->safetensors);
	model_description_free(&s->description);
	base_free(s->bytes);
	base_free(s->path);
	base_free(s);
}

int model_source_count(const model_source *s)
{
	return s->hdf5 ? model_hdf5_count(s->hdf5) : model_safetensors_count(s->safetensors);
}

const model_array *model_source_get(const model_source *s, int index)
{
	return s->hdf5 ? model_hdf5_get(s->hdf5, index) : model_safetensors_get(s->safetensors, index);
}

int model_source_find(const model_source *s, const char *name)
{
	for (int i = 0; i < model_source_count(s); i++) {
		if (strcmp(model_source_get(s, i)->name, name) == 0)
			return i;
	}
	return -1;
}

bm_status model_source_read(const model_source *s, int index, float *values, bm_error *err)
{
	if (s->hdf5)
		return model_hdf5_read(s->hdf5, index, values, err);
	model_safetensors_read(s->safetensors, index, values);
	return BM_OK;
}
