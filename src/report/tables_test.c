#include "report/tables.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "evaluate/metrics_reference.h"

static const char *const names[] = {"glioma", "meningioma", "notumor", "pituitary"};

/* The figures of the guide's confusion matrix. Its curves are worked out elsewhere: here the AUC are given. */
static evaluate_metrics guide(void)
{
	static const size_t confusion[4][4] = {{240, 12, 5, 7}, {14, 244, 4, 6}, {3, 8, 300, 8}, {5, 9, 10, 268}};
	static const double auc[4] = {0.97, 0.95, 0.98, 0.96};
	static float p[1143 * 4];
	static int labels[1143];
	size_t n = 0;
	memset(p, 0, sizeof p);
	for (int a = 0; a < 4; a++)
		for (int b = 0; b < 4; b++)
			for (size_t i = 0; i < confusion[a][b]; i++) {
				labels[n] = a;
				p[4 * n++ + (size_t)b] = 1;
			}
	evaluate_metrics m;
	bm_error err;
	assert_int_equal(evaluate_compute(p, labels, n, 4, &m, &err), BM_OK);
	m.loss = 0.2134;
	m.mean_auc = 0;
	for (int c = 0; c < 4; c++) {
		m.per_class[c].auc = auc[c];
		m.mean_auc += auc[c] / 4;
	}
	return m;
}

static void assert_text(base_text *text, const char *should)
{
	assert_false(text->failed);
	assert_string_equal(base_text_string(text), should);
	base_text_free(text);
}

static void headings(void **state)
{
	(void)state;
	base_text text = {0};
	report_heading(&text, "PHASE 4: DATA EXPLORATION");
	report_section(&text, "TRAINING SUMMARY");
	assert_text(&text, "============================================================\n"
			   "PHASE 4: DATA EXPLORATION\n"
			   "============================================================\n"
			   "══════════════════════════════════════════════════════════\n"
			   "TRAINING SUMMARY\n"
			   "══════════════════════════════════════════════════════════\n");
}

static void tree(void **state)
{
	(void)state;
	base_text text = {0};
	report_tree(
		&text,
		(const report_line[]){{"Format", "JPEG"}, {NULL, "Dense(256, ReLU)"}, {"GlobalAveragePooling2D", NULL}},
		3);
	report_tree(&text, (const report_line[]){{"Only", "one"}}, 1);
	report_tree(&text, NULL, 0);
	assert_text(&text, "├── Format: JPEG\n"
			   "├── Dense(256, ReLU)\n"
			   "└── GlobalAveragePooling2D\n"
			   "└── Only: one\n");
}

static void table(void **state)
{
	(void)state;
	base_text text = {0};
	static const char *const header[] = {"Dataset Size", "Sequential"};
	static const char *const cells[] = {"5K (ours)", "~10 min", "größer", "~3 h"};
	static const bool right[] = {false, true};
	report_table(&text, header, cells, 2, 2, right);
	assert_text(&text, "┌──────────────┬────────────┐\n"
			   "│ Dataset Size │ Sequential │\n"
			   "├──────────────┼────────────┤\n"
			   "│ 5K (ours)    │    ~10 min │\n"
			   "│ größer       │       ~3 h │\n"
			   "└──────────────┴────────────┘\n");
	report_table(&text, header, cells, 1, 0, right);
	assert_true(text.failed);
	base_text_free(&text);
}

static void class_table(void **state)
{
	(void)state;
	base_text text = {0};
	static const size_t counts[] = {1321, 1339, 1595, 1457};
	report_class_table(&text, names, counts, 4);
	assert_text(&text, "Class Distribution:\n"
			   "┌─────────────┬────────┬─────────┐\n"
			   "│ Class       │ Count  │ Percent │\n"
			   "├─────────────┼────────┼─────────┤\n"
			   "│ glioma      │  1321  │  23.1%  │\n"
			   "│ meningioma  │  1339  │  23.4%  │\n"
			   "│ notumor     │  1595  │  27.9%  │\n"
			   "│ pituitary   │  1457  │  25.5%  │\n"
			   "└─────────────┴────────┴─────────┘\n"
			   "Total: 5712 images\n");
	static const char *const long_names[] = {"a very long name", "größe"};
	static const size_t few[] = {3, 12};
	report_class_table(&text, long_names, few, 2);
	assert_text(&text, "Class Distribution:\n"
			   "┌──────────────────┬────────┬─────────┐\n"
			   "│ Class            │ Count  │ Percent │\n"
			   "├──────────────────┼────────┼─────────┤\n"
			   "│ a very long name │    3   │  20.0%  │\n"
			   "│ größe            │   12   │  80.0%  │\n"
			   "└──────────────────┴────────┴─────────┘\n"
			   "Total: 15 images\n");
}

/* What classification_report prints for the case of metrics_reference.h. */
static void as_scikit_learn_prints_it(void **state)
{
	(void)state;
	float p[REFERENCE_COUNT * REFERENCE_CLASSES];
	evaluate_metrics m;
	bm_error err;
	base_text text = {0};
	reference_probabilities(p);
	assert_int_equal(evaluate_compute(p, reference_labels, REFERENCE_COUNT, REFERENCE_CLASSES, &m, &err), BM_OK);
	report_classification(&text, &m, names);
	assert_text(&text, "Classification Report:\n"
			   "═══════════════════════════════════════════════════════════\n"
			   "              precision    recall  f1-score   support\n"
			   "\n"
			   "      glioma       0.57      0.80      0.67        10\n"
			   "  meningioma       0.77      0.62      0.69        16\n"
			   "     notumor       0.54      0.50      0.52        14\n"
			   "\n"
			   "    accuracy                           0.62        40\n"
			   "   macro avg       0.63      0.64      0.62        40\n"
			   "weighted avg       0.64      0.62      0.62        40\n"
			   "═══════════════════════════════════════════════════════════\n");
	evaluate_metrics_free(&m);
}

static void confusion(void **state)
{
	(void)state;
	base_text text = {0};
	evaluate_metrics m = guide();
	report_confusion(&text, &m, names);
	assert_text(&text, "Confusion Matrix:\n"
			   "═══════════════════════════════════════════════════════════\n"
			   "                 Predicted\n"
			   "              Gli  Men  NoT  Pit\n"
			   "Actual  Gli [ 240   12    5    7 ]\n"
			   "        Men [  14  244    4    6 ]\n"
			   "        NoT [   3    8  300    8 ]\n"
			   "        Pit [   5    9   10  268 ]\n"
			   "═══════════════════════════════════════════════════════════\n"
			   "\n"
			   "Interpretation:\n"
			   "├── Diagonal: Correct predictions (1052 of 1143, should be darkest)\n"
			   "├── Off-diagonal: Misclassifications (91 of 1143)\n"
			   "├── Most confusion: Meningioma ↔ Glioma (26 of 91 errors)\n"
			   "└── Best distinguished: No Tumor (F1 0.94)\n");
	evaluate_metrics_free(&m);
}

static void confusion_without_errors(void **state)
{
	(void)state;
	static const char *const alike[] = {"tumor_a", "tumor_b"};
	static const float p[] = {1, 0, 0, 1};
	static const int labels[] = {0, 1};
	evaluate_metrics m;
	bm_error err;
	base_text text = {0};
	assert_int_equal(evaluate_compute(p, labels, 2, 2, &m, &err), BM_OK);
	report_confusion(&text, &m, alike);
	assert_text(&text, "Confusion Matrix:\n"
			   "═══════════════════════════════════════════════════════════\n"
			   "              Predicted\n"
			   "               T0   T1\n"
			   "Actual  T0  [   1    0 ]\n"
			   "        T1  [   0    1 ]\n"
			   "═══════════════════════════════════════════════════════════\n"
			   "\n"
			   "Interpretation:\n"
			   "├── Diagonal: Correct predictions (2 of 2, should be darkest)\n"
			   "├── Off-diagonal: Misclassifications (0 of 2)\n"
			   "├── Most confusion: none (every image was classified correctly)\n"
			   "└── Best distinguished: Tumor a (F1 1.00)\n");
	evaluate_metrics_free(&m);
}

static void auc_list(void **state)
{
	(void)state;
	base_text text = {0};
	evaluate_metrics m = guide();
	report_auc(&text, &m, names);
	assert_text(&text, "ROC-AUC Scores:\n"
			   "├── Glioma:     AUC = 0.9700\n"
			   "├── Meningioma: AUC = 0.9500\n"
			   "├── No Tumor:   AUC = 0.9800\n"
			   "└── Pituitary:  AUC = 0.9600\n"
			   "\n"
			   "Mean AUC: 0.9650\n");
	m.per_class[3].auc = m.mean_auc = NAN;
	m.per_class[3].support = 0;
	report_auc(&text, &m, names);
	assert_text(&text, "ROC-AUC Scores:\n"
			   "├── Glioma:     AUC = 0.9700\n"
			   "├── Meningioma: AUC = 0.9500\n"
			   "├── No Tumor:   AUC = 0.9800\n"
			   "└── Pituitary:  AUC = not defined (the test set has no image of this class)\n"
			   "\n"
			   "Mean AUC: not defined\n");
	evaluate_metrics_free(&m);
}

static void test_results(void **state)
{
	(void)state;
	base_text text = {0};
	evaluate_metrics m = guide();
	report_test_results(&text, &m);
	assert_text(&text, "══════════════════════════════════════════════════════════\n"
			   "TEST SET RESULTS\n"
			   "══════════════════════════════════════════════════════════\n"
			   "\n"
			   "Overall Metrics:\n"
			   "├── Test Accuracy: 0.9204 (92.04%; 95% interval 90.3% to 93.5%)\n"
			   "├── Test Loss: 0.2134\n"
			   "└── Macro F1-Score: 0.9194\n");
	evaluate_metrics_free(&m);
}

static train_history history(train_epoch *epochs)
{
	epochs[0] = (train_epoch){
		.stage = 1, .epoch = 1, .loss = 0.8, .accuracy = 0.7, .val_loss = 0.5, .val_accuracy = 0.8};
	epochs[1] = (train_epoch){
		.stage = 2, .epoch = 1, .loss = 0.1, .accuracy = 0.97, .val_loss = 0.18, .val_accuracy = 0.94};
	return (train_history){.epochs = epochs, .count = 2, .best_stage = 2, .best_epoch = 1, .seconds = 1410};
}

static void final_box(void **state)
{
	(void)state;
	base_text text = {0};
	train_epoch epochs[2];
	train_history h = history(epochs);
	evaluate_metrics m = guide();
	report_final(&text, &h, &m, names);
	assert_text(&text, "╔══════════════════════════════════════════════════════════════╗\n"
			   "║                    FINAL MODEL PERFORMANCE                   ║\n"
			   "╠══════════════════════════════════════════════════════════════╣\n"
			   "║                                                              ║\n"
			   "║  Training Metrics (2 epochs; kept: stage 2, epoch 1):        ║\n"
			   "║  ├── Training Accuracy:    97.00%                            ║\n"
			   "║  ├── Training Loss:        0.1000                            ║\n"
			   "║  ├── Validation Accuracy:  94.00%                            ║\n"
			   "║  └── Validation Loss:      0.1800                            ║\n"
			   "║                                                              ║\n"
			   "║  Test Set Performance (1143 images):                         ║\n"
			   "║  ├── Test Accuracy:        92.04% (95%: 90.3 to 93.5)        ║\n"
			   "║  ├── Test Loss:            0.2134                            ║\n"
			   "║  └── Macro F1-Score:       0.9194                            ║\n"
			   "║                                                              ║\n"
			   "║  Per-Class Performance:                                      ║\n"
			   "║  ├── Glioma:      Precision 0.92, Recall 0.91, F1 0.91       ║\n"
			   "║  ├── Meningioma:  Precision 0.89, Recall 0.91, F1 0.90       ║\n"
			   "║  ├── No Tumor:    Precision 0.94, Recall 0.94, F1 0.94       ║\n"
			   "║  └── Pituitary:   Precision 0.93, Recall 0.92, F1 0.92       ║\n"
			   "║                                                              ║\n"
			   "║  ROC-AUC Scores:                                             ║\n"
			   "║  └── All classes: 0.9500 to 0.9800, mean 0.9650              ║\n"
			   "║                                                              ║\n"
			   "║  Performance Benchmarks:                                     ║\n"
			   "║  └── Total Training Time: 23 min 30 s                        ║\n"
			   "║                                                              ║\n"
			   "╚══════════════════════════════════════════════════════════════╝\n");
	evaluate_metrics_free(&m);
}

/* Whatever stands in it, the box's lines end in one column. */
static void the_box_grows(void **state)
{
	(void)state;
	base_text text = {0};
	evaluate_metrics m = guide();
	static const char *const wide[] = {"größere Überraschung", "b", "c", "d"};
	report_line line = {"Preprocessing Speedup",
			    "3.20x on four workers against one, of 100 images (größer ist besser)"};
	report_final_with(&text, NULL, &m, wide, &line, 1);
	assert_false(text.failed);
	assert_non_null(strstr(text.data, "größer ist besser"));
	assert_null(strstr(text.data, "Training Metrics"));
	int width = 0;
	for (char *from = text.data, *end; (end = strchr(from, '\n')); from = end + 1) {
		*end = '\0';
		if (width == 0)
			width = base_text_columns(from);
		assert_int_equal(base_text_columns(from), width);
	}
	assert_true(width > 64);
	base_text_free(&text);
	evaluate_metrics_free(&m);
}

static void class_names(void **state)
{
	(void)state;
	char title[64], brief[8];
	assert_string_equal(report_class_title("glioma", title), "Glioma");
	assert_string_equal(report_class_title("notumor", title), "No Tumor");
	assert_string_equal(report_class_title("No_Tumor", title), "No Tumor");
	assert_string_equal(report_class_title("low_grade", title), "Low grade");
	assert_string_equal(report_class_title("", title), "");
	assert_string_equal(report_class_short("notumor", brief), "NoT");
	assert_string_equal(report_class_short("pituitary", brief), "Pit");
	assert_string_equal(report_class_short("a", brief), "A");
	assert_string_equal(report_class_short("größe", brief), "Grö");
	assert_string_equal(report_class_short("脳腫瘍", brief), "脳腫"); /* three do not fit, and none is cut */
	char endless[200];
	for (size_t i = 0; i + 2 < sizeof endless; i += 2)
		memcpy(endless + i, "ö", 3);
	assert_int_equal(strlen(report_class_title(endless, title)), 62);
	assert_int_equal(base_text_columns(title), 31);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(headings),
		cmocka_unit_test(tree),
		cmocka_unit_test(table),
		cmocka_unit_test(class_table),
		cmocka_unit_test(as_scikit_learn_prints_it),
		cmocka_unit_test(confusion),
		cmocka_unit_test(confusion_without_errors),
		cmocka_unit_test(auc_list),
		cmocka_unit_test(test_results),
		cmocka_unit_test(final_box),
		cmocka_unit_test(the_box_grows),
		cmocka_unit_test(class_names),
	};
	return cmocka_run_group_tests_name("report/tables", tests, NULL, NULL);
}
