/* What holds for a network as a whole: the same bytes again, layouts and back, memory, errors. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"
#include "base/random.h"
#include "nn/internal.h"
#include "nn/reference.h"

enum { BATCH = 8, SIZE = 24, CLASSES = 4, PIXELS = BATCH * SIZE * SIZE * 3 };

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
	float images[PIXELS];
	float gradient[BATCH * CLASSES];
} fixture;

static int residual(nn_graph *g, int in, int filters, int stride)
{
	int kept = stride == 1 ? in : ref_norm(g, ref_conv(g, in, filters, 1, stride, 0));
	int at = ref_relu(g, ref_norm(g, ref_conv(g, in, filters, 3, stride, 1)));
	return ref_relu(g, ref_add(g, kept, ref_norm(g, ref_conv(g, at, filters, 3, 1, 1))));
}

static int set_up(void **state)
{
	fixture *f = calloc(1, sizeof *f);
	if (f == NULL)
		return 1;
	nn_graph *g = &f->graph;
	int at = ref_relu(g, ref_norm(g, ref_conv(g, ref_pad(g, ref_input(g), 3), 32, 7, 2, 0)));
	at = ref_max_pool(g, ref_pad(g, at, 1), 3, 2);
	at = residual(g, residual(g, at, 32, 1), 36, 2);
	at = ref_norm(g, ref_dense(g, ref_global_pool(g, at), 24, NN_ACTIVATION_RELU));
	ref_dense(g, ref_dropout(g, at, 0.4f), CLASSES, NN_SOFTMAX);
	check_ok(nn_graph_infer(g, SIZE, SIZE, 3, err));
	check_ok(nn_weights_create(g, &f->weights, err));
	ref_fill(&f->weights, 1);
	f->options = (nn_options){.batch = BATCH,
				  .height = SIZE,
				  .width = SIZE,
				  .channels = 3,
				  .training = true,
				  .threads = 2,
				  .seed = 5};
	base_random random = base_random_make(2, 2);
	for (int i = 0; i < PIXELS; i++)
		f->images[i] = base_random_uniform(&random);
	for (int i = 0; i < BATCH * CLASSES; i++)
		f->gradient[i] = base_random_range(&random, -1.0f, 1.0f);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	fixture *f = *state;
	nn_graph_free(&f->graph);
	nn_weights_free(&f->weights);
	free(f);
	return 0;
}

static nn_network *create(fixture *f, const nn_weights *weights, bool training)
{
	nn_options options = f->options;
	options.training = training;
	nn_network *network = NULL;
	check_ok(nn_network_create(&f->graph, weights, &options, &network, err));
	return network;
}

/* Three steps of plain gradient descent; the weights end in *stored, the last output in output. */
static void train(fixture *f, nn_weights *stored, float *output)
{
	nn_network *network = create(f, &f->weights, true);
	for (uint64_t step = 0; step < 3; step++) {
		check_ok(nn_network_forward(network, f->images, BATCH, true, step, output, err));
		check_ok(nn_network_backward(network, f->gradient, err));
		for (int i = 0; i < nn_network_parameter_count(network); i++) {
			nn_parameter *p = nn_network_parameter(network, i);
			for (size_t k = 0; k < p->count; k++)
				p->value[k] -= 1e-3f * p->gradient[k];
		}
		check_ok(nn_network_parameters_changed(network, err));
	}
	check_ok(nn_weights_copy(&f->weights, stored, err));
	check_ok(nn_network_store(network, stored, err));
	nn_network_free(network);
}

static void same_bytes_again(void **state)
{
	fixture *f = *state;
	nn_weights first, second;
	float output1[BATCH * CLASSES], output2[BATCH * CLASSES];
	train(f, &first, output1);
	train(f, &second, output2);
	assert_memory_equal(output1, output2, sizeof output1);
	assert_memory_equal(first.storage, second.storage, first.total * sizeof(float));
	nn_weights_free(&second);
	f->options.seed++; /* other dropout */
	train(f, &second, output2);
	assert_memory_not_equal(first.storage, second.storage, first.total * sizeof(float));
	f->options.seed--;
	nn_weights_free(&first);
	nn_weights_free(&second);
}

static void any_number_of_threads(void **state)
{
	fixture *f = *state;
	nn_weights one, three;
	float output1[BATCH * CLASSES], output3[BATCH * CLASSES];
	f->options.threads = 1;
	train(f, &one, output1);
	f->options.threads = 3;
	train(f, &three, output3);
	f->options.threads = 2;
	for (int i = 0; i < BATCH * CLASSES; i++)
		assert_float_equal(output1[i], output3[i], 1e-5);
	for (size_t i = 0; i < one.total; i++)
		if (!(fabsf(one.storage[i] - three.storage[i]) <= 1e-4f * (1.0f + fabsf(one.storage[i]))))
			fail_msg("weight %zu: %g with 1 thread, %g with 3", i, (double)one.storage[i],
				 (double)three.storage[i]);
	nn_weights_free(&one);
	nn_weights_free(&three);
}

/* Folded and fused, against the same weights layer by layer. */
static void fused_equals_unfused(void **state)
{
	fixture *f = *state;
	float fused[BATCH * CLASSES], unfused[BATCH * CLASSES], part[BATCH * CLASSES];
	nn_network *inference = create(f, &f->weights, false), *training = create(f, &f->weights, true);
	check_ok(nn_network_forward(inference, f->images, BATCH, false, 0, fused, err));
	check_ok(nn_network_forward(training, f->images, BATCH, false, 0, unfused, err));
	for (int i = 0; i < BATCH * CLASSES; i++)
		assert_true(fabsf(fused[i] - unfused[i]) <= 1e-5f * fabsf(unfused[i]) + 1e-7f);
	for (int count = BATCH - 1; count > 0; count -= 2) {
		check_ok(nn_network_forward(inference, f->images, count, false, 0, part, err));
		assert_memory_equal(part, fused, (size_t)(count * CLASSES) * sizeof(float));
	}
	nn_network_free(inference);
	nn_network_free(training);
}

static void store_and_load(void **state)
{
	fixture *f = *state;
	nn_weights stored;
	nn_network *network = create(f, &f->weights, true);
	check_ok(nn_weights_copy(&f->weights, &stored, err));
	memset(stored.storage, 0, stored.total * sizeof(float));
	check_ok(nn_network_store(network, &stored, err)); /* everything is trainable: everything comes back */
	assert_memory_equal(stored.storage, f->weights.storage, stored.total * sizeof(float));
	/* Other weights in, and out again. */
	ref_fill(&stored, 99);
	check_ok(nn_network_load(network, &stored, err));
	nn_weights again;
	check_ok(nn_weights_copy(&f->weights, &again, err));
	check_ok(nn_network_store(network, &again, err));
	assert_memory_equal(again.storage, stored.storage, stored.total * sizeof(float));
	/* Loading has the same effect as creating, in a folded network too. */
	float loaded[BATCH * CLASSES], created[BATCH * CLASSES];
	nn_network *old = create(f, &f->weights, false), *new = create(f, &stored, false);
	check_ok(nn_network_load(old, &stored, err));
	check_ok(nn_network_forward(old, f->images, BATCH, false, 0, loaded, err));
	check_ok(nn_network_forward(new, f->images, BATCH, false, 0, created, err));
	assert_memory_equal(loaded, created, sizeof loaded);
	nn_network_free(old);
	nn_network_free(new);
	nn_network_free(network);
	nn_weights_free(&stored);
	nn_weights_free(&again);
}

static void keras_layout(void **state)
{
	fixture *f = *state;
	bm_error error = {0};
	nn_network *network = create(f, &f->weights, true);
	int count = nn_network_parameter_count(network);
	assert_true(count > 20);
	assert_null(nn_network_parameter(network, count));
	assert_null(nn_network_parameter(network, -1));
	for (int i = 0; i < count; i++) {
		nn_parameter *p = nn_network_parameter(network, i);
		const nn_weight *weight = &f->weights.items[p->weight];
		if (i > 0)
			assert_true(p->weight > nn_network_parameter(network, i - 1)->weight);
		float *keras = calloc(weight->count, sizeof *keras), *physical = calloc(p->count, sizeof *physical);
		check_ok(nn_parameter_to_keras(network, i, p->value, keras, err));
		assert_memory_equal(keras, weight->values, weight->count * sizeof(float));
		memset(physical, 0xff, p->count * sizeof *physical); /* the padding must become 0 */
		check_ok(nn_parameter_from_keras(network, i, keras, physical, err));
		assert_memory_equal(physical, p->value, p->count * sizeof(float));
		free(keras);
		free(physical);
	}
	assert_int_equal(nn_parameter_to_keras(network, count, f->images, f->gradient, &error), BM_ERR_USAGE);
	nn_network_free(network);
}

/* Padding lanes have gradient 0, so that an optimiser leaves them 0. */
static void padding_stays_zero(void **state)
{
	fixture *f = *state;
	float output[BATCH * CLASSES];
	nn_network *network = create(f, &f->weights, true);
	check_ok(nn_network_forward(network, f->images, BATCH, true, 0, output, err));
	check_ok(nn_network_backward(network, f->gradient, err));
	int padded = 0;
	for (int i = 0; i < nn_network_parameter_count(network); i++) {
		nn_parameter *p = nn_network_parameter(network, i);
		size_t count = f->weights.items[p->weight].count, zeros = 0;
		float *keras = calloc(count, sizeof *keras), *back = calloc(p->count, sizeof *back);
		check_ok(nn_parameter_to_keras(network, i, p->gradient, keras, err));
		check_ok(nn_parameter_from_keras(network, i, keras, back, err));
		assert_memory_equal(back, p->gradient, p->count * sizeof *back); /* nothing was in the padding */
		for (size_t k = 0; k < p->count; k++)
			zeros += p->gradient[k] == 0.0f;
		assert_true(zeros >= p->count - count);
		padded += p->count > count;
		free(keras);
		free(back);
	}
	assert_true(padded > 0); /* 40 channels are not whole groups of 16 */
	nn_network_free(network);
}

static void inside(void **state)
{
	fixture *f = *state;
	bm_error error = {0};
	float output[BATCH * CLASSES], seen[BATCH * CLASSES];
	const char *last = f->graph.layers[f->graph.count - 1].name;
	const nn_layer *norm = &f->graph.layers[3], *relu = &f->graph.layers[4];
	assert_int_equal(norm->type, NN_BATCH_NORM);
	assert_int_equal(relu->type, NN_RELU);
	size_t count = (size_t)(BATCH * relu->height * relu->width * relu->channels);
	float *values = calloc(count, sizeof *values);
	nn_network *network = create(f, &f->weights, false);
	check_ok(nn_network_forward(network, f->images, BATCH, false, 0, output, err));
	check_ok(nn_network_output(network, last, seen, BATCH * CLASSES, err));
	assert_memory_equal(seen, output, sizeof seen);
	assert_int_equal(nn_network_output(network, last, seen, 3, &error), BM_ERR_USAGE);
	assert_int_equal(nn_network_output(network, "none", seen, 3, &error), BM_ERR_NOT_FOUND);
	assert_int_equal(nn_network_output(network, norm->name, values, count, &error), BM_ERR_UNSUPPORTED);
	assert_int_equal(nn_network_output(network, relu->name, values, count, &error), BM_ERR_UNSUPPORTED);
	assert_int_equal(nn_network_input_gradient(network, f->images, PIXELS, &error), BM_ERR_UNSUPPORTED);
	nn_network_free(network);
	f->options.keep_outputs = true;
	network = create(f, &f->weights, false);
	f->options.keep_outputs = false;
	check_ok(nn_network_forward(network, f->images, BATCH, false, 0, output, err));
	check_ok(nn_network_output(network, relu->name, values, count, err));
	double exact_images[PIXELS];
	for (int i = 0; i < PIXELS; i++)
		exact_images[i] = (double)f->images[i];
	ref_pass pass = ref_forward(&f->graph, &f->weights, exact_images, BATCH, false, 0, 0);
	for (size_t i = 0; i < count; i++)
		assert_float_equal(values[i], pass.outputs[4][i], 1e-4);
	ref_free(&pass);
	nn_network_free(network);
	free(values);
}

static void memory_estimate(void **state)
{
	fixture *f = *state;
	bm_error error = {0};
	uint64_t small, large, inference;
	nn_options options = f->options;
	check_ok(nn_network_estimate(&f->graph, &options, &small, err));
	options.batch *= 4;
	check_ok(nn_network_estimate(&f->graph, &options, &large, err));
	assert_true(large > small);
	options.training = false;
	options.chunk = 3; /* without Winograd's large kernels */
	check_ok(nn_network_estimate(&f->graph, &options, &inference, err));
	assert_true(inference < large);
	options.batch = 0;
	assert_int_equal(nn_network_estimate(&f->graph, &options, &small, &error), BM_ERR_USAGE);
}

static void wrong_use(void **state)
{
	fixture *f = *state;
	bm_error error = {0};
	float output[BATCH * CLASSES];
	nn_network *network = create(f, &f->weights, false);
	assert_int_equal(nn_network_forward(network, f->images, 0, false, 0, output, &error), BM_ERR_USAGE);
	assert_int_equal(nn_network_forward(network, f->images, BATCH + 1, false, 0, output, &error), BM_ERR_USAGE);
	assert_int_equal(nn_network_forward(network, f->images, BATCH, true, 0, output, &error), BM_ERR_USAGE);
	assert_int_equal(nn_network_backward(network, f->gradient, &error), BM_ERR_USAGE);
	nn_network_free(network);
	network = create(f, &f->weights, true);
	assert_int_equal(nn_network_forward(network, f->images, BATCH - 1, true, 0, output, &error), BM_ERR_USAGE);
	assert_int_equal(nn_network_backward(network, f->gradient, &error), BM_ERR_USAGE);
	check_ok(nn_network_forward(network, f->images, BATCH, false, 0, output, err));
	assert_int_equal(nn_network_backward(network, f->gradient, &error), BM_ERR_USAGE);
	check_ok(nn_network_forward(network, f->images, BATCH, true, 0, output, err));
	check_ok(nn_network_backward(network, f->gradient, err));
	assert_int_equal(nn_network_backward(network, f->gradient, &error),
			 BM_ERR_USAGE); /* its activations are gone */
	nn_network_free(network);
	nn_network_free(NULL);

	nn_weights few = f->weights;
	few.count--;
	nn_options options = f->options;
	assert_int_equal(nn_network_create(&f->graph, &few, &options, &network, &error), BM_ERR_USAGE);
	assert_null(network);
	options.height = 3; /* the pool does not fit */
	options.width = 1;
	f->graph.layers[1].padding = 0;
	assert_int_equal(nn_network_create(&f->graph, &f->weights, &options, &network, &error), BM_ERR_USAGE);
	f->graph.layers[1].padding = 3;
	options = f->options;
	options.threads = -1;
	assert_int_equal(nn_network_create(&f->graph, &f->weights, &options, &network, &error), BM_ERR_USAGE);
	options.threads = 1;
	for (int i = 0; i < f->graph.count; i++)
		f->graph.layers[i].trainable = false;
	assert_int_equal(nn_network_create(&f->graph, &f->weights, &options, &network, &error), BM_ERR_USAGE);
	for (int i = 0; i < f->graph.count; i++)
		f->graph.layers[i].trainable = true;
	nn_graph loose = {0};
	ref_relu(&loose, ref_input(&loose));
	ref_conv(&loose, 0, 4, 1, 1, 0); /* nothing reads the ReLU */
	check_ok(nn_graph_infer(&loose, 4, 4, 3, err));
	nn_weights weights;
	check_ok(nn_weights_create(&loose, &weights, err));
	assert_int_equal(nn_network_create(&loose, &weights, &options, &network, &error), BM_ERR_USAGE);
	assert_non_null(strstr(error.message, "Activation1"));
	nn_weights_free(&weights);
	nn_graph_free(&loose);
}

/* Whichever allocation fails, creation fails with a message and leaves nothing behind (the sanitizer counts). */
static void no_memory(void **state)
{
	fixture *f = *state;
	nn_network *network = NULL;
	f->options.threads = 1;
	long failures = 0;
	for (long n = 0; n < 1000; n += 1 + n / 8) {
		bm_error error = {0};
		base_memory_fail_after(n);
		bm_status status = nn_network_create(&f->graph, &f->weights, &f->options, &network, &error);
		base_memory_fail_after(-1);
		if (status == BM_OK)
			break;
		failures++;
		assert_int_equal(status, BM_ERR_MEMORY);
		assert_true(strlen(error.message) > 0);
		assert_null(network);
	}
	f->options.threads = 2;
	assert_non_null(network);
	assert_true(failures > 10);
	nn_network_free(network);
}

static void not_a_number(void **state)
{
	fixture *f = *state;
	float output[BATCH * CLASSES], kept = f->images[100];
	nn_network *network = create(f, &f->weights, true);
	f->images[100] = NAN;
	check_ok(nn_network_forward(network, f->images, BATCH, true, 0, output, err));
	f->images[100] = kept;
	int seen = 0;
	for (int i = 0; i < BATCH * CLASSES; i++)
		seen += !isfinite(output[i]);
	assert_true(seen > 0); /* ReLUs must not hide it */
	nn_network_free(network);
}

static void description(void **state)
{
	(void)state;
	char text[96];
	nn_describe(text, sizeof text);
	assert_non_null(strstr(text, "oneDNN "));
	assert_non_null(strstr(text, "thread"));
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

/* Eight bits of mantissa: each product is off by up to 0.4 %. What that adds up to in a gradient through five batch norms is a few percent
 * here; a wrong layout or an operand forgotten would be off by the whole. */
static void bfloat16_is_near(void **state)
{
	fixture *f = *state;
	float output[2][BATCH * CLASSES];
	nn_network *networks[2];
	if (!nn_has_bf16()) {
		nn_network *none;
		bm_error err;
		f->options.bf16 = true;
		assert_int_equal(nn_network_create(&f->graph, &f->weights, &f->options, &none, &err),
				 BM_ERR_UNSUPPORTED);
		assert_non_null(strstr(err.message, "--precision f32"));
		skip();
	}
	for (int training = 0; training < 2; training++) {
		for (int k = 0; k < 2; k++) {
			f->options.bf16 = k == 1;
			networks[k] = create(f, &f->weights, training);
			check_ok(nn_network_forward(networks[k], f->images, BATCH, training, 1, output[k], err));
			if (training)
				check_ok(nn_network_backward(networks[k], f->gradient, err));
		}
		const double apart = distance(output[1], output[0], BATCH * CLASSES);
		print_message("%s: outputs %.2g apart\n", training ? "training" : "inference", apart);
		assert_true(apart > 0 && apart < 0.02);
		for (int i = 0; i < nn_network_parameter_count(networks[0]); i++) {
			const nn_parameter *own = nn_network_parameter(networks[0], i);
			const nn_weight *weight = &f->weights.items[own->weight];
			float *gradients[2];
			if (own->role != NN_KERNEL)
				continue; /* sums over all pixels cancel: what is left of them is mostly rounding */
			for (int k = 0; k < 2; k++) {
				gradients[k] = calloc(weight->count, sizeof(float));
				check_ok(nn_parameter_to_keras(networks[k], i,
							       nn_network_parameter(networks[k], i)->gradient,
							       gradients[k], err));
			}
			const double off = distance(gradients[1], gradients[0], weight->count);
			if (!(off < 0.15))
				fail_msg("the gradient of kernel %d is %.3g off", i, off);
			free(gradients[0]);
			free(gradients[1]);
		}
		nn_network_free(networks[0]);
		nn_network_free(networks[1]);
	}
}

/* Values that only convolutions read are made as bfloat16 alone; whether outputs are kept makes no difference. */
static void bfloat16_alone(void **state)
{
	fixture *f = *state;
	nn_weights stored[2];
	float output[2][BATCH * CLASSES], values[BATCH * 6 * 6 * 32];
	if (!nn_has_bf16())
		skip();
	f->options.bf16 = true;
	for (int k = 0; k < 2; k++) {
		f->options.keep_outputs = k == 1;
		train(f, &stored[k], output[k]);
	}
	assert_memory_equal(output[0], output[1], sizeof output[0]);
	assert_memory_equal(stored[0].storage, stored[1].storage, stored[0].total * sizeof(float));
	int inner = -1; /* the ReLU between a block's convolutions */
	for (int i = 1; i + 1 < f->graph.count && inner < 0; i++)
		if (f->graph.layers[i].type == NN_RELU && f->graph.layers[i + 1].type == NN_CONV &&
		    f->graph.layers[f->graph.layers[i].inputs[0]].type == NN_BATCH_NORM)
			inner = i;
	assert_true(inner > 0);
	for (int k = 0; k < 2; k++) {
		f->options.keep_outputs = k == 1;
		nn_network *network = create(f, &f->weights, true);
		check_ok(nn_network_forward(network, f->images, BATCH, true, 0, output[0], err));
		check_ok(nn_network_output(network, f->graph.layers[inner].name, values, sizeof values / sizeof *values,
					   err));
		for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
			uint32_t bits;
			memcpy(&bits, &values[i], sizeof bits);
			assert_int_equal(bits & 0xffff, 0);
		}
		nn_network_free(network);
		nn_weights_free(&stored[k]);
	}
	f->options.keep_outputs = f->options.bf16 = false;
}

/* What a batch norm writes as bfloat16 is what nn_to_bf16 makes of its f32, also of what is no number. */
static void bfloat16_of_a_norm(void **state)
{
	(void)state;
	enum { INNER = 5, LANES = 16, COUNT = INNER * LANES };
	const nn_view view = {.images = 1,
			      .blocks = 1,
			      .lanes = LANES,
			      .last = LANES,
			      .inner = INNER,
			      .image_stride = COUNT,
			      .block_stride = COUNT,
			      .inner_stride = LANES};
	float x[COUNT], zero[LANES] = {0}, one[LANES], y[COUNT], alone[COUNT];
	uint16_t half[COUNT], wanted[COUNT];
	base_random random = base_random_make(3, 3);
	for (int i = 0; i < COUNT; i++)
		x[i] = base_random_range(&random, -4.0f, 4.0f);
	x[3] = NAN;
	x[7] = INFINITY;
	x[9] = -INFINITY;
	x[20] = 1e-41f; /* a denormal */
	for (int l = 0; l < LANES; l++)
		one[l] = 1;
	for (int mode = 0; mode < 4; mode++) {
		const float *residual = mode & 2 ? x : NULL;
		nn_channel_affine(&view, x, residual, zero, one, zero, mode & 1, y, NULL);
		nn_to_bf16(y, wanted, COUNT);
		nn_channel_affine(&view, x, residual, zero, one, zero, mode & 1, alone, half);
		assert_memory_equal(alone, y, sizeof y);
		assert_memory_equal(half, wanted, sizeof half);
		memset(half, 0, sizeof half);
		nn_channel_affine(&view, x, residual, zero, one, zero, mode & 1, NULL, half);
		assert_memory_equal(half, wanted, sizeof half);
	}
	nn_norm_apply(&view, x, x, zero, one, one, zero, y, NULL);
	nn_to_bf16(y, wanted, COUNT);
	nn_norm_apply(&view, x, x, zero, one, one, zero, NULL, half);
	assert_memory_equal(half, wanted, sizeof half);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(same_bytes_again),
		cmocka_unit_test(any_number_of_threads),
		cmocka_unit_test(fused_equals_unfused),
		cmocka_unit_test(store_and_load),
		cmocka_unit_test(keras_layout),
		cmocka_unit_test(padding_stays_zero),
		cmocka_unit_test(inside),
		cmocka_unit_test(memory_estimate),
		cmocka_unit_test(wrong_use),
		cmocka_unit_test(no_memory),
		cmocka_unit_test(not_a_number),
		cmocka_unit_test(bfloat16_is_near),
		cmocka_unit_test(bfloat16_alone),
		cmocka_unit_test(bfloat16_of_a_norm),
		cmocka_unit_test(description),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
