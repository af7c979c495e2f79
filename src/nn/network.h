/* A graph compiled for one batch size and image size, on oneDNN (the only user of dnnl.h).
 *
 * The longest part of the graph that no gradient has to pass through runs as fused inference: batch norm folded into the
 * convolution, ReLU and residual sum as post-ops, in-place buffers, no memory kept. From the first trainable layer on,
 * forward activations that the backward pass needs are kept. A batch norm whose layer is trainable uses the batch's
 * statistics in a training forward pass and moves its moving statistics with the biased batch variance, as Keras does; one that is
 * frozen uses its moving statistics, also in training (as Keras does). */
#ifndef NN_NETWORK_H
#define NN_NETWORK_H

#include "nn/graph.h"

typedef struct nn_options {
	int batch;	   /* images per pass */
	int height, width; /* of the input; channels come from the graph's weights */
	int channels;
	bool training; /* compile the backward pass for layers that are trainable */
	int threads;   /* 0: one per core */
	uint64_t seed; /* of dropout */
	int chunk;     /* images that the frozen part computes at a time, at most; 0: 16 */
	/* Convolutions multiply in bfloat16 and sum in f32 (Kalamkar et al. 2019); weights, gradients and statistics stay f32. Those of fewer
	 * than 16 channels, and of the images, stay f32 too; on a processor with AMX, where all channels are multiples of 16, those of the
	 * images do not, and the outputs of convolutions and blocks are kept as bfloat16, as mixed precision does elsewhere
	 * (Micikevicius et al. 2018). BM_ERR_UNSUPPORTED on a processor that cannot: see nn_has_bf16. */
	bool bf16;
	/* A layer whose output nn_network_output is to know after each pass, at the cost of that output's memory; NULL: none. A name
	 * that no layer has is ignored. Read by nn_network_create only. */
	const char *keep;
	/* For tests and pictures; both take more memory. */
	bool keep_outputs; /* no output's memory is used again: nn_network_output knows every layer that was not fused away */
	bool input_gradient; /* backward goes down to the images: nn_network_input_gradient */
} nn_options;

typedef struct nn_network nn_network;

/* Copies what it needs of graph and weights. On success *out is the caller's (nn_network_free). */
bm_status nn_network_create(const nn_graph *graph, const nn_weights *weights, const nn_options *options,
			    nn_network **out, bm_error *err);
void nn_network_free(nn_network *network); /* NULL is allowed */

/* Bytes that nn_network_create would take (activations, weights in their layouts, gradients, scratchpads; not the
 * optimiser's state), computed without taking them. Within 10 % of the truth. */
bm_status nn_network_estimate(const nn_graph *graph, const nn_options *options, uint64_t *bytes, bm_error *err);

/* One forward pass (the last layer's output stands for the softmax's when it is another layer). images: [count][height][width][channels] in [0,1], count <= batch (the rest is padded with zeros; a
 * training pass needs count == batch). `training` selects batch statistics and dropout for trainable parts and keeps what
 * backward needs; `step` numbers the pass (dropout masks depend on seed, layer and step only).
 * probabilities: [count][classes], the output of the last layer (softmax). */
bm_status nn_network_forward(nn_network *network, const float *images, int count, bool training, uint64_t step,
			     float *probabilities, bm_error *err);

/* Backward pass of the last training forward. gradient: [batch][classes], d loss / d logits (the input of the softmax).
 * Overwrites the gradient of every parameter. */
bm_status nn_network_backward(nn_network *network, const float *gradient, bm_error *err);

/* A trainable array as the network holds it: in oneDNN's layout, padded. An optimiser may treat it as a flat array (the
 * padding is 0 and stays 0 when its gradient, which is 0, moves it nowhere: true of Adam, AdamW, SGD and weight averages). */
typedef struct nn_parameter {
	int weight; /* index into nn_weights.items */
	nn_role role;
	float *value, *gradient; /* [count] */
	size_t count;
} nn_parameter;
int nn_network_parameter_count(const nn_network *network); /* 0 unless compiled for training */
nn_parameter *nn_network_parameter(nn_network *network, int index);
/* To be called after an optimiser changed the values and before the next pass (refreshes derived layouts). */
bm_status nn_network_parameters_changed(nn_network *network, bm_error *err);
/* Training passes use the batch's statistics and, while `held`, leave the moving ones as they are: for passes at weights that are not kept. */
void nn_network_hold_statistics(nn_network *network, bool held);

/* Moving statistics take at least `share` (0 to 1; 0, the default: as the momentum says) of a batch's. 1 / (batches seen, this one
 * included) makes them the mean of the first ones, without a trace of what they were before. */
void nn_network_renew_statistics(nn_network *network, float share);
/* Any array of a parameter's count (value, gradient, an optimiser's moment) to and from Keras' layout, [nn_weight.count]. */
bm_status nn_parameter_to_keras(nn_network *network, int index, const float *physical, float *keras, bm_error *err);
bm_status nn_parameter_from_keras(nn_network *network, int index, const float *keras, float *physical, bm_error *err);

/* Copies every weight in (refolding batch norms), or the trainable ones and the moving statistics out. `weights` belong
 * to the same graph. Storing and loading again gives the same bytes. */
bm_status nn_network_load(nn_network *network, const nn_weights *weights, bm_error *err);
bm_status nn_network_store(nn_network *network, nn_weights *weights, bm_error *err);

/* The output of a named layer in the last pass, [batch][height][width][channels] (or [batch][channels]); for tests and pictures.
 * count: the number of floats in values. BM_ERR_UNSUPPORTED when the layer was fused away or its memory was used again. */
bm_status nn_network_output(nn_network *network, const char *layer, float *values, size_t count, bm_error *err);
/* d loss / d images of the last backward pass, [batch][height][width][channels]; BM_ERR_UNSUPPORTED unless
 * options.input_gradient was set. */
bm_status nn_network_input_gradient(nn_network *network, float *values, size_t count, bm_error *err);

bool nn_has_bf16(void); /* the processor multiplies bfloat16 in hardware (AVX512_BF16) */
/* How much faster this machine trains in bfloat16 than in f32, measured with a few convolutions in well under a second: above 1, bf16
 * pays; some processors have it and are half as fast. 0: the processor does not have it. */
bm_status nn_bf16_speed(int threads, double *ratio, bm_error *err);
/* What the library below is: "oneDNN 2.6.3, avx512_core_bf16, 2 threads"; buffer at least 96 bytes. */
void nn_describe(char *buffer, size_t size);

#endif
