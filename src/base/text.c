#include "base/text.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"

/* Room for `more` bytes and a NUL behind what is there. */
static bool make_room(base_text *text, size_t more)
{
	size_t need;
	if (text->failed)
		return false;
	if (__builtin_add_overflow(text->length, more, &need) || need > SIZE_MAX / 4) {
		text->failed = true;
		return false;
	}
	if (need < text->capacity)
		return true;
	size_t capacity = need + need / 2 + 64;
	char *data = base_malloc(capacity, 1, "a text", NULL);
	if (!data) {
		text->failed = true;
		return false;
	}
	if (text->length > 0)
		memcpy(data, text->data, text->length);
	data[text->length] = '\0';
	base_free(text->data);
	text->data = data;
	text->capacity = capacity;
	return true;
}

void base_text_add(base_text *text, const char *format, ...)
{
	va_list args, again;
	va_start(args, format);
	va_copy(again, args);
	char line[256];
	int length = vsnprintf(line, sizeof line, format, args);
	if (length < 0) {
		text->failed = true;
	} else if ((size_t)length < sizeof line) {
		base_text_append(text, line, (size_t)length);
	} else if (make_room(text, (size_t)length)) {
		vsnprintf(text->data + text->length, (size_t)length + 1, format, again);
		text->length += (size_t)length;
	}
	va_end(again);
	va_end(args);
}

void base_text_append(base_text *text, const char *bytes, size_t length)
{
	if (!make_room(text, length))
		return;
	if (length > 0)
		memcpy(text->data + text->length, bytes, length);
	text->length += length;
	text->data[text->length] = '\0';
}

const char *base_text_string(const base_text *text)
{
	return text->data ? text->data : "";
}

void base_text_clear(base_text *text)
{
	text->length = 0;
	text->failed = false;
	if (text->data)
		text->data[0] = '\0';
}

void base_text_free(base_text *text)
{
	base_free(text->data);
	*text = (base_text){0};
}

int base_text_columns(const char *utf8)
{
	int columns = 0;
	for (const unsigned char *p = (const unsigned char *)utf8; *p; p++) {
		if ((*p & 0xC0) != 0x80 && *p >= 0x20)
			columns++;
		/* Combining marks (U+0300 to U+036F) stand on the letter before them. */
		if (*p == 0xCC || (*p == 0xCD && p[1] <= 0xAF))
			columns--;
	}
	return columns;
}

enum { BUFFER = 32 };

const char *base_format_count(long long n, char *buffer)
{
	char digits[24];
	/* -LLONG_MIN does not fit into a long long. */
	unsigned long long size = n < 0 ? 0 - (unsigned long long)n : (unsigned long long)n;
	int length = snprintf(digits, sizeof digits, "%llu", size), out = 0;
	if (n < 0)
		buffer[out++] = '-';
	for (int i = 0; i < length; i++) {
		if (i > 0 && (length - i) % 3 == 0)
			buffer[out++] = ',';
		buffer[out++] = digits[i];
	}
	buffer[out] = '\0';
	return buffer;
}

const char *base_format_bytes(double bytes, char *buffer)
{
	static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
	size_t unit = 0;
	if (!isfinite(bytes)) {
		snprintf(buffer, BUFFER, "%s", isnan(bytes) ? "?" : "unlimited");
		return buffer;
	}
	double value = fabs(bytes);
	/* 999,995 B would be rounded to "1000.00 kB". */
	while (unit + 1 < sizeof units / sizeof *units && value >= (unit == 0 ? 999.5 : unit < 3 ? 999.995 : 999.95)) {
		value /= 1000;
		unit++;
	}
	const char *sign = bytes < 0 ? "-" : "";
	if (value >= 1e6)
		snprintf(buffer, BUFFER, "%s%.1e %s", sign, value, units[unit]);
	else
		snprintf(buffer, BUFFER, "%s%.*f %s", sign, unit == 0 ? 0 : unit < 3 ? 2 : 1, value, units[unit]);
	return buffer;
}

const char *base_format_seconds(double seconds, char *buffer)
{
	if (!isfinite(seconds) || seconds < 0)
		snprintf(buffer, BUFFER, "?");
	else if (seconds < 9.995)
		snprintf(buffer, BUFFER, "%.2f s", seconds);
	else if (seconds < 59.5)
		snprintf(buffer, BUFFER, "%.0f s", seconds);
	else if (seconds < 3599.5) {
		int whole = (int)(seconds + 0.5);
		if (whole % 60 == 0)
			snprintf(buffer, BUFFER, "%d min", whole / 60);
		else
			snprintf(buffer, BUFFER, "%d min %d s", whole / 60, whole % 60);
	} else if (seconds < 48 * 3600.0)
		snprintf(buffer, BUFFER, "%.1f h", seconds / 3600);
	else if (seconds < 1e12)
		snprintf(buffer, BUFFER, "%.1f days", seconds / 86400);
	else
		snprintf(buffer, BUFFER, "%.1e days", seconds / 86400);
	return buffer;
}
