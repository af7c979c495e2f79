/* The JSON files and the names of arrays in a Keras 3 `.keras` file (keras/src/saving/saving_lib.py). */
#ifndef MODEL_KERAS_CONFIG_H
#define MODEL_KERAS_CONFIG_H

#include "model/model.h"

#define MODEL_PATH_SIZE 96

/* Where Keras keeps a layer's arrays: "layers/conv2d_3", by class name and number in the order of model.layers. */
typedef char model_layer_path[MODEL_PATH_SIZE];
/* paths[graph->count] */
void model_layer_paths(const nn_graph *graph, model_layer_path *paths);

/* Each returns a JSON text, to be freed with free(); NULL and a message in err when memory ran out. */
/* config.json: a flat Functional model; compiled when there is an optimizer, which may be NULL. */
char *model_config_json(const model *m, const model_optimizer *optimizer, bm_error *err);
const char *model_optimizer_name(const model_optimizer *o); /* "adam", "adam_w" */
char *model_metadata_json(bm_error *err);		    /* metadata.json */
char *model_brainmri_json(const model *m, bm_error *err); /* brainmri.json: what Keras has no place for, and ignores */

/* What model_load needs before the weights. */
typedef struct model_description {
	model_options options;
	int trainable_base;		      /* base layers that are trainable, counted from the end */
	char *class_names[MODEL_CLASSES_MAX]; /* owned */
	char *trust;			      /* owned; of model.trust; NULL: none */
} model_description;
void model_description_free(model_description *d); /* safe on a zeroed one */

/* Reads brainmri.json. `path` is for messages. */
bm_status model_describe(const char *path, const void *json, size_t size, model_description *out, bm_error *err);
/* The same from a config.json that Keras itself wrote; the classes are called "class 0", ... Another head, or none,
 * gives options.classes 0. */
bm_status model_describe_keras(const char *path, const void *json, size_t size, model_description *out, bm_error *err);

#endif
