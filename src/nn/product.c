/* The weight gradient of a convolution in NN_LAST as one product of matrices, [kernel y][kernel x][in][pixels] x [pixels][out]: oneDNN's own pass
 * takes up to ten times as long, on small images most. */
#include <string.h>

#include "nn/internal.h"

/* Up to this height and width of the output the product pays for kernels over 1x1 too: its windows take memory and time. */
enum { PRODUCT_SIDE = 16 };

bool nn_product_pays(const nn_network *network, const nn_op *op)
{
	const nn_layer *layer = &network->graph.layers[op->main];
	const nn_tensor *in = &network->tensors[op->input];
	return in->layout == NN_LAST && in->channels % network->lanes == 0 &&
	       (layer->kernel == 1 || (layer->height <= PRODUCT_SIDE && layer->width <= PRODUCT_SIDE));
}

bool nn_windows_are_pixels(const nn_network *network, const nn_op *op)
{
	const nn_layer *layer = &network->graph.layers[op->main];
	const nn_tensor *in = &network->tensors[op->input];
	return in->layout == NN_LAST && layer->kernel == 1 && layer->stride == 1 && layer->height == in->height &&
	       layer->width == in->width;
}

bm_status nn_product_plan(nn_network *network, const nn_op *op, int *primitive, int *windows, bm_error *err)
{
	const nn_layer *layer = &network->graph.layers[op->main];
	const dnnl_dim_t pixels = (dnnl_dim_t)op->batch * layer->height * layer->width;
	const dnnl_dim_t covered = (dnnl_dim_t)layer->kernel * layer->kernel * network->tensors[op->input].channels;
	*windows = -1;
	if (!nn_windows_are_pixels(network, op)) {
		const int time = nn_backward_time(network, op);
		bm_status status =
			nn_buffer_add(network, (size_t)(pixels * covered) * sizeof(uint16_t), time, time, windows, err);
		if (status != BM_OK)
			return status;
	}
	dnnl_memory_desc_t x, dy, gradient;
	dnnl_matmul_desc_t desc;
	dnnl_memory_desc_init_by_tag(&x, 2, (dnnl_dims_t){covered, pixels}, dnnl_bf16, dnnl_ba);
	dnnl_memory_desc_init_by_tag(&dy, 2, (dnnl_dims_t){pixels, layer->units}, dnnl_bf16, dnnl_ab);
	dnnl_memory_desc_init_by_tag(&gradient, 2, (dnnl_dims_t){covered, layer->units}, dnnl_f32, dnnl_ab);
	dnnl_status_t status = dnnl_matmul_desc_init(&desc, &x, &dy, NULL, &gradient);
	if (status != dnnl_success)
		return nn_dnnl_fail(err, status, layer->name, "a weight gradient");
	return nn_primitive_add(network, layer->name, &desc, NULL, -1, primitive, err);
}

void nn_gather_windows(const nn_network *network, const nn_op *op, const dnnl_dim_t before[2], const uint16_t *x,
		       uint16_t *to)
{
	const nn_layer *layer = &network->graph.layers[op->main];
	const nn_tensor *in = &network->tensors[op->input];
	const int kernel = layer->kernel, height = layer->height, width = layer->width;
	const size_t pixel = (size_t)in->channels, bytes = pixel * sizeof *to;
	const size_t window = (size_t)kernel * (size_t)kernel * pixel;
	const long rows = (long)op->batch * height;
#pragma omp parallel for schedule(static)
	for (long r = 0; r < rows; r++) {
		const uint16_t *image = x + (size_t)(r / height) * in->image_floats;
		const int top = (int)(r % height) * layer->stride - (int)before[0];
		uint16_t *at = to + (size_t)r * (size_t)width * window;
		for (int column = 0; column < width; column++) {
			const int left = column * layer->stride - (int)before[1];
			for (int i = 0; i < kernel * kernel; i++, at += pixel) {
				const int y = top + i / kernel, side = left + i % kernel;
				if (y < 0 || y >= in->height || side < 0 || side >= in->width)
					memset(at, 0, bytes);
				else
					memcpy(at, image + ((size_t)y * (size_t)in->width + (size_t)side) * pixel,
					       bytes);
			}
		}
	}
}
