#include "engine/preprocess.h"

#include "base/threads.h"
#include "data/test_fixture.h"

enum { SIDE = 32, CLASSES = 3, EACH = 5, COUNT = CLASSES * EACH };

struct heard {
	int warnings, progress;
	char last_warning[512];
	long long done, total;
};

static void on_warning(void *self, const char *line)
{
	struct heard *heard = self;
	heard->warnings++;
	snprintf(heard->last_warning, sizeof heard->last_warning, "%s", line);
}

static void on_progress(void *self, const base_progress *progress)
{
	struct heard *heard = self;
	heard->progress++;
	heard->done = progress->done;
	heard->total = progress->total;
}

static storage *store;
static data_set set;
static engine_stats stats;

static int setup(void **state)
{
	if (fixture_setup(state) != 0)
		return -1;
	fixture_images(CLASSES, EACH);
	return 0;
}

static void scan(void)
{
	data_set_free(&set);
	storage_close(store);
	store = NULL;
	assert_ok(storage_open(fixture_path("data"), &store, &oops));
	assert_ok(data_scan(store, 2, false, NULL, &set, &oops));
}

static int teardown(void **state)
{
	data_set_free(&set);
	storage_close(store);
	store = NULL;
	return fixture_teardown(state);
}

/* A JPEG whose header is whole but whose second half is missing. */
static void cut_file(const char *name)
{
	uint8_t *bytes = NULL;
	size_t size = 0;
	assert_ok(base_file_read(fixture_path(name), 1u << 20, &bytes, &size, &oops));
	fixture_write(name, bytes, size / 2);
	base_free(bytes);
}

static void a_pack_is_made_and_reused(void **state)
{
	engine_options options = {.threads = 2, .side = SIDE};
	struct heard heard = {0};
	base_observer observer = {.self = &heard, .warning = on_warning, .progress = on_progress};
	data_pack pack;
	uint8_t expected[SIDE * SIDE];
	(void)state;
	scan();
	assert_ok(engine_preprocess(store, &set, fixture_path("pack"), &options, &observer, &stats, &oops));
	assert_false(stats.reused);
	assert_int_equal(stats.images, COUNT);
	assert_int_equal(stats.rejected, 0);
	assert_int_equal(stats.workers, 2);
	assert_int_equal(stats.worker_images[0] + stats.worker_images[1], COUNT);
	assert_true(stats.seconds > 0 && stats.images_per_second > 0 && stats.single_images_per_second > 0);
	assert_float_equal(stats.speedup, stats.images_per_second / stats.single_images_per_second, 1e-9);
	assert_true(stats.worker_busy[0] + stats.worker_busy[1] > 0 && stats.worker_busy[0] <= stats.seconds);
	uint64_t bytes = 0;
	for (size_t i = 0; i < set.count; i++)
		bytes += set.items[i].size;
	assert_int_equal(stats.bytes_read, bytes);
	assert_int_equal(heard.done, COUNT);
	assert_int_equal(heard.total, COUNT);
	assert_int_equal(heard.warnings, 0);
	assert_ok(data_pack_open(fixture_path("pack"), &pack, &oops));
	assert_int_equal(pack.count, COUNT);
	assert_true(base_hash_equal(pack.content, set.hash));
	for (size_t i = 0; i < COUNT; i++) {
		uint8_t *file = NULL;
		size_t size = 0;
		assert_string_equal(pack.sources[i], set.items[i].path);
		assert_int_equal(pack.labels[i], set.items[i].label);
		assert_ok(storage_read(store, pack.sources[i], IMAGE_FILE_LIMIT, &file, &size, &oops));
		assert_ok(engine_preprocess_bytes(file, size, SIDE, expected, &oops));
		assert_memory_equal(pack.images + i * SIDE * SIDE, expected, sizeof expected);
		base_free(file);
	}
	data_pack_close(&pack);
	assert_ok(engine_preprocess(store, &set, fixture_path("pack"), &options, NULL, &stats, &oops));
	assert_true(stats.reused);
	assert_int_equal(stats.images, COUNT);
	/* Not with force, another side, other data. */
	options.force = true;
	assert_ok(engine_preprocess(store, &set, fixture_path("pack"), &options, NULL, &stats, &oops));
	assert_false(stats.reused);
	options.force = false;
	options.side = 48;
	assert_ok(engine_preprocess(store, &set, fixture_path("pack"), &options, NULL, &stats, &oops));
	assert_false(stats.reused);
	fixture_jpeg("data/glioma/000.jpg", 0, 99, 90);
	scan();
	assert_ok(engine_preprocess(store, &set, fixture_path("pack"), &options, NULL, &stats, &oops));
	assert_false(stats.reused);
}

static void damaged_files_are_left_out(void **state)
{
	engine_options options = {.threads = 2, .side = SIDE};
	struct heard heard = {0};
	base_observer observer = {.self = &heard, .warning = on_warning};
	data_pack pack;
	bm_error err = {0};
	(void)state;
	cut_file("data/glioma/001.jpg");
	cut_file("data/notumor/004.jpg");
	for (int again = 0; again < 2; again++) {
		scan();
		assert_int_equal(set.count, COUNT);
		heard.warnings = 0;
		assert_ok(engine_preprocess(store, &set, fixture_path("pack"), &options, &observer, &stats, &oops));
		assert_int_equal(stats.reused, again); /* the second time too the set learns what is missing */
		assert_int_equal(stats.images, COUNT - 2);
		assert_int_equal(stats.rejected, 2);
		assert_int_equal(set.count, COUNT - 2);
		assert_int_equal(set.rejected_count, 2);
		assert_string_equal(set.rejected[0].path, "glioma/001.jpg");
		assert_string_equal(set.rejected[1].path, "notumor/004.jpg");
		assert_true(strlen(set.rejected[0].reason) > 0);
		assert_int_equal(heard.warnings, 2);
		assert_non_null(strstr(heard.last_warning, "notumor/004.jpg"));
		assert_ok(data_pack_open(fixture_path("pack"), &pack, &oops));
		assert_int_equal(pack.count, set.count);
		for (size_t i = 0; i < pack.count; i++)
			assert_string_equal(pack.sources[i], set.items[i].path);
		data_pack_close(&pack);
	}
	options.strict = true;
	for (int force = 0; force < 2; force++) {
		scan();
		options.force = force;
		assert_int_equal(engine_preprocess(store, &set, fixture_path("pack"), &options, NULL, &stats, &err),
				 BM_ERR_DATA);
		assert_non_null(strstr(err.message, "glioma/001.jpg"));
		assert_int_equal(set.count, COUNT);
	}
	/* All of a class: what is to be done is said, the earlier pack stays. */
	options.strict = options.force = false;
	for (int i = 0; i < EACH; i++) {
		char name[64];
		snprintf(name, sizeof name, "data/meningioma/%03d.jpg", i);
		cut_file(name);
	}
	scan();
	assert_int_equal(engine_preprocess(store, &set, fixture_path("pack"), &options, NULL, &stats, &err),
			 BM_ERR_DATA);
	assert_non_null(strstr(err.message, "meningioma' holds no readable image"));
	assert_ok(data_pack_open(fixture_path("pack"), &pack, &oops));
	data_pack_close(&pack);
}

static void a_file_that_changes_meanwhile_is_left_out(void **state)
{
	engine_options options = {.threads = 1, .side = SIDE};
	(void)state;
	scan();
	fixture_jpeg("data/glioma/000.jpg", 0, 99, 90);
	assert_int_equal(remove(fixture_path("data/glioma/001.jpg")), 0);
	assert_ok(engine_preprocess(store, &set, fixture_path("pack"), &options, NULL, &stats, &oops));
	assert_int_equal(stats.rejected, 2);
	assert_non_null(strstr(set.rejected[0].reason, "changed"));
}

static void cancelled(void **state)
{
	engine_options options = {.threads = 2, .side = SIDE};
	atomic_bool cancel = true;
	base_observer observer = {.cancel = &cancel};
	bm_error err = {0};
	(void)state;
	scan();
	assert_int_equal(engine_preprocess(store, &set, fixture_path("pack"), &options, &observer, &stats, &err),
			 BM_ERR_CANCELLED);
	assert_int_equal(set.count, COUNT);
	assert_false(base_is_folder(fixture_path("pack")));
}

static void memory_runs_out(void **state)
{
	engine_options options = {.threads = 1, .side = SIDE};
	bool done = false;
	(void)state;
	cut_file("data/glioma/001.jpg");
	for (long n = 0; !done && n < 5000; n += n < 40 ? 1 : 7) {
		bm_error err = {0};
		scan();
		base_memory_fail_after(n);
		bm_status status = engine_preprocess(store, &set, fixture_path("pack"), &options, NULL, &stats, &err);
		base_memory_fail_after(-1);
		done = status == BM_OK;
		if (!done)
			assert_int_equal(status, BM_ERR_MEMORY);
		assert_int_equal(base_is_folder(fixture_path("pack")), done);
	}
	assert_true(done);
	assert_int_equal(stats.rejected, 1);
}

static void measured(void **state)
{
	size_t indices[COUNT];
	double seconds = 0;
	bm_error err = {0};
	(void)state;
	scan();
	for (size_t i = 0; i < COUNT; i++)
		indices[i] = i;
	for (int threads = 0; threads <= 2; threads++) {
		assert_ok(engine_benchmark(store, &set, indices, COUNT, threads, &seconds, &oops));
		assert_true(seconds > 0);
	}
	cut_file("data/glioma/001.jpg");
	assert_int_not_equal(engine_benchmark(store, &set, indices, COUNT, 2, &seconds, &err), BM_OK);
	assert_non_null(strstr(err.message, "glioma/001.jpg"));
	indices[0] = COUNT;
	assert_int_equal(engine_benchmark(store, &set, indices, COUNT, 2, &seconds, &err), BM_ERR_INTERNAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_pack_is_made_and_reused, setup, teardown),
		cmocka_unit_test_setup_teardown(damaged_files_are_left_out, setup, teardown),
		cmocka_unit_test_setup_teardown(a_file_that_changes_meanwhile_is_left_out, setup, teardown),
		cmocka_unit_test_setup_teardown(cancelled, setup, teardown),
		cmocka_unit_test_setup_teardown(memory_runs_out, setup, teardown),
		cmocka_unit_test_setup_teardown(measured, setup, teardown),
	};
	return cmocka_run_group_tests_name("engine/preprocess", tests, NULL, NULL);
}
