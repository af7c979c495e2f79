/* A network in bfloat16 whose channels are all whole groups, so that on a processor with AMX it has its channels last: what it computes is
 * near to what f32 computes, for each shape of convolution that ResNet-50 and the compact network have. Elsewhere the same holds for the
 * blocked layout. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "nn/internal.h"
#include "nn/reference.h"

enum { BATCH = 6, SIZE = 40, CLASSES = 4, PIXELS = BATCH * SIZE * SIZE * 3 };

#define check_ok(call)                                           \
	do {                                                     \
		bm_error err_ = {0};                             \
		bm_error *err = &err_;                           \
		if ((call) != BM_OK)                             \
			fail_msg("%s: %s", #call, err->message); \
	} while (0)

typedef struct fixture {
	nn_graph graph;
	nn_weights weights;
	nn_options options;
	float images[PIXELS], gradient[BATCH * CLASSES];
	double tolerance; /* of gradients */
} fixture;

/* ResNet's bottleneck, the stride in its first convolution (v1) or the second (v1.5). */
static int bottleneck(nn_graph *g, int in, int filters, int stride, bool shortcut, bool later)
{
	int kept = in;
	if (shortcut)
		kept = ref_norm(g, ref_conv(g, in, 4 * filters, 1, stride, 0));
	int at = ref_relu(g, ref_norm(g, ref_conv(g, in, filters, 1, later ? 1 : stride, 0)));
	at = ref_relu(g, ref_norm(g, ref_conv(g, at, filters, 3, later ? stride : 1, 1)));
	return ref_relu(g, ref_add(g, kept, ref_norm(g, ref_conv(g, at, 4 * filters, 1, 1, 0))));
}

static void finish(fixture *f)
{
	check_ok(nn_graph_infer(&f->graph, SIZE, SIZE, 3, err));
	check_ok(nn_weights_create(&f->graph, &f->weights, err));
	ref_fill(&f->weights, 1);
	f->options =
		(nn_options){.batch = BATCH, .height = SIZE, .width = SIZE, .channels = 3, .threads = 1, .seed = 5};
	base_random random = base_random_make(2, 2);
	for (int i = 0; i < PIXELS; i++)
		f->images[i] = base_random_uniform(&random);
	for (int i = 0; i < BATCH * CLASSES; i++)
		f->gradient[i] = base_random_range(&random, -1.0f, 1.0f);
}

/* The whole network. The precisions are a third or half apart in a gradient: through ten batch norms over few images rounding grows, in any layout. */
static void set_up(fixture *f, bool later)
{
	memset(f, 0, sizeof *f);
	f->tolerance = 0.7;
	nn_graph *g = &f->graph;
	int at = ref_pad(g, ref_rescale(g, ref_input(g)), 3);
	at = ref_relu(g, ref_norm(g, ref_conv(g, at, 32, 7, 2, 0)));
	at = ref_relu(g, ref_norm(g, ref_conv(g, at, 32, 3, 1, 1))); /* 20x20: above the products' size */
	at = ref_max_pool(g, ref_pad(g, at, 1), 3, 2);
	at = bottleneck(g, bottleneck(g, at, 16, 1, true, later), 16, 1, false, later);
	at = bottleneck(g, bottleneck(g, at, 32, 2, true, later), 32, 1, false, later);
	at = bottleneck(g, at, 48, 2, true, later);
	at = ref_conv(g, at, 32, 3, 1, 0); /* with a bias of its own, which learns; no "same" */
	ref_dense(g, ref_global_pool(g, at), CLASSES, NN_SOFTMAX);
	finish(f);
}

static void tear_down(fixture *f)
{
	nn_graph_free(&f->graph);
	nn_weights_free(&f->weights);
}

/* Relative distance of two arrays. */
static double distance(const float *a, const float *b, size_t count)
{
	double difference = 0, size = 0;
	for (size_t i = 0; i < count; i++) {
		difference += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
		size += (double)b[i] * (double)b[i];
	}
	return sqrt(difference / (size > 0 ? size : 1));
}

static nn_network *pass(fixture *f, bool training, bool bf16, float *output)
{
	nn_network *network = NULL;
	f->options.training = training;
	f->options.bf16 = bf16;
	check_ok(nn_network_create(&f->graph, &f->weights, &f->options, &network, err));
	assert_int_equal(network->channels_last, bf16 && nn_has_amx());
	check_ok(nn_network_forward(network, f->images, BATCH, training, 1, output, err));
	if (training)
		check_ok(nn_network_backward(network, f->gradient, err));
	return network;
}

static float *keras_gradient(fixture *f, nn_network *network, int i, size_t *count)
{
	const nn_parameter *own = nn_network_parameter(network, i);
	*count = f->weights.items[own->weight].count;
	float *values = calloc(*count, sizeof *values);
	check_ok(nn_parameter_to_keras(network, i, own->gradient, values, err));
	return values;
}

/* Eight bits of mantissa a product. A wrong layout, window or operand is off by the whole. */
static void check_near(fixture *f, bool training)
{
	float output[2][BATCH * CLASSES];
	nn_network *networks[2];
	for (int k = 0; k < 2; k++)
		networks[k] = pass(f, training, k == 1, output[k]);
	const double apart = distance(output[1], output[0], BATCH * CLASSES);
	double most = 0;
	if (!(apart > 0 && apart < 0.1))
		fail_msg("outputs %.3g apart", apart);
	for (int i = 0; i < nn_network_parameter_count(networks[0]); i++) {
		const nn_parameter *own = nn_network_parameter(networks[0], i);
		size_t count;
		float *exact = keras_gradient(f, networks[0], i, &count),
		      *half = keras_gradient(f, networks[1], i, &count);
		const double off = distance(half, exact, count);
		if (own->role == NN_KERNEL && off > most)
			most = off;
		/* Of other roles: sums over all pixels, which cancel; what is left of them is mostly rounding. */
		if (own->role == NN_KERNEL && !(off < f->tolerance))
			fail_msg("the gradient of kernel %d (%s) is %.3g off", i,
				 f->graph.layers[f->weights.items[own->weight].layer].name, off);
		free(exact);
		free(half);
	}
	print_message("outputs %.2g apart, kernels' gradients at most %.2g\n", apart, most);
	if (f->options.input_gradient && training) {
		float *dx[2];
		for (int k = 0; k < 2; k++) {
			dx[k] = calloc(PIXELS, sizeof(float));
			check_ok(nn_network_input_gradient(networks[k], dx[k], PIXELS, err));
		}
		assert_true(distance(dx[1], dx[0], PIXELS) < f->tolerance);
		free(dx[0]);
		free(dx[1]);
	}
	nn_network_free(networks[0]);
	nn_network_free(networks[1]);
}

/* One convolution of each shape between two others. */
static void each_shape(void **state)
{
	static const struct {
		int first_stride, in, units, kernel, stride, same;
	} shapes[] = {
		{1, 16, 32, 1, 1, 0}, {1, 64, 32, 3, 1, 1},  {2, 32, 16, 3, 1, 1}, {3, 48, 32, 3, 1, 1},
		{4, 32, 64, 3, 1, 0}, {3, 32, 128, 1, 1, 0}, {1, 32, 64, 1, 2, 0}, {3, 64, 112, 1, 2, 0},
		{1, 32, 32, 3, 2, 1}, {3, 32, 32, 3, 2, 1},  {4, 32, 48, 5, 1, 1}, {4, 32, 48, 1, 3, 1},
		{3, 16, 32, 3, 2, 0}, {8, 32, 32, 3, 1, 1},
	};
	(void)state;
	if (!nn_has_bf16())
		skip();
	for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
		fixture f;
		memset(&f, 0, sizeof f);
		f.tolerance = 0.15;
		nn_graph *g = &f.graph;
		int at =
			ref_relu(g, ref_norm(g, ref_conv(g, ref_input(g), shapes[i].in, 3, shapes[i].first_stride, 1)));
		at = ref_conv(g, at, shapes[i].units, shapes[i].kernel, shapes[i].stride, shapes[i].same);
		at = ref_conv(g, ref_relu(g, ref_norm(g, at)), 16, 1, 1, 0);
		ref_dense(g, ref_global_pool(g, at), CLASSES, NN_SOFTMAX);
		finish(&f);
		check_near(&f, false);
		check_near(&f, true);
		tear_down(&f);
	}
}

static void near_f32(void **state)
{
	(void)state;
	if (!nn_has_bf16())
		skip();
	for (int later = 0; later < 2; later++) {
		fixture f;
		set_up(&f, later == 1);
		check_near(&f, false);
		check_near(&f, true);
		f.options.input_gradient = true;
		check_near(&f, true);
		tear_down(&f);
	}
}

/* Frozen layers run a chunk of the images at a time, with sum and ReLU in the convolution. */
static void frozen_below(void **state)
{
	(void)state;
	if (!nn_has_bf16())
		skip();
	for (int frozen = 4; frozen < 55; frozen += 10) {
		fixture f;
		set_up(&f, false);
		f.options.chunk = 3;
		for (int i = 0; i < frozen; i++)
			f.graph.layers[i].trainable = false;
		check_near(&f, true);
		tear_down(&f);
	}
}

/* A frozen batch norm on its own runs in chunks, what reads it does not: it must not write what the reader rounds for itself. */
static void frozen_norm(void **state)
{
	(void)state;
	if (!nn_has_bf16())
		skip();
	fixture f;
	memset(&f, 0, sizeof f);
	f.tolerance = 0.15;
	nn_graph *g = &f.graph;
	int at = ref_max_pool(g, ref_relu(g, ref_norm(g, ref_conv(g, ref_input(g), 32, 3, 1, 1))), 2, 2);
	at = ref_relu(g, ref_norm(g, at));
	const int frozen = at;
	const int other = ref_norm(g, ref_conv(g, at, 64, 1, 1, 0));
	at = ref_relu(g, ref_add(g, other, ref_norm(g, ref_conv(g, at, 64, 3, 1, 1))));
	ref_dense(g, ref_global_pool(g, at), CLASSES, NN_SOFTMAX);
	finish(&f);
	f.options.chunk = 2;
	for (int i = 0; i <= frozen; i++)
		g->layers[i].trainable = false;
	check_near(&f, true);
	tear_down(&f);
}

/* Each layer's output, as it is asked for, has its pixels and channels where Keras has them. */
static void outputs(void **state)
{
	(void)state;
	if (!nn_has_bf16())
		skip();
	fixture f;
	float output[2][BATCH * CLASSES];
	nn_network *networks[2];
	set_up(&f, true);
	f.options.keep_outputs = true;
	for (int k = 0; k < 2; k++)
		networks[k] = pass(&f, true, k == 1, output[k]);
	int seen = 0;
	for (int i = 0; i < f.graph.count; i++) {
		const nn_layer *layer = &f.graph.layers[i];
		const size_t count =
			(size_t)BATCH * (size_t)layer->height * (size_t)layer->width * (size_t)layer->channels;
		float *values[2] = {calloc(count, sizeof(float)), calloc(count, sizeof(float))};
		bm_error why;
		bool both = true;
		for (int k = 0; k < 2; k++)
			both &= nn_network_output(networks[k], layer->name, values[k], count, &why) == BM_OK;
		if (both && !(distance(values[1], values[0], count) < 0.1))
			fail_msg("layer '%s' is %.3g off", layer->name, distance(values[1], values[0], count));
		seen += both;
		free(values[0]);
		free(values[1]);
	}
	assert_true(seen > 20);
	nn_network_free(networks[0]);
	nn_network_free(networks[1]);
	tear_down(&f);
}

static void same_bytes_again(void **state)
{
	(void)state;
	if (!nn_has_bf16())
		skip();
	fixture f;
	float output[2][BATCH * CLASSES];
	nn_network *networks[2];
	set_up(&f, false);
	f.options.threads = 2;
	for (int k = 0; k < 2; k++)
		networks[k] = pass(&f, true, true, output[k]);
	assert_memory_equal(output[0], output[1], sizeof output[0]);
	for (int i = 0; i < nn_network_parameter_count(networks[0]); i++) {
		const nn_parameter *a = nn_network_parameter(networks[0], i), *b = nn_network_parameter(networks[1], i);
		assert_memory_equal(a->gradient, b->gradient, a->count * sizeof(float));
	}
	/* Weights in and out of the layout. */
	nn_weights stored;
	check_ok(nn_weights_copy(&f.weights, &stored, err));
	check_ok(nn_network_load(networks[0], &f.weights, err));
	memset(stored.storage, 0, stored.total * sizeof(float));
	check_ok(nn_network_store(networks[0], &stored, err));
	assert_memory_equal(stored.storage, f.weights.storage, stored.total * sizeof(float));
	nn_weights_free(&stored);
	nn_network_free(networks[0]);
	nn_network_free(networks[1]);
	tear_down(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_shape),  cmocka_unit_test(near_f32), cmocka_unit_test(frozen_below),
		cmocka_unit_test(frozen_norm), cmocka_unit_test(outputs),  cmocka_unit_test(same_bytes_again),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
