#include "report/compare.h"

#include "base/memory.h"
#include "report/html.h"
#include "report/markup.h"

static void table(base_text *html, const report_comparison *c, const report_row *rows, size_t count, const char *css)
{
	base_text_add(html,
		      "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"%s\">\n<table "
		      "class=\"%s\">\n<thead>\n<tr><th scope=\"col\"></th>",
		      css, css);
	for (size_t r = 0; r < c->run_count; r++)
		report_add_element(html, "<th scope=\"col\">", c->runs[r].name, "</th>");
	base_text_add(html, "</tr>\n</thead>\n<tbody>\n");
	for (size_t i = 0; i < count; i++) {
		report_add_element(html, "<tr><th scope=\"row\">", rows[i].name, "</th>");
		for (size_t r = 0; r < c->run_count; r++)
			report_add_element(html, rows[i].best == (int)r ? "<td class=\"best\">" : "<td>",
					   rows[i].values[r], "</td>");
		base_text_add(html, "</tr>\n");
	}
	base_text_add(html, "</tbody>\n</table>\n</div>\n");
}

static bm_status curves(base_text *html, const report_comparison *c, bm_error *err)
{
	report_curve *all = base_calloc(c->run_count, sizeof *all, "the curves", err);
	if (!all)
		return BM_ERR_MEMORY;
	for (size_t r = 0; r < c->run_count; r++)
		all[r] = (report_curve){c->runs[r].name, c->runs[r].history};
	report_chart_curves(html, all, c->run_count);
	base_free(all);
	return BM_OK;
}

bm_status report_write_comparison(const report_comparison *c, const char *path, bm_error *err)
{
	base_text html = {0};
	report_begin_page(&html, "Brain MRI Tumor Classification: runs compared");
	base_text_add(&html, "<header>\n<h1>%zu runs compared</h1>\n", c->run_count);
	for (size_t i = 0; i < c->note_count; i++)
		report_add_element(&html, "<p class=\"lead\">", c->notes[i], "</p>");
	base_text_add(&html, "</header>\n<main>\n<section>\n<h2>Results on the test images</h2>\n");
	table(&html, c, c->results, c->result_count, "compare");
	base_text_add(
		&html,
		"<p class=\"note\">Bold: the best figure of a row, which says nothing of whether the difference is "
		"more than chance.</p>\n</section>\n<section>\n<h2>Settings that differ</h2>\n");
	if (c->setting_count > 0)
		table(&html, c, c->settings, c->setting_count, "settings");
	else
		base_text_add(&html, "<p>None.</p>\n");
	base_text_add(&html, "</section>\n<section>\n<h2>Training</h2>\n");
	bm_status status = curves(&html, c, err);
	base_text_add(&html, "</section>\n<section>\n<h2>Confusion matrices</h2>\n<div class=\"sides\">\n");
	for (size_t r = 0; r < c->run_count; r++) {
		base_text_add(&html, "<figure>\n");
		report_chart_confusion(&html, c->runs[r].metrics, c->runs[r].class_names);
		report_add_element(&html, "<figcaption>", c->runs[r].name, "</figcaption>\n</figure>");
	}
	base_text_add(&html, "</div>\n</section>\n</main>\n");
	if (status == BM_OK)
		status = report_finish_page(&html, path, err);
	base_text_free(&html);
	return status;
}
