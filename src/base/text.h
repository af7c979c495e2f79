/* A string that grows. Once memory ran out it stays as it was and `failed` is set: check once, at the end. */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

typedef struct base_text {
	char *data; /* NUL-terminated after the first append; NULL before */
	size_t length, capacity;
	bool failed;
} base_text;

void base_text_add(base_text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
void base_text_append(base_text *text, const char *bytes, size_t length);
const char *base_text_string(const base_text *text); /* never NULL */
void base_text_clear(base_text *text);		     /* length 0, memory kept */
void base_text_free(base_text *text);

/* Columns that a UTF-8 string takes on a terminal (box-drawing and accented letters count one). */
int base_text_columns(const char *utf8);

/* "5,712": n with thousands separators, into buffer (at least 32 bytes); returns buffer. */
const char *base_format_count(long long n, char *buffer);
/* "94.23 MB", "1.4 GB": decimal units, as in the guide; buffer at least 32 bytes. */
const char *base_format_bytes(double bytes, char *buffer);
/* "45 s", "3 min 12 s", "2.1 h", "7.3 days"; buffer at least 32 bytes. */
const char *base_format_seconds(double seconds, char *buffer);

#endif
