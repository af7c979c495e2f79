#include "data/split.h"

#include <math.h>

#include "base/random.h"
#include "data/test_fixture.h"

/* Splitting looks at labels only: a pack without images. */
static void labels_only(data_pack *pack, const int *labels, size_t count, int classes)
{
	char name[16];
	*pack = (data_pack){.count = count, .class_count = classes};
	pack->labels = base_malloc(count, sizeof *pack->labels, "labels", NULL);
	assert_non_null(pack->labels);
	memcpy(pack->labels, labels, count * sizeof *labels);
	for (int c = 0; c < classes; c++) {
		snprintf(name, sizeof name, "class %d", c);
		pack->class_names[c] = base_strdup(name, NULL);
	}
}

/* As the real set: unequal classes, a quarter of the images in groups of 2 to 9, some of them of two classes. */
enum { COUNT = 2000, CLASSES = 4 };

static void realistic(data_pack *pack, data_near_copies *copies)
{
	int labels[COUNT];
	base_random random = base_random_make(5, 5);
	for (size_t i = 0; i < COUNT; i++) {
		size_t draw = (size_t)base_random_below(&random, 100);
		labels[i] = draw < 23 ? 0 : draw < 46 ? 1 : draw < 74 ? 2 : 3;
	}
	*copies = (data_near_copies){.count = COUNT, .group = base_malloc(COUNT, sizeof(size_t), "groups", NULL)};
	assert_non_null(copies->group);
	for (size_t i = 0; i < COUNT; i++)
		copies->group[i] = i;
	for (size_t i = 0; i < COUNT / 4;) {
		size_t size = 2 + (size_t)base_random_below(&random, 8), first = i;
		for (size_t k = 0; k < size; k++, i++) {
			copies->group[i] = first;
			if (first % 10 != 0)
				labels[i] = labels[first];
		}
	}
	labels_only(pack, labels, COUNT, CLASSES);
}

static void check_properties(const data_pack *pack, const data_near_copies *copies, const data_split *split,
			     const double *shares, int parts)
{
	int part_of[COUNT];
	size_t of_class[CLASSES] = {0}, have[DATA_PART_COUNT][CLASSES] = {{0}};
	for (size_t i = 0; i < COUNT; i++)
		part_of[i] = -1;
	for (int p = 0; p < parts; p++) {
		for (size_t k = 0; k < split->count[p]; k++) {
			size_t i = split->indices[p][k];
			assert_true(i < COUNT);
			assert_int_equal(part_of[i], -1); /* disjoint */
			assert_true(k == 0 || split->indices[p][k - 1] < i);
			part_of[i] = p;
			have[p][pack->labels[i]]++;
		}
	}
	for (size_t i = 0; i < COUNT; i++) {
		assert_int_not_equal(part_of[i], -1); /* whole */
		assert_int_equal(part_of[i], part_of[copies->group[i]]);
		of_class[pack->labels[i]]++;
	}
	for (int p = 0; p < parts; p++) {
		for (int c = 0; c < CLASSES; c++) {
			double off = (double)have[p][c] - shares[p] * (double)of_class[c];
			if (off > 9 || off < -9) /* the largest group */
				fail_msg("part %d has %zu of the %zu of class %d", p, have[p][c], of_class[c], c);
		}
	}
}

static void stratified_whole_and_together(void **state)
{
	static const double shares[] = {0.70, 0.15, 0.15};
	data_pack pack;
	data_near_copies copies;
	data_split split, again, other;
	(void)state;
	realistic(&pack, &copies);
	assert_ok(data_split_make(&pack, &copies, DATA_SPLIT_DEFAULT, 42, &split, &oops));
	check_properties(&pack, &copies, &split, shares, 3);
	assert_ok(data_split_make(&pack, &copies, DATA_SPLIT_DEFAULT, 42, &again, &oops));
	assert_int_equal(split.count[DATA_TEST], again.count[DATA_TEST]);
	assert_memory_equal(split.indices[DATA_TEST], again.indices[DATA_TEST],
			    split.count[DATA_TEST] * sizeof(size_t));
	assert_ok(data_split_make(&pack, &copies, DATA_SPLIT_DEFAULT, 43, &other, &oops));
	check_properties(&pack, &copies, &other, shares, 3);
	size_t common = 0;
	for (size_t i = 0, k = 0; i < split.count[DATA_TEST]; i++) {
		while (k < other.count[DATA_TEST] && other.indices[DATA_TEST][k] < split.indices[DATA_TEST][i])
			k++;
		common += k < other.count[DATA_TEST] && other.indices[DATA_TEST][k] == split.indices[DATA_TEST][i];
	}
	assert_true(common < split.count[DATA_TEST] / 3); /* by chance 15 of 100 */
	data_split_free(&split);
	data_split_free(&again);
	data_split_free(&other);
	data_split_free(&other); /* harmless */
	data_near_copies_free(&copies);
	data_pack_close(&pack);
}

static void refit_trains_on_more_and_tests_the_same(void **state)
{
	data_pack pack;
	data_near_copies copies;
	data_split first, refit;
	int part_of[COUNT];
	size_t left[CLASSES] = {0}, before[CLASSES] = {0};
	(void)state;
	realistic(&pack, &copies);
	assert_ok(data_split_make(&pack, &copies, DATA_SPLIT_DEFAULT, 42, &first, &oops));
	assert_ok(data_split_make(&pack, &copies, DATA_SPLIT_REFIT, 42, &refit, &oops));
	assert_int_equal(refit.count[DATA_TEST], first.count[DATA_TEST]);
	assert_memory_equal(refit.indices[DATA_TEST], first.indices[DATA_TEST],
			    first.count[DATA_TEST] * sizeof(size_t));
	assert_int_equal(refit.count[DATA_TRAIN] + refit.count[DATA_VALIDATION],
			 first.count[DATA_TRAIN] + first.count[DATA_VALIDATION]);
	for (int p = 0; p < DATA_PART_COUNT; p++)
		for (size_t i = 0; i < refit.count[p]; i++)
			part_of[refit.indices[p][i]] = p;
	for (size_t i = 0; i < first.count[DATA_TRAIN]; i++)
		assert_int_equal(part_of[first.indices[DATA_TRAIN][i]], DATA_TRAIN);
	for (size_t i = 0; i < COUNT; i++)
		assert_int_equal(part_of[i], part_of[copies.group[i]]);
	for (size_t i = 0; i < first.count[DATA_VALIDATION]; i++) {
		const size_t at = first.indices[DATA_VALIDATION][i];
		before[pack.labels[at]]++;
		left[pack.labels[at]] += part_of[at] == DATA_VALIDATION;
	}
	for (int c = 0; c < CLASSES; c++)
		assert_true(left[c] > 0 && fabs((double)left[c] - (double)before[c] / 3) < 9); /* the largest group */
	data_split_free(&first);
	data_split_free(&refit);
	data_near_copies_free(&copies);
	data_pack_close(&pack);
}

static void a_share_of_the_training_part(void **state)
{
	static const double steps[] = {1, 0.5, 0.25, 0.001};
	data_pack pack;
	data_near_copies copies;
	data_split larger = {0};
	(void)state;
	realistic(&pack, &copies);
	for (size_t k = 0; k < 4; k++) {
		data_split whole, thin;
		size_t have[CLASSES] = {0}, all[CLASSES] = {0}, within = 0;
		bool kept[COUNT] = {false};
		assert_ok(data_split_make(&pack, &copies, DATA_SPLIT_DEFAULT, 42, &whole, &oops));
		assert_ok(data_split_make(&pack, &copies, DATA_SPLIT_DEFAULT, 42, &thin, &oops));
		assert_ok(data_split_thin(&pack, copies.group, steps[k], 42, &thin, &oops));
		for (int p = DATA_VALIDATION; p < DATA_PART_COUNT; p++) {
			assert_int_equal(thin.count[p], whole.count[p]);
			assert_memory_equal(thin.indices[p], whole.indices[p], whole.count[p] * sizeof(size_t));
		}
		for (size_t i = 0; i < thin.count[DATA_TRAIN]; i++) {
			kept[thin.indices[DATA_TRAIN][i]] = true;
			assert_true(i == 0 || thin.indices[DATA_TRAIN][i - 1] < thin.indices[DATA_TRAIN][i]);
		}
		for (size_t i = 0; i < whole.count[DATA_TRAIN]; i++) {
			const size_t at = whole.indices[DATA_TRAIN][i];
			assert_int_equal(kept[at], kept[copies.group[at]]);
			have[pack.labels[at]] += kept[at];
			all[pack.labels[at]]++;
		}
		for (int c = 0; c < CLASSES; c++) {
			const double off = (double)have[c] - steps[k] * (double)all[c];
			assert_true(have[c] > 0 && off > -9 && off < 9); /* the largest group */
		}
		/* A smaller share lies in a larger one, but for groups of two classes. */
		for (size_t i = 0; k > 0 && i < larger.count[DATA_TRAIN]; i++)
			within += kept[larger.indices[DATA_TRAIN][i]];
		assert_true(k == 0 || within + 18 >= thin.count[DATA_TRAIN]);
		data_split_free(&larger);
		data_split_free(&whole);
		larger = thin;
	}
	assert_int_equal(data_split_thin(&pack, copies.group, 0, 42, &larger, &oops), BM_ERR_USAGE);
	assert_int_equal(data_split_thin(&pack, copies.group, 1.5, 42, &larger, &oops), BM_ERR_USAGE);
	data_split_free(&larger);
	data_near_copies_free(&copies);
	data_pack_close(&pack);
}

static void folds_test_each_image_once(void **state)
{
	data_pack pack;
	data_near_copies copies;
	int tested[COUNT] = {0};
	(void)state;
	realistic(&pack, &copies);
	for (int fold = 0; fold < 5; fold++) {
		data_split split;
		size_t parts[COUNT], have[CLASSES] = {0}, all[CLASSES] = {0};
		assert_ok(data_split_fold(&pack, &copies, 5, fold, 1, &split, &oops));
		for (size_t i = 0; i < COUNT; i++)
			parts[i] = DATA_PART_COUNT;
		for (size_t p = 0; p < DATA_PART_COUNT; p++)
			for (size_t k = 0; k < split.count[p]; k++) {
				assert_int_equal(parts[split.indices[p][k]], DATA_PART_COUNT);
				parts[split.indices[p][k]] = p;
			}
		for (size_t i = 0; i < COUNT; i++) {
			assert_int_equal(parts[i], parts[copies.group[i]]); /* whole groups; no image left out */
			assert_in_range(parts[i], 0, DATA_PART_COUNT - 1);
			tested[i] += parts[i] == DATA_TEST;
			have[pack.labels[i]] += parts[i] == DATA_TEST;
			all[pack.labels[i]]++;
		}
		for (int c = 0; c < CLASSES; c++) {
			double off = (double)have[c] - 0.2 * (double)all[c];
			assert_true(off < 14 && off > -14);
		}
		data_split_free(&split);
	}
	for (size_t i = 0; i < COUNT; i++)
		assert_int_equal(tested[i], 1);
	data_split split;
	assert_int_equal(data_split_fold(&pack, &copies, 5, 5, 1, &split, &oops), BM_ERR_USAGE);
	assert_int_equal(data_split_fold(&pack, &copies, 1, 0, 1, &split, &oops), BM_ERR_USAGE);
	assert_int_equal(data_split_fold(&pack, &copies, DATA_FOLDS_MAX + 1, 0, 1, &split, &oops), BM_ERR_USAGE);
	data_near_copies_free(&copies);
	data_pack_close(&pack);
}

static void two_parts(data_split_kind kind, const double *shares)
{
	data_pack pack;
	data_near_copies copies;
	data_split split;
	realistic(&pack, &copies);
	assert_false(data_split_tests(kind));
	assert_ok(data_split_make(&pack, &copies, kind, 1, &split, &oops));
	check_properties(&pack, &copies, &split, shares, 2);
	assert_int_equal(split.count[DATA_TEST], split.count[DATA_VALIDATION]);
	assert_memory_equal(split.indices[DATA_TEST], split.indices[DATA_VALIDATION],
			    split.count[DATA_TEST] * sizeof(size_t));
	data_split_free(&split);
	data_near_copies_free(&copies);
	data_pack_close(&pack);
}

static void as_the_guide_and_to_give_away(void **state)
{
	(void)state;
	two_parts(DATA_SPLIT_GUIDE, (const double[]){0.80, 0.20});
	two_parts(DATA_SPLIT_FINAL, (const double[]){0.95, 0.05});
	assert_true(data_split_tests(DATA_SPLIT_DEFAULT));
}

static void small_classes(void **state)
{
	const int labels[] = {0, 0, 0, 1, 1, 1, 1, 1};
	size_t chained[] = {0, 1, 1, 3, 4, 5, 6, 7}, mixed[] = {0, 1, 2, 2, 2, 2, 2, 2},
	       crossed[] = {0, 1, 2, 0, 1, 2, 6, 7};
	data_pack pack;
	data_split split;
	bm_error err = {0};
	(void)state;
	labels_only(&pack, labels, 8, 2);
	for (uint64_t seed = 0; seed < 50; seed++) {
		data_near_copies copies = {.group = crossed, .count = 8};
		bool seen[2][2] = {{false}};
		for (int with = 0; with < 2; with++) {
			assert_ok(
				data_split_make(&pack, with ? &copies : NULL, DATA_SPLIT_DEFAULT, seed, &split, &oops));
			assert_int_equal(split.count[0] + split.count[1] + split.count[2], 8);
			for (int p = 0; p < 3; p++) {
				memset(seen, 0, sizeof seen);
				for (size_t k = 0; k < split.count[p]; k++)
					seen[0][labels[split.indices[p][k]]] = true;
				assert_true(seen[0][0] && seen[0][1]); /* every class in every part */
			}
			data_split_free(&split);
		}
	}
	data_near_copies copies = {.group = chained, .count = 8};
	assert_int_equal(data_split_make(&pack, &copies, DATA_SPLIT_DEFAULT, 1, &split, &err), BM_ERR_DATA);
	assert_non_null(strstr(err.message,
			       "class 'class 0' has 2 images that are no near-copies of each other, and 3 are needed"));
	assert_null(split.indices[0]);
	assert_int_equal(data_split_make(&pack, &copies, DATA_SPLIT_GUIDE, 1, &split, &err), BM_OK);
	data_split_free(&split);
	copies.group = mixed;
	assert_int_equal(data_split_make(&pack, &copies, DATA_SPLIT_GUIDE, 1, &split, &err), BM_ERR_DATA);
	copies.count = 7;
	assert_int_equal(data_split_make(&pack, &copies, DATA_SPLIT_GUIDE, 1, &split, &err), BM_ERR_INTERNAL);
	data_pack_close(&pack);
}

static void written_and_read(void **state)
{
	data_pack pack;
	data_near_copies copies;
	data_split split, again;
	bm_error err = {0};
	(void)state;
	realistic(&pack, &copies);
	for (int kind = DATA_SPLIT_DEFAULT; kind < DATA_SPLIT_COUNT; kind++) {
		assert_ok(data_split_make(&pack, &copies, (data_split_kind)kind, 9, &split, &oops));
		assert_ok(data_split_write(&split, &copies, fixture_path("split.csv"), &oops));
		assert_ok(data_split_read(fixture_path("split.csv"), COUNT, &again, &oops));
		for (int p = 0; p < DATA_PART_COUNT; p++) {
			assert_int_equal(split.count[p], again.count[p]);
			assert_memory_equal(split.indices[p], again.indices[p], split.count[p] * sizeof(size_t));
		}
		data_split_free(&again);
		assert_int_equal(data_split_read(fixture_path("split.csv"), COUNT + 1, &again, &err), BM_ERR_FORMAT);
		assert_int_equal(data_split_read(fixture_path("split.csv"), COUNT - 1, &again, &err), BM_ERR_FORMAT);
		data_split_free(&split);
	}
	data_near_copies_free(&copies);
	data_pack_close(&pack);
}

static void wrong_files_end_in_an_error(void **state)
{
	static const char *const good = "index,part,group\n0,train,0\n1,validation,1\n2,test,2\n";
	static const char *const bad[] = {
		"",
		"index,part,group",
		"index,part\n0,train\n",
		"index,part,group\n0,train,0\n1,validation,1\n",
		"index,part,group\n0,train,0\n1,validation,1\n2,test,3\n",
		"index,part,group\n0,train,0\n1,validation,1\n3,test,2\n",
		"index,part,group\n0,train,0\n1,validation,1\n-2,test,2\n",
		"index,part,group\n0,train,0\n1,validation,1\n2,exam,2\n",
		"index,part,group\n0,train,0\n1,validation,1\n2,test,2\n2,test,2\n",
		"index,part,group\n0,train,0\n1,validation,1\n2,test,2\n2,train,2\n",
		"index,part,group\n0,validation,0\n1,validation,1\n1,test,1\n2,test,2\n",
		"index,part,group\n0,train,0\n1,validation,1\n2,test\n",
		"index,part,group\n0,train,0\n1,validation,1\n2,\"test,2\n",
	};
	data_split split;
	(void)state;
	fixture_write("split.csv", good, strlen(good));
	assert_ok(data_split_read(fixture_path("split.csv"), 3, &split, &oops));
	data_split_free(&split);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		bm_error err = {0};
		fixture_write("split.csv", bad[i], strlen(bad[i]));
		if (data_split_read(fixture_path("split.csv"), 3, &split, &err) != BM_ERR_FORMAT)
			fail_msg("read without an error: %s", bad[i]);
		assert_non_null(strstr(err.message, "split.csv"));
		assert_null(split.indices[0]);
	}
	bm_error err = {0};
	assert_int_equal(data_split_read(fixture_path("none.csv"), 3, &split, &err), BM_ERR_NOT_FOUND);
}

static void memory_runs_out(void **state)
{
	const int labels[] = {0, 0, 0, 1, 1, 1};
	data_pack pack;
	data_split split, again;
	bm_error err = {0};
	bool done = false;
	(void)state;
	labels_only(&pack, labels, 6, 2);
	for (long n = 0; !done && n < 100; n++) {
		base_memory_fail_after(n);
		bm_status status = data_split_make(&pack, NULL, DATA_SPLIT_DEFAULT, 1, &split, &err);
		if (status == BM_OK)
			status = data_split_write(&split, NULL, fixture_path("split.csv"), &err);
		if (status == BM_OK)
			status = data_split_read(fixture_path("split.csv"), 6, &again, &err);
		base_memory_fail_after(-1);
		done = status == BM_OK;
		if (!done)
			assert_int_equal(status, BM_ERR_MEMORY);
		else
			data_split_free(&again);
		data_split_free(&split);
	}
	assert_true(done);
	data_pack_close(&pack);
	assert_string_equal(data_part_name(DATA_TEST), "test");
	assert_string_equal(data_part_name(DATA_PART_COUNT), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stratified_whole_and_together),
		cmocka_unit_test(refit_trains_on_more_and_tests_the_same),
		cmocka_unit_test(a_share_of_the_training_part),
		cmocka_unit_test(folds_test_each_image_once),
		cmocka_unit_test(as_the_guide_and_to_give_away),
		cmocka_unit_test(small_classes),
		cmocka_unit_test_setup_teardown(written_and_read, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(wrong_files_end_in_an_error, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(memory_runs_out, fixture_setup, fixture_teardown),
	};
	return cmocka_run_group_tests_name("data/split", tests, NULL, NULL);
}
