#include "image/test_files.h"

#include "base/memory.h"

static unsigned times(unsigned a, unsigned b)
{
	return (a * b + 127) / 255;
}

/* What the picture of test_value shows at x, y: grey in value[0], or RGB. */
static void expected(const test_jpeg *t, int channels, int x, int y, double value[3])
{
	unsigned v[4];
	for (int c = 0; c < 4; c++)
		v[c] = (unsigned)test_value(x, y, c);
	if (t->channels == 1) {
		value[0] = value[1] = value[2] = v[0];
		return;
	}
	if (t->channels == 4) {
		unsigned flip = t->adobe ? 0 : 255;
		for (int c = 0; c < 3; c++)
			v[c] = times(v[c] ^ flip, v[3] ^ flip);
	}
	if (channels == 1)
		value[0] = 0.299 * v[0] + 0.587 * v[1] + 0.114 * v[2];
	for (int c = 0; channels == 3 && c < 3; c++)
		value[c] = v[c];
}

static void check_picture(const test_jpeg *t, int channels, double tolerance)
{
	bm_error err = {0};
	image img;
	test_file file = test_make_jpeg(t);
	if (image_decode(file.bytes, file.size, channels, 0, 0, &img, &err) != BM_OK)
		fail_msg("%s", err.message);
	assert_int_equal(img.width, t->width);
	assert_int_equal(img.height, t->height);
	assert_int_equal(img.channels, channels);
	for (int y = 0; y < t->height; y++) {
		for (int x = 0; x < t->width; x++) {
			double value[3];
			expected(t, channels, x, y, value);
			for (int c = 0; c < channels; c++) {
				double got = img.pixels[(y * t->width + x) * channels + c];
				if (got - value[c] > tolerance || value[c] - got > tolerance)
					fail_msg("at %d,%d channel %d: %.0f, should be %.1f", x, y, c, got, value[c]);
			}
		}
	}
	image_free(&img);
	free(file.bytes);
}

static void test_kinds(void **state)
{
	(void)state;
	static const test_jpeg kinds[] = {
		{.channels = 1, .in = JCS_GRAYSCALE, .stored = JCS_GRAYSCALE},
		{.channels = 3, .in = JCS_RGB, .stored = JCS_YCbCr},
		{.channels = 3, .in = JCS_RGB, .stored = JCS_YCbCr, .subsampled = true},
		{.channels = 3, .in = JCS_RGB, .stored = JCS_RGB},
		{.channels = 4, .in = JCS_CMYK, .stored = JCS_CMYK, .adobe = true},
		{.channels = 4, .in = JCS_CMYK, .stored = JCS_CMYK, .adobe = false},
		{.channels = 4, .in = JCS_CMYK, .stored = JCS_YCCK, .adobe = true},
	};
	static const int sizes[][2] = {{40, 24}, {17, 33}, {1, 1}, {1, 9}, {9, 1}};
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		for (size_t k = 0; k < 5; k++) {
			test_jpeg t = kinds[i];
			t.width = sizes[k][0];
			t.height = sizes[k][1];
			for (int progressive = 0; progressive < 2; progressive++) {
				t.progressive = progressive;
				check_picture(&t, 1, t.channels == 4 ? 8 : 4);
				check_picture(&t, 3, t.channels == 4 || t.subsampled ? 10 : 6);
			}
		}
	}
}

static void test_inspect(void **state)
{
	(void)state;
	static const struct {
		test_jpeg jpeg;
		const char *mode;
	} cases[] = {
		{{.width = 30, .height = 20, .channels = 1, .in = JCS_GRAYSCALE, .stored = JCS_GRAYSCALE}, "L"},
		{{.width = 30, .height = 20, .channels = 3, .in = JCS_RGB, .stored = JCS_YCbCr, .progressive = true},
		 "RGB"},
		{{.width = 30, .height = 20, .channels = 4, .in = JCS_CMYK, .stored = JCS_YCCK, .adobe = true}, "CMYK"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		test_file file = test_make_jpeg(&cases[i].jpeg);
		image_info info;
		bm_error err = {0};
		assert_int_equal(image_inspect(file.bytes, file.size, &info, &err), BM_OK);
		assert_int_equal(info.format, IMAGE_JPEG);
		assert_int_equal(info.width, 30);
		assert_int_equal(info.height, 20);
		assert_int_equal(info.bit_depth, 8);
		assert_int_equal(info.orientation, 1);
		assert_int_equal(info.progressive, cases[i].jpeg.progressive);
		assert_string_equal(info.mode, cases[i].mode);
		free(file.bytes);
	}
}

/* Where the stored top left corner (dark) and its neighbours go, for each orientation. */
static void test_orientation(void **state)
{
	(void)state;
	for (int orientation = 1; orientation <= 8; orientation++) {
		for (int big = 0; big < 2; big++) {
			test_jpeg t = {.width = 32,
				       .height = 16,
				       .channels = 1,
				       .in = JCS_GRAYSCALE,
				       .stored = JCS_GRAYSCALE,
				       .orientation = orientation,
				       .big_endian = big};
			test_file file = test_make_jpeg(&t);
			bm_error err = {0};
			image_info info;
			image img;
			bool turned = orientation >= 5;
			assert_int_equal(image_inspect(file.bytes, file.size, &info, &err), BM_OK);
			assert_int_equal(info.orientation, orientation);
			assert_int_equal(info.width, turned ? 16 : 32);
			assert_int_equal(info.height, turned ? 32 : 16);
			assert_int_equal(image_decode(file.bytes, file.size, 1, 0, 0, &img, &err), BM_OK);
			assert_int_equal(img.width, info.width);
			assert_int_equal(img.height, info.height);
			for (int y = 0; y < 16; y++) {
				for (int x = 0; x < 32; x++) {
					/* EXIF 2.32, 4.6.4: which side of the picture the 0th row and column are. */
					const int at[9][2] = {{0, 0},		{x, y},		  {31 - x, y},
							      {31 - x, 15 - y}, {x, 15 - y},	  {y, x},
							      {15 - y, x},	{15 - y, 31 - x}, {y, 31 - x}};
					const int *to = at[orientation];
					assert_in_range(img.pixels[to[1] * img.width + to[0]] + 4 - test_value(x, y, 0),
							0, 8);
				}
			}
			image_free(&img);
			/* A reduced size is asked for as the picture is shown. */
			assert_int_equal(
				image_decode(file.bytes, file.size, 1, turned ? 4 : 8, turned ? 8 : 4, &img, &err),
				BM_OK);
			assert_int_equal(img.width, turned ? 4 : 8);
			assert_int_equal(img.height, turned ? 8 : 4);
			image_free(&img);
			free(file.bytes);
		}
	}
}

static void test_reduced(void **state)
{
	(void)state;
	static const struct {
		int want_w, want_h, got_w, got_h;
	} cases[] = {{0, 0, 100, 60},  {100, 60, 100, 60}, {101, 200, 100, 60}, {51, 10, 100, 60},
		     {50, 30, 50, 30}, {25, 15, 25, 15},   {24, 16, 50, 30},	{13, 8, 13, 8},
		     {1, 1, 13, 8},    {10, 0, 100, 60},   {-1, -1, 100, 60}};
	test_jpeg t = {
		.width = 100, .height = 60, .channels = 3, .in = JCS_RGB, .stored = JCS_YCbCr, .subsampled = true};
	test_file file = test_make_jpeg(&t);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		for (int channels = 1; channels <= 3; channels += 2) {
			bm_error err = {0};
			image img;
			assert_int_equal(image_decode(file.bytes, file.size, channels, cases[i].want_w, cases[i].want_h,
						      &img, &err),
					 BM_OK);
			assert_int_equal(img.width, cases[i].got_w);
			assert_int_equal(img.height, cases[i].got_h);
			image_free(&img);
		}
	}
	free(file.bytes);
}

static void test_truncated(void **state)
{
	(void)state;
	static const test_jpeg kinds[] = {
		{.width = 24, .height = 17, .channels = 3, .in = JCS_RGB, .stored = JCS_YCbCr, .orientation = 6},
		{.width = 24, .height = 17, .channels = 1, .in = JCS_GRAYSCALE, .stored = JCS_GRAYSCALE, .restart = 1},
		{.width = 24, .height = 17, .channels = 3, .in = JCS_RGB, .stored = JCS_YCbCr, .progressive = true},
	};
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		test_file file = test_make_jpeg(&kinds[i]);
		for (size_t size = 0; size <= file.size; size++) {
			/* In a block of its own, so that a sanitizer sees each byte read too far. */
			uint8_t *part = malloc(size ? size : 1);
			assert_non_null(part);
			memcpy(part, file.bytes, size);
			bm_error err = {0};
			image img;
			bm_status status = image_decode(part, size, 1, 0, 0, &img, &err);
			if (size == file.size) {
				assert_int_equal(status, BM_OK);
			} else {
				assert_int_equal(status, BM_ERR_FORMAT);
				assert_null(img.pixels);
				assert_true(strlen(err.message) > 10);
			}
			image_free(&img);
			image_info info;
			(void)image_inspect(part, size, &info, &err);
			free(part);
		}
		free(file.bytes);
	}
}

static void test_limits(void **state)
{
	(void)state;
	test_jpeg t = {.width = 16, .height = 16, .channels = 1, .in = JCS_GRAYSCALE, .stored = JCS_GRAYSCALE};
	test_file file = test_make_jpeg(&t);
	bm_error err = {0};
	image img;
	image_info info;
	size_t at = 0; /* the frame header: FF C0, length, precision, height, width */
	while (!(file.bytes[at] == 0xFF && file.bytes[at + 1] == 0xC0))
		at++;
	file.bytes[at + 5] = file.bytes[at + 7] = 0x10;
	file.bytes[at + 6] = file.bytes[at + 8] = 0x01; /* 4097 x 4097 */
	assert_int_equal(image_decode(file.bytes, file.size, 1, 0, 0, &img, &err), BM_ERR_LIMIT);
	assert_int_equal(image_inspect(file.bytes, file.size, &info, &err), BM_ERR_LIMIT);
	assert_non_null(strstr(err.message, "4097 x 4097"));
	memset(file.bytes + at + 5, 0xFF, 4);
	assert_int_equal(image_decode(file.bytes, file.size, 1, 0, 0, &img, &err), BM_ERR_LIMIT);
	memset(file.bytes + at + 5, 0, 4);
	assert_int_equal(image_decode(file.bytes, file.size, 1, 0, 0, &img, &err), BM_ERR_FORMAT);
	free(file.bytes);
	t.scans = 201;
	file = test_make_jpeg(&t);
	assert_int_equal(image_decode(file.bytes, file.size, 1, 0, 0, &img, &err), BM_ERR_LIMIT);
	assert_non_null(strstr(err.message, "scans"));
	free(file.bytes);
	t.scans = 64;
	file = test_make_jpeg(&t);
	assert_int_equal(image_decode(file.bytes, file.size, 1, 0, 0, &img, &err), BM_OK);
	image_free(&img);
	free(file.bytes);
}

static void test_encode(void **state)
{
	(void)state;
	for (int channels = 1; channels <= 3; channels += 2) {
		image img = {.width = 21, .height = 13, .channels = channels}, back;
		img.pixels = malloc(21 * 13 * 3);
		assert_non_null(img.pixels);
		for (int i = 0; i < 21 * 13 * channels; i++)
			img.pixels[i] = (uint8_t)test_value(i / channels % 21, i / channels / 21, i % channels);
		bm_error err = {0};
		uint8_t *bytes;
		size_t size, small;
		assert_int_equal(image_encode_jpeg(&img, 100, &bytes, &size, &err), BM_OK);
		assert_int_equal(image_decode(bytes, size, channels, 0, 0, &back, &err), BM_OK);
		for (int i = 0; i < 21 * 13 * channels; i++)
			assert_in_range(back.pixels[i] + 3 - img.pixels[i], 0, 6);
		image_free(&back);
		base_free(bytes);
		assert_int_equal(image_encode_jpeg(&img, 10, &bytes, &small, &err), BM_OK);
		assert_true(small < size);
		base_free(bytes);
		assert_int_equal(image_encode_jpeg(&img, 0, &bytes, &size, &err), BM_ERR_USAGE);
		assert_int_equal(image_encode_jpeg(&img, 101, &bytes, &size, &err), BM_ERR_USAGE);
		img.width = 70000;
		assert_int_equal(image_encode_jpeg(&img, 90, &bytes, &size, &err), BM_ERR_USAGE);
		assert_null(bytes);
		free(img.pixels);
	}
}

static void test_no_memory(void **state)
{
	(void)state;
	test_jpeg t = {.width = 40, .height = 24, .channels = 4, .in = JCS_CMYK, .stored = JCS_CMYK, .orientation = 5};
	test_file file = test_make_jpeg(&t);
	bool done = false;
	for (long n = 0; !done; n++) {
		assert_true(n < 50);
		bm_error err = {0};
		image img;
		uint8_t *bytes = NULL;
		size_t size;
		base_memory_fail_after(n);
		bm_status status = image_decode(file.bytes, file.size, 3, 0, 0, &img, &err);
		if (status == BM_OK)
			status = image_encode_jpeg(&img, 90, &bytes, &size, &err);
		base_memory_fail_after(-1);
		assert_true(status == BM_OK || status == BM_ERR_MEMORY);
		done = status == BM_OK;
		base_free(bytes);
		image_free(&img);
	}
	free(file.bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kinds),	cmocka_unit_test(test_inspect),	  cmocka_unit_test(test_orientation),
		cmocka_unit_test(test_reduced), cmocka_unit_test(test_truncated), cmocka_unit_test(test_limits),
		cmocka_unit_test(test_encode),	cmocka_unit_test(test_no_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
