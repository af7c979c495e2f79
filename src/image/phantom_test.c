#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/hash.h"
#include "base/memory.h"
#include "image/phantom.h"

static image draw(uint64_t seed, int label, uint64_t index, int size)
{
	bm_error err = {0};
	image img;
	assert_int_equal(image_phantom(seed, label, index, size, &img, &err), BM_OK);
	assert_int_equal(img.width, size);
	assert_int_equal(img.height, size);
	assert_int_equal(img.channels, 1);
	return img;
}

static bool same(image a, image b)
{
	bool equal = memcmp(a.pixels, b.pixels, (size_t)a.width * (size_t)a.height) == 0;
	image_free(&a);
	image_free(&b);
	return equal;
}

static void test_repeats(void **state)
{
	(void)state;
	for (int label = 0; label < IMAGE_PHANTOM_CLASSES; label++) {
		assert_true(same(draw(1, label, 5, 96), draw(1, label, 5, 96)));
		assert_false(same(draw(1, label, 5, 96), draw(2, label, 5, 96)));
		assert_false(same(draw(1, label, 5, 96), draw(1, label, 6, 96)));
		assert_false(same(draw(1, label, 5, 96), draw(1, (label + 1) % IMAGE_PHANTOM_CLASSES, 5, 96)));
	}
}

/* The bytes themselves, so that a new compiler or processor cannot change them unseen. */
static void test_bytes(void **state)
{
	(void)state;
	base_hash all = {0};
	for (int label = 0; label < IMAGE_PHANTOM_CLASSES; label++) {
		for (uint64_t index = 0; index < 8; index++) {
			image img = draw(42, label, index, 64);
			all = base_hash_join(all, base_hash_bytes(img.pixels, 64 * 64));
			image_free(&img);
		}
	}
	char text[33];
	base_hash_text(all, text);
	assert_string_equal(text, "106c8fbebfc7f83cb02d9bd12ca82ecd");
}

/* Not black, not white, dark around the head, and with some contrast. */
static void test_plausible(void **state)
{
	(void)state;
	for (int i = 0; i < 40; i++) {
		image img = draw(3, i % 4, (uint64_t)i, 80);
		double sum = 0, square = 0;
		int white = 0;
		for (int k = 0; k < 80 * 80; k++) {
			sum += img.pixels[k];
			square += (double)img.pixels[k] * img.pixels[k];
			white += img.pixels[k] == 255;
		}
		sum /= 80 * 80;
		square = square / (80 * 80) - sum * sum;
		assert_true(sum > 15 && sum < 140);
		assert_true(square > 15 * 15);
		assert_true(white < 80 * 80 / 5);
		assert_true(img.pixels[0] < 60 && img.pixels[79] < 60 && img.pixels[80 * 79] < 60);
		image_free(&img);
	}
}

/* The mean picture of a class shows what the class is: bright at the midline base for the pituitary and nowhere near
 * it for others; and the mean pictures differ little elsewhere, so that no class has a head of its own. */
static void test_classes(void **state)
{
	(void)state;
	enum { SIZE = 64, COUNT = 100 };
	static double mean[IMAGE_PHANTOM_CLASSES][SIZE * SIZE];
	double base[IMAGE_PHANTOM_CLASSES] = {0}, whole[IMAGE_PHANTOM_CLASSES] = {0};
	for (int label = 0; label < IMAGE_PHANTOM_CLASSES; label++) {
		for (uint64_t index = 0; index < COUNT; index++) {
			image img = draw(9, label, index, SIZE);
			for (int k = 0; k < SIZE * SIZE; k++)
				mean[label][k] += img.pixels[k] / (double)COUNT;
			image_free(&img);
		}
		for (int k = 0; k < SIZE * SIZE; k++)
			whole[label] += mean[label][k] / (SIZE * SIZE);
		for (int y = 40; y < 46; y++) {
			for (int x = 29; x < 35; x++)
				base[label] += mean[label][y * SIZE + x] / 36;
		}
	}
	for (int label = 0; label < IMAGE_PHANTOM_CLASSES; label++) {
		assert_true(label == 3 || base[3] > base[label] + 20);
		assert_true(whole[label] > whole[2] - 6 && whole[label] < whole[2] + 12);
	}
}

static void test_refusals(void **state)
{
	(void)state;
	bm_error err = {0};
	image img;
	assert_int_equal(image_phantom(1, -1, 0, 64, &img, &err), BM_ERR_USAGE);
	assert_int_equal(image_phantom(1, 4, 0, 64, &img, &err), BM_ERR_USAGE);
	assert_int_equal(image_phantom(1, 0, 0, 31, &img, &err), BM_ERR_USAGE);
	assert_int_equal(image_phantom(1, 0, 0, 1025, &img, &err), BM_ERR_USAGE);
	assert_null(img.pixels);
	img = draw(1, 0, 0, 32);
	image_free(&img);
	img = draw(UINT64_MAX, 1, UINT64_MAX, 1024);
	image_free(&img);
}

static void test_no_memory(void **state)
{
	(void)state;
	bool done = false;
	for (long n = 0; !done; n++) {
		assert_true(n < 20);
		bm_error err = {0};
		image img;
		base_memory_fail_after(n);
		bm_status status = image_phantom(1, 0, 0, 64, &img, &err);
		base_memory_fail_after(-1);
		assert_true(status == BM_OK || status == BM_ERR_MEMORY);
		done = status == BM_OK;
		assert_true(done == (img.pixels != NULL));
		image_free(&img);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_repeats), cmocka_unit_test(test_bytes),	 cmocka_unit_test(test_plausible),
		cmocka_unit_test(test_classes), cmocka_unit_test(test_refusals), cmocka_unit_test(test_no_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
