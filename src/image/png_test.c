#include "image/test_files.h"

#include "base/memory.h"
#include "image/codec.h"

static const png_color palette[4] = {{10, 20, 30}, {200, 100, 50}, {0, 255, 0}, {255, 255, 255}};

/* 1, 2 or 4 bits a pixel, or a palette's 8: the value is (x + 2 y) modulo what fits (a palette has four colours). */
static int packed_value(const test_png *t, int x, int y)
{
	int most = 1 << t->depth;
	if (t->type == PNG_COLOR_TYPE_PALETTE && most > 4)
		most = 4;
	return (x + 2 * y) % most;
}

static void packed_row(const test_png *t, int y, uint8_t *to)
{
	for (int x = 0; x < t->width; x++) {
		int bit = x * t->depth;
		to[bit / 8] |= (uint8_t)(packed_value(t, x, y) << (8 - t->depth - bit % 8));
	}
}

static unsigned times(unsigned a, unsigned b)
{
	return (a * b + 127) / 255;
}

/* As test_plain_row writes it. */
static unsigned deep_value(int x, int y, int c)
{
	return (unsigned)test_value(x, y, c) << 8 | (uint8_t)(x * 89 + y * 57);
}

/* Bits of 16 that are lost: all but the upper eight of those in use. */
static int lost_bits(const test_png *t, bool colour)
{
	int lost = 0;
	for (int y = 0; y < t->height; y++)
		for (int x = 0; x < t->width; x++)
			for (int c = 0; c < (colour ? 3 : 1); c++)
				while (deep_value(x, y, c) >> lost > 255)
					lost++;
	return lost;
}

static void expected(const test_png *t, int x, int y, unsigned rgb[3])
{
	unsigned alpha = 255;
	bool has_alpha = (t->type & PNG_COLOR_MASK_ALPHA) != 0;
	if (t->type == PNG_COLOR_TYPE_PALETTE) {
		int value = packed_value(t, x, y);
		rgb[0] = palette[value].red;
		rgb[1] = palette[value].green;
		rgb[2] = palette[value].blue;
		if (t->transparent && value == 1)
			alpha = 128;
	} else if (t->depth < 8) {
		rgb[0] = rgb[1] = rgb[2] = (unsigned)packed_value(t, x, y) * 255u / ((1u << t->depth) - 1);
	} else {
		bool colour = (t->type & PNG_COLOR_MASK_COLOR) != 0;
		for (int c = 0; c < 3; c++)
			rgb[c] = t->depth == 16 ? deep_value(x, y, colour ? c : 0) >> lost_bits(t, colour)
						: (unsigned)test_value(x, y, colour ? c : 0);
		if (t->transparent && rgb[0] == 40 && (!colour || (rgb[1] == 200 && rgb[2] == 120)))
			alpha = 0;
		if (has_alpha)
			alpha = (unsigned)(x + y) % 3 * 127;
	}
	for (int c = 0; c < 3; c++)
		rgb[c] = times(rgb[c], alpha);
}

static void check_picture(const test_png *t, const char *mode)
{
	test_file file = test_make_png(t);
	bm_error err = {0};
	image_info info;
	assert_int_equal(image_inspect(file.bytes, file.size, &info, &err), BM_OK);
	assert_int_equal(info.format, IMAGE_PNG);
	assert_int_equal(info.width, t->width);
	assert_int_equal(info.height, t->height);
	assert_int_equal(info.bit_depth, t->depth);
	assert_int_equal(info.progressive, t->interlaced);
	assert_int_equal(info.orientation, 1);
	assert_string_equal(info.mode, mode);
	for (int channels = 1; channels <= 3; channels += 2) {
		image img;
		/* A reduced size is only a JPEG's to give. */
		if (image_decode(file.bytes, file.size, channels, 2, 2, &img, &err) != BM_OK)
			fail_msg("%s", err.message);
		assert_int_equal(img.width, t->width);
		assert_int_equal(img.height, t->height);
		const uint8_t *p = img.pixels;
		for (int y = 0; y < t->height; y++) {
			for (int x = 0; x < t->width; x++, p += channels) {
				unsigned rgb[3];
				expected(t, x, y, rgb);
				if (channels == 1) {
					double grey = 0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2];
					assert_true(p[0] - grey < 0.51 && grey - p[0] < 0.51);
				}
				for (int c = 0; channels == 3 && c < 3; c++)
					assert_int_equal(p[c], rgb[c]);
			}
		}
		image_free(&img);
	}
	free(file.bytes);
}

static void test_kinds(void **state)
{
	(void)state;
	static const struct {
		int type, depth;
		bool transparent;
		const char *mode;
	} kinds[] = {
		{PNG_COLOR_TYPE_GRAY, 1, false, "1"},	       {PNG_COLOR_TYPE_GRAY, 2, false, "L"},
		{PNG_COLOR_TYPE_GRAY, 4, false, "L"},	       {PNG_COLOR_TYPE_GRAY, 8, false, "L"},
		{PNG_COLOR_TYPE_GRAY, 8, true, "L"},	       {PNG_COLOR_TYPE_GRAY, 16, false, "I;16"},
		{PNG_COLOR_TYPE_GRAY_ALPHA, 8, false, "LA"},   {PNG_COLOR_TYPE_GRAY_ALPHA, 16, false, "RGBA"},
		{PNG_COLOR_TYPE_PALETTE, 1, false, "P"},       {PNG_COLOR_TYPE_PALETTE, 2, false, "P"},
		{PNG_COLOR_TYPE_PALETTE, 4, true, "P"},	       {PNG_COLOR_TYPE_PALETTE, 8, true, "P"},
		{PNG_COLOR_TYPE_RGB, 8, false, "RGB"},	       {PNG_COLOR_TYPE_RGB, 8, true, "RGB"},
		{PNG_COLOR_TYPE_RGB, 16, false, "RGB"},	       {PNG_COLOR_TYPE_RGB_ALPHA, 8, false, "RGBA"},
		{PNG_COLOR_TYPE_RGB_ALPHA, 16, false, "RGBA"},
	};
	static const int sizes[][2] = {{23, 14}, {1, 1}, {1, 7}, {9, 1}};
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		for (size_t k = 0; k < 8; k++) {
			bool packed = kinds[i].depth < 8 || kinds[i].type == PNG_COLOR_TYPE_PALETTE;
			test_png t = {.width = sizes[k / 2][0],
				      .height = sizes[k / 2][1],
				      .depth = kinds[i].depth,
				      .type = kinds[i].type,
				      .interlaced = k % 2,
				      .transparent = kinds[i].transparent,
				      .row = packed ? packed_row : test_plain_row};
			check_picture(&t, kinds[i].mode);
		}
	}
}

/* A ramp that uses `depth` of the 16 bits. */
static int ramp_bits;
static void ramp_row(const test_png *t, int y, uint8_t *to)
{
	for (int x = 0; x < t->width; x++) {
		const int value =
			(1 << ramp_bits) - 1 - (x + y * t->width) * ((1 << ramp_bits) / (t->width * t->height));
		*to++ = (uint8_t)(value >> 8);
		*to++ = (uint8_t)value;
	}
}

static void test_scanner_depths(void **state)
{
	(void)state;
	static const int bits[] = {8, 10, 12, 15, 16};
	for (size_t i = 0; i < 2 * sizeof bits / sizeof *bits; i++) {
		ramp_bits = bits[i / 2];
		test_png t = {.width = 16,
			      .height = 8,
			      .depth = 16,
			      .type = PNG_COLOR_TYPE_GRAY,
			      .interlaced = i % 2,
			      .row = ramp_row};
		test_file file = test_make_png(&t);
		bm_error err = {0};
		image img;
		assert_int_equal(image_decode(file.bytes, file.size, 1, 0, 0, &img, &err), BM_OK);
		for (int k = 0; k < 16 * 8; k++)
			assert_int_equal(img.pixels[k],
					 ((1 << ramp_bits) - 1 - k * ((1 << ramp_bits) / 128)) >> (ramp_bits - 8));
		image_free(&img);
		free(file.bytes);
	}
}

static void test_orientation(void **state)
{
	(void)state;
	test_png t = {.width = 6,
		      .height = 3,
		      .depth = 8,
		      .type = PNG_COLOR_TYPE_GRAY,
		      .orientation = 6,
		      .row = test_plain_row};
	test_file file = test_make_png(&t);
	bm_error err = {0};
	image_info info;
	image img;
	assert_int_equal(image_inspect(file.bytes, file.size, &info, &err), BM_OK);
	assert_int_equal(info.orientation, 6);
	assert_int_equal(info.width, 3);
	assert_int_equal(image_decode(file.bytes, file.size, 1, 0, 0, &img, &err), BM_OK);
	for (int y = 0; y < 3; y++) {
		for (int x = 0; x < 6; x++)
			assert_int_equal(img.pixels[x * 3 + 2 - y], test_value(x, y, 0));
	}
	image_free(&img);
	free(file.bytes);
}

static void test_truncated(void **state)
{
	(void)state;
	static const test_png kinds[] = {
		{.width = 19, .height = 11, .depth = 8, .type = PNG_COLOR_TYPE_RGB, .row = test_plain_row},
		{.width = 19,
		 .height = 11,
		 .depth = 2,
		 .type = PNG_COLOR_TYPE_PALETTE,
		 .transparent = true,
		 .interlaced = true,
		 .orientation = 3,
		 .row = packed_row},
	};
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		test_file file = test_make_png(&kinds[i]);
		for (size_t size = 0; size <= file.size; size++) {
			uint8_t *part = malloc(size ? size : 1);
			assert_non_null(part);
			memcpy(part, file.bytes, size);
			bm_error err = {0};
			image img;
			image_info info;
			bm_status status = image_decode(part, size, 3, 0, 0, &img, &err);
			assert_int_equal(status, size == file.size ? BM_OK : BM_ERR_FORMAT);
			assert_true(status == BM_OK || (img.pixels == NULL && strlen(err.message) > 10));
			image_free(&img);
			(void)image_inspect(part, size, &info, &err);
			free(part);
		}
		free(file.bytes);
	}
}

static void test_damaged(void **state)
{
	(void)state;
	test_png t = {.width = 19, .height = 11, .depth = 8, .type = PNG_COLOR_TYPE_RGB, .row = test_plain_row};
	test_file file = test_make_png(&t);
	size_t at = 8; /* to the middle of the pixels */
	while (memcmp(file.bytes + at, "IDAT", 4) != 0)
		at++;
	file.bytes[at + 20] ^= 0x10;
	bm_error err = {0};
	image img;
	assert_int_equal(image_decode(file.bytes, file.size, 1, 0, 0, &img, &err), BM_ERR_FORMAT);
	assert_non_null(strstr(err.message, "damaged"));
	free(file.bytes);
}

static void test_limits(void **state)
{
	(void)state;
	test_png t = {.width = 4, .height = 4, .depth = 8, .type = PNG_COLOR_TYPE_GRAY, .row = test_plain_row};
	test_file file = test_make_png(&t);
	bm_error err = {0};
	image img;
	image_info info;
	png_save_uint_32(file.bytes + 16, 4097); /* its checksum is wrong now, but the limit comes first */
	png_save_uint_32(file.bytes + 20, 4097);
	assert_int_equal(image_decode(file.bytes, file.size, 1, 0, 0, &img, &err), BM_ERR_LIMIT);
	assert_non_null(strstr(err.message, "4097 x 4097"));
	assert_int_equal(image_inspect(file.bytes, file.size, &info, &err), BM_ERR_LIMIT);
	png_save_uint_32(file.bytes + 16, 0xFFFFFFFF);
	png_save_uint_32(file.bytes + 20, 0xFFFFFFFF);
	assert_int_equal(image_decode(file.bytes, file.size, 1, 0, 0, &img, &err), BM_ERR_LIMIT);
	png_save_uint_32(file.bytes + 16, 0);
	assert_int_equal(image_decode(file.bytes, file.size, 1, 0, 0, &img, &err), BM_ERR_FORMAT);
	free(file.bytes);
}

static void test_encode(void **state)
{
	(void)state;
	for (int channels = 1; channels <= 3; channels += 2) {
		uint8_t pixels[300 * 3 * 3];
		image img = {.width = 300, .height = 3, .channels = channels, .pixels = pixels}, back;
		for (size_t i = 0; i < sizeof pixels; i++)
			pixels[i] = (uint8_t)(i * i * 7 + i / 5);
		bm_error err = {0};
		uint8_t *bytes;
		size_t size;
		assert_int_equal(image_encode_png(&img, &bytes, &size, &err), BM_OK);
		assert_int_equal(image_decode(bytes, size, channels, 0, 0, &back, &err), BM_OK);
		assert_int_equal(back.width, 300);
		assert_memory_equal(back.pixels, pixels, (size_t)(300 * 3 * channels));
		image_free(&back);
		base_free(bytes);
		img.channels = 2;
		assert_int_equal(image_encode_png(&img, &bytes, &size, &err), BM_ERR_USAGE);
		assert_null(bytes);
	}
}

static void test_no_memory(void **state)
{
	(void)state;
	test_png t = {.width = 23,
		      .height = 14,
		      .depth = 8,
		      .type = PNG_COLOR_TYPE_RGB_ALPHA,
		      .interlaced = true,
		      .orientation = 5,
		      .row = test_plain_row};
	test_file file = test_make_png(&t);
	bool done = false;
	for (long n = 0; !done; n++) {
		assert_true(n < 200);
		bm_error err = {0};
		image_info info;
		image img = {0};
		uint8_t *bytes = NULL;
		size_t size;
		base_memory_fail_after(n);
		bm_status status = image_inspect(file.bytes, file.size, &info, &err);
		if (status == BM_OK)
			status = image_decode(file.bytes, file.size, 3, 0, 0, &img, &err);
		if (status == BM_OK)
			status = image_encode_png(&img, &bytes, &size, &err);
		base_memory_fail_after(-1);
		if (status != BM_OK && status != BM_ERR_MEMORY)
			fail_msg("after %ld: %s", n, err.message);
		done = status == BM_OK;
		base_free(bytes);
		image_free(&img);
	}
	free(file.bytes);
}

static void test_arithmetic(void **state)
{
	(void)state;
	for (unsigned a = 0; a < 256; a++) {
		for (unsigned b = 0; b < 256; b++)
			assert_int_equal(image_multiply(a, b), times(a, b));
		assert_int_equal(image_luminance(a, a, a), a);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kinds),	    cmocka_unit_test(test_scanner_depths),
		cmocka_unit_test(test_orientation), cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_damaged),	    cmocka_unit_test(test_limits),
		cmocka_unit_test(test_encode),	    cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_arithmetic),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
