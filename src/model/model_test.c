#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "model/model.h"
#include "model/resnet50.h"

static const char *const classes[] = {"glioma", "meningioma", "notumor", "pituitary"};
static const model_options full = {
	.width = 1, .image_size = 224, .channels = 3, .head = MODEL_HEAD_GUIDE, .classes = 4};

static void make(const model_options *options, bool from_scratch, model *m)
{
	bm_error err;

	assert_int_equal(model_create(options, classes, from_scratch, 7, m, &err), BM_OK);
}

/* Counts of keras.applications.ResNet50 with the guide's head, from Keras' own summary (design/facts.md). */
static void counts_are_those_of_keras(void **state)
{
	int64_t total, trainable;
	model m;

	(void)state;
	make(&full, false, &m);
	assert_int_equal(m.base_layers, 175);
	assert_int_equal(m.graph.count, 182);
	nn_weights_counts(&m.graph, &m.weights, &total, &trainable);
	assert_int_equal(total, 24146692);
	assert_int_equal(trainable, 24093060);
	model_set_trainable(&m, MODEL_HEAD_ONLY, 0);
	nn_weights_counts(&m.graph, &m.weights, &total, &trainable);
	assert_int_equal(trainable, 558468);
	model_set_trainable(&m, MODEL_LAST_LAYERS, 30);
	nn_weights_counts(&m.graph, &m.weights, &total, &trainable);
	assert_int_equal(trainable, 15008644);
	assert_string_equal(m.graph.layers[145].name, "conv5_block1_1_relu");
	assert_false(m.graph.layers[144].trainable);
	assert_true(m.graph.layers[145].trainable);
	model_free(&m);
}

static void dense512_counts(void **state)
{
	model_options options = full;
	int64_t total, trainable;
	model m;

	(void)state;
	options.head = MODEL_HEAD_DENSE512;
	make(&options, false, &m);
	nn_weights_counts(&m.graph, &m.weights, &total, &trainable);
	assert_int_equal(total, 24638852);
	model_set_trainable(&m, MODEL_HEAD_ONLY, 0);
	nn_weights_counts(&m.graph, &m.weights, &total, &trainable);
	assert_int_equal(trainable, 1051140);
	model_free(&m);
}

static void the_compact_network(void **state)
{
	model_options options = full;
	int64_t total, trainable;
	model m;

	(void)state;
	options.variant = MODEL_COMPACT;
	options.channels = 1;
	options.head = MODEL_HEAD_LINEAR;
	/* Odd on the way down as well: both branches of a block keep one size. */
	for (int size = 32; size <= 224; size += 7) {
		options.image_size = size;
		make(&options, true, &m);
		model_free(&m);
	}
	options.image_size = 160;
	make(&options, true, &m);
	nn_weights_counts(&m.graph, &m.weights, &total, &trainable);
	/* ResNet-18 has 11.7 million at twice the width. */
	assert_in_range(total, 2700000, 2900000);
	for (int i = 0; i < m.graph.count; i++) {
		const nn_layer *layer = &m.graph.layers[i];
		const nn_weight *gamma;

		assert_false(layer->type == NN_CONV && layer->bias);
		if (layer->type != NN_ADD)
			continue;
		gamma = nn_weights_find(&m.weights, layer->inputs[1], NN_GAMMA);
		assert_non_null(gamma);
		assert_true(gamma->values[0] == 0);
	}
	assert_string_equal(m.graph.layers[m.base_layers - 1].name, "conv5_block2_out");
	assert_int_equal(m.graph.layers[m.base_layers - 1].height, 5);
	assert_int_equal(m.graph.layers[m.base_layers - 1].channels, 256);
	model_free(&m);
}

static void parameters_by_layer_add_up(void **state)
{
	int64_t sum = 0, statistics, total, trainable;
	model_options options = full;
	model m;

	(void)state;
	options.width = .25;
	options.channels = 1;
	make(&options, false, &m);
	for (int i = 0; i < m.graph.count; i++)
		sum += model_layer_parameters(&m.graph, i, &statistics);
	nn_weights_counts(&m.graph, &m.weights, &total, &trainable);
	assert_int_equal(sum, total);
	model_free(&m);
}

static void layers_are_those_of_keras(void **state)
{
	static const char *const names[] = {
		"input_layer",	       "conv1_pad",	      "conv1_conv",	     "conv1_bn",
		"conv1_relu",	       "pool1_pad",	      "pool1_pool",	     "conv2_block1_1_conv",
		"conv2_block1_1_bn",   "conv2_block1_1_relu", "conv2_block1_2_conv", "conv2_block1_2_bn",
		"conv2_block1_2_relu", "conv2_block1_0_conv", "conv2_block1_3_conv", "conv2_block1_0_bn",
		"conv2_block1_3_bn",   "conv2_block1_add",    "conv2_block1_out",    "conv2_block2_1_conv"};
	static const char *const head[] = {"conv5_block3_out",
					   "global_average_pooling2d",
					   "dense",
					   "batch_normalization",
					   "dropout",
					   "dense_1",
					   "dropout_1",
					   "dense_2"};
	const nn_layer *layer;
	model m;

	(void)state;
	make(&full, false, &m);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		assert_string_equal(m.graph.layers[i].name, names[i]);
	for (size_t i = 0; i < sizeof(head) / sizeof(head[0]); i++)
		assert_string_equal(m.graph.layers[174 + i].name, head[i]);
	layer = &m.graph.layers[nn_graph_find(&m.graph, "conv5_block3_out")];
	assert_int_equal(layer->height, 7);
	assert_int_equal(layer->channels, 2048);
	layer = &m.graph.layers[nn_graph_find(&m.graph, "conv4_block1_1_conv")];
	assert_int_equal(layer->stride, 2);
	layer = &m.graph.layers[nn_graph_find(&m.graph, "conv4_block1_2_conv")];
	assert_int_equal(layer->stride, 1);
	model_free(&m);
}

static void scratch_blocks_begin_as_identity(void **state)
{
	model_options options = full;
	const nn_weight *gamma;
	model m;

	(void)state;
	options.width = .125;
	make(&options, true, &m);
	gamma = nn_weights_find(&m.weights, nn_graph_find(&m.graph, "conv3_block2_3_bn"), NN_GAMMA);
	for (size_t i = 0; i < gamma->count; i++)
		assert_true(gamma->values[i] == 0);
	gamma = nn_weights_find(&m.weights, nn_graph_find(&m.graph, "conv3_block1_0_bn"), NN_GAMMA);
	assert_true(gamma->values[0] == 1);
	model_free(&m);
	make(&options, false, &m);
	gamma = nn_weights_find(&m.weights, nn_graph_find(&m.graph, "conv3_block2_3_bn"), NN_GAMMA);
	assert_true(gamma->values[0] == 1);
	model_free(&m);
}

static void width_is_rounded_to_eights(void **state)
{
	model_options options = full;
	model m;

	(void)state;
	options.width = .3;
	make(&options, false, &m);
	assert_int_equal(m.graph.layers[2].units, 16);						    /* 19.2 */
	assert_int_equal(m.graph.layers[nn_graph_find(&m.graph, "conv3_block1_1_conv")].units, 40); /* 38.4 */
	assert_int_equal(m.graph.layers[nn_graph_find(&m.graph, "conv3_block1_3_conv")].units, 160);
	model_free(&m);
}

static void wrong_options_are_named(void **state)
{
	const struct {
		model_options options;
		const char *word;
	} cases[] = {
		{{0, 224, 3, MODEL_HEAD_GUIDE, 4, MODEL_V1, {0}, 0}, "width"},
		{{9, 224, 3, MODEL_HEAD_GUIDE, 4, MODEL_V1, {0}, 0}, "width"},
		{{1, 16, 3, MODEL_HEAD_GUIDE, 4, MODEL_V1, {0}, 0}, "image size"},
		{{1, 224, 4, MODEL_HEAD_GUIDE, 4, MODEL_V1, {0}, 0}, "channels"},
		{{1, 224, 3, MODEL_HEAD_GUIDE, 1, MODEL_V1, {0}, 0}, "classes"},
		{{1, 224, 3, MODEL_HEAD_GUIDE, 4, MODEL_V1, {0}, 49}, "49 layers"},
		{{1, 224, 3, MODEL_HEAD_GUIDE, 4, MODEL_V1, {0}, 18}, "18 layers"},
		{{1, 224, 3, MODEL_HEAD_GUIDE, 4, MODEL_COMPACT, {0}, 50}, "50 layers"},
		{{1, 224, 3, (model_head)9, 4, MODEL_V1, {0}, 0}, "head"},
	};
	bm_error err;
	model m;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(model_create(&cases[i].options, classes, false, 1, &m, &err), BM_ERR_USAGE);
		assert_non_null(strstr(err.message, cases[i].word));
		model_free(&m);
	}
}

static void summary_has_layers_and_totals(void **state)
{
	base_text text = {0};
	const char *s;
	model m;

	(void)state;
	make(&full, false, &m);
	model_set_trainable(&m, MODEL_HEAD_ONLY, 0);
	model_summary(&m, &text);
	s = base_text_string(&text);
	assert_non_null(strstr(
		s, "│ conv1_conv (Conv2D)           │ (None, 112, 112, 64)      │           9,472 │ conv1_pad[0][0] "));
	assert_non_null(strstr(s, "conv5_block3_3_bn[0][0]"));
	assert_non_null(strstr(s, "│ global_average_pooling2d[… │\n"));
	assert_non_null(strstr(s, " Total params: 24,146,692 (92.11 MB)\n"));
	assert_non_null(strstr(s, " Trainable params: 558,468 (2.13 MB)\n"));
	assert_non_null(strstr(s, " Non-trainable params: 23,588,224 (89.98 MB)\n"));
	/* Every line of the table is equally wide. */
	for (const char *line = strstr(s, "┏"); strncmp(line, " Total", 6) != 0; line = strchr(line, '\n') + 1) {
		char copy[512];

		assert_non_null(line);

		snprintf(copy, sizeof(copy), "%.*s", (int)strcspn(line, "\n"), line);
		assert_int_equal(base_text_columns(copy), 108);
	}
	base_text_free(&text);
	model_free(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts_are_those_of_keras),	 cmocka_unit_test(dense512_counts),
		cmocka_unit_test(the_compact_network),		 cmocka_unit_test(parameters_by_layer_add_up),
		cmocka_unit_test(layers_are_those_of_keras),	 cmocka_unit_test(scratch_blocks_begin_as_identity),
		cmocka_unit_test(width_is_rounded_to_eights),	 cmocka_unit_test(wrong_options_are_named),
		cmocka_unit_test(summary_has_layers_and_totals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
