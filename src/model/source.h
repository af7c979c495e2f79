/* A file that holds weights, of whatever kind: what it says about the network, and its arrays. */
#ifndef MODEL_SOURCE_H
#define MODEL_SOURCE_H

#include "model/array.h"
#include "model/hdf5_file.h"
#include "model/keras_config.h"
#include "model/safetensors.h"

/* How the arrays are called. */
typedef enum model_naming {
	MODEL_NAMING_KERAS,  /* "layers/conv2d_3/vars/0": Keras 3, by class and number */
	MODEL_NAMING_LAYERS, /* "conv1_conv/kernel": Keras 2, and our safetensors */
	MODEL_NAMING_TORCH,  /* "layer1.0.conv1.weight": torchvision and timm; kernels [out][in][h][w] */
} model_naming;

typedef struct model_source {
	char *path;
	model_naming naming;
	bool whole;    /* a model with its head and classes; else weights only, and description.options are 0 where the
			* file does not tell (image_size, classes) */
	bool reversed; /* the first convolution takes the channels in the order blue, green, red */
	model_description description;
	uint8_t *bytes; /* of the arrays; NULL when they are the caller's */
	size_t size;
	model_hdf5_reader *hdf5; /* one of the two; none when opened without weights */
	model_safetensors *safetensors;
} model_source;

/* The kind of file is known by its bytes, not by its name. `weights` false: only what it says about the network.
 * On success *out is the caller's (model_source_close). */
bm_status model_source_open(const char *path, bool weights, model_source **out, bm_error *err);
/* A safetensors file in memory, which has to outlive the source. */
bm_status model_source_open_bytes(const uint8_t *bytes, size_t size, const char *name, model_source **out,
				  bm_error *err);
void model_source_close(model_source *s); /* NULL is allowed */

int model_source_count(const model_source *s);
const model_array *model_source_get(const model_source *s, int index);
int model_source_find(const model_source *s, const char *name); /* -1: there is none */
bm_status model_source_read(const model_source *s, int index, float *values, bm_error *err);

/* The array that holds a weight of a graph. */
typedef struct model_binding {
	model_array array; /* as it has to be in the file; no name: the file cannot hold it */
	char label[128];   /* "conv1_conv/kernel", for messages */
	int found;	   /* index in the file, -1: none */
} model_binding;

/* *out: [m->weights.count], base_free. */
bm_status model_bindings_create(const model *m, model_naming naming, model_binding **out, bm_error *err);
/* True for an array that belongs to a head, or to another head than this program's. */
bool model_naming_is_head(model_naming naming, const char *name);

#endif
