#include "evaluate/metrics.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/file.h"
#include "base/memory.h"
#include "evaluate/metrics_reference.h"

static const char *const names[] = {"glioma", "meningioma", "notumor"};

static void assert_near(double is, double should)
{
	if (!(fabs(is - should) <= 1e-12 * fmax(1, fabs(should))))
		fail_msg("is %.17g, should be %.17g", is, should);
}

static evaluate_metrics reference(void)
{
	float p[REFERENCE_COUNT * REFERENCE_CLASSES];
	evaluate_metrics m;
	bm_error err;
	reference_probabilities(p);
	assert_int_equal(evaluate_compute(p, reference_labels, REFERENCE_COUNT, REFERENCE_CLASSES, &m, &err), BM_OK);
	return m;
}

static void agrees_with_scikit_learn(void **state)
{
	(void)state;
	static const size_t confusion[3][3] = {{8, 0, 2}, {2, 10, 4}, {4, 3, 7}};
	static const double classes[3][3] = {/* precision, recall, f1 */
					     {0.5714285714285714, 0.8, 0.6666666666666666},
					     {0.7692307692307693, 0.625, 0.6896551724137931},
					     {0.5384615384615384, 0.5, 0.5185185185185185}};
	static const size_t supports[3] = {10, 16, 14};
	static const double auc[3] = {0.8966666666666667, 0.8541666666666666, 0.7815934065934067};
	evaluate_metrics m = reference();
	assert_int_equal(m.count, 40);
	assert_int_equal(m.classes, 3);
	assert_near(m.accuracy, 0.625);
	assert_near(m.loss, 0.8321340232546188);
	for (int c = 0; c < 3; c++) {
		for (int other = 0; other < 3; other++)
			assert_int_equal(m.confusion[c][other], confusion[c][other]);
		assert_near(m.per_class[c].precision, classes[c][0]);
		assert_near(m.per_class[c].recall, classes[c][1]);
		assert_near(m.per_class[c].f1, classes[c][2]);
		assert_int_equal(m.per_class[c].support, supports[c]);
		assert_near(m.per_class[c].auc, auc[c]);
	}
	assert_near(m.macro_precision, 0.6263736263736264);
	assert_near(m.macro_recall, 0.6416666666666667);
	assert_near(m.macro_f1, 0.6249467858663261);
	assert_near(m.weighted_precision, 0.6390109890109891);
	assert_near(m.weighted_recall, 0.625);
	assert_near(m.weighted_f1, 0.6240102171136653);
	assert_near(m.mean_auc, 0.8441422466422468);
	/* scipy.stats.binomtest(25, 40).proportion_ci(0.95, 'wilson') */
	assert_near(m.accuracy_low, 0.470324391373011);
	assert_near(m.accuracy_high, 0.7577702083276672);
	/* 7 confusions of 1 and 2, 6 of 0 and 2; 1 is taken for 2 four times, 2 for 1 three times. */
	assert_int_equal(m.confused_a, 1);
	assert_int_equal(m.confused_b, 2);
	assert_int_equal(m.best_class, 1);
	evaluate_metrics_free(&m);
}

/* roc_curve() of each class: the counts behind the rates, and the thresholds in sixteenths (-1: infinite). */
static void curves_agree_with_scikit_learn(void **state)
{
	(void)state;
	static const int counts[3] = {10, 11, 10};
	static const int fp[3][11] = {{0, 0, 0, 4, 9, 11, 17, 22, 28, 30},
				      {0, 0, 0, 0, 2, 3, 5, 15, 18, 23, 24},
				      {0, 0, 1, 3, 5, 9, 14, 20, 24, 26}};
	static const int tp[3][11] = {{0, 1, 3, 7, 9, 10, 10, 10, 10, 10},
				      {0, 1, 2, 4, 8, 11, 13, 15, 16, 16, 16},
				      {0, 2, 2, 4, 7, 12, 13, 14, 14, 14}};
	static const int thresholds[3][11] = {{-1, 11, 8, 7, 6, 5, 4, 3, 2, 1},
					      {-1, 11, 10, 9, 8, 7, 6, 4, 3, 2, 1},
					      {-1, 12, 10, 8, 7, 6, 5, 4, 3, 1}};
	evaluate_metrics m = reference();
	for (int c = 0; c < 3; c++) {
		const evaluate_class *class = &m.per_class[c];
		double positives = (double)class->support;
		assert_int_equal(class->roc_count, counts[c]);
		for (int i = 0; i < counts[c]; i++) {
			assert_near(class->roc_fpr[i] * (40 - positives), fp[c][i]);
			assert_near(class->roc_tpr[i] * positives, tp[c][i]);
			if (thresholds[c][i] < 0)
				assert_true(isinf(class->roc_threshold[i]));
			else
				assert_near(class->roc_threshold[i] * 16, thresholds[c][i]);
		}
	}
	evaluate_metrics_free(&m);
}

/* Four images, two classes, worked out by hand: one error, and one score tied across the classes. */
static void worked_by_hand(void **state)
{
	(void)state;
	static const float p[] = {.75f, .25f, .5f, .5f, .5f, .5f, .25f, .75f};
	static const int labels[] = {0, 0, 1, 1};
	evaluate_metrics m;
	bm_error err;
	assert_int_equal(evaluate_compute(p, labels, 4, 2, &m, &err), BM_OK);
	assert_near(m.accuracy, 0.75); /* the tie goes to class 0, as argmax does */
	assert_int_equal(m.confusion[0][0], 2);
	assert_int_equal(m.confusion[1][0], 1);
	assert_int_equal(m.confusion[1][1], 1);
	assert_near(m.per_class[0].precision, 2.0 / 3);
	assert_near(m.per_class[0].f1, 0.8);
	/* (0,0), (0,1/2), (1/2,1) for the tied pair, (1,1): 1/2 * 3/4 + 1/2. */
	assert_near(m.per_class[0].auc, 0.875);
	assert_near(m.loss, -(2 * log(.75) + 2 * log(.5)) / 4);
	assert_int_equal(m.confused_a, 1);
	assert_int_equal(m.confused_b, 0);
	assert_int_equal(m.best_class, 0);
	evaluate_metrics_free(&m);
}

static void all_right(void **state)
{
	(void)state;
	static const float p[] = {1, 0, 0, 0, 1, 0, 0, 0, 1};
	static const int labels[] = {0, 1, 2};
	evaluate_metrics m;
	bm_error err;
	assert_int_equal(evaluate_compute(p, labels, 3, 3, &m, &err), BM_OK);
	assert_near(m.accuracy, 1);
	assert_near(m.loss, -log(1 - 1e-7));
	assert_near(m.mean_auc, 1);
	assert_int_equal(m.confused_a, -1);
	assert_int_equal(m.confused_b, -1);
	assert_near(m.accuracy_high, 1);
	assert_true(m.accuracy_low > 0.43 && m.accuracy_low < 0.44); /* 3 / (3 + 1.96^2) */
	evaluate_metrics_free(&m);
}

static void all_wrong(void **state)
{
	(void)state;
	static const float p[] = {0, 1, 1, 0};
	static const int labels[] = {0, 1};
	evaluate_metrics m;
	bm_error err;
	assert_int_equal(evaluate_compute(p, labels, 2, 2, &m, &err), BM_OK);
	assert_near(m.accuracy, 0);
	assert_near(m.loss, -log(1e-7)); /* clipped, not infinite */
	assert_near(m.per_class[0].f1, 0);
	assert_near(m.per_class[0].auc, 0);
	assert_int_equal(m.best_class, -1);
	evaluate_metrics_free(&m);
}

/* A class that the test set lacks has no recall and no curve, and is left out of the mean AUC. */
static void missing_class(void **state)
{
	(void)state;
	static const float p[] = {.75f, .25f, 0, .25f, .5f, .25f};
	static const int labels[] = {0, 1};
	evaluate_metrics m, back;
	bm_error err;
	assert_int_equal(evaluate_compute(p, labels, 2, 3, &m, &err), BM_OK);
	assert_true(isnan(m.per_class[2].auc));
	assert_int_equal(m.per_class[2].roc_count, 0);
	assert_null(m.per_class[2].roc_fpr);
	assert_near(m.per_class[2].precision, 0);
	assert_near(m.per_class[2].f1, 0);
	assert_near(m.mean_auc, 1);
	assert_near(m.macro_f1, 2.0 / 3);
	assert_near(m.weighted_f1, 1);

	char path[] = "/tmp/brainmri-metrics-XXXXXX";
	close(mkstemp(path));
	assert_int_equal(evaluate_metrics_write(&m, names, path, &err), BM_OK);
	assert_int_equal(evaluate_metrics_read(path, &back, &err), BM_OK);
	assert_true(isnan(back.per_class[2].auc));
	assert_int_equal(back.per_class[2].roc_count, 0);
	unlink(path);
	evaluate_metrics_free(&m);
	evaluate_metrics_free(&back);

	static const int one[] = {0, 0};
	assert_int_equal(evaluate_compute(p, one, 2, 3, &m, &err), BM_OK);
	assert_true(isnan(m.mean_auc));
	evaluate_metrics_free(&m);
}

static void what_it_refuses(void **state)
{
	(void)state;
	float p[] = {.5f, .5f};
	int label = 0;
	evaluate_metrics m;
	bm_error err;
	assert_int_equal(evaluate_compute(p, &label, 0, 2, &m, &err), BM_ERR_DATA);
	assert_non_null(strstr(err.message, "no image"));
	assert_int_equal(evaluate_compute(p, &label, 1, 1, &m, &err), BM_ERR_USAGE);
	assert_int_equal(evaluate_compute(p, &label, 1, DATA_CLASSES_MAX + 1, &m, &err), BM_ERR_USAGE);
	label = 2;
	assert_int_equal(evaluate_compute(p, &label, 1, 2, &m, &err), BM_ERR_DATA);
	label = -1;
	assert_int_equal(evaluate_compute(p, &label, 1, 2, &m, &err), BM_ERR_DATA);
	label = 0;
	p[1] = NAN;
	assert_int_equal(evaluate_compute(p, &label, 1, 2, &m, &err), BM_ERR_NUMERIC);
	p[1] = 1.5f;
	assert_int_equal(evaluate_compute(p, &label, 1, 2, &m, &err), BM_ERR_NUMERIC);
	assert_int_equal(m.count, 0);
	evaluate_metrics_free(&m);
}

static void no_memory(void **state)
{
	(void)state;
	float p[REFERENCE_COUNT * REFERENCE_CLASSES];
	reference_probabilities(p);
	int failures = 0;
	for (long n = 0;; n++) {
		evaluate_metrics m;
		bm_error err = {0};
		base_memory_fail_after(n);
		bm_status status = evaluate_compute(p, reference_labels, REFERENCE_COUNT, REFERENCE_CLASSES, &m, &err);
		base_memory_fail_after(-1);
		evaluate_metrics_free(&m);
		if (status == BM_OK)
			break;
		assert_int_equal(status, BM_ERR_MEMORY);
		failures++;
	}
	assert_int_equal(failures, 1 + 3 * 3);
}

static void assert_same(const double *a, const double *b, size_t count)
{
	if (count > 0)
		assert_memory_equal(a, b, count * sizeof *a);
}

static void written_and_read_back(void **state)
{
	(void)state;
	char path[] = "/tmp/brainmri-metrics-XXXXXX";
	close(mkstemp(path));
	evaluate_metrics m = reference(), back;
	bm_error err;
	assert_int_equal(evaluate_metrics_write(&m, names, path, &err), BM_OK);
	assert_int_equal(evaluate_metrics_read(path, &back, &err), BM_OK);
	assert_int_equal(back.count, m.count);
	assert_int_equal(back.classes, m.classes);
	assert_same(&back.accuracy, &m.accuracy, 1);
	assert_same(&back.loss, &m.loss, 1);
	assert_same(&back.macro_precision, &m.macro_precision, 1);
	assert_same(&back.macro_recall, &m.macro_recall, 1);
	assert_same(&back.macro_f1, &m.macro_f1, 1);
	assert_same(&back.weighted_precision, &m.weighted_precision, 1);
	assert_same(&back.weighted_recall, &m.weighted_recall, 1);
	assert_same(&back.weighted_f1, &m.weighted_f1, 1);
	assert_same(&back.mean_auc, &m.mean_auc, 1);
	assert_same(&back.accuracy_low, &m.accuracy_low, 1);
	assert_same(&back.accuracy_high, &m.accuracy_high, 1);
	assert_memory_equal(back.confusion, m.confusion, sizeof m.confusion);
	assert_int_equal(back.confused_a, m.confused_a);
	assert_int_equal(back.confused_b, m.confused_b);
	assert_int_equal(back.best_class, m.best_class);
	for (int c = 0; c < m.classes; c++) {
		const evaluate_class *x = &back.per_class[c], *y = &m.per_class[c];
		assert_same(&x->precision, &y->precision, 1);
		assert_same(&x->recall, &y->recall, 1);
		assert_same(&x->f1, &y->f1, 1);
		assert_int_equal(x->support, y->support);
		assert_same(&x->auc, &y->auc, 1);
		assert_int_equal(x->roc_count, y->roc_count);
		assert_same(x->roc_fpr, y->roc_fpr, y->roc_count);
		assert_same(x->roc_tpr, y->roc_tpr, y->roc_count);
		assert_same(x->roc_threshold, y->roc_threshold, y->roc_count);
	}
	unlink(path);
	evaluate_metrics_free(&m);
	evaluate_metrics_free(&back);
}

/* Every line of a good file left out in turn: never accepted, never a crash. */
static void damaged_files(void **state)
{
	(void)state;
	char path[] = "/tmp/brainmri-metrics-XXXXXX";
	close(mkstemp(path));
	evaluate_metrics m = reference(), back;
	bm_error err;
	uint8_t *text;
	size_t size;
	assert_int_equal(evaluate_metrics_write(&m, names, path, &err), BM_OK);
	assert_int_equal(base_file_read(path, 1 << 20, &text, &size, &err), BM_OK);
	char *broken = malloc(size);
	assert_non_null(broken);
	for (size_t from = 0; from < size;) {
		const uint8_t *end = memchr(text + from, '\n', size - from);
		size_t next = end ? (size_t)(end - text) + 1 : size;
		memcpy(broken, text, from);
		memcpy(broken + from, text + next, size - next);
		assert_int_equal(base_file_write(path, broken, size - (next - from), &err), BM_OK);
		assert_int_equal(evaluate_metrics_read(path, &back, &err), BM_ERR_FORMAT);
		assert_non_null(strstr(err.message, path));
		assert_int_equal(back.count, 0);
		from = next;
	}
	/* One class and none in the place of a pair: no index of -1 may come out. */
	char *pair = strstr((char *)text, "\"most_confused\": [");
	assert_non_null(pair);
	char *first = strchr(pair, '['), *second = strchr(pair, ',');
	assert_true(first && second && second - first > 5);
	char kept[64] = "";
	memcpy(kept, first, (size_t)(second - first));
	memset(first + 1, ' ', (size_t)(second - first - 1));
	memcpy(first + 1, "null", 4);
	assert_int_equal(base_file_write(path, text, size, &err), BM_OK);
	assert_int_equal(evaluate_metrics_read(path, &back, &err), BM_ERR_FORMAT);
	assert_non_null(strstr(err.message, "most_confused"));
	memcpy(first, kept, (size_t)(second - first));
	/* A matrix that does not add up to the count. */
	char *cell = strstr((char *)text, "[8,");
	assert_non_null(cell);
	cell[1] = '9';
	assert_int_equal(base_file_write(path, text, size, &err), BM_OK);
	assert_int_equal(evaluate_metrics_read(path, &back, &err), BM_ERR_FORMAT);
	unlink(path);
	assert_int_equal(evaluate_metrics_read(path, &back, &err), BM_ERR_NOT_FOUND);
	free(broken);
	base_free(text);
	evaluate_metrics_free(&m);
}

static void names_in_the_file(void **state)
{
	(void)state;
	static const char *const quoted[] = {"a \"quoted\" one", "größe", "c\\d"};
	static const char *const not_utf8[] = {"a", "b\xff", "c"};
	char path[] = "/tmp/brainmri-metrics-XXXXXX";
	close(mkstemp(path));
	evaluate_metrics m = reference(), back;
	bm_error err;
	assert_int_equal(evaluate_metrics_write(&m, quoted, path, &err), BM_OK);
	assert_int_equal(evaluate_metrics_read(path, &back, &err), BM_OK);
	assert_int_equal(back.best_class, m.best_class);
	evaluate_metrics_free(&back);
	assert_int_equal(evaluate_metrics_write(&m, not_utf8, path, &err), BM_ERR_DATA);
	unlink(path);
	evaluate_metrics_free(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(agrees_with_scikit_learn),
		cmocka_unit_test(curves_agree_with_scikit_learn),
		cmocka_unit_test(worked_by_hand),
		cmocka_unit_test(all_right),
		cmocka_unit_test(all_wrong),
		cmocka_unit_test(missing_class),
		cmocka_unit_test(what_it_refuses),
		cmocka_unit_test(no_memory),
		cmocka_unit_test(written_and_read_back),
		cmocka_unit_test(damaged_files),
		cmocka_unit_test(names_in_the_file),
	};
	return cmocka_run_group_tests_name("evaluate/metrics", tests, NULL, NULL);
}
