/* Between local folders, which have the same operations; HDFS itself is in tests/servers. */
#include "data/transfer.h"
#include "data/test_fixture.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

static void put_file(const char *name, const char *text)
{
	char *path = base_path_join(fixture_root, name, NULL), *slash;
	assert_non_null(path);
	slash = strrchr(path, '/');
	*slash = '\0';
	assert_ok(base_make_folders(path, &oops));
	*slash = '/';
	assert_ok(base_file_write(path, text, strlen(text), &oops));
	base_free(path);
}

static storage *place(const char *name)
{
	storage *s;
	char *path = base_path_join(fixture_root, name, NULL);
	assert_non_null(path);
	assert_ok(storage_open_with(path, &(storage_options){.make = true}, &s, &oops));
	base_free(path);
	return s;
}

static size_t count_all(storage *s, const char *folder)
{
	storage_list list;
	assert_ok(storage_list_all(s, folder, &list, &oops));
	size_t count = list.count;
	storage_list_free(&list);
	return count;
}

static data_transfer_stats transfer(storage *from, storage *to, bool no_verify)
{
	data_transfer_options options = {.no_verify = no_verify};
	data_transfer_stats stats;
	assert_ok(data_transfer(from, to, &options, NULL, &stats, &oops));
	assert_int_equal(stats.sent + stats.present, stats.files);
	assert_int_equal(count_all(to, ""), 2); /* the classes: no hidden folder is left */
	return stats;
}

static void test_transfer(void **state)
{
	(void)state;
	put_file("from/a/1", "one");
	put_file("from/a/2", "two");
	put_file("from/a/.hidden", "x");
	put_file("from/b/empty", "");
	put_file("from/b/deep/3", "three");
	storage *from = place("from"), *to = place("to/new");
	data_transfer_stats stats = transfer(from, to, false);
	assert_int_equal(stats.files, 4);
	assert_int_equal(stats.sent, 4);
	assert_int_equal(stats.verified, 4);
	assert_int_equal(stats.bytes, 11);
	assert_int_equal(count_all(to, "a"), 2);
	/* Again: nothing to do. */
	stats = transfer(from, to, false);
	assert_int_equal(stats.sent, 0);
	assert_int_equal(stats.present, 4);
	assert_int_equal(stats.verified, 4);
	/* What is missing, of another length or of other content goes; what else is there stays. */
	put_file("to/new/a/1", "eno");
	put_file("to/new/b/empty", "no");
	put_file("to/new/a/more", "kept");
	assert_ok(storage_remove(to, "b/deep", true, NULL, &oops));
	stats = transfer(from, to, false);
	assert_int_equal(stats.sent, 3);
	assert_int_equal(stats.replaced, 2);
	assert_int_equal(stats.sent_bytes, 8);
	uint8_t *bytes;
	size_t size;
	assert_ok(storage_read(to, "a/1", 10, &bytes, &size, &oops));
	assert_string_equal((char *)bytes, "one");
	base_free(bytes);
	assert_int_equal(count_all(to, "a"), 3);
	/* Lengths only. */
	put_file("to/new/a/1", "eno");
	stats = transfer(from, to, true);
	assert_int_equal(stats.sent, 0);
	assert_int_equal(stats.verified, 0);
	storage_close(from);
	storage_close(to);
}

static void test_compare(void **state)
{
	(void)state;
	put_file("here/a/1", "one");
	put_file("here/a/2", "two");
	put_file("here/b/3", "three");
	put_file("here/b/4", "four");
	put_file("there/a/1", "one");
	put_file("there/a/2", "owt");
	put_file("there/b/3", "thre");
	put_file("there/b/5", "five");
	storage *here = place("here"), *there = place("there");
	data_comparison c;
	assert_ok(data_compare(here, there, 0, NULL, &c, &oops));
	assert_int_equal(c.files, 4);
	assert_int_equal(c.equal, 1);
	static const struct {
		const char *path;
		data_difference difference;
	} expected[] = {
		{"a/2", DATA_OTHER_CONTENT}, {"b/3", DATA_OTHER_SIZE}, {"b/4", DATA_MISSING}, {"b/5", DATA_UNKNOWN}};
	assert_int_equal(c.count, 4);
	for (size_t i = 0; i < 4; i++) {
		assert_string_equal(c.different[i].path, expected[i].path);
		assert_int_equal(c.different[i].difference, expected[i].difference);
	}
	data_comparison_free(&c);
	data_comparison_free(&c);
	storage_close(here);
	storage_close(there);
}

/* A file larger than what is held in memory at once goes piece by piece. */
static void test_large(void **state)
{
	(void)state;
	size_t size = (9 << 20) + 5;
	uint8_t *bytes = base_malloc(size, 1, "a test", NULL);
	assert_non_null(bytes);
	for (size_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)(i * 2654435761u >> 11);
	storage *from = place("large"), *to = place("copy");
	assert_ok(storage_make_folders(from, "a", &oops));
	assert_ok(storage_make_folders(from, "b", &oops));
	assert_ok(storage_write(from, "a/x", bytes, size, &oops));
	assert_ok(storage_write(from, "b/y", "1", 1, &oops));
	data_transfer_stats stats = transfer(from, to, false);
	assert_int_equal(stats.sent, 2);
	uint8_t *back;
	size_t got;
	assert_ok(storage_read(to, "a/x", size, &back, &got, &oops));
	assert_int_equal(got, size);
	assert_memory_equal(back, bytes, size);
	base_free(back);
	base_free(bytes);
	storage_close(from);
	storage_close(to);
}

static void test_cancelled(void **state)
{
	(void)state;
	put_file("many/a/1", "one");
	put_file("many/b/2", "two");
	storage *from = place("many"), *to = place("stopped");
	atomic_bool cancel = true;
	base_observer observer = {.cancel = &cancel};
	data_transfer_options options = {0};
	data_transfer_stats stats;
	bm_error err = {0};
	assert_int_equal(data_transfer(from, to, &options, &observer, &stats, &err), BM_ERR_CANCELLED);
	assert_int_equal(stats.sent, 0);
	assert_int_equal(count_all(to, ""), 0);
	/* Nothing to send is an error that tells so. */
	storage *empty = place("empty");
	assert_int_equal(data_transfer(empty, to, &options, NULL, &stats, &err), BM_ERR_DATA);
	storage_close(empty);
	storage_close(from);
	storage_close(to);
}

/* A staging folder with half a file, last written to so many hours ago. */
static void put_staging(const char *name, int hours)
{
	char path[320];
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = time(NULL) - hours * 3600L}};
	snprintf(path, sizeof path, "busy/.brainmri-put-%s/0", name);
	put_file(path, "half");
	*strrchr(path, '/') = '\0';
	assert_int_equal(utimensat(AT_FDCWD, fixture_path(path), times, 0), 0);
}

static void die(void *self, const base_progress *progress)
{
	(void)self;
	if (progress->done == progress->total)
		raise(SIGKILL);
}

/* The staging folder that a transfer to "busy" leaves when it is killed; to be freed. */
static char *kill_a_transfer(void)
{
	put_file("one/a/1", "one");
	pid_t child = fork();
	if (child == 0) {
		data_transfer_options options = {0};
		data_transfer_stats stats;
		(void)data_transfer(place("one"), place("busy"), &options, &(base_observer){.progress = die}, &stats,
				    &oops);
		_exit(0);
	}
	int how = 0;
	assert_int_equal(waitpid(child, &how, 0), child);
	assert_true(WIFSIGNALED(how) && WTERMSIG(how) == SIGKILL);
	storage *busy = place("busy");
	storage_list list;
	char *left = NULL;
	assert_ok(storage_list_all(busy, "", &list, &oops));
	for (size_t i = 0; i < list.count; i++)
		if (strncmp(list.items[i].name, ".brainmri-put-", 14) == 0)
			left = base_strdup(list.items[i].name, &oops);
	assert_non_null(left);
	storage_list_free(&list);
	storage_close(busy);
	return left;
}

/* What a process that is gone left is removed at once; what may belong to a running one stays. */
static void test_left_over(void **state)
{
	(void)state;
	char host[64] = "", running[192], container[192];
	char *left = kill_a_transfer();
	*strrchr(left, '-') = '\0';
	*strrchr(left, '-') = '\0';
	snprintf(running, sizeof running, "%s-%ld-2", left + strlen(".brainmri-put-"), (long)getpid());
	put_staging(running, 49);
	gethostname(host, sizeof host - 1);
	snprintf(container, sizeof container, "%s-0badc0de-999999999-1", host); /* it may have processes of its own */
	put_staging(container, 2);
	put_staging("another.host-0badc0de-17-3", 2); /* perhaps it still runs there */
	put_staging("another.host-0badc0de-17-4", 49);
	put_file("some/a/1", "one");
	put_file("some/b/2", "two");
	storage *from = place("some"), *to = place("busy");
	data_transfer_options options = {0};
	data_transfer_stats stats;
	assert_ok(data_transfer(from, to, &options, NULL, &stats, &oops));
	assert_int_equal(count_all(to, ""), 5);
	data_files files;
	assert_ok(data_files_list(to, NULL, &files, &oops));
	assert_int_equal(files.count, 2); /* nothing half-written is ever listed */
	data_files_free(&files);
	base_free(left);
	storage_close(from);
	storage_close(to);
}

static void test_class(void **state)
{
	(void)state;
	assert_int_equal(data_file_class("glioma/x.jpg"), 6);
	assert_int_equal(data_file_class("a/b/c"), 1);
	assert_int_equal(data_file_class("x.jpg"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_transfer),  cmocka_unit_test(test_compare),   cmocka_unit_test(test_large),
		cmocka_unit_test(test_cancelled), cmocka_unit_test(test_left_over), cmocka_unit_test(test_class),
	};
	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
