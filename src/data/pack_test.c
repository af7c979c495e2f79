#include "data/pack.h"

#include <glob.h>

#include "data/test_fixture.h"

enum { SIDE = 64, COUNT = 6, CLASSES = 2 };

static void nothing_beside(const char *name)
{
	char command[256];
	snprintf(command, sizeof command, "test \"$(ls '%s')\" = '%s'", fixture_root, name);
	assert_int_equal(system(command), 0); /* no temporary folder is left */
}

static void what_goes_in_comes_out(void **state)
{
	data_set set;
	data_pack pack;
	data_pack_writer *writer = NULL;
	image img = {0};
	static const char *const names[COUNT] = {
		"class 0/a b.jpg",	"class 0/c,d.jpg",	 "class 0/\"e\".jpg",
		"class 1/\xc3\xbc.jpg", "class 1/new\nline.jpg", "class 1/x.jpg",
	};
	(void)state;
	fixture_set(&set, COUNT, CLASSES);
	for (size_t i = 0; i < COUNT; i++) {
		base_free(set.items[i].path);
		set.items[i].path = base_strdup(names[i], NULL);
		set.items[i].label = i >= 3;
	}
	base_free(set.class_names[1]);
	set.class_names[1] = base_strdup("say \"\xc3\xa9\", twice", NULL);
	assert_ok(data_pack_writer_open(fixture_path("pack//"), COUNT, SIDE, &writer, &oops));
	assert_false(base_is_folder(fixture_path("pack"))); /* nothing before the commit */
	for (size_t i = 0; i < COUNT; i++) {
		assert_ok(image_phantom(3, 0, i, SIDE, &img, &oops));
		if (i % 2 == 0)
			memcpy(data_pack_writer_slot(writer, i), img.pixels, SIDE * SIDE);
		else
			assert_ok(data_pack_writer_put(writer, i, img.pixels, &oops));
		image_free(&img);
	}
	assert_ok(data_pack_writer_commit(writer, &set, &oops));
	nothing_beside("pack");
	assert_ok(data_pack_open(fixture_path("pack"), &pack, &oops));
	assert_int_equal(pack.count, COUNT);
	assert_int_equal(pack.side, SIDE);
	assert_int_equal(pack.class_count, CLASSES);
	assert_string_equal(pack.class_names[1], "say \"\xc3\xa9\", twice");
	assert_true(base_hash_equal(pack.content, set.hash));
	assert_int_equal((uintptr_t)pack.images % 64, 0);
	for (size_t i = 0; i < COUNT; i++) {
		assert_string_equal(pack.sources[i], names[i]);
		assert_int_equal(pack.labels[i], i >= 3);
		assert_true(base_hash_equal(pack.hashes[i], set.items[i].hash));
		assert_ok(image_phantom(3, 0, i, SIDE, &img, &oops));
		assert_memory_equal(pack.images + i * SIDE * SIDE, img.pixels, SIDE * SIDE);
		image_free(&img);
	}
	assert_true(data_pack_holds(fixture_path("pack"), set.hash, SIDE));
	assert_false(data_pack_holds(fixture_path("pack"), set.hash, 32));
	assert_false(data_pack_holds(fixture_path("pack"), set.items[0].hash, SIDE));
	assert_false(data_pack_holds(fixture_path("none"), set.hash, SIDE));
	data_pack_close(&pack);
	data_pack_close(&pack); /* harmless */
	data_set_free(&set);
}

static void dropped_images_leave_no_gap(void **state)
{
	data_set set;
	data_pack pack;
	data_pack_writer *writer = NULL;
	bm_error err = {0};
	(void)state;
	fixture_set(&set, COUNT, CLASSES);
	assert_int_equal(data_pack_writer_open(fixture_path("pack"), COUNT, SIDE, &writer, &err), BM_OK);
	for (size_t i = 0; i < COUNT; i++) {
		uint8_t pixels[SIDE * SIDE];
		memset(pixels, (int)i + 1, sizeof pixels);
		assert_int_equal(data_pack_writer_put(writer, i, pixels, &err), BM_OK);
	}
	data_pack_writer_drop(writer, 4);
	data_pack_writer_drop(writer, 0);
	assert_int_equal(data_set_reject(&set, 4, "damaged", &err), BM_OK);
	assert_int_equal(data_set_reject(&set, 0, "damaged", &err), BM_OK);
	assert_int_equal(data_pack_writer_commit(writer, &set, &err), BM_OK);
	assert_ok(data_pack_open(fixture_path("pack"), &pack, &oops));
	assert_int_equal(pack.count, 4);
	static const uint8_t expected[] = {2, 3, 4, 6};
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(pack.images[i * SIDE * SIDE], expected[i]);
		assert_int_equal(pack.images[(i + 1) * SIDE * SIDE - 1], expected[i]);
	}
	assert_true(data_pack_holds(fixture_path("pack"), set.hash, SIDE));
	data_pack_close(&pack);
	/* A list that does not fit is refused, and leaves nothing. */
	assert_int_equal(data_pack_writer_open(fixture_path("other"), 2, SIDE, &writer, &err), BM_OK);
	assert_int_equal(data_pack_writer_commit(writer, &set, &err), BM_ERR_INTERNAL);
	nothing_beside("pack");
	data_set_free(&set);
}

static void an_old_pack_is_replaced_a_foreign_folder_is_not(void **state)
{
	data_pack pack;
	data_pack_writer *writer = NULL;
	bm_error err = {0};
	(void)state;
	fixture_pack("pack", COUNT, CLASSES, SIDE, NULL);
	assert_ok(data_pack_writer_open(fixture_path("pack"), COUNT, SIDE, &writer, &oops));
	data_pack_writer_abort(writer);
	data_pack_writer_abort(NULL);
	nothing_beside("pack");
	fixture_pack("pack", 3, CLASSES, 32, &pack);
	assert_int_equal(pack.count, 3);
	assert_int_equal(pack.side, 32);
	data_pack_close(&pack);
	nothing_beside("pack");
	fixture_write("pack/thesis.txt", "do not lose", 11);
	assert_int_equal(data_pack_writer_open(fixture_path("pack"), COUNT, SIDE, &writer, &err), BM_ERR_IO);
	assert_non_null(strstr(err.message, "thesis.txt"));
	assert_null(writer);
	fixture_write("file", "x", 1);
	assert_int_equal(data_pack_writer_open(fixture_path("file"), COUNT, SIDE, &writer, &err), BM_ERR_IO);
	assert_int_equal(data_pack_writer_open("", COUNT, SIDE, &writer, &err), BM_ERR_USAGE);
	assert_int_equal(data_pack_writer_open(fixture_path("p"), 0, SIDE, &writer, &err), BM_ERR_USAGE);
	assert_int_equal(data_pack_writer_open(fixture_path("p"), SIZE_MAX / 2, SIDE, &writer, &err), BM_ERR_USAGE);
	assert_int_equal(data_pack_writer_open(fixture_path("p"), 1, 1, &writer, &err), BM_ERR_USAGE);
}

static void a_link_to_a_folder_is_followed(void **state)
{
	data_pack pack;
	data_pack_writer *writer = NULL;
	bm_error err = {0};
	char link[256];
	(void)state;
	strcpy(link, fixture_path("link"));
	assert_int_equal(symlink("pack", link), 0);
	assert_int_equal(data_pack_writer_open(link, COUNT, SIDE, &writer, &err), BM_ERR_IO);
	assert_non_null(strstr(err.message, "leads nowhere"));
	assert_ok(base_make_folders(fixture_path("pack"), &oops));
	for (int i = 1; i <= 2; i++) { /* into an empty folder, and in a pack's place */
		fixture_pack("link/", COUNT * i, CLASSES, SIDE, &pack);
		assert_int_equal(pack.count, COUNT * i);
		data_pack_close(&pack);
	}
	assert_int_equal(unlink(link), 0); /* it still is one */
	nothing_beside("pack");
}

static void what_a_killed_process_left_goes_away(void **state)
{
	(void)state;
	/* No process has this id: the kernel's largest is 2^22. */
	fixture_write("pack.99999999-0.part/images.npy", "x", 1);
	fixture_write("pack.1x-0.part/images.npy", "x", 1);
	fixture_pack("pack", COUNT, CLASSES, SIDE, NULL);
	assert_false(base_is_folder(fixture_path("pack.99999999-0.part")));
	assert_true(base_is_folder(fixture_path("pack.1x-0.part")));
}

/* The name of one that is written on another computer, or in another container, says nothing of this computer's processes. */
static void what_another_computer_writes_stays(void **state)
{
	data_pack_writer *writer = NULL;
	char name[256], pattern[256];
	glob_t found;
	(void)state;
	assert_ok(data_pack_writer_open(fixture_path("pack"), COUNT, SIDE, &writer, &oops));
	strcpy(pattern, fixture_path("pack.*.part"));
	assert_int_equal(glob(pattern, 0, NULL, &found), 0);
	assert_int_equal(found.gl_pathc, 1);
	strcpy(name, fixture_path("pack.99999999-0.part"));
	assert_int_equal(rename(found.gl_pathv[0], name), 0);
	fixture_pack("pack", COUNT, CLASSES, SIDE, NULL);
	assert_true(base_is_folder(name));
	assert_int_equal(rename(name, found.gl_pathv[0]), 0);
	data_pack_writer_abort(writer);
	globfree(&found);
	nothing_beside("pack");
}

/* Replaces the first `from` in a part of the pack by `to`, of the same length or not. Returns the part as it was
 * (base_free). */
static uint8_t *edit(const char *part, const char *from, const char *to, size_t *size)
{
	uint8_t *bytes = NULL;
	assert_ok(base_file_read(fixture_path(part), 1u << 24, &bytes, size, &oops));
	uint8_t *at = memmem(bytes, *size, from, strlen(from));
	if (!at)
		fail_msg("'%s' is not in %s", from, part);
	size_t before = (size_t)(at - bytes), rest = *size - before - strlen(from), grown = before + strlen(to) + rest;
	uint8_t *changed = base_malloc(grown, 1, "a test", NULL);
	assert_non_null(changed);
	memcpy(changed, bytes, before);
	memcpy(changed + before, to, strlen(to));
	memcpy(changed + before + strlen(to), at + strlen(from), rest);
	fixture_write(part, changed, grown);
	base_free(changed);
	return bytes;
}

static void damaged_packs_end_in_an_error(void **state)
{
	static const struct {
		const char *part, *from, *to;
	} edits[] = {
		{"pack/images.npy", "NUMPY", "NUMPX"},
		{"pack/images.npy", "'|u1'", "'<f4'"},
		{"pack/images.npy", "False", "True "},
		{"pack/images.npy", "(6, 64, 64)", "(7, 64, 64)"},
		{"pack/images.npy", "(6, 64, 64)", "(6, 64)    "},
		{"pack/images.npy", "(6, 64, 64)", "(6,64,64,1)"},
		{"pack/images.npy", "'shape'", "'shame'"},
		{"pack/images.npy", "(6, 64, 64), }", "(6, 64, 64), }   "},
		{"pack/images.npy", "\x93NUMPY\x01", "\x93NUMPY\x02"},
		{"pack/images.npy", "v", "\xff"},
		{"pack/manifest.csv", "index,", "indox,"},
		{"pack/manifest.csv", "\n0,0,", "\n1,0,"},
		{"pack/manifest.csv", "\n0,0,", "\n0,2,"},
		{"pack/manifest.csv", "\n0,0,", "\n0,-1,"},
		{"pack/manifest.csv", "\n0,0,", "\n0,1,"},
		{"pack/manifest.csv", "\n0,0,", "\n\"0,0,"},
		{"pack/manifest.csv", "\n0,0,", "\n0,"},
		{"pack/manifest.csv", "class 0/00000.jpg", "/etc/passwd"},
		{"pack/manifest.csv", "class 0/00000.jpg", "class 0/../../x"},
		{"pack/manifest.csv", "class 0/00000.jpg", ""},
		{"pack/manifest.csv", ",96,80\n", ",0,80\n"},
		{"pack/manifest.csv", ",96,80\n", ",96,80,1\n"},
		{"pack/manifest.csv", ",96,80\n", ",96,99999999999999999999\n"},
		{"pack/manifest.csv", "class 0,class 0/00000.jpg,", "class 0,class 0/00000.jpg,z"},
		{"pack/manifest.csv", "\n5,1,", "\n5,1,class 1,a,00000000000000000000000000000000,1,1\n6,1,"},
		{"pack/pack.json", "{", "["},
		{"pack/pack.json", "brainmri-pack", "another-pack"},
		{"pack/pack.json", "\"version\": 1", "\"version\": 2"},
		{"pack/pack.json", "\"count\": 6", "\"count\": 5"},
		{"pack/pack.json", "\"count\": 6", "\"count\": -6"},
		{"pack/pack.json", "\"count\": 6", "\"count\": 9000000000000000000"},
		{"pack/pack.json", "\"count\": 6", "\"count\": 268000000"},
		{"pack/pack.json", "\"count\": 6", "\"count\": \"6\""},
		{"pack/pack.json", "\"side\": 64", "\"side\": 128"},
		{"pack/pack.json", "\"side\": 64", "\"side\": 0"},
		{"pack/pack.json", "\"side\": 64", "\"side\": 4294967360"},
		{"pack/pack.json", "\"class 1\"", "\"class 0\""},
		{"pack/pack.json", "\"class 1\"", "1"},
		{"pack/pack.json", "\"class 1\"", "\"\""},
		{"pack/pack.json", "\"content\"", "\"contents\""},
		{"pack/pack.json", "\"images\": \"", "\"images\": \"x"},
	};
	data_pack pack;
	(void)state;
	fixture_pack("pack", COUNT, CLASSES, SIDE, NULL);
	for (size_t i = 0; i < sizeof edits / sizeof *edits; i++) {
		bm_error err = {0};
		size_t size = 0;
		uint8_t *whole = edit(edits[i].part, edits[i].from, edits[i].to, &size);
		bm_status status = data_pack_open(fixture_path("pack"), &pack, &err);
		if (status != BM_ERR_FORMAT)
			fail_msg("%s with '%s' for '%s' ends in status %d: %s", edits[i].part, edits[i].to,
				 edits[i].from, status, err.message);
		assert_non_null(strstr(err.message, "run the preprocessing again"));
		assert_null(pack.images);
		fixture_write(edits[i].part, whole, size);
		base_free(whole);
	}
	assert_ok(data_pack_open(fixture_path("pack"), &pack, &oops));
	data_pack_close(&pack);
}

static void cut_packs_end_in_an_error(void **state)
{
	static const char *const parts[] = {"pack/images.npy", "pack/manifest.csv", "pack/pack.json"};
	data_pack pack;
	(void)state;
	for (size_t p = 0; p < 3; p++) {
		uint8_t *bytes = NULL;
		size_t size = 0;
		fixture_pack("pack", COUNT, CLASSES, SIDE, NULL);
		assert_ok(base_file_read(fixture_path(parts[p]), 1u << 24, &bytes, &size, &oops));
		/* Without the last byte, a newline, manifest and description are whole; without two the manifest's
		 * last height is another number. */
		for (size_t cut = 0; cut + 2 < size; cut = cut < 200 ? cut + 1 : cut + 977) {
			bm_error err = {0};
			fixture_write(parts[p], bytes, cut);
			bm_status result = data_pack_open(fixture_path("pack"), &pack, &err);
			if (result != BM_ERR_FORMAT)
				fail_msg("%s cut to %zu bytes ends in status %d: %s", parts[p], cut, result,
					 err.message);
			data_pack_close(&pack);
		}
		base_free(bytes);
		bm_error err = {0};
		fixture_pack("pack", COUNT, CLASSES, SIDE, NULL);
		assert_int_equal(remove(fixture_path(parts[p])), 0);
		assert_int_equal(data_pack_open(fixture_path("pack"), &pack, &err), BM_ERR_NOT_FOUND);
	}
	bm_error err = {0};
	assert_int_equal(data_pack_open(fixture_path("none"), &pack, &err), BM_ERR_NOT_FOUND);
	assert_non_null(strstr(err.message, "run the preprocessing first"));
}

static void a_lost_pixel_is_noticed(void **state)
{
	data_pack pack;
	(void)state;
	fixture_pack("pack", COUNT, CLASSES, SIDE, &pack);
	base_hash content = pack.content;
	data_pack_close(&pack);
	assert_true(data_pack_holds(fixture_path("pack"), content, SIDE));
	FILE *file = fopen(fixture_path("pack/images.npy"), "r+b");
	assert_non_null(file);
	assert_int_equal(fseek(file, 5000, SEEK_SET), 0);
	int pixel = fgetc(file);
	assert_int_equal(fseek(file, 5000, SEEK_SET), 0);
	fputc(pixel ^ 1, file);
	assert_int_equal(fclose(file), 0);
	assert_false(data_pack_holds(fixture_path("pack"), content, SIDE));
	/* A pack that another version's preprocessing made does not hold either, but can be read. */
	fixture_pack("pack", COUNT, CLASSES, SIDE, NULL);
	size_t size = 0;
	base_free(edit("pack/pack.json", "triangle", "nearest", &size));
	assert_false(data_pack_holds(fixture_path("pack"), content, SIDE));
	assert_ok(data_pack_open(fixture_path("pack"), &pack, &oops));
	data_pack_close(&pack);
}

static void memory_runs_out(void **state)
{
	bool written = false, read = false;
	data_set set;
	(void)state;
	fixture_set(&set, COUNT, CLASSES);
	for (long n = 0; !written && n < 500; n++) {
		data_pack_writer *writer = NULL;
		bm_error err = {0};
		base_memory_fail_after(n);
		bm_status status = data_pack_writer_open(fixture_path("pack"), COUNT, SIDE, &writer, &err);
		if (status == BM_OK) {
			memset(data_pack_writer_slot(writer, 0), 1, COUNT * SIDE * SIDE);
			status = data_pack_writer_commit(writer, &set, &err);
		}
		base_memory_fail_after(-1);
		written = status == BM_OK;
		if (!written) {
			assert_int_equal(status, BM_ERR_MEMORY);
			nothing_beside("");
		}
	}
	assert_true(written);
	for (long n = 0; !read && n < 500; n++) {
		data_pack pack;
		bm_error err = {0};
		base_memory_fail_after(n);
		bm_status status = data_pack_open(fixture_path("pack"), &pack, &err);
		base_memory_fail_after(-1);
		read = status == BM_OK;
		if (!read)
			assert_int_equal(status, BM_ERR_MEMORY);
		data_pack_close(&pack);
	}
	assert_true(read);
	data_set_free(&set);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_goes_in_comes_out, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(dropped_images_leave_no_gap, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(an_old_pack_is_replaced_a_foreign_folder_is_not, fixture_setup,
						fixture_teardown),
		cmocka_unit_test_setup_teardown(what_a_killed_process_left_goes_away, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(what_another_computer_writes_stays, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(a_link_to_a_folder_is_followed, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(damaged_packs_end_in_an_error, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(cut_packs_end_in_an_error, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(a_lost_pixel_is_noticed, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(memory_runs_out, fixture_setup, fixture_teardown),
	};
	return cmocka_run_group_tests_name("data/pack", tests, NULL, NULL);
}
