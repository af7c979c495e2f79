#include "data/leaks.h"

#include "data/test_fixture.h"

enum { COUNT = 24 };

static uint8_t *pixels_of(data_pack *pack, size_t i)
{
	return (uint8_t *)(uintptr_t)pack->images + i * (size_t)pack->side * (size_t)pack->side;
}

/* A pack in memory only: phantoms `first` and on. */
static void make(data_pack *pack, size_t first, int side)
{
	static char names[4][2] = {"a", "b", "c", "d"};
	*pack = (data_pack){.count = COUNT, .side = side, .class_count = 4};
	for (int k = 0; k < 4; k++)
		pack->class_names[k] = names[k];
	pack->images = base_malloc(COUNT, (size_t)side * (size_t)side, "images", NULL);
	pack->labels = base_malloc(COUNT, sizeof *pack->labels, "labels", NULL);
	pack->hashes = base_malloc(COUNT, sizeof *pack->hashes, "hashes", NULL);
	for (size_t i = 0; i < COUNT; i++) {
		image img = {0};
		assert_ok(image_phantom(3, (int)(i % 4), first + i, side, &img, &oops));
		memcpy(pixels_of(pack, i), img.pixels, (size_t)side * (size_t)side);
		image_free(&img);
		pack->labels[i] = (int)(i % 4);
		pack->hashes[i] = (base_hash){first + i, 1};
	}
}

static void drop(data_pack *pack)
{
	base_free((void *)(uintptr_t)pack->images);
	base_free(pack->labels);
	base_free(pack->hashes);
}

static void every_kind_is_told_apart(void **state)
{
	data_pack train, test;
	data_leaks leaks;
	(void)state;
	make(&train, 0, 96);
	make(&test, 1000, 96);
	size_t bytes = 96 * 96;
	/* 3: the same file; 5: darker, and in another class. */
	memcpy(pixels_of(&test, 3), pixels_of(&train, 8), bytes);
	test.hashes[3] = train.hashes[8];
	for (size_t k = 0; k < bytes; k++)
		pixels_of(&test, 5)[k] = (uint8_t)(pixels_of(&train, 12)[k] * 3 / 4 + 5);
	assert_ok(data_find_leaks(&train, &test, 2, NULL, &leaks, &oops));
	assert_int_equal(leaks.count, COUNT);
	assert_int_equal(leaks.of_kind[DATA_LEAK_EXACT], 1);
	assert_int_equal(leaks.of_kind[DATA_LEAK_NEAR], 1);
	assert_int_equal(leaks.of_kind[DATA_LEAK_CHAIN], 0);
	assert_int_equal(leaks.of_kind[DATA_LEAK_NONE], COUNT - 2);
	assert_int_equal(leaks.kind[3], DATA_LEAK_EXACT);
	assert_int_equal(leaks.partner[3], 8);
	assert_true(leaks.correlation[3] == 1);
	assert_int_equal(leaks.kind[5], DATA_LEAK_NEAR);
	assert_int_equal(leaks.partner[5], 12);
	assert_true(leaks.correlation[5] > 0.999f);
	assert_int_equal(leaks.kind[0], DATA_LEAK_NONE);
	assert_true(leaks.partner[0] == SIZE_MAX);
	assert_int_equal(leaks.across_classes, 2); /* 3 is of class d, 8 of a; 5 of b, 12 of a */
	data_leaks_free(&leaks);

	/* A chain: the share of another image grows until the copy of a copy is no copy. */
	uint8_t *a = pixels_of(&train, 0), *b = pixels_of(&train, 1), *near = pixels_of(&test, 0),
		*far = pixels_of(&test, 4);
	bool chained = false;
	for (int share = 2; share < 60 && !chained; share++) {
		for (size_t k = 0; k < bytes; k++) {
			near[k] = (uint8_t)((a[k] * (200 - share) + b[k] * share) / 200);
			far[k] = (uint8_t)((a[k] * (200 - 2 * share) + b[k] * 2 * share) / 200);
		}
		assert_ok(data_find_leaks(&train, &test, 1, NULL, &leaks, &oops));
		chained = leaks.kind[0] == DATA_LEAK_NEAR && leaks.kind[4] == DATA_LEAK_CHAIN;
		if (chained) {
			assert_int_equal(leaks.partner[4], 0);
			assert_true(leaks.correlation[4] <= DATA_NEAR_COPY_CORRELATION);
		}
		data_leaks_free(&leaks);
	}
	assert_true(chained);
	drop(&train);
	drop(&test);
}

static void no_memory_is_an_error(void **state)
{
	data_pack train, test;
	data_leaks leaks;
	bool done = false;
	(void)state;
	make(&train, 0, 48);
	make(&test, 500, 48);
	for (long n = 0; n < 60 && !done; n++) {
		bm_error err = {0};
		base_memory_fail_after(n);
		bm_status status = data_find_leaks(&train, &test, 1, NULL, &leaks, &err);
		base_memory_fail_after(-1);
		done = status == BM_OK;
		assert_true(done || (status == BM_ERR_MEMORY && err.message[0]));
		data_leaks_free(&leaks);
	}
	assert_true(done);
	drop(&train);
	drop(&test);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kind_is_told_apart),
		cmocka_unit_test(no_memory_is_an_error),
	};
	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
