/* Every layer, alone and in small networks: forward against the reference, gradients against central differences of it. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "nn/reference.h"

enum { BATCH = 6, STEP = 3, SEED = 11, SAMPLES = 3 };

#define DEEP 1e-3

typedef struct fixture {
	nn_graph graph;
	nn_weights weights;
	size_t image_count, output_count; /* floats of the whole batch */
	float *images, *output, *gradient;
	double *images_exact, *factors;
	double tolerance; /* of gradients; a deep network has ReLUs so near 0 that f32 decides otherwise than the reference */
	int threads;
	float middle; /* of the images' values */
} fixture;

#define check_ok(call)                                           \
	do {                                                     \
		bm_error err_ = {0};                             \
		bm_error *err = &err_;                           \
		if ((call) != BM_OK)                             \
			fail_msg("%s: %s", #call, err->message); \
	} while (0)

static void set_up(fixture *f, int size, int channels)
{
	check_ok(nn_graph_infer(&f->graph, size, size, channels, err));
	check_ok(nn_weights_create(&f->graph, &f->weights, err));
	ref_fill(&f->weights, 5);
	if (f->tolerance == 0.0)
		f->tolerance = 2e-5;
	if (f->threads == 0)
		f->threads = 1;
	const nn_layer *last = &f->graph.layers[f->graph.count - 1];
	f->image_count = (size_t)(BATCH * size * size * channels);
	f->output_count = (size_t)(BATCH * last->height * last->width * last->channels);
	f->images = malloc(f->image_count * sizeof(float));
	f->images_exact = malloc(f->image_count * sizeof(double));
	f->output = malloc(f->output_count * sizeof(float));
	f->gradient = malloc(f->output_count * sizeof(float));
	f->factors = malloc(f->output_count * sizeof(double));
	base_random random = base_random_make(9, 9);
	for (size_t i = 0; i < f->image_count; i++)
		f->images_exact[i] = (double)(f->images[i] = f->middle + base_random_range(&random, -1.0f, 1.0f));
	for (size_t i = 0; i < f->output_count; i++)
		f->factors[i] = (double)(f->gradient[i] = base_random_range(&random, -1.0f, 1.0f));
}

static void tear_down(fixture *f)
{
	nn_graph_free(&f->graph);
	nn_weights_free(&f->weights);
	free(f->images);
	free(f->images_exact);
	free(f->output);
	free(f->gradient);
	free(f->factors);
}

static nn_options options_of(const fixture *f, bool training)
{
	const nn_layer *input = &f->graph.layers[0];
	return (nn_options){.batch = BATCH,
			    .height = input->height,
			    .width = input->width,
			    .channels = input->channels,
			    .training = training,
			    .threads = f->threads,
			    .seed = SEED,
			    .chunk = 3};
}

static double largest(const double *values, size_t count)
{
	double top = 0.0;
	for (size_t i = 0; i < count; i++)
		top = fmax(top, fabs(values[i]));
	return top;
}

/* Every value within `tolerance` of the largest. */
static void check_close(const char *what, const float *got, const double *wanted, size_t count, double tolerance)
{
	double scale = largest(wanted, count) + 1e-6;
	for (size_t i = 0; i < count; i++)
		if (!(fabs((double)got[i] - wanted[i]) <= tolerance * scale))
			fail_msg("%s[%zu]: got %.9g, should be %.9g (largest %.3g)", what, i, (double)got[i], wanted[i],
				 scale);
}

/* The reference's last output, with the softmax of the last layer when there is one. */
static void check_output(const fixture *f, const ref_pass *pass, int count, const char *what)
{
	int last = f->graph.count - 1;
	const nn_layer *l = &f->graph.layers[last];
	double *wanted = pass->outputs[last];
	if (l->type == NN_DENSE && l->activation == NN_SOFTMAX) {
		for (int n = 0; n < BATCH; n++) {
			double sum = 0.0, *row = wanted + n * l->units;
			for (int i = 0; i < l->units; i++)
				sum += row[i] = exp(row[i]);
			for (int i = 0; i < l->units; i++)
				row[i] /= sum;
		}
	}
	check_close(what, f->output, wanted, f->output_count / BATCH * (size_t)count, 2e-5);
}

static void check_inference(fixture *f, nn_network *network, const char *what)
{
	ref_pass pass = ref_forward(&f->graph, &f->weights, f->images_exact, BATCH, false, SEED, STEP);
	check_ok(nn_network_forward(network, f->images, BATCH, false, STEP, f->output, err));
	check_output(f, &pass, BATCH, what);
	ref_free(&pass);
}

static ref_pass training_pass(const fixture *f)
{
	return ref_forward(&f->graph, &f->weights, f->images_exact, BATCH, true, SEED, STEP);
}

/* d loss / d *value; the layers before `first` do not depend on it. */
static double slope(const fixture *f, ref_pass *pass, double *value, int first)
{
	const double kept = *value, step = 1e-6;
	*value = kept + step;
	ref_again(pass, f->images_exact, first);
	double above = ref_loss(pass, f->factors);
	*value = kept - step;
	ref_again(pass, f->images_exact, first);
	double below = ref_loss(pass, f->factors);
	*value = kept;
	return (above - below) / (2.0 * step);
}

static void check_parameters(fixture *f, nn_network *network)
{
	base_random random = base_random_make(3, 3);
	int found = 0;
	for (int p = 0; p < f->weights.count; p++)
		found += nn_weight_trainable(&f->graph, &f->weights.items[p]);
	assert_int_equal(found, nn_network_parameter_count(network));
	for (int p = 0; p < found; p++) {
		nn_parameter *parameter = nn_network_parameter(network, p);
		nn_weight *weight = &f->weights.items[parameter->weight];
		assert_int_equal(weight->role, parameter->role);
		float *gradient = malloc(weight->count * sizeof *gradient);
		check_ok(nn_parameter_to_keras(network, p, parameter->gradient, gradient, err));
		double scale = 0.0;
		for (size_t i = 0; i < weight->count; i++)
			scale = fmax(scale, fabs((double)gradient[i]));
		ref_pass pass = training_pass(f);
		double *values = pass.values + (weight->values - f->weights.storage);
		for (int s = 0; s < SAMPLES; s++) {
			size_t i = base_random_below(&random, weight->count);
			double wanted = slope(f, &pass, values + i, weight->layer);
			if (!(fabs(wanted - (double)gradient[i]) <= f->tolerance * (scale + 1.0)))
				fail_msg("%s of '%s' [%zu]: gradient %.8g, differences %.8g (largest %.3g)",
					 nn_role_keras(weight->role), f->graph.layers[weight->layer].name, i,
					 (double)gradient[i], wanted, scale);
		}
		ref_free(&pass);
		free(gradient);
	}
}

static void check_input_gradient(fixture *f, nn_network *network)
{
	base_random random = base_random_make(4, 4);
	float *gradient = malloc(f->image_count * sizeof *gradient);
	check_ok(nn_network_input_gradient(network, gradient, f->image_count, err));
	ref_pass pass = training_pass(f);
	for (int s = 0; s < 2 * SAMPLES; s++) {
		size_t i = base_random_below(&random, f->image_count);
		double wanted = slope(f, &pass, &f->images_exact[i], 0);
		if (!(fabs(wanted - (double)gradient[i]) <= f->tolerance * (1.0 + fabs(wanted))))
			fail_msg("images[%zu]: gradient %.8g, differences %.8g", i, (double)gradient[i], wanted);
	}
	ref_free(&pass);
	free(gradient);
}

/* After one training pass: momentum of the old, or less for a larger share, the rest of the batch's. */
static void check_moving(fixture *f, nn_network *network, const ref_pass *pass, double share)
{
	nn_weights stored = {0};
	check_ok(nn_weights_copy(&f->weights, &stored, err));
	check_ok(nn_network_store(network, &stored, err));
	for (int i = 0; i < stored.count; i++) {
		const nn_weight *weight = &stored.items[i], *old = &f->weights.items[i];
		const nn_layer *l = &f->graph.layers[weight->layer];
		bool mean = weight->role == NN_MOVING_MEAN, moves = mean || weight->role == NN_MOVING_VARIANCE;
		if (!moves || !l->trainable) {
			assert_memory_equal(weight->values, old->values, weight->count * sizeof(float));
			continue;
		}
		double wanted[256];
		const double keep = fmin((double)l->momentum, 1.0 - share);
		const double *batch = mean ? pass->means[weight->layer] : pass->variances[weight->layer];
		for (size_t c = 0; c < weight->count; c++)
			wanted[c] = (double)old->values[c] * keep + batch[c] * (1.0 - keep);
		check_close(nn_role_keras(weight->role), weight->values, wanted, weight->count, 1e-6);
	}
	nn_weights_free(&stored);
}

static void check_training(fixture *f, bool input_gradient, bool keep_outputs)
{
	nn_options options = options_of(f, true);
	options.input_gradient = input_gradient;
	options.keep_outputs = keep_outputs;
	nn_network *network = NULL;
	check_ok(nn_network_create(&f->graph, &f->weights, &options, &network, err));
	check_inference(f, network, "inference of the training network");
	ref_pass pass = ref_forward(&f->graph, &f->weights, f->images_exact, BATCH, true, SEED, STEP);
	const float share = keep_outputs ? 0.25f : 0; /* has nothing to do with the outputs: one case of each */
	nn_network_renew_statistics(network, share);
	check_ok(nn_network_forward(network, f->images, BATCH, true, STEP, f->output, err));
	check_moving(f, network, &pass, (double)share);
	check_output(f, &pass, BATCH, "training forward");
	ref_free(&pass);
	check_ok(nn_network_backward(network, f->gradient, err));
	check_parameters(f, network);
	if (input_gradient)
		check_input_gradient(f, network);
	nn_network_free(network);
}

/* The whole programme for one graph; with_input: also down to the images. */
static void check_graph(fixture *f, int size, int channels)
{
	set_up(f, size, channels);
	nn_options options = options_of(f, false);
	nn_network *network = NULL;
	check_ok(nn_network_create(&f->graph, &f->weights, &options, &network, err));
	assert_int_equal(nn_network_parameter_count(network), 0);
	check_inference(f, network, "inference");
	ref_pass pass = ref_forward(&f->graph, &f->weights, f->images_exact, BATCH, false, SEED, STEP);
	for (int count = 1; count < BATCH; count += 3) { /* part of a batch, in place of a whole one before */
		check_ok(nn_network_forward(network, f->images, count, false, STEP, f->output, err));
		int last = f->graph.count - 1;
		double *kept = malloc(f->output_count * sizeof *kept);
		memcpy(kept, pass.outputs[last], f->output_count * sizeof *kept);
		check_output(f, &pass, count, "part of a batch");
		memcpy(pass.outputs[last], kept, f->output_count * sizeof *kept);
		free(kept);
	}
	ref_free(&pass);
	nn_network_free(network);
	check_training(f, false, false);
	check_training(f, false, true);
	check_training(f, true, false);
	tear_down(f);
}

static void conv_kernels(void **state)
{
	(void)state;
	static const int cases[][4] = {/* kernel, stride, same, filters */
				       {1, 1, 0, 16}, {1, 2, 0, 24}, {3, 1, 0, 16}, {3, 1, 1, 8}, {3, 2, 1, 32},
				       {3, 2, 0, 16}, {7, 2, 0, 16}, {7, 2, 1, 20}, {5, 3, 1, 16}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		fixture f = {0};
		const int *c = cases[i];
		ref_conv(&f.graph, ref_input(&f.graph), c[3], c[0], c[1], c[2]);
		check_graph(&f, 11, 3);
	}
}

static void conv_of_conv(void **state)
{
	(void)state;
	for (int kernel = 1; kernel <= 3; kernel += 2) {
		for (int stride = 1; stride <= 2; stride++) {
			fixture f = {0};
			int at = ref_conv(&f.graph, ref_input(&f.graph), 24, 3, 1, 1);
			at = ref_conv_no_bias(&f.graph, at, 16, kernel, stride, 1);
			ref_conv(&f.graph, at, 4, kernel, stride, 0);
			check_graph(&f, 10, 1);
		}
	}
}

/* Whole blocks of channels, so that large outputs go through Winograd's tiles of 4x4, whole and cut off, and small ones do not. */
static void conv_winograd(void **state)
{
	(void)state;
	static const int sizes[] = {2, 4, 5, 7, 8, 13};
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		fixture f = {.threads = 1 + (int)i % 2};
		int at = ref_conv(&f.graph, ref_input(&f.graph), 16, 3, 1, 1);
		at = ref_conv(&f.graph, at, 32, 3, 1, 1);
		at = ref_conv_no_bias(&f.graph, ref_norm(&f.graph, at), 16, 3, 1, 1);
		ref_conv(&f.graph, at, 16, 3, 1, sizes[i] < 13); /* the last one without margins */
		check_graph(&f, sizes[i], 3);
	}
}

static void padded_conv(void **state)
{
	(void)state;
	fixture f = {0};
	int at = ref_pad(&f.graph, ref_rescale(&f.graph, ref_input(&f.graph)), 3);
	at = ref_conv(&f.graph, at, 16, 7, 2, 0);
	at = ref_pad(&f.graph, at, 1);
	ref_conv(&f.graph, at, 16, 3, 2, 1);
	check_graph(&f, 12, 3);
}

static void norm_plain(void **state)
{
	(void)state;
	fixture f = {0};
	ref_norm(&f.graph, ref_conv(&f.graph, ref_input(&f.graph), 24, 3, 1, 1));
	check_graph(&f, 7, 3);
}

static void norm_relu(void **state)
{
	(void)state;
	fixture f = {0};
	int at = ref_relu(&f.graph, ref_norm(&f.graph, ref_conv(&f.graph, ref_input(&f.graph), 16, 3, 1, 1)));
	at = ref_relu(&f.graph, ref_norm(&f.graph, ref_conv_no_bias(&f.graph, at, 32, 1, 1, 0)));
	ref_conv(&f.graph, at, 8, 3, 2, 1);
	check_graph(&f, 8, 2);
}

static void norm_first(void **state)
{
	(void)state;
	fixture f = {0};
	int at = ref_norm(&f.graph, ref_input(&f.graph));
	ref_conv(&f.graph, ref_relu(&f.graph, at), 8, 1, 1, 0);
	check_graph(&f, 6, 5);
}

/* What the mean is to the deviation must not be lost of what is left without it. */
static void norm_far_from_zero(void **state)
{
	(void)state;
	fixture f = {.middle = 2000.0f};
	ref_conv(&f.graph, ref_norm(&f.graph, ref_input(&f.graph)), 8, 1, 1, 0);
	check_graph(&f, 9, 3);
}

static void pools(void **state)
{
	(void)state;
	for (int kernel = 2; kernel <= 3; kernel++) {
		fixture f = {0};
		int at = ref_conv(&f.graph, ref_input(&f.graph), 16, 3, 1, 1);
		at = ref_max_pool(&f.graph, at, kernel, 2);
		at = ref_conv(&f.graph, at, 16, 1, 1, 1);
		ref_average_pool(&f.graph, at, 2, kernel - 1);
		check_graph(&f, 9, 3);
	}
}

/* pool1_pad behind a ReLU is folded into the pool; behind anything else it must not be. */
static void padded_pools(void **state)
{
	(void)state;
	for (int relu = 0; relu < 2; relu++) {
		fixture f = {0};
		int at = ref_conv(&f.graph, ref_input(&f.graph), 16, 3, 1, 1);
		if (relu)
			at = ref_relu(&f.graph, at);
		at = ref_max_pool(&f.graph, ref_pad(&f.graph, at, 1), 3, 2);
		ref_average_pool(&f.graph, ref_pad(&f.graph, at, 1), 3, 1);
		check_graph(&f, 8, 3);
	}
}

static void additions(void **state)
{
	(void)state;
	fixture f = {0};
	int a = ref_conv(&f.graph, ref_input(&f.graph), 16, 3, 1, 1);
	int b = ref_relu(&f.graph, ref_conv(&f.graph, a, 16, 3, 1, 1));
	int sum = ref_add(&f.graph, a, b);			 /* no ReLU */
	int twice = ref_add(&f.graph, sum, sum);		 /* the same tensor on both sides */
	int c = ref_relu(&f.graph, ref_add(&f.graph, twice, b)); /* with a ReLU, an input of many readers */
	ref_add(&f.graph, ref_norm(&f.graph, c), ref_conv(&f.graph, c, 16, 1, 1, 0));
	check_graph(&f, 6, 3);
}

static void head(void **state)
{
	(void)state;
	fixture f = {0};
	int at = ref_global_pool(&f.graph, ref_conv(&f.graph, ref_input(&f.graph), 40, 3, 1, 1));
	at = ref_dense(&f.graph, at, 32, NN_ACTIVATION_RELU);
	at = ref_dropout(&f.graph, ref_norm(&f.graph, at), 0.5f);
	at = ref_dense(&f.graph, at, 13, NN_ACTIVATION_RELU);
	at = ref_dropout(&f.graph, at, 0.3f);
	at = ref_norm(&f.graph, ref_dense(&f.graph, at, 9, NN_LINEAR)); /* 9: not a whole group of lanes */
	ref_dense(&f.graph, ref_relu(&f.graph, at), 4, NN_SOFTMAX);
	check_graph(&f, 6, 3);
}

static int bottleneck(nn_graph *g, int in, int filters, int stride, bool shortcut)
{
	int kept = in;
	if (shortcut)
		kept = ref_norm(g, ref_conv(g, in, 4 * filters, 1, stride, 0));
	int at = ref_relu(g, ref_norm(g, ref_conv(g, in, filters, 1, stride, 0)));
	at = ref_relu(g, ref_norm(g, ref_conv(g, at, filters, 3, 1, 1)));
	at = ref_norm(g, ref_conv(g, at, 4 * filters, 1, 1, 0));
	return ref_relu(g, ref_add(g, kept, at));
}

/* ResNet-50's shape in small; the frozen layers are [0, frozen). */
static void residual(nn_graph *g, int frozen)
{
	int at = ref_pad(g, ref_rescale(g, ref_input(g)), 3);
	at = ref_relu(g, ref_norm(g, ref_conv(g, at, 16, 7, 2, 0)));
	at = ref_max_pool(g, ref_pad(g, at, 1), 3, 2);
	at = bottleneck(g, at, 8, 1, true);
	at = bottleneck(g, at, 8, 1, false);
	at = bottleneck(g, at, 16, 2, true);
	at = bottleneck(g, at, 16, 1, false);
	at = ref_global_pool(g, at);
	at = ref_dense(g, at, 16, NN_ACTIVATION_RELU);
	at = ref_dropout(g, ref_norm(g, at), 0.5f);
	ref_dense(g, at, 4, NN_SOFTMAX);
	for (int i = 0; i < frozen; i++)
		g->layers[i].trainable = false;
}

static void residual_net(void **state)
{
	(void)state;
	fixture f = {.tolerance = DEEP, .threads = 2};
	residual(&f.graph, 0);
	check_graph(&f, 14, 3);
}

/* Wherever the frontier lies, inside blocks too. */
static void residual_frontier(void **state)
{
	(void)state;
	for (int frozen = 3; frozen < 48; frozen += 9) {
		fixture f = {.tolerance = DEEP};
		residual(&f.graph, frozen);
		set_up(&f, 14, 3);
		check_training(&f, false, false);
		tear_down(&f);
	}
}

/* Stage 2: conv5_block1's first convolution and its batch norm are frozen, its shortcut learns. */
static void frontier_inside_block(void **state)
{
	(void)state;
	for (int learner = 0; learner < 2; learner++) {
		fixture f = {.tolerance = DEEP};
		nn_graph *g = &f.graph;
		int in = ref_relu(g, ref_norm(g, ref_conv(g, ref_input(g), 16, 3, 1, 1)));
		int first = ref_relu(g, ref_norm(g, ref_conv(g, in, 8, 1, 2, 0)));
		int last_frozen = first;
		int second = ref_relu(g, ref_norm(g, ref_conv(g, first, 8, 3, 1, 1)));
		int shortcut = ref_conv(g, in, 32, 1, 2, 0);
		int third = ref_norm(g, ref_conv(g, second, 32, 1, 1, 0));
		int out = ref_relu(g, ref_add(g, ref_norm(g, shortcut), third));
		ref_dense(g, ref_global_pool(g, out), 4, NN_SOFTMAX);
		for (int i = 0; i <= last_frozen; i++)
			g->layers[i].trainable = false;
		for (int i = last_frozen + 1; learner == 1 && i <= out; i++)
			g->layers[i].trainable = i == shortcut; /* frozen batch norms and a frozen branch beside it */
		set_up(&f, 8, 3);
		check_training(&f, false, false);
		tear_down(&f);
	}
}

/* Frozen layers above a learning one: gradients go through, and batch norms keep their moving statistics. */
static void frozen_above(void **state)
{
	(void)state;
	fixture f = {.tolerance = DEEP};
	residual(&f.graph, 0);
	for (int i = 5; i < f.graph.count - 1; i++)
		f.graph.layers[i].trainable = i % 7 == 0;
	check_graph(&f, 14, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(conv_kernels),
		cmocka_unit_test(conv_of_conv),
		cmocka_unit_test(conv_winograd),
		cmocka_unit_test(padded_conv),
		cmocka_unit_test(norm_plain),
		cmocka_unit_test(norm_relu),
		cmocka_unit_test(norm_first),
		cmocka_unit_test(norm_far_from_zero),
		cmocka_unit_test(pools),
		cmocka_unit_test(padded_pools),
		cmocka_unit_test(additions),
		cmocka_unit_test(head),
		cmocka_unit_test(residual_net),
		cmocka_unit_test(residual_frontier),
		cmocka_unit_test(frontier_inside_block),
		cmocka_unit_test(frozen_above),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
