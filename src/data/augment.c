#include "data/augment.h"

#include <math.h>
#include <string.h>

#include "base/clones.h"
#include "base/memory.h"

enum { CURVE = 64 }; /* pieces of a gamma curve */

bm_status data_scratch_create(int size, data_scratch *out, bm_error *err)
{
	size_t side = (size_t)size + 2;
	*out = (data_scratch){0};
	out->quads = base_malloc(side * side, sizeof *out->quads, "augmentation", err);
	if (out->quads)
		out->plane = base_malloc((size_t)size * (size_t)size, sizeof *out->plane, "augmentation", err);
	if (out->plane)
		out->rows = base_malloc(side * 3, sizeof *out->rows, "augmentation", err);
	if (out->rows)
		out->matched = base_malloc((size_t)size * (size_t)size, sizeof *out->matched, "augmentation", err);
	if (!out->matched) {
		data_scratch_free(out);
		return BM_ERR_MEMORY;
	}
	return BM_OK;
}

void data_scratch_free(data_scratch *scratch)
{
	base_free(scratch->quads);
	base_free(scratch->plane);
	base_free(scratch->rows);
	base_free(scratch->matched);
	*scratch = (data_scratch){0};
}

bool data_augmentation_is_none(const data_augmentation *a)
{
	return !a->flip && a->rotation == 0 && a->shift == 0 && a->zoom == 0 && a->brightness == 0 &&
	       a->contrast == 0 && a->stretch == 0 && a->gamma == 0 && a->sharpness == 0 && a->noise == 0 &&
	       a->levels == 0 && a->erase == 0;
}

enum { LEVELS = 256, GROUND = 12 }; /* darker pixels are the background */

static size_t count_levels(const uint8_t *pixels, size_t count, uint32_t levels[LEVELS])
{
	size_t n = 0;
	memset(levels, 0, LEVELS * sizeof *levels);
	for (size_t i = 0; i < count; i++)
		levels[pixels[i]]++;
	for (int v = GROUND; v < LEVELS; v++)
		n += levels[v];
	return n;
}

void data_match_levels(const uint8_t *pixels, const uint8_t *like, size_t count, float amount, uint8_t *out)
{
	uint32_t own[LEVELS], other[LEVELS];
	uint8_t table[LEVELS];
	const size_t own_count = count_levels(pixels, count, own), other_count = count_levels(like, count, other);
	/* The level of `other` below which as large a share lies, from the middle of each own level. */
	double below = 0, passed = 0;
	int at = GROUND;
	for (int v = 0; v < LEVELS; v++) {
		table[v] = (uint8_t)v;
		if (v < GROUND || own_count == 0 || other_count == 0)
			continue;
		const double wanted = (below + own[v] / 2.0) / (double)own_count * (double)other_count;
		below += own[v];
		while (at < LEVELS - 1 && passed + other[at] < wanted)
			passed += other[at++];
		const double within = other[at] > 0 ? (wanted - passed) / other[at] - 0.5 : 0;
		const double matched = at + fmin(fmax(within, -0.5), 0.5);
		table[v] = (uint8_t)(v + (double)amount * (fmin(matched, LEVELS - 1) - v) + 0.5);
	}
	for (size_t i = 0; i < count; i++)
		out[i] = table[pixels[i]];
}

BASE_CLONES static void convert(const uint8_t *restrict pixels, size_t count, float *restrict out)
{
	for (size_t i = 0; i < count; i++)
		out[i] = (float)pixels[i] / 255.0f;
}

BASE_CLONES static void convert3(const uint8_t *restrict pixels, size_t count, float *restrict out)
{
	for (size_t i = 0; i < count; i++) {
		float value = (float)pixels[i] / 255.0f;
		out[3 * i] = value;
		out[3 * i + 1] = value;
		out[3 * i + 2] = value;
	}
}

void data_pixels_to_floats(const uint8_t *pixels, int size, int channels, float *out)
{
	size_t count = (size_t)size * (size_t)size;
	if (channels == 1)
		convert(pixels, count, out);
	else
		convert3(pixels, count, out);
}

/* quads[y + 1][x + 1] holds pixels (x, y), (x + 1, y), (x, y + 1), (x + 1, y + 1), with 0 outside: one load
 * fetches all that bilinear interpolation wants, and 32-bit loads can be gathered by vector units. */
BASE_CLONES static void build_quads(const uint8_t *restrict pixels, int size, uint32_t *restrict quads)
{
	size_t n = (size_t)size, side = n + 2;
	for (size_t y = 0; y < side; y++) {
		uint32_t *restrict row = quads + y * side;
		/* Of the four, the upper two are in row y - 1, the lower two in row y. */
		const uint8_t *up = y >= 1 && y <= n ? pixels + (y - 1) * n : NULL,
			      *down = y < n ? pixels + y * n : NULL;
		if (!up && !down) {
			memset(row, 0, side * sizeof *row);
			continue;
		}
		row[0] = (up ? (uint32_t)up[0] << 8 : 0) | (down ? (uint32_t)down[0] << 24 : 0);
		if (up && down) {
			for (size_t x = 0; x + 1 < n; x++)
				row[x + 1] = (uint32_t)up[x] | (uint32_t)up[x + 1] << 8 | (uint32_t)down[x] << 16 |
					     (uint32_t)down[x + 1] << 24;
		} else if (up) {
			for (size_t x = 0; x + 1 < n; x++)
				row[x + 1] = (uint32_t)up[x] | (uint32_t)up[x + 1] << 8;
		} else {
			for (size_t x = 0; x + 1 < n; x++)
				row[x + 1] = (uint32_t)down[x] << 16 | (uint32_t)down[x + 1] << 24;
		}
		row[n] = (up ? (uint32_t)up[n - 1] : 0) | (down ? (uint32_t)down[n - 1] << 16 : 0);
		row[n + 1] = 0;
	}
}

BASE_CLONES static uint64_t sum_pixels(const uint8_t *pixels, size_t count)
{
	uint64_t total = 0;
	/* 32 bits hold the sum of 2^24 pixels. */
	for (size_t i = 0; i < count;) {
		size_t end = count - i > 1u << 16 ? i + (1u << 16) : count;
		uint32_t part = 0;
		for (; i < end; i++)
			part += pixels[i];
		total += part;
	}
	return total;
}

/* Where an output pixel's value comes from: source x = a*x + b*y + c, y = d*x + e*y + f; then value = scale *
 * source + offset. */
struct warp {
	float a, b, c, d, e, f;
	float scale, offset;
};

BASE_CLONES static void warp_row(const uint32_t *restrict quads, int size, const struct warp *w, int y,
				 float *restrict out)
{
	const int side = size + 2;
	/* One is added: the quads begin at pixel -1. At 0 and size + 1 the weight of what is inside the image is 0. */
	const float x0 = w->b * (float)y + w->c + 1.0f, y0 = w->e * (float)y + w->f + 1.0f, a = w->a, d = w->d;
	const float scale = w->scale, offset = w->offset, most = (float)(size + 1);
	for (int x = 0; x < size; x++) {
		float sx = x0 + a * (float)x, sy = y0 + d * (float)x;
		sx = sx > 0.0f ? sx : 0.0f;
		sy = sy > 0.0f ? sy : 0.0f;
		sx = sx < most ? sx : most;
		sy = sy < most ? sy : most;
		int ix = (int)sx, iy = (int)sy;
		float fx = sx - (float)ix, fy = sy - (float)iy;
		uint32_t quad = quads[iy * side + ix];
		float p00 = (float)(int)(quad & 255u), p01 = (float)(int)(quad >> 8 & 255u);
		float p10 = (float)(int)(quad >> 16 & 255u), p11 = (float)(int)(quad >> 24);
		float upper = p00 + (p01 - p00) * fx, lower = p10 + (p11 - p10) * fx;
		float value = (upper + (lower - upper) * fy) * scale + offset;
		value = value > 0.0f ? value : 0.0f;
		out[x] = value < 1.0f ? value : 1.0f;
	}
}

BASE_CLONES static void adjust(const uint8_t *restrict pixels, size_t count, float scale, float offset,
			       float *restrict out)
{
	for (size_t i = 0; i < count; i++) {
		float value = (float)pixels[i] * scale + offset;
		value = value > 0.0f ? value : 0.0f;
		out[i] = value < 1.0f ? value : 1.0f;
	}
}

BASE_CLONES static void triple(const float *restrict row, size_t count, float *restrict out)
{
	for (size_t i = 0; i < count; i++) {
		out[3 * i] = row[i];
		out[3 * i + 1] = row[i];
		out[3 * i + 2] = row[i];
	}
}

/* x to the power of gamma in [0, 1], by a table: powf of each pixel would cost more than all else. */
static void make_curve(float gamma, float *curve)
{
	for (int i = 0; i <= CURVE; i++)
		curve[i] = powf((float)i / CURVE, gamma);
	curve[CURVE + 1] = 1;
}

BASE_CLONES static void bend(float *restrict row, size_t count, const float *restrict curve)
{
	for (size_t i = 0; i < count; i++) {
		float at = row[i] * CURVE;
		int below = (int)at;
		row[i] = curve[below] + (curve[below + 1] - curve[below]) * (at - (float)below);
	}
}

BASE_CLONES static void sharpen_row(const float *restrict above, const float *restrict own, const float *restrict below,
				    size_t n, float amount, float *restrict sums, float *restrict out)
{
	/* sums[1 .. n]: down the columns; beyond the edges they repeat. */
	for (size_t x = 0; x < n; x++)
		sums[x + 1] = above[x] + 2 * own[x] + below[x];
	sums[0] = sums[1];
	sums[n + 1] = sums[n];
	for (size_t x = 0; x < n; x++) {
		float value = own[x] + amount * (own[x] - (sums[x] + 2 * sums[x + 1] + sums[x + 2]) / 16);
		value = value > 0.0f ? value : 0.0f;
		out[x] = value < 1.0f ? value : 1.0f;
	}
}

/* x + amount (x - blurred x), blurred by 1-2-1 both ways: amount -1 blurs, above 0 sharpens. rows: [3][size + 2]. */
static void sharpen(float *plane, int size, float amount, float *rows)
{
	const size_t n = (size_t)size;
	float *above = rows, *own = rows + n + 2, *sums = own + n + 2;
	memcpy(above, plane, n * sizeof *above); /* the edge repeats */
	for (size_t y = 0; y < n; y++) {
		float *row = plane + y * n, *before = above;
		memcpy(own, row, n * sizeof *own);
		sharpen_row(above, own, y + 1 < n ? row + n : own, n, amount, sums, row);
		above = own;
		own = before;
	}
}

/* Nearly Gaussian: the sum of four bytes. */
static void add_noise(float *plane, size_t count, float deviation, base_random *random)
{
	const float scale = deviation / 147.8f;
	for (size_t i = 0; i < count; i++) {
		const uint32_t u = base_random_u32(random);
		const int sum = (int)((u & 255) + (u >> 8 & 255) + (u >> 16 & 255) + (u >> 24));
		float value = plane[i] + scale * (float)(sum - 510);
		value = value > 0.0f ? value : 0.0f;
		plane[i] = value < 1.0f ? value : 1.0f;
	}
}

struct box {
	int left, top, right, bottom;
};

/* Random erasing (Zhong et al. 2020). */
static struct box draw_box(base_random *random, float most, int size)
{
	bool any = base_random_u32(random) & 1;
	int width = (int)(base_random_uniform(random) * most * (float)size),
	    height = (int)(base_random_uniform(random) * most * (float)size);
	int left = (int)(base_random_uniform(random) * (float)(size - width)),
	    top = (int)(base_random_uniform(random) * (float)(size - height));
	if (!any)
		width = height = 0;
	return (struct box){left, top, left + width, top + height};
}

void data_augment(const uint8_t *pixels, int size, int channels, const data_augmentation *a, base_random *random,
		  data_scratch *scratch, float *out)
{
	/* All numbers are drawn in any case, so that turning one change off leaves the others as they were. */
	bool flip = base_random_u32(random) & 1;
	float angle = base_random_range(random, -1, 1) * a->rotation * (float)(3.14159265358979 / 180);
	float shift_x = base_random_range(random, -1, 1) * a->shift * (float)size,
	      shift_y = base_random_range(random, -1, 1) * a->shift * (float)size;
	float zoom = 1 + base_random_range(random, -1, 1) * a->zoom;
	float brightness = base_random_range(random, -1, 1) * a->brightness,
	      contrast = 1 + base_random_range(random, -1, 1) * a->contrast;
	float stretch = 1 + base_random_range(random, -1, 1) * a->stretch;
	float gamma = expf(base_random_range(random, -1, 1) * a->gamma);
	struct box erased = draw_box(random, a->erase, size);
	float sharpness = base_random_range(random, -1, 1) * a->sharpness,
	      noise = base_random_uniform(random) * a->noise;
	size_t n = (size_t)size, count = n * n;
	flip = flip && a->flip;
	/* Contrast about the image's mean, as Keras' RandomContrast. */
	float mean = contrast != 1 ? (float)((double)sum_pixels(pixels, count) / (255.0 * (double)count)) : 0;
	struct warp w = {.scale = contrast / 255.0f, .offset = mean * (1 - contrast) + brightness};
	float mirror = flip ? -1.0f : 1.0f, centre = (float)(size - 1) / 2;
	/* The inverse of: mirror, widen by `stretch`, turn by `angle` and grow by `zoom` about the centre, then move. */
	float cosine = cosf(angle) / zoom, sine = sinf(angle) / zoom;
	w.a = mirror * cosine / stretch;
	w.b = mirror * sine / stretch;
	w.d = -sine;
	w.e = cosine;
	w.c = centre - w.a * (centre + shift_x) - w.b * (centre + shift_y);
	w.f = centre - w.d * (centre + shift_x) - w.e * (centre + shift_y);
	float curve[CURVE + 2];
	if (gamma != 1)
		make_curve(gamma, curve);
	bool still = !flip && a->rotation == 0 && a->shift == 0 && a->zoom == 0 && a->stretch == 0;
	if (!still)
		build_quads(pixels, size, scratch->quads);
	float *plane = channels == 1 ? out : scratch->plane;
	for (size_t y = 0; y < n; y++) {
		float *row = plane + y * n;
		if (still)
			adjust(pixels + y * n, n, w.scale, w.offset, row);
		else
			warp_row(scratch->quads, size, &w, (int)y, row);
		if (gamma != 1)
			bend(row, n, curve);
	}
	if (sharpness != 0)
		sharpen(plane, size, sharpness, scratch->rows);
	if (noise > 0)
		add_noise(plane, count, noise, random);
	for (int y = erased.top; y < erased.bottom; y++)
		memset(plane + (size_t)y * n + erased.left, 0, (size_t)(erased.right - erased.left) * sizeof *plane);
	if (channels == 3)
		triple(plane, count, out);
}
