#include "data/set.h"

#include "data/test_fixture.h"

struct heard {
	int warnings, notes, progress;
	char last_warning[512], last_note[512];
	long long done, total;
};

static void on_warning(void *self, const char *line)
{
	struct heard *heard = self;
	heard->warnings++;
	snprintf(heard->last_warning, sizeof heard->last_warning, "%s", line);
}

static void on_note(void *self, const char *line)
{
	struct heard *heard = self;
	heard->notes++;
	snprintf(heard->last_note, sizeof heard->last_note, "%s", line);
}

static void on_progress(void *self, const base_progress *progress)
{
	struct heard *heard = self;
	heard->progress++;
	heard->done = progress->done;
	heard->total = progress->total;
}

static bm_status scan(int threads, bool strict, struct heard *heard, data_set *set, bm_error *err)
{
	storage *s = NULL;
	base_observer observer = {.self = heard, .warning = on_warning, .note = on_note, .progress = on_progress};
	assert_ok(storage_open(fixture_path("data"), &s, &oops));
	bm_status status = data_scan(s, threads, strict, heard ? &observer : NULL, set, err);
	storage_close(s);
	return status;
}

static void assert_refused(bool strict, const char *words)
{
	data_set set;
	bm_error err = {0};
	assert_int_equal(scan(2, strict, NULL, &set, &err), BM_ERR_DATA);
	if (!strstr(err.message, words))
		fail_msg("'%s' does not say '%s'", err.message, words);
	assert_null(set.items);
	data_set_free(&set);
}

static void a_folder_per_class(void **state)
{
	data_set set, again;
	size_t counts[DATA_CLASSES_MAX];
	struct heard heard = {0};
	(void)state;
	fixture_images(3, 4);
	fixture_write("data/README.txt", "hello", 5);
	fixture_write("data/glioma/deeper/x.jpg", "hello", 5);
	assert_ok(scan(2, false, &heard, &set, &oops));
	assert_int_equal(set.count, 12);
	assert_int_equal(set.class_count, 3);
	assert_string_equal(set.class_names[0], "glioma");
	assert_string_equal(set.items[0].path, "glioma/000.jpg");
	assert_string_equal(set.items[11].path, "notumor/003.jpg");
	assert_int_equal(set.items[11].label, 2);
	assert_int_equal(set.items[0].info.width, 96);
	assert_int_equal(set.items[0].info.format, IMAGE_JPEG);
	assert_true(set.items[0].size > 100);
	data_set_counts(&set, counts);
	assert_int_equal(counts[0], 4);
	assert_int_equal(counts[3], 0);
	assert_int_equal(heard.notes, 1);
	assert_non_null(strstr(heard.last_note, "1 file directly"));
	assert_int_equal(heard.warnings, 1);
	assert_non_null(strstr(heard.last_warning, "1 folder inside"));
	assert_true(heard.progress >= 1);
	assert_int_equal(heard.done, 12);
	assert_int_equal(heard.total, 12);
	/* The hash is that of names and contents, whatever the number of threads. */
	assert_ok(scan(1, false, NULL, &again, &oops));
	assert_true(base_hash_equal(set.hash, again.hash));
	data_set_free(&again);
	assert_int_equal(rename(fixture_path("data/glioma/003.jpg"), fixture_path("data/glioma/004.jpg")), 0);
	assert_ok(scan(2, false, NULL, &again, &oops));
	assert_false(base_hash_equal(set.hash, again.hash));
	data_set_free(&again);
	assert_int_equal(rename(fixture_path("data/glioma/004.jpg"), fixture_path("data/glioma/003.jpg")), 0);
	fixture_jpeg("data/glioma/003.jpg", 0, 77, 90);
	assert_ok(scan(2, false, NULL, &again, &oops));
	assert_false(base_hash_equal(set.hash, again.hash));
	data_set_free(&again);
	data_set_free(&set);
}

static void names_of_any_kind(void **state)
{
	data_set set;
	(void)state;
	fixture_jpeg("data/brain stem, left/a \"b\", c.jpg", 0, 0, 90);
	fixture_jpeg("data/T\xc3\xbcmor-2/\xe2\x80\x94 1.jpg", 1, 0, 90);
	fixture_jpeg("data/T\xc3\xbcmor/new\nline.jpg", 1, 1,
		     90); /* "T/" sorts behind "T-2/" though "T" is before "T-2" */
	assert_ok(scan(1, true, NULL, &set, &oops));
	assert_int_equal(set.count, 3);
	assert_string_equal(set.class_names[0], "T\xc3\xbcmor");
	assert_int_equal(set.items[0].label, 1);
	assert_string_equal(set.items[0].path, "T\xc3\xbcmor-2/\xe2\x80\x94 1.jpg");
	data_set_free(&set);
}

static void what_is_wrong_and_what_to_do(void **state)
{
	data_set set;
	struct heard heard = {0};
	(void)state;
	assert_ok(base_make_folders(fixture_path("data"), &oops));
	assert_refused(false, "has no class folder; put the images");
	fixture_images(1, 2);
	assert_refused(false, "has only one class folder, 'glioma'; add one");
	fixture_images(2, 2);
	assert_ok(base_make_folders(fixture_path("data/notumor"), &oops));
	assert_refused(false, "notumor' is empty; put images into it, or remove it");
	fixture_write("data/notumor/a.jpg", "not an image at all", 19);
	assert_refused(false, "notumor' holds no readable image");
	assert_refused(true, "cannot use 'notumor/a.jpg'");
	fixture_jpeg("data/notumor/b.jpg", 2, 0, 90);
	fixture_write("data/notumor/c.jpg", "", 0);
	assert_ok(scan(2, false, &heard, &set, &oops));
	assert_int_equal(set.count, 5);
	assert_int_equal(set.rejected_count, 2);
	assert_string_equal(set.rejected[0].path, "notumor/a.jpg");
	assert_true(strlen(set.rejected[0].reason) > 0);
	assert_string_equal(set.rejected[1].reason, "the file is empty");
	assert_int_equal(heard.warnings, 2);
	assert_non_null(strstr(heard.last_warning, "notumor/c.jpg"));
	data_set_free(&set);
	assert_refused(true, "remove or replace it, or run without --strict");
	fixture_clear(fixture_path("data"));
	fixture_write("data/a/1.jpg", "no", 2);
	fixture_write("data/b/1.jpg", "no", 2);
	assert_refused(false, "holds no readable image (2 files were left out");
	fixture_write("data/bad\xff/1.jpg", "no", 2);
	assert_refused(false, "not plain UTF-8");
	fixture_clear(fixture_path("data"));
	for (int i = 0; i <= DATA_CLASSES_MAX; i++) {
		char name[32];
		snprintf(name, sizeof name, "data/c%02d", i);
		assert_ok(base_make_folders(fixture_path(name), &oops));
	}
	assert_refused(false, "65 folders, more than 64 classes");
}

static void cancelled(void **state)
{
	storage *s = NULL;
	data_set set;
	atomic_bool cancel = true;
	base_observer observer = {.cancel = &cancel};
	bm_error err = {0};
	(void)state;
	fixture_images(2, 2);
	assert_int_equal(storage_open(fixture_path("data"), &s, &err), BM_OK);
	assert_int_equal(data_scan(s, 2, false, &observer, &set, &err), BM_ERR_CANCELLED);
	assert_null(set.root);
	storage_close(s);
}

static void memory_runs_out(void **state)
{
	bool succeeded = false;
	(void)state;
	fixture_images(2, 2);
	fixture_write("data/glioma/broken.jpg", "broken", 6);
	for (long n = 0; !succeeded && n < 2000; n++) {
		storage *s = NULL;
		data_set set = {0};
		bm_error err = {0};
		assert_int_equal(storage_open(fixture_path("data"), &s, &err), BM_OK);
		base_memory_fail_after(n);
		bm_status status = data_scan(s, 1, false, NULL, &set, &err);
		base_memory_fail_after(-1);
		succeeded = status == BM_OK && set.count == 4 && set.rejected_count == 1;
		if (!succeeded)
			assert_int_equal(status, BM_ERR_MEMORY);
		data_set_free(&set);
		storage_close(s);
	}
	assert_true(succeeded);
}

static void an_image_is_rejected_later(void **state)
{
	data_set set;
	bm_error err = {0};
	(void)state;
	fixture_set(&set, 5, 2);
	assert_int_equal(data_set_reject(&set, 3, "cut short", &err), BM_OK);
	assert_int_equal(data_set_reject(&set, 0, "grey half", &err), BM_OK);
	assert_int_equal(set.count, 3);
	assert_int_equal(set.rejected_count, 2);
	assert_string_equal(set.rejected[0].path, "class 0/00000.jpg");
	assert_string_equal(set.rejected[0].reason, "grey half");
	assert_string_equal(set.rejected[1].path, "class 1/00003.jpg");
	assert_string_equal(set.items[0].path, "class 1/00001.jpg");
	assert_string_equal(set.items[2].path, "class 0/00004.jpg");
	assert_int_equal(data_set_reject(&set, 3, "there is none", &err), BM_ERR_INTERNAL);
	assert_int_equal(data_set_check(&set, &err), BM_OK);
	assert_int_equal(data_set_reject(&set, 0, "last of its class", &err), BM_OK);
	assert_int_equal(data_set_check(&set, &err), BM_ERR_DATA);
	assert_non_null(strstr(err.message, "class 1"));
	base_memory_fail_after(0);
	assert_int_equal(data_set_reject(&set, 0, "x", &err), BM_ERR_MEMORY);
	base_memory_fail_after(1);
	assert_int_equal(data_set_reject(&set, 0, "x", &err), BM_ERR_MEMORY);
	base_memory_fail_after(-1);
	assert_int_equal(set.count, 2);
	data_set_free(&set);
}

static void weights_as_scikit_learn(void **state)
{
	/* sklearn.utils.class_weight.compute_class_weight("balanced") of the real set: 1.081, 1.0665, 0.8953, 0.9801 */
	const size_t counts[] = {1321, 1339, 1595, 1457, 0};
	float weights[5];
	(void)state;
	data_class_weights(counts, 4, weights);
	assert_float_equal(weights[0], 1.0810, 1e-4);
	assert_float_equal(weights[1], 1.0665, 1e-4);
	assert_float_equal(weights[2], 0.8953, 1e-4);
	assert_float_equal(weights[3], 0.9801, 1e-4);
	data_class_weights(counts, 5, weights);
	assert_float_equal(weights[4], 0, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_folder_per_class, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(names_of_any_kind, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(what_is_wrong_and_what_to_do, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(cancelled, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(memory_runs_out, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(an_image_is_rejected_later, fixture_setup, fixture_teardown),
		cmocka_unit_test(weights_as_scikit_learn),
	};
	return cmocka_run_group_tests_name("data/set", tests, NULL, NULL);
}
