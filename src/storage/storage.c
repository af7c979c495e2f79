#include "storage/storage.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "storage/backend.h"

static const struct {
	const char *name;
	storage_opener *open;
} schemes[] = {
	{"file", storage_local_open},
};

/* Length of "hdfs" in "hdfs://...", 0 when there is no scheme. */
static size_t scheme_length(const char *url)
{
	size_t length = 0;
	if (!isalpha((unsigned char)url[0]))
		return 0;
	while (isalnum((unsigned char)url[length]) || (url[length] != '\0' && strchr("+-.", url[length])))
		length++;
	return strncmp(url + length, "://", 3) == 0 ? length : 0;
}

bm_status storage_open(const char *url, storage **out, bm_error *err)
{
	*out = NULL;
	if (!url || url[0] == '\0')
		return base_fail(err, BM_ERR_USAGE, "no folder given: name the folder that holds one folder per class");
	size_t scheme = scheme_length(url);
	const char *where = scheme > 0 ? url + scheme + 3 : url;
	storage_opener *opener = scheme > 0 ? NULL : storage_local_open;
	for (size_t i = 0; scheme > 0 && i < sizeof schemes / sizeof *schemes; i++) {
		if (strlen(schemes[i].name) == scheme && strncmp(url, schemes[i].name, scheme) == 0)
			opener = schemes[i].open;
	}
	if (!opener)
		return base_fail(err, BM_ERR_UNSUPPORTED,
				 "cannot open '%s': this build has no storage for %.*s://; copy the data to a local "
				 "folder and name that",
				 url, (int)scheme, url);
	storage *s = base_calloc(1, sizeof *s, "a storage", err);
	if (!s)
		return BM_ERR_MEMORY;
	bm_status status = BM_ERR_MEMORY;
	s->url = base_strdup(url, err);
	if (!s->url)
		goto fail;
	size_t length = strlen(s->url);
	while (length > 1 && s->url[length - 1] == '/' && s->url[length - 2] != ':')
		s->url[--length] = '\0';
	status = opener(s, where, err);
	if (status != BM_OK)
		goto fail;
	*out = s;
	return BM_OK;
fail:
	storage_close(s);
	return status;
}

void storage_close(storage *s)
{
	if (!s)
		return;
	if (s->backend)
		s->backend->close(s->state);
	base_free(s->url);
	base_free(s);
}

const char *storage_url(const storage *s)
{
	return s->url;
}

/* Copies a path without its empty and "." parts; "..", an absolute path and what a path cannot hold are refused. */
static bm_status clean_path(const storage *s, const char *path, char **clean, bm_error *err)
{
	*clean = NULL;
	if (path[0] == '/')
		return base_fail(err, BM_ERR_USAGE, "'%s' is not below '%s': give a path without a slash in front",
				 path, s->url);
	char *copy = base_malloc(strlen(path) + 1, 1, "a path", err);
	if (!copy)
		return BM_ERR_MEMORY;
	size_t used = 0;
	for (const char *part = path; *part;) {
		size_t length = strcspn(part, "/");
		if (length == 2 && strncmp(part, "..", 2) == 0) {
			base_free(copy);
			return base_fail(err, BM_ERR_USAGE, "'%s' may leave '%s': give a path without '..'", path,
					 s->url);
		}
		if (length > 0 && !(length == 1 && part[0] == '.')) {
			if (used > 0)
				copy[used++] = '/';
			memcpy(copy + used, part, length);
			used += length;
		}
		part += length;
		part += strspn(part, "/");
	}
	copy[used] = '\0';
	*clean = copy;
	return BM_OK;
}

bm_status storage_list_add(storage_list *list, size_t *capacity, const char *name, bool folder, uint64_t size,
			   bm_error *err)
{
	if (base_grow(&list->items, capacity, list->count, sizeof *list->items, "a folder's list", err) != BM_OK)
		return BM_ERR_MEMORY;
	char *copy = base_strdup(name, err);
	if (!copy)
		return BM_ERR_MEMORY;
	list->items[list->count++] = (storage_entry){.name = copy, .folder = folder, .size = folder ? 0 : size};
	return BM_OK;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const storage_entry *)a)->name, ((const storage_entry *)b)->name);
}

bm_status storage_list_folder(storage *s, const char *path, storage_list *list, bm_error *err)
{
	*list = (storage_list){0};
	char *clean;
	bm_status status = clean_path(s, path, &clean, err);
	if (status != BM_OK)
		return status;
	status = s->backend->list(s->state, s->url, clean, list, err);
	base_free(clean);
	if (status != BM_OK)
		storage_list_free(list);
	else if (list->count > 1)
		qsort(list->items, list->count, sizeof *list->items, by_name);
	return status;
}

void storage_list_free(storage_list *list)
{
	if (!list)
		return;
	for (size_t i = 0; i < list->count; i++)
		base_free(list->items[i].name);
	base_free(list->items);
	*list = (storage_list){0};
}

bm_status storage_read(storage *s, const char *path, size_t limit, uint8_t **bytes, size_t *size, bm_error *err)
{
	*bytes = NULL;
	*size = 0;
	char *clean;
	bm_status status = clean_path(s, path, &clean, err);
	if (status != BM_OK)
		return status;
	status = s->backend->read(s->state, s->url, clean, limit, bytes, size, err);
	base_free(clean);
	return status;
}
