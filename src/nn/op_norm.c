/* Batch normalization, alone or with an addition and a ReLU behind it. */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "nn/internal.h"

typedef struct norm_state {
	nn_view view;
	bool batch_statistics; /* in training; false: frozen, moving statistics always */
	/* in the store, [channels padded] */
	size_t gamma, beta, moving_mean, moving_variance, gamma_gradient, beta_gradient;
	size_t mean, deviation;		/* that the last training pass used; 1 / sqrt(variance + epsilon) */
	size_t rest;			/* of the mean, behind its f32 */
	size_t scale, shift;		/* y = (x - mean) * scale + shift in the last pass */
	size_t sums, products, a, b, c; /* of the backward pass */
	size_t partial;			/* doubles */
	int half;			/* buffer for the output as bfloat16; -1: its readers make what they need */
	int target;			/* buffer that gets d loss / d input; -1: not wanted */
	bool extra;
	int residual_target; /* -1: the output's own gradient buffer became the residual's, or it needs none */
	bool residual_extra;
} norm_state;

/* May what reads this output take it as bfloat16? A convolution does, and where channels are last the batch norm that adds it. */
static bool reads_half(const nn_network *network, const nn_op *reader, const nn_tensor *output, int layer)
{
	if (reader->residual_layer == layer && (output->layout != NN_LAST || reader->class != &nn_norm_class))
		return false;
	return reader->input_layer != layer ||
	       (reader->class == &nn_linear_class && nn_linear_takes_half(network, reader, output));
}

/* The output as bfloat16 too, or only, when it is read so. */
static bm_status plan_half(nn_network *network, const nn_op *op, norm_state *s, bm_error *err)
{
	nn_tensor *output = &network->tensors[op->output];
	bool any = false, all = true;
	for (int i = 0; i < network->op_count; i++) {
		const nn_op *reader = &network->ops[i];
		if (reader->input_layer != op->head && reader->residual_layer != op->head)
			continue;
		const bool half = reads_half(network, reader, output, op->head);
		any |= half && reader->input_layer == op->head;
		all &= half;
	}
	if (!any || !op->gradient)
		return BM_OK;
	const size_t bytes = output->image_floats * (size_t)output->batch * sizeof(uint16_t);
	bm_status status = BM_OK;
	if (all) {
		output->bf16 = s->view.out_half = true;
		nn_buffer_resize(network, output->buffer, bytes);
		s->half = output->buffer;
	} else {
		status = nn_buffer_add(network, bytes, op->time, op->time, &s->half, err);
	}
	output->half = s->half;
	return status;
}

static bm_status norm_plan(nn_network *network, nn_op *op, bm_error *err)
{
	norm_state *s = nn_state(op, sizeof *s, err);
	if (s == NULL)
		return BM_ERR_MEMORY;
	const nn_layer *layer = nn_op_layer(network, op->norm);
	const nn_tensor *tensor = &network->tensors[op->output];
	s->view = nn_view_of(network, tensor, op->batch);
	s->view.half = network->tensors[op->input].bf16;
	s->view.residual_half = op->residual >= 0 && network->tensors[op->residual].bf16;
	s->batch_statistics = op->gradient && layer->trainable;
	s->half = s->target = s->residual_target = -1;
	size_t count = nn_padded(network, layer->channels), bytes = count * sizeof(float);
	s->gamma_gradient = s->beta_gradient = NN_NONE;
	if (s->batch_statistics) {
		bm_status status =
			nn_parameter_add(network, op, op->norm, NN_GAMMA, count, &s->gamma, &s->gamma_gradient, err);
		if (status == BM_OK)
			status = nn_parameter_add(network, op, op->norm, NN_BETA, count, &s->beta, &s->beta_gradient,
						  err);
		if (status != BM_OK)
			return status;
	} else {
		s->gamma = nn_store_add(network, bytes);
		s->beta = nn_store_add(network, bytes);
	}
	s->moving_mean = nn_store_add(network, bytes);
	s->moving_variance = nn_store_add(network, bytes);
	s->mean = nn_store_add(network, bytes);
	s->rest = nn_store_add(network, bytes);
	s->deviation = nn_store_add(network, bytes);
	s->scale = nn_store_add(network, bytes);
	s->shift = nn_store_add(network, bytes);
	s->sums = nn_store_add(network, bytes);
	s->products = nn_store_add(network, bytes);
	s->a = nn_store_add(network, bytes);
	s->b = nn_store_add(network, bytes);
	s->c = nn_store_add(network, bytes);
	s->partial = nn_store_add(network, nn_partial_doubles(&s->view) * sizeof(double));
	return plan_half(network, op, s, err);
}

static bm_status norm_plan_backward(nn_network *network, nn_op *op, bm_error *err)
{
	norm_state *s = op->state;
	int time = nn_backward_time(network, op);
	nn_tensor *output = &network->tensors[op->output], *input = &network->tensors[op->input];
	nn_tensor *residual = op->residual >= 0 ? &network->tensors[op->residual] : NULL;
	nn_buffer_use(network, input->buffer, time);
	if (op->relu >= 0 && residual != NULL)
		nn_buffer_use(network, output->buffer, time);
	bool kept = false; /* dz, in the output's gradient buffer, goes on as the residual's gradient */
	bm_status status = BM_OK;
	if (residual != NULL && residual->gradient) {
		if (residual->gradient_buffer < 0) {
			residual->gradient_buffer = output->gradient_buffer;
			nn_buffer_use(network, residual->gradient_buffer,
				      nn_backward_time(network, &network->ops[residual->producer]));
			kept = true;
		} else {
			status = nn_gradient_target(network, op, op->residual, &s->residual_target, &s->residual_extra,
						    err);
		}
	}
	if (status != BM_OK || !input->gradient)
		return status;
	if (input->takes_half)
		return nn_buffer_add(network, input->image_floats * (size_t)input->batch * sizeof(uint16_t), time,
				     nn_backward_time(network, &network->ops[input->producer]), &input->gradient_half,
				     err);
	if (!kept && input->gradient_buffer < 0) { /* dx replaces dz */
		input->gradient_buffer = s->target = output->gradient_buffer;
		nn_buffer_use(network, s->target, nn_backward_time(network, &network->ops[input->producer]));
		return BM_OK;
	}
	return nn_gradient_target(network, op, op->input, &s->target, &s->extra, err);
}

/* Statistics of this pass -> scale and shift. The mean is taken off x first: where it is much larger than the deviation, one rounding of
 * x * scale + (beta - mean * scale) moves the whole channel, and in the backward pass a sum over the channel then does not vanish. What the
 * mean loses in f32 is made up for. */
static void prepare(nn_network *network, const nn_op *op, const norm_state *s, const void *x)
{
	const nn_layer *layer = nn_op_layer(network, op->norm);
	float *mean = nn_store_data(network, s->mean), *rest = nn_store_data(network, s->rest);
	float *deviation = nn_store_data(network, s->deviation);
	float *moving_mean = nn_store_data(network, s->moving_mean);
	float *moving_variance = nn_store_data(network, s->moving_variance);
	const float *gamma = nn_store_data(network, s->gamma), *beta = nn_store_data(network, s->beta);
	float *scale = nn_store_data(network, s->scale), *shift = nn_store_data(network, s->shift);
	size_t count = nn_padded(network, layer->channels), bytes = count * sizeof(float);
	if (network->training && s->batch_statistics) {
		nn_channel_statistics(&s->view, x, (double *)nn_store_data(network, s->partial), mean, rest, deviation);
		const float keep = fminf(layer->momentum, 1.0f - network->statistics_share);
		for (size_t i = 0; i < count && !network->statistics_held; i++) {
			moving_mean[i] = moving_mean[i] * keep + mean[i] * (1.0f - keep);
			moving_variance[i] = moving_variance[i] * keep + deviation[i] * (1.0f - keep);
		}
	} else {
		memcpy(mean, moving_mean, bytes);
		memset(rest, 0, bytes);
		memcpy(deviation, moving_variance, bytes);
	}
	for (size_t i = 0; i < count; i++) {
		double inverse = 1.0 / sqrt((double)deviation[i] + (double)layer->epsilon);
		deviation[i] = (float)inverse;
		scale[i] = (float)((double)gamma[i] * inverse);
		shift[i] = (float)((double)beta[i] - (double)rest[i] * (double)scale[i]);
	}
}

static bm_status norm_forward(nn_network *network, nn_op *op, bm_error *err)
{
	(void)err;
	const norm_state *s = op->state;
	const void *x = nn_data(network, op, op->input);
	const void *residual = op->residual >= 0 ? nn_data(network, op, op->residual) : NULL;
	prepare(network, op, s, x);
	nn_channel_affine(&s->view, x, residual, nn_store_data(network, s->mean), nn_store_data(network, s->scale),
			  nn_store_data(network, s->shift), op->relu >= 0,
			  network->tensors[op->output].bf16 ? NULL : nn_data(network, op, op->output),
			  s->half >= 0 ? nn_buffer_half(network, s->half) : NULL);
	return BM_OK;
}

/* dx = gamma / sqrt(v + e) * (dz - mean(dz) - (x - m) / (v + e) * mean(dz (x - m))): Ioffe and Szegedy 2015. */
static bm_status norm_backward(nn_network *network, nn_op *op, bm_error *err)
{
	(void)err;
	const norm_state *s = op->state;
	const nn_layer *layer = nn_op_layer(network, op->norm);
	const nn_tensor *output = &network->tensors[op->output];
	const void *x = nn_data(network, op, op->input);
	const float *scale = nn_store_data(network, s->scale), *mean = nn_store_data(network, s->mean);
	const float *deviation = nn_store_data(network, s->deviation), *rest = nn_store_data(network, s->rest);
	float *sums = nn_store_data(network, s->sums), *products = nn_store_data(network, s->products);
	float *a = nn_store_data(network, s->a), *b = nn_store_data(network, s->b), *c = nn_store_data(network, s->c);
	float *dz = nn_gradient(network, op->output);
	nn_norm_gradient g = {.x = x, .g1 = dz, .relu = op->relu >= 0, .scale = scale, .mean = mean, .dz = dz};
	g.shift = nn_store_data(network, s->shift);
	if (output->gradient_buffer2 >= 0)
		g.g2 = nn_buffer_data(network, output->gradient_buffer2);
	if (op->relu >= 0 && op->residual >= 0)
		g.out = nn_data(network, op, op->output);
	nn_norm_reduce(&s->view, &g, (double *)nn_store_data(network, s->partial), sums, products);
	size_t count = nn_padded(network, layer->channels);
	if (s->batch_statistics) {
		float *gamma_gradient = nn_store_data(network, s->gamma_gradient);
		memcpy(nn_store_data(network, s->beta_gradient), sums, count * sizeof *sums);
		double n = (double)output->batch * output->height * output->width;
		for (size_t i = 0; i < count; i++) {
			double product = (double)products[i] - (double)sums[i] * (double)rest[i];
			gamma_gradient[i] = (float)(product * (double)deviation[i]);
			double slope = -(double)scale[i] * (double)deviation[i] * (double)deviation[i] * product / n;
			a[i] = scale[i];
			b[i] = (float)slope;
			c[i] = (float)(-(double)scale[i] * sums[i] / n - slope * (double)rest[i]);
		}
	}
	size_t floats = output->image_floats * (size_t)output->batch;
	if (s->residual_target >= 0) {
		nn_copy(dz, nn_buffer_data(network, s->residual_target), floats);
		nn_gradient_finish(network, op->residual, s->residual_target, s->residual_extra);
	}
	const int half = network->tensors[op->input].gradient_half;
	if (half >= 0)
		nn_norm_apply(&s->view, dz, x, mean, a, b, c, NULL, nn_buffer_half(network, half));
	if (s->target < 0)
		return BM_OK;
	float *dx = nn_buffer_data(network, s->target);
	if (s->batch_statistics)
		nn_norm_apply(&s->view, dz, x, mean, a, b, c, dx, NULL);
	else
		nn_norm_apply(&s->view, dz, NULL, NULL, scale, NULL, NULL, dx, NULL);
	nn_gradient_finish(network, op->input, s->target, s->extra);
	return BM_OK;
}

static bm_status norm_load(nn_network *network, nn_op *op, const nn_weights *weights, bm_error *err)
{
	(void)err;
	const norm_state *s = op->state;
	const size_t places[4] = {s->gamma, s->beta, s->moving_mean, s->moving_variance};
	for (int i = 0; i < 4; i++) {
		const nn_weight *weight = nn_weights_find(weights, op->norm, (nn_role)(NN_GAMMA + i));
		memcpy(nn_store_data(network, places[i]), weight->values, weight->count * sizeof(float));
	}
	return BM_OK;
}

static bm_status norm_store(nn_network *network, nn_op *op, nn_weights *weights, bm_error *err)
{
	(void)err;
	const norm_state *s = op->state;
	const size_t places[4] = {s->gamma, s->beta, s->moving_mean, s->moving_variance};
	for (int i = 0; i < 4 && s->batch_statistics; i++) {
		const nn_weight *weight = nn_weights_find(weights, op->norm, (nn_role)(NN_GAMMA + i));
		memcpy(weight->values, nn_store_data(network, places[i]), weight->count * sizeof(float));
	}
	return BM_OK;
}

static bm_status norm_convert(nn_network *network, nn_op *op, nn_role role, bool to_keras, const float *from, float *to,
			      bm_error *err)
{
	(void)role;
	(void)err;
	const nn_layer *layer = nn_op_layer(network, op->norm);
	size_t count = (size_t)layer->channels;
	memcpy(to, from, count * sizeof *to);
	if (!to_keras)
		memset(to + count, 0, (nn_padded(network, layer->channels) - count) * sizeof *to);
	return BM_OK;
}

const nn_op_class nn_norm_class = {
	.name = "batch norm",
	.sums_gradients = true,
	.plan = norm_plan,
	.plan_backward = norm_plan_backward,
	.forward = norm_forward,
	.backward = norm_backward,
	.load = norm_load,
	.store = norm_store,
	.convert = norm_convert,
	.free = base_free,
};
