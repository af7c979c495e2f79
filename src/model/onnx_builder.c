#include "model/onnx_builder.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"

#define IR_VERSION 8 /* onnx 1.10 to 1.12 wrote it; every later runtime reads it */
#define OPSET 17
#define SIZE_MAX_BYTES ((size_t)INT32_MAX) /* of a protobuf message */

void *model_onnx_take(model_onnx *x, size_t size)
{
	void *block = NULL;

	if (x->status == BM_OK)
		x->status = base_grow(&x->blocks, &x->block_room, x->block_count, sizeof(*x->blocks), "an ONNX model",
				      x->err);
	if (x->status != BM_OK)
		return NULL;
	block = base_calloc(size ? size : 1, 1, "an ONNX model", x->err);
	if (!block)
		x->status = BM_ERR_MEMORY;
	else
		x->blocks[x->block_count++] = block;
	return block;
}

char *model_onnx_text(model_onnx *x, const char *format, ...)
{
	va_list arguments;
	char *text;
	int length;

	va_start(arguments, format);
	length = vsnprintf(NULL, 0, format, arguments);
	va_end(arguments);
	text = model_onnx_take(x, (size_t)length + 1);
	if (text) {
		va_start(arguments, format);
		vsnprintf(text, (size_t)length + 1, format, arguments);
		va_end(arguments);
	}
	return text;
}

/* A block of the builder with the message's first value in it. */
static void *message(model_onnx *x, const void *init, size_t size)
{
	void *block = model_onnx_take(x, size);

	if (block)
		memcpy(block, init, size);
	return block;
}

#define MESSAGE(x, type, init) ((type *)message(x, &(const type)init, sizeof(type)))

Onnx__NodeProto *model_onnx_node(model_onnx *x, const char *type, const char *name, const char *const *inputs)
{
	Onnx__NodeProto *node = MESSAGE(x, Onnx__NodeProto, ONNX__NODE_PROTO__INIT);
	size_t count = 0;

	while (inputs[count])
		count++;
	if (!node)
		return NULL;
	node->op_type = model_onnx_text(x, "%s", type);
	node->name = model_onnx_text(x, "%s", name);
	node->input = model_onnx_take(x, count * sizeof(char *));
	node->output = model_onnx_take(x, sizeof(char *));
	if (!node->input || !node->output)
		return NULL;
	for (size_t i = 0; i < count; i++)
		node->input[i] = model_onnx_text(x, "%s", inputs[i]);
	node->output[0] = node->name;
	node->n_input = count;
	node->n_output = 1;
	if (x->status == BM_OK)
		x->status = base_grow(&x->nodes, &x->node_room, x->node_count, sizeof(void *), "an ONNX model", x->err);
	if (x->status != BM_OK)
		return NULL;
	return x->nodes[x->node_count++] = node;
}

static Onnx__AttributeProto *attribute(model_onnx *x, Onnx__NodeProto *node, const char *name,
				       Onnx__AttributeProto__AttributeType type)
{
	Onnx__AttributeProto *a = MESSAGE(x, Onnx__AttributeProto, ONNX__ATTRIBUTE_PROTO__INIT), **all;

	if (!a || !node)
		return NULL;
	a->name = model_onnx_text(x, "%s", name);
	a->has_type = 1;
	a->type = type;
	all = model_onnx_take(x, (node->n_attribute + 1) * sizeof(void *));
	if (!all || !a->name)
		return NULL;
	if (node->n_attribute)
		memcpy(all, node->attribute, node->n_attribute * sizeof(void *));
	all[node->n_attribute++] = a;
	node->attribute = all;
	return a;
}

void model_onnx_set_int(model_onnx *x, Onnx__NodeProto *node, const char *name, int64_t value)
{
	Onnx__AttributeProto *a = attribute(x, node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT);

	if (a) {
		a->has_i = 1;
		a->i = value;
	}
}

void model_onnx_set_float(model_onnx *x, Onnx__NodeProto *node, const char *name, float value)
{
	Onnx__AttributeProto *a = attribute(x, node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT);

	if (a) {
		a->has_f = 1;
		a->f = value;
	}
}

void model_onnx_set_ints(model_onnx *x, Onnx__NodeProto *node, const char *name, const int64_t *values, size_t count)
{
	Onnx__AttributeProto *a = attribute(x, node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS);
	int64_t *copy = model_onnx_take(x, count * sizeof(*copy));

	if (a && copy) {
		memcpy(copy, values, count * sizeof(*copy));
		a->ints = copy;
		a->n_ints = count;
	}
}

/* raw_data: little-endian, as x86-64 has it. */
static void *tensor(model_onnx *x, const char *name, Onnx__TensorProto__DataType type, const int64_t *shape,
		    size_t rank, size_t width)
{
	Onnx__TensorProto *t = MESSAGE(x, Onnx__TensorProto, ONNX__TENSOR_PROTO__INIT);
	int64_t *dims = model_onnx_take(x, rank * sizeof(*dims));
	size_t bytes = width;
	void *values;

	for (size_t i = 0; i < rank; i++)
		bytes *= (size_t)shape[i];
	values = model_onnx_take(x, bytes);
	if (!t || !dims || !values)
		return NULL;
	memcpy(dims, shape, rank * sizeof(*dims));
	t->dims = dims;
	t->n_dims = rank;
	t->has_data_type = 1;
	t->data_type = (int32_t)type;
	t->name = model_onnx_text(x, "%s", name);
	t->has_raw_data = 1;
	t->raw_data = (ProtobufCBinaryData){.len = bytes, .data = values};
	if (x->status == BM_OK)
		x->status = base_grow(&x->tensors, &x->tensor_room, x->tensor_count, sizeof(void *), "an ONNX model",
				      x->err);
	if (x->status != BM_OK)
		return NULL;
	x->tensors[x->tensor_count++] = t;
	return values;
}

float *model_onnx_floats(model_onnx *x, const char *name, const int64_t *shape, size_t rank)
{
	return tensor(x, name, ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, shape, rank, sizeof(float));
}

void model_onnx_int64s(model_onnx *x, const char *name, const int64_t *values, size_t count)
{
	const int64_t shape[] = {(int64_t)count};
	int64_t *to = tensor(x, name, ONNX__TENSOR_PROTO__DATA_TYPE__INT64, shape, 1, sizeof(*to));

	if (to)
		memcpy(to, values, count * sizeof(*to));
}

Onnx__ValueInfoProto *model_onnx_value(model_onnx *x, const char *name, Onnx__TensorProto__DataType type,
				       const int64_t *shape, size_t rank)
{
	Onnx__ValueInfoProto *value = MESSAGE(x, Onnx__ValueInfoProto, ONNX__VALUE_INFO_PROTO__INIT);
	Onnx__TypeProto *kind = MESSAGE(x, Onnx__TypeProto, ONNX__TYPE_PROTO__INIT);
	Onnx__TypeProto__Tensor *array = MESSAGE(x, Onnx__TypeProto__Tensor, ONNX__TYPE_PROTO__TENSOR__INIT);
	Onnx__TensorShapeProto *dims = MESSAGE(x, Onnx__TensorShapeProto, ONNX__TENSOR_SHAPE_PROTO__INIT);
	Onnx__TensorShapeProto__Dimension **all = model_onnx_take(x, rank * sizeof(void *));

	if (!value || !kind || !array || !dims || !all)
		return NULL;
	for (size_t i = 0; i < rank; i++) {
		all[i] = MESSAGE(x, Onnx__TensorShapeProto__Dimension, ONNX__TENSOR_SHAPE_PROTO__DIMENSION__INIT);
		if (!all[i])
			return NULL;
		if (shape[i] < 0) {
			all[i]->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM;
			all[i]->dim_param = model_onnx_text(x, "batch");
		} else {
			all[i]->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
			all[i]->dim_value = shape[i];
		}
	}
	dims->n_dim = rank;
	dims->dim = all;
	array->has_elem_type = 1;
	array->elem_type = (int32_t)type;
	array->shape = dims;
	kind->value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
	kind->tensor_type = array;
	value->name = model_onnx_text(x, "%s", name);
	value->type = kind;
	return value;
}

static Onnx__StringStringEntryProto **entries(model_onnx *x, const char *const (*metadata)[2], size_t count)
{
	Onnx__StringStringEntryProto **all = model_onnx_take(x, count * sizeof(void *));

	for (size_t i = 0; all && i < count; i++) {
		all[i] = MESSAGE(x, Onnx__StringStringEntryProto, ONNX__STRING_STRING_ENTRY_PROTO__INIT);
		if (!all[i])
			return NULL;
		all[i]->key = model_onnx_text(x, "%s", metadata[i][0]);
		all[i]->value = model_onnx_text(x, "%s", metadata[i][1]);
	}
	return all;
}

static bm_status pack(model_onnx *x, const Onnx__ModelProto *model, const char *path)
{
	size_t size = onnx__model_proto__get_packed_size(model);
	uint8_t *bytes;
	bm_status status;

	if (size > SIZE_MAX_BYTES)
		return base_fail(
			x->err, BM_ERR_UNSUPPORTED,
			"the model takes %zu bytes, an ONNX file of one piece at most %zu: export it as safetensors",
			size, SIZE_MAX_BYTES);
	bytes = base_malloc(size, 1, "the ONNX file", x->err);
	if (!bytes)
		return BM_ERR_MEMORY;
	onnx__model_proto__pack(model, bytes);
	status = base_file_write(path, bytes, size, x->err);
	base_free(bytes);
	return status;
}

bm_status model_onnx_write(model_onnx *x, const char *graph, Onnx__ValueInfoProto *input, Onnx__ValueInfoProto *output,
			   const char *const (*metadata)[2], size_t count, const char *path)
{
	Onnx__ModelProto model = ONNX__MODEL_PROTO__INIT;
	Onnx__GraphProto all = ONNX__GRAPH_PROTO__INIT;
	Onnx__OperatorSetIdProto set = ONNX__OPERATOR_SET_ID_PROTO__INIT, *sets[] = {&set};
	Onnx__ValueInfoProto *inputs[] = {input}, *outputs[] = {output};

	all.name = model_onnx_text(x, "%s", graph);
	model.metadata_props = entries(x, metadata, count);
	model.producer_name = model_onnx_text(x, "brainmri");
	model.producer_version = model_onnx_text(x, "%s", BM_VERSION);
	set.domain = model_onnx_text(x, "%s", "");
	if (x->status != BM_OK)
		return x->status;
	all.n_node = x->node_count;
	all.node = x->nodes;
	all.n_initializer = x->tensor_count;
	all.initializer = x->tensors;
	all.n_input = all.n_output = 1;
	all.input = inputs;
	all.output = outputs;
	set.has_version = 1;
	set.version = OPSET;
	model.has_ir_version = 1;
	model.ir_version = IR_VERSION;
	model.n_opset_import = 1;
	model.opset_import = sets;
	model.n_metadata_props = count;
	model.graph = &all;
	return pack(x, &model, path);
}

void model_onnx_free(model_onnx *x)
{
	for (size_t i = 0; i < x->block_count; i++)
		base_free(x->blocks[i]);
	base_free(x->blocks);
	base_free(x->nodes);
	base_free(x->tensors);
	memset(x, 0, sizeof(*x));
}
