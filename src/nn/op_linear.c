/* Convolution and dense layers. Frozen: with batch norm folded in, residual sum and ReLU as post-ops. */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "nn/internal.h"

typedef struct linear_state {
	bool dense, bias, relu, softmax;
	bool half;	   /* multiplies in bfloat16: a copy of what goes in */
	bool halves_input; /* makes that copy itself; what reads the same later takes it */
	bool product;	   /* the weight gradient is one product of matrices, [in][pixels] x [pixels][out] ... */
	int windows; /* ... of what each output pixel's window covers, gathered in this buffer; -1: of the input itself */
	bool zero_bias_gradient; /* a batch norm on batch statistics follows: it takes any bias out again, so the gradient is 0 */
	int forward, backward_data, backward_weights; /* primitives, -1 when not needed */
	int reorder_kernel,
		reorder_gradient; /* kernel for backward_data, gradient of backward_weights; -1: same layout */
	dnnl_memory_desc_t kernel_desc, keras_desc;
	size_t kernel, bias_at, kernel_gradient, bias_gradient; /* in the store */
	int kernel_buffer, gradient_buffer;			/* of the reorders */
	size_t kernel_half;					/* in the store: the kernel as bfloat16 */
	int input_half, gradient_half;				/* buffers: input and output gradient as bfloat16 */
	int target;						/* buffer that backward_data writes */
	bool extra;
	dnnl_dims_t strides, before, after; /* of a convolution: padding before and after */
} linear_state;

static void plan_window(const nn_network *network, const nn_op *op, const nn_tensor *in, linear_state *s)
{
	const nn_layer *layer = &network->graph.layers[op->main];
	int zeros = op->pad >= 0 ? network->graph.layers[op->pad].padding : 0;
	int size[2] = {in->height, in->width}, out[2] = {layer->height, layer->width};
	for (int axis = 0; axis < 2; axis++) {
		int covered = (out[axis] - 1) * layer->stride + layer->kernel; /* pixels that the windows reach over */
		int same = 0;						       /* padding before of "same" */
		if (layer->padding == 1) {
			int total = covered - (size[axis] + 2 * zeros);
			same = total > 0 ? total / 2 : 0;
		}
		s->strides[axis] = layer->stride;
		s->before[axis] = zeros + same;
		int after = covered - size[axis] - (int)s->before[axis];
		s->after[axis] = after > 0 ? after : 0; /* negative: pixels that no window reads */
	}
}

static void describe(const nn_network *network, const nn_op *op, linear_state *s, dnnl_memory_desc_t *src,
		     dnnl_memory_desc_t *kernel, dnnl_memory_desc_t *bias, dnnl_memory_desc_t *dst)
{
	const nn_layer *layer = &network->graph.layers[op->main];
	nn_tensor_desc(network, &network->tensors[op->input], op->batch, src);
	nn_tensor_desc(network, &network->tensors[op->output], op->batch, dst);
	int in = network->tensors[op->input].channels;
	dnnl_dims_t dims = {layer->units, in, layer->kernel, layer->kernel}, count = {layer->units};
	int rank = s->dense ? 2 : 4;
	dnnl_memory_desc_init_by_tag(kernel, rank, dims, s->half ? dnnl_bf16 : dnnl_f32, dnnl_format_tag_any);
	if (s->half)
		src->data_type = dnnl_bf16;
	dnnl_memory_desc_init_by_tag(&s->keras_desc, rank, dims, dnnl_f32, s->dense ? dnnl_io : dnnl_hwio);
	dnnl_memory_desc_init_by_tag(bias, 1, count, dnnl_f32, dnnl_x);
}

/* The least height and width of the output from which Winograd's convolutions pay where they learn. Measured on an Intel Xeon with AVX-512:
 * each pass takes half to two thirds of the direct time from 8x8 on; on 4x4, where one tile covers an image, the weight gradient
 * takes three quarters, the others as long or longer; on 2x2 three times as long. */
enum { WINOGRAD_SIDE = 7, WINOGRAD_SIDE_WEIGHTS = 4 };

/* Winograd's 3x3 convolutions (Lavin and Gray 2016) have a quarter of the multiplications, at an error of some 3e-7. Frozen, their kernels
 * are four times as large and take a while to make, so that a single image is faster without. */
static bool winograd_pays(const nn_network *network, const nn_op *op, int side)
{
	const nn_layer *layer = &network->graph.layers[op->main];
	return layer->kernel == 3 && layer->stride == 1 && op->batch >= 4 &&
	       (!op->gradient || (layer->height >= side && layer->width >= side));
}

/* One pass of a convolution: by Winograd where that pays (`side`) and oneDNN has it for these shapes and this processor, else directly. */
static bm_status add_convolution(nn_network *network, const nn_op *op, dnnl_convolution_desc_t *desc, int side,
				 dnnl_post_ops_t post_ops, int forward, int *index, bm_error *err)
{
	const char *name = network->graph.layers[op->main].name;
	bm_error dropped;
	if (!((const linear_state *)op->state)->half && winograd_pays(network, op, side)) {
		desc->alg_kind = dnnl_convolution_winograd;
		if (nn_primitive_add(network, name, desc, post_ops, forward, index, &dropped) == BM_OK)
			return BM_OK;
		desc->alg_kind = dnnl_convolution_direct;
	}
	return nn_primitive_add(network, name, desc, post_ops, forward, index, err);
}

/* Whole groups of channels only, the images apart: for others oneDNN has slow code. */
bool nn_channels_last(const nn_network *network)
{
	if (!network->options.bf16 || !nn_has_amx())
		return false;
	for (int i = 0; i < network->graph.count; i++) {
		const nn_layer *layer = &network->graph.layers[i];
		const bool image =
			layer->type == NN_INPUT || layer->type == NN_RESCALE || layer->type == NN_ZERO_PADDING;
		const bool planes = !layer->flat || layer->type == NN_GLOBAL_AVERAGE_POOL;
		if (planes && !image && layer->channels % network->lanes != 0)
			return false;
	}
	return true;
}

/* Of blocked tensors too whole groups of channels only. */
bool nn_linear_takes_half(const nn_network *network, const nn_op *op, const nn_tensor *in)
{
	const nn_layer *layer = &network->graph.layers[op->main];
	if (!network->options.bf16 || layer->type != NN_CONV)
		return false;
	return in->layout == NN_LAST ||
	       (in->layout == NN_BLOCKED && in->channels % network->lanes == 0 && layer->units % network->lanes == 0);
}

static bm_status plan_forward(nn_network *network, nn_op *op, linear_state *s, bm_error *err)
{
	const char *name = network->graph.layers[op->main].name;
	dnnl_memory_desc_t src, kernel, bias, dst;
	describe(network, op, s, &src, &kernel, &bias, &dst);
	dnnl_post_ops_t post_ops = NULL;
	dnnl_status_t status = dnnl_post_ops_create(&post_ops);
	if (status == dnnl_success && op->residual >= 0)
		status = dnnl_post_ops_append_sum(post_ops, 1.0f);
	if (status == dnnl_success && op->relu >= 0)
		status = dnnl_post_ops_append_eltwise(post_ops, 1.0f, dnnl_eltwise_relu, 0.0f, 0.0f);
	dnnl_prop_kind_t kind = op->gradient ? dnnl_forward_training : dnnl_forward_inference;
	bm_status result = BM_OK;
	if (status == dnnl_success && s->dense) {
		dnnl_inner_product_desc_t desc;
		status = dnnl_inner_product_forward_desc_init(&desc, kind, &src, &kernel, s->bias ? &bias : NULL, &dst);
		if (status == dnnl_success)
			result = nn_primitive_add(network, name, &desc, post_ops, -1, &s->forward, err);
	} else if (status == dnnl_success) {
		dnnl_convolution_desc_t desc;
		status = dnnl_convolution_forward_desc_init(&desc, kind, dnnl_convolution_direct, &src, &kernel,
							    s->bias ? &bias : NULL, &dst, s->strides, s->before,
							    s->after);
		if (status == dnnl_success)
			result = add_convolution(network, op, &desc, WINOGRAD_SIDE, post_ops, -1, &s->forward, err);
	}
	if (post_ops != NULL)
		dnnl_post_ops_destroy(post_ops);
	if (status != dnnl_success)
		return nn_dnnl_fail(err, status, name, "a forward pass");
	if (result == BM_OK) {
		s->kernel_desc = *nn_primitive_desc(network, s->forward, dnnl_query_weights_md, 0);
		s->kernel_desc.data_type = dnnl_f32; /* what learns is f32, in the same layout */
	}
	return result;
}

/* Does exactly one operation read this one, a batch norm that subtracts the batch's mean? */
static bool before_batch_mean(const nn_network *network, const nn_op *op)
{
	int readers = 0;
	bool norm = false;
	for (int i = 0; i < network->op_count; i++) {
		const nn_op *reader = &network->ops[i];
		if (reader->residual_layer == op->head)
			return false;
		if (reader->input_layer == op->head) {
			readers++;
			norm = reader->class == &nn_norm_class && network->graph.layers[reader->norm].trainable;
		}
	}
	return readers == 1 && norm;
}

static bm_status linear_plan(nn_network *network, nn_op *op, bm_error *err)
{
	const nn_layer *layer = nn_op_layer(network, op->main);
	linear_state *s = nn_state(op, sizeof *s, err);
	if (s == NULL)
		return BM_ERR_MEMORY;
	s->dense = layer->type == NN_DENSE;
	s->bias = layer->bias || op->norm >= 0;
	s->relu = s->dense && layer->activation == NN_ACTIVATION_RELU;
	s->softmax = s->dense && layer->activation == NN_SOFTMAX;
	s->forward = s->backward_data = s->backward_weights = s->reorder_kernel = s->reorder_gradient = -1;
	s->windows = s->kernel_buffer = s->gradient_buffer = s->target = s->input_half = s->gradient_half = -1;
	s->half = nn_linear_takes_half(network, op, &network->tensors[op->input]);
	s->kernel = s->kernel_half = s->bias_at = s->kernel_gradient = s->bias_gradient = NN_NONE;
	if (!s->dense)
		plan_window(network, op, &network->tensors[op->input], s);
	nn_tensor *out = &network->tensors[op->output];
	if (s->half && out->layout == NN_LAST && op->gradient &&
	    before_batch_mean(network, op)) { /* it alone reads this */
		out->bf16 = true;
		nn_buffer_resize(network, out->buffer, out->image_floats * (size_t)out->batch * sizeof(uint16_t));
	}
	bm_status status = plan_forward(network, op, s, err);
	if (status != BM_OK)
		return status;
	size_t kernel_bytes = dnnl_memory_desc_get_size(&s->kernel_desc);
	if (s->half) {
		nn_tensor *in = &network->tensors[op->input];
		const size_t values = in->image_floats * (size_t)op->batch;
		s->kernel_half = nn_store_add(network, kernel_bytes / sizeof(float) * sizeof(uint16_t));
		s->halves_input = in->half < 0;
		s->input_half = in->half;
		if (s->halves_input)
			status = nn_buffer_add(network, values * sizeof(uint16_t), op->time, op->time, &s->input_half,
					       err);
		else
			nn_buffer_use(network, s->input_half, op->time);
		if (status != BM_OK)
			return status;
		if (s->halves_input && !op->chunked)
			in->half = s->input_half;
	}
	size_t bias_count = (size_t)layer->units;
	if (!op->gradient || !layer->trainable) {
		s->kernel = nn_store_add(network, kernel_bytes);
		if (s->bias)
			s->bias_at = nn_store_add(network, bias_count * sizeof(float));
		return BM_OK;
	}
	status = nn_parameter_add(network, op, op->main, NN_KERNEL, kernel_bytes / sizeof(float), &s->kernel,
				  &s->kernel_gradient, err);
	if (status == BM_OK && s->bias)
		status = nn_parameter_add(network, op, op->main, NN_BIAS, bias_count, &s->bias_at, &s->bias_gradient,
					  err);
	s->zero_bias_gradient = !s->relu && !s->softmax && before_batch_mean(network, op);
	out->takes_half = s->half && s->zero_bias_gradient;
	return status;
}

static bm_status plan_backward_weights(nn_network *network, nn_op *op, linear_state *s, bm_error *err)
{
	const char *name = network->graph.layers[op->main].name;
	dnnl_memory_desc_t src, kernel, bias, dst;
	describe(network, op, s, &src, &kernel, &bias, &dst);
	kernel.data_type = dnnl_f32;
	if (s->half)
		dst.data_type = dnnl_bf16;
	const dnnl_memory_desc_t *diff_bias = s->bias && !s->zero_bias_gradient ? &bias : NULL;
	dnnl_status_t status;
	bm_status result;
	s->product = s->half && diff_bias == NULL && nn_product_pays(network, op);
	if (s->product) {
		result = nn_product_plan(network, op, &s->backward_weights, &s->windows, err);
	} else if (s->dense) {
		dnnl_inner_product_desc_t desc;
		status = dnnl_inner_product_backward_weights_desc_init(&desc, &src, &kernel, diff_bias, &dst);
		if (status != dnnl_success)
			return nn_dnnl_fail(err, status, name, "a weight gradient");
		result = nn_primitive_add(network, name, &desc, NULL, s->forward, &s->backward_weights, err);
	} else {
		dnnl_convolution_desc_t desc;
		status = dnnl_convolution_backward_weights_desc_init(&desc, dnnl_convolution_direct, &src, &kernel,
								     diff_bias, &dst, s->strides, s->before, s->after);
		if (status != dnnl_success)
			return nn_dnnl_fail(err, status, name, "a weight gradient");
		result = add_convolution(network, op, &desc, WINOGRAD_SIDE_WEIGHTS, NULL, s->forward,
					 &s->backward_weights, err);
	}
	if (result != BM_OK)
		return result;
	const dnnl_memory_desc_t *made =
		s->product ? &s->keras_desc
			   : nn_primitive_desc(network, s->backward_weights, dnnl_query_diff_weights_md, 0);
	if (dnnl_memory_desc_equal(made, &s->kernel_desc))
		return BM_OK;
	int time = nn_backward_time(network, op);
	result = nn_reorder_add(network, name, made, &s->kernel_desc, &s->reorder_gradient, err);
	if (result == BM_OK)
		result = nn_buffer_add(network, dnnl_memory_desc_get_size(made), time, time, &s->gradient_buffer, err);
	return result;
}

/* The pixels of all images [batch][height][width] as those of one image, one high: oneDNN has fuller tiles of them. */
static void in_a_row(dnnl_memory_desc_t *desc)
{
	const dnnl_dims_t dims = {1, desc->dims[1], 1, desc->dims[0] * desc->dims[2] * desc->dims[3]};
	dnnl_memory_desc_init_by_tag(desc, 4, dims, desc->data_type, dnnl_nhwc);
}

static bm_status plan_backward_data(nn_network *network, nn_op *op, linear_state *s, bm_error *err)
{
	const char *name = network->graph.layers[op->main].name;
	dnnl_memory_desc_t src, kernel, bias, dst;
	describe(network, op, s, &src, &kernel, &bias, &dst);
	src.data_type = dnnl_f32;
	if (s->half)
		dst.data_type = dnnl_bf16;
	if (s->half && nn_windows_are_pixels(network, op)) {
		in_a_row(&src);
		in_a_row(&dst);
	}
	dnnl_status_t status;
	bm_status result;
	if (s->dense) {
		dnnl_inner_product_desc_t desc;
		status = dnnl_inner_product_backward_data_desc_init(&desc, &src, &kernel, &dst);
		if (status != dnnl_success)
			return nn_dnnl_fail(err, status, name, "a data gradient");
		result = nn_primitive_add(network, name, &desc, NULL, s->forward, &s->backward_data, err);
	} else {
		dnnl_convolution_desc_t desc;
		status = dnnl_convolution_backward_data_desc_init(&desc, dnnl_convolution_direct, &src, &kernel, &dst,
								  s->strides, s->before, s->after);
		if (status != dnnl_success)
			return nn_dnnl_fail(err, status, name, "a data gradient");
		result = add_convolution(network, op, &desc, WINOGRAD_SIDE, NULL, s->forward, &s->backward_data, err);
	}
	if (result == BM_OK)
		result = nn_gradient_target(network, op, op->input, &s->target, &s->extra, err);
	if (result != BM_OK)
		return result;
	const dnnl_memory_desc_t *wanted = nn_primitive_desc(network, s->backward_data, dnnl_query_weights_md, 0);
	dnnl_memory_desc_t as_kept = *wanted;
	as_kept.data_type = dnnl_f32;
	if (dnnl_memory_desc_equal(&as_kept, &s->kernel_desc))
		return BM_OK;
	int time = nn_backward_time(network, op);
	result = nn_reorder_add(network, name, &s->kernel_desc, wanted, &s->reorder_kernel, err);
	if (result == BM_OK)
		result = nn_buffer_add(network, dnnl_memory_desc_get_size(wanted), time, time, &s->kernel_buffer, err);
	return result;
}

static bm_status linear_plan_backward(nn_network *network, nn_op *op, bm_error *err)
{
	linear_state *s = op->state;
	int time = nn_backward_time(network, op);
	bm_status status = BM_OK;
	if (s->kernel_gradient != NN_NONE) {
		nn_buffer_use(network, s->half ? s->input_half : network->tensors[op->input].buffer, time);
		status = plan_backward_weights(network, op, s, err);
	}
	if (s->relu)
		nn_buffer_use(network, network->tensors[op->output].buffer, time);
	if (status == BM_OK && s->half) {
		const nn_tensor *out = &network->tensors[op->output];
		s->gradient_half = out->gradient_half;
		if (s->gradient_half < 0)
			status = nn_buffer_add(network, out->image_floats * (size_t)out->batch * sizeof(uint16_t), time,
					       time, &s->gradient_half, err);
	}
	if (status == BM_OK && network->tensors[op->input].gradient)
		status = plan_backward_data(network, op, s, err);
	return status;
}

static void softmax_rows(float *values, int rows, int columns)
{
	for (int r = 0; r < rows; r++) {
		float *row = values + (size_t)r * (size_t)columns, top = row[0], sum = 0.0f;
		for (int i = 1; i < columns; i++)
			top = row[i] > top ? row[i] : top;
		for (int i = 0; i < columns; i++)
			sum += row[i] = expf(row[i] - top);
		for (int i = 0; i < columns; i++)
			row[i] /= sum;
	}
}

static void halve_kernel(nn_network *network, const linear_state *s)
{
	nn_to_bf16(nn_store_data(network, s->kernel), (uint16_t *)(network->store + s->kernel_half),
		   dnnl_memory_desc_get_size(&s->kernel_desc) / sizeof(float));
}

static bm_status linear_forward(nn_network *network, nn_op *op, bm_error *err)
{
	const linear_state *s = op->state;
	const nn_tensor *out = &network->tensors[op->output];
	float *y = nn_data(network, op, op->output);
	if (op->residual >= 0 && out->buffer != network->tensors[op->residual].buffer)
		nn_copy(nn_data(network, op, op->residual), y, out->image_floats * (size_t)op->batch);
	void *x = nn_data(network, op, op->input), *kernel = nn_store_data(network, s->kernel);
	if (s->half) {
		if (s->halves_input)
			nn_to_bf16(x, nn_buffer_half(network, s->input_half),
				   network->tensors[op->input].image_floats * (size_t)op->batch);
		if (s->kernel_gradient != NN_NONE) /* it may have learnt */
			halve_kernel(network, s);
		x = nn_buffer_half(network, s->input_half);
		kernel = nn_store_data(network, s->kernel_half);
	}
	nn_arg args[] = {
		{DNNL_ARG_SRC, x},
		{DNNL_ARG_WEIGHTS, kernel},
		{DNNL_ARG_BIAS, nn_store_data(network, s->bias_at)},
		{DNNL_ARG_DST, y},
	};
	bm_status status = nn_primitive_run(network, s->forward, 4, args, err);
	if (status == BM_OK && s->relu)
		nn_relu(y, y, out->image_floats * (size_t)op->batch);
	if (status == BM_OK && s->softmax)
		softmax_rows(y, op->batch, out->channels);
	return status;
}

static bm_status linear_backward(nn_network *network, nn_op *op, bm_error *err)
{
	const linear_state *s = op->state;
	const nn_tensor *out = &network->tensors[op->output];
	float *gradient = nn_gradient(network, op->output);
	bm_status status = BM_OK;
	if (s->relu)
		nn_relu_mask(nn_data(network, op, op->output), gradient, gradient,
			     out->image_floats * (size_t)out->batch);
	void *x = nn_data(network, op, op->input), *dy = gradient;
	if (s->half) {
		x = nn_buffer_half(network, s->input_half);
		dy = nn_buffer_half(network, s->gradient_half);
		if (gradient != NULL)
			nn_to_bf16(gradient, dy, out->image_floats * (size_t)out->batch);
	}
	if (s->backward_weights >= 0) {
		float *raw = s->gradient_buffer >= 0 ? nn_buffer_data(network, s->gradient_buffer)
						     : nn_store_data(network, s->kernel_gradient);
		if (s->windows >= 0) {
			uint16_t *windows = nn_buffer_half(network, s->windows);
			nn_gather_windows(network, op, s->before, x, windows);
			x = windows;
		}
		nn_arg args[] = {
			{DNNL_ARG_SRC, x},
			{s->product ? DNNL_ARG_WEIGHTS : DNNL_ARG_DIFF_DST, dy},
			{s->product ? DNNL_ARG_DST : DNNL_ARG_DIFF_WEIGHTS, raw},
			{DNNL_ARG_DIFF_BIAS, s->zero_bias_gradient ? NULL : nn_store_data(network, s->bias_gradient)},
		};
		status = nn_primitive_run(network, s->backward_weights, 4, args, err);
		if (status == BM_OK && s->reorder_gradient >= 0) {
			nn_arg move[] = {{DNNL_ARG_FROM, raw},
					 {DNNL_ARG_TO, nn_store_data(network, s->kernel_gradient)}};
			status = nn_primitive_run(network, s->reorder_gradient, 2, move, err);
		}
	}
	if (status != BM_OK || s->backward_data < 0)
		return status;
	void *kernel = nn_store_data(network, s->half ? s->kernel_half : s->kernel);
	if (s->reorder_kernel >= 0) {
		nn_arg move[] = {{DNNL_ARG_FROM, nn_store_data(network, s->kernel)},
				 {DNNL_ARG_TO, nn_buffer_data(network, s->kernel_buffer)}};
		status = nn_primitive_run(network, s->reorder_kernel, 2, move, err);
		kernel = nn_buffer_data(network, s->kernel_buffer);
	}
	if (status == BM_OK) {
		nn_arg args[] = {
			{DNNL_ARG_DIFF_DST, dy},
			{DNNL_ARG_WEIGHTS, kernel},
			{DNNL_ARG_DIFF_SRC, nn_buffer_data(network, s->target)},
		};
		status = nn_primitive_run(network, s->backward_data, 3, args, err);
	}
	if (status == BM_OK)
		nn_gradient_finish(network, op->input, s->target, s->extra);
	return status;
}

/* kernel [..][in][out] and bias with the batch norm behind them folded in: w g / sqrt(v + e), (b - m) g / sqrt(v + e) + beta. */
static void fold(const nn_op *op, const nn_layer *norm, const nn_weights *weights, float *kernel, size_t count,
		 float *bias, size_t units)
{
	const float *gamma = nn_weights_find(weights, op->norm, NN_GAMMA)->values;
	const float *beta = nn_weights_find(weights, op->norm, NN_BETA)->values;
	const float *mean = nn_weights_find(weights, op->norm, NN_MOVING_MEAN)->values;
	const float *variance = nn_weights_find(weights, op->norm, NN_MOVING_VARIANCE)->values;
	for (size_t o = 0; o < units; o++) {
		double scale = (double)gamma[o] / sqrt((double)variance[o] + (double)norm->epsilon);
		for (size_t i = o; i < count; i += units)
			kernel[i] = (float)((double)kernel[i] * scale);
		bias[o] = (float)(((double)bias[o] - (double)mean[o]) * scale + (double)beta[o]);
	}
}

static bm_status linear_load(nn_network *network, nn_op *op, const nn_weights *weights, bm_error *err)
{
	const linear_state *s = op->state;
	const nn_layer *layer = nn_op_layer(network, op->main);
	const nn_weight *kernel = nn_weights_find(weights, op->main, NN_KERNEL);
	const nn_weight *given_bias = nn_weights_find(weights, op->main, NN_BIAS);
	float *bias = nn_store_data(network, s->bias_at);
	size_t units = (size_t)layer->units;
	if (bias != NULL) {
		if (given_bias != NULL)
			memcpy(bias, given_bias->values, units * sizeof *bias);
		else
			memset(bias, 0, units * sizeof *bias);
	}
	float *folded = NULL;
	if (op->norm >= 0) {
		folded = base_malloc(kernel->count, sizeof *folded, "a folded kernel", err);
		if (folded == NULL)
			return BM_ERR_MEMORY;
		memcpy(folded, kernel->values, kernel->count * sizeof *folded);
		fold(op, nn_op_layer(network, op->norm), weights, folded, kernel->count, bias, units);
	}
	bm_status status = nn_reorder(network, layer->name, &s->keras_desc, folded ? folded : kernel->values,
				      &s->kernel_desc, nn_store_data(network, s->kernel), err);
	if (status == BM_OK && s->half)
		halve_kernel(network, s);
	base_free(folded);
	return status;
}

static bm_status linear_convert(nn_network *network, nn_op *op, nn_role role, bool to_keras, const float *from,
				float *to, bm_error *err)
{
	const linear_state *s = op->state;
	const nn_layer *layer = nn_op_layer(network, op->main);
	if (role == NN_BIAS) {
		memcpy(to, from, (size_t)layer->units * sizeof *to);
		return BM_OK;
	}
	return nn_reorder(network, layer->name, to_keras ? &s->kernel_desc : &s->keras_desc, from,
			  to_keras ? &s->keras_desc : &s->kernel_desc, to, err);
}

static bm_status linear_store(nn_network *network, nn_op *op, nn_weights *weights, bm_error *err)
{
	const linear_state *s = op->state;
	if (s->kernel_gradient == NN_NONE)
		return BM_OK; /* frozen: the caller has it */
	if (s->bias)
		memcpy(nn_weights_find(weights, op->main, NN_BIAS)->values, nn_store_data(network, s->bias_at),
		       (size_t)nn_op_layer(network, op->main)->units * sizeof(float));
	return linear_convert(network, op, NN_KERNEL, true, nn_store_data(network, s->kernel),
			      nn_weights_find(weights, op->main, NN_KERNEL)->values, err);
}

const nn_op_class nn_linear_class = {
	.name = "linear",
	.plan = linear_plan,
	.plan_backward = linear_plan_backward,
	.forward = linear_forward,
	.backward = linear_backward,
	.load = linear_load,
	.store = linear_store,
	.convert = linear_convert,
	.free = base_free,
};
