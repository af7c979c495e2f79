/* Separable resampling with a triangle filter, as Pillow's BILINEAR (its Resample.c, whose results this gives byte
 * for byte): the filter is as wide as the reduction, weights have 22 fraction bits, and each direction rounds to 8
 * bits. Whole numbers only in the loops, so that every machine and instruction set gives the same bytes.
 *
 * Columns are resized by turning the image on its side, so that both directions run the same loop along contiguous
 * rows. */
#include <math.h>
#include <string.h>

#include "base/clones.h"
#include "base/memory.h"
#include "image/codec.h"

enum { FRACTION = 22, TILE = 16 };

typedef uint8_t bytes16 __attribute__((vector_size(16)));

typedef struct taps {
	int width;	  /* weights kept per target pixel */
	int *first;	  /* [targets] first source pixel */
	int *count;	  /* [targets] source pixels, at most width */
	int32_t *weights; /* [targets][width], the sum of a target's is close to 1 << FRACTION */
} taps;

static void free_taps(taps *t)
{
	base_free(t->first);
	base_free(t->count);
	base_free(t->weights);
}

/* Thousands of tiny weights, each rounded, may be far from 1 in sum: then the rounding error is carried along. */
static void balance(int32_t *weights, int count, double scale, double centre, int first, double sum)
{
	const double one = 1 << FRACTION;
	double exact = 0, given = 0;
	for (int i = 0; i < count; i++) {
		double distance = fabs(((double)first + i - centre + 0.5) / scale);
		exact += (distance < 1 ? 1 - distance : 0) / sum * one;
		weights[i] = (int32_t)(exact - given + 0.5);
		given += weights[i];
	}
}

static bm_status make_taps(taps *t, int from, int to, bm_error *err)
{
	const double ratio = (double)from / to, scale = ratio < 1 ? 1 : ratio;
	const double one = 1 << FRACTION;
	double reach = ceil(scale) * 2 + 1;
	*t = (taps){.width = reach < from ? (int)reach : from};
	t->first = base_malloc((size_t)to, sizeof *t->first, "a resampling table", err);
	t->count = base_malloc((size_t)to, sizeof *t->count, "a resampling table", err);
	t->weights = base_calloc((size_t)to * (size_t)t->width, sizeof *t->weights, "a resampling table", err);
	if (!t->first || !t->count || !t->weights)
		return BM_ERR_MEMORY;
	for (int i = 0; i < to; i++) {
		double centre = (i + 0.5) * ratio;
		int first = (int)(centre - scale + 0.5), end = (int)(centre + scale + 0.5);
		if (first < 0)
			first = 0;
		if (end > from)
			end = from;
		if (end - first > t->width)
			end = first + t->width;
		int32_t *weights = t->weights + (size_t)i * (size_t)t->width;
		double sum = 0;
		int64_t total = 0;
		for (int k = first; k < end; k++) {
			double distance = fabs((k - centre + 0.5) / scale);
			sum += distance < 1 ? 1 - distance : 0;
		}
		for (int k = first; k < end; k++) {
			double distance = fabs((k - centre + 0.5) / scale);
			weights[k - first] = (int32_t)(0.5 + (distance < 1 ? 1 - distance : 0) / sum * one);
			total += weights[k - first];
		}
		int64_t off = total - (1 << FRACTION);
		if (off > 1 << (FRACTION - 11) || off < -(1 << (FRACTION - 11)))
			balance(weights, end - first, scale, centre, first, sum);
		t->first[i] = first;
		t->count[i] = end - first;
	}
	return BM_OK;
}

/* to[rows][stride]: each row is a weighted sum of rows of from[][stride]. */
BASE_CLONES static void resize_rows(const uint8_t *restrict from, uint8_t *restrict to, size_t stride, size_t rows,
				    const taps *t)
{
	enum { CHUNK = 64 };
	for (size_t y = 0; y < rows; y++) {
		const int32_t *weights = t->weights + y * (size_t)t->width;
		const uint8_t *top = from + (size_t)t->first[y] * stride;
		const int count = t->count[y];
		uint8_t *line = to + y * stride;
		size_t x = 0;
		for (; x < stride && stride >= CHUNK; x += CHUNK) {
			if (x > stride - CHUNK)
				x = stride - CHUNK; /* the last chunk overlaps the one before */
			int32_t sum[CHUNK];
			for (int i = 0; i < CHUNK; i++)
				sum[i] = 1 << (FRACTION - 1);
			for (int k = 0; k < count; k++) {
				const uint8_t *row = top + (size_t)k * stride + x;
				const int32_t weight = weights[k];
				for (int i = 0; i < CHUNK; i++)
					sum[i] += weight * row[i];
			}
			for (int i = 0; i < CHUNK; i++) {
				int32_t value = sum[i] >> FRACTION;
				line[x + (size_t)i] = (uint8_t)(value > 255 ? 255 : value);
			}
		}
		for (; x < stride; x++) {
			int32_t sum = 1 << (FRACTION - 1);
			for (int k = 0; k < count; k++)
				sum += weights[k] * top[(size_t)k * stride + x];
			sum >>= FRACTION;
			line[x] = (uint8_t)(sum > 255 ? 255 : sum);
		}
	}
}

static inline bytes16 interleave_low(bytes16 a, bytes16 b)
{
	return __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
}

static inline bytes16 interleave_high(bytes16 a, bytes16 b)
{
	return __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
}

/* A tile of 16 x 16 bytes on its side: four rounds of interleaving row i with row i + 8. */
static inline void turn_tile(const uint8_t *from, size_t from_stride, uint8_t *to, size_t to_stride)
{
	bytes16 a[TILE], b[TILE];
	for (int i = 0; i < TILE; i++)
		memcpy(&a[i], from + (size_t)i * from_stride, TILE);
	for (int round = 0; round < 4; round++) {
		for (int i = 0; i < TILE / 2; i++) {
			b[2 * i] = interleave_low(a[i], a[i + TILE / 2]);
			b[2 * i + 1] = interleave_high(a[i], a[i + TILE / 2]);
		}
		memcpy(a, b, sizeof a);
	}
	for (int i = 0; i < TILE; i++)
		memcpy(to + (size_t)i * to_stride, &a[i], TILE);
}

static void turn_grey(const uint8_t *from, uint8_t *to, size_t width, size_t height)
{
	size_t whole = height / TILE * TILE;
	for (size_t y = 0; y < whole; y += TILE) {
		size_t x = 0;
		for (; x + TILE <= width; x += TILE)
			turn_tile(from + y * width + x, width, to + x * height + y, height);
		for (; x < width; x++) {
			for (size_t i = y; i < y + TILE; i++)
				to[x * height + i] = from[i * width + x];
		}
	}
	for (size_t y = whole; y < height; y++) {
		for (size_t x = 0; x < width; x++)
			to[x * height + y] = from[y * width + x];
	}
}

/* Strips of 16 rows, so that what is read stays in the cache. */
static void turn_colour(const uint8_t *from, uint8_t *to, size_t width, size_t height)
{
	for (size_t top = 0; top < height; top += TILE) {
		size_t end = top + TILE < height ? top + TILE : height;
		for (size_t x = 0; x < width; x++) {
			uint8_t *target = to + (x * height + top) * 3;
			for (size_t y = top; y < end; y++, target += 3) {
				const uint8_t *source = from + (y * width + x) * 3;
				target[0] = source[0];
				target[1] = source[1];
				target[2] = source[2];
			}
		}
	}
}

/* to[width][height][channels] = from[height][width][channels] */
static void turn(const uint8_t *from, uint8_t *to, size_t width, size_t height, size_t channels)
{
	if (channels == 1)
		turn_grey(from, to, width, height);
	else
		turn_colour(from, to, width, height);
}

static bm_status resize_width(const image *in, image *out, bm_error *err)
{
	size_t from_w = (size_t)in->width, to_w = (size_t)out->width, h = (size_t)in->height, c = (size_t)in->channels;
	bm_status status = BM_ERR_MEMORY;
	uint8_t *side = base_malloc(from_w * h, c, "an image to resize", err);
	uint8_t *done = base_malloc(to_w * h, c, "an image to resize", err);
	taps t = {0};
	if (side && done && make_taps(&t, in->width, out->width, err) == BM_OK) {
		turn(in->pixels, side, from_w, h, c);
		resize_rows(side, done, h * c, to_w, &t);
		turn(done, out->pixels, h, to_w, c);
		status = BM_OK;
	}
	free_taps(&t);
	base_free(side);
	base_free(done);
	return status;
}

static bm_status resize_height(const image *in, image *out, bm_error *err)
{
	taps t = {0};
	bm_status status = make_taps(&t, in->height, out->height, err);
	if (status == BM_OK)
		resize_rows(in->pixels, out->pixels, (size_t)in->width * (size_t)in->channels, (size_t)out->height, &t);
	free_taps(&t);
	return status;
}

static bm_status resize_both(const image *in, image *out, bm_error *err)
{
	/* Columns first, as Pillow; unless that makes an image over the limit in between, then the other order does
	 * not. */
	bool columns_first = (uint64_t)in->height * (uint64_t)out->width <= IMAGE_PIXEL_LIMIT;
	image middle = {.width = columns_first ? out->width : in->width,
			.height = columns_first ? in->height : out->height,
			.channels = in->channels};
	bm_status status = image_allocate(&middle, err);
	if (status == BM_OK)
		status = columns_first ? resize_width(in, &middle, err) : resize_height(in, &middle, err);
	if (status == BM_OK)
		status = columns_first ? resize_height(&middle, out, err) : resize_width(&middle, out, err);
	image_free(&middle);
	return status;
}

bm_status image_resize(const image *in, image *out, bm_error *err)
{
	if (!in->pixels || in->width < 1 || in->height < 1 || (in->channels != 1 && in->channels != 3) ||
	    in->channels != out->channels)
		return base_fail(err, BM_ERR_USAGE,
				 "cannot resize an image of %d x %d pixels and %d channels to %d channels", in->width,
				 in->height, in->channels, out->channels);
	if (out->width < 1 || out->height < 1 || (uint64_t)out->width * (uint64_t)out->height > IMAGE_PIXEL_LIMIT)
		return base_fail(
			err, BM_ERR_USAGE,
			"cannot resize an image to %d x %d pixels: sides are 1 or more, at most %zu megapixels",
			out->width, out->height, IMAGE_PIXEL_LIMIT >> 20);
	bool wide = in->width != out->width, high = in->height != out->height, ours = out->pixels == NULL;
	bm_status status = ours ? image_allocate(out, err) : BM_OK;
	if (status == BM_OK && wide && high)
		status = resize_both(in, out, err);
	else if (status == BM_OK && wide)
		status = resize_width(in, out, err);
	else if (status == BM_OK && high)
		status = resize_height(in, out, err);
	else if (status == BM_OK)
		memcpy(out->pixels, in->pixels, (size_t)in->width * (size_t)in->height * (size_t)in->channels);
	if (status != BM_OK && ours) {
		base_free(out->pixels);
		out->pixels = NULL;
	}
	return status;
}

/* to[rows][stride], each row a weighted sum of rows of from[][stride]. */
static void mix_rows(const float *restrict from, float *restrict to, size_t stride, int rows, const taps *t)
{
	memset(to, 0, (size_t)rows * stride * sizeof *to);
	for (int y = 0; y < rows; y++, to += stride) {
		for (int k = 0; k < t->count[y]; k++) {
			const float *row = from + (size_t)(t->first[y] + k) * stride;
			const float weight = (float)t->weights[y * t->width + k] / (1 << FRACTION);
			for (size_t x = 0; x < stride; x++)
				to[x] += weight * row[x];
		}
	}
}

static void turn_floats(const float *from, float *to, size_t rows, size_t columns)
{
	for (size_t y = 0; y < rows; y++)
		for (size_t x = 0; x < columns; x++)
			to[x * rows + y] = from[y * columns + x];
}

bm_status image_resize_floats(const float *in, size_t count, int from, float *out, int to, bm_error *err)
{
	if (from < 1 || to < 1)
		return base_fail(err, BM_ERR_USAGE, "cannot resize images of %d x %d to %d x %d pixels", from, from, to,
				 to);
	const size_t n = (size_t)from, m = (size_t)to, room = m * (n > m ? n : m);
	float *middle = base_malloc(room, sizeof *middle, "images to resize", err);
	float *side = base_malloc(room, sizeof *side, "images to resize", err);
	taps t = {0};
	bm_status status = middle && side ? make_taps(&t, from, to, err) : BM_ERR_MEMORY;
	for (size_t i = 0; status == BM_OK && i < count; i++) {
		mix_rows(in + i * n * n, middle, n, to, &t);
		turn_floats(middle, side, m, n);
		mix_rows(side, middle, m, to, &t);
		turn_floats(middle, out + i * m * m, m, m);
	}
	free_taps(&t);
	base_free(side);
	base_free(middle);
	return status;
}
