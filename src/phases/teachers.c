#include "phases/teachers.h"

#include <string.h>

#include "base/file.h"
#include "base/memory.h"

#define SPLIT "split.csv"
#define SPLIT_LIMIT ((size_t)1 << 30)

/* Whether two folders hold the same split; false too when it cannot be read. */
static bool same_split(const char *one, const char *other)
{
	const char *const folders[2] = {one, other};
	uint8_t *bytes[2] = {NULL, NULL};
	size_t sizes[2] = {0, 0};
	bool read = true;
	for (int i = 0; i < 2; i++) {
		char *path = base_path_join(folders[i], SPLIT, NULL);
		read = read && path && base_file_read(path, SPLIT_LIMIT, &bytes[i], &sizes[i], NULL) == BM_OK;
		base_free(path);
	}
	const bool same = read && sizes[0] == sizes[1] && memcmp(bytes[0], bytes[1], sizes[0]) == 0;
	base_free(bytes[0]);
	base_free(bytes[1]);
	return same;
}

/* A teacher that had this run's test images to learn from makes its test figures worthless; one whose split is unknown may have. */
static void warn_of_split(phase_context *c, const char *teacher)
{
	if (c->config.split == DATA_SPLIT_FINAL) /* is not tested anyway */
		return;
	if (!base_is_folder(teacher))
		base_warning(&c->observer,
			     "Teacher '%s' is a file and does not say which images it was trained on: if those of this "
			     "run's validation or test part are among them, this run's figures are too high",
			     teacher);
	else if (!same_split(c->folder, teacher))
		base_warning(&c->observer,
			     "Teacher '%s' was trained on another split: it has seen images that this run is validated "
			     "and tested on, so this run's figures are too high; use the same data, --split and "
			     "--split-seed for both",
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
