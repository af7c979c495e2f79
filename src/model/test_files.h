/* For tests of model files: what must go well, and a folder for a program's files. */
#ifndef MODEL_TEST_FILES_H
#define MODEL_TEST_FILES_H

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/error.h"

static char test_files_folder[] = "/tmp/brainmri-model-test-XXXXXX";

static inline void check(bm_status status, const bm_error *err)
{
	if (status != BM_OK)
		fail_msg("%s", err->message);
}

/* A group's set-up: an empty folder is the working folder. */
static inline int test_files_enter(void **state)
{
	(void)state;
	return mkdtemp(test_files_folder) && chdir(test_files_folder) == 0 ? 0 : -1;
}

/* Its end, when the test's own files are deleted: fails when another was left, as a temporary one. */
static inline int test_files_leave(void **state)
{
	(void)state;
	return chdir("/") == 0 ? rmdir(test_files_folder) : -1;
}

#endif
