/* Several runs side by side: what came out, what was set otherwise, and whether the difference is more than chance. */
#ifndef PHASES_COMPARE_H
#define PHASES_COMPARE_H

#include <jansson.h>

#include "base/error.h"
#include "base/text.h"

/* folders[count]: evaluated runs, two or more. Writes the page to `path`, appends the same as lines to `text`, and puts it into *json (the
 * caller's, json_decref). BM_ERR_NOT_FOUND, with the command that makes it, when a run lacks something; BM_ERR_DATA for other classes. */
bm_status phase_compare(const char *const *folders, size_t count, const char *path, base_text *text, json_t **json,
			bm_error *err);

/* Two-sided exact McNemar test: the probability of so uneven a share, or one more uneven, of a + b images that only one of two
 * models gets right, were both equally good. 1 for a = b = 0. (McNemar 1947, exact as in Edwards 1948.) */
double phase_mcnemar(size_t a, size_t b);

#endif
