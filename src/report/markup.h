/* Pieces of the page's HTML. Whatever comes from outside (names of files and classes, what phases printed) goes through these. */
#ifndef REPORT_MARKUP_H
#define REPORT_MARKUP_H

#include <stdint.h>

#include "base/text.h"

/* For element content and quoted attributes. What is no UTF-8 becomes U+FFFD; control characters, which HTML forbids, are left out. */
void report_add_escaped(base_text *html, const char *text);
void report_add_escaped_part(base_text *html, const char *text, size_t length);
/* open, the text escaped, close, a line break: report_add_element(html, "<p>", text, "</p>"). */
void report_add_element(base_text *html, const char *open, const char *text, const char *close);
void report_add_base64(base_text *html, const uint8_t *bytes, size_t size);
/* A JSON string in quotes that can stand inside a <script>. */
void report_add_json_string(base_text *html, const char *text);

#endif
