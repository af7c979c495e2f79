/* Adam (Kingma & Ba 2015) and AdamW (Loshchilov & Hutter 2019), elementwise as Keras 3 computes them:
 *   m += (g - m)(1 - b1); v += (g^2 - v)(1 - b2); w -= lr * sqrt(1 - b2^t) / (1 - b1^t) * m / (sqrt(v) + epsilon)
 * AdamW first does w -= lr * decay * w, on kernels only. */
#ifndef TRAIN_OPTIMIZER_H
#define TRAIN_OPTIMIZER_H

#include "nn/network.h"

typedef struct train_optimizer_options {
	float beta1, beta2, epsilon; /* Keras: 0.9, 0.999, 1e-7 */
	float weight_decay;	     /* 0: Adam */
	float clip_norm;	     /* global gradient norm is scaled down to this; 0: not */
	int threads;
} train_optimizer_options;

typedef struct train_optimizer {
	train_optimizer_options options;
	int count;	/* parameters of the network */
	float **m, **v; /* [count][parameter.count], in the network's layout */
	uint64_t step;
} train_optimizer;

bm_status train_optimizer_create(nn_network *network, const train_optimizer_options *options, train_optimizer *out,
				 bm_error *err);
void train_optimizer_free(train_optimizer *o);
/* One step with this learning rate on the network's gradients; the caller then says nn_network_parameters_changed.
 * *norm (may be NULL): global gradient norm before clipping, f64-accumulated in a fixed order. */
bm_status train_optimizer_step(train_optimizer *o, nn_network *network, float learning_rate, float *norm,
			       bm_error *err);

/* The global norm of the network's gradients, in the same order, into *length and (may be NULL) *norm. BM_ERR_NUMERIC when it is not finite. */
bm_status train_gradient_norm(nn_network *network, int threads, double *length, float *norm, bm_error *err);

/* An array of zeros for each parameter, [nn_network_parameter_count][parameter.count]; NULL without memory for `what`. */
float **train_arrays_create(nn_network *network, const char *what, bm_error *err);
void train_arrays_free(float **arrays, int count); /* NULL is allowed */

#endif
