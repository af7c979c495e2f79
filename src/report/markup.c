#include "report/markup.h"

#include <string.h>

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
void report_add_escaped_part(base_text *html, const char *text, size_t length)
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

void report_add_escaped(base_text *html, const char *text)
{
	report_add_escaped_part(html, text, strlen(text));
}

void report_add_element(base_text *html, const char *open, const char *text, const char *close)
{
	base_text_add(html, "%s", open);
	report_add_escaped(html, text);
	base_text_add(html, "%s\n", close);
}

void report_add_base64(base_text *html, const uint8_t *bytes, size_t size)
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

void report_add_json_string(base_text *html, const char *text)
{
	base_text_add(html, "\"");
	for (const char *at = text; *at;) {
		const unsigned char *p = (const unsigned char *)at;
		size_t size = valid_character(p);
		if (size == 0) {
			base_text_add(html, "\xEF\xBF\xBD");
			size = 1;
		} else if (*p < 0x20 || *p == 0x7F || strchr("\"\\<>&", *p)) {
			base_text_add(html, "\\u%04x", *p); /* '<' too: "</script>" would end the element */
		} else {
			base_text_append(html, at, size);
		}
		at += size;
	}
	base_text_add(html, "\"");
}
