/* Input with rescaling, zero padding, ReLU, addition, dropout: loops of our own. */
#include <string.h>

#include "base/hash.h"
#include "base/memory.h"
#include "base/random.h"
#include "nn/internal.h"

/* Where the gradients of the inputs go. */
typedef struct simple_state {
	int target[2];
	bool extra[2];
} simple_state;

static bm_status simple_plan(nn_network *network, nn_op *op, bm_error *err)
{
	(void)network;
	simple_state *s = nn_state(op, sizeof *s, err);
	if (s == NULL)
		return BM_ERR_MEMORY;
	s->target[0] = s->target[1] = -1;
	return BM_OK;
}

static bm_status plan_targets(nn_network *network, nn_op *op, bm_error *err)
{
	simple_state *s = op->state;
	const int inputs[2] = {op->input, op->residual};
	bm_status status = BM_OK;
	for (int i = 0; i < 2 && status == BM_OK; i++)
		if (inputs[i] >= 0 && network->tensors[inputs[i]].gradient)
			status = nn_gradient_target(network, op, inputs[i], &s->target[i], &s->extra[i], err);
	return status;
}

static size_t output_floats(nn_network *network, const nn_op *op)
{
	return network->tensors[op->output].image_floats * (size_t)op->batch;
}

/* ---- input and rescaling ---- */

static void rescaling(nn_network *network, const nn_op *op, int channel, float *scale, float *offset)
{
	const nn_layer *layer = nn_op_layer(network, op->head);
	*scale = layer->type == NN_RESCALE ? layer->scale[channel] : 1.0f;
	*offset = layer->type == NN_RESCALE ? layer->offset[channel] : 0.0f;
}

/* Where channel c of the first pixel of an image is, and how far pixels are apart. */
static size_t channel_place(const nn_network *network, const nn_tensor *tensor, int c, size_t *pixel)
{
	size_t area = (size_t)tensor->height * (size_t)tensor->width, lanes = (size_t)network->lanes;
	if (tensor->layout == NN_PLANAR) {
		*pixel = 1;
		return (size_t)c * area;
	}
	if (tensor->layout == NN_LAST) {
		*pixel = (size_t)tensor->channels;
		return (size_t)c;
	}
	*pixel = lanes;
	return (size_t)c / lanes * lanes * area + (size_t)c % lanes;
}

static bm_status input_forward(nn_network *network, nn_op *op, bm_error *err)
{
	(void)err;
	const nn_tensor *tensor = &network->tensors[op->output];
	size_t area = (size_t)tensor->height * (size_t)tensor->width, channels = (size_t)tensor->channels;
	float *to = nn_data(network, op, op->output);
	int first = network->chunk_index * op->batch;
#pragma omp parallel for schedule(static)
	for (int n = 0; n < op->batch; n++) {
		float *image = to + (size_t)n * tensor->image_floats;
		if (tensor->image_floats != area * channels || first + n >= network->image_count)
			memset(image, 0, tensor->image_floats * sizeof *image);
		if (first + n >= network->image_count)
			continue;
		const float *from = network->images + (size_t)(first + n) * area * channels;
		for (int c = 0; c < tensor->channels; c++) {
			size_t pixel;
			float scale, offset, *plane = image + channel_place(network, tensor, c, &pixel);
			rescaling(network, op, c, &scale, &offset);
			for (size_t i = 0; i < area; i++)
				plane[i * pixel] = from[i * channels + (size_t)c] * scale + offset;
		}
	}
	return BM_OK;
}

static bm_status input_plan_backward(nn_network *network, nn_op *op, bm_error *err)
{
	(void)err; /* the gradient stays where it is until it is asked for */
	nn_buffer_use(network, network->tensors[op->output].gradient_buffer, 2 * network->op_count);
	return BM_OK;
}

static bm_status input_backward(nn_network *network, nn_op *op, bm_error *err)
{
	(void)network;
	(void)op;
	(void)err;
	return BM_OK;
}

bm_status nn_network_input_gradient(nn_network *network, float *values, size_t count, bm_error *err)
{
	const nn_op *op = &network->ops[0];
	for (int i = 0; i < network->op_count; i++)
		if (network->ops[i].class == &nn_input_class)
			op = &network->ops[i];
	const nn_tensor *tensor = &network->tensors[op->output];
	if (!op->gradient || !network->backward_done)
		return base_fail(
			err, BM_ERR_UNSUPPORTED,
			"no gradient of the images: set nn_options.input_gradient and run a backward pass first");
	size_t area = (size_t)tensor->height * (size_t)tensor->width, channels = (size_t)tensor->channels;
	size_t images = (size_t)tensor->batch;
	if (count != images * area * channels)
		return base_fail(err, BM_ERR_USAGE, "the images' gradient has %zu values, but room for %zu was given",
				 images * area * channels, count);
	const float *gradient = nn_gradient(network, op->output);
	for (size_t n = 0; n < images; n++) {
		for (int c = 0; c < tensor->channels; c++) {
			size_t pixel, at = n * tensor->image_floats + channel_place(network, tensor, c, &pixel);
			float scale, offset;
			rescaling(network, op, c, &scale, &offset);
			for (size_t i = 0; i < area; i++)
				values[(n * area + i) * channels + (size_t)c] = gradient[at + i * pixel] * scale;
		}
	}
	return BM_OK;
}

const nn_op_class nn_input_class = {
	.name = "input",
	.plan = simple_plan,
	.plan_backward = input_plan_backward,
	.forward = input_forward,
	.backward = input_backward,
	.free = base_free,
};

/* ---- zero padding ---- */

/* Copies the pixels inside the border, from the padded tensor (`strip`) or into it. */
static void copy_inside(nn_network *network, const nn_op *op, const float *from, float *to, bool strip)
{
	const nn_tensor *small = &network->tensors[op->input], *large = &network->tensors[op->output];
	int pad = nn_op_layer(network, op->main)->padding;
	const bool last = small->layout == NN_LAST;
	size_t pixel = (size_t)(last ? small->channels : network->lanes); /* floats that stand together */
	size_t planes = last ? (size_t)op->batch : nn_padded(network, small->channels) / pixel * (size_t)op->batch;
	size_t row = (size_t)small->width * pixel, wide = (size_t)large->width * pixel;
#pragma omp parallel for schedule(static)
	for (size_t p = 0; p < planes; p++) {
		size_t at_small = p * (size_t)small->height * row, at_large = p * (size_t)large->height * wide;
		if (!strip)
			memset(to + at_large, 0, (size_t)large->height * wide * sizeof *to);
		at_large += (size_t)pad * wide + (size_t)pad * pixel;
		for (int y = 0; y < small->height; y++, at_small += row, at_large += wide) {
			if (strip)
				memcpy(to + at_small, from + at_large, row * sizeof *to);
			else
				memcpy(to + at_large, from + at_small, row * sizeof *to);
		}
	}
}

static bm_status pad_forward(nn_network *network, nn_op *op, bm_error *err)
{
	(void)err;
	copy_inside(network, op, nn_data(network, op, op->input), nn_data(network, op, op->output), false);
	return BM_OK;
}

static bm_status pad_backward(nn_network *network, nn_op *op, bm_error *err)
{
	(void)err;
	const simple_state *s = op->state;
	if (s->target[0] < 0)
		return BM_OK;
	copy_inside(network, op, nn_gradient(network, op->output), nn_buffer_data(network, s->target[0]), true);
	nn_gradient_finish(network, op->input, s->target[0], s->extra[0]);
	return BM_OK;
}

const nn_op_class nn_pad_class = {
	.name = "zero padding",
	.plan = simple_plan,
	.plan_backward = plan_targets,
	.forward = pad_forward,
	.backward = pad_backward,
	.free = base_free,
};

/* ---- ReLU ---- */

static bm_status relu_forward(nn_network *network, nn_op *op, bm_error *err)
{
	(void)err;
	nn_relu(nn_data(network, op, op->input), nn_data(network, op, op->output), output_floats(network, op));
	return BM_OK;
}

static bm_status relu_plan_backward(nn_network *network, nn_op *op, bm_error *err)
{
	nn_buffer_use(network, network->tensors[op->output].buffer, nn_backward_time(network, op));
	return plan_targets(network, op, err);
}

static bm_status relu_backward(nn_network *network, nn_op *op, bm_error *err)
{
	(void)err;
	const simple_state *s = op->state;
	if (s->target[0] < 0)
		return BM_OK;
	nn_relu_mask(nn_data(network, op, op->output), nn_gradient(network, op->output),
		     nn_buffer_data(network, s->target[0]), output_floats(network, op));
	nn_gradient_finish(network, op->input, s->target[0], s->extra[0]);
	return BM_OK;
}

const nn_op_class nn_relu_class = {
	.name = "ReLU",
	.plan = simple_plan,
	.plan_backward = relu_plan_backward,
	.forward = relu_forward,
	.backward = relu_backward,
	.free = base_free,
};

/* ---- addition, with a ReLU behind it when op->relu is set ---- */

static bm_status add_forward(nn_network *network, nn_op *op, bm_error *err)
{
	(void)err;
	nn_add_arrays(nn_data(network, op, op->input), nn_data(network, op, op->residual),
		      nn_data(network, op, op->output), output_floats(network, op), op->relu >= 0);
	return BM_OK;
}

static bm_status add_plan_backward(nn_network *network, nn_op *op, bm_error *err)
{
	if (op->relu >= 0)
		nn_buffer_use(network, network->tensors[op->output].buffer, nn_backward_time(network, op));
	return plan_targets(network, op, err);
}

static bm_status add_backward(nn_network *network, nn_op *op, bm_error *err)
{
	(void)err;
	const simple_state *s = op->state;
	const int inputs[2] = {op->input, op->residual};
	const float *gradient = nn_gradient(network, op->output);
	for (int i = 0; i < 2; i++) {
		if (s->target[i] < 0)
			continue;
		float *to = nn_buffer_data(network, s->target[i]);
		if (op->relu >= 0)
			nn_relu_mask(nn_data(network, op, op->output), gradient, to, output_floats(network, op));
		else
			nn_copy(gradient, to, output_floats(network, op));
		nn_gradient_finish(network, inputs[i], s->target[i], s->extra[i]);
	}
	return BM_OK;
}

const nn_op_class nn_add_class = {
	.name = "addition",
	.plan = simple_plan,
	.plan_backward = add_plan_backward,
	.forward = add_forward,
	.backward = add_backward,
	.free = base_free,
};

/* ---- dropout ---- */

/* y = x / (1 - rate) where kept, else 0; the same call makes the gradient. Who is kept depends on seed, layer and step only. */
static void drop(nn_network *network, const nn_op *op, const float *x, float *y)
{
	const nn_layer *layer = nn_op_layer(network, op->main);
	size_t per_image = network->tensors[op->output].image_floats, count = (size_t)op->batch * per_image;
	uint64_t name = base_hash_bytes(layer->name, strlen(layer->name)).low;
	base_random random = base_random_make(network->options.seed, base_random_mix(name, network->step));
	float scale = 1.0f / (1.0f - layer->rate);
	random.counter = (uint64_t)network->chunk_index * count; /* other numbers for every chunk */
	for (size_t i = 0; i < count; i++)
		y[i] = base_random_uniform(&random) < layer->rate ? 0.0f : x[i] * scale;
}

static bm_status dropout_forward(nn_network *network, nn_op *op, bm_error *err)
{
	(void)err;
	const float *x = nn_data(network, op, op->input);
	float *y = nn_data(network, op, op->output);
	if (network->training)
		drop(network, op, x, y);
	else
		nn_copy(x, y, output_floats(network, op));
	return BM_OK;
}

static bm_status dropout_backward(nn_network *network, nn_op *op, bm_error *err)
{
	(void)err;
	const simple_state *s = op->state;
	if (s->target[0] < 0)
		return BM_OK;
	drop(network, op, nn_gradient(network, op->output), nn_buffer_data(network, s->target[0]));
	nn_gradient_finish(network, op->input, s->target[0], s->extra[0]);
	return BM_OK;
}

const nn_op_class nn_dropout_class = {
	.name = "dropout",
	.plan = simple_plan,
	.plan_backward = plan_targets,
	.forward = dropout_forward,
	.backward = dropout_backward,
	.free = base_free,
};
