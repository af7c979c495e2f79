/* What the files of nn share.
 *
 * A graph is compiled (compile.c) into operations, each of which computes one or several fused layers, and tensors, each an
 * operation's output. The operations run in this order:
 *   1. frozen ones on images, a chunk of the batch at a time, so that a large batch takes no more memory;
 *   2. frozen ones on flat tensors, the whole batch;
 *   3. those that a gradient passes through, the whole batch; backward goes through them in reverse.
 * With K operations, operation k runs at time k, its backward at time 2K - 1 - k. Every buffer has a birth and a death in this
 * time; arena.c gives buffers that do not live together the same memory. Arrays that outlive a pass (parameters, gradients,
 * statistics) are in the store. Planning takes no memory: nn_network_estimate only plans. */
#ifndef NN_INTERNAL_H
#define NN_INTERNAL_H

#include <dnnl.h>

#include "nn/network.h"

#define NN_NONE SIZE_MAX /* of offsets into the store */
#define NN_LANES_MAX 64	 /* channels that a row kernel takes at a time, at most */
#define NN_CHUNK 16	 /* images that the frozen part computes at a time, at most; unless options.chunk says */

typedef struct nn_buffer {
	size_t bytes, offset; /* in the arena */
	int birth, death;
} nn_buffer;

typedef enum nn_layout {
	NN_BLOCKED, /* nChw16c (nChw8c without AVX-512): [batch][channels / lanes][height][width][lanes], padded with zeros */
	NN_PLANAR, /* nchw: what a first convolution of few channels wants */
	NN_LAST,   /* nhwc, [batch][height][width][channels], bfloat16 or f32: what AMX wants; see nn_channels_last */
	NN_FLAT,   /* [batch][channels] */
} nn_layout;

typedef struct nn_tensor {
	int layer; /* whose output it is */
	int height, width, channels;
	nn_layout layout;
	int batch;	     /* images that it holds: all, or a chunk */
	size_t image_floats; /* of one image, padding included */
	bool gradient;	     /* d loss / d this is needed */
	bool bf16;	     /* its values are kept as bfloat16 */
	bool overwritten;    /* another operation computed in place */
	int buffer;
	int gradient_buffer;  /* -1: none */
	int gradient_buffer2; /* a second summand that the producer adds while it reads; -1: none */
	int half;	      /* buffer with the values as bfloat16, when they are made for the readers; -1 */
	bool takes_half;      /* its only gradient is a batch norm's, and the producer wants it as bfloat16 ... */
	int gradient_half;    /* ... in this buffer, instead of gradient_buffer; -1 */
	int producer;	      /* operation */
} nn_tensor;

typedef struct nn_op_class nn_op_class;

/* Layers and tensors are -1 when absent. */
typedef struct nn_op {
	const nn_op_class *class;
	int head;			 /* the last of the fused layers: its output is this operation's */
	int main;			 /* the layer that gives the operation its class */
	int pad;			 /* a zero padding in front, folded into main's */
	int norm, add, relu;		 /* fused behind main, or main itself (norm) */
	int input_layer, residual_layer; /* layers outside that are read; residual: the other summand of add */
	int input, residual, output;	 /* tensors */
	bool gradient;			 /* runs in the third part */
	bool chunked;			 /* runs in the first part */
	int batch;			 /* images that it computes at a time */
	int time;			 /* of its forward pass */
	void *state;			 /* of its class; freed by class->free */
} nn_op;

/* An array of a primitive: argument number and where it is. */
typedef struct nn_arg {
	int arg;
	void *pointer;
} nn_arg;

#define NN_ARGS_MAX 8

typedef struct nn_primitive {
	const char *layer; /* for messages */
	dnnl_primitive_desc_t desc;
	dnnl_primitive_t primitive;
	size_t scratchpad;
	int memory_count;
	struct {
		int arg;
		void *pointer;
		dnnl_memory_t memory;
	} memories[NN_ARGS_MAX + 1];
} nn_primitive;

typedef struct nn_slot {
	nn_parameter parameter;
	int op;
	size_t value, gradient; /* offsets in the store */
} nn_slot;

struct nn_network {
	nn_graph graph; /* with the shapes of options.height x width */
	nn_options options;
	int threads, lanes, chunk;
	bool channels_last; /* images are NN_LAST throughout */
	dnnl_engine_t engine;
	dnnl_stream_t stream;

	nn_op *ops;
	int op_count, chunked_count, frozen_count; /* the first, the first and second part */
	nn_tensor *tensors;
	int tensor_count;
	int *tensor_of; /* [graph.count]: the tensor with this layer's output, -1 when fused away */
	nn_buffer *buffers;
	int buffer_count;
	size_t buffer_capacity;
	nn_primitive *primitives;
	int primitive_count;
	size_t primitive_capacity;
	nn_slot *slots;
	int slot_count;
	size_t slot_capacity;

	size_t arena_bytes, store_bytes, scratchpad_bytes;
	char *arena, *store, *scratchpad; /* NULL while planning */

	/* The pass that runs. */
	bool training, backward_ready, backward_done, statistics_held;
	float statistics_share; /* at least, of a batch in the moving ones */
	uint64_t step;
	int chunk_index;
	int image_count;
	const float *images;
};

struct nn_op_class {
	const char *name;
	bool sums_gradients; /* its backward reads gradient_buffer2 */
	/* Sizes, layouts, primitives. Called in order of time, when inputs and output have their tensors. */
	bm_status (*plan)(nn_network *, nn_op *, bm_error *);
	/* Where gradients go. Called in reverse order, when the output has its gradient buffer. NULL: has no backward pass. */
	bm_status (*plan_backward)(nn_network *, nn_op *, bm_error *);
	bm_status (*forward)(nn_network *, nn_op *, bm_error *);
	bm_status (*backward)(nn_network *, nn_op *, bm_error *);
	/* Weights in and out; NULL when it has none. */
	bm_status (*load)(nn_network *, nn_op *, const nn_weights *, bm_error *);
	bm_status (*store)(nn_network *, nn_op *, nn_weights *, bm_error *);
	/* A parameter's array from the network's layout (to_keras) or back. */
	bm_status (*convert)(nn_network *, nn_op *, nn_role, bool to_keras, const float *from, float *to, bm_error *);
	void (*free)(void *state);
};

extern const nn_op_class nn_input_class, nn_pad_class, nn_linear_class, nn_norm_class, nn_relu_class, nn_add_class,
	nn_window_pool_class, nn_global_pool_class, nn_dropout_class;

/* ---- weights.c ---- */
int nn_layer_roles(const nn_layer *layer, nn_role roles[NN_ROLE_COUNT]); /* how many, in order */
int nn_weight_index(const nn_graph *graph, int layer, nn_role role);	 /* in nn_weights.items; -1 */

/* ---- compile.c: fills ops, tensors, buffers, sizes; takes no large memory ---- */
bm_status nn_compile(nn_network *network, bm_error *err);
void *nn_state(nn_op *op, size_t size, bm_error *err); /* zeroed, kept in op->state */
static inline nn_layer *nn_op_layer(nn_network *network, int layer)
{
	return &network->graph.layers[layer];
}

/* ---- op_linear.c ---- */
/* Is the whole network to be NN_LAST: in bfloat16 on a processor whose matrix unit (AMX) oneDNN uses in that layout alone? */
bool nn_channels_last(const nn_network *network);
bool nn_linear_takes_half(const nn_network *network, const nn_op *op, const nn_tensor *in); /* as bfloat16 */

/* ---- product.c: weight gradients of convolutions in NN_LAST, all bfloat16 but the result [kernel y][kernel x][in][out] ---- */
bool nn_product_pays(const nn_network *network, const nn_op *op);
/* Is the input itself the matrix of what the output pixels' windows cover? */
bool nn_windows_are_pixels(const nn_network *network, const nn_op *op);
/* A matmul of the windows (DNNL_ARG_SRC) and the output's gradient (DNNL_ARG_WEIGHTS); *windows: the buffer to gather them in, -1: the input. */
bm_status nn_product_plan(nn_network *network, const nn_op *op, int *primitive, int *windows, bm_error *err);
/* to: [batch][height][width][kernel y][kernel x][channels], zeros beyond the border. before: padding above and on the left. */
void nn_gather_windows(const nn_network *network, const nn_op *op, const dnnl_dim_t before[2], const uint16_t *x,
		       uint16_t *to);

/* ---- arena.c ---- */
bm_status nn_buffer_add(nn_network *network, size_t bytes, int birth, int death, int *index, bm_error *err);
void nn_buffer_resize(nn_network *network, int buffer, size_t bytes); /* while planning */
void nn_buffer_use(nn_network *network, int buffer, int time);	      /* it lives at `time` too */
void nn_arena_place(nn_network *network, size_t *order);	      /* order: scratch [buffer_count] */
size_t nn_store_add(nn_network *network, size_t bytes);		      /* offset of a new array in the store */
bm_status nn_parameter_add(nn_network *network, nn_op *op, int layer, nn_role role, size_t count, size_t *value,
			   size_t *gradient, bm_error *err);
/* Large memory in huge pages where the system has them; base_free. */
void *nn_large_alloc(size_t bytes, bool zeroed, const char *what, bm_error *err);
/* Where the gradient of `tensor` is to be written by op. *extra false: into tensor's own gradient buffer, as the first summand.
 * *extra true: into *buffer, a temporary; nn_gradient_finish then adds it (or leaves the sum to the producer). */
bm_status nn_gradient_target(nn_network *network, nn_op *op, int tensor, int *buffer, bool *extra, bm_error *err);
void nn_gradient_finish(nn_network *network, int tensor, int buffer, bool extra);
int nn_backward_time(const nn_network *network, const nn_op *op);

static inline float *nn_buffer_data(nn_network *network, int buffer)
{
	return (float *)(network->arena + network->buffers[buffer].offset);
}
/* The same as bfloat16 values. */
static inline uint16_t *nn_buffer_half(nn_network *network, int buffer)
{
	return (uint16_t *)(network->arena + network->buffers[buffer].offset);
}
static inline float *nn_store_data(nn_network *network, size_t offset)
{
	return offset == NN_NONE ? NULL : (float *)(network->store + offset);
}
/* A tensor's values as op sees them: of the current chunk when it runs in chunks. */
float *nn_data(nn_network *network, const nn_op *op, int tensor);
static inline float *nn_gradient(nn_network *network, int tensor)
{
	int buffer = network->tensors[tensor].gradient_buffer;
	return buffer < 0 ? NULL : nn_buffer_data(network, buffer);
}

/* ---- onednn.c ---- */
bool nn_has_amx(void); /* the processor multiplies matrices of bfloat16 in tiles, and oneDNN may use them */
bm_status nn_dnnl_fail(bm_error *err, dnnl_status_t status, const char *layer, const char *what);
bm_status nn_engine_create(nn_network *network, bm_error *err);
void nn_tensor_desc(const nn_network *network, const nn_tensor *tensor, int batch, dnnl_memory_desc_t *desc);
/* Takes an operation descriptor (dnnl_convolution_desc_t, ...) into the list of primitives. */
bm_status nn_primitive_add(nn_network *network, const char *layer, const_dnnl_op_desc_t op_desc,
			   dnnl_post_ops_t post_ops, int forward, int *index, bm_error *err);
bm_status nn_reorder_add(nn_network *network, const char *layer, const dnnl_memory_desc_t *from,
			 const dnnl_memory_desc_t *to, int *index, bm_error *err);
const dnnl_memory_desc_t *nn_primitive_desc(const nn_network *network, int index, dnnl_query_t what, int argument);
bm_status nn_primitives_build(nn_network *network, bm_error *err);
bm_status nn_primitive_run(nn_network *network, int index, int count, const nn_arg *args, bm_error *err);
void nn_primitives_free(nn_network *network);
/* Once, with memory of its own. */
bm_status nn_reorder(nn_network *network, const char *layer, const dnnl_memory_desc_t *from_desc, const float *from,
		     const dnnl_memory_desc_t *to_desc, float *to, bm_error *err);

/* ---- kernels.c: loops of our own; each result depends on its operands only, not on the number of threads ---- */

/* A tensor as rows of `inner` groups of `lanes` channels: group i of block b of image n starts at
 * n * image_stride + b * block_stride + i * inner_stride. */
typedef struct nn_view {
	int images, blocks, lanes;
	int last;			    /* lanes of the last block that exist */
	bool half, residual_half, out_half; /* a batch norm's x, the other summand, its output are bfloat16 */
	size_t inner, image_stride, block_stride, inner_stride;
} nn_view;
nn_view nn_view_of(const nn_network *network, const nn_tensor *tensor, int batch);
size_t nn_padded(const nn_network *network, int channels); /* up to a multiple of lanes */

void nn_relu(const float *x, float *y, size_t count);				       /* y = max(x, 0) */
void nn_add_arrays(const float *a, const float *b, float *y, size_t count, bool relu); /* y = a + b, y may be a */
void nn_relu_mask(const float *y, const float *gradient, float *out,
		  size_t count); /* out = gradient where y > 0, else 0 */
void nn_copy(const float *from, float *to, size_t count);
void nn_to_bf16(const float *from, uint16_t *to, size_t count); /* to the nearest, halves to even */

/* y [images][channels] = the mean of each row; and back. */
void nn_global_average(const nn_view *view, int channels, const float *x, float *y);
void nn_global_average_gradient(const nn_view *view, int channels, const float *dy, float *dx);

/* Per channel [padded]. x: floats, or bfloat16 with view->half. */
void nn_channel_statistics(const nn_view *view, const void *x, double *partial, float *mean, float *rest,
			   float *variance);
/* half: y as bfloat16 too, or only when y is NULL; NULL: not. */
void nn_channel_affine(const nn_view *view, const void *x, const void *residual, const float *mean, const float *scale,
		       const float *shift, bool relu, float *y, uint16_t *half);
typedef struct nn_norm_gradient {
	const void *x;	      /* the batch norm's input */
	const float *g1, *g2; /* d loss / d output: one or two summands (g2 may be NULL) */
	const void *out;      /* output; needed when the ReLU is behind an addition, else NULL */
	bool relu;
	const float *scale, *shift, *mean; /* y = (x - mean) * scale + shift before the ReLU */
	float *dz;			   /* gradient behind the ReLU; may be g1 */
} nn_norm_gradient;
/* Writes dz, and sums[channel] = sum of dz, products[channel] = sum of dz * (x - mean). */
void nn_norm_reduce(const nn_view *view, const nn_norm_gradient *g, double *partial, float *sums, float *products);
/* dx = dz * a + (x - mean) * b + c, per channel; x and dx may be the same as dz. x NULL: dx = dz * a. half: instead of dx, as bfloat16 (with x);
 * NULL: not. */
void nn_norm_apply(const nn_view *view, const float *dz, const void *x, const float *mean, const float *a,
		   const float *b, const float *c, float *dx, uint16_t *half);
size_t nn_partial_doubles(const nn_view *view); /* that `partial` needs */

#endif
