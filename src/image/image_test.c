#include "image/test_files.h"

#include "base/memory.h"
#include "image/codec.h"

static void test_sniff(void **state)
{
	(void)state;
	static const uint8_t png[] = {0x89, 'P', 'N', 'G', 13, 10, 26, 10}, jpeg[] = {0xFF, 0xD8, 0xFF, 0xE0};
	assert_int_equal(image_sniff(png, 8), IMAGE_PNG);
	assert_int_equal(image_sniff(png, 7), IMAGE_UNKNOWN);
	assert_int_equal(image_sniff(jpeg, 4), IMAGE_JPEG);
	assert_int_equal(image_sniff(jpeg, 3), IMAGE_JPEG);
	assert_int_equal(image_sniff(jpeg, 2), IMAGE_UNKNOWN);
	assert_int_equal(image_sniff("", 0), IMAGE_UNKNOWN);
	assert_int_equal(image_sniff("GIF89a", 6), IMAGE_UNKNOWN);
	assert_string_equal(image_format_name(IMAGE_JPEG), "JPEG");
	assert_string_equal(image_format_name(IMAGE_PNG), "PNG");
	assert_string_equal(image_format_name(IMAGE_UNKNOWN), "unknown");
}

static void check_unknown(const void *bytes, size_t size, const char *says)
{
	bm_error err = {0};
	image img;
	image_info info;
	assert_int_equal(image_decode(bytes, size, 1, 0, 0, &img, &err), BM_ERR_FORMAT);
	assert_non_null(strstr(err.message, says));
	assert_null(img.pixels);
	assert_int_equal(image_inspect(bytes, size, &info, &err), BM_ERR_FORMAT);
}

static void test_unknown(void **state)
{
	(void)state;
	uint8_t dicom[200] = {0};
	memcpy(dicom + 128, "DICM", 4);
	check_unknown("", 0, "empty");
	check_unknown("hello", 5, "not a JPEG or PNG");
	check_unknown("GIF89a..", 8, "GIF");
	check_unknown("RIFF....WEBPVP8 ", 16, "WebP");
	check_unknown(dicom, sizeof dicom, "DICOM");
}

static void test_arguments(void **state)
{
	(void)state;
	test_png t = {.width = 2, .height = 2, .depth = 8, .type = PNG_COLOR_TYPE_GRAY, .row = test_plain_row};
	test_file file = test_make_png(&t);
	bm_error err = {0};
	image img = {0};
	for (int channels = -1; channels < 6; channels++) {
		bm_status status = image_decode(file.bytes, file.size, channels, 0, 0, &img, &err);
		assert_int_equal(status, channels == 1 || channels == 3 ? BM_OK : BM_ERR_USAGE);
		image_free(&img);
	}
	image_free(&img);
	image_free(NULL);
	/* No byte is read before the size is checked. */
	assert_int_equal(image_decode(file.bytes, IMAGE_FILE_LIMIT + 1, 1, 0, 0, &img, &err), BM_ERR_LIMIT);
	assert_non_null(strstr(err.message, "65 MiB"));
	free(file.bytes);
}

/* The error may be dropped: no message is asked for. */
static void test_no_error_wanted(void **state)
{
	(void)state;
	image img;
	image_info info;
	assert_int_equal(image_decode("\xFF\xD8\xFF\xE0", 4, 1, 0, 0, &img, NULL), BM_ERR_FORMAT);
	assert_int_equal(image_decode("\x89PNG\r\n\x1A\n", 8, 1, 0, 0, &img, NULL), BM_ERR_FORMAT);
	assert_int_equal(image_inspect("what", 4, &info, NULL), BM_ERR_FORMAT);
}

static void test_check_size(void **state)
{
	(void)state;
	bm_error err = {0};
	assert_int_equal(image_check_size(4096, 4096, &err), BM_OK);
	assert_int_equal(image_check_size(IMAGE_PIXEL_LIMIT, 1, &err), BM_OK);
	assert_int_equal(image_check_size(4096, 4097, &err), BM_ERR_LIMIT);
	assert_int_equal(image_check_size(1, IMAGE_PIXEL_LIMIT + 1, &err), BM_ERR_LIMIT);
	assert_int_equal(image_check_size(UINT64_MAX, UINT64_MAX, &err), BM_ERR_LIMIT); /* the product wraps to 1 */
	assert_int_equal(image_check_size(0, 5, &err), BM_ERR_FORMAT);
}

/* 2 columns, 3 rows:  a b / c d / e f, as EXIF 2.32 shows them. */
static void test_orient(void **state)
{
	(void)state;
	static const char *const shown[9] = {"abcdef", "abcdef", "badcfe", "fedcba", "efcdab",
					     "acebdf", "ecafdb", "fdbeca", "bdface"};
	for (int orientation = 0; orientation <= 8; orientation++) {
		for (int channels = 1; channels <= 3; channels += 2) {
			bm_error err = {0};
			image img = {.width = 2, .height = 3, .channels = channels};
			assert_int_equal(image_allocate(&img, &err), BM_OK);
			for (int i = 0; i < 6 * channels; i++)
				img.pixels[i] = (uint8_t)("abcdef"[i / channels] + i % channels);
			assert_int_equal(image_orient(&img, orientation, &err), BM_OK);
			assert_int_equal(img.width, orientation >= 5 ? 3 : 2);
			assert_int_equal(img.height, orientation >= 5 ? 2 : 3);
			for (int i = 0; i < 6 * channels; i++)
				assert_int_equal(img.pixels[i], shown[orientation][i / channels] + i % channels);
			image_free(&img);
		}
	}
}

static void test_exif_tiff(void **state)
{
	(void)state;
	for (int big = 0; big < 2; big++) {
		uint8_t exif[32];
		const size_t value = big ? 19 : 18, type = big ? 13 : 12, count = big ? 17 : 14, tag = big ? 11 : 10;
		const size_t offset = big ? 7 : 4;
		for (int orientation = 0; orientation < 256; orientation++) {
			test_exif(exif, orientation, big);
			int wanted = orientation >= 1 && orientation <= 8 ? orientation : 1;
			assert_int_equal(image_exif_tiff(exif + 6, 26), wanted);
		}
		test_exif(exif, 6, big);
		for (size_t size = 0; size < 22; size++) { /* cut anywhere: no orientation, no reading past the end */
			uint8_t *part = malloc(size ? size : 1);
			assert_non_null(part);
			memcpy(part, exif + 6, size);
			assert_int_equal(image_exif_tiff(part, size), 1);
			free(part);
		}
		const size_t spoilt[] = {0, 2, 3, type, count, tag, offset};
		for (size_t i = 0; i < sizeof spoilt / sizeof *spoilt; i++) {
			test_exif(exif, 6, big);
			exif[6 + spoilt[i]] ^= 0x41;
			assert_int_equal(image_exif_tiff(exif + 6, 26), 1);
		}
		test_exif(exif, 6, big);
		memset(exif + 10, 0xFF, 4); /* the directory is said to be 4 GiB away */
		assert_int_equal(image_exif_tiff(exif + 6, 26), 1);
		test_exif(exif, 6, big);
		exif[6 + 8] = exif[6 + 9] = 0xFF; /* 65,535 entries, but one is there */
		assert_int_equal(image_exif_tiff(exif + 6, 26), 6);
		assert_int_equal(value, big ? 19u : 18u);
	}
}

static void test_exif_jpeg(void **state)
{
	(void)state;
	uint8_t file[128] = {0xFF, 0xD8, 0xFF, 0xE0, 0, 4, 'x', 'x', 0xFF, 0xFF, 0xFF, 0xE1, 0, 34};
	test_exif(file + 14, 8, true);
	assert_int_equal(image_exif_jpeg(file, sizeof file), 8);
	assert_int_equal(image_exif_jpeg(file, 14 + 31), 1); /* the segment is cut */
	assert_int_equal(image_exif_jpeg(file, 14 + 32), 8);
	file[5] = 1; /* a length that does not hold itself */
	assert_int_equal(image_exif_jpeg(file, sizeof file), 1);
	file[5] = 4;
	file[3] = 0xDA; /* the pixels begin before */
	assert_int_equal(image_exif_jpeg(file, sizeof file), 1);
	for (size_t size = 0; size < 14; size++)
		assert_int_equal(image_exif_jpeg(file, size), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sniff),	   cmocka_unit_test(test_unknown),
		cmocka_unit_test(test_arguments),  cmocka_unit_test(test_no_error_wanted),
		cmocka_unit_test(test_check_size), cmocka_unit_test(test_orient),
		cmocka_unit_test(test_exif_tiff),  cmocka_unit_test(test_exif_jpeg),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
