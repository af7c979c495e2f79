#include "base/memory.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void blocks_are_aligned_and_zeroed(void **state)
{
	(void)state;
	bm_error err;
	for (size_t size = 0; size < 300; size += 7) {
		uint8_t *block = base_calloc(size, 1, "a block", &err);
		assert_non_null(block);
		assert_int_equal((uintptr_t)block % 64, 0);
		for (size_t i = 0; i < size; i++)
			assert_int_equal(block[i], 0);
		memset(block, 0xA5, size);
		base_free(block);
	}
	base_free(NULL);
}

static void too_much_is_an_error_that_names_it(void **state)
{
	(void)state;
	bm_error err = {0};
	assert_null(base_calloc(SIZE_MAX / 2, 3, "the batch", &err));
	assert_int_equal(err.status, BM_ERR_MEMORY);
	assert_non_null(strstr(err.message, "the batch"));
	err = (bm_error){0};
	assert_null(base_malloc(SIZE_MAX, 1, "the pack", &err));
	assert_int_equal(err.status, BM_ERR_MEMORY);
	assert_non_null(strstr(err.message, "the pack"));
	assert_null(base_malloc(SIZE_MAX - 8, 1, "nothing", NULL));
}

static void allocations_fail_on_request(void **state)
{
	(void)state;
	bm_error err = {0};
	base_memory_fail_after(2);
	void *a = base_malloc(1, 1, "a", &err), *b = base_calloc(1, 1, "b", &err), *c = base_malloc(1, 1, "c", &err);
	char *d = base_strdup("d", NULL);
	base_memory_fail_after(-1);
	void *e = base_malloc(1, 1, "e", &err);
	assert_non_null(a);
	assert_non_null(b);
	assert_null(c);
	assert_null(d);
	assert_non_null(e);
	assert_int_equal(err.status, BM_ERR_MEMORY);
	base_free(a);
	base_free(b);
	base_free(e);
}

static void an_array_grows(void **state)
{
	(void)state;
	int *items = NULL;
	size_t capacity = 0;
	bm_error err;
	for (size_t count = 0; count < 1000; count++) {
		assert_int_equal(base_grow(&items, &capacity, count, sizeof *items, "numbers", &err), BM_OK);
		assert_true(capacity > count);
		items[count] = (int)count;
	}
	for (int i = 0; i < 1000; i++)
		assert_int_equal(items[i], i);
	int *before = items;
	size_t room = capacity;
	base_memory_fail_after(0);
	bm_status status = base_grow(&items, &capacity, capacity, sizeof *items, "numbers", &err);
	base_memory_fail_after(-1);
	assert_int_equal(status, BM_ERR_MEMORY);
	assert_ptr_equal(items, before);
	assert_int_equal(capacity, room);
	assert_int_equal(base_grow(&items, &capacity, SIZE_MAX / 2, sizeof *items, "numbers", &err), BM_ERR_MEMORY);
	base_free(items);
}

static void texts_are_copied(void **state)
{
	(void)state;
	char *copy = base_strdup("glioma", NULL);
	assert_string_equal(copy, "glioma");
	base_free(copy);
}

static void the_system_says_how_much_there_is(void **state)
{
	(void)state;
	uint64_t available = base_memory_available();
	assert_true(available > 1000000);
	assert_true(available < (uint64_t)1 << 50);
	uint64_t before = base_memory_resident_peak();
	assert_true(before > 100000);
	uint8_t *block = base_malloc(64 << 20, 1, "64 MiB", NULL);
	assert_non_null(block);
	memset(block, 1, 64 << 20);
	uint8_t sum = block[12345];
	uint64_t after = base_memory_resident_peak();
	base_free(block);
	assert_int_equal(sum, 1);
	assert_true(after >= before + (60 << 20));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(blocks_are_aligned_and_zeroed),
		cmocka_unit_test(too_much_is_an_error_that_names_it),
		cmocka_unit_test(allocations_fail_on_request),
		cmocka_unit_test(an_array_grows),
		cmocka_unit_test(texts_are_copied),
		cmocka_unit_test(the_system_says_how_much_there_is),
	};
	return cmocka_run_group_tests_name("base/memory", tests, NULL, NULL);
}
