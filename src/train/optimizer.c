#include "train/optimizer.h"

#include <math.h>
#include <omp.h>
#include <string.h>

#include "base/clones.h"
#include "base/memory.h"
#include "base/threads.h"

/* Work is cut into blocks of this many values whatever the number of threads, so that sums come out the same. */
#define BLOCK ((size_t)1 << 15)
#define LANES 16

typedef struct adam_rates {
	float keep;  /* 1 - learning rate * decay */
	float alpha; /* learning rate with the bias corrections */
	float scale; /* of the gradient, for clipping */
	float one_minus_b1, one_minus_b2, epsilon;
} adam_rates;

BASE_CLONES
static void adam_block(float *restrict w, const float *restrict gradient, float *restrict m, float *restrict v,
		       size_t n, adam_rates r)
{
	for (size_t i = 0; i < n; i++) {
		const float g = gradient[i] * r.scale;
		const float mi = m[i] + (g - m[i]) * r.one_minus_b1;
		const float vi = v[i] + (g * g - v[i]) * r.one_minus_b2;
		m[i] = mi;
		v[i] = vi;
		w[i] = w[i] * r.keep - r.alpha * mi / (sqrtf(vi) + r.epsilon);
	}
}

BASE_CLONES
static double square_sum(const float *values, size_t n)
{
	double lanes[LANES] = {0}, sum = 0;
	size_t i = 0;
	for (; i + LANES <= n; i += LANES)
		for (int l = 0; l < LANES; l++)
			lanes[l] += (double)values[i + (size_t)l] * (double)values[i + (size_t)l];
	for (; i < n; i++)
		lanes[0] += (double)values[i] * (double)values[i];
	for (int l = 0; l < LANES; l++)
		sum += lanes[l];
	return sum;
}

/* Keras computes 1 - beta in Python's double precision from the decimal that was written: 0.999f would make v 1e-5 off. */
static double as_written(float beta)
{
	return rint((double)beta * 1e7) / 1e7;
}

float **train_arrays_create(nn_network *network, const char *what, bm_error *err)
{
	const int count = nn_network_parameter_count(network);
	float **arrays = base_calloc((size_t)count, sizeof *arrays, what, err);
	for (int i = 0; arrays && i < count; i++) {
		arrays[i] = base_calloc(nn_network_parameter(network, i)->count, sizeof(float), what, err);
		if (!arrays[i]) {
			train_arrays_free(arrays, count);
			return NULL;
		}
	}
	return arrays;
}

void train_arrays_free(float **arrays, int count)
{
	for (int i = 0; arrays && i < count; i++)
		base_free(arrays[i]);
	base_free(arrays);
}

bm_status train_optimizer_create(nn_network *network, const train_optimizer_options *options, train_optimizer *out,
				 bm_error *err)
{
	*out = (train_optimizer){.options = *options, .count = nn_network_parameter_count(network)};
	if (!(options->beta1 >= 0 && options->beta1 < 1 && options->beta2 >= 0 && options->beta2 < 1 &&
	      options->epsilon > 0 && options->weight_decay >= 0 && options->clip_norm >= 0))
		return base_fail(err, BM_ERR_USAGE,
				 "optimiser: beta1 and beta2 must lie in [0, 1), epsilon above 0, weight decay "
				 "and clip norm must not be negative");
	if (out->count < 1)
		return base_fail(err, BM_ERR_USAGE,
				 "optimiser: the network has nothing to train; make a layer trainable");
	out->m = train_arrays_create(network, "the optimiser's moments", err);
	out->v = out->m ? train_arrays_create(network, "the optimiser's moments", err) : NULL;
	if (!out->v) {
		train_optimizer_free(out);
		return BM_ERR_MEMORY;
	}
	if (out->options.threads <= 0)
		out->options.threads = base_cores();
	return BM_OK;
}

void train_optimizer_free(train_optimizer *o)
{
	train_arrays_free(o->m, o->count);
	train_arrays_free(o->v, o->count);
	*o = (train_optimizer){0};
}

static size_t block_count(size_t n)
{
	return (n + BLOCK - 1) / BLOCK;
}

static double gradient_norm(nn_network *network, int threads)
{
	const int count = nn_network_parameter_count(network);
	double sum = 0;
	for (int i = 0; i < count; i++) {
		const nn_parameter *p = nn_network_parameter(network, i);
		const size_t blocks = block_count(p->count);
		/* A few thousand blocks at most: 2^31 values would be 65,536. */
		for (size_t first = 0; first < blocks; first += 256) {
			double partial[256];
			const long n = (long)(blocks - first < 256 ? blocks - first : 256);
#pragma omp parallel for num_threads(threads) schedule(static) if (n > 1)
			for (long b = 0; b < n; b++) {
				const size_t at = (first + (size_t)b) * BLOCK;
				partial[b] =
					square_sum(p->gradient + at, p->count - at < BLOCK ? p->count - at : BLOCK);
			}
			for (long b = 0; b < n; b++)
				sum += partial[b];
		}
	}
	return sqrt(sum);
}

bm_status train_gradient_norm(nn_network *network, int threads, double *length, float *norm, bm_error *err)
{
	*length = gradient_norm(network, threads);
	if (norm)
		*norm = (float)*length;
	return isfinite(*length) ? BM_OK
				 : base_fail(err, BM_ERR_NUMERIC, "the gradient is not finite (norm %g)", *length);
}

bm_status train_optimizer_step(train_optimizer *o, nn_network *network, float learning_rate, float *norm, bm_error *err)
{
	const train_optimizer_options *options = &o->options;
	double length;
	bm_status status = train_gradient_norm(network, options->threads, &length, norm, err);
	if (status != BM_OK)
		return status;

	const double b1 = as_written(options->beta1), b2 = as_written(options->beta2);
	const double t = (double)++o->step;
	adam_rates rates = {
		.alpha = (float)((double)learning_rate * sqrt(1.0 - pow(b2, t)) / (1.0 - pow(b1, t))),
		.scale = 1,
		.one_minus_b1 = (float)(1.0 - b1),
		.one_minus_b2 = (float)(1.0 - b2),
		.epsilon = options->epsilon,
	};
	if (options->clip_norm > 0 && length > (double)options->clip_norm)
		rates.scale = (float)((double)options->clip_norm / length);
	for (int i = 0; i < o->count; i++) {
		nn_parameter *p = nn_network_parameter(network, i);
		rates.keep = p->role == NN_KERNEL ? (float)(1.0 - (double)learning_rate * (double)options->weight_decay)
						  : 1.0f;
		const long blocks = (long)block_count(p->count);
#pragma omp parallel for num_threads(options->threads) schedule(static) if (blocks > 1)
		for (long b = 0; b < blocks; b++) {
			const size_t at = (size_t)b * BLOCK;
			adam_block(p->value + at, p->gradient + at, o->m[i] + at, o->v[i] + at,
				   p->count - at < BLOCK ? p->count - at : BLOCK, rates);
		}
	}
	return BM_OK;
}
