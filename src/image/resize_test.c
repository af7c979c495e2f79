#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"
#include "base/random.h"
#include "image/image.h"

static image make(int width, int height, int channels, uint64_t seed)
{
	image img = {.width = width, .height = height, .channels = channels};
	size_t count = (size_t)width * (size_t)height * (size_t)channels;
	img.pixels = base_malloc(count, 1, "a test image", NULL);
	assert_non_null(img.pixels);
	base_random r = base_random_make(seed, count);
	for (size_t i = 0; i < count; i++)
		img.pixels[i] = (uint8_t)base_random_u32(&r);
	return img;
}

/* One direction in double, straight from the definition: line[count] at step -> n values. */
static void reference_line(const double *from, size_t step, int count, double *to, size_t to_step, int n)
{
	double ratio = (double)count / n, scale = ratio < 1 ? 1 : ratio;
	for (int i = 0; i < n; i++) {
		double centre = (i + 0.5) * ratio, sum = 0, value = 0;
		for (int k = 0; k < count; k++) {
			double weight = 1 - fabs(k + 0.5 - centre) / scale;
			if (weight <= 0)
				continue;
			sum += weight;
			value += weight * from[(size_t)k * step];
		}
		to[(size_t)i * to_step] = value / sum;
	}
}

static void check(int width, int height, int channels, int to_width, int to_height)
{
	bm_error err = {0};
	image in = make(width, height, channels, 7);
	image out = {.width = to_width, .height = to_height, .channels = channels};
	assert_int_equal(image_resize(&in, &out, &err), BM_OK);
	size_t c = (size_t)channels, w = (size_t)width, h = (size_t)height, tw = (size_t)to_width,
	       th = (size_t)to_height;
	double *full = malloc(w * h * c * sizeof *full), *half = malloc(tw * h * c * sizeof *half);
	double *done = malloc(tw * th * c * sizeof *done);
	assert_true(full && half && done);
	for (size_t i = 0; i < w * h * c; i++)
		full[i] = in.pixels[i];
	for (size_t i = 0; i < h * c; i++) {
		size_t y = i / c, k = i % c;
		reference_line(full + y * w * c + k, c, width, half + y * tw * c + k, c, to_width);
	}
	for (size_t i = 0; i < tw * c; i++)
		reference_line(half + i, tw * c, height, done + i, tw * c, to_height);
	for (size_t i = 0; i < tw * th * c; i++) {
		if (fabs(done[i] - out.pixels[i]) > 1.01)
			fail_msg("%dx%dx%d to %dx%d, value %zu: %d, should be %.3f", width, height, channels, to_width,
				 to_height, i, out.pixels[i], done[i]);
	}
	free(full);
	free(half);
	free(done);
	image_free(&in);
	image_free(&out);
}

static void test_against_reference(void **state)
{
	(void)state;
	static const int sizes[][4] = {
		{256, 256, 224, 224}, {225, 225, 224, 224}, {228, 221, 224, 224}, {512, 512, 48, 48},
		{97, 131, 64, 64},    {64, 64, 97, 131},    {1, 1, 5, 7},	  {1, 40, 3, 3},
		{40, 1, 3, 3},	      {17, 19, 1, 1},	    {2, 2, 300, 1},	  {333, 3, 2, 100},
		{16, 16, 16, 31},     {16, 16, 31, 16},	    {129, 65, 65, 129},
	};
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		check(sizes[i][0], sizes[i][1], 1, sizes[i][2], sizes[i][3]);
		check(sizes[i][0], sizes[i][1], 3, sizes[i][2], sizes[i][3]);
	}
}

static void test_identity(void **state)
{
	(void)state;
	bm_error err = {0};
	image in = make(33, 21, 3, 1), out = {.width = 33, .height = 21, .channels = 3};
	assert_int_equal(image_resize(&in, &out, &err), BM_OK);
	assert_memory_equal(in.pixels, out.pixels, 33 * 21 * 3);
	image_free(&in);
	image_free(&out);
}

static void test_constant(void **state)
{
	(void)state;
	static const int sizes[][4] = {{300, 200, 224, 224}, {7, 9, 224, 3}, {300001, 1, 1, 1}, {1, 700001, 1, 3}};
	bm_error err = {0};
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		for (int value = 0; value <= 255; value += 51) {
			image in = make(sizes[i][0], sizes[i][1], 1, 1);
			image out = {.width = sizes[i][2], .height = sizes[i][3], .channels = 1};
			memset(in.pixels, value, (size_t)in.width * (size_t)in.height);
			assert_int_equal(image_resize(&in, &out, &err), BM_OK);
			for (int k = 0; k < out.width * out.height; k++)
				assert_int_equal(out.pixels[k], value);
			image_free(&in);
			image_free(&out);
		}
	}
}

/* Bytes that Pillow 13.0 Image.resize((w, h), BILINEAR) gave for the same picture: the same filter, to the last bit. */
static void test_as_pillow(void **state)
{
	(void)state;
	bm_error err = {0};
	image in = {.width = 13, .height = 9, .channels = 1};
	uint8_t pixels[13 * 9];
	for (int i = 0; i < 13 * 9; i++)
		pixels[i] = (uint8_t)((i * i * 31 + i * 17) % 256);
	in.pixels = pixels;
	static const uint8_t down[4 * 3] = {101, 113, 119, 93, 161, 109, 98, 96, 131, 122, 119, 117};
	static const uint8_t up[5 * 12] = {61,	85,  127, 111, 110, 91,	 62,  162, 121, 103, 111, 103, 140, 115, 93,
					   115, 186, 70,  93,  78,  124, 132, 85,  78,	42,  169, 149, 88,  140, 106,
					   186, 124, 75,  128, 117, 175, 71,  57,  52,	70,  201, 163, 92,  96,	 109,
					   141, 112, 125, 133, 152, 102, 104, 145, 142, 128, 101, 158, 151, 127, 52};
	image out = {.width = 4, .height = 3, .channels = 1};
	assert_int_equal(image_resize(&in, &out, &err), BM_OK);
	assert_memory_equal(out.pixels, down, sizeof down);
	image_free(&out);
	out = (image){.width = 5, .height = 12, .channels = 1};
	assert_int_equal(image_resize(&in, &out, &err), BM_OK);
	assert_memory_equal(out.pixels, up, sizeof up);
	image_free(&out);
}

static void test_callers_pixels(void **state)
{
	(void)state;
	bm_error err = {0};
	uint8_t room[5 * 4];
	memset(room, 1, sizeof room);
	image in = make(9, 9, 1, 3), out = {.width = 5, .height = 3, .channels = 1, .pixels = room};
	assert_int_equal(image_resize(&in, &out, &err), BM_OK);
	assert_ptr_equal(out.pixels, room);
	for (int i = 15; i < 20; i++)
		assert_int_equal(room[i], 1);
	image_free(&in);
}

static void test_refusals(void **state)
{
	(void)state;
	bm_error err = {0};
	image in = make(4, 4, 1, 1), out = {.width = 0, .height = 4, .channels = 1};
	assert_int_equal(image_resize(&in, &out, &err), BM_ERR_USAGE);
	out = (image){.width = 4, .height = 4, .channels = 3};
	assert_int_equal(image_resize(&in, &out, &err), BM_ERR_USAGE);
	out = (image){.width = 1 << 16, .height = 1 << 16, .channels = 1};
	assert_int_equal(image_resize(&in, &out, &err), BM_ERR_USAGE);
	image_free(&in);
	in = (image){.width = 4, .height = 4, .channels = 1};
	out = (image){.width = 2, .height = 2, .channels = 1};
	assert_int_equal(image_resize(&in, &out, &err), BM_ERR_USAGE);
	assert_null(out.pixels);
}

static void test_no_memory(void **state)
{
	(void)state;
	image in = make(20, 30, 1, 1);
	bool done = false;
	for (long n = 0; !done; n++) {
		assert_true(n < 50);
		bm_error err = {0};
		image out = {.width = 12, .height = 11, .channels = 1};
		base_memory_fail_after(n);
		bm_status status = image_resize(&in, &out, &err);
		base_memory_fail_after(-1);
		assert_true(status == BM_OK || status == BM_ERR_MEMORY);
		done = status == BM_OK;
		assert_true(done == (out.pixels != NULL));
		image_free(&out);
	}
	image_free(&in);
}

/* What the whole numbers give before they are rounded. */
static void test_floats(void **state)
{
	(void)state;
	static const int sizes[][2] = {{5, 12}, {40, 17}, {33, 33}, {1, 4}, {9, 1}};
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		const int from = sizes[i][0], to = sizes[i][1];
		const size_t before = (size_t)from * (size_t)from, after = (size_t)to * (size_t)to;
		bm_error err = {0};
		float *in = malloc(2 * before * sizeof *in), *out = malloc(2 * after * sizeof *out);
		assert_true(in && out);
		image whole[2], resized[2] = {{0}};
		for (int k = 0; k < 2; k++) {
			whole[k] = make(from, from, 1, (uint64_t)k + 5);
			for (size_t p = 0; p < before; p++)
				in[(size_t)k * before + p] = whole[k].pixels[p];
			resized[k] = (image){.width = to, .height = to, .channels = 1};
			assert_int_equal(image_resize(&whole[k], &resized[k], &err), BM_OK);
		}
		assert_int_equal(image_resize_floats(in, 2, from, out, to, &err), BM_OK);
		for (int k = 0; k < 2; k++) {
			for (size_t p = 0; p < after; p++)
				assert_true(fabsf(out[(size_t)k * after + p] - resized[k].pixels[p]) <= 1.01f);
			image_free(&whole[k]);
			image_free(&resized[k]);
		}
		free(in);
		free(out);
	}
	bm_error err = {0};
	float one = 0;
	assert_int_equal(image_resize_floats(&one, 1, 1, &one, 0, &err), BM_ERR_USAGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_against_reference), cmocka_unit_test(test_identity),
		cmocka_unit_test(test_constant),	  cmocka_unit_test(test_as_pillow),
		cmocka_unit_test(test_callers_pixels),	  cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_no_memory),	  cmocka_unit_test(test_floats),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
