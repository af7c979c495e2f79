#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/memory.h"
#include "storage/storage.h"

static char root[64];

static void put(const char *name, const char *text)
{
	char path[256];
	snprintf(path, sizeof path, "%s/%s", root, name);
	FILE *file = fopen(path, "wb");
	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
	assert_int_equal(fclose(file), 0);
}

static void folder(const char *name)
{
	char path[256];
	snprintf(path, sizeof path, "%s/%s", root, name);
	assert_int_equal(mkdir(path, 0700), 0);
}

static void link_to(const char *target, const char *name)
{
	char path[256];
	snprintf(path, sizeof path, "%s/%s", root, name);
	assert_int_equal(symlink(target, path), 0);
}

static int make_root(void **state)
{
	(void)state;
	snprintf(root, sizeof root, "/tmp/storage_test.XXXXXX");
	if (!mkdtemp(root))
		return 1;
	folder("b");
	folder("a c");
	folder(".hidden");
	put("b/two.jpg", "22");
	put("b/One.jpg", "1");
	put("b/.secret", "x");
	put("b/empty", "");
	put("a c/10", "ten");
	put("file", "text");
	link_to("../file", "b/link");
	link_to("nowhere", "b/dangling");
	link_to("b", "linked");
	link_to("loop", "loop");
	char path[128];
	snprintf(path, sizeof path, "%s/b/pipe", root);
	return mkfifo(path, 0600);
}

static int remove_root(void **state)
{
	(void)state;
	char command[128];
	snprintf(command, sizeof command, "rm -rf '%s'", root);
	return system(command);
}

static storage *open_root(void)
{
	storage *s;
	bm_error err = {0};
	assert_int_equal(storage_open(root, &s, &err), BM_OK);
	return s;
}

static void test_open(void **state)
{
	(void)state;
	bm_error err = {0};
	storage *s;
	char url[128];
	snprintf(url, sizeof url, "file://%s/a%%20c/", root);
	assert_int_equal(storage_open(url, &s, &err), BM_OK);
	uint8_t *bytes;
	size_t size;
	assert_int_equal(storage_read(s, "10", 100, &bytes, &size, &err), BM_OK);
	assert_int_equal(size, 3);
	base_free(bytes);
	url[strlen(url) - 1] = '\0'; /* without the slash at the end */
	assert_string_equal(storage_url(s), url);
	storage_close(s);
	/* The root of the machine is not cleaned away. */
	storage_info info;
	assert_int_equal(storage_open("file:///", &s, &err), BM_OK);
	assert_string_equal(storage_url(s), "file:///");
	assert_int_equal(storage_look(s, "tmp", &info, &err), BM_OK);
	assert_true(info.folder);
	storage_close(s);
	snprintf(url, sizeof url, "file://localhost%s", root);
	assert_int_equal(storage_open(url, &s, &err), BM_OK);
	storage_close(s);
	assert_int_equal(storage_open("/nowhere/at/all", &s, &err), BM_ERR_NOT_FOUND);
	assert_null(s);
	assert_non_null(strstr(err.message, "/nowhere/at/all"));
	assert_int_equal(storage_open("", &s, &err), BM_ERR_USAGE);
	assert_int_equal(storage_open("s3://bucket/data", &s, &err), BM_ERR_UNSUPPORTED);
	assert_non_null(strstr(err.message, "s3://"));
	assert_int_equal(storage_open("file://otherhost/data", &s, &err), BM_ERR_UNSUPPORTED);
	snprintf(url, sizeof url, "%s/file", root);
	assert_int_equal(storage_open(url, &s, &err), BM_ERR_USAGE);
	storage_close(NULL);
}

static void test_list(void **state)
{
	(void)state;
	bm_error err = {0};
	storage *s = open_root();
	storage_list list;
	assert_int_equal(storage_list_folder(s, "", &list, &err), BM_OK);
	static const char *const names[] = {"a c", "b", "file", "linked", "loop"};
	static const bool folders[] = {true, true, false, true, false};
	assert_int_equal(list.count, 5);
	for (size_t i = 0; i < 5; i++) {
		assert_string_equal(list.items[i].name, names[i]);
		assert_int_equal(list.items[i].info.folder, folders[i]);
	}
	assert_int_equal(list.items[2].info.size, 4);
	storage_list_free(&list);
	assert_int_equal(storage_list_folder(s, "./b//", &list, &err), BM_OK);
	static const char *const inside[] = {"One.jpg", "dangling", "empty", "link", "pipe", "two.jpg"};
	assert_int_equal(list.count, 6);
	for (size_t i = 0; i < 6; i++) {
		assert_string_equal(list.items[i].name, inside[i]);
		assert_false(list.items[i].info.folder);
	}
	assert_int_equal(list.items[3].info.size, 4); /* of what the link points to */
	storage_list_free(&list);
	storage_list_free(&list); /* again: nothing happens */
	assert_int_equal(storage_list_folder(s, "linked", &list, &err), BM_OK);
	assert_int_equal(list.count, 6);
	storage_list_free(&list);
	assert_int_equal(storage_list_folder(s, "none", &list, &err), BM_ERR_NOT_FOUND);
	assert_int_equal(storage_list_folder(s, "file", &list, &err), BM_ERR_NOT_FOUND);
	storage_close(s);
}

static void check_read(storage *s, const char *path, size_t limit, bm_status expected, const char *text)
{
	bm_error err = {0};
	uint8_t *bytes;
	size_t size;
	assert_int_equal(storage_read(s, path, limit, &bytes, &size, &err), expected);
	if (expected == BM_OK) {
		assert_int_equal(size, strlen(text));
		assert_string_equal((char *)bytes, text);
	} else {
		assert_null(bytes);
		assert_int_equal(err.status, expected);
		assert_true(strlen(err.message) > 10);
	}
	base_free(bytes);
}

static void test_read(void **state)
{
	(void)state;
	storage *s = open_root();
	check_read(s, "b/two.jpg", 2, BM_OK, "22");
	check_read(s, "b/two.jpg", 1, BM_ERR_LIMIT, NULL);
	check_read(s, "b/empty", 0, BM_OK, "");
	check_read(s, "b/link", 100, BM_OK, "text");
	check_read(s, "linked/One.jpg", 100, BM_OK, "1");
	check_read(s, "b/dangling", 100, BM_ERR_NOT_FOUND, NULL);
	check_read(s, "b/none", 100, BM_ERR_NOT_FOUND, NULL);
	check_read(s, "b", 100, BM_ERR_IO, NULL);
	check_read(s, "b/pipe", 100, BM_ERR_IO, NULL); /* and does not wait for a writer */
	check_read(s, "loop", 100, BM_ERR_IO, NULL);
	check_read(s, "../etc/passwd", 100000, BM_ERR_USAGE, NULL);
	check_read(s, "b/../file", 100, BM_ERR_USAGE, NULL);
	check_read(s, "b/..", 100, BM_ERR_USAGE, NULL);
	check_read(s, "/etc/passwd", 100000, BM_ERR_USAGE, NULL);
	check_read(s, "..b", 100, BM_ERR_NOT_FOUND, NULL); /* just a name */
	storage_close(s);
}

static void test_working_folder_may_change(void **state)
{
	(void)state;
	bm_error err = {0};
	storage *s;
	char before[512];
	assert_non_null(getcwd(before, sizeof before));
	assert_int_equal(chdir(root), 0);
	assert_int_equal(storage_open("b", &s, &err), BM_OK);
	assert_int_equal(chdir("/"), 0);
	check_read(s, "two.jpg", 100, BM_OK, "22");
	storage_close(s);
	assert_int_equal(chdir(before), 0);
}

static void test_no_memory(void **state)
{
	(void)state;
	bool done = false;
	for (long n = 0; !done; n++) {
		assert_true(n < 100);
		storage *s;
		storage_list list = {0};
		uint8_t *bytes = NULL;
		size_t size;
		bm_error err = {0};
		base_memory_fail_after(n);
		bm_status status = storage_open(root, &s, &err);
		if (status == BM_OK)
			status = storage_list_folder(s, "b", &list, &err);
		if (status == BM_OK)
			status = storage_read(s, "file", 100, &bytes, &size, &err);
		base_memory_fail_after(-1);
		assert_true(status == BM_OK || status == BM_ERR_MEMORY);
		done = status == BM_OK;
		base_free(bytes);
		storage_list_free(&list);
		storage_close(s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_open),	  cmocka_unit_test(test_list),
		cmocka_unit_test(test_read),	  cmocka_unit_test(test_working_folder_may_change),
		cmocka_unit_test(test_no_memory),
	};
	return cmocka_run_group_tests(tests, make_root, remove_root);
}
