#include "report/html.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "brainmri/brainmri.h"
#include "report/markup.h"
#include "report/page.css.h"
#include "report/page.js.h"

enum {
	SVG_LIMIT = 1000000,
	PICTURE_LIMIT = 64 << 20,
	DOWNLOAD_LIMIT = 256 << 10,
	LONG_TEXT = 60 /* lines; more get their own scroll bar */
};

/* ---- parts of the page ---- */

/* "96.1 % (94.5 to 97.2)": what stands in parentheses is set small, without them. */
static void add_answers(base_text *html, const report_page *page)
{
	if (page->answer_count == 0)
		return;
	base_text_add(html, "<dl class=\"answers\">\n");
	for (size_t i = 0; i < page->answer_count; i++) {
		const char *value = page->answers[i].value, *more = strstr(value, " (");
		report_add_element(html, "<div><dt>", page->answers[i].name, "</dt>");
		base_text_add(html, "<dd>");
		report_add_escaped_part(html, value, more ? (size_t)(more - value) : strlen(value));
		if (more) {
			more += strlen(" (");
			size_t length = strlen(more);
			base_text_add(html, " <small>");
			report_add_escaped_part(html, more,
						length > 0 && more[length - 1] == ')' ? length - 1 : length);
			base_text_add(html, "</small>");
		}
		base_text_add(html, "</dd></div>\n");
	}
	base_text_add(html, "</dl>\n");
}

static void add_cautions(base_text *html, const report_page *page)
{
	if (page->caution_count == 0)
		return;
	base_text_add(html, "<aside>\n<h2>What these figures do not say</h2>\n<ul>\n");
	for (size_t i = 0; i < page->caution_count; i++)
		report_add_element(html, "<li>", page->cautions[i], "</li>");
	base_text_add(html, "</ul>\n</aside>\n");
}

static void add_contents(base_text *html, const report_page *page)
{
	if (page->phase_count < 2)
		return;
	base_text_add(html, "<nav aria-label=\"Phases\">\n<ol>\n");
	for (size_t i = 0; i < page->phase_count; i++) {
		int number = page->phases[i].number;
		base_text_add(html, "<li><b>%d</b><a href=\"#phase-%d\">", number, number);
		report_add_escaped(html, page->phases[i].title);
		base_text_add(html, "</a></li>\n");
	}
	base_text_add(html, "</ol>\n</nav>\n");
}

/* Takes the picture in if it is there. */
static bool add_picture(base_text *html, const char *folder, const report_figure_ref *ref, const char *ending,
			const char *type, size_t limit, bm_status *status, bm_error *err)
{
	char name[256];
	uint8_t *bytes = NULL;
	size_t size = 0;
	if ((size_t)snprintf(name, sizeof name, "%s.%s", ref->name, ending) >= sizeof name)
		return false;
	char *path = base_path_join(folder, name, err);
	if (!path) {
		*status = BM_ERR_MEMORY;
		return false;
	}
	bm_status found = base_file_read(path, limit, &bytes, &size, NULL);
	base_free(path);
	if (found != BM_OK)
		return false;
	base_text_add(html, "<img src=\"data:%s;base64,", type);
	report_add_base64(html, bytes, size);
	base_text_add(html, "\" alt=\"");
	report_add_escaped(html, ref->caption ? ref->caption : ref->name);
	base_text_add(html, "\">\n");
	base_free(bytes);
	return true;
}

/* A file of the figures folder that can be taken out of the page. */
static bm_status add_download(base_text *html, const char *folder, const char *figure, const char *ending,
			      const char *type, const char *words, bm_error *err)
{
	char name[256];
	uint8_t *bytes = NULL;
	size_t size = 0;
	if ((size_t)snprintf(name, sizeof name, "%s.%s", figure, ending) >= sizeof name)
		return BM_OK;
	char *path = base_path_join(folder, name, err);
	if (!path)
		return BM_ERR_MEMORY;
	bm_status found = base_file_read(path, DOWNLOAD_LIMIT, &bytes, &size, NULL);
	base_free(path);
	if (found != BM_OK)
		return BM_OK;
	base_text_add(html, " <a download=\"");
	report_add_escaped(html, name);
	base_text_add(html, "\" href=\"data:%s;base64,", type);
	report_add_base64(html, bytes, size);
	base_text_add(html, "\">%s</a>", words);
	base_free(bytes);
	return BM_OK;
}

static bm_status add_figure(base_text *html, const char *folder, const report_figure_ref *ref, bm_error *err)
{
	bm_status status = BM_OK;
	base_text_add(html, "<figure>\n");
	/* As an image, not as part of the page: the names inside gnuplot's SVGs are the same in each. */
	if (ref->markup && *ref->markup) {
		base_text_add(html, "%s", ref->markup);
	} else if (!add_picture(html, folder, ref, "svg", "image/svg+xml", SVG_LIMIT, &status, err) &&
		   status == BM_OK &&
		   !add_picture(html, folder, ref, "png", "image/png", PICTURE_LIMIT, &status, err) &&
		   status == BM_OK) {
		base_text_add(html, "<p class=\"missing\">The picture <code>");
		report_add_escaped(html, ref->name);
		base_text_add(html, "</code> is not there: it was not drawn, or was moved away. If <code>figures/");
		report_add_escaped(html, ref->name);
		base_text_add(html, ".gp</code> is, gnuplot draws it from that.</p>\n");
	}
	base_text_add(html, "<figcaption>");
	report_add_escaped(html, ref->caption ? ref->caption : ref->name);
	if (status == BM_OK)
		status = add_download(html, folder, ref->name, "csv", "text/csv", "data (CSV)", err);
	if (status == BM_OK)
		status = add_download(html, folder, ref->name, "gp", "text/plain", "gnuplot script", err);
	base_text_add(html, "</figcaption>\n</figure>\n");
	return status;
}

/* What the phase printed, without the heading that the section already has, and blank lines at either end. */
static const char *trim_text(const char *text, size_t *length)
{
	size_t bars = strspn(text, "=");
	const char *line = text + bars;
	/* "====", one to three lines of title, "====" */
	for (int i = 0; bars >= 10 && *line == '\n' && i < 4; i++) {
		if (i > 0 && strspn(line + 1, "=") == bars && strchr("\n", line[1 + bars])) {
			text = line + 1 + bars;
			break;
		}
		line += 1 + strcspn(line + 1, "\n");
	}
	for (const char *p = text; *p == '\n' || *p == ' ' || *p == '\t'; p++)
		if (*p == '\n')
			text = p + 1;
	*length = strlen(text);
	while (*length > 0 && strchr(" \t\r\n", text[*length - 1]))
		(*length)--;
	return text;
}

static bm_status add_phase(base_text *html, const char *folder, const report_phase *phase, bm_error *err)
{
	size_t length = 0, lines = 1;
	base_text_add(html, "<section id=\"phase-%d\">\n<h2><span>%d</span>", phase->number, phase->number);
	report_add_escaped(html, phase->title);
	base_text_add(html, "</h2>\n");
	bm_status status = BM_OK;
	for (size_t i = 0; i < phase->figure_count && status == BM_OK; i++)
		status = add_figure(html, folder, &phase->figures[i], err);
	if (phase->markup)
		base_text_add(html, "%s", phase->markup);
	const char *text = trim_text(phase->text ? phase->text : "", &length);
	for (size_t i = 0; i < length; i++)
		lines += text[i] == '\n';
	if (length > 0) {
		/* A box that scrolls must be reachable by keyboard. */
		base_text_add(html, "<pre%s tabindex=\"0\" role=\"region\" aria-label=\"What phase %d printed\">",
			      lines > LONG_TEXT ? " class=\"long\"" : "", phase->number);
		report_add_escaped_part(html, text, length);
		base_text_add(html, "</pre>\n");
	}
	base_text_add(html, "</section>\n");
	return status;
}

static void add_repeat(base_text *html, const report_page *page)
{
	if (!page->repeat)
		return;
	base_text_add(html, "<section id=\"repeat\">\n<h2>Repeat this run</h2>\n<pre class=\"wrap\">");
	report_add_escaped(html, page->repeat);
	base_text_add(html, "</pre>\n");
	if (page->fact_count > 0) {
		base_text_add(html, "<div class=\"scroll\" tabindex=\"0\">\n<table>\n<tbody>\n");
		for (size_t i = 0; i < page->fact_count; i++) {
			report_add_element(html, "<tr><th scope=\"row\">", page->facts[i].name, "</th>");
			report_add_element(html, "<td class=\"path\">", page->facts[i].value, "</td></tr>");
		}
		base_text_add(html, "</tbody>\n</table>\n</div>\n");
	}
	if (page->config) {
		base_text_add(html, "<h3>config.json</h3>\n<pre class=\"long\" tabindex=\"0\" role=\"region\" "
				    "aria-label=\"config.json\">");
		report_add_escaped(html, page->config);
		base_text_add(html, "</pre>\n");
	}
	base_text_add(html, "</section>\n");
}

void report_begin_page(base_text *html, const char *title)
{
	base_text_add(html, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
			    "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
			    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; "
			    "style-src 'unsafe-inline'; script-src 'unsafe-inline'\">\n");
	report_add_element(html, "<title>", title, "</title>");
	base_text_add(html, "<style>\n%s</style>\n</head>\n<body>\n", page_css);
}

bm_status report_finish_page(base_text *html, const char *path, bm_error *err)
{
	base_text_add(html,
		      "<footer>Written by brainmri %s. Not a medical device: not for diagnosis.</footer>\n"
		      "<script>\n%s</script>\n</body>\n</html>\n",
		      BM_VERSION, page_js);
	if (html->failed)
		return base_fail(err, BM_ERR_MEMORY, "cannot write '%s': not enough memory for the page", path);
	return base_file_write(path, html->data, html->length, err);
}

bm_status report_write_html(const report_page *page, const char *figures, const char *path, bm_error *err)
{
	base_text html = {0};
	bm_status status = BM_OK;
	report_begin_page(&html, page->title);
	base_text_add(&html, "<header>\n");
	report_add_element(&html, "<h1>", page->title, "</h1>");
	if (page->data)
		report_add_element(&html, "<p class=\"data\">", page->data, "</p>");
	if (page->lead)
		report_add_element(&html, "<p class=\"lead\">", page->lead, "</p>");
	add_answers(&html, page);
	add_cautions(&html, page);
	add_contents(&html, page);
	base_text_add(&html, "</header>\n<main>\n");
	for (size_t i = 0; i < page->phase_count && status == BM_OK; i++)
		status = add_phase(&html, figures, &page->phases[i], err);
	add_repeat(&html, page);
	base_text_add(&html, "</main>\n");
	if (status == BM_OK)
		status = report_finish_page(&html, path, err);
	base_text_free(&html);
	return status;
}
