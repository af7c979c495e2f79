#include "base/observer.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"

typedef enum line_kind { RESULT, NOTE, WARNING } line_kind;
typedef void (*line_handler)(void *self, const char *line);

static line_handler handler_of(const base_observer *observer, line_kind kind)
{
	return kind == RESULT ? observer->result : kind == NOTE ? observer->note : observer->warning;
}

static void hand_out(const base_observer *observer, line_kind kind, const char *line)
{
	for (; observer; observer = observer->next) {
		line_handler handler = handler_of(observer, kind);
		if (handler)
			handler(observer->self, line);
	}
}

/* Formats and hands out one line; a long one is not cut unless there is no memory for it. */
static void say(const base_observer *observer, line_kind kind, const char *format, va_list args)
{
	char line[512];
	va_list again;
	while (observer && !handler_of(observer, kind))
		observer = observer->next;
	if (!observer)
		return;
	va_copy(again, args);
	int length = vsnprintf(line, sizeof line, format, args);
	if (length >= (int)sizeof line) {
		bm_error err;
		size_t size = (size_t)length + 1;
		char *longer = base_malloc(size, 1, "a line", &err);
		if (longer) {
			vsnprintf(longer, size, format, again);
			hand_out(observer, kind, longer);
			base_free(longer);
		} else {
			hand_out(observer, kind, line);
		}
	} else if (length >= 0) {
		hand_out(observer, kind, line);
	}
	va_end(again);
}

void base_result(const base_observer *observer, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	say(observer, RESULT, format, args);
	va_end(args);
}

void base_note(const base_observer *observer, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	say(observer, NOTE, format, args);
	va_end(args);
}

void base_warning(const base_observer *observer, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	say(observer, WARNING, format, args);
	va_end(args);
}

void base_result_text(const base_observer *observer, const char *lines)
{
	while (*lines) {
		size_t length = strcspn(lines, "\n");
		base_result(observer, "%.*s", (int)length, lines);
		lines += length;
		if (*lines == '\n')
			lines++;
	}
}

void base_report_progress(const base_observer *observer, const base_progress *progress)
{
	for (; observer; observer = observer->next)
		if (observer->progress)
			observer->progress(observer->self, progress);
}

void base_report_event(const base_observer *observer, const base_event *event)
{
	for (; observer; observer = observer->next)
		if (observer->event)
			observer->event(observer->self, event);
}

double base_event_value(const base_event *event, const char *name)
{
	for (size_t i = 0; i < event->count; i++)
		if (strcmp(event->values[i].name, name) == 0)
			return event->values[i].value;
	return (double)NAN;
}

bm_status base_check_cancel(const base_observer *observer, bm_error *err)
{
	if (!observer || !observer->cancel || !atomic_load_explicit(observer->cancel, memory_order_relaxed))
		return BM_OK;
	return base_fail(err, BM_ERR_CANCELLED, "stopped on request; what was done is kept");
}
