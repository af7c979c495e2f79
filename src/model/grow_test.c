#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "base/random.h"
#include "model/predict.h"
#include "model/test_files.h"
#include "model/grow.h"

#define SIDE 40
#define COUNT 6
#define CLASSES 3

static const char *const classes[] = {"a", "b", "c"};
static const char path[] = "narrow.keras";
static float images[COUNT * SIDE * SIDE];

static int enter(void **state)
{
	base_random r = base_random_make(4, 4);

	for (int k = 0; k < COUNT; k++) {
		for (int i = 0; i < SIDE * SIDE; i++)
			images[k * SIDE * SIDE + i] = base_random_uniform(&r) * (float)(k + 1) / COUNT;
	}
	return test_files_enter(state);
}

static int leave(void **state)
{
	unlink(path);
	return test_files_leave(state);
}

static model_options of_width(double width, model_variant variant, model_head head)
{
	return (model_options){.width = width,
			       .image_size = SIDE,
			       .channels = 1,
			       .head = head,
			       .classes = CLASSES,
			       .variant = variant};
}

/* As if it had been trained: no two channels alike, in their statistics either. */
static void make_trained(const model_options *options, model *m)
{
	base_random r = base_random_make(5, 5);
	bm_error err;

	check(model_create(options, classes, false, 6, m, &err), &err);
	for (int i = 0; i < m->weights.count; i++) {
		const nn_weight *w = &m->weights.items[i];

		for (size_t k = 0; w->role != NN_KERNEL && k < w->count; k++)
			w->values[k] += base_random_range(&r, -.2f, .2f);
	}
}

static void predict(const model *m, float *probabilities)
{
	model_predictor *p;
	bm_error err;

	check(model_predictor_create(m, COUNT, 0, 1, &p, &err), &err);
	check(model_predictor_run(p, images, COUNT, probabilities, &err), &err);
	model_predictor_free(p);
}

static void assert_grown(model_options options, double wide, int deep)
{
	float before[COUNT * CLASSES], after[COUNT * CLASSES];
	float apart = 0;
	model from, to;
	bm_error err;

	make_trained(&options, &from);
	options.width = wide;
	options.depth = deep;
	check(model_create(&options, classes, false, 7, &to, &err), &err);
	assert_true(to.weights.total > from.weights.total);
	check(model_grow(&from, true, &to, &err), &err);
	predict(&from, before);
	predict(&to, after);
	for (int i = 0; i < COUNT * CLASSES; i++) {
		assert_true(fabsf(before[i] - after[i]) < 2e-6f);
		apart = fmaxf(apart, fabsf(before[i] - before[i % CLASSES]));
	}
	assert_true(apart > 1e-3f); /* the images have answers of their own */
	model_free(&from);
	model_free(&to);
}

static void a_widened_network_computes_the_same(void **state)
{
	(void)state;
	assert_grown(of_width(.125, MODEL_V1, MODEL_HEAD_LINEAR), .25, 0);
	assert_grown(of_width(.125, MODEL_V1_5, MODEL_HEAD_GUIDE), .375, 50);
	assert_grown(of_width(.25, MODEL_COMPACT, MODEL_HEAD_DENSE512), .4, 0); /* some channels twice, others once */
}

static model_options of_depth(int depth, model_variant variant)
{
	model_options options = of_width(.125, variant, MODEL_HEAD_GUIDE);

	options.depth = depth;
	return options;
}

static void a_deepened_network_computes_the_same(void **state)
{
	(void)state;
	assert_grown(of_depth(14, MODEL_V1), .125, 26);
	assert_grown(of_depth(26, MODEL_V1_5), .125, 0);
	assert_grown(of_depth(14, MODEL_V1), .25, 50); /* and wider */
}

/* Blocks of the shallow network go on as they were; the new ones can learn. */
static void new_blocks_begin_as_the_identity(void **state)
{
	model_options options = of_depth(14, MODEL_V1);
	const char *kept = "conv2_block1_3_bn", *new = "conv2_block2_3_bn", *inner = "conv2_block2_3_conv";
	model from, to;
	bm_error err;

	(void)state;
	make_trained(&options, &from);
	options.depth = 26;
	check(model_create(&options, classes, true, 7, &to, &err), &err);
	check(model_grow(&from, true, &to, &err), &err);
	assert_memory_equal(nn_weights_find(&to.weights, nn_graph_find(&to.graph, kept), NN_GAMMA)->values,
			    nn_weights_find(&from.weights, nn_graph_find(&from.graph, kept), NN_GAMMA)->values,
			    32 * sizeof(float));
	assert_int_equal(nn_graph_find(&from.graph, new), -1);
	for (int role = NN_GAMMA; role <= NN_BETA; role++)
		assert_true(nn_weights_find(&to.weights, nn_graph_find(&to.graph, new), (nn_role)role)->values[5] == 0);
	assert_true(nn_weights_find(&to.weights, nn_graph_find(&to.graph, inner), NN_KERNEL)->values[5] != 0);
	model_free(&from);
	model_free(&to);
}

/* As .keras and .safetensors, which say the depth, and read as the network that they are. */
static void a_file_of_a_shallower_network_is_deepened(void **state)
{
	float before[COUNT * CLASSES], after[COUNT * CLASSES];
	bm_error err;

	(void)state;
	for (int tensors = 0; tensors < 2; tensors++) {
		model_options options = of_depth(14, tensors ? MODEL_V1_5 : MODEL_V1), told;
		model from, to, again;
		bool head = false;

		make_trained(&options, &from);
		check(tensors ? model_save_safetensors(&from, false, path, &err) : model_save(&from, path, &err), &err);
		check(model_peek(path, &told, &err), &err);
		assert_int_equal(told.depth, 14);
		check(model_load(path, &again, &err), &err);
		options.depth = 0;
		check(model_create(&options, classes, true, 7, &to, &err), &err);
		check(model_load_weights(&to, path, &head, &err), &err);
		assert_true(head);
		predict(&from, before);
		predict(&again, after);
		assert_memory_equal(before, after, sizeof(before));
		predict(&to, after);
		for (int i = 0; i < COUNT * CLASSES; i++)
			assert_true(fabsf(before[i] - after[i]) < 2e-6f);
		/* Not the other way. */
		check(model_save(&to, path, &err), &err);
		assert_int_equal(model_load_weights(&from, path, &head, &err), BM_ERR_FORMAT);
		assert_non_null(strstr(err.message, "--depth"));
		model_free(&again);
		model_free(&to);
		model_free(&from);
	}
}

/* Copies that are read alike would be trained alike. */
static void copies_are_read_differently(void **state)
{
	model_options options = of_width(.125, MODEL_V1, MODEL_HEAD_LINEAR);
	const nn_weight *kernel;
	int alike = 0, pairs;
	model from, to;
	bm_error err;

	(void)state;
	make_trained(&options, &from);
	options.width = .25;
	check(model_create(&options, classes, true, 7, &to, &err), &err);
	check(model_grow(&from, true, &to, &err), &err);
	kernel = nn_weights_find(&to.weights, nn_graph_find(&to.graph, "conv2_block1_2_conv"), NN_KERNEL);
	assert_non_null(kernel);
	pairs = kernel->shape[2] / 2 * kernel->shape[3]; /* at the kernel's first position */
	for (int i = 0; i < pairs; i++)
		alike += fabsf(kernel->values[i] - kernel->values[i + pairs]) < 1e-6f;
	assert_true(alike < pairs / 10);
	model_free(&from);
	model_free(&to);
}

static void a_file_of_a_narrower_network_is_widened(void **state)
{
	model_options options = of_width(.125, MODEL_V1, MODEL_HEAD_GUIDE);
	float before[COUNT * CLASSES], after[COUNT * CLASSES];
	model from, to, again;
	bool head = false;
	bm_error err;

	(void)state;
	make_trained(&options, &from);
	check(model_save(&from, path, &err), &err);
	options.width = .25;
	check(model_create(&options, classes, true, 7, &to, &err), &err);
	check(model_create(&options, classes, true, 8, &again, &err), &err);
	check(model_load_weights(&to, path, &head, &err), &err);
	assert_true(head);
	check(model_load_weights(&again, path, &head, &err), &err);
	assert_memory_equal(to.weights.storage, again.weights.storage, to.weights.total * sizeof(float));
	predict(&from, before);
	predict(&to, after);
	for (int i = 0; i < COUNT * CLASSES; i++)
		assert_true(fabsf(before[i] - after[i]) < 2e-6f);
	model_free(&again);
	model_free(&to);

	/* Another head stays as it was made. */
	options.head = MODEL_HEAD_DENSE512;
	check(model_create(&options, classes, true, 7, &to, &err), &err);
	check(model_create(&options, classes, true, 7, &again, &err), &err);
	check(model_load_weights(&to, path, &head, &err), &err);
	assert_false(head);
	for (int i = 0; i < to.weights.count; i++) {
		const nn_weight *a = &to.weights.items[i], *b = &again.weights.items[i];
		bool same = memcmp(a->values, b->values, a->count * sizeof(float)) == 0;

		if (a->layer >= to.base_layers)
			assert_true(same);
		else if (a->role == NN_KERNEL)
			assert_false(same);
	}
	model_free(&again);
	model_free(&to);
	model_free(&from);
}

static void what_cannot_be_grown_is_refused(void **state)
{
	model_options options = of_width(.25, MODEL_V1, MODEL_HEAD_LINEAR);
	model from, to;
	float before;
	bm_error err;

	(void)state;
	make_trained(&options, &from);
	options.width = .125;
	check(model_create(&options, classes, true, 7, &to, &err), &err);
	before = to.weights.storage[0];
	assert_int_equal(model_grow(&from, true, &to, &err), BM_ERR_USAGE);
	assert_non_null(strstr(err.message, "conv1_conv"));
	assert_true(to.weights.storage[0] == before);
	model_free(&to);
	options = of_width(.5, MODEL_COMPACT, MODEL_HEAD_LINEAR);
	check(model_create(&options, classes, true, 7, &to, &err), &err);
	assert_int_equal(model_grow(&from, true, &to, &err), BM_ERR_USAGE);
	model_free(&to);
	model_free(&from);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_widened_network_computes_the_same),
		cmocka_unit_test(a_deepened_network_computes_the_same),
		cmocka_unit_test(new_blocks_begin_as_the_identity),
		cmocka_unit_test(a_file_of_a_shallower_network_is_deepened),
		cmocka_unit_test(copies_are_read_differently),
		cmocka_unit_test(a_file_of_a_narrower_network_is_widened),
		cmocka_unit_test(what_cannot_be_grown_is_refused),
	};

	return cmocka_run_group_tests(tests, enter, leave);
}
