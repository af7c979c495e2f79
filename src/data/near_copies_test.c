#include "data/split.h"

#include <math.h>

#include "base/random.h"
#include "data/test_fixture.h"

enum { SIDE = 96, COUNT = 60 };

static void pack_of(uint8_t (*images)[SIDE * SIDE], data_set *set, data_pack *pack)
{
	data_pack_writer *writer = NULL;
	assert_ok(data_pack_writer_open(fixture_path("pack"), set->count, SIDE, &writer, &oops));
	for (size_t i = 0; i < set->count; i++)
		memcpy(data_pack_writer_slot(writer, i), images[i], sizeof images[i]);
	assert_ok(data_pack_writer_commit(writer, set, &oops));
	assert_ok(data_pack_open(fixture_path("pack"), pack, &oops));
}

static void phantom(uint8_t *pixels, int label, uint64_t index)
{
	image img = {0};
	assert_ok(image_phantom(11, label, index, SIDE, &img, &oops));
	memcpy(pixels, img.pixels, SIDE * SIDE);
	image_free(&img);
}

static void recompress(uint8_t *pixels, int quality)
{
	image img = {.width = SIDE, .height = SIDE, .channels = 1, .pixels = pixels}, again = {0};
	uint8_t *bytes = NULL;
	size_t size = 0;
	assert_ok(image_encode_jpeg(&img, quality, &bytes, &size, &oops));
	assert_ok(image_decode(bytes, size, 1, 0, 0, &again, &oops));
	memcpy(pixels, again.pixels, SIDE * SIDE);
	image_free(&again);
	base_free(bytes);
}

static void copies_are_found_others_are_not(void **state)
{
	static uint8_t images[COUNT][SIDE * SIDE];
	data_set set;
	data_pack pack;
	data_near_copies copies, again;
	(void)state;
	fixture_set(&set, COUNT, 4);
	for (size_t i = 0; i < COUNT; i++)
		phantom(images[i], (int)(i % 4), i);
	/* 9 is 5 byte for byte; 13 is 5 darker; 40 is 8, recompressed; 42 and 44 are the same shade everywhere; 50
	 * is 49's copy in another class. */
	memcpy(images[9], images[5], sizeof images[5]);
	set.items[9].hash = set.items[5].hash;
	for (int i = 0; i < SIDE * SIDE; i++)
		images[13][i] = (uint8_t)(images[5][i] * 0.6f + 12);
	memcpy(images[40], images[8], sizeof images[8]);
	recompress(images[40], 60);
	memset(images[42], 77, sizeof images[42]);
	memset(images[44], 77, sizeof images[44]);
	set.items[44].hash = set.items[42].hash;
	memset(images[46], 0, sizeof images[46]);
	memcpy(images[50], images[49], sizeof images[49]);
	pack_of(images, &set, &pack);
	assert_ok(data_find_near_copies(&pack, 2, NULL, &copies, &oops));
	assert_int_equal(copies.count, COUNT);
	for (size_t i = 0; i < COUNT; i++) {
		size_t group = i == 9 || i == 13 ? 5 : i == 40 ? 8 : i == 44 ? 42 : i == 50 ? 49 : i;
		if (copies.group[i] != group)
			fail_msg("image %zu is in group %zu, not %zu", i, copies.group[i], group);
	}
	assert_int_equal(copies.groups, 4);
	assert_int_equal(copies.images, 9);
	assert_int_equal(copies.exact, 4);
	assert_int_equal(copies.across_classes, 1);
	assert_ok(data_find_near_copies(&pack, 1, NULL, &again, &oops));
	assert_memory_equal(copies.group, again.group, COUNT * sizeof *copies.group);
	data_near_copies_free(&again);
	data_near_copies_free(&copies);
	data_pack_close(&pack);
	data_set_free(&set);
}

/* The bound by block means must let every pair through that correlates: compared with all products in double, with
 * images that are nearly alike by different amounts, so that many pairs lie around the threshold. */
static void the_short_cut_misses_nothing(void **state)
{
	static uint8_t images[COUNT][SIDE * SIDE];
	static double thumbs[COUNT][DATA_NEAR_COPY_SIDE * DATA_NEAR_COPY_SIDE];
	enum { PIXELS = DATA_NEAR_COPY_SIDE * DATA_NEAR_COPY_SIDE };
	data_set set;
	data_pack pack;
	data_near_copies copies;
	base_random random = base_random_make(3, 0);
	size_t close_pairs = 0, expected[COUNT];
	(void)state;
	fixture_set(&set, COUNT, 2);
	for (size_t i = 0; i < COUNT; i++) {
		phantom(images[i], (int)(i % 4), i % 12);
		/* Noise of blocks of 2, so that it survives the reduction. */
		const int row = i / 12;
		float strength = 3.0f * (float)row;
		for (int y = 0; y < SIDE; y += 2) {
			for (int x = 0; x < SIDE; x += 2) {
				float noise = base_random_normal(&random) * strength;
				for (int k = 0; k < 4; k++) {
					uint8_t *at = &images[i][(y + k / 2) * SIDE + x + k % 2];
					float value = (float)*at + noise;
					*at = (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
				}
			}
		}
	}
	pack_of(images, &set, &pack);
	for (size_t i = 0; i < COUNT; i++) {
		uint8_t pixels[PIXELS];
		image in = {SIDE, SIDE, 1, images[i]}, out = {DATA_NEAR_COPY_SIDE, DATA_NEAR_COPY_SIDE, 1, pixels};
		double sum = 0, squares = 0;
		assert_ok(image_resize(&in, &out, &oops));
		for (int k = 0; k < PIXELS; k++)
			sum += pixels[k];
		for (int k = 0; k < PIXELS; k++) {
			thumbs[i][k] = pixels[k] - sum / PIXELS;
			squares += thumbs[i][k] * thumbs[i][k];
		}
		for (int k = 0; k < PIXELS; k++)
			thumbs[i][k] /= sqrt(squares);
		expected[i] = i;
	}
	for (size_t a = 0; a < COUNT; a++) {
		for (size_t b = a + 1; b < COUNT; b++) {
			double product = 0;
			for (int k = 0; k < PIXELS; k++)
				product += thumbs[a][k] * thumbs[b][k];
			if (product <= (double)DATA_NEAR_COPY_CORRELATION)
				continue;
			close_pairs++;
			size_t low = expected[a] < expected[b] ? expected[a] : expected[b],
			       high = expected[a] ^ expected[b] ^ low;
			for (size_t i = 0; i < COUNT; i++) {
				if (expected[i] == high)
					expected[i] = low;
			}
		}
	}
	assert_true(close_pairs > 10 && close_pairs < COUNT * 10);
	assert_ok(data_find_near_copies(&pack, 2, NULL, &copies, &oops));
	for (size_t i = 0; i < COUNT; i++) {
		if (copies.group[i] != expected[i])
			fail_msg("image %zu is in group %zu, not %zu", i, copies.group[i], expected[i]);
	}
	data_near_copies_free(&copies);
	data_pack_close(&pack);
	data_set_free(&set);
}

static void cancelled_or_without_memory(void **state)
{
	data_pack pack;
	data_near_copies copies;
	atomic_bool cancel = true;
	base_observer observer = {.cancel = &cancel};
	bm_error err = {0};
	bool done = false;
	(void)state;
	fixture_pack("pack", 8, 2, 64, &pack);
	assert_int_equal(data_find_near_copies(&pack, 2, &observer, &copies, &err), BM_ERR_CANCELLED);
	assert_null(copies.group);
	for (long n = 0; !done && n < 500; n++) {
		base_memory_fail_after(n);
		bm_status status = data_find_near_copies(&pack, 1, NULL, &copies, &err);
		base_memory_fail_after(-1);
		done = status == BM_OK;
		if (!done)
			assert_int_equal(status, BM_ERR_MEMORY);
		data_near_copies_free(&copies);
	}
	assert_true(done);
	data_pack_close(&pack);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(copies_are_found_others_are_not, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(the_short_cut_misses_nothing, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(cancelled_or_without_memory, fixture_setup, fixture_teardown),
	};
	return cmocka_run_group_tests_name("data/near_copies", tests, NULL, NULL);
}
