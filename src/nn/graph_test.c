#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"
#include "nn/reference.h"

static nn_layer layer_of(nn_type type, const char *name)
{
	nn_layer layer = {.type = type, .units = 8, .kernel = 3, .stride = 1, .epsilon = 1e-3f, .momentum = 0.99f};
	strcpy(layer.name, name);
	return layer;
}

static void shapes(void **state)
{
	(void)state;
	nn_graph g = {0};
	bm_error err = {0};
	int at = ref_pad(&g, ref_rescale(&g, ref_input(&g)), 3);
	int conv1 = ref_conv(&g, at, 64, 7, 2, 0);
	int pool = ref_max_pool(&g, ref_pad(&g, conv1, 1), 3, 2);
	int same = ref_conv(&g, pool, 32, 3, 2, 1);
	int gap = ref_global_pool(&g, same);
	int dense = ref_dense(&g, gap, 4, NN_SOFTMAX);
	assert_int_equal(nn_graph_infer(&g, 224, 200, 3, &err), BM_OK);
	assert_int_equal(g.layers[conv1].height, 112);
	assert_int_equal(g.layers[conv1].width, 100);
	assert_int_equal(g.layers[pool].height, 56);
	assert_int_equal(g.layers[pool].width, 50);
	assert_int_equal(g.layers[same].height, 28);
	assert_int_equal(g.layers[same].channels, 32);
	assert_false(g.layers[same].flat);
	assert_true(g.layers[gap].flat);
	assert_int_equal(g.layers[gap].channels, 32);
	assert_int_equal(g.layers[dense].channels, 4);
	assert_int_equal(nn_graph_find(&g, g.layers[pool].name), pool);
	assert_int_equal(nn_graph_find(&g, "none"), -1);
	nn_graph copy;
	assert_int_equal(nn_graph_copy(&g, &copy, &err), BM_OK);
	assert_memory_equal(copy.layers, g.layers, (size_t)g.count * sizeof *g.layers);
	nn_graph_free(&copy);
	nn_graph_free(&g);
	nn_graph_free(&g);
}

static void refuse(nn_graph *g, nn_layer layer, int input)
{
	bm_error err = {0};
	int before = g->count;
	assert_int_equal(nn_graph_add(g, &layer, input, NULL, &err), BM_ERR_USAGE);
	assert_int_equal(err.status, BM_ERR_USAGE);
	assert_true(strlen(err.message) > 10);
	assert_int_equal(g->count, before);
}

static void wrong_layers(void **state)
{
	(void)state;
	nn_graph g = {0};
	bm_error err = {0};
	int input = ref_input(&g);
	refuse(&g, layer_of(NN_INPUT, "second"), -1);
	refuse(&g, layer_of(NN_RELU, ""), input);
	refuse(&g, layer_of(NN_RELU, g.layers[0].name), input);
	refuse(&g, layer_of(NN_RELU, "x"), 1);
	refuse(&g, layer_of(NN_RELU, "x"), -1);
	refuse(&g, layer_of(NN_ADD, "x"), input);
	refuse(&g, layer_of(NN_TYPE_COUNT, "x"), input);
	nn_layer layer = layer_of(NN_CONV, "x");
	layer.units = 0;
	refuse(&g, layer, input);
	layer = layer_of(NN_CONV, "x");
	layer.kernel = 0;
	refuse(&g, layer, input);
	layer = layer_of(NN_CONV, "x");
	layer.padding = 2;
	refuse(&g, layer, input);
	layer = layer_of(NN_MAX_POOL, "x");
	layer.stride = 0;
	refuse(&g, layer, input);
	layer = layer_of(NN_BATCH_NORM, "x");
	layer.epsilon = 0.0f;
	refuse(&g, layer, input);
	layer = layer_of(NN_DROPOUT, "x");
	layer.rate = 1.0f;
	refuse(&g, layer, input);
	layer = layer_of(NN_ZERO_PADDING, "x");
	layer.padding = -1;
	refuse(&g, layer, input);
	layer = layer_of(NN_DENSE, "x");
	layer.units = -4;
	refuse(&g, layer, input);
	memset(layer.name, 'x', sizeof layer.name);
	layer.units = 1;
	refuse(&g, layer, input);
	nn_graph empty = {0};
	assert_int_equal(nn_graph_infer(&empty, 8, 8, 3, &err), BM_ERR_USAGE);
	assert_int_equal(nn_graph_infer(&g, 0, 8, 3, &err), BM_ERR_USAGE);
	nn_graph_free(&g);
}

static void wrong_shapes(void **state)
{
	(void)state;
	bm_error err = {0};
	nn_graph g = {0};
	ref_conv(&g, ref_input(&g), 8, 7, 1, 0);
	assert_int_equal(nn_graph_infer(&g, 6, 6, 3, &err), BM_ERR_USAGE); /* smaller than the window */
	assert_non_null(strstr(err.message, "Conv2D1"));
	assert_int_equal(nn_graph_infer(&g, 7, 7, 3, &err), BM_OK);
	nn_graph_free(&g);
	int input = ref_input(&g);
	ref_add(&g, ref_conv(&g, input, 8, 3, 1, 1), ref_conv(&g, input, 16, 3, 1, 1));
	assert_int_equal(nn_graph_infer(&g, 6, 6, 3, &err), BM_ERR_USAGE);
	nn_graph_free(&g);
	ref_dense(&g, ref_input(&g), 4, NN_LINEAR); /* not flat */
	assert_int_equal(nn_graph_infer(&g, 6, 6, 3, &err), BM_ERR_USAGE);
	nn_graph_free(&g);
	ref_conv(&g, ref_global_pool(&g, ref_input(&g)), 4, 1, 1, 0); /* flat */
	assert_int_equal(nn_graph_infer(&g, 6, 6, 3, &err), BM_ERR_USAGE);
	nn_graph_free(&g);
}

static void weight_list(void **state)
{
	(void)state;
	bm_error err = {0};
	nn_graph g = {0};
	int conv = ref_conv(&g, ref_input(&g), 8, 3, 1, 1), norm = ref_norm(&g, conv);
	int dense = ref_dense(&g, ref_global_pool(&g, norm), 5, NN_SOFTMAX);
	nn_weights w;
	assert_int_equal(nn_weights_create(&g, &w, &err), BM_ERR_USAGE); /* no shapes yet */
	assert_int_equal(nn_graph_infer(&g, 9, 9, 3, &err), BM_OK);
	assert_int_equal(nn_weights_create(&g, &w, &err), BM_OK);
	assert_int_equal(w.count, 8);
	assert_int_equal(w.total, 3 * 3 * 3 * 8 + 8 + 4 * 8 + 8 * 5 + 5);
	const nn_weight *kernel = nn_weights_find(&w, conv, NN_KERNEL);
	assert_int_equal(kernel->rank, 4);
	assert_int_equal(kernel->shape[0], 3);
	assert_int_equal(kernel->shape[2], 3);
	assert_int_equal(kernel->shape[3], 8);
	assert_null(nn_weights_find(&w, conv, NN_GAMMA));
	assert_true(nn_weights_find(&w, norm, NN_GAMMA)->values[7] == 1.0f);
	assert_true(nn_weights_find(&w, norm, NN_MOVING_VARIANCE)->values[0] == 1.0f);
	assert_true(nn_weights_find(&w, norm, NN_MOVING_MEAN)->values[0] == 0.0f);
	assert_int_equal(nn_weights_find(&w, dense, NN_KERNEL)->shape[0], 8);
	int64_t total, trainable;
	nn_weights_counts(&g, &w, &total, &trainable);
	assert_int_equal(total, w.total);
	assert_int_equal(trainable, w.total - 16);
	g.layers[conv].trainable = false;
	nn_weights_counts(&g, &w, &total, &trainable);
	assert_int_equal(trainable, w.total - 16 - 224);
	nn_weights copy;
	ref_fill(&w, 1);
	assert_int_equal(nn_weights_copy(&w, &copy, &err), BM_OK);
	assert_memory_equal(copy.storage, w.storage, w.total * sizeof(float));
	assert_ptr_not_equal(copy.storage, w.storage);
	nn_weights_free(&copy);
	nn_weights_free(&w);
	nn_weights_free(&w);
	nn_graph_free(&g);
}

static double spread(const nn_weight *weight, double *mean, double *top)
{
	double sum = 0.0, square = 0.0;
	*top = 0.0;
	for (size_t i = 0; i < weight->count; i++) {
		double v = (double)weight->values[i], size = v < 0 ? -v : v;
		sum += v;
		square += v * v;
		*top = size > *top ? size : *top;
	}
	*mean = sum / (double)weight->count;
	return square / (double)weight->count;
}

static void initial_values(void **state)
{
	(void)state;
	bm_error err = {0};
	nn_graph g = {0}, longer = {0};
	int conv = ref_conv(&g, ref_input(&g), 64, 3, 1, 1);
	int other = ref_conv(&longer, ref_norm(&longer, ref_input(&longer)), 64, 3, 1, 1);
	strcpy(longer.layers[other].name, g.layers[conv].name);
	assert_int_equal(nn_graph_infer(&g, 9, 9, 32, &err), BM_OK);
	assert_int_equal(nn_graph_infer(&longer, 9, 9, 32, &err), BM_OK);
	nn_weights w, w2;
	assert_int_equal(nn_weights_create(&g, &w, &err), BM_OK);
	assert_int_equal(nn_weights_create(&longer, &w2, &err), BM_OK);
	const nn_weight *kernel = nn_weights_find(&w, conv, NN_KERNEL);
	double mean, top;
	nn_weights_initialize(&g, &w, 0, NN_GLOROT_UNIFORM, 1);
	double limit = 6.0 / (9 * 32 + 9 * 64); /* squared; the variance of U(-l, l) is l^2 / 3 */
	assert_true(spread(kernel, &mean, &top) / (limit / 3) > 0.97 &&
		    spread(kernel, &mean, &top) / (limit / 3) < 1.03);
	assert_true(top * top <= limit && top * top > 0.99 * limit);
	nn_weights_initialize(&longer, &w2, 0, NN_GLOROT_UNIFORM, 1); /* same name, same seed, same values */
	assert_memory_equal(nn_weights_find(&w2, other, NN_KERNEL)->values, kernel->values,
			    kernel->count * sizeof(float));
	nn_weights_initialize(&g, &w, 0, NN_HE_NORMAL, 1);
	double wanted = 2.0 / (9 * 64);
	assert_true(spread(kernel, &mean, &top) / wanted > 0.97 && spread(kernel, &mean, &top) / wanted < 1.03);
	float first = kernel->values[0];
	nn_weights_initialize(&g, &w, 0, NN_HE_NORMAL, 2);
	assert_true(kernel->values[0] != first);
	first = kernel->values[0];
	nn_weights_initialize(&g, &w, conv + 1, NN_HE_NORMAL, 3); /* layers before are left alone */
	assert_true(kernel->values[0] == first);
	nn_weights_free(&w);
	nn_weights_free(&w2);
	nn_graph_free(&g);
	nn_graph_free(&longer);
}

static void no_memory(void **state)
{
	(void)state;
	bm_error err = {0};
	nn_graph g = {0}, copy = {0};
	nn_weights w = {0}, w2 = {0};
	nn_layer input = layer_of(NN_INPUT, "in");
	base_memory_fail_after(0);
	assert_int_equal(nn_graph_add(&g, &input, -1, NULL, &err), BM_ERR_MEMORY);
	base_memory_fail_after(-1);
	ref_conv(&g, ref_input(&g), 8, 3, 1, 1);
	assert_int_equal(nn_graph_infer(&g, 9, 9, 3, &err), BM_OK);
	for (int n = 0; n < 2; n++) {
		base_memory_fail_after(n);
		assert_int_equal(nn_weights_create(&g, &w, &err), BM_ERR_MEMORY);
		assert_null(w.items);
	}
	base_memory_fail_after(-1);
	assert_int_equal(nn_weights_create(&g, &w, &err), BM_OK);
	for (int n = 0; n < 2; n++) {
		base_memory_fail_after(n);
		assert_int_equal(nn_weights_copy(&w, &w2, &err), BM_ERR_MEMORY);
		assert_null(w2.items);
	}
	base_memory_fail_after(0);
	assert_int_equal(nn_graph_copy(&g, &copy, &err), BM_ERR_MEMORY);
	base_memory_fail_after(-1);
	nn_graph_free(&copy);
	nn_weights_free(&w);
	nn_graph_free(&g);
}

static void names(void **state)
{
	(void)state;
	assert_string_equal(nn_type_keras(NN_BATCH_NORM), "BatchNormalization");
	assert_string_equal(nn_type_keras((nn_type)99), "?");
	for (int i = 0; i < NN_TYPE_COUNT; i++)
		assert_true(strlen(nn_type_keras((nn_type)i)) > 2);
	assert_string_equal(nn_role_keras(NN_MOVING_VARIANCE), "moving_variance");
	assert_string_equal(nn_role_keras((nn_role)99), "?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shapes),      cmocka_unit_test(wrong_layers),	 cmocka_unit_test(wrong_shapes),
		cmocka_unit_test(weight_list), cmocka_unit_test(initial_values), cmocka_unit_test(no_memory),
		cmocka_unit_test(names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
