#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "image/image.h"

/* A head: an ellipse of grey tissue with a bright rim, noise in the air around it. It touches the edges of the box. */
typedef struct scene {
	int width, height;	      /* of the picture */
	int left, top, right, bottom; /* the head's box */
	int air, tissue, rim;
} scene;

static image paint(const scene *s)
{
	image img = {.width = s->width, .height = s->height, .channels = 1};
	base_random random = base_random_make(5, 1);
	img.pixels = malloc((size_t)s->width * (size_t)s->height);
	assert_non_null(img.pixels);
	for (int y = 0; y < s->height; y++)
		for (int x = 0; x < s->width; x++) {
			double dx = (2.0 * x - s->left - s->right + 1) / (s->right - s->left),
			       dy = (2.0 * y - s->top - s->bottom + 1) / (s->bottom - s->top), far = dx * dx + dy * dy;
			int level = far > 1 ? s->air : far > 0.8 ? s->rim : s->tissue;
			img.pixels[y * s->width + x] = (uint8_t)(level + (int)base_random_below(&random, 6));
		}
	return img;
}

static void frame(image *img, int thick, uint8_t level)
{
	for (int y = 0; y < img->height; y++)
		for (int x = 0; x < img->width; x++)
			if (x < thick || y < thick || x >= img->width - thick || y >= img->height - thick)
				img->pixels[y * img->width + x] = level;
}

/* The cut may miss the box by this many pixels: the tip of an ellipse is thin. */
static void assert_size(const image *img, int width, int height)
{
	assert_in_range(img->width, width - 4, width + 1);
	assert_in_range(img->height, height - 4, height + 1);
}

static const scene plain = {240, 200, 40, 30, 200, 170, 2, 110, 200};

static void margins_are_cut_and_levels_spread(void **state)
{
	(void)state;
	image img = paint(&plain);
	image_keep_foreground(&img);
	assert_size(&img, 160, 140);
	size_t counts[256] = {0};
	for (int i = 0; i < img.width * img.height; i++)
		counts[img.pixels[i]]++;
	assert_true(counts[0] > 0 && counts[255] > 0);
	/* Air stays dark, tissue in the middle is (110 - 2) / (205 - 2) of the range. */
	assert_true(img.pixels[0] < 10);
	assert_in_range(img.pixels[img.height / 2 * img.width + img.width / 2], 130, 148);
	free(img.pixels);
}

static void inverted_levels_are_turned(void **state)
{
	(void)state;
	image right = paint(&plain), wrong = paint(&plain);
	for (int i = 0; i < wrong.width * wrong.height; i++)
		wrong.pixels[i] = (uint8_t)(255 - wrong.pixels[i]);
	image_keep_foreground(&right);
	image_keep_foreground(&wrong);
	assert_int_equal(right.width, wrong.width);
	assert_int_equal(right.height, wrong.height);
	for (int i = 0; i < right.width * right.height; i++)
		assert_true(abs(right.pixels[i] - wrong.pixels[i]) <= 1);
	free(right.pixels);
	free(wrong.pixels);
}

static void frames_around_margins_are_cut(void **state)
{
	(void)state;
	static const uint8_t levels[] = {255, 128, 60};
	for (int i = 0; i < 3; i++) {
		image img = paint(&plain);
		frame(&img, 12, levels[i]);
		image_keep_foreground(&img);
		assert_size(&img, 160, 140);
		assert_true(img.pixels[0] < 10); /* not taken for inverted */
		free(img.pixels);
	}
}

static void a_letter_does_not_hold_a_margin(void **state)
{
	(void)state;
	image img = paint(&plain);
	for (int y = 10; y < 17; y++)
		for (int x = 10; x < 14; x++)
			img.pixels[y * img.width + x] = 255;
	image_keep_foreground(&img);
	assert_size(&img, 160, 140);
	free(img.pixels);
}

static void what_has_nothing_on_it_stays(void **state)
{
	(void)state;
	for (int k = 0; k < 4; k++) {
		uint8_t pixels[40 * 30];
		image img = {.width = k == 3 ? 1 : 40, .height = k == 3 ? 1 : 30, .channels = 1, .pixels = pixels};
		memset(pixels, k == 0 ? 0 : k == 1 ? 255 : 90, sizeof pixels);
		if (k == 2) /* a speck */
			pixels[15 * 40 + 20] = 255;
		const int width = img.width;
		const uint8_t first = pixels[0];
		image_keep_foreground(&img);
		assert_int_equal(img.width, width);
		assert_int_equal(pixels[0], first);
	}
}

/* A thin line across a dark picture is no head; more than three quarters of a side are never cut. */
static void never_too_much(void **state)
{
	(void)state;
	uint8_t pixels[100 * 100];
	image img = {.width = 100, .height = 100, .channels = 1, .pixels = pixels};
	memset(pixels, 0, sizeof pixels);
	for (int y = 40; y < 50; y++)
		for (int x = 0; x < 100; x++)
			pixels[y * 100 + x] = (uint8_t)(x % 2 ? 220 : 20);
	image_keep_foreground(&img);
	assert_int_equal(img.width, 100);
	assert_int_equal(img.height, 100);
}

/* A dark, a bright, a tiny and a noisy picture: whatever comes out is not larger, and the pixels are its own. */
static void any_picture(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 300; seed++) {
		base_random random = base_random_make(seed, 9);
		image img = {.width = 1 + (int)base_random_below(&random, 40),
			     .height = 1 + (int)base_random_below(&random, 40),
			     .channels = 1};
		const int width = img.width, height = img.height;
		const uint64_t levels = 1 + base_random_below(&random, 256);
		img.pixels = malloc((size_t)width * (size_t)height); /* of this size, for AddressSanitizer */
		assert_non_null(img.pixels);
		for (int i = 0; i < width * height; i++)
			img.pixels[i] = (uint8_t)base_random_below(&random, levels);
		image_keep_foreground(&img);
		assert_in_range(img.width, 1, width);
		assert_in_range(img.height, 1, height);
		free(img.pixels);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(margins_are_cut_and_levels_spread),
		cmocka_unit_test(inverted_levels_are_turned),
		cmocka_unit_test(frames_around_margins_are_cut),
		cmocka_unit_test(a_letter_does_not_hold_a_margin),
		cmocka_unit_test(what_has_nothing_on_it_stays),
		cmocka_unit_test(never_too_much),
		cmocka_unit_test(any_picture),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
