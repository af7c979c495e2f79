/* What the page shows of single images, and its charts. */
#include "report/gallery.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/memory.h"
#include "report/chart.h"
#include "report/test_markup.h"

enum { COUNT = 6, CLASSES = 3, SIDE = 8 };

static const char *const names[CLASSES] = {"glioma", "notumor", "a<b>"};
static const float probabilities[COUNT * CLASSES] = {0.8f, 0.1f, 0.1f, 0.3f, 0.6f, 0.1f, 0.05f, 0.9f,  0.05f,
						     0.2f, 0.2f, 0.6f, 0.1f, 0.2f, 0.7f, 0.95f, 0.03f, 0.02f};
static const int labels[COUNT] = {0, 0, 1, 2, 2, 1};
static uint8_t pixels[SIDE * SIDE];

static report_predictions make(report_prediction items[COUNT])
{
	static const char *const paths[COUNT] = {"glioma/1.jpg", "glioma/<2>.jpg", "notumor/3.jpg",
						 "a/4.jpg",	 "a/5\".jpg",	   "notumor/6.jpg"};
	for (int i = 0; i < COUNT; i++) {
		const float *p = probabilities + i * CLASSES;
		int best = 0;
		for (int k = 1; k < CLASSES; k++)
			best = p[k] > p[best] ? k : best;
		items[i] = (report_prediction){paths[i], labels[i], best, p, i == 5 ? NULL : pixels};
	}
	return (report_predictions){items, COUNT, names, CLASSES, SIDE};
}

static void mistakes_come_surest_first(void **state)
{
	(void)state;
	report_prediction items[COUNT];
	report_predictions p = make(items);
	base_text html = {0};
	assert_int_equal(report_gallery_mistakes(&html, &p, NULL), BM_OK);
	const char *text = base_text_string(&html);
	assert_well_formed(text);
	assert_has(text, "2 of 6 test images, the surest first.");
	assert_int_equal(count(text, "<tr data-path="), 2);
	const char *first = strstr(text, "data-path=\"notumor/6.jpg\""),
		   *second = strstr(text, "data-path=\"glioma/&lt;2&gt;.jpg\"");
	assert_true(first && second && first < second);
	assert_int_equal(count(text, "<img "), 1); /* the other has no pixels */
	assert_has(
		text,
		"<td>No Tumor</td>\n<td>Glioma</td>\n<td class=\"number\">0.950</td>\n<td class=\"number\">0.030</td>");
	base_text_free(&html);
}

static void none_wrong(void **state)
{
	(void)state;
	report_prediction items[COUNT];
	report_predictions p = make(items);
	base_text html = {0};
	p.count = 1;
	assert_int_equal(report_gallery_mistakes(&html, &p, NULL), BM_OK);
	assert_has(base_text_string(&html), "None: every test image was classified right.");
	base_text_free(&html);
}

static void samples_have_all_probabilities(void **state)
{
	(void)state;
	report_prediction items[COUNT];
	report_predictions p = make(items);
	base_text html = {0};
	assert_int_equal(report_gallery_samples(&html, &p, (const size_t[]){1, 2}, 2, NULL), BM_OK);
	const char *text = base_text_string(&html);
	assert_well_formed(text);
	assert_int_equal(count(text, "<li>"), 2);
	assert_int_equal(count(text, "<s style="), 2 * CLASSES);
	assert_has(text, "<b class=\"wrong\">✗ No Tumor</b>\n<span> actual: Glioma</span>");
	assert_has(text, "<b class=\"right\">✓ No Tumor</b>");
	assert_has(text, "width:60.0%");
	base_text_free(&html);
}

static void data_cannot_end_its_script(void **state)
{
	(void)state;
	report_prediction items[COUNT];
	report_predictions p = make(items);
	base_text html = {0};
	report_gallery_data(&html, &p);
	const char *text = base_text_string(&html);
	assert_well_formed(text);
	assert_has(text, "[\"glioma/\\u003c2\\u003e.jpg\",0,1,[0.3000,0.6000,0.1000]]");
	assert_has(text, "[\"a/5\\u0022.jpg\",2,2,");
	assert_has(text, "\"No Tumor\"");
	base_text_free(&html);
}

static void pictures(void **state)
{
	(void)state;
	const report_picture all[] = {{"x/&1.jpg", "Glioma", pixels}, {"x/2.jpg", NULL, NULL}};
	base_text html = {0};
	assert_int_equal(report_gallery_pictures(&html, all, 2, SIDE, NULL), BM_OK);
	assert_int_equal(report_gallery_strip(&html, all, 2, SIDE, NULL), BM_OK);
	const char *text = base_text_string(&html);
	assert_well_formed(text);
	assert_int_equal(count(text, "<img src=\"data:image/jpeg;base64,/9j/"), 2);
	assert_has(text, "alt=\"x/&amp;1.jpg\"");
	assert_has(text, "<span title=\"x/&amp;1.jpg, Glioma\">");
	base_text_free(&html);
}

static void charts_of_metrics(void **state)
{
	(void)state;
	evaluate_metrics m;
	base_text html = {0};
	assert_int_equal(evaluate_compute(probabilities, labels, COUNT, CLASSES, &m, NULL), BM_OK);
	report_chart_confusion(&html, &m, names);
	report_chart_roc(&html, &m, names);
	report_chart_classes(&html, names, (const size_t[]){10, 0, 30}, CLASSES);
	const char *text = base_text_string(&html);
	assert_well_formed(text);
	assert_int_equal(count(text, " data-cell=\""), CLASSES * CLASSES);
	assert_has(text, "<title>Glioma taken for No Tumor: 1 of 2 (50.0 %)</title>");
	assert_has(text, "<title>Glioma classified right: 1 of 2 (50.0 %)</title>");
	assert_int_equal(count(text, "AUC "), CLASSES);
	/* A curve's points begin at its highest probability: the infinite threshold says nothing to anyone. */
	assert_has(text, "Glioma from probability 0.950 on:\\u000a0.0 % found, 25.0 % false alarms&quot;]");
	assert_null(strstr(text, "inf"));
	assert_null(strstr(text, ">-0<"));
	assert_null(strstr(text, "nan"));
	assert_has(text, "30 (75.0 %)");
	base_text_free(&html);
	evaluate_metrics_free(&m);
}

static void chart_of_history(void **state)
{
	(void)state;
	train_epoch epochs[3] = {
		{.stage = 1, .epoch = 1, .loss = 2, .accuracy = 0.4, .val_loss = 500, .val_accuracy = 0.3},
		{.stage = 1, .epoch = 2, .loss = 1, .accuracy = 0.7, .val_loss = 1.5, .val_accuracy = 0.6},
		{.stage = 2, .epoch = 1, .loss = 0.5, .accuracy = 0.9, .val_loss = 0.6, .val_accuracy = 0.8}};
	train_history h = {.epochs = epochs, .count = 3, .best_stage = 2, .best_epoch = 1};
	for (h.count = 0; h.count <= 3; h.count++) {
		base_text html = {0};
		report_chart_history(&html, &h);
		const char *text = base_text_string(&html);
		assert_true((h.count == 0) == (html.length == 0));
		assert_well_formed(text);
		assert_int_equal(count(text, "<polyline "), h.count ? 4 : 0);
		assert_int_equal(count(text, "Epoch kept"), h.count == 3 ? 2 : 0);
		assert_null(strstr(text, "nan"));
		if (h.count == 3)
			assert_has(text, "Epoch 3 (stage 2, epoch 1)\\u000atraining: loss 0.5000, accuracy "
					 "0.9000\\u000avalidation: loss 0.6000");
		base_text_free(&html);
	}
	base_text html = {0};
	report_curve curves[2] = {{"a & b", &h}, {"c", &h}};
	h.count = 3;
	report_chart_curves(&html, curves, 2);
	assert_well_formed(base_text_string(&html));
	assert_int_equal(count(base_text_string(&html), "<polyline "), 2);
	base_text_free(&html);
}

static double middle_of(const char *svg, const char *name)
{
	const char *at = strstr(svg, name);
	double x = NAN;
	assert_non_null(at);
	while (at > svg && *at != '<')
		at--;
	assert_int_equal(sscanf(at, "<text x=\"%lf\" y=\"%*f\" class=\"middle soft\"", &x), 1);
	return x;
}

static void a_short_stage_has_its_name_to_itself(void **state)
{
	(void)state;
	train_epoch epochs[9];
	base_text html = {0};
	for (int i = 0; i < 9; i++)
		epochs[i] = (train_epoch){.stage = i == 0 ? 1 : 2, .epoch = i == 0 ? 1 : i, .loss = 1, .val_loss = 1};
	report_chart_history(&html, &(train_history){.epochs = epochs, .count = 9, .best_stage = 2, .best_epoch = 8});
	const char *text = base_text_string(&html);
	assert_true(middle_of(text, ">stage 2<") - middle_of(text, ">stage 1<") > 60); /* a name takes some 50 */
	base_text_free(&html);
}

static void without_memory(void **state)
{
	(void)state;
	report_prediction items[COUNT];
	report_predictions p = make(items);
	bm_error err;
	for (long n = 0;; n++) {
		base_text html = {0};
		base_memory_fail_after(n);
		bm_status status = report_gallery_mistakes(&html, &p, &err);
		if (status == BM_OK)
			status = report_gallery_samples(&html, &p, (const size_t[]){0, 5}, 2, &err);
		base_memory_fail_after(-1);
		bool whole = status == BM_OK && !html.failed;
		assert_true(status == BM_OK || status == BM_ERR_MEMORY);
		base_text_free(&html);
		if (whole)
			break;
		assert_true(n < 1000);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mistakes_come_surest_first),
		cmocka_unit_test(none_wrong),
		cmocka_unit_test(samples_have_all_probabilities),
		cmocka_unit_test(data_cannot_end_its_script),
		cmocka_unit_test(pictures),
		cmocka_unit_test(charts_of_metrics),
		cmocka_unit_test(chart_of_history),
		cmocka_unit_test(a_short_stage_has_its_name_to_itself),
		cmocka_unit_test(without_memory),
	};
	return cmocka_run_group_tests_name("report/gallery", tests, NULL, NULL);
}
