/* Thousands of damaged files, the same ones each time: a decoder may refuse, but not crash, hang or hand back what
 * it does not say. Under the sanitizers this is a small fuzzer; it stops by the clock, never below a minimum. */
#include "image/test_files.h"

#include "base/random.h"
#include "base/threads.h"

enum { LEAST = 300, MOST = 20000 };
static const double SECONDS = 0.8;

static const test_jpeg jpegs[] = {
	{.width = 33,
	 .height = 20,
	 .channels = 3,
	 .in = JCS_RGB,
	 .stored = JCS_YCbCr,
	 .orientation = 6,
	 .subsampled = true},
	{.width = 20, .height = 33, .channels = 1, .in = JCS_GRAYSCALE, .stored = JCS_GRAYSCALE, .restart = 1},
	{.width = 33, .height = 20, .channels = 3, .in = JCS_RGB, .stored = JCS_YCbCr, .progressive = true},
	{.width = 20, .height = 16, .channels = 4, .in = JCS_CMYK, .stored = JCS_YCCK, .adobe = true},
};

static const test_png pngs[] = {
	{.width = 33,
	 .height = 20,
	 .depth = 8,
	 .type = PNG_COLOR_TYPE_RGB_ALPHA,
	 .orientation = 5,
	 .row = test_plain_row},
	{.width = 20,
	 .height = 33,
	 .depth = 16,
	 .type = PNG_COLOR_TYPE_GRAY,
	 .interlaced = true,
	 .row = test_plain_row},
	{.width = 20, .height = 10, .depth = 8, .type = PNG_COLOR_TYPE_RGB, .transparent = true, .row = test_plain_row},
};

/* Damages a copy at 1 to 6 places: a bit, a byte, an extreme, a cut, a piece moved or doubled. */
static size_t damage(base_random *r, uint8_t *bytes, size_t size)
{
	static const uint8_t extremes[] = {0, 1, 0x7F, 0x80, 0xFE, 0xFF};
	for (uint64_t places = 1 + base_random_below(r, 6); places > 0 && size > 1; places--) {
		/* Half of the damage hits the first 200 bytes, where the headers are. */
		size_t reach = size > 200 && base_random_below(r, 2) ? 200 : size;
		size_t at = (size_t)base_random_below(r, reach);
		switch (base_random_below(r, 6)) {
		case 0:
			bytes[at] ^= (uint8_t)(1u << base_random_below(r, 8));
			break;
		case 1:
			bytes[at] = (uint8_t)base_random_u32(r);
			break;
		case 2:
			bytes[at] = extremes[base_random_below(r, sizeof extremes)];
			break;
		case 3:
			if (base_random_below(r, 4) == 0)
				size = at + 1;
			break;
		case 4: { /* a piece over another */
			size_t from = (size_t)base_random_below(r, size);
			size_t most = size - (from > at ? from : at),
			       length = (size_t)base_random_below(r, most < 64 ? most + 1 : 64);
			memmove(bytes + at, bytes + from, length);
			break;
		}
		default: { /* some bytes taken out */
			size_t most = size - at, length = (size_t)base_random_below(r, most < 16 ? most : 16);
			memmove(bytes + at, bytes + at + length, size - at - length);
			size -= length;
			break;
		}
		}
	}
	return size;
}

/* PNG checksums put right, so that damage gets past them. */
static void mend_checksums(uint8_t *bytes, size_t size)
{
	size_t at = 8;
	while (at < size && size - at >= 12) {
		size_t length = png_get_uint_32(bytes + at);
		if (length > size - at - 12)
			return;
		uint32_t crc = 0xFFFFFFFF;
		for (size_t i = at + 4; i < at + 8 + length; i++) {
			crc ^= bytes[i];
			for (int k = 0; k < 8; k++)
				crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320 : 0);
		}
		png_save_uint_32(bytes + at + 8 + length, ~crc);
		at += 12 + length;
	}
}

static bool try_file(base_random *r, const uint8_t *bytes, size_t size)
{
	bm_error err = {0};
	image img;
	image_info info;
	int channels = base_random_below(r, 2) ? 1 : 3, least = (int)base_random_below(r, 20);
	bm_status seen = image_inspect(bytes, size, &info, &err);
	bm_status status = image_decode(bytes, size, channels, least, least, &img, &err);
	if (status != BM_OK) {
		assert_null(img.pixels);
		assert_int_equal(err.status, status);
		assert_true(status == BM_ERR_FORMAT || status == BM_ERR_LIMIT || status == BM_ERR_MEMORY);
		assert_true(err.message[0] != '\0');
		return false;
	}
	assert_int_equal(seen, BM_OK); /* what can be decoded can be inspected */
	assert_true((size_t)img.width * (size_t)img.height <= IMAGE_PIXEL_LIMIT);
	unsigned sum = 0; /* each pixel is there, and was written */
	for (size_t i = 0; i < (size_t)img.width * (size_t)img.height * (size_t)img.channels; i++)
		sum += img.pixels[i];
	assert_true(sum < UINT32_MAX);
	image out = {.width = 9, .height = 7, .channels = channels};
	assert_int_equal(image_resize(&img, &out, &err), BM_OK);
	image_free(&out);
	image_free(&img);
	return true;
}

static void run(test_file *files, size_t count, bool png)
{
	double start = base_now();
	int done = 0, decoded = 0;
	for (; done < MOST && (done < LEAST || base_now() - start < SECONDS); done++) {
		base_random r = base_random_make(png ? 2 : 1, (uint64_t)done);
		const test_file *file = &files[base_random_below(&r, count)];
		uint8_t *copy = malloc(file->size);
		assert_non_null(copy);
		memcpy(copy, file->bytes, file->size);
		size_t size = damage(&r, copy, file->size);
		if (png && base_random_below(&r, 4) != 0)
			mend_checksums(copy, size);
		uint8_t *exact = realloc(copy, size); /* no room behind it */
		assert_non_null(exact);
		decoded += try_file(&r, exact, size);
		free(exact);
	}
	assert_true(decoded > 0 && decoded < done); /* some damage is harmless, most is not */
	for (size_t i = 0; i < count; i++)
		free(files[i].bytes);
}

static void test_jpeg_mutations(void **state)
{
	(void)state;
	test_file files[sizeof jpegs / sizeof *jpegs];
	for (size_t i = 0; i < sizeof jpegs / sizeof *jpegs; i++)
		files[i] = test_make_jpeg(&jpegs[i]);
	run(files, sizeof jpegs / sizeof *jpegs, false);
}

static void test_png_mutations(void **state)
{
	(void)state;
	test_file files[sizeof pngs / sizeof *pngs];
	for (size_t i = 0; i < sizeof pngs / sizeof *pngs; i++)
		files[i] = test_make_png(&pngs[i]);
	run(files, sizeof pngs / sizeof *pngs, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_jpeg_mutations),
		cmocka_unit_test(test_png_mutations),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
