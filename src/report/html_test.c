#include "report/html.h"

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
#include "report/test_markup.h"
#include "base/test_folder.h"

/* Each test has an empty folder of its own, with an empty folder "figures". */
static int enter(void **state)
{
	return test_folder_enter(state) == 0 ? mkdir("figures", 0777) : -1;
}

static void write_file(const char *path, const void *bytes, size_t size)
{
	bm_error err;
	assert_int_equal(base_file_write(path, bytes, size, &err), BM_OK);
}

static char *write_page(const report_page *page)
{
	bm_error err;
	uint8_t *bytes;
	size_t size;
	if (report_write_html(page, "figures", "report.html", &err) != BM_OK)
		fail_msg("%s", err.message);
	assert_int_equal(base_file_read("report.html", 256 << 20, &bytes, &size, &err), BM_OK);
	assert_int_equal(strlen((char *)bytes), size);
	return (char *)bytes;
}

static void whole_page(void **state)
{
	(void)state;
	static const char svg[] = "<svg xmlns=\"http://www.w3.org/2000/svg\"/>";
	write_file("figures/samples.svg", svg, sizeof svg - 1);
	write_file("figures/samples.csv", "a,b\n", 4);
	report_figure_ref figures[] = {{"samples", "Eight images", NULL}};
	report_phase phases[10];
	for (int i = 0; i < 10; i++)
		phases[i] = (report_phase){i + 1, "A phase", "✓ done\n", figures, i == 3 ? 1 : 0, NULL};
	phases[3].text = "============================================================\n"
			 "PHASE 4: DATA EXPLORATION\n"
			 "============================================================\n"
			 "\n"
			 "├── first line\n"
			 "└── last line\n\n";
	report_answer answers[] = {{"Test accuracy", "96.1 % (94.5 to 97.2)"}, {"Loss", "0.1"}};
	const char *cautions[] = {"No patient identifiers."};
	report_page page = {.title = "Run",
			    .data = "5,712 images",
			    .answers = answers,
			    .answer_count = 2,
			    .phases = phases,
			    .phase_count = 10,
			    .cautions = cautions,
			    .caution_count = 1,
			    .lead = "96.1 % of the images & more",
			    .facts = answers,
			    .fact_count = 2,
			    .config = "{\"seed\": 1}",
			    .repeat = "brainmri run DATA --seed 1"};
	char *html = write_page(&page);
	assert_well_formed(html);
	assert_int_equal(count(html, "<section id=\"phase-"), 10);
	assert_has(html, "<title>Run</title>");
	assert_has(html, "<div><dt>Test accuracy</dt>\n<dd>96.1 % <small>94.5 to 97.2</small></dd></div>");
	assert_has(html, "<dd>0.1</dd>");
	assert_has(html, "<li>No patient identifiers.</li>");
	assert_has(html, ">├── first line\n└── last line</pre>"); /* its heading is the section's */
	assert_has(html, "<pre class=\"wrap\">brainmri run DATA --seed 1</pre>");
	/* RFC 4648 of the SVG, by base64(1). */
	assert_has(html, "<img src=\"data:image/svg+xml;base64,"
			 "PHN2ZyB4bWxucz0iaHR0cDovL3d3dy53My5vcmcvMjAwMC9zdmciLz4=\" alt=\"Eight images\">");
	assert_has(html, "<figcaption>Eight images <a download=\"samples.csv\" "
			 "href=\"data:text/csv;base64,YSxiCg==\">data (CSV)</a></figcaption>");
	assert_has(html, "<p class=\"lead\">96.1 % of the images &amp; more</p>");
	assert_has(html, "<tr><th scope=\"row\">Loss</th>\n<td class=\"path\">0.1</td></tr>");
	assert_has(html, "{&quot;seed&quot;: 1}</pre>");
	/* In order: answers, cautions, phases, how to repeat. */
	const char *order[] = {"Test accuracy", "No patient", "id=\"phase-1\"", "id=\"phase-10\"", "id=\"repeat\""};
	for (int i = 0; i + 1 < 5; i++)
		assert_true(strstr(html, order[i]) < strstr(html, order[i + 1]));
	base_free(html);
}

/* Nothing is fetched: no address anywhere but inside the data: pictures. */
static void self_contained(void **state)
{
	(void)state;
	report_phase phase = {1, "One", "text", NULL, 0, NULL};
	report_page page = {.title = "Run", .phases = &phase, .phase_count = 1};
	char *html = write_page(&page);
	assert_well_formed(html);
	assert_null(strstr(html, "http:"));
	assert_null(strstr(html, "https:"));
	assert_null(strstr(html, " src=\"h"));
	assert_null(strstr(html, "<link"));
	assert_null(strstr(html, "url("));
	assert_null(strstr(html, "@import"));
	assert_has(html, "default-src 'none'");
	assert_has(html, "prefers-color-scheme: dark");
	assert_has(html, "@media print");
	assert_has(html, "name=\"viewport\"");
	base_free(html);
}

static void everything_is_escaped(void **state)
{
	(void)state;
	static const char bad[] = "<script>alert('x')</script> & \"q\" \x1b[1m \xff\xc0\xaf \xed\xa0\x80 ö\r";
	static const char good[] = "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; &amp; &quot;q&quot; [1m "
				   "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD \xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD ö";
	write_file("figures/f.png", "x", 1);
	report_figure_ref figures[] = {{"f", bad, NULL}, {"<gone>", bad, NULL}};
	report_phase phase = {1, bad, bad, figures, 2, NULL};
	report_answer answer = {bad, bad};
	const char *cautions[] = {bad};
	report_page page = {.title = bad,
			    .data = bad,
			    .answers = &answer,
			    .answer_count = 1,
			    .phases = &phase,
			    .phase_count = 1,
			    .cautions = cautions,
			    .caution_count = 1,
			    .repeat = bad};
	char *html = write_page(&page);
	assert_well_formed(html);
	assert_int_equal(count(html, "<script"), 1); /* the page's own */
	/* title, h1, data, answer's name and value, caution, phase title and text, an alt and two captions, repeat */
	assert_int_equal(count(html, good), 12);
	assert_has(html, "<code>&lt;gone&gt;</code>");
	base_free(html);
}

static void missing_and_large_pictures(void **state)
{
	(void)state;
	size_t size = 1000001;
	char *large = calloc(1, size);
	assert_non_null(large);
	write_file("figures/large.svg", large, size);
	write_file("figures/large.png", "\x89PNG", 4);
	free(large);
	report_figure_ref figures[] = {{"large", "A large one", NULL}, {"gone", NULL, NULL}};
	report_phase phase = {9, "Evaluation", NULL, figures, 2, NULL};
	report_page page = {.title = "Run", .phases = &phase, .phase_count = 1};
	char *html = write_page(&page);
	assert_well_formed(html);
	assert_int_equal(count(html, "<img "), 1);
	assert_has(html, "<img src=\"data:image/png;base64,iVBORw==\" alt=\"A large one\">");
	assert_has(html, "The picture <code>gone</code> is not there");
	assert_null(strstr(html, "<pre"));
	base_free(html);
}

static void headings_of_phases(void **state)
{
	(void)state;
	static const char *const texts[][2] = {
		{"==========\nONE\n==========\n\nbody\n", ">body</pre>"},
		{"==========\nONE\nTWO\n==========\nbody", ">body</pre>"},
		{"==========\nONE\n=====\nbody", ">==========\nONE\n=====\nbody</pre>"}, /* not a heading */
		{"==========", ">==========</pre>"},
		{"==========\n", ">==========</pre>"},
		{"\n\n  indented\n\n", ">  indented</pre>"},
		{"===\nshort\n===", ">===\nshort\n===</pre>"},
	};
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		report_phase phase = {1, "One", texts[i][0], NULL, 0, NULL};
		report_page page = {.title = "Run", .phases = &phase, .phase_count = 1};
		char *html = write_page(&page);
		assert_has(html, texts[i][1]);
		base_free(html);
	}
}

static void long_text_scrolls(void **state)
{
	(void)state;
	char text[200] = "";
	for (int i = 0; i < 80; i++)
		strcat(text, "x\n");
	report_phase phase = {7, "Model", text, NULL, 0, NULL};
	report_page page = {.title = "Run", .phases = &phase, .phase_count = 1};
	char *html = write_page(&page);
	assert_has(html, "<pre class=\"long\" tabindex=\"0\" role=\"region\" aria-label=\"What phase 7 printed\">x\n");
	base_free(html);
}

static void failures(void **state)
{
	(void)state;
	report_phase phase = {1, "One", "text", NULL, 0, NULL};
	report_page page = {.title = "Run", .phases = &phase, .phase_count = 1};
	bm_error err;
	assert_int_not_equal(report_write_html(&page, "figures", "no/such/folder/report.html", &err), BM_OK);
	assert_non_null(strstr(err.message, "no/such/folder"));
	report_figure_ref figure = {"f", "c", NULL};
	write_file("figures/f.svg", "<svg/>", 6);
	phase.figures = &figure;
	phase.figure_count = 1;
	/* The page with a picture that no memory was left for is still right or not written at all. */
	for (long n = 0;; n++) {
		unlink("report.html");
		base_memory_fail_after(n);
		bm_status status = report_write_html(&page, "figures", "report.html", &err);
		base_memory_fail_after(-1);
		assert_true(status == BM_OK || status == BM_ERR_MEMORY);
		assert_true(base_is_file("report.html") == (status == BM_OK));
		if (status == BM_OK)
			break;
		assert_true(n < 1000);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(whole_page, enter, test_folder_leave),
		cmocka_unit_test_setup_teardown(self_contained, enter, test_folder_leave),
		cmocka_unit_test_setup_teardown(everything_is_escaped, enter, test_folder_leave),
		cmocka_unit_test_setup_teardown(missing_and_large_pictures, enter, test_folder_leave),
		cmocka_unit_test_setup_teardown(headings_of_phases, enter, test_folder_leave),
		cmocka_unit_test_setup_teardown(long_text_scrolls, enter, test_folder_leave),
		cmocka_unit_test_setup_teardown(failures, enter, test_folder_leave),
	};
	return cmocka_run_group_tests_name("report/html", tests, NULL, NULL);
}
