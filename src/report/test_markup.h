/* What tests ask of markup. Include after cmocka.h. */
#ifndef REPORT_TEST_MARKUP_H
#define REPORT_TEST_MARKUP_H

#include <stdio.h>
#include <string.h>

static int count(const char *text, const char *what)
{
	int n = 0;
	for (const char *p = text; (p = strstr(p, what)); p += strlen(what))
		n++;
	return n;
}

static void assert_has(const char *html, const char *what)
{
	if (!strstr(html, what))
		fail_msg("the page lacks: %s", what);
}

/* Every element is closed, in order; attributes are quoted; no bare '<' or '&'; ids are unique. */
static void assert_well_formed(const char *html)
{
	static const char *const empty[] = {"meta", "img"};
	char open[64][16], ids[64][32];
	int depth = 0, id_count = 0;
	const char *p = strncmp(html, "<!DOCTYPE html>", 15) == 0 ? html + 15 : html;
	while (*p) {
		if (*p == '&') {
			const char *end = strchr(p, ';');
			assert_true(end && end - p <= 6);
			p = end + 1;
		} else if (*p != '<') {
			assert_true(*p != '>');
			p++;
		} else {
			bool closing = p[1] == '/';
			const char *name = p + 1 + closing,
				   *end = name + strspn(name, "abcdefghijklmnopqrstuvwxyz123456");
			size_t length = (size_t)(end - name);
			assert_true(length > 0 && length < sizeof open[0]);
			while (*end == ' ') {
				const char *key = end + 1, *value = strchr(key, '=');
				assert_true(value && value[1] == '"');
				const char *close = strchr(value + 2, '"');
				assert_non_null(close);
				assert_null(memchr(value + 2, '<', (size_t)(close - value - 2)));
				if (strncmp(key, "id=", 3) == 0) {
					assert_true(id_count < 64 && close - value - 2 < 32);
					snprintf(ids[id_count], sizeof ids[0], "%.*s", (int)(close - value - 2),
						 value + 2);
					for (int i = 0; i < id_count; i++)
						assert_string_not_equal(ids[i], ids[id_count]);
					id_count++;
				}
				end = close + 1;
			}
			assert_int_equal(*end, '>');
			char tag[16];
			snprintf(tag, sizeof tag, "%.*s", (int)length, name);
			if (closing) {
				assert_true(depth > 0);
				assert_string_equal(open[--depth], tag);
			} else if (strcmp(tag, empty[0]) != 0 && strcmp(tag, empty[1]) != 0) {
				assert_true(depth < 64);
				memcpy(open[depth++], tag, sizeof tag);
			}
			p = end + 1;
			/* Their text is taken as it is. */
			if (!closing && strcmp(tag, "style") == 0)
				p = strstr(p, "</style>");
			else if (!closing && strcmp(tag, "script") == 0)
				p = strstr(p, "</script>");
			assert_non_null(p);
		}
	}
	assert_int_equal(depth, 0);
	/* Links lead to places on the page. */
	for (const char *link = html; (link = strstr(link, "href=\"#")); link++) {
		char target[48];
		snprintf(target, sizeof target, " id=\"%.*s\"", (int)strcspn(link + 7, "\""), link + 7);
		assert_has(html, target);
	}
}

#endif
