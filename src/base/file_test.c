#include "base/file.h"

#include <dirent.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/memory.h"
#include "base/test_folder.h"

static int entries(void)
{
	int count = 0;
	DIR *folder = opendir(".");
	assert_non_null(folder);
	while (readdir(folder))
		count++;
	closedir(folder);
	return count - 2; /* . and .. */
}

static void check_content(const char *path, const char *expected)
{
	uint8_t *bytes;
	size_t size;
	assert_int_equal(base_file_read(path, 1000000, &bytes, &size, NULL), BM_OK);
	assert_int_equal(size, strlen(expected));
	assert_string_equal((char *)bytes, expected);
	base_free(bytes);
}

static void what_was_written_is_read(void **state)
{
	(void)state;
	umask(022);
	assert_int_equal(base_file_write("a", "first", 5, NULL), BM_OK);
	check_content("a", "first");
	assert_int_equal(base_file_write("a", "2nd", 3, NULL), BM_OK);
	check_content("a", "2nd");
	assert_int_equal(base_file_write("empty", NULL, 0, NULL), BM_OK);
	check_content("empty", "");
	assert_int_equal(entries(), 2);
	struct stat status;
	assert_int_equal(stat("a", &status), 0);
	assert_int_equal(status.st_mode & 0777, 0644);
}

static void reading_says_what_is_wrong(void **state)
{
	(void)state;
	uint8_t *bytes = (uint8_t *)1;
	size_t size = 1;
	bm_error err = {0};
	assert_int_equal(base_file_read("none", 10, &bytes, &size, &err), BM_ERR_NOT_FOUND);
	assert_null(bytes);
	assert_int_equal(size, 0);
	assert_non_null(strstr(err.message, "'none'"));
	assert_int_equal(base_file_read(".", 10, &bytes, &size, &err), BM_ERR_IO);
	assert_non_null(strstr(err.message, "folder"));
	assert_int_equal(mkfifo("pipe", 0600), 0);
	assert_int_equal(base_file_read("pipe", 10, &bytes, &size, &err), BM_ERR_IO);
	assert_int_equal(base_file_write("ten", "0123456789", 10, &err), BM_OK);
	assert_int_equal(base_file_read("ten", 9, &bytes, &size, &err), BM_ERR_LIMIT);
	assert_non_null(strstr(err.message, "limit of 9 B"));
	assert_int_equal(base_file_read("ten", 10, &bytes, &size, &err), BM_OK);
	base_free(bytes);
	base_memory_fail_after(0);
	bm_status status = base_file_read("ten", 10, &bytes, &size, &err);
	base_memory_fail_after(-1);
	assert_int_equal(status, BM_ERR_MEMORY);
	assert_null(bytes);
}

static void an_aborted_file_leaves_the_old_one(void **state)
{
	(void)state;
	base_writer writer;
	assert_int_equal(base_file_write("a", "old", 3, NULL), BM_OK);
	assert_int_equal(base_writer_open(&writer, "a", NULL), BM_OK);
	assert_true(fputs("new but unfinished", writer.file) >= 0);
	check_content("a", "old");
	base_writer_abort(&writer);
	base_writer_abort(&writer);
	check_content("a", "old");
	assert_int_equal(entries(), 1);
	assert_int_equal(base_writer_open(&writer, "a", NULL), BM_OK);
	assert_true(fputs("new", writer.file) >= 0);
	assert_int_equal(base_writer_commit(&writer, NULL), BM_OK);
	base_writer_abort(&writer);
	assert_int_equal(base_writer_commit(&writer, NULL), BM_ERR_INTERNAL);
	check_content("a", "new");
	assert_int_equal(entries(), 1);
}

static void a_library_may_write_to_the_temporary_path(void **state)
{
	(void)state;
	base_writer writer;
	assert_int_equal(base_writer_open(&writer, "model", NULL), BM_OK);
	FILE *file = fopen(writer.temporary, "wb");
	assert_non_null(file);
	assert_true(fputs("weights", file) >= 0);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(base_writer_commit(&writer, NULL), BM_OK);
	check_content("model", "weights");
	/* or put a file of its own there, as libzip does */
	assert_int_equal(base_writer_open(&writer, "model", NULL), BM_OK);
	assert_int_equal(base_file_write("other", "zip", 3, NULL), BM_OK);
	assert_int_equal(rename("other", writer.temporary), 0);
	assert_int_equal(base_writer_commit(&writer, NULL), BM_OK);
	check_content("model", "zip");
	assert_int_equal(entries(), 1);
}

static void two_writers_do_not_meet(void **state)
{
	(void)state;
	base_writer a, b;
	assert_int_equal(base_writer_open(&a, "x", NULL), BM_OK);
	assert_int_equal(base_writer_open(&b, "x", NULL), BM_OK);
	assert_string_not_equal(a.temporary, b.temporary);
	fputs("a", a.file);
	fputs("b", b.file);
	assert_int_equal(base_writer_commit(&b, NULL), BM_OK);
	assert_int_equal(base_writer_commit(&a, NULL), BM_OK);
	check_content("x", "a");
	assert_int_equal(entries(), 1);
}

static void a_failed_write_leaves_nothing(void **state)
{
	(void)state;
	bm_error err = {0};
	assert_int_equal(base_file_write("no/such/folder/a", "x", 1, &err), BM_ERR_NOT_FOUND);
	assert_non_null(strstr(err.message, "no/such/folder/a"));
	assert_int_equal(mkdir("taken", 0777), 0);
	assert_int_equal(base_file_write("taken", "x", 1, &err), BM_ERR_IO);
	assert_int_equal(entries(), 1);
	for (long n = 0; n < 3; n++) {
		base_memory_fail_after(n);
		bm_status status = base_file_write("a", "x", 1, &err);
		base_memory_fail_after(-1);
		assert_int_equal(status, BM_ERR_MEMORY);
	}
	assert_int_equal(entries(), 1);
	base_writer writer; /* a full disk, told by the device that always is */
	assert_int_equal(base_writer_open(&writer, "a", NULL), BM_OK);
	assert_non_null(freopen("/dev/full", "wb", writer.file));
	fputs("lost", writer.file);
	assert_int_equal(base_writer_commit(&writer, &err), BM_ERR_IO);
	assert_non_null(strstr(err.message, "space"));
	assert_int_equal(entries(), 1);
	/* So much that it fails at once, and what comes behind it does not. */
	static const char much[1 << 20];
	assert_int_equal(base_writer_open(&writer, "a", NULL), BM_OK);
	assert_non_null(freopen("/dev/full", "wb", writer.file));
	base_writer_write(&writer, much, sizeof much);
	assert_non_null(freopen("/dev/null", "wb", writer.file));
	base_writer_write(&writer, much, 1);
	assert_int_equal(base_writer_commit(&writer, &err), BM_ERR_IO);
	assert_non_null(strstr(err.message, "free some space"));
	assert_int_equal(entries(), 1);
}

static void folders_are_made(void **state)
{
	(void)state;
	bm_error err = {0};
	assert_int_equal(base_make_folders("a/b//c/", &err), BM_OK);
	assert_int_equal(base_make_folders("a/b/c", &err), BM_OK);
	assert_int_equal(base_make_folders("/tmp", &err), BM_OK);
	assert_true(base_is_folder("a/b/c"));
	assert_false(base_is_file("a/b/c"));
	assert_int_equal(base_file_write("a/file", "x", 1, NULL), BM_OK);
	assert_true(base_is_file("a/file"));
	assert_false(base_is_folder("a/file"));
	assert_int_equal(base_make_folders("a/file", &err), BM_ERR_IO);
	assert_int_equal(base_make_folders("a/file/b", &err), BM_ERR_IO);
	assert_non_null(strstr(err.message, "is a file"));
	assert_int_equal(base_make_folders("", &err), BM_ERR_USAGE);
	assert_false(base_is_file("none"));
}

static void check_join(const char *folder, const char *name, const char *expected)
{
	char *path = base_path_join(folder, name, NULL);
	assert_string_equal(path, expected);
	base_free(path);
}

static void paths_are_joined(void **state)
{
	(void)state;
	check_join("a", "b", "a/b");
	check_join("a/", "b", "a/b");
	check_join("", "b", "b");
	check_join("/", "b", "/b");
	assert_string_equal(base_path_name("a/b/c.jpg"), "c.jpg");
	assert_string_equal(base_path_name("c.jpg"), "c.jpg");
}

static void files_are_mapped(void **state)
{
	(void)state;
	base_map map;
	bm_error err = {0};
	assert_int_equal(base_file_write("a", "mapped", 6, NULL), BM_OK);
	assert_int_equal(base_map_open(&map, "a", &err), BM_OK);
	assert_int_equal(map.size, 6);
	assert_memory_equal(map.bytes, "mapped", 6);
	/* The map keeps the old content when the name goes to a new file. */
	assert_int_equal(base_file_write("a", "other", 5, NULL), BM_OK);
	assert_memory_equal(map.bytes, "mapped", 6);
	base_map_close(&map);
	base_map_close(&map);
	assert_int_equal(base_file_write("empty", "", 0, NULL), BM_OK);
	assert_int_equal(base_map_open(&map, "empty", &err), BM_OK);
	assert_int_equal(map.size, 0);
	base_map_close(&map);
	assert_int_equal(base_map_open(&map, "none", &err), BM_ERR_NOT_FOUND);
	assert_int_equal(base_map_open(&map, ".", &err), BM_ERR_IO);
}

/* Many processes at once: each version is whole, and nothing is left over. */
static void writers_race_without_harm(void **state)
{
	(void)state;
	enum { WRITERS = 6, SIZE = 60000, ROUNDS = 40 };
	static char content[SIZE];
	pid_t children[WRITERS];
	memset(content, 'a', SIZE);
	assert_int_equal(base_file_write("a", content, SIZE, NULL), BM_OK);
	for (int w = 0; w < WRITERS; w++) {
		children[w] = fork();
		assert_true(children[w] >= 0);
		if (children[w] == 0) {
			memset(content, 'a' + w, SIZE);
			for (int i = 0; i < ROUNDS; i++) {
				uint8_t *bytes;
				size_t size;
				if (base_file_write("a", content, SIZE, NULL) != BM_OK ||
				    base_file_read("a", SIZE, &bytes, &size, NULL) != BM_OK || size != SIZE)
					_exit(1);
				for (size_t k = 1; k < SIZE; k++) {
					if (bytes[k] != bytes[0])
						_exit(2);
				}
				base_free(bytes);
			}
			_exit(0);
		}
	}
	for (int w = 0; w < WRITERS; w++) {
		int status;
		assert_int_equal(waitpid(children[w], &status, 0), children[w]);
		assert_int_equal(status, 0);
	}
	assert_int_equal(entries(), 1);
}

/* kill -9 at any moment: the path holds a whole old or a whole new content, never a mixture. */
static void a_killed_writer_leaves_a_whole_file(void **state)
{
	(void)state;
	enum { SIZE = 200000 };
	static char content[SIZE];
	memset(content, 'a', SIZE);
	assert_int_equal(base_file_write("a", content, SIZE, NULL), BM_OK);
	for (int round = 0; round < 8; round++) {
		pid_t child = fork();
		assert_true(child >= 0);
		if (child == 0) {
			for (int letter = 'b';; letter = letter == 'z' ? 'a' : letter + 1) {
				memset(content, letter, SIZE);
				base_file_write("a", content, SIZE, NULL);
			}
		}
		usleep((useconds_t)(500 + 1700 * round));
		assert_int_equal(kill(child, SIGKILL), 0);
		assert_int_equal(waitpid(child, NULL, 0), child);
		uint8_t *bytes;
		size_t size;
		assert_int_equal(base_file_read("a", SIZE, &bytes, &size, NULL), BM_OK);
		assert_int_equal(size, SIZE);
		for (size_t i = 1; i < SIZE; i++)
			assert_true(bytes[i] == bytes[0]);
		base_free(bytes);
		assert_in_range(entries(), 1, 2); /* at most one unfinished file, used again */
	}
	assert_int_equal(base_file_write("a", "x", 1, NULL), BM_OK);
	assert_int_equal(entries(), 1);
}

#define IN_A_FOLDER(test) cmocka_unit_test_setup_teardown(test, test_folder_enter, test_folder_leave)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_A_FOLDER(what_was_written_is_read),
		IN_A_FOLDER(reading_says_what_is_wrong),
		IN_A_FOLDER(an_aborted_file_leaves_the_old_one),
		IN_A_FOLDER(a_library_may_write_to_the_temporary_path),
		IN_A_FOLDER(two_writers_do_not_meet),
		IN_A_FOLDER(a_failed_write_leaves_nothing),
		IN_A_FOLDER(folders_are_made),
		IN_A_FOLDER(paths_are_joined),
		IN_A_FOLDER(files_are_mapped),
		IN_A_FOLDER(writers_race_without_harm),
		IN_A_FOLDER(a_killed_writer_leaves_a_whole_file),
	};
	return cmocka_run_group_tests_name("base/file", tests, NULL, NULL);
}
