/* A network as a list of layers in the order of computation, each named as Keras names it. Says what is computed;
 * nn/network.h says how. Shapes are height, width, channels (Keras' channels_last). */
#ifndef NN_GRAPH_H
#define NN_GRAPH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

typedef enum nn_type {
	NN_INPUT,		/* InputLayer */
	NN_RESCALE,		/* Rescaling: y = x * scale[c] + offset[c] */
	NN_ZERO_PADDING,	/* ZeroPadding2D, `padding` pixels on each side */
	NN_CONV,		/* Conv2D, padding "valid" or "same" (odd kernels; stride 1 or a stride that divides) */
	NN_BATCH_NORM,		/* BatchNormalization over the last axis, after convolutions or dense layers */
	NN_RELU,		/* Activation("relu") */
	NN_MAX_POOL,		/* MaxPooling2D, valid */
	NN_AVERAGE_POOL,	/* AveragePooling2D, valid */
	NN_ADD,			/* Add, two inputs */
	NN_GLOBAL_AVERAGE_POOL, /* GlobalAveragePooling2D: [H][W][C] -> [C] */
	NN_DENSE,		/* Dense with `activation` */
	NN_DROPOUT,		/* Dropout: at training time x / (1 - rate) kept with probability 1 - rate */
	NN_TYPE_COUNT
} nn_type;

typedef enum nn_activation { NN_LINEAR, NN_ACTIVATION_RELU, NN_SOFTMAX } nn_activation;

#define NN_NAME_SIZE 64
#define NN_CHANNELS_RESCALED 3

typedef struct nn_layer {
	nn_type type;
	char name[NN_NAME_SIZE];
	int input_count;
	int inputs[2]; /* indices of earlier layers */
	bool trainable;

	int units;		  /* filters of a convolution, units of a dense layer */
	int kernel, stride;	  /* square; convolution and pooling */
	int padding;		  /* zero padding: pixels a side; convolution: 0 "valid", 1 "same" */
	bool bias;		  /* convolution, dense */
	nn_activation activation; /* dense */
	float epsilon, momentum;  /* batch norm */
	float rate;		  /* dropout, in [0, 1) */
	float scale[NN_CHANNELS_RESCALED], offset[NN_CHANNELS_RESCALED]; /* rescale */

	/* Set by nn_graph_infer: output shape; height = width = 1 behind global pooling and dense layers (`flat`). */
	int height, width, channels;
	bool flat;
} nn_layer;

typedef struct nn_graph {
	nn_layer *layers;
	int count;
	size_t capacity;
} nn_graph;

/* Each adds one layer that reads `input` (an index from an earlier call) and returns its index through *index.
 * `layer` gives type, name and attributes; inputs are filled in. Errors: BM_ERR_MEMORY; BM_ERR_USAGE for a name that is
 * taken, an index that does not exist, an attribute out of range. */
bm_status nn_graph_add(nn_graph *graph, const nn_layer *layer, int input, int *index, bm_error *err);
bm_status nn_graph_add2(nn_graph *graph, const nn_layer *layer, int input_a, int input_b, int *index, bm_error *err);
void nn_graph_free(nn_graph *graph); /* safe on a zeroed graph */
bm_status nn_graph_copy(const nn_graph *graph, nn_graph *copy, bm_error *err);
int nn_graph_find(const nn_graph *graph, const char *name); /* -1 when there is none */

/* Computes every layer's output shape for an input of height x width x channels. BM_ERR_USAGE when a layer does not fit. */
bm_status nn_graph_infer(nn_graph *graph, int height, int width, int channels, bm_error *err);

const char *nn_type_keras(nn_type type); /* "Conv2D", "BatchNormalization", ... */

/* ---- weights, in Keras' order and layout ---- */

typedef enum nn_role {
	NN_KERNEL,
	NN_BIAS,
	NN_GAMMA,
	NN_BETA,
	NN_MOVING_MEAN,
	NN_MOVING_VARIANCE,
	NN_ROLE_COUNT
} nn_role;
const char *nn_role_keras(nn_role role); /* "kernel", "bias", "gamma", "beta", "moving_mean", "moving_variance" */

typedef struct nn_weight {
	int layer; /* index into the graph */
	nn_role role;
	int rank;
	int shape[4]; /* kernel of a convolution [kh][kw][in][out], of a dense layer [in][out]; the others [channels] */
	size_t count; /* product of the shape */
	float *values; /* [count], inside nn_weights.storage */
} nn_weight;

typedef struct nn_weights {
	nn_weight *items; /* in the order of the layers; within a layer in the order of nn_role */
	int count;
	float *storage;
	size_t total; /* floats in storage */
} nn_weights;

/* Zeros, but 1 for gamma and the moving variance. The graph must have its shapes (nn_graph_infer). */
bm_status nn_weights_create(const nn_graph *graph, nn_weights *weights, bm_error *err);
void nn_weights_free(nn_weights *weights);
bm_status nn_weights_copy(const nn_weights *from, nn_weights *to, bm_error *err);     /* `to` is created */
const nn_weight *nn_weights_find(const nn_weights *weights, int layer, nn_role role); /* NULL when there is none */
bool nn_weight_trainable(const nn_graph *graph,
			 const nn_weight *weight); /* layer.trainable and not a moving statistic */
/* Sums over all weights; *trainable counts as Keras does. */
void nn_weights_counts(const nn_graph *graph, const nn_weights *weights, int64_t *total, int64_t *trainable);

typedef enum nn_initializer {
	NN_GLOROT_UNIFORM, /* Keras' default: U(-l, l), l = sqrt(6 / (fan_in + fan_out)) */
	NN_HE_NORMAL,	   /* N(0, sqrt(2 / fan_out)), He et al. 2015, for training from scratch */
} nn_initializer;

/* Fills the weights of layers [first, graph->count): kernels by `kernels`, bias 0, gamma 1, beta 0, moving mean 0, variance 1.
 * Each array has a random stream of its own, by (seed, layer name): the same seed gives the same bytes whatever else is in the graph. */
void nn_weights_initialize(const nn_graph *graph, nn_weights *weights, int first, nn_initializer kernels,
			   uint64_t seed);

#endif
