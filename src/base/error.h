/* Errors: a status for the program, a message for a person. */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include "brainmri/brainmri.h"

/* Writes "what failed, on what, why, what to do next" into err (NULL: dropped) and returns status, so that a
 * caller can say `return base_fail(err, BM_ERR_IO, "cannot read '%s': %s", path, strerror(errno));` */
bm_status base_fail(bm_error *err, bm_status status, const char *format, ...)
	__attribute__((format(printf, 3, 4), cold));

/* Puts "context: " before the message that err already holds; returns err->status. */
bm_status base_prefix(bm_error *err, bm_status status, const char *format, ...)
	__attribute__((format(printf, 3, 4), cold));

/* In place: bytes that are no UTF-8 become '?', control characters blanks. Every message is so already. */
void base_tidy(char *text);

#endif
