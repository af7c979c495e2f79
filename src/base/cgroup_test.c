#include "base/cgroup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/file.h"
#include "base/text.h"
#include "base/test_folder.h"

static void write_file(const char *path, const char *content)
{
	assert_int_equal(base_file_write(path, content, strlen(content), NULL), BM_OK);
}

static void collect(void *arg, const char *folder, bool unified)
{
	base_text_add(arg, "%s%s ", folder, unified ? "!" : "");
}

static void check_folders(const char *controller, const char *expected)
{
	base_text text = {0};
	base_cgroup_each("membership", "root", controller, collect, &text);
	assert_string_equal(base_text_string(&text), expected);
	base_text_free(&text);
}

static void groups_are_visited_up_to_the_root(void **state)
{
	(void)state;
	check_folders("cpu", "");
	write_file("membership", "0::/a/b\n");
	check_folders("cpu", "root/a/b! root/a! root! ");
	write_file("membership", "0::/\n");
	check_folders("memory", "root! ");
	write_file("membership", "5:cpu,cpuacct:/x\n4:memory:/\n3:cpuset:/y\nnonsense\n0::/z\n");
	check_folders("cpu", "root/cpu/x root/cpu root/z! root! ");
	check_folders("memory", "root/memory root/z! root! ");
}

static void numbers_are_read(void **state)
{
	(void)state;
	uint64_t n[3] = {0};
	assert_int_equal(base_read_numbers(".", "none", "", n, 3), 0);
	write_file("cpu.max", "150000 100000\n");
	assert_int_equal(base_read_numbers(".", "cpu.max", "", n, 3), 2);
	assert_true(n[0] == 150000 && n[1] == 100000);
	assert_int_equal(base_read_numbers(".", "cpu.max", "", n, 1), 1);
	write_file("cpu.max", "max 100000\n");
	assert_int_equal(base_read_numbers(".", "cpu.max", "", n, 3), 2);
	assert_true(n[0] == UINT64_MAX && n[1] == 100000);
	write_file("quota", "-1\n");
	assert_int_equal(base_read_numbers(".", "quota", "", n, 3), 0);
	write_file("status", "VmPeak:\t  10 kB\nVmHWM:\t  1234 kB\n");
	assert_int_equal(base_read_numbers(".", "status", "VmHWM:", n, 3), 1);
	assert_true(n[0] == 1234);
	assert_int_equal(base_read_numbers(".", "status", "VmNone:", n, 3), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(groups_are_visited_up_to_the_root, test_folder_enter,
						test_folder_leave),
		cmocka_unit_test_setup_teardown(numbers_are_read, test_folder_enter, test_folder_leave),
	};
	return cmocka_run_group_tests_name("base/cgroup", tests, NULL, NULL);
}
