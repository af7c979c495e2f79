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

/* A message is one line of UTF-8: file names may hold anything else, and a cut must not split a character. */
static void tidy(char *message)
{
	size_t length = strlen(message);
	if (length == BM_MESSAGE_SIZE - 1) {
		size_t cut = length;
		while (cut > 0 && length - cut < 3 && ((unsigned char)message[cut - 1] & 0xC0) == 0x80)
			cut--;
		if (cut > 0 && ((unsigned char)message[cut - 1] & 0xC0) == 0xC0) {
			unsigned char lead = (unsigned char)message[cut - 1];
			size_t need = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
			if (length - (cut - 1) < need)
				message[cut - 1] = '\0';
		}
	}
	for (char *p = message; *p; p++) {
		if ((unsigned char)*p < 0x20 || *p == 0x7F)
			*p = ' ';
	}
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
