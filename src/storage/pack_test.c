/* A pack is written, read back like a folder, and read by nothing but its own rules when it is damaged. tests/cli opens it with Python's
 * zipfile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/random.h"
#include "storage/pack.h"
#include "storage/prefetch.h"

static char root[64];
static bm_error oops;

#define assert_ok(call)                                          \
	do {                                                     \
		if ((call) != BM_OK)                             \
			fail_msg("%s: %s", #call, oops.message); \
	} while (0)

static const char *const paths[] = {"a/1.jpg", "a/2.jpg", "a.b/x", "b/deep/er/z", "b/empty", "top"};
enum { FILES = sizeof paths / sizeof *paths };

/* The content of file i: some bytes of no pattern. */
static size_t content(size_t i, uint8_t *bytes)
{
	base_random random = base_random_make(7, i);
	size_t size = i == 4 ? 0 : 1000 * i + 3;
	for (size_t k = 0; k < size; k++)
		bytes[k] = (uint8_t)base_random_u32(&random);
	return size;
}

static storage *open_folder(const char *name)
{
	char url[128];
	storage *s;
	snprintf(url, sizeof url, "%s/%s", root, name);
	assert_ok(storage_open_with(url, &(storage_options){.make = true}, &s, &oops));
	return s;
}

static int setup(void **state)
{
	static uint8_t bytes[10000];
	(void)state;
	/* In memory where there is such a folder: thousands of small files are written. */
	strcpy(root, "/dev/shm/pack_test.XXXXXX");
	if (!mkdtemp(root)) {
		strcpy(root, "/tmp/pack_test.XXXXXX");
		if (!mkdtemp(root))
			return 1;
	}
	storage *s = open_folder("in");
	storage_pack_file files[FILES];
	for (size_t i = 0; i < FILES; i++) {
		const char *slash = strrchr(paths[i], '/');
		char folder[64];
		snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - paths[i]) : 0, paths[i]);
		files[i] = (storage_pack_file){.path = paths[i], .size = content(i, bytes)};
		if (slash)
			assert_ok(storage_make_folders(s, folder, &oops));
		assert_ok(storage_write(s, paths[i], bytes, (size_t)files[i].size, &oops));
	}
	storage *to = open_folder("");
	uint64_t size;
	assert_ok(storage_pack_write(s, files, FILES, to, "p.zip", NULL, &size, &oops));
	storage_info info;
	assert_ok(storage_look(to, "p.zip", &info, &oops));
	assert_int_equal(info.size, size);
	/* Nothing else is left. */
	storage_list list;
	assert_ok(storage_list_all(to, "", &list, &oops));
	assert_int_equal(list.count, 2);
	storage_list_free(&list);
	/* A file that is not as long as it was is an error, and leaves nothing. */
	files[0].size++;
	bm_error err = {0};
	assert_int_equal(storage_pack_write(s, files, FILES, to, "q.zip", NULL, NULL, &err), BM_ERR_IO);
	assert_non_null(strstr(err.message, "changed"));
	assert_ok(storage_list_all(to, "", &list, &oops));
	assert_int_equal(list.count, 2);
	storage_list_free(&list);
	storage_close(to);
	storage_close(s);
	return 0;
}

static int teardown(void **state)
{
	char command[128];
	(void)state;
	snprintf(command, sizeof command, "rm -rf '%s'", root);
	return system(command);
}

static storage *open_pack(const char *name, bm_status expected)
{
	char url[128];
	storage *s;
	bm_error err = {0};
	snprintf(url, sizeof url, "%s/%s", root, name);
	bm_status status = storage_open(url, &s, &err);
	if (status != expected)
		fail_msg("%s: %d: %s", name, (int)status, err.message);
	return s;
}

static void test_as_a_folder(void **state)
{
	(void)state;
	static uint8_t expected[10000];
	storage *s = open_pack("p.zip", BM_OK);
	storage_list list;
	storage_info info;
	uint8_t *bytes, room[16];
	size_t size;
	bm_error err = {0};
	assert_ok(storage_list_folder(s, "", &list, &oops));
	assert_int_equal(list.count, 4);
	static const char *const names[] = {"a", "a.b", "b", "top"};
	for (size_t i = 0; i < 4; i++) {
		assert_string_equal(list.items[i].name, names[i]);
		assert_int_equal(list.items[i].info.folder, i < 3);
	}
	storage_list_free(&list);
	assert_ok(storage_list_folder(s, "b", &list, &oops));
	assert_int_equal(list.count, 2);
	storage_list_free(&list);
	assert_ok(storage_list_folder(s, "b/deep", &list, &oops));
	assert_int_equal(list.count, 1);
	storage_list_free(&list);
	assert_int_equal(storage_list_folder(s, "none", &list, &err), BM_ERR_NOT_FOUND);
	assert_int_equal(storage_list_folder(s, "top", &list, &err), BM_ERR_NOT_FOUND);
	for (size_t i = 0; i < FILES; i++) {
		size_t length = content(i, expected);
		assert_ok(storage_read(s, paths[i], 10000, &bytes, &size, &oops));
		assert_int_equal(size, length);
		assert_memory_equal(bytes, expected, length);
		base_free(bytes);
	}
	content(5, expected);
	assert_ok(storage_read_range(s, "top", 4990, 16, room, &size, &oops));
	assert_int_equal(size, 13);
	assert_memory_equal(room, expected + 4990, 13);
	assert_ok(storage_look(s, "a", &info, &oops));
	assert_true(info.folder);
	assert_int_equal(storage_look(s, "a/3.jpg", &info, &err), BM_ERR_NOT_FOUND);
	assert_int_equal(storage_read(s, "top", 100, &bytes, &size, &err), BM_ERR_LIMIT);
	assert_int_equal(storage_read(s, "a", 100, &bytes, &size, &err), BM_ERR_IO);
	assert_int_equal(storage_write(s, "x", "1", 1, &err), BM_ERR_UNSUPPORTED);
	assert_int_equal(storage_remove(s, "top", false, NULL, &err), BM_ERR_UNSUPPORTED);
	storage_checksum sum, here;
	assert_ok(storage_checksum_of(s, "top", &sum, &oops));
	assert_ok(storage_checksum_bytes(&sum, expected, 5003, &here, &oops));
	assert_true(storage_checksum_equal(&sum, &here));
	storage_close(s);
}

static void test_read_ahead(void **state)
{
	(void)state;
	static uint8_t expected[10000];
	storage *s = open_folder("in");
	storage_prefetch *p;
	uint8_t *bytes;
	size_t size;
	bm_error err = {0};
	assert_ok(storage_prefetch_open(s, paths, FILES, 10000, &p, &oops));
	for (size_t i = FILES; i-- > 0;) {
		assert_ok(storage_prefetch_take(p, i, &bytes, &size, &oops));
		assert_int_equal(size, content(i, expected));
		assert_memory_equal(bytes, expected, size);
		base_free(bytes);
	}
	assert_int_equal(storage_prefetch_take(p, FILES, &bytes, &size, &err), BM_ERR_INTERNAL);
	storage_prefetch_close(p);
	storage_prefetch_close(NULL);
	storage_close(s);
}

static void test_missing(void **state)
{
	(void)state;
	assert_null(open_pack("none.zip", BM_ERR_NOT_FOUND));
	storage *s = open_folder("folder.zip"); /* a folder may be called so */
	assert_ok(storage_write(s, "x", "1", 1, &oops));
	storage_close(s);
	s = open_pack("folder.zip", BM_OK);
	storage_close(s);
}

/* Writes bytes as a pack and uses all of it: nothing may be read or written outside, whatever they say. */
static bm_status try_bytes(const uint8_t *bytes, size_t size)
{
	char path[128];
	storage *s;
	bm_error err = {0};
	storage_list list;
	snprintf(path, sizeof path, "%s/bad.zip", root);
	FILE *file = fopen(path, "wb");
	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, size, file), size);
	assert_int_equal(fclose(file), 0);
	bm_status status = storage_open(path, &s, &err);
	if (status != BM_OK)
		return status;
	for (size_t i = 0; i < FILES; i++) {
		uint8_t *content_bytes;
		size_t got;
		bm_status one = storage_read(s, paths[i], 10000, &content_bytes, &got, &err);
		if (one != BM_OK)
			status = one;
		base_free(content_bytes);
	}
	if (storage_list_folder(s, "", &list, &err) == BM_OK)
		storage_list_free(&list);
	storage_close(s);
	return status;
}

static void test_damaged(void **state)
{
	(void)state;
	char path[128];
	uint8_t *good;
	size_t size;
	snprintf(path, sizeof path, "%s/p.zip", root);
	assert_ok(base_file_read(path, 1 << 20, &good, &size, &oops));
	assert_int_equal(try_bytes(good, size), BM_OK);
	for (size_t cut = 0; cut < 60; cut++)
		assert_int_not_equal(try_bytes(good, cut), BM_OK);
	for (size_t cut = 1; cut < 400; cut += 13)
		assert_int_not_equal(try_bytes(good, size - cut), BM_OK);
	/* Each byte of the directory, changed in two ways. Names and dates may change without harm; sizes, offsets and sums not. */
	size_t wrong = 0;
	for (size_t i = size - 450; i < size; i++) {
		for (int way = 0; way < 2; way++) {
			uint8_t kept = good[i];
			good[i] = way ? 0xFF : (uint8_t)(kept ^ 1);
			wrong += try_bytes(good, size) != BM_OK;
			good[i] = kept;
		}
	}
	assert_true(wrong > 300);
	/* The content: its checksum tells. */
	good[40] ^= 1;
	assert_int_equal(try_bytes(good, size), BM_ERR_FORMAT);
	good[40] ^= 1;
	base_random random = base_random_make(1, 2);
	for (int i = 0; i < 300; i++) {
		uint8_t *copy = base_malloc(size, 1, "a test", NULL);
		assert_non_null(copy);
		memcpy(copy, good, size);
		for (int k = 0; k < 4; k++)
			copy[size - 1 - base_random_below(&random, 600)] = (uint8_t)base_random_u32(&random);
		try_bytes(copy, size);
		base_free(copy);
	}
	base_free(good);
}

/* Names that would leave the folder, in a pack that is right otherwise. */
static void test_hostile_names(void **state)
{
	(void)state;
	static const char *const names[] = {"../../x",	 "/abcdef", "a/../..", "a//bcde",
					    "a\\..\\bc", "./abcde", "abcdef."};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		char path[128];
		uint8_t *bytes;
		size_t size;
		snprintf(path, sizeof path, "%s/p.zip", root);
		assert_ok(base_file_read(path, 1 << 20, &bytes, &size, &oops));
		for (size_t at = 0; at + 7 <= size; at++)
			if (memcmp(bytes + at, "a/1.jpg", 7) == 0)
				memcpy(bytes + at, names[i], 7);
		bm_status status = try_bytes(bytes, size);
		if (i + 1 < sizeof names / sizeof *names)
			assert_int_equal(status, BM_ERR_FORMAT);
		else
			assert_int_equal(status, BM_ERR_NOT_FOUND); /* a name like any other */
		base_free(bytes);
	}
}

static void test_no_memory(void **state)
{
	(void)state;
	char url[128];
	snprintf(url, sizeof url, "%s/p.zip", root);
	bool done = false;
	for (long n = 0; !done; n++) {
		storage *s;
		uint8_t *bytes = NULL;
		size_t size;
		bm_error err = {0};
		assert_true(n < 200);
		base_memory_fail_after(n);
		bm_status status = storage_open(url, &s, &err);
		if (status == BM_OK)
			status = storage_read(s, "a/2.jpg", 10000, &bytes, &size, &err);
		base_memory_fail_after(-1);
		assert_true(status == BM_OK || status == BM_ERR_MEMORY);
		done = status == BM_OK;
		base_free(bytes);
		storage_close(s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_as_a_folder),   cmocka_unit_test(test_read_ahead),
		cmocka_unit_test(test_missing),	      cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_hostile_names), cmocka_unit_test(test_no_memory),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
