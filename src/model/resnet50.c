#include "model/resnet50.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "model/builder.h"

static const nn_layer base_conv = {.type = NN_CONV, .trainable = true, .kernel = 1, .stride = 1};
static const nn_layer base_norms[] = {
	[MODEL_V1] = {.type = NN_BATCH_NORM, .trainable = true, .epsilon = 1.001e-5f, .momentum = .99f},
	[MODEL_V1_5] = {.type = NN_BATCH_NORM, .trainable = true, .epsilon = 1e-5f, .momentum = .9f},
	[MODEL_COMPACT] = {.type = NN_BATCH_NORM, .trainable = true, .epsilon = 1e-5f, .momentum = .9f}};
static const nn_layer head_norm = {.type = NN_BATCH_NORM, .trainable = true, .epsilon = 1e-3f, .momentum = .99f};

int model_scaled(const model_builder *b, int filters)
{
	int rounded = 8 * (int)lround(filters * b->width / 8);

	return rounded < 8 ? 8 : rounded;
}

int model_add(model_builder *b, nn_layer layer, int input, const char *prefix, const char *name)
{
	int index = 0;

	if (b->status != BM_OK)
		return 0;
	snprintf(layer.name, sizeof(layer.name), "%s%s", prefix, name);
	b->status = nn_graph_add(b->graph, &layer, input, &index, b->err);
	return index;
}

int model_add_conv(model_builder *b, int input, const char *prefix, const char *name, int filters, int kernel,
		   int stride, bool same)
{
	nn_layer layer = base_conv;

	layer.units = filters;
	layer.kernel = kernel;
	layer.stride = stride;
	layer.padding = same;
	layer.bias = b->variant == MODEL_V1;
	return model_add(b, layer, input, prefix, name);
}

int model_add_norm(model_builder *b, int input, const char *prefix, const char *name)
{
	return model_add(b, base_norms[b->variant], input, prefix, name);
}

int model_add_relu(model_builder *b, int input, const char *prefix, const char *name)
{
	return model_add(b, (nn_layer){.type = NN_RELU, .trainable = true}, input, prefix, name);
}

int model_add_padding(model_builder *b, int input, const char *prefix, const char *name, int pixels)
{
	return model_add(b, (nn_layer){.type = NN_ZERO_PADDING, .trainable = true, .padding = pixels}, input, prefix,
			 name);
}

static int add_dense(model_builder *b, int input, const char *name, int units, nn_activation activation)
{
	nn_layer layer = {.type = NN_DENSE, .trainable = true, .units = units, .bias = true, .activation = activation};

	return model_add(b, layer, input, "", name);
}

static int add_dropout(model_builder *b, int input, const char *name, float rate)
{
	return model_add(b, (nn_layer){.type = NN_DROPOUT, .trainable = true, .rate = rate}, input, "", name);
}

int model_add_sum(model_builder *b, int shortcut, int x, const char *prefix)
{
	nn_layer layer = {.type = NN_ADD, .trainable = true};
	int sum = 0;

	if (b->status != BM_OK)
		return 0;
	snprintf(layer.name, sizeof(layer.name), "%s_add", prefix);
	b->status = nn_graph_add2(b->graph, &layer, shortcut, x, &sum, b->err);
	return sum;
}

/* The 3x3 convolution. With a stride, PyTorch pads both sides; "same" in Keras would pad the far ones only. */
static int add_middle(model_builder *b, int input, const char *prefix, int filters, int stride)
{
	if (stride == 1)
		return model_add_conv(b, input, prefix, "_2_conv", filters, 3, 1, true);
	input = model_add_padding(b, input, prefix, "_2_pad", 1);
	return model_add_conv(b, input, prefix, "_2_conv", filters, 3, stride, false);
}

/* residual_block_v1 of keras/src/applications/resnet.py, Bottleneck of torchvision/models/resnet.py. The order of the two branches is that of model.layers, which Keras sorts
 * by depth. */
static int add_block(model_builder *b, int input, const char *stage, int number, int filters, int stride)
{
	char p[NN_NAME_SIZE / 2];
	bool projected = number == 1;
	int shortcut = input, x;

	snprintf(p, sizeof(p), "%s_block%d", stage, number);
	x = model_add_conv(b, input, p, "_1_conv", filters, 1, b->variant == MODEL_V1 ? stride : 1, false);
	x = model_add_norm(b, x, p, "_1_bn");
	x = model_add_relu(b, x, p, "_1_relu");
	x = add_middle(b, x, p, filters, b->variant == MODEL_V1 ? 1 : stride);
	x = model_add_norm(b, x, p, "_2_bn");
	x = model_add_relu(b, x, p, "_2_relu");
	if (projected)
		shortcut = model_add_conv(b, input, p, "_0_conv", 4 * filters, 1, stride, false);
	x = model_add_conv(b, x, p, "_3_conv", 4 * filters, 1, 1, false);
	if (projected)
		shortcut = model_add_norm(b, shortcut, p, "_0_bn");
	x = model_add_norm(b, x, p, "_3_bn");
	return model_add_relu(b, model_add_sum(b, shortcut, x, p), p, "_out");
}

static int add_stage(model_builder *b, int input, const char *stage, int filters, int blocks, int stride)
{
	for (int i = 1; i <= blocks; i++)
		input = add_block(b, input, stage, i, model_scaled(b, filters), i == 1 ? stride : 1);
	return input;
}

static int add_rescaling(model_builder *b, int input, const model_input *how)
{
	nn_layer layer = {.type = NN_RESCALE, .trainable = true};

	memcpy(layer.scale, how->scale, sizeof(layer.scale));
	memcpy(layer.offset, how->offset, sizeof(layer.offset));
	return model_add(b, layer, input, "", "rescaling");
}

static int add_base(model_builder *b, const model_input *input)
{
	nn_layer pool = {.type = NN_MAX_POOL, .trainable = true, .kernel = 3, .stride = 2};
	int x = model_add(b, (nn_layer){.type = NN_INPUT, .trainable = true}, -1, "", "input_layer");

	if (input->rescaled)
		x = add_rescaling(b, x, input);
	if (b->variant == MODEL_COMPACT)
		return model_add_compact(b, x);
	x = model_add_padding(b, x, "", "conv1_pad", 3);
	x = model_add_conv(b, x, "", "conv1_conv", model_scaled(b, 64), 7, 2, false);
	x = model_add_norm(b, x, "", "conv1_bn");
	x = model_add_relu(b, x, "", "conv1_relu");
	x = model_add_padding(b, x, "", "pool1_pad", 1);
	x = model_add(b, pool, x, "", "pool1_pool");
	x = add_stage(b, x, "conv2", 64, b->blocks[0], 1);
	x = add_stage(b, x, "conv3", 128, b->blocks[1], 2);
	x = add_stage(b, x, "conv4", 256, b->blocks[2], 2);
	return add_stage(b, x, "conv5", 512, b->blocks[3], 2);
}

static void add_head(model_builder *b, int x, model_head head, int classes)
{
	nn_layer mean = {.type = NN_GLOBAL_AVERAGE_POOL, .trainable = true};

	x = model_add(b, mean, x, "", "global_average_pooling2d");
	switch (head) {
	case MODEL_HEAD_GUIDE:
		x = add_dense(b, x, "dense", 256, NN_ACTIVATION_RELU);
		x = model_add(b, head_norm, x, "", "batch_normalization");
		x = add_dropout(b, x, "dropout", .5f);
		x = add_dense(b, x, "dense_1", 128, NN_ACTIVATION_RELU);
		x = add_dropout(b, x, "dropout_1", .3f);
		add_dense(b, x, "dense_2", classes, NN_SOFTMAX);
		break;
	case MODEL_HEAD_DENSE512:
		x = add_dense(b, x, "dense", 512, NN_ACTIVATION_RELU);
		x = add_dropout(b, x, "dropout", .5f);
		add_dense(b, x, "dense_1", classes, NN_SOFTMAX);
		break;
	case MODEL_HEAD_LINEAR:
		add_dense(b, x, "dense", classes, NN_SOFTMAX);
		break;
	}
}

int model_variant_depth(model_variant variant)
{
	return variant == MODEL_COMPACT ? 18 : 50;
}

int model_depth(const model_options *options)
{
	return options->depth ? options->depth : model_variant_depth(options->variant);
}

bool model_depth_blocks(model_variant variant, int depth, int blocks[4])
{
	static const struct {
		int depth, blocks[4];
		bool compact;
	} known[] = {{50, {3, 4, 6, 3}, false},
		     {26, {2, 2, 2, 2}, false},
		     {14, {1, 1, 1, 1}, false},
		     {18, {2, 2, 2, 2}, true}};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (known[i].depth == depth && known[i].compact == (variant == MODEL_COMPACT)) {
			memcpy(blocks, known[i].blocks, sizeof(known[i].blocks));
			return true;
		}
	}
	return false;
}

static bm_status find_blocks(const model_options *o, int blocks[4], bm_error *err)
{
	if (model_depth_blocks(o->variant, model_depth(o), blocks))
		return BM_OK;
	return base_fail(err, BM_ERR_USAGE,
			 "there is no network of %d layers here: a ResNet has 14, 26 or 50, "
			 "the compact network 18",
			 o->depth);
}

bm_status model_check_options(const model_options *o, bm_error *err)
{
	int blocks[4];

	if (!(o->width > 0 && o->width <= MODEL_WIDTH_MAX))
		return base_fail(err, BM_ERR_USAGE,
				 "the width %g of the network is not in (0, %g]: 1 is the whole network", o->width,
				 MODEL_WIDTH_MAX);
	if (o->image_size < MODEL_SIZE_MIN || o->image_size > MODEL_SIZE_MAX)
		return base_fail(err, BM_ERR_USAGE,
				 "the image size %d is not in [%d, %d]: ResNet-50 is usually run at 224", o->image_size,
				 MODEL_SIZE_MIN, MODEL_SIZE_MAX);
	if (o->channels != 1 && o->channels != 3)
		return base_fail(err, BM_ERR_USAGE, "%d channels: an image has 1 (grey) or 3", o->channels);
	if (o->classes < 2 || o->classes > MODEL_CLASSES_MAX)
		return base_fail(err, BM_ERR_USAGE, "%d classes: a model has 2 to %d", o->classes, MODEL_CLASSES_MAX);
	if (o->variant != MODEL_V1 && o->variant != MODEL_V1_5 && o->variant != MODEL_COMPACT)
		return base_fail(err, BM_ERR_USAGE, "there is no variant number %d of the network", (int)o->variant);
	if (find_blocks(o, blocks, err) != BM_OK)
		return BM_ERR_USAGE;
	for (int c = 0; o->input.rescaled && c < 3; c++) {
		if (!isfinite(o->input.scale[c]) || !isfinite(o->input.offset[c]))
			return base_fail(err, BM_ERR_USAGE, "the rescaling of the pixels is not finite");
	}
	if (!model_head_name(o->head))
		return base_fail(err, BM_ERR_USAGE, "there is no head number %d: use guide, dense512 or linear",
				 (int)o->head);
	return BM_OK;
}

bm_status model_build_graph(const model_options *options, nn_graph *graph, int *base_layers, bm_error *err)
{
	model_builder b = {
		.graph = graph, .width = options->width, .variant = options->variant, .status = BM_OK, .err = err};
	int last;

	if (find_blocks(options, b.blocks, err) != BM_OK)
		return BM_ERR_USAGE;
	last = add_base(&b, &options->input);
	*base_layers = graph->count;
	add_head(&b, last, options->head, options->classes);
	if (b.status != BM_OK)
		return b.status;
	return nn_graph_infer(graph, options->image_size, options->image_size, options->channels, err);
}

static const char *const head_names[] = {
	[MODEL_HEAD_GUIDE] = "guide", [MODEL_HEAD_DENSE512] = "dense512", [MODEL_HEAD_LINEAR] = "linear"};
#define HEADS ((int)(sizeof(head_names) / sizeof(head_names[0])))

const char *model_head_name(model_head head)
{
	return (int)head >= 0 && (int)head < HEADS ? head_names[head] : NULL;
}

bool model_head_parse(const char *text, model_head *head)
{
	for (int i = 0; i < HEADS; i++) {
		if (strcmp(text, head_names[i]) == 0) {
			*head = (model_head)i;
			return true;
		}
	}
	return false;
}

int64_t model_layer_parameters(const nn_graph *graph, int index, int64_t *statistics)
{
	const nn_layer *layer = &graph->layers[index];
	int64_t out = layer->channels, in;

	*statistics = 0;
	switch (layer->type) {
	case NN_CONV:
		in = graph->layers[layer->inputs[0]].channels;
		return out * in * layer->kernel * layer->kernel + (layer->bias ? out : 0);
	case NN_DENSE:
		in = graph->layers[layer->inputs[0]].channels;
		return out * in + (layer->bias ? out : 0);
	case NN_BATCH_NORM:
		*statistics = 2 * out;
		return 4 * out;
	default:
		return 0;
	}
}

bool model_same_input(const model_input *a, const model_input *b)
{
	bool same = a->rescaled == b->rescaled;

	for (int c = 0; same && a->rescaled && c < 3; c++)
		same = fabsf(a->scale[c] - b->scale[c]) <= 1e-6f * fabsf(a->scale[c]) &&
		       fabsf(a->offset[c] - b->offset[c]) <= 1e-6f * fabsf(a->offset[c]);
	return same;
}

const char *model_variant_text(model_variant variant)
{
	static const char *const texts[] = {
		[MODEL_V1] = "ResNet-50 v1 (as in Keras applications)",
		[MODEL_V1_5] = "ResNet-50 v1.5 (stride in the 3x3 convolutions, as in torchvision)",
		[MODEL_COMPACT] = "compact (ResNet-18 at half its width, average-pooled shortcuts)"};

	return texts[variant];
}

const char *model_input_text(const model_input *input)
{
	if (!input->rescaled)
		return "pixels from 0 to 1";
	return input->scale[0] == 255 ? "pixels from 0 to 255 minus ImageNet's means"
				      : "pixels from 0 to 1, rescaled channel by channel";
}
