/* A model as an ONNX graph: 0-255 pixels in, probabilities out; batch norms folded into the convolutions before them. */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "model/keras_config.h"
#include "model/onnx_builder.h"

#define OUTPUT "probabilities"

typedef struct exporter {
	model_onnx x;
	const model *m;
	int *consumers; /* [layers]: how many read a layer's output */
	int *consumer;	/* [layers]: the last of them */
	/* [layers]: the tensor that holds a layer's output. A layer that was folded into another shows that one's input or output. */
	const char **tensor;
	int *padding; /* [layers]: pixels of a folded zero padding that `tensor` still lacks */
} exporter;

static const nn_layer *layer_of(const exporter *e, int index)
{
	return &e->m->graph.layers[index];
}

static const float *values_of(const exporter *e, int layer, nn_role role)
{
	const nn_weight *w = nn_weights_find(&e->m->weights, layer, role);

	return w ? w->values : NULL;
}

/* The only reader of a layer's output, when it is of this type; else -1. */
static int only_reader(const exporter *e, int layer, nn_type type)
{
	return e->consumers[layer] == 1 && layer_of(e, e->consumer[layer])->type == type ? e->consumer[layer] : -1;
}

static float *constant(exporter *e, const char *name, int count, int rank)
{
	const int64_t shape[] = {rank == 4 ? 1 : count, count, 1, 1};

	return model_onnx_floats(&e->x, name, shape, (size_t)rank);
}

static void put_input(exporter *e, int index, model_pixels pixels)
{
	static const int64_t order[] = {0, 3, 1, 2};
	Onnx__NodeProto *node;
	const char *last = "pixels";
	float *scale;

	if (pixels == MODEL_PIXELS_UINT8) {
		node = MODEL_ONNX_NODE(&e->x, "Cast", "pixels_float", last);
		model_onnx_set_int(&e->x, node, "to", ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT);
		last = "pixels_float";
	}
	node = MODEL_ONNX_NODE(&e->x, "Transpose", "pixels_planar", last);
	model_onnx_set_ints(&e->x, node, "perm", order, 4);
	scale = constant(e, "pixel_scale", 1, 4);
	if (scale)
		*scale = 1.0f / 255.0f;
	MODEL_ONNX_NODE(&e->x, "Mul", layer_of(e, index)->name, "pixels_planar", "pixel_scale");
}

static void put_rescaling(exporter *e, int index)
{
	const nn_layer *l = layer_of(e, index);
	const char *name = l->name, *scale = model_onnx_text(&e->x, "%s/scale", name),
		   *offset = model_onnx_text(&e->x, "%s/offset", name),
		   *product = model_onnx_text(&e->x, "%s/scaled", name);
	float *scales = scale ? constant(e, scale, l->channels, 4) : NULL,
	      *offsets = offset ? constant(e, offset, l->channels, 4) : NULL;

	if (!scales || !offsets || !product)
		return;
	memcpy(scales, l->scale, (size_t)l->channels * sizeof(float));
	memcpy(offsets, l->offset, (size_t)l->channels * sizeof(float));
	MODEL_ONNX_NODE(&e->x, "Mul", product, e->tensor[l->inputs[0]], scale);
	MODEL_ONNX_NODE(&e->x, "Add", name, product, offset);
}

static void put_padding(exporter *e, int index)
{
	const nn_layer *l = layer_of(e, index);
	int64_t p = l->padding;
	const int64_t pads[] = {0, 0, p, p, 0, 0, p, p};
	const char *name = model_onnx_text(&e->x, "%s/pads", l->name);

	if (only_reader(e, index, NN_CONV) >= 0 && e->padding[l->inputs[0]] == 0) {
		e->tensor[index] = e->tensor[l->inputs[0]];
		e->padding[index] = l->padding;
		return;
	}
	if (!name)
		return;
	model_onnx_int64s(&e->x, name, pads, 8);
	MODEL_ONNX_NODE(&e->x, "Pad", l->name, e->tensor[l->inputs[0]], name);
}

/* What a batch norm does to channel c: y = x * factor + shift. */
static void norm_of(const exporter *e, int norm, int c, double *factor, double *shift)
{
	*factor = values_of(e, norm, NN_GAMMA)[c] /
		  sqrt((double)values_of(e, norm, NN_MOVING_VARIANCE)[c] + (double)layer_of(e, norm)->epsilon);
	*shift = values_of(e, norm, NN_BETA)[c] - values_of(e, norm, NN_MOVING_MEAN)[c] * *factor;
}

/* Keras' [h][w][in][out] -> ONNX' [out][in][h][w], times the batch norm behind it. */
static void fill_kernel(const exporter *e, int index, int norm, float *kernel, float *bias)
{
	const nn_weight *w = nn_weights_find(&e->m->weights, index, NN_KERNEL);
	const float *biases = values_of(e, index, NN_BIAS);
	size_t in = (size_t)w->shape[2], out = (size_t)w->shape[3], area = w->count / in / out;

	for (size_t o = 0; o < out; o++) {
		double factor = 1, shift = 0;

		if (norm >= 0)
			norm_of(e, norm, (int)o, &factor, &shift);
		for (size_t i = 0; i < in; i++) {
			for (size_t a = 0; a < area; a++)
				*kernel++ = (float)(w->values[(a * in + i) * out + o] * factor);
		}
		bias[o] = (float)((biases ? (double)biases[o] : 0) * factor + shift);
	}
}

/* Keras' "same": as many pixels as the output needs, the odd one at the far side. */
static void same_pads(int size, int kernel, int stride, int64_t *before, int64_t *after)
{
	int outputs = (size + stride - 1) / stride, total = (outputs - 1) * stride + kernel - size;

	total = total > 0 ? total : 0;
	*before = total / 2;
	*after = total - *before;
}

static void put_conv(exporter *e, int index)
{
	const nn_layer *l = layer_of(e, index), *from = layer_of(e, l->inputs[0]);
	int norm = only_reader(e, index, NN_BATCH_NORM);
	const char *name = norm >= 0 ? layer_of(e, norm)->name : l->name,
		   *kernel_name = model_onnx_text(&e->x, "%s/kernel", l->name),
		   *bias_name = model_onnx_text(&e->x, "%s/bias", l->name);
	int64_t p = e->padding[l->inputs[0]], pads[] = {p, p, p, p}, size[] = {l->kernel, l->kernel},
		strides[] = {l->stride, l->stride}, shape[] = {l->units, from->channels, l->kernel, l->kernel};
	float *kernel, *bias;
	Onnx__NodeProto *node;

	if (!kernel_name || !bias_name)
		return;
	if (l->padding) {
		same_pads(from->height, l->kernel, l->stride, &pads[0], &pads[2]);
		same_pads(from->width, l->kernel, l->stride, &pads[1], &pads[3]);
	}
	kernel = model_onnx_floats(&e->x, kernel_name, shape, 4);
	bias = model_onnx_floats(&e->x, bias_name, shape, 1);
	if (!kernel || !bias)
		return;
	fill_kernel(e, index, norm, kernel, bias);
	node = MODEL_ONNX_NODE(&e->x, "Conv", name, e->tensor[l->inputs[0]], kernel_name, bias_name);
	model_onnx_set_ints(&e->x, node, "kernel_shape", size, 2);
	model_onnx_set_ints(&e->x, node, "strides", strides, 2);
	model_onnx_set_ints(&e->x, node, "pads", pads, 4);
	e->tensor[index] = name;
}

static void put_norm(exporter *e, int index)
{
	static const struct {
		nn_role role;
		const char *name;
	} parts[] = {
		{NN_GAMMA, "gamma"}, {NN_BETA, "beta"}, {NN_MOVING_MEAN, "mean"}, {NN_MOVING_VARIANCE, "variance"}};
	const nn_layer *l = layer_of(e, index);
	const char *names[4];
	Onnx__NodeProto *node;

	if (e->tensor[l->inputs[0]] == l->name) { /* folded into the convolution */
		e->tensor[index] = l->name;
		return;
	}
	for (int i = 0; i < 4; i++) {
		float *values;

		names[i] = model_onnx_text(&e->x, "%s/%s", l->name, parts[i].name);
		values = names[i] ? constant(e, names[i], l->channels, 1) : NULL;
		if (!values)
			return;
		memcpy(values, values_of(e, index, parts[i].role), (size_t)l->channels * sizeof(float));
	}
	node = MODEL_ONNX_NODE(&e->x, "BatchNormalization", l->name, e->tensor[l->inputs[0]], names[0], names[1],
			       names[2], names[3]);
	model_onnx_set_float(&e->x, node, "epsilon", l->epsilon);
}

static void put_pool(exporter *e, int index)
{
	const nn_layer *l = layer_of(e, index);
	const int64_t size[] = {l->kernel, l->kernel}, strides[] = {l->stride, l->stride};
	Onnx__NodeProto *node = MODEL_ONNX_NODE(&e->x, l->type == NN_MAX_POOL ? "MaxPool" : "AveragePool", l->name,
						e->tensor[l->inputs[0]]);

	model_onnx_set_ints(&e->x, node, "kernel_shape", size, 2);
	model_onnx_set_ints(&e->x, node, "strides", strides, 2);
}

static void put_mean(exporter *e, int index)
{
	const nn_layer *l = layer_of(e, index);
	const char *mean = model_onnx_text(&e->x, "%s/mean", l->name);

	if (!mean)
		return;
	MODEL_ONNX_NODE(&e->x, "GlobalAveragePool", mean, e->tensor[l->inputs[0]]);
	model_onnx_set_int(&e->x, MODEL_ONNX_NODE(&e->x, "Flatten", l->name, mean), "axis", 1);
}

static void put_dense(exporter *e, int index, const char *name)
{
	static const char *const activations[] = {[NN_ACTIVATION_RELU] = "Relu", [NN_SOFTMAX] = "Softmax"};
	const nn_layer *l = layer_of(e, index);
	const nn_weight *w = nn_weights_find(&e->m->weights, index, NN_KERNEL);
	const int64_t shape[] = {w->shape[0], w->shape[1]};
	const float *biases = values_of(e, index, NN_BIAS);
	const char *kernel_name = model_onnx_text(&e->x, "%s/kernel", l->name),
		   *bias_name = model_onnx_text(&e->x, "%s/bias", l->name),
		   *sum = l->activation == NN_LINEAR ? name : model_onnx_text(&e->x, "%s/sum", l->name);
	float *kernel = kernel_name ? model_onnx_floats(&e->x, kernel_name, shape, 2) : NULL,
	      *bias = bias_name ? constant(e, bias_name, l->units, 1) : NULL;

	if (!kernel || !bias || !sum)
		return;
	memcpy(kernel, w->values, w->count * sizeof(float));
	for (int i = 0; biases && i < l->units; i++)
		bias[i] = biases[i];
	MODEL_ONNX_NODE(&e->x, "Gemm", sum, e->tensor[l->inputs[0]], kernel_name, bias_name);
	if (l->activation == NN_LINEAR)
		return;
	Onnx__NodeProto *node = MODEL_ONNX_NODE(&e->x, activations[l->activation], name, sum);
	if (l->activation == NN_SOFTMAX)
		model_onnx_set_int(&e->x, node, "axis", 1);
}

static void put_layer(exporter *e, int index, model_pixels pixels)
{
	const nn_layer *l = layer_of(e, index);
	const char *input = l->input_count ? e->tensor[l->inputs[0]] : NULL;

	e->tensor[index] = index == e->m->graph.count - 1 ? OUTPUT : l->name;
	switch (l->type) {
	case NN_INPUT:
		put_input(e, index, pixels);
		break;
	case NN_RESCALE:
		put_rescaling(e, index);
		break;
	case NN_ZERO_PADDING:
		put_padding(e, index);
		break;
	case NN_CONV:
		put_conv(e, index);
		break;
	case NN_BATCH_NORM:
		put_norm(e, index);
		break;
	case NN_RELU:
		MODEL_ONNX_NODE(&e->x, "Relu", l->name, input);
		break;
	case NN_MAX_POOL:
	case NN_AVERAGE_POOL:
		put_pool(e, index);
		break;
	case NN_ADD:
		MODEL_ONNX_NODE(&e->x, "Add", l->name, input, e->tensor[l->inputs[1]]);
		break;
	case NN_GLOBAL_AVERAGE_POOL:
		put_mean(e, index);
		break;
	case NN_DENSE:
		put_dense(e, index, e->tensor[index]);
		break;
	case NN_DROPOUT: /* does nothing but in training */
		e->tensor[index] = input;
		break;
	case NN_TYPE_COUNT:
		break;
	}
}

/* The names as a JSON array; free(). */
static char *class_names(const model *m)
{
	json_t *list = json_array();
	char *text = NULL;

	for (int i = 0; list && i < m->options.classes; i++)
		json_array_append_new(list, json_string(m->class_names[i]));
	if (list)
		text = json_dumps(list, JSON_COMPACT);
	json_decref(list);
	return text;
}

static bm_status write_all(exporter *e, model_pixels pixels, const char *path)
{
	const model *m = e->m;
	const model_options *o = &m->options;
	const int64_t in[] = {-1, o->image_size, o->image_size, o->channels}, out[] = {-1, o->classes};
	bool bytes = pixels == MODEL_PIXELS_UINT8;
	char *classes = class_names(m), *own = model_brainmri_json(m, e->x.err);
	const char *const metadata[][2] = {
		{"classes", classes},
		{"input", bytes ? "pixels: uint8 [batch][height][width][channel], 0 to 255"
				: "pixels: float32 [batch][height][width][channel], 0 to 255"},
		{"output", "probabilities: float32 [batch][class]"},
		{"brainmri", own}};
	Onnx__ValueInfoProto *input, *output;

	if (!classes || !own) {
		e->x.status = base_fail(e->x.err, BM_ERR_MEMORY, "not enough memory for the model's description");
		goto cleanup;
	}
	input = model_onnx_value(&e->x, "pixels",
				 bytes ? ONNX__TENSOR_PROTO__DATA_TYPE__UINT8 : ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT,
				 in, 4);
	output = model_onnx_value(&e->x, OUTPUT, ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, out, 2);
	if (input && output)
		e->x.status = model_onnx_write(&e->x, "resnet50", input, output, metadata, 4, path);
cleanup:
	free(classes);
	free(own);
	return e->x.status;
}

bm_status model_save_onnx(const model *m, model_pixels pixels, const char *path, bm_error *err)
{
	exporter e = {.x = {.err = err, .status = BM_OK}, .m = m};
	size_t layers = (size_t)m->graph.count;
	bm_status status;

	e.consumers = model_onnx_take(&e.x, layers * sizeof(*e.consumers));
	e.consumer = model_onnx_take(&e.x, layers * sizeof(*e.consumer));
	e.padding = model_onnx_take(&e.x, layers * sizeof(*e.padding));
	e.tensor = model_onnx_take(&e.x, layers * sizeof(*e.tensor));
	for (int i = 0; e.x.status == BM_OK && i < m->graph.count; i++) {
		const nn_layer *l = layer_of(&e, i);

		for (int k = 0; k < l->input_count; k++) {
			e.consumers[l->inputs[k]]++;
			e.consumer[l->inputs[k]] = i;
		}
	}
	for (int i = 0; e.x.status == BM_OK && i < m->graph.count; i++)
		put_layer(&e, i, pixels);
	status = e.x.status == BM_OK ? write_all(&e, pixels, path) : e.x.status;
	model_onnx_free(&e.x);
	return status;
}
