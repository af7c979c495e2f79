/* For tests: the layers as their definitions say, in double precision, one loop per index; and small graphs. */
#ifndef NN_REFERENCE_H
#define NN_REFERENCE_H

#include "nn/network.h"

/* ---- graphs; layers are named "<type><index>", all trainable; each returns the layer's index and asserts success ---- */
int ref_input(nn_graph *graph);
int ref_rescale(nn_graph *graph, int in);
int ref_pad(nn_graph *graph, int in, int padding);
int ref_conv(nn_graph *graph, int in, int units, int kernel, int stride, int same);
int ref_conv_no_bias(nn_graph *graph, int in, int units, int kernel, int stride, int same);
int ref_norm(nn_graph *graph, int in);
int ref_relu(nn_graph *graph, int in);
int ref_max_pool(nn_graph *graph, int in, int kernel, int stride);
int ref_average_pool(nn_graph *graph, int in, int kernel, int stride);
int ref_add(nn_graph *graph, int a, int b);
int ref_global_pool(nn_graph *graph, int in);
int ref_dense(nn_graph *graph, int in, int units, nn_activation activation);
int ref_dropout(nn_graph *graph, int in, float rate);

/* Weights that are neither 0 nor 1 anywhere; variances positive. */
void ref_fill(nn_weights *weights, uint64_t seed);

/* ---- the forward pass ---- */
typedef struct ref_pass {
	const nn_graph *graph;
	const nn_weights *weights;
	double *values; /* [weights->total]: the weights, of the pass' own */
	int batch;
	bool training;
	uint64_t seed, step;
	double **outputs; /* [layers]: [batch][height][width][channels]; the last layer's softmax is left out */
	double **means, **variances; /* [layers]: of the batch, for trainable batch norms in training */
} ref_pass;
/* images: [batch][height][width][channels]. Asserts that there is memory. */
ref_pass ref_forward(const nn_graph *graph, const nn_weights *weights, const double *images, int batch, bool training,
		     uint64_t seed, uint64_t step);
/* Computes layers [first, graph->count) again, after a change of values (or images, first 0). */
void ref_again(ref_pass *pass, const double *images, int first);
void ref_free(ref_pass *pass);
size_t ref_size(const ref_pass *pass, int layer);
/* sum of the last layer's output (logits) times `factors`. */
double ref_loss(const ref_pass *pass, const double *factors);

#endif
