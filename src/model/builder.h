/* A graph in the making. Layers are appended one after the other: the first failure stops, the later calls do nothing. */
#ifndef MODEL_BUILDER_H
#define MODEL_BUILDER_H

#include "model/model.h"

typedef struct model_builder {
	nn_graph *graph;
	double width;
	model_variant variant;
	int blocks[4]; /* of the stages */
	bm_status status;
	bm_error *err;
} model_builder;

/* Filters of a layer that has this many at width 1: a multiple of 8. */
int model_scaled(const model_builder *b, int filters);

/* Each adds one layer behind `input`, called prefix + name, and returns its index. Convolutions have biases and batch norms constants as the
 * variant has them. */
int model_add(model_builder *b, nn_layer layer, int input, const char *prefix, const char *name);
int model_add_conv(model_builder *b, int input, const char *prefix, const char *name, int filters, int kernel,
		   int stride, bool same);
int model_add_norm(model_builder *b, int input, const char *prefix, const char *name);
int model_add_relu(model_builder *b, int input, const char *prefix, const char *name);
int model_add_padding(model_builder *b, int input, const char *prefix, const char *name, int pixels);
/* "PREFIX_add": the shortcut, then the branch whose last batch norm is 0 when a training from scratch begins. */
int model_add_sum(model_builder *b, int shortcut, int x, const char *prefix);

/* compact.c: from the input to the last stage. */
int model_add_compact(model_builder *b, int input);

#endif
