#include <string.h>

#include "base/clones.h"
#include "nn/internal.h"

#define RUN 256	    /* summands that are added in f32 before they go to double */
#define PIECE 16384 /* floats that a thread takes at a time */

typedef struct row_kernels {
	void (*statistics)(const void *x, size_t inner, size_t stride, const void *shift, double *sum, double *square);
	void (*affine)(const void *x, const void *residual, int residual_half, float *y, size_t inner, size_t stride,
		       const float *mean, const float *scale, const float *shift, int relu);
	void (*affine_half)(const void *x, const void *residual, int residual_half, float *y, uint16_t *half,
			    size_t inner, size_t stride, const float *mean, const float *scale, const float *shift,
			    int relu);
	void (*reduce)(const void *x, const float *g1, const float *g2, const void *out, float *dz, size_t inner,
		       size_t stride, int mode, const float *scale, const float *shift, const float *mean, double *sum,
		       double *product);
	void (*apply)(const float *dz, const void *x, float *dx, size_t inner, size_t stride, const float *mean,
		      const float *a, const float *b, const float *c);
	void (*apply_half)(const float *dz, const void *x, uint16_t *dx, size_t inner, size_t stride, const float *mean,
			   const float *a, const float *b, const float *c);
	void (*scale)(const float *dz, float *dx, size_t inner, size_t stride, const float *a);
} row_kernels;

#define LANES 16
#define GROUPS 4
#define X float
#include "nn/kernels_lanes.h"
#define LANES 16
#define GROUPS 1
#define X float
#include "nn/kernels_lanes.h"
#define LANES 16
#define GROUPS 4
#define X uint16_t
#include "nn/kernels_lanes.h"
#define LANES 16
#define GROUPS 1
#define X uint16_t
#include "nn/kernels_lanes.h"
#define LANES 8
#define GROUPS 1
#define X float
#include "nn/kernels_lanes.h"
#define LANES 1
#define GROUPS 1
#define X float
#include "nn/kernels_lanes.h"

size_t nn_padded(const nn_network *network, int channels)
{
	size_t lanes = (size_t)network->lanes;
	return ((size_t)channels + lanes - 1) / lanes * lanes;
}

nn_view nn_view_of(const nn_network *network, const nn_tensor *tensor, int batch)
{
	nn_view view = {.images = batch, .lanes = network->lanes, .last = network->lanes};
	view.blocks = (int)(nn_padded(network, tensor->channels) / (size_t)network->lanes);
	size_t area = (size_t)tensor->height * (size_t)tensor->width, lanes = (size_t)network->lanes;
	if (tensor->layout == NN_FLAT) { /* the batch takes the place of the pixels */
		view.images = 1;
		view.last = tensor->channels - (view.blocks - 1) * network->lanes;
		view.inner = (size_t)batch;
		view.block_stride = lanes;
		view.inner_stride = (size_t)tensor->channels;
		return view;
	}
	view.inner = area;
	view.image_stride = tensor->image_floats;
	view.block_stride = area * lanes;
	view.inner_stride = lanes;
	if (tensor->layout == NN_LAST) {
		const size_t channels = (size_t)tensor->channels;
		if (channels % NN_LANES_MAX == 0) /* four at a time: nearer to the order of the memory */
			view.lanes = view.last = NN_LANES_MAX;
		view.blocks = tensor->channels / view.lanes;
		view.block_stride = (size_t)view.lanes;
		view.inner_stride = channels;
	}
	return view;
}

/* The kernels of a block: whole groups, or (behind the last channel of a flat tensor) one lane at a time. */
static const row_kernels *kernels_of(const nn_view *view, int block, int *step, int *lanes)
{
	*lanes = block == view->blocks - 1 ? view->last : view->lanes;
	if (*lanes == 64) {
		*step = 64;
		return view->half ? &kernels16x4_uint16_t : &kernels16x4_float;
	}
	if (*lanes == 16) {
		*step = 16;
		return view->half ? &kernels16x1_uint16_t : &kernels16x1_float;
	}
	if (*lanes == 8) {
		*step = 8;
		return &kernels8x1_float;
	}
	*step = 1;
	return &kernels1x1_float;
}

/* Where value `i` is; NULL of NULL. */
static const void *value_at(const void *values, bool half, size_t i)
{
	return values ? (const char *)values + i * (half ? sizeof(uint16_t) : sizeof(float)) : NULL;
}

static const void *x_at(const nn_view *view, const void *x, size_t i)
{
	return value_at(x, view->half, i);
}

static float x_value(const nn_view *view, const void *x, size_t i)
{
	if (!view->half)
		return ((const float *)x)[i];
	const uint32_t bits = (uint32_t)((const uint16_t *)x)[i] << 16;
	float value;
	memcpy(&value, &bits, sizeof value);
	return value;
}

size_t nn_partial_doubles(const nn_view *view)
{
	return 2 * (size_t)view->blocks * (size_t)view->images * NN_LANES_MAX;
}

/* Adds the images' partial sums in their order. */
static void combine(const nn_view *view, const double *partial, int block, double *first, double *second)
{
	for (int l = 0; l < view->lanes; l++)
		first[l] = second[l] = 0.0;
	for (int n = 0; n < view->images; n++) {
		const double *sums =
			partial + 2 * (size_t)NN_LANES_MAX * ((size_t)block * (size_t)view->images + (size_t)n);
		for (int l = 0; l < view->lanes; l++) {
			first[l] += sums[l];
			second[l] += sums[NN_LANES_MAX + l];
		}
	}
}

void nn_channel_statistics(const nn_view *view, const void *x, double *partial, float *mean, float *rest,
			   float *variance)
{
#pragma omp parallel for collapse(2) schedule(static)
	for (int n = 0; n < view->images; n++) {
		for (int b = 0; b < view->blocks; b++) {
			int step, lanes;
			const row_kernels *k = kernels_of(view, b, &step, &lanes);
			const size_t first = (size_t)b * view->block_stride; /* the origin: any value near the mean */
			const size_t row = first + (size_t)n * view->image_stride;
			double *sums =
				partial + 2 * (size_t)NN_LANES_MAX * ((size_t)b * (size_t)view->images + (size_t)n);
			memset(sums, 0, 2 * NN_LANES_MAX * sizeof *sums);
			for (int l = 0; l < lanes; l += step)
				k->statistics(x_at(view, x, row + (size_t)l), view->inner, view->inner_stride,
					      x_at(view, x, first + (size_t)l), sums + l, sums + NN_LANES_MAX + l);
		}
	}
	double count = (double)view->inner * view->images;
	for (int b = 0; b < view->blocks; b++) {
		double sum[NN_LANES_MAX], square[NN_LANES_MAX];
		combine(view, partial, b, sum, square);
		int lanes = b == view->blocks - 1 ? view->last : view->lanes;
		for (int l = 0; l < view->lanes; l++) {
			size_t c = (size_t)b * (size_t)view->lanes + (size_t)l;
			double offset = sum[l] / count, spread = square[l] / count - offset * offset;
			const size_t first = (size_t)b * view->block_stride + (size_t)l;
			double exact = l < lanes ? (double)x_value(view, x, first) + offset : 0.0;
			mean[c] = (float)exact;
			rest[c] = (float)(exact - (double)mean[c]);
			variance[c] = l < lanes && spread > 0.0 ? (float)spread : 0.0f;
		}
	}
}

void nn_channel_affine(const nn_view *view, const void *x, const void *residual, const float *mean, const float *scale,
		       const float *shift, bool relu, float *y, uint16_t *half)
{
#pragma omp parallel for collapse(2) schedule(static)
	for (int n = 0; n < view->images; n++) {
		for (int b = 0; b < view->blocks; b++) {
			int step, lanes;
			const row_kernels *k = kernels_of(view, b, &step, &lanes);
			size_t at = (size_t)n * view->image_stride + (size_t)b * view->block_stride;
			size_t c = (size_t)b * (size_t)view->lanes;
			for (int l = 0; l < lanes; l += step) {
				const void *other = value_at(residual, view->residual_half, at + (size_t)l);
				const void *from = x_at(view, x, at + (size_t)l);
				if (half != NULL)
					k->affine_half(from, other, view->residual_half, y ? y + at + l : NULL,
						       half + at + l, view->inner, view->inner_stride, mean + c + l,
						       scale + c + l, shift + c + l, relu);
				else
					k->affine(from, other, view->residual_half, y + at + l, view->inner,
						  view->inner_stride, mean + c + l, scale + c + l, shift + c + l, relu);
			}
		}
	}
}

void nn_norm_reduce(const nn_view *view, const nn_norm_gradient *g, double *partial, float *sums, float *products)
{
	int mode = !g->relu ? 0 : !g->out ? 1 : view->out_half ? 3 : 2;
#pragma omp parallel for collapse(2) schedule(static)
	for (int n = 0; n < view->images; n++) {
		for (int b = 0; b < view->blocks; b++) {
			int step, lanes;
			const row_kernels *k = kernels_of(view, b, &step, &lanes);
			size_t at = (size_t)n * view->image_stride + (size_t)b * view->block_stride;
			size_t c = (size_t)b * (size_t)view->lanes;
			double *part =
				partial + 2 * (size_t)NN_LANES_MAX * ((size_t)b * (size_t)view->images + (size_t)n);
			memset(part, 0, 2 * NN_LANES_MAX * sizeof *part);
			for (int l = 0; l < lanes; l += step)
				k->reduce(x_at(view, g->x, at + (size_t)l), g->g1 + at + l,
					  g->g2 ? g->g2 + at + l : NULL,
					  value_at(g->out, view->out_half, at + (size_t)l), g->dz + at + l, view->inner,
					  view->inner_stride, mode, g->scale + c + l, g->shift + c + l, g->mean + c + l,
					  part + l, part + NN_LANES_MAX + l);
		}
	}
	for (int b = 0; b < view->blocks; b++) {
		double sum[NN_LANES_MAX], product[NN_LANES_MAX];
		combine(view, partial, b, sum, product);
		for (int l = 0; l < view->lanes; l++) {
			sums[b * view->lanes + l] = (float)sum[l];
			products[b * view->lanes + l] = (float)product[l];
		}
	}
}

void nn_norm_apply(const nn_view *view, const float *dz, const void *x, const float *mean, const float *a,
		   const float *b, const float *c, float *dx, uint16_t *half)
{
#pragma omp parallel for collapse(2) schedule(static)
	for (int n = 0; n < view->images; n++) {
		for (int block = 0; block < view->blocks; block++) {
			int step, lanes;
			const row_kernels *k = kernels_of(view, block, &step, &lanes);
			size_t at = (size_t)n * view->image_stride + (size_t)block * view->block_stride;
			size_t ch = (size_t)block * (size_t)view->lanes;
			for (int l = 0; l < lanes; l += step) {
				if (half != NULL)
					k->apply_half(dz + at + l, x_at(view, x, at + (size_t)l), half + at + l,
						      view->inner, view->inner_stride, mean + ch + l, a + ch + l,
						      b + ch + l, c + ch + l);
				else if (x != NULL)
					k->apply(dz + at + l, x_at(view, x, at + (size_t)l), dx + at + l, view->inner,
						 view->inner_stride, mean + ch + l, a + ch + l, b + ch + l, c + ch + l);
				else
					k->scale(dz + at + l, dx + at + l, view->inner, view->inner_stride, a + ch + l);
			}
		}
	}
}

void nn_global_average(const nn_view *view, int channels, const float *x, float *y)
{
	static const float zero[NN_LANES_MAX];
#pragma omp parallel for collapse(2) schedule(static)
	for (int n = 0; n < view->images; n++) {
		for (int b = 0; b < view->blocks; b++) {
			int step, lanes;
			const row_kernels *k = kernels_of(view, b, &step, &lanes);
			const float *row = x + (size_t)n * view->image_stride + (size_t)b * view->block_stride;
			double sum[NN_LANES_MAX] = {0}, square[NN_LANES_MAX] = {0};
			for (int l = 0; l < lanes; l += step)
				k->statistics(row + l, view->inner, view->inner_stride, zero, sum + l, square + l);
			for (int l = 0; l < lanes && b * view->lanes + l < channels; l++)
				y[(size_t)n * (size_t)channels + (size_t)(b * view->lanes + l)] =
					(float)(sum[l] / (double)view->inner);
		}
	}
}

void nn_global_average_gradient(const nn_view *view, int channels, const float *dy, float *dx)
{
#pragma omp parallel for collapse(2) schedule(static)
	for (int n = 0; n < view->images; n++) {
		for (int b = 0; b < view->blocks; b++) {
			float *row = dx + (size_t)n * view->image_stride + (size_t)b * view->block_stride;
			float value[NN_LANES_MAX] = {0};
			for (int l = 0; l < view->lanes && b * view->lanes + l < channels; l++)
				value[l] = dy[(size_t)n * (size_t)channels + (size_t)(b * view->lanes + l)] /
					   (float)view->inner;
			for (size_t i = 0; i < view->inner; i++)
				memcpy(row + i * view->inner_stride, value, (size_t)view->lanes * sizeof *value);
		}
	}
}

/* ---- whole arrays ---- */

BASE_CLONES static void piece_relu(const float *x, float *y, size_t count)
{
	for (size_t i = 0; i < count; i++)
		y[i] = x[i] < 0.0f ? 0.0f : x[i]; /* a NaN stays */
}

BASE_CLONES static void piece_add(const float *a, const float *b, float *y, size_t count)
{
	for (size_t i = 0; i < count; i++)
		y[i] = a[i] + b[i];
}

BASE_CLONES static void piece_mask(const float *y, const float *gradient, float *out, size_t count)
{
	for (size_t i = 0; i < count; i++)
		out[i] = y[i] > 0.0f ? gradient[i] : 0.0f;
}

void nn_relu(const float *x, float *y, size_t count)
{
#pragma omp parallel for schedule(static)
	for (size_t begin = 0; begin < count; begin += PIECE)
		piece_relu(x + begin, y + begin, count - begin < PIECE ? count - begin : PIECE);
}

void nn_add_arrays(const float *a, const float *b, float *y, size_t count, bool relu)
{
#pragma omp parallel for schedule(static)
	for (size_t begin = 0; begin < count; begin += PIECE) {
		size_t size = count - begin < PIECE ? count - begin : PIECE;
		piece_add(a + begin, b + begin, y + begin, size);
		if (relu)
			piece_relu(y + begin, y + begin, size);
	}
}

void nn_relu_mask(const float *y, const float *gradient, float *out, size_t count)
{
#pragma omp parallel for schedule(static)
	for (size_t begin = 0; begin < count; begin += PIECE)
		piece_mask(y + begin, gradient + begin, out + begin, count - begin < PIECE ? count - begin : PIECE);
}

typedef uint32_t float_bits __attribute__((may_alias));

/* A NaN stays one: rounding it could carry into the sign. */
BASE_CLONES static void round_piece(const float_bits *restrict from, uint16_t *restrict to, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const uint32_t u = from[i], nearest = (u + 0x7fff + ((u >> 16) & 1)) >> 16, nan = (u >> 16) | 0x40;
		to[i] = (uint16_t)((u & 0x7fffffff) > 0x7f800000 ? nan : nearest);
	}
}

void nn_to_bf16(const float *from, uint16_t *to, size_t count)
{
	const long pieces = (long)((count + PIECE - 1) / PIECE);
#pragma omp parallel for schedule(static) if (pieces > 1)
	for (long p = 0; p < pieces; p++) {
		const size_t begin = (size_t)p * PIECE, size = count - begin < PIECE ? count - begin : PIECE;
		round_piece((const float_bits *)from + begin, to + begin, size);
	}
}

void nn_copy(const float *from, float *to, size_t count)
{
#pragma omp parallel for schedule(static)
	for (size_t begin = 0; begin < count; begin += PIECE)
		memcpy(to + begin, from + begin, (count - begin < PIECE ? count - begin : PIECE) * sizeof *to);
}
