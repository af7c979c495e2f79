#include "phases/teachers.h"

#include <string.h>

#include "base/memory.h"
#include "phases/seen.h"

/* A teacher that had this run's test images to learn from makes its test figures worthless; one whose split is unknown may have. */
static void warn_of_split(phase_context *c, const char *teacher)
{
	bool known;
	if (c->config.split == DATA_SPLIT_FINAL) /* is not tested anyway */
		return;
	phase_warn_of_seen(c, "teacher", teacher, &known);
	if (!known)
		base_warning(&c->observer,
			     "the teacher '%s' does not say which images it was trained on: if those of this run's "
			     "validation or test part are among them, this run's figures are too high",
			     teacher);
}

bm_status phase_teachers_load(phase_context *c, phase_teachers *out, bm_error *err)
{
	bm_status status = BM_OK;
	*out = (phase_teachers){0};
	for (const char *at = c->config.teachers; status == BM_OK && at;) {
		const size_t length = strcspn(at, ",");
		base_text path = {0};
		if (out->count == TRAIN_TEACHERS_MAX)
			return base_fail(err, BM_ERR_USAGE, "more teachers than %d", TRAIN_TEACHERS_MAX);
		base_text_append(&path, at, length);
		status = path.failed ? base_fail(err, BM_ERR_MEMORY, "no memory for a teacher's name")
				     : phase_finished_load(base_text_string(&path), &out->finished[out->count], err);
		if (status == BM_OK) {
			out->models[out->count] = &out->finished[out->count].network;
			out->count++;
			warn_of_split(c, path.data);
		}
		base_text_free(&path);
		at = at[length] ? at + length + 1 : NULL;
	}
	return status;
}

void phase_teachers_free(phase_teachers *teachers)
{
	for (int i = 0; i < teachers->count; i++)
		phase_finished_free(&teachers->finished[i]);
	teachers->count = 0;
}
