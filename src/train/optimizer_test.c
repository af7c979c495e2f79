#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"
#include "base/random.h"
#include "train/optimizer.h"

/* A network that is nothing but its parameters: a kernel of several blocks, a small bias. */
#define PARAMETERS 2
static const size_t counts[PARAMETERS] = {100003, 37};

struct nn_network {
	nn_parameter parameters[PARAMETERS];
};

int nn_network_parameter_count(const nn_network *network)
{
	(void)network;
	return PARAMETERS;
}

nn_parameter *nn_network_parameter(nn_network *network, int index)
{
	return &network->parameters[index];
}

static void make(nn_network *network)
{
	base_random random = base_random_make(3, 0);
	for (int p = 0; p < PARAMETERS; p++) {
		nn_parameter *q = &network->parameters[p];
		*q = (nn_parameter){.weight = p, .role = p == 0 ? NN_KERNEL : NN_BIAS, .count = counts[p]};
		q->value = base_calloc(counts[p], sizeof(float), "test", NULL);
		q->gradient = base_calloc(counts[p], sizeof(float), "test", NULL);
		for (size_t i = 0; i < counts[p]; i++)
			q->value[i] = base_random_normal(&random);
	}
}

static void gradients(nn_network *network, int step, float scale)
{
	base_random random = base_random_make(4, (uint64_t)step);
	for (int p = 0; p < PARAMETERS; p++)
		for (size_t i = 0; i < counts[p]; i++)
			network->parameters[p].gradient[i] = scale * base_random_normal(&random);
}

static void unmake(nn_network *network)
{
	for (int p = 0; p < PARAMETERS; p++) {
		base_free(network->parameters[p].value);
		base_free(network->parameters[p].gradient);
	}
}

static train_optimizer_options options_of(float decay, float clip, int threads)
{
	return (train_optimizer_options){.beta1 = 0.9f,
					 .beta2 = 0.999f,
					 .epsilon = 1e-7f,
					 .weight_decay = decay,
					 .clip_norm = clip,
					 .threads = threads};
}

/* Adam as the header writes it, in double precision. */
static void check_against_reference(float decay, float clip)
{
	nn_network network;
	train_optimizer o;
	bm_error err;
	make(&network);
	const train_optimizer_options options = options_of(decay, clip, 2);
	assert_int_equal(train_optimizer_create(&network, &options, &o, &err), BM_OK);
	double *w[PARAMETERS], *m[PARAMETERS], *v[PARAMETERS];
	for (int p = 0; p < PARAMETERS; p++) {
		w[p] = base_calloc(counts[p], sizeof(double), "test", NULL);
		m[p] = base_calloc(counts[p], sizeof(double), "test", NULL);
		v[p] = base_calloc(counts[p], sizeof(double), "test", NULL);
		for (size_t i = 0; i < counts[p]; i++)
			w[p][i] = (double)network.parameters[p].value[i];
	}
	for (int t = 1; t <= 12; t++) {
		const double rate = 1e-3 * t;
		double sum = 0, worst = 0;
		float norm = 0;
		gradients(&network, t, 0.01f);
		for (int p = 0; p < PARAMETERS; p++)
			for (size_t i = 0; i < counts[p]; i++)
				sum += pow((double)network.parameters[p].gradient[i], 2);
		const double scale = clip > 0 && sqrt(sum) > (double)clip ? (double)clip / sqrt(sum) : 1;
		assert_int_equal(train_optimizer_step(&o, &network, (float)rate, &norm, &err), BM_OK);
		assert_true(fabs((double)norm - sqrt(sum)) < 1e-5 * sqrt(sum));
		for (int p = 0; p < PARAMETERS; p++)
			for (size_t i = 0; i < counts[p]; i++) {
				const double g = scale * (double)network.parameters[p].gradient[i];
				m[p][i] += (g - m[p][i]) * (1 - 0.9);
				v[p][i] += (g * g - v[p][i]) * (1 - 0.999);
				if (p == 0)
					w[p][i] -= rate * (double)decay * w[p][i];
				w[p][i] -= rate * sqrt(1 - pow(0.999, t)) / (1 - pow(0.9, t)) * m[p][i] /
					   (sqrt(v[p][i]) + 1e-7);
				const double off =
					fabs(w[p][i] - (double)network.parameters[p].value[i]) / (1 + fabs(w[p][i]));
				worst = off > worst ? off : worst;
			}
		assert_true(worst < 2e-6);
	}
	for (int p = 0; p < PARAMETERS; p++) {
		base_free(w[p]);
		base_free(m[p]);
		base_free(v[p]);
	}
	train_optimizer_free(&o);
	unmake(&network);
}

static void test_adam(void **unused)
{
	(void)unused;
	check_against_reference(0, 0);
}

static void test_adamw_decays_kernels_only(void **unused)
{
	(void)unused;
	check_against_reference(0.05f, 0);
}

static void test_clipping(void **unused)
{
	(void)unused;
	check_against_reference(0, 0.5f);
	check_against_reference(0.05f, 1000);
}

static void test_threads_do_not_matter(void **unused)
{
	(void)unused;
	nn_network networks[2];
	for (int n = 0; n < 2; n++) {
		train_optimizer o;
		bm_error err;
		const train_optimizer_options options = options_of(0.01f, 1, n == 0 ? 1 : 3);
		make(&networks[n]);
		assert_int_equal(train_optimizer_create(&networks[n], &options, &o, &err), BM_OK);
		for (int t = 0; t < 3; t++) {
			gradients(&networks[n], t, 1);
			assert_int_equal(train_optimizer_step(&o, &networks[n], 1e-3f, NULL, &err), BM_OK);
		}
		train_optimizer_free(&o);
	}
	for (int p = 0; p < PARAMETERS; p++)
		assert_memory_equal(networks[0].parameters[p].value, networks[1].parameters[p].value,
				    counts[p] * sizeof(float));
	unmake(&networks[0]);
	unmake(&networks[1]);
}

static void test_not_finite_changes_nothing(void **unused)
{
	(void)unused;
	nn_network network;
	train_optimizer o;
	bm_error err;
	const train_optimizer_options options = options_of(0.01f, 1, 2);
	make(&network);
	assert_int_equal(train_optimizer_create(&network, &options, &o, &err), BM_OK);
	gradients(&network, 1, 1);
	network.parameters[0].gradient[99999] = INFINITY;
	float *before = base_malloc(counts[0], sizeof(float), "test", NULL);
	memcpy(before, network.parameters[0].value, counts[0] * sizeof(float));
	assert_int_equal(train_optimizer_step(&o, &network, 1e-3f, NULL, &err), BM_ERR_NUMERIC);
	assert_memory_equal(before, network.parameters[0].value, counts[0] * sizeof(float));
	assert_int_equal(o.step, 0);
	base_free(before);
	train_optimizer_free(&o);
	unmake(&network);
}

static void test_bad_options(void **unused)
{
	(void)unused;
	nn_network network;
	train_optimizer o;
	bm_error err;
	make(&network);
	train_optimizer_options options = options_of(0, 0, 1);
	options.beta1 = 1;
	assert_int_equal(train_optimizer_create(&network, &options, &o, &err), BM_ERR_USAGE);
	options = options_of(-1, 0, 1);
	assert_int_equal(train_optimizer_create(&network, &options, &o, &err), BM_ERR_USAGE);
	unmake(&network);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_adam),
		cmocka_unit_test(test_adamw_decays_kernels_only),
		cmocka_unit_test(test_clipping),
		cmocka_unit_test(test_threads_do_not_matter),
		cmocka_unit_test(test_not_finite_changes_nothing),
		cmocka_unit_test(test_bad_options),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
