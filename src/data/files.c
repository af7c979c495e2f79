/* The files below a folder. */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "data/transfer.h"

enum { DEPTH_MAX = 32 };

static int by_path(const void *a, const void *b)
{
	return strcmp(((const data_file *)a)->path, ((const data_file *)b)->path);
}

static bm_status list_below(storage *s, const char *folder, int depth, const base_observer *observer, size_t *capacity,
			    data_files *out, bm_error *err)
{
	storage_list list = {0};
	bm_status status = base_check_cancel(observer, err);
	if (status == BM_OK && depth > DEPTH_MAX)
		status = base_fail(err, BM_ERR_LIMIT,
				   "'%s/%s' is more than %d folders deep; name the folder of the data set",
				   storage_url(s), folder, DEPTH_MAX);
	if (status == BM_OK)
		status = storage_list_folder(s, folder, &list, err);
	for (size_t i = 0; status == BM_OK && i < list.count; i++) {
		base_text path = {0};
		base_text_add(&path, "%s%s%s", folder, folder[0] ? "/" : "", list.items[i].name);
		if (path.failed) {
			status = base_fail(err, BM_ERR_MEMORY, "no memory for a path");
		} else if (list.items[i].info.folder) {
			status = list_below(s, path.data, depth + 1, observer, capacity, out, err);
		} else {
			status = base_grow(&out->items, capacity, out->count, sizeof *out->items, "the list of files",
					   err);
			char *copy = status == BM_OK ? base_strdup(path.data, err) : NULL;
			if (copy) {
				out->items[out->count++] = (data_file){.path = copy, .size = list.items[i].info.size};
				out->bytes += list.items[i].info.size;
			} else {
				status = BM_ERR_MEMORY;
			}
		}
		base_text_free(&path);
	}
	storage_list_free(&list);
	return status;
}

bm_status data_files_list(storage *s, const base_observer *observer, data_files *out, bm_error *err)
{
	size_t capacity = 0;
	*out = (data_files){0};
	bm_status status = list_below(s, "", 0, observer, &capacity, out, err);
	if (status != BM_OK)
		data_files_free(out);
	else if (out->count > 1)
		qsort(out->items, out->count, sizeof *out->items, by_path);
	return status;
}

void data_files_free(data_files *files)
{
	for (size_t i = 0; i < files->count; i++)
		base_free(files->items[i].path);
	base_free(files->items);
	*files = (data_files){0};
}

size_t data_file_class(const char *path)
{
	const char *slash = strchr(path, '/');
	return slash ? (size_t)(slash - path) : 0;
}
