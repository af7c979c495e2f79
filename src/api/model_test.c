#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/memory.h"
#include "brainmri/brainmri.h"
#include "image/phantom.h"
#include "model/model.h"

static char folder[32], file[64];

static int make_model(void **state)
{
	(void)state;
	bm_error err = {0};
	model m;
	const model_options options = {.width = 0.125, .image_size = 48, .channels = 3, .classes = 3};
	const char *names[] = {"one", "zwei", "trois"};
	strcpy(folder, "/tmp/api_test_XXXXXX");
	assert_non_null(mkdtemp(folder));
	snprintf(file, sizeof file, "%s/m.keras", folder);
	assert_int_equal(model_create(&options, names, false, 5, &m, &err), BM_OK);
	assert_int_equal(model_save(&m, file, &err), BM_OK);
	model_free(&m);
	return 0;
}

static int remove_model(void **state)
{
	(void)state;
	unlink(file);
	return rmdir(folder);
}

static void an_image_is_classified(void **state)
{
	(void)state;
	bm_error err = {0};
	bm_model *m;
	image img;
	uint8_t *bytes;
	size_t size;
	float p[3], again[3];
	assert_int_equal(bm_model_open(file, 1, &m, &err), BM_OK);
	assert_int_equal(bm_model_class_count(m), 3);
	assert_string_equal(bm_model_class_name(m, 1), "zwei");
	assert_null(bm_model_class_name(m, 3));
	assert_null(bm_model_class_name(m, -1));
	assert_int_equal(image_phantom(1, 0, 0, 64, &img, &err), BM_OK);
	assert_int_equal(image_encode_png(&img, &bytes, &size, &err), BM_OK);
	assert_int_equal(bm_model_classify_bytes(m, bytes, size, p, &err), BM_OK);
	assert_float_equal(p[0] + p[1] + p[2], 1, 1e-5);
	for (int i = 0; i < 3; i++)
		assert_true(p[i] >= 0 && p[i] <= 1);
	char path[64];
	snprintf(path, sizeof path, "%s/i.png", folder);
	assert_int_equal(base_file_write(path, bytes, size, &err), BM_OK);
	assert_int_equal(bm_model_classify_file(m, path, again, &err), BM_OK);
	assert_memory_equal(p, again, sizeof p);
	/* Damaged in the middle: an error that names the file. */
	assert_int_equal(base_file_write(path, bytes, size / 2, &err), BM_OK);
	assert_int_not_equal(bm_model_classify_file(m, path, again, &err), BM_OK);
	assert_non_null(strstr(err.message, path));
	unlink(path);
	base_free(bytes);
	image_free(&img);
	bm_model_close(m);
}

static void what_is_no_model_is_said(void **state)
{
	(void)state;
	bm_error err = {0};
	bm_model *m = (bm_model *)file;
	assert_int_equal(bm_model_open("/no/such/model", 0, &m, &err), BM_ERR_NOT_FOUND);
	assert_null(m);
	assert_non_null(strstr(err.message, "/no/such/model"));
	assert_int_equal(bm_model_open(folder, 0, &m, &err), BM_ERR_NOT_FOUND);
	assert_non_null(strstr(err.message, "config.json"));
	assert_int_equal(bm_model_open("/dev/null", 0, &m, NULL), BM_ERR_NOT_FOUND);
	assert_null(m);
	bm_model_close(NULL);
}

static void the_shipped_model_needs_no_path(void **state)
{
	(void)state;
	bm_error err = {0};
	bm_model *m;
	bm_status status = bm_model_open(NULL, 1, &m, &err);
	if (!bm_shipped_card()) {
		assert_int_equal(status, BM_ERR_NOT_FOUND);
		assert_null(m);
		assert_non_null(strstr(err.message, "no model ships"));
		return;
	}
	assert_int_equal(status, BM_OK);
	assert_true(bm_model_class_count(m) >= 2);
	assert_int_equal(bm_model_set_abstain(m, -1, &err), BM_OK); /* it was evaluated */
	bm_model_close(m);
}

static void no_memory_is_an_error(void **state)
{
	(void)state;
	bool opened = false;
	for (long n = 0; n < 4000 && !opened; n += n < 40 ? 1 : 97) {
		bm_error err = {0};
		bm_model *m;
		base_memory_fail_after(n);
		bm_status status = bm_model_open(file, 1, &m, &err);
		base_memory_fail_after(-1);
		opened = status == BM_OK;
		if (!opened) {
			assert_null(m);
			assert_true(err.message[0] != '\0');
		}
		bm_model_close(m);
	}
	assert_true(opened);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_image_is_classified),
		cmocka_unit_test(what_is_no_model_is_said),
		cmocka_unit_test(the_shipped_model_needs_no_path),
		cmocka_unit_test(no_memory_is_an_error),
	};
	return cmocka_run_group_tests(tests, make_model, remove_model);
}
