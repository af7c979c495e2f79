/* The network's layers, and what the folder's other files need of a half-made model. */
#ifndef MODEL_RESNET50_H
#define MODEL_RESNET50_H

#include "model/model.h"

#define MODEL_WIDTH_MAX 4.0
#define MODEL_SIZE_MIN 32
#define MODEL_SIZE_USUAL 224
#define MODEL_SIZE_MAX 4096

bm_status model_check_options(const model_options *options, bm_error *err);

/* Appends ResNet-50 without its top (keras.applications.ResNet50(include_top=False)), layers in the order of Keras' model.layers, then the
 * head; shapes are inferred. *base_layers is the count of the former, 175. */
bm_status model_build_graph(const model_options *options, nn_graph *graph, int *base_layers, bm_error *err);

/* Graph, class names and weights as nn_weights_create leaves them; nothing is drawn at random. Frees what it made on failure. */
bm_status model_build(const model_options *options, const char *const *class_names, model *out, bm_error *err);

const char *model_head_name(model_head head);		   /* "guide", "dense512", "linear" */
bool model_head_parse(const char *text, model_head *head); /* false: no such head */

/* Parameters of one layer, and those of them that are never trained (moving statistics). Shapes must be inferred. */
int64_t model_layer_parameters(const nn_graph *graph, int layer, int64_t *statistics);

#endif
