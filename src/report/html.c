#include "report/html.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "brainmri/brainmri.h"

enum { SVG_LIMIT = 1000000, PICTURE_LIMIT = 64 << 20, LONG_TEXT = 60 /* lines; more get their own scroll bar */ };

static const char style[] =
	":root{color-scheme:light "
	"dark;--paper:#fbfbf9;--ink:#1f2430;--soft:#5a6270;--line:#dfe2e6;--card:#fff;--accent:#0b5c8c;"
	"--pre:#f3f4f2;--warn:#fff6e0;--warn-line:#d9a521}\n"
	"@media(prefers-color-scheme:dark){:root{--paper:#14171c;--ink:#e4e7eb;--soft:#9aa4b2;--line:#2d333c;--card:#"
	"1c2027;"
	"--accent:#7cc4ee;--pre:#1a1e24;--warn:#2b2413;--warn-line:#b98a17}}\n"
	"*{box-sizing:border-box}\n"
	"html{-webkit-text-size-adjust:100%;scroll-behavior:smooth}\n"
	"body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.55 system-ui,-apple-system,'Segoe "
	"UI',Roboto,'DejaVu Sans',"
	"sans-serif}\n"
	"main,header,footer{max-width:60rem;margin:0 auto;padding:0 1.25rem}\n"
	"header{padding-top:2.5rem}\n"
	"h1{font-size:clamp(1.6rem,5vw,2.3rem);line-height:1.2;margin:0 0 .4rem;letter-spacing:-.01em}\n"
	".data{color:var(--soft);margin:0 0 1.75rem;overflow-wrap:anywhere}\n"
	".answers{display:grid;grid-template-columns:repeat(auto-fit,minmax(14rem,1fr));gap:.75rem;margin:0 0 "
	"1.75rem}\n"
	".answers div{background:var(--card);border:1px solid var(--line);border-radius:.6rem;padding:.8rem 1rem}\n"
	".answers div:first-child{border-color:var(--accent);border-width:2px}\n"
	"dt{color:var(--soft);font-size:.85rem}\n"
	"dd{margin:.1rem 0 "
	"0;font-size:1.5rem;font-weight:650;line-height:1.25;font-variant-numeric:tabular-nums;overflow-wrap:anywhere}"
	"\n"
	"dd small{display:block;font-size:.85rem;font-weight:400;color:var(--soft)}\n"
	"aside{background:var(--warn);border-left:4px solid var(--warn-line);border-radius:0 .5rem .5rem "
	"0;padding:.8rem 1.1rem;"
	"margin:0 0 1.75rem}\n"
	"aside h2{font-size:1rem;margin:0 0 .3rem}\n"
	"aside ul{margin:0;padding-left:1.2rem}\n"
	"nav ol{columns:13rem;column-gap:2rem;list-style:none;margin:0;padding:.9rem 0;border:solid "
	"var(--line);border-width:1px 0}\n"
	"nav li{break-inside:avoid;padding:.1rem 0}\n"
	"nav "
	"b{display:inline-block;min-width:1.7em;color:var(--soft);font-weight:400;font-variant-numeric:tabular-nums}\n"
	"a{color:var(--accent);text-decoration-thickness:1px;text-underline-offset:.15em}\n"
	"section{margin:2.75rem 0 0;scroll-margin-top:1rem}\n"
	"h2{font-size:1.35rem;line-height:1.3;margin:0 0 .8rem}\n"
	"h2 span{color:var(--accent);font-variant-numeric:tabular-nums;margin-right:.45em}\n"
	"pre{background:var(--pre);border:1px solid var(--line);border-radius:.5rem;margin:0;padding:.9rem "
	"1.1rem;overflow:auto;"
	"font:.86rem/1.17 'DejaVu Sans Mono',ui-monospace,Menlo,Consolas,'Liberation Mono',monospace;tab-size:8}\n"
	"pre.long{max-height:34rem}\n"
	"pre.wrap{white-space:pre-wrap;overflow-wrap:anywhere}\n"
	"pre:focus-visible,a:focus-visible{outline:2px solid var(--accent);outline-offset:2px}\n"
	"figure{margin:1.25rem 0 0;text-align:center}\n"
	"img{max-width:100%;height:auto;background:#fff;border:1px solid "
	"var(--line);border-radius:.5rem;padding:.4rem}\n"
	"figcaption{color:var(--soft);font-size:.9rem;margin-top:.35rem}\n"
	".missing{border:1px dashed var(--line);border-radius:.5rem;padding:1rem;color:var(--soft)}\n"
	"footer{color:var(--soft);font-size:.85rem;padding-top:2.5rem;padding-bottom:2.5rem}\n"
	"@media(max-width:40rem){main,header,footer{padding-left:.9rem;padding-right:.9rem}header{padding-top:1.5rem}"
	".answers{grid-template-columns:1fr 1fr;gap:.5rem}.answers div{padding:.6rem .75rem}dd{font-size:1.2rem}"
	"pre{font-size:.66rem;padding:.7rem .6rem}}\n"
	"@media "
	"print{:root{color-scheme:light;--paper:#fff;--ink:#000;--soft:#444;--line:#bbb;--card:#fff;--accent:#000;--"
	"pre:#fff;"
	"--warn:#fff}body{font-size:10.5pt}nav{display:none}pre,pre.long{max-height:none;overflow:visible;font-size:7."
	"5pt}"
	"figure,aside,.answers div{break-inside:avoid}h2{break-after:avoid}header{padding-top:0}}\n";

/* ---- text ---- */

/* Bytes of the valid UTF-8 character at p; 0 when it is not one (stray, overlong, surrogate, beyond U+10FFFF). */
static size_t valid_character(const unsigned char *p)
{
	size_t size = p[0] < 0x80 ? 1 : p[0] < 0xC2 ? 0 : p[0] < 0xE0 ? 2 : p[0] < 0xF0 ? 3 : p[0] < 0xF5 ? 4 : 0;
	for (size_t i = 1; i < size; i++)
		if ((p[i] & 0xC0) != 0x80)
			return 0;
	if ((p[0] == 0xE0 && p[1] < 0xA0) || (p[0] == 0xED && p[1] > 0x9F) || (p[0] == 0xF0 && p[1] < 0x90) ||
	    (p[0] == 0xF4 && p[1] > 0x8F))
		return 0;
	return size;
}

/* For element content and quoted attributes. Control characters, which HTML forbids, are left out. */
static void add_escaped_part(base_text *html, const char *text, size_t length)
{
	for (size_t i = 0; i < length;) {
		const unsigned char *p = (const unsigned char *)text + i;
		size_t size = valid_character(p);
		if (size == 0 || i + size > length) {
			base_text_add(html, "\xEF\xBF\xBD"); /* U+FFFD */
			size = 1;
		} else if (*p == '&') {
			base_text_add(html, "&amp;");
		} else if (*p == '<') {
			base_text_add(html, "&lt;");
		} else if (*p == '>') {
			base_text_add(html, "&gt;");
		} else if (*p == '"') {
			base_text_add(html, "&quot;");
		} else if (*p == '\'') {
			base_text_add(html, "&#39;");
		} else if ((*p >= 0x20 && *p != 0x7F) || *p == '\n' || *p == '\t') {
			base_text_append(html, text + i, size);
		}
		i += size;
	}
}

static void add_escaped(base_text *html, const char *text)
{
	add_escaped_part(html, text, strlen(text));
}

/* "<tag>text</tag>\n" */
static void add_element(base_text *html, const char *open, const char *text, const char *close)
{
	base_text_add(html, "%s", open);
	add_escaped(html, text);
	base_text_add(html, "%s\n", close);
}

static void add_base64(base_text *html, const uint8_t *bytes, size_t size)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	char block[4 * 256];
	size_t used = 0;
	for (size_t i = 0; i < size; i += 3) {
		uint32_t three = (uint32_t)bytes[i] << 16;
		three |= i + 1 < size ? (uint32_t)bytes[i + 1] << 8 : 0;
		three |= i + 2 < size ? (uint32_t)bytes[i + 2] : 0;
		block[used++] = digits[three >> 18];
		block[used++] = digits[three >> 12 & 63];
		block[used++] = i + 1 < size ? digits[three >> 6 & 63] : '=';
		block[used++] = i + 2 < size ? digits[three & 63] : '=';
		if (used == sizeof block) {
			base_text_append(html, block, used);
			used = 0;
		}
	}
	base_text_append(html, block, used);
}

/* ---- parts of the page ---- */

/* "96.1 % (94.5 to 97.2)": what stands in parentheses is set small, without them. */
static void add_answers(base_text *html, const report_page *page)
{
	if (page->answer_count == 0)
		return;
	base_text_add(html, "<dl class=\"answers\">\n");
	for (size_t i = 0; i < page->answer_count; i++) {
		const char *value = page->answers[i].value, *more = strstr(value, " (");
		add_element(html, "<div><dt>", page->answers[i].name, "</dt>");
		base_text_add(html, "<dd>");
		add_escaped_part(html, value, more ? (size_t)(more - value) : strlen(value));
		if (more) {
			more += strlen(" (");
			size_t length = strlen(more);
			base_text_add(html, " <small>");
			add_escaped_part(html, more, length > 0 && more[length - 1] == ')' ? length - 1 : length);
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
		add_element(html, "<li>", page->cautions[i], "</li>");
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
		add_escaped(html, page->phases[i].title);
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
	add_base64(html, bytes, size);
	base_text_add(html, "\" alt=\"");
	add_escaped(html, ref->caption ? ref->caption : ref->name);
	base_text_add(html, "\">\n");
	base_free(bytes);
	return true;
}

static bm_status add_figure(base_text *html, const char *folder, const report_figure_ref *ref, bm_error *err)
{
	bm_status status = BM_OK;
	base_text_add(html, "<figure>\n");
	/* As an image, not as part of the page: the names inside gnuplot's SVGs are the same in each. */
	if (!add_picture(html, folder, ref, "svg", "image/svg+xml", SVG_LIMIT, &status, err) && status == BM_OK &&
	    !add_picture(html, folder, ref, "png", "image/png", PICTURE_LIMIT, &status, err) && status == BM_OK) {
		base_text_add(html, "<p class=\"missing\">The picture <code>");
		add_escaped(html, ref->name);
		base_text_add(html, "</code> is not there: it was not drawn, or was moved away. If <code>figures/");
		add_escaped(html, ref->name);
		base_text_add(html, ".gp</code> is, gnuplot draws it from that.</p>\n");
	}
	if (ref->caption)
		add_element(html, "<figcaption>", ref->caption, "</figcaption>");
	base_text_add(html, "</figure>\n");
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
	add_escaped(html, phase->title);
	base_text_add(html, "</h2>\n");
	const char *text = trim_text(phase->text ? phase->text : "", &length);
	for (size_t i = 0; i < length; i++)
		lines += text[i] == '\n';
	if (length > 0) {
		/* A box that scrolls must be reachable by keyboard. */
		base_text_add(html, "<pre%s tabindex=\"0\">", lines > LONG_TEXT ? " class=\"long\"" : "");
		add_escaped_part(html, text, length);
		base_text_add(html, "</pre>\n");
	}
	bm_status status = BM_OK;
	for (size_t i = 0; i < phase->figure_count && status == BM_OK; i++)
		status = add_figure(html, folder, &phase->figures[i], err);
	base_text_add(html, "</section>\n");
	return status;
}

bm_status report_write_html(const report_page *page, const char *figures, const char *path, bm_error *err)
{
	base_text html = {0};
	bm_status status = BM_OK;
	base_text_add(&html, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
			     "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
			     "<meta http-equiv=\"Content-Security-Policy\" "
			     "content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">\n");
	add_element(&html, "<title>", page->title, "</title>");
	base_text_add(&html, "<style>\n");
	base_text_append(&html, style, sizeof style - 1);
	base_text_add(&html, "</style>\n</head>\n<body>\n<header>\n");
	add_element(&html, "<h1>", page->title, "</h1>");
	if (page->data)
		add_element(&html, "<p class=\"data\">", page->data, "</p>");
	add_answers(&html, page);
	add_cautions(&html, page);
	add_contents(&html, page);
	base_text_add(&html, "</header>\n<main>\n");
	for (size_t i = 0; i < page->phase_count && status == BM_OK; i++)
		status = add_phase(&html, figures, &page->phases[i], err);
	if (page->repeat) {
		base_text_add(&html, "<section id=\"repeat\">\n<h2>Repeat this run</h2>\n<pre class=\"wrap\">");
		add_escaped(&html, page->repeat);
		base_text_add(&html, "</pre>\n</section>\n");
	}
	base_text_add(&html,
		      "</main>\n<footer>Written by brainmri %s. Not a medical device: not for diagnosis.</footer>\n"
		      "</body>\n</html>\n",
		      BM_VERSION);
	if (status == BM_OK && html.failed)
		status = base_fail(err, BM_ERR_MEMORY, "cannot write '%s': not enough memory for the page", path);
	if (status == BM_OK)
		status = base_file_write(path, html.data, html.length, err);
	base_text_free(&html);
	return status;
}
