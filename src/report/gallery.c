#include "report/gallery.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "image/image.h"
#include "report/markup.h"
#include "report/tables.h"

enum { TILE_SIDE = 144, SMALL_SIDE = 72, QUALITY = 78, MISTAKES_SHOWN = 300, DATA_SHOWN = 5000 };

/* <img> of a grey square, at most `most` pixels a side. */
static bm_status thumbnail(base_text *html, const uint8_t *pixels, int side, int most, const char *alt, bm_error *err)
{
	const image whole = {side, side, 1, (uint8_t *)pixels};
	image small = {most, most, 1, NULL};
	uint8_t *bytes = NULL;
	size_t size = 0;
	bm_status status = side > most ? image_resize(&whole, &small, err) : BM_OK;
	if (status != BM_OK)
		return status;
	status = image_encode_jpeg(side > most ? &small : &whole, QUALITY, &bytes, &size, err);
	image_free(&small);
	if (status != BM_OK)
		return status;
	base_text_add(html, "<img src=\"data:image/jpeg;base64,");
	report_add_base64(html, bytes, size);
	base_text_add(html, "\" alt=\"");
	report_add_escaped(html, alt);
	base_text_add(html, "\">\n");
	base_free(bytes);
	return BM_OK;
}

bm_status report_gallery_pictures(base_text *html, const report_picture *pictures, size_t count, int side,
				  bm_error *err)
{
	bm_status status = BM_OK;
	base_text_add(html, "<ul class=\"tiles\">\n");
	for (size_t i = 0; i < count && status == BM_OK; i++) {
		base_text_add(html, "<li>");
		if (pictures[i].pixels)
			status = thumbnail(html, pictures[i].pixels, side, TILE_SIDE, pictures[i].path, err);
		if (pictures[i].words)
			report_add_element(html, "<b>", pictures[i].words, "</b>");
		report_add_element(html, "<i>", pictures[i].path, "</i></li>");
	}
	base_text_add(html, "</ul>\n");
	return status;
}

bm_status report_gallery_strip(base_text *html, const report_picture *pictures, size_t count, int side, bm_error *err)
{
	bm_status status = BM_OK;
	base_text_add(html, "<div class=\"strip\">\n");
	for (size_t i = 0; i < count && status == BM_OK; i++) {
		if (!pictures[i].pixels)
			continue;
		base_text_add(html, "<span title=\"");
		report_add_escaped(html, pictures[i].path);
		base_text_add(html, "%s", pictures[i].words ? ", " : "");
		report_add_escaped(html, pictures[i].words ? pictures[i].words : "");
		base_text_add(html, "\">");
		status = thumbnail(html, pictures[i].pixels, side, SMALL_SIDE, pictures[i].path, err);
		base_text_add(html, "</span>\n");
	}
	base_text_add(html, "</div>\n");
	return status;
}

/* ---- predictions ---- */

static int by_confidence(const void *a, const void *b)
{
	const report_prediction *x = a, *y = b;
	float p = x->probabilities[x->predicted], q = y->probabilities[y->predicted];
	return p != q ? (p < q) - (p > q) : strcmp(x->path, y->path);
}

static void class_cell(base_text *html, const char *name)
{
	char title[64];
	report_add_element(html, "<td>", report_class_title(name, title), "</td>");
}

static bm_status mistake_row(base_text *html, const report_predictions *p, const report_prediction *m, bm_error *err)
{
	bm_status status = BM_OK;
	base_text_add(html, "<tr data-path=\"");
	report_add_escaped(html, m->path);
	base_text_add(html, "\">\n<td>");
	if (m->pixels)
		status = thumbnail(html, m->pixels, p->side, SMALL_SIDE, "", err);
	base_text_add(html, "</td>\n");
	class_cell(html, p->names[m->actual]);
	class_cell(html, p->names[m->predicted]);
	base_text_add(html, "<td class=\"number\">%.3f</td>\n<td class=\"number\">%.3f</td>\n",
		      (double)m->probabilities[m->predicted], (double)m->probabilities[m->actual]);
	report_add_element(html, "<td class=\"path\">", m->path, "</td>\n</tr>");
	return status;
}

bm_status report_gallery_mistakes(base_text *html, const report_predictions *p, bm_error *err)
{
	bm_status status = BM_OK;
	size_t count = 0;
	report_prediction *wrong = base_malloc(p->count, sizeof *wrong, "the mistakes", err);
	if (!wrong)
		return BM_ERR_MEMORY;
	for (size_t i = 0; i < p->count; i++)
		if (p->items[i].actual != p->items[i].predicted)
			wrong[count++] = p->items[i];
	qsort(wrong, count, sizeof *wrong, by_confidence);
	base_text_add(html, "<h3 id=\"mistakes\">The mistakes</h3>\n");
	if (count == 0)
		base_text_add(html, "<p>None: every test image was classified right.</p>\n");
	else
		base_text_add(html, "<p class=\"note\">%zu of %zu test images%s, the surest first%s.</p>\n", count,
			      p->count, count > MISTAKES_SHOWN ? "; the first 300 are shown" : "",
			      count > MISTAKES_SHOWN ? " (all are in predictions.csv)" : "");
	if (count > 0) {
		base_text_add(
			html,
			"<div class=\"scroll tall\" tabindex=\"0\" role=\"region\" aria-labelledby=\"mistakes\">\n"
			"<table class=\"sortable\">\n<thead>\n<tr><th scope=\"col\">Image</th>"
			"<th scope=\"col\" data-sort=\"text\">Actual</th><th scope=\"col\" "
			"data-sort=\"text\">Predicted</th>"
			"<th scope=\"col\" data-sort=\"number\" class=\"number\">Confidence</th>"
			"<th scope=\"col\" data-sort=\"number\" class=\"number\">Of actual</th>"
			"<th scope=\"col\" data-sort=\"text\">File</th></tr>\n</thead>\n<tbody>\n");
		for (size_t i = 0; i < count && i < MISTAKES_SHOWN && status == BM_OK; i++)
			status = mistake_row(html, p, &wrong[i], err);
		base_text_add(html, "</tbody>\n</table>\n</div>\n");
	}
	base_free(wrong);
	return status;
}

bm_status report_gallery_samples(base_text *html, const report_predictions *p, const size_t *chosen, size_t count,
				 bm_error *err)
{
	bm_status status = BM_OK;
	char title[64];
	base_text_add(html, "<ul class=\"tiles\">\n");
	for (size_t i = 0; i < count && status == BM_OK; i++) {
		const report_prediction *s = &p->items[chosen[i]];
		bool right = s->actual == s->predicted;
		base_text_add(html, "<li>");
		if (s->pixels)
			status = thumbnail(html, s->pixels, p->side, TILE_SIDE, s->path, err);
		base_text_add(html, "<b class=\"%s\">%s ", right ? "right" : "wrong", right ? "✓" : "✗");
		report_add_element(html, "", report_class_title(p->names[s->predicted], title), "</b>");
		if (!right) {
			base_text_add(html, "<span> actual: ");
			report_add_element(html, "", report_class_title(p->names[s->actual], title), "</span>");
		}
		base_text_add(html, "<div class=\"bars\">\n");
		for (int k = 0; k < p->classes; k++) {
			report_add_element(html, "<span>", report_class_title(p->names[k], title), "</span>");
			base_text_add(html, "<u><s style=\"width:%.1f%%\"></s></u><span>%.1f %%</span>\n",
				      100 * (double)s->probabilities[k], 100 * (double)s->probabilities[k]);
		}
		base_text_add(html, "</div>\n");
		report_add_element(html, "<i>", s->path, "</i></li>");
	}
	base_text_add(html, "</ul>\n");
	return status;
}

void report_gallery_data(base_text *html, const report_predictions *p)
{
	char title[64];
	base_text_add(html, "<p class=\"note hint\">A cell of the matrix lists its images%s.</p>\n",
		      p->count > DATA_SHOWN ? " (of the first 5,000)" : "");
	base_text_add(html, "<script type=\"application/json\" id=\"predictions-data\">{\"classes\":[");
	for (int k = 0; k < p->classes; k++) {
		base_text_add(html, "%s", k ? "," : "");
		report_add_json_string(html, report_class_title(p->names[k], title));
	}
	base_text_add(html, "],\"rows\":[");
	for (size_t i = 0; i < p->count && i < DATA_SHOWN; i++) {
		const report_prediction *s = &p->items[i];
		base_text_add(html, "%s\n[", i ? "," : "");
		report_add_json_string(html, s->path);
		base_text_add(html, ",%d,%d,[", s->actual, s->predicted);
		for (int k = 0; k < p->classes; k++)
			base_text_add(html, "%s%.4f", k ? "," : "", (double)s->probabilities[k]);
		base_text_add(html, "]]");
	}
	base_text_add(html, "]}</script>\n");
}
