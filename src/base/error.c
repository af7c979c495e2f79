#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *bm_version(void)
{
	return BM_VERSION;
}

const char *bm_status_name(bm_status status)
{
	static const char *const names[BM_STATUS_COUNT] = {
		[BM_OK] = "ok",
		[BM_ERR_USAGE] = "wrong usage",
		[BM_ERR_NOT_FOUND] = "not found",
		[BM_ERR_IO] = "input or output failed",
		[BM_ERR_FORMAT] = "wrong format",
		[BM_ERR_LIMIT] = "over the limit",
		[BM_ERR_MEMORY] = "out of memory",
		[BM_ERR_DATA] = "unusable data set",
		[BM_ERR_NUMERIC] = "not a finite number",
		[BM_ERR_CANCELLED] = "cancelled",
		[BM_ERR_UNSUPPORTED] = "not supported",
		[BM_ERR_INTERNAL] = "internal error",
	};
	if ((int)status < 0 || status >= BM_STATUS_COUNT)
		return "unknown status";
	return names[status];
}

/* Bytes of the character at text, 0 when it is none of UTF-8 (RFC 3629). */
static size_t character(const unsigned char *text)
{
	const unsigned char lead = text[0];
	const size_t length = lead < 0x80   ? 1
			      : lead < 0xC2 ? 0
			      : lead < 0xE0 ? 2
			      : lead < 0xF0 ? 3
			      : lead < 0xF5 ? 4
					    : 0;
	for (size_t i = 1; i < length; i++)
		if ((text[i] & 0xC0) != 0x80)
			return 0;
	/* Longer than need be, a half of UTF-16, or beyond the last one. */
	if ((lead == 0xE0 && text[1] < 0xA0) || (lead == 0xED && text[1] > 0x9F) || (lead == 0xF0 && text[1] < 0x90) ||
	    (lead == 0xF4 && text[1] > 0x8F))
		return 0;
	return length;
}

void base_tidy(char *text)
{
	for (unsigned char *p = (unsigned char *)text; *p;) {
		const size_t length = character(p);
		if (length == 0)
			*p = '?';
		else if (*p < 0x20 || *p == 0x7F)
			*p = ' ';
		p += length > 0 ? length : 1;
	}
}

/* A message is one line of UTF-8: file names may hold anything else, and a cut must not split a character. */
static void tidy(char message[BM_MESSAGE_SIZE])
{
	const size_t length = strlen(message);
	size_t lead = length;
	while (lead > 0 && length - lead < 3 && ((unsigned char)message[lead - 1] & 0xC0) == 0x80)
		lead--;
	if (length == BM_MESSAGE_SIZE - 1 && lead > 0 && (unsigned char)message[lead - 1] >= 0xC0 &&
	    character((const unsigned char *)message + lead - 1) == 0)
		message[lead - 1] = '\0';
	base_tidy(message);
}

bm_status base_fail(bm_error *err, bm_status status, const char *format, ...)
{
	if (err) {
		/* An argument may be the message that is being replaced. */
		char message[BM_MESSAGE_SIZE];
		va_list args;
		va_start(args, format);
		if (vsnprintf(message, sizeof message, format, args) < 0)
			message[0] = '\0';
		va_end(args);
		tidy(message);
		memcpy(err->message, message, sizeof message);
		err->status = status;
	}
	return status;
}

bm_status base_prefix(bm_error *err, bm_status status, const char *format, ...)
{
	if (err) {
		char context[BM_MESSAGE_SIZE], message[BM_MESSAGE_SIZE];
		va_list args;
		va_start(args, format);
		if (vsnprintf(context, sizeof context, format, args) < 0)
			context[0] = '\0';
		va_end(args);
		int length = snprintf(message, sizeof message, "%s: ", context);
		if (length < 0 || (size_t)length >= sizeof message)
			length = sizeof message - 1;
		/* What does not fit is lost at the end: the context says where, the start of the message says what. */
		size_t room = sizeof message - 1 - (size_t)length, old = strnlen(err->message, BM_MESSAGE_SIZE - 1);
		if (old > room)
			old = room;
		memcpy(message + length, err->message, old);
		message[(size_t)length + old] = '\0';
		tidy(message);
		memcpy(err->message, message, strlen(message) + 1);
		err->status = status;
	}
	return status;
}
