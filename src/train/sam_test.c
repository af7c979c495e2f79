#include "train/test_fixture.h"

#include <math.h>

#include "data/augment.h"
#include "train/loss.h"

#define BATCH 8
#define RHO 0.001f /* the random network is steep and curved */

/* A small network for training, and images and labels to train it with. */
typedef struct lesson {
	model m;
	nn_network *network;
	float images[BATCH * FIXTURE_SIDE * FIXTURE_SIDE];
	int labels[BATCH];
} lesson;

static nn_network *compile(const lesson *l)
{
	const nn_options options = {.batch = BATCH,
				    .height = FIXTURE_SIDE,
				    .width = FIXTURE_SIDE,
				    .channels = 1,
				    .training = true,
				    .threads = 1};
	nn_network *network = NULL;
	assert_ok(nn_network_create(&l->m.graph, &l->m.weights, &options, &network, err));
	return network;
}

static int begin(void **state)
{
	lesson *l = base_calloc(1, sizeof *l, "test", NULL);
	fixture_model_headed(&l->m, true, MODEL_HEAD_LINEAR);
	model_set_trainable(&l->m, MODEL_ALL, 0);
	for (int i = 0; i < BATCH; i++) {
		image slice = {0};
		l->labels[i] = i % IMAGE_PHANTOM_CLASSES;
		assert_ok(image_phantom(5, l->labels[i], (size_t)i, FIXTURE_SIDE, &slice, err));
		data_pixels_to_floats(slice.pixels, FIXTURE_SIDE, 1, l->images + i * FIXTURE_SIDE * FIXTURE_SIDE);
		image_free(&slice);
	}
	l->network = compile(l);
	*state = l;
	return 0;
}

static int end(void **state)
{
	lesson *l = *state;
	nn_network_free(l->network);
	model_free(&l->m);
	base_free(l);
	return 0;
}

static double pass(const lesson *l, nn_network *network)
{
	float probabilities[BATCH * IMAGE_PHANTOM_CLASSES], gradient[BATCH * IMAGE_PHANTOM_CLASSES];
	double loss;
	assert_ok(nn_network_forward(network, l->images, BATCH, true, 1, probabilities, err));
	train_cross_entropy(probabilities, l->labels, BATCH, IMAGE_PHANTOM_CLASSES, NULL, 0, NULL, NULL, &loss,
			    gradient, NULL);
	assert_ok(nn_network_backward(network, gradient, err));
	return loss;
}

/* The weights and moving statistics that the network would give away. */
static nn_weights stored(const lesson *l, nn_network *network)
{
	nn_weights weights = {0};
	assert_ok(nn_weights_copy(&l->m.weights, &weights, err));
	assert_ok(nn_network_store(network, &weights, err));
	return weights;
}

static bool equal(const nn_weights *a, const nn_weights *b)
{
	bool same = a->count == b->count;
	for (int i = 0; same && i < a->count; i++)
		same = memcmp(a->items[i].values, b->items[i].values, a->items[i].count * sizeof(float)) == 0;
	return same;
}

static void test_up_and_back(void **state)
{
	lesson *l = *state;
	train_sam sam = {0};
	assert_ok(train_sam_create(l->network, &sam, err));
	const double below = pass(l, l->network);
	nn_weights before = stored(l, l->network);
	float norm = 0;
	assert_ok(train_sam_climb(&sam, l->network, RHO, 1, &norm, err));
	assert_true(norm > 0);
	/* Moved by rho, all parameters together, and uphill. */
	double distance = 0;
	for (int i = 0; i < sam.count; i++) {
		const nn_parameter *p = nn_network_parameter(l->network, i);
		for (size_t k = 0; k < p->count; k++)
			distance += pow((double)p->value[k] - (double)sam.values[i][k], 2);
	}
	assert_true(fabs(sqrt(distance) - (double)RHO) < 1e-4 * (double)RHO);
	const double above = pass(l, l->network);
	print_message("loss %.4f, %.4f above, slope %.4f\n", below, above, (double)norm);
	assert_true(above > below + 0.3 * (double)(RHO * norm));

	/* The gradient is that of a network which has these weights. */
	nn_weights moved = stored(l, l->network);
	nn_network *other = compile(l);
	assert_ok(nn_network_load(other, &moved, err));
	assert_true(pass(l, other) == above);
	for (int i = 0; i < sam.count; i++) {
		const nn_parameter *p = nn_network_parameter(l->network, i), *q = nn_network_parameter(other, i);
		assert_memory_equal(p->gradient, q->gradient, p->count * sizeof(float));
	}

	/* Weights and moving statistics come back to the bit; later passes move the statistics again. */
	assert_false(equal(&before, &moved));
	assert_ok(train_sam_return(&sam, l->network, err));
	nn_weights after = stored(l, l->network);
	assert_true(equal(&before, &after));
	pass(l, l->network);
	nn_weights later = stored(l, l->network);
	assert_false(equal(&before, &later));
	nn_weights_free(&before);
	nn_weights_free(&moved);
	nn_weights_free(&after);
	nn_weights_free(&later);
	nn_network_free(other);
	train_sam_free(&sam);
}

static void test_gradients_without_a_direction(void **state)
{
	lesson *l = *state;
	train_sam sam = {0};
	float norm = 1;
	bm_error error = {0};
	assert_ok(train_sam_create(l->network, &sam, err));
	pass(l, l->network);
	for (int i = 0; i < sam.count; i++) {
		nn_parameter *p = nn_network_parameter(l->network, i);
		memset(p->gradient, 0, p->count * sizeof(float));
	}
	assert_ok(train_sam_climb(&sam, l->network, RHO, 1, &norm, err));
	assert_true(norm == 0);
	for (int i = 0; i < sam.count; i++) {
		const nn_parameter *p = nn_network_parameter(l->network, i);
		assert_memory_equal(p->value, sam.values[i], p->count * sizeof(float));
	}
	assert_ok(train_sam_return(&sam, l->network, err));

	nn_weights before = stored(l, l->network);
	nn_network_parameter(l->network, 0)->gradient[0] = NAN;
	assert_int_equal(train_sam_climb(&sam, l->network, RHO, 1, &norm, &error), BM_ERR_NUMERIC);
	assert_non_null(strstr(error.message, "not finite"));
	assert_true(isnan(norm));
	nn_weights after = stored(l, l->network);
	assert_true(equal(&before, &after));
	nn_weights_free(&before);
	nn_weights_free(&after);
	train_sam_free(&sam);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_up_and_back, begin, end),
		cmocka_unit_test_setup_teardown(test_gradients_without_a_direction, begin, end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
