#include "phases/seen.h"

#include <string.h>

#include "base/file.h"
#include "base/memory.h"

/* How many of the images of `part` the other run trained on. Both lists are ascending. */
static size_t shared_with(const data_split *split, data_part part, const data_split *other)
{
	const size_t *mine = split->indices[part], *theirs = other->indices[DATA_TRAIN];
	size_t shared = 0, k = 0;
	for (size_t i = 0; i < split->count[part]; i++) {
		while (k < other->count[DATA_TRAIN] && theirs[k] < mine[i])
			k++;
		shared += k < other->count[DATA_TRAIN] && theirs[k] == mine[i];
	}
	return shared;
}

void phase_warn_of_seen(const phase_context *c, const char *what, const char *path, bool *known)
{
	data_split other = {0};
	base_text folder = {0};
	if (base_is_folder(path))
		base_text_add(&folder, "%s", path);
	else if (strchr(path, '/'))
		base_text_append(&folder, path, (size_t)(base_path_name(path) - path));
	else
		base_text_add(&folder, ".");
	char *csv = folder.failed ? NULL : base_path_join(base_text_string(&folder), "split.csv", NULL);
	*known = csv && base_is_file(csv) && data_split_read(csv, c->pack.count, &other, NULL) == BM_OK;
	if (*known) {
		const size_t test = shared_with(&c->split, DATA_TEST, &other);
		const size_t validation = shared_with(&c->split, DATA_VALIDATION, &other);
		if (test + validation > 0)
			base_warning(&c->observer,
				     "the %s '%s' saw images in training that this run is judged by: %zu of its %zu "
				     "validation images and %zu of its %zu test images, so its figures are too high; "
				     "use one --split and --split-seed for both runs",
				     what, path, validation, c->split.count[DATA_VALIDATION], test,
				     c->split.count[DATA_TEST]);
		data_split_free(&other);
	}
	base_free(csv);
	base_text_free(&folder);
}
