#include "report/figures.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/test_folder.h"
#include "evaluate/metrics_reference.h"
#include "report/gnuplot.h"

static const char *const names[] = {"glioma", "meningioma", "notumor", "pituitary"};

static void assert_ok(bm_status status, const bm_error *err)
{
	if (status != BM_OK)
		fail_msg("%s: %s", bm_status_name(status), err->message);
}

static char *read_text(const char *path)
{
	uint8_t *bytes;
	size_t size;
	bm_error err;
	assert_ok(base_file_read(path, 64 << 20, &bytes, &size, &err), &err);
	return (char *)bytes;
}

static image read_image(const char *path)
{
	uint8_t *bytes;
	size_t size;
	image img = {0};
	bm_error err;
	assert_ok(base_file_read(path, 64 << 20, &bytes, &size, &err), &err);
	assert_ok(image_decode(bytes, size, 3, 0, 0, &img, &err), &err);
	base_free(bytes);
	return img;
}

/* How many pixels have this colour, within a little. */
static long count_colour(const image *img, int red, int green, int blue)
{
	long count = 0;
	for (long i = 0; i < (long)img->width * img->height; i++) {
		const uint8_t *p = img->pixels + 3 * i;
		count += abs(p[0] - red) < 8 && abs(p[1] - green) < 8 && abs(p[2] - blue) < 8;
	}
	return count;
}

/* All four files, whole, and the script free of the folder's name, so that it draws wherever it is moved. */
static image check_figure(const char *name)
{
	char path[128];
	snprintf(path, sizeof path, "figures/%s.svg", name);
	char *svg = read_text(path);
	assert_non_null(strstr(svg, "<svg"));
	assert_non_null(strstr(svg, "</svg>"));
	base_free(svg);
	snprintf(path, sizeof path, "figures/%s.csv", name);
	char *data = read_text(path);
	assert_non_null(strchr(data, '\n'));
	base_free(data);
	snprintf(path, sizeof path, "figures/%s.gp", name);
	char *script = read_text(path);
	assert_null(strstr(script, "figures/"));
	assert_null(strstr(script, "/tmp"));
	base_free(script);
	snprintf(path, sizeof path, "figures/%s.png", name);
	image img = read_image(path);
	assert_true(img.width >= 1000 && img.height >= 400);
	return img;
}

static evaluate_metrics metrics(void)
{
	float p[REFERENCE_COUNT * REFERENCE_CLASSES];
	evaluate_metrics m;
	bm_error err;
	reference_probabilities(p);
	assert_ok(evaluate_compute(p, reference_labels, REFERENCE_COUNT, REFERENCE_CLASSES, &m, &err), &err);
	return m;
}

static void classes(void **state)
{
	(void)state;
	static const size_t counts[] = {1321, 1339, 1595, 1457};
	bm_error err;
	assert_ok(report_figure_classes("figures", names, counts, 4, &err), &err);
	image img = check_figure("class_distribution");
	/* The bars' areas stand to each other as the counts. */
	long first = count_colour(&img, 0x00, 0x72, 0xb2), third = count_colour(&img, 0x00, 0x9e, 0x73);
	assert_true(first > 10000);
	assert_true(fabs((double)third / (double)first - 1595.0 / 1321) < 0.02);
	image_free(&img);
	char *data = read_text("figures/class_distribution.csv");
	assert_string_equal(data, "index,class,title,count,percent,label,colour\n"
				  "0,glioma,Glioma,1321,23.13,\"1,321 (23.1 %)\",0x0072b2\n"
				  "1,meningioma,Meningioma,1339,23.44,\"1,339 (23.4 %)\",0xe69f00\n"
				  "2,notumor,\"No Tumor\",1595,27.92,\"1,595 (27.9 %)\",0x009e73\n"
				  "3,pituitary,Pituitary,1457,25.51,\"1,457 (25.5 %)\",0xcc79a7\n");
	base_free(data);
}

static void history(void **state)
{
	(void)state;
	train_epoch epochs[3] = {
		{.stage = 1,
		 .epoch = 1,
		 .loss = 0.8,
		 .accuracy = 0.7,
		 .val_loss = 0.5,
		 .val_accuracy = 0.8,
		 .learning_rate = 1e-3},
		{.stage = 2,
		 .epoch = 1,
		 .loss = 0.1,
		 .accuracy = 0.97,
		 .val_loss = 0.18,
		 .val_accuracy = 0.94,
		 .learning_rate = 1e-5},
		{.stage = 2,
		 .epoch = 2,
		 .loss = 0.09,
		 .accuracy = 0.98,
		 .val_loss = NAN,
		 .val_accuracy = 0.9,
		 .learning_rate = 1e-5},
	};
	train_history h = {.epochs = epochs, .count = 3, .best_stage = 2, .best_epoch = 1};
	bm_error err;
	assert_ok(report_figure_history("figures", &h, &err), &err);
	image img = check_figure("training_history");
	assert_true(count_colour(&img, 0x00, 0x72, 0xb2) > 500);
	assert_true(count_colour(&img, 0xe6, 0x9f, 0x00) > 500);
	image_free(&img);
	char *data = read_text("figures/training_history.csv");
	assert_string_equal(data, "epoch,stage,epoch_of_stage,loss,val_loss,accuracy,val_accuracy,learning_rate\n"
				  "1,1,1,0.800000,0.500000,0.700000,0.800000,0.001\n"
				  "2,2,1,0.100000,0.180000,0.970000,0.940000,1e-05\n"
				  "3,2,2,0.090000,NaN,0.980000,0.900000,1e-05\n");
	base_free(data);
	h.count = 0;
	assert_int_equal(report_figure_history("figures", &h, &err), BM_ERR_DATA);
}

static void history_of_one_epoch(void **state)
{
	(void)state;
	train_epoch epoch = {.stage = 1, .epoch = 1, .loss = 0.8, .accuracy = 1, .val_loss = 0.8, .val_accuracy = 1};
	train_history h = {.epochs = &epoch, .count = 1, .best_stage = 1, .best_epoch = 1};
	bm_error err;
	assert_ok(report_figure_history("figures", &h, &err), &err);
	image img = check_figure("training_history");
	image_free(&img);
}

static void confusion(void **state)
{
	(void)state;
	evaluate_metrics m = metrics();
	bm_error err;
	assert_ok(report_figure_confusion("figures", &m, names, &err), &err);
	image img = check_figure("confusion_matrix");
	/* Near a corner of its cell, where no text is, each cell of the diagonal is darker than all the others in its row. */
	int left = 330, right = img.width - 240, top = 110, bottom = img.height - 160;
	for (int a = 0; a < 3; a++) {
		int grey[3];
		for (int b = 0; b < 3; b++) {
			int x = left + (right - left) * (2 * b + 1) / 6 - (right - left) / 9;
			int y = top + (bottom - top) * (2 * a + 1) / 6 - (bottom - top) / 9;
			const uint8_t *p = img.pixels + 3 * ((long)y * img.width + x);
			grey[b] = p[0] + p[1] + p[2];
		}
		for (int b = 0; b < 3; b++)
			assert_true(a == b || grey[a] < grey[b]);
	}
	image_free(&img);
	char *data = read_text("figures/confusion_matrix.csv");
	assert_non_null(strstr(data, "\n1,2,Meningioma,\"No Tumor\",4,25.00,25.0 %,0x222222\n"));
	base_free(data);
	evaluate_metrics_free(&m);
}

static void roc(void **state)
{
	(void)state;
	evaluate_metrics m = metrics();
	bm_error err;
	assert_ok(report_figure_roc("figures", &m, names, &err), &err);
	image img = check_figure("roc_curves");
	assert_true(count_colour(&img, 0x00, 0x72, 0xb2) > 500);
	assert_true(count_colour(&img, 0xe6, 0x9f, 0x00) > 500);
	assert_true(count_colour(&img, 0x00, 0x9e, 0x73) > 500);
	image_free(&img);
	char *data = read_text("figures/roc_curves.csv");
	assert_non_null(strstr(data, "class_index,class,fpr,tpr,threshold\n0,glioma,0.00000000,0.00000000,inf\n"));
	base_free(data);
	char *script = read_text("figures/roc_curves.gp");
	assert_non_null(strstr(script, "'Glioma (AUC = 0.8967)'"));
	base_free(script);
	evaluate_metrics_free(&m);
}

static void tiles(void **state)
{
	(void)state;
	static uint8_t pixels[40 * 40];
	report_tile all[12] = {{0}};
	bm_error err;
	memset(pixels, 90, sizeof pixels);
	for (int i = 0; i < 11; i++) { /* the twelfth place stays empty */
		all[i] = (report_tile){.pixels = pixels, .side = 40, .colour = i == 3 ? 2 : 1};
		snprintf(all[i].caption[0], sizeof all[i].caption[0], "True: \"%s\", {/Bold x}", names[i % 4]);
	}
	assert_ok(report_figure_predictions("figures", all, &err), &err);
	image img = check_figure("predictions");
	long grey = count_colour(&img, 90, 90, 90), green = count_colour(&img, 0x1b, 0x7f, 0x3b);
	long red = count_colour(&img, 0xc6, 0x28, 0x28);
	assert_true(grey > 11 * 300 * 300);
	assert_true(red > 1000);
	assert_true(green > 9 * red && green < 11 * red);
	image_free(&img);
	char *script = read_text("figures/predictions.gp");
	assert_non_null(strstr(script, "'Sample predictions: 10 of 11 right'"));
	base_free(script);
	char *data = read_text("figures/predictions.csv");
	assert_non_null(strstr(data, "\"✗ True: 'pituitary', {/Bold x}\",\"\",\"\",wrong,"));
	base_free(data);
	assert_true(base_is_file("figures/predictions/11.png"));
	assert_false(base_is_file("figures/predictions/12.png"));

	all[0].colour = 0;
	assert_ok(report_figure_samples("figures", all, NULL, &err), &err);
	img = check_figure("samples");
	image_free(&img);
}

static void benchmark(void **state)
{
	(void)state;
	static const char *const labels[] = {"Sequential", "local[2]"};
	static const double seconds[] = {2, 1.25};
	bm_error err;
	assert_ok(report_figure_benchmark("figures", labels, seconds, 2, &err), &err);
	image img = check_figure("benchmark");
	long grey = count_colour(&img, 0x9a, 0x9a, 0x9a), blue = count_colour(&img, 0x00, 0x72, 0xb2);
	assert_true(fabs((double)grey / (double)blue - 1.6) < 0.05);
	image_free(&img);
	char *data = read_text("figures/benchmark.csv");
	assert_string_equal(data, "index,label,seconds,speedup,text,colour\n"
				  "0,Sequential,2.000000,1.0000,2.00 s,0x9a9a9a\n"
				  "1,local[2],1.250000,1.6000,1.25 s (1.60x),0x0072b2\n");
	base_free(data);
	static const double nothing[] = {0, 0};
	assert_int_equal(report_figure_benchmark("figures", labels, nothing, 2, &err), BM_ERR_DATA);
}

/* Nothing in a class's name is taken for a command, a format or a quote. */
static void wild_names(void **state)
{
	(void)state;
	static const char *const wild[] = {"it's `touch hacked`", "50 %d, \"so\" @x", "a\nb\\n$(touch hacked)"};
	static const size_t counts[] = {1, 2, 3};
	evaluate_metrics m = metrics();
	bm_error err;
	assert_ok(report_figure_classes("figures", wild, counts, 3, &err), &err);
	assert_ok(report_figure_confusion("figures", &m, wild, &err), &err);
	assert_ok(report_figure_roc("figures", &m, wild, &err), &err);
	assert_false(base_is_file("figures/hacked"));
	char *svg = read_text("figures/roc_curves.svg");
	assert_non_null(strstr(svg, "50 %d, "));
	base_free(svg);
	evaluate_metrics_free(&m);
}

static void many_classes(void **state)
{
	(void)state;
	enum { MANY = 20 };
	static float p[MANY * 2 * MANY];
	static int labels[MANY * 2];
	char text[MANY][24];
	const char *many[MANY];
	size_t counts[MANY];
	for (int i = 0; i < 2 * MANY; i++) {
		labels[i] = i % MANY;
		p[i * MANY + i % MANY] = i % 3 ? 0.75f : 0.25f;
		p[i * MANY + (i + 1) % MANY] = i % 3 ? 0.25f : 0.75f;
	}
	for (int c = 0; c < MANY; c++) {
		snprintf(text[c], sizeof text[c], "class_%d", c);
		many[c] = text[c];
		counts[c] = 2;
	}
	evaluate_metrics m;
	bm_error err;
	assert_ok(evaluate_compute(p, labels, 2 * MANY, MANY, &m, &err), &err);
	assert_ok(report_figure_classes("figures", many, counts, MANY, &err), &err);
	assert_ok(report_figure_confusion("figures", &m, many, &err), &err);
	assert_ok(report_figure_roc("figures", &m, many, &err), &err);
	evaluate_metrics_free(&m);

	/* The ninth curve has the colour of the first, and must differ from it. */
	char *script = read_text("figures/roc_curves.gp");
	assert_non_null(strstr(script, "($1==0?$3:NaN):4 with lines linewidth 2.2 linecolor rgb 0x0072b2 dashtype 1"));
	assert_non_null(strstr(script, "($1==8?$3:NaN):4 with lines linewidth 2.2 linecolor rgb 0x0072b2 dashtype 2"));
	base_free(script);
}

/* The script alone draws the picture again. */
static void drawn_again(void **state)
{
	(void)state;
	static const size_t counts[] = {1, 2, 3, 4};
	bm_error err;
	assert_ok(report_figure_classes("figures", names, counts, 4, &err), &err);
	char *before = read_text("figures/class_distribution.svg");
	assert_int_equal(rename("figures", "moved"), 0);
	unlink("moved/class_distribution.svg");
	assert_ok(report_run_program("gnuplot", "moved", "class_distribution.gp", 30, &err), &err);
	char *after = read_text("moved/class_distribution.svg");
	assert_string_equal(after, before);
	base_free(before);
	base_free(after);
}

static void without_gnuplot(void **state)
{
	(void)state;
	static const size_t counts[] = {1, 2, 3, 4};
	bm_error err;
	char *path = strdup(getenv("PATH"));
	assert_non_null(path);
	assert_true(report_gnuplot_available());
	setenv("PATH", "/nowhere:", 1);
	bool available = report_gnuplot_available();
	bm_status status = report_figure_classes("figures", names, counts, 4, &err);
	setenv("PATH", path, 1);
	free(path);
	assert_false(available);
	assert_int_equal(status, BM_ERR_UNSUPPORTED);
	assert_non_null(strstr(err.message, "apt-get install gnuplot-nox"));
	assert_true(base_is_file("figures/class_distribution.gp"));
	assert_true(base_is_file("figures/class_distribution.csv"));
	assert_false(base_is_file("figures/class_distribution.png"));
}

static void programs_that_fail(void **state)
{
	(void)state;
	bm_error err;
	FILE *script = fopen("bad.gp", "w");
	assert_non_null(script);
	fputs("plot nothing_known(x)\n", script);
	fclose(script);
	assert_int_equal(report_run_program("gnuplot", ".", "bad.gp", 30, &err), BM_ERR_IO);
	assert_non_null(strstr(err.message, "nothing_known"));
	assert_null(strchr(err.message, '\n'));

	script = fopen("slow.gp", "w");
	assert_non_null(script);
	fputs("pause 20\n", script);
	fclose(script);
	assert_int_equal(report_run_program("gnuplot", ".", "slow.gp", 0.2, &err), BM_ERR_IO);
	assert_non_null(strstr(err.message, "did not finish"));
	assert_int_equal(report_run_program("gnuplot", "no-such-folder", "slow.gp", 5, &err), BM_ERR_IO);
}

static void no_place_to_write(void **state)
{
	(void)state;
	static const size_t counts[] = {1, 2, 3, 4};
	bm_error err;
	FILE *file = fopen("taken", "w");
	assert_non_null(file);
	fclose(file);
	assert_int_not_equal(report_figure_classes("taken", names, counts, 4, &err), BM_OK);
	assert_non_null(strstr(err.message, "taken"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(classes, test_folder_enter, test_folder_leave),
		cmocka_unit_test_setup_teardown(history, test_folder_enter, test_folder_leave),
		cmocka_unit_test_setup_teardown(history_of_one_epoch, test_folder_enter, test_folder_leave),
		cmocka_unit_test_setup_teardown(confusion, test_folder_enter, test_folder_leave),
		cmocka_unit_test_setup_teardown(roc, test_folder_enter, test_folder_leave),
		cmocka_unit_test_setup_teardown(tiles, test_folder_enter, test_folder_leave),
		cmocka_unit_test_setup_teardown(benchmark, test_folder_enter, test_folder_leave),
		cmocka_unit_test_setup_teardown(wild_names, test_folder_enter, test_folder_leave),
		cmocka_unit_test_setup_teardown(many_classes, test_folder_enter, test_folder_leave),
		cmocka_unit_test_setup_teardown(drawn_again, test_folder_enter, test_folder_leave),
		cmocka_unit_test_setup_teardown(without_gnuplot, test_folder_enter, test_folder_leave),
		cmocka_unit_test_setup_teardown(programs_that_fail, test_folder_enter, test_folder_leave),
		cmocka_unit_test_setup_teardown(no_place_to_write, test_folder_enter, test_folder_leave),
	};
	return cmocka_run_group_tests_name("report/figures", tests, NULL, NULL);
}
