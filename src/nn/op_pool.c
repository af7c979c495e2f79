/* Max and average pooling (oneDNN), global average pooling (a sum over rows). */
#include <string.h>

#include "base/memory.h"
#include "nn/internal.h"

/* ---- windows ---- */

typedef struct pool_state {
	int forward, backward; /* primitives */
	int workspace;	       /* buffer: where each maximum was; -1: none */
	int target;
	bool extra;
	dnnl_alg_kind_t kind;
	dnnl_dims_t strides, kernel, before, after;
} pool_state;

static bm_status window_plan(nn_network *network, nn_op *op, bm_error *err)
{
	const nn_layer *layer = nn_op_layer(network, op->main);
	const nn_tensor *in = &network->tensors[op->input];
	pool_state *s = nn_state(op, sizeof *s, err);
	if (s == NULL)
		return BM_ERR_MEMORY;
	s->kind = layer->type == NN_MAX_POOL ? dnnl_pooling_max : dnnl_pooling_avg_exclude_padding;
	s->backward = s->workspace = s->target = -1;
	int zeros = op->pad >= 0 ? nn_op_layer(network, op->pad)->padding : 0;
	int size[2] = {in->height, in->width}, out[2] = {layer->height, layer->width};
	for (int axis = 0; axis < 2; axis++) {
		int after = (out[axis] - 1) * layer->stride + layer->kernel - size[axis] - zeros;
		s->strides[axis] = layer->stride;
		s->kernel[axis] = layer->kernel;
		s->before[axis] = zeros;
		s->after[axis] = after > 0 ? after : 0;
	}
	dnnl_memory_desc_t src, dst;
	nn_tensor_desc(network, in, op->batch, &src);
	nn_tensor_desc(network, &network->tensors[op->output], op->batch, &dst);
	dnnl_pooling_desc_t desc;
	dnnl_status_t status =
		dnnl_pooling_forward_desc_init(&desc, op->gradient ? dnnl_forward_training : dnnl_forward_inference,
					       s->kind, &src, &dst, s->strides, s->kernel, s->before, s->after);
	if (status != dnnl_success)
		return nn_dnnl_fail(err, status, layer->name, "a pooling");
	bm_status result = nn_primitive_add(network, layer->name, &desc, NULL, -1, &s->forward, err);
	if (result != BM_OK || !op->gradient)
		return result;
	size_t bytes = dnnl_memory_desc_get_size(nn_primitive_desc(network, s->forward, dnnl_query_workspace_md, 0));
	if (bytes > 0)
		result = nn_buffer_add(network, bytes, op->time, op->time, &s->workspace, err);
	return result;
}

static bm_status window_plan_backward(nn_network *network, nn_op *op, bm_error *err)
{
	pool_state *s = op->state;
	const char *name = nn_op_layer(network, op->main)->name;
	if (!network->tensors[op->input].gradient)
		return BM_OK;
	dnnl_memory_desc_t src, dst;
	nn_tensor_desc(network, &network->tensors[op->input], op->batch, &src);
	nn_tensor_desc(network, &network->tensors[op->output], op->batch, &dst);
	dnnl_pooling_desc_t desc;
	dnnl_status_t status =
		dnnl_pooling_backward_desc_init(&desc, s->kind, &src, &dst, s->strides, s->kernel, s->before, s->after);
	if (status != dnnl_success)
		return nn_dnnl_fail(err, status, name, "a pooling gradient");
	bm_status result = nn_primitive_add(network, name, &desc, NULL, s->forward, &s->backward, err);
	if (result != BM_OK)
		return result;
	if (s->workspace >= 0)
		nn_buffer_use(network, s->workspace, nn_backward_time(network, op));
	return nn_gradient_target(network, op, op->input, &s->target, &s->extra, err);
}

static bm_status window_forward(nn_network *network, nn_op *op, bm_error *err)
{
	const pool_state *s = op->state;
	nn_arg args[] = {
		{DNNL_ARG_SRC, nn_data(network, op, op->input)},
		{DNNL_ARG_DST, nn_data(network, op, op->output)},
		{DNNL_ARG_WORKSPACE, s->workspace >= 0 ? nn_buffer_data(network, s->workspace) : NULL},
	};
	return nn_primitive_run(network, s->forward, 3, args, err);
}

static bm_status window_backward(nn_network *network, nn_op *op, bm_error *err)
{
	const pool_state *s = op->state;
	if (s->backward < 0)
		return BM_OK;
	nn_arg args[] = {
		{DNNL_ARG_DIFF_DST, nn_gradient(network, op->output)},
		{DNNL_ARG_DIFF_SRC, nn_buffer_data(network, s->target)},
		{DNNL_ARG_WORKSPACE, s->workspace >= 0 ? nn_buffer_data(network, s->workspace) : NULL},
	};
	bm_status status = nn_primitive_run(network, s->backward, 3, args, err);
	if (status == BM_OK)
		nn_gradient_finish(network, op->input, s->target, s->extra);
	return status;
}

const nn_op_class nn_window_pool_class = {
	.name = "pooling",
	.plan = window_plan,
	.plan_backward = window_plan_backward,
	.forward = window_forward,
	.backward = window_backward,
	.free = base_free,
};

/* ---- global average ---- */

typedef struct global_state {
	int target;
	bool extra;
} global_state;

static bm_status global_plan(nn_network *network, nn_op *op, bm_error *err)
{
	(void)network;
	global_state *s = nn_state(op, sizeof *s, err);
	if (s == NULL)
		return BM_ERR_MEMORY;
	s->target = -1;
	return BM_OK;
}

static bm_status global_plan_backward(nn_network *network, nn_op *op, bm_error *err)
{
	global_state *s = op->state;
	if (!network->tensors[op->input].gradient)
		return BM_OK;
	return nn_gradient_target(network, op, op->input, &s->target, &s->extra, err);
}

static bm_status global_forward(nn_network *network, nn_op *op, bm_error *err)
{
	(void)err;
	const nn_tensor *in = &network->tensors[op->input];
	nn_view view = nn_view_of(network, in, op->batch);
	nn_global_average(&view, in->channels, nn_data(network, op, op->input), nn_data(network, op, op->output));
	return BM_OK;
}

static bm_status global_backward(nn_network *network, nn_op *op, bm_error *err)
{
	(void)err;
	const global_state *s = op->state;
	if (s->target < 0)
		return BM_OK;
	const nn_tensor *in = &network->tensors[op->input];
	nn_view view = nn_view_of(network, in, op->batch);
	nn_global_average_gradient(&view, in->channels, nn_gradient(network, op->output),
				   nn_buffer_data(network, s->target));
	nn_gradient_finish(network, op->input, s->target, s->extra);
	return BM_OK;
}

const nn_op_class nn_global_pool_class = {
	.name = "global average pooling",
	.plan = global_plan,
	.plan_backward = global_plan_backward,
	.forward = global_forward,
	.backward = global_backward,
	.free = base_free,
};
