/* An ONNX model in the making: nodes and tensors are appended, and all is freed at once. After a failure the calls do nothing. */
#ifndef MODEL_ONNX_BUILDER_H
#define MODEL_ONNX_BUILDER_H

#include "base/error.h"
#include <onnx.pb-c.h>

typedef struct model_onnx {
	bm_error *err;
	bm_status status;
	void **blocks; /* all that was taken */
	size_t block_count, block_room;
	Onnx__NodeProto **nodes;
	size_t node_count, node_room;
	Onnx__TensorProto **tensors;
	size_t tensor_count, tensor_room;
} model_onnx;

/* Zeroed memory that lives as long as the builder; NULL when there is none. */
void *model_onnx_take(model_onnx *x, size_t size);
char *model_onnx_text(model_onnx *x, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A node with one output, called as the node is. inputs end with NULL. Returns it for its attributes, NULL after a failure. */
Onnx__NodeProto *model_onnx_node(model_onnx *x, const char *type, const char *name, const char *const *inputs);
#define MODEL_ONNX_NODE(x, type, name, ...) model_onnx_node(x, type, name, (const char *const[]){__VA_ARGS__, NULL})
void model_onnx_set_int(model_onnx *x, Onnx__NodeProto *node, const char *name, int64_t value);
void model_onnx_set_float(model_onnx *x, Onnx__NodeProto *node, const char *name, float value);
void model_onnx_set_ints(model_onnx *x, Onnx__NodeProto *node, const char *name, const int64_t *values, size_t count);

/* A constant tensor; the values are filled in by the caller, [product of the shape]. */
float *model_onnx_floats(model_onnx *x, const char *name, const int64_t *shape, size_t rank);
void model_onnx_int64s(model_onnx *x, const char *name, const int64_t *values, size_t count);

/* A value of the graph's border: shape[rank], -1 being any number of images. */
Onnx__ValueInfoProto *model_onnx_value(model_onnx *x, const char *name, Onnx__TensorProto__DataType type,
				       const int64_t *shape, size_t rank);

/* Writes the model, whole or not at all: one input, one output, `count` pairs of metadata. */
bm_status model_onnx_write(model_onnx *x, const char *graph, Onnx__ValueInfoProto *input, Onnx__ValueInfoProto *output,
			   const char *const (*metadata)[2], size_t count, const char *path);
void model_onnx_free(model_onnx *x);

#endif
