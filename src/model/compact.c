/* The compact network: ResNet-18's shape at half its width, without biases, with average-pooled shortcuts (He et al. 2019, "Bag of Tricks",
 * ResNet-D): 2.8 million parameters at width 1. Layers in the order of Keras' model.layers, which Keras sorts by depth. */
#include <stdio.h>

#include "model/builder.h"

#define FILTERS 32 /* of the first stage, at width 1 */

/* With a stride both sides are padded; "same" in Keras would pad the far ones only. */
static int add_first(model_builder *b, int input, const char *prefix, int filters, int stride)
{
	if (stride == 1)
		return model_add_conv(b, input, prefix, "_1_conv", filters, 3, 1, true);
	input = model_add_padding(b, input, prefix, "_1_pad", 1);
	return model_add_conv(b, input, prefix, "_1_conv", filters, 3, stride, false);
}

/* A window of 3 and a padding of 1, as of the convolution beside it: the same size also where the input's is odd. */
static int add_pool(model_builder *b, int input, const char *prefix, int stride)
{
	nn_layer pool = {.type = NN_AVERAGE_POOL, .trainable = true, .kernel = 3, .stride = stride};

	return model_add(b, pool, input, prefix, "_0_pool");
}

static int add_block(model_builder *b, int input, int stage, int number, int filters, int stride)
{
	char p[NN_NAME_SIZE / 2];
	bool projected = stride > 1;
	int shortcut = input, x;

	snprintf(p, sizeof(p), "conv%d_block%d", stage, number);
	x = add_first(b, input, p, filters, stride);
	if (projected)
		shortcut = model_add_padding(b, input, p, "_0_pad", 1);
	x = model_add_norm(b, x, p, "_1_bn");
	if (projected)
		shortcut = add_pool(b, shortcut, p, stride);
	x = model_add_relu(b, x, p, "_1_relu");
	if (projected)
		shortcut = model_add_conv(b, shortcut, p, "_0_conv", filters, 1, 1, false);
	x = model_add_conv(b, x, p, "_2_conv", filters, 3, 1, true);
	if (projected)
		shortcut = model_add_norm(b, shortcut, p, "_0_bn");
	x = model_add_norm(b, x, p, "_2_bn");
	return model_add_relu(b, model_add_sum(b, shortcut, x, p), p, "_out");
}

int model_add_compact(model_builder *b, int x)
{
	nn_layer pool = {.type = NN_MAX_POOL, .trainable = true, .kernel = 3, .stride = 2};

	x = model_add_padding(b, x, "", "conv1_pad", 3);
	x = model_add_conv(b, x, "", "conv1_conv", model_scaled(b, FILTERS), 7, 2, false);
	x = model_add_norm(b, x, "", "conv1_bn");
	x = model_add_relu(b, x, "", "conv1_relu");
	x = model_add_padding(b, x, "", "pool1_pad", 1);
	x = model_add(b, pool, x, "", "pool1_pool");
	for (int stage = 2; stage <= 5; stage++)
		for (int block = 1; block <= b->blocks[stage - 2]; block++)
			x = add_block(b, x, stage, block, model_scaled(b, FILTERS << (stage - 2)),
				      stage > 2 && block == 1 ? 2 : 1);
	return x;
}
