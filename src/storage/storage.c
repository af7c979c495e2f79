#include "storage/storage.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "storage/backend.h"
#include "storage/pack.h"

enum { DEPTH_MAX = 64 };

static const struct {
	const char *name;
	storage_opener *open;
} schemes[] = {
	{"file", storage_local_open},
	{"hdfs", storage_hdfs_open},
	{"webhdfs", storage_hdfs_open},
	{"swebhdfs", storage_hdfs_open},
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

bool storage_is_url(const char *text)
{
	return scheme_length(text) > 0;
}

bm_status storage_open(const char *url, storage **out, bm_error *err)
{
	return storage_open_with(url, &(storage_options){0}, out, err);
}

bm_status storage_open_with(const char *url, const storage_options *options, storage **out, bm_error *err)
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
				 "cannot open '%s': there is no storage for %.*s://; name a local folder, or "
				 "hdfs://, webhdfs:// or swebhdfs://",
				 url, (int)scheme, url);
	storage *s = base_calloc(1, sizeof *s, "a storage", err);
	if (!s)
		return BM_ERR_MEMORY;
	bm_status status = BM_ERR_MEMORY;
	s->url = base_strdup(url, err);
	if (!s->url)
		goto fail;
	if (options->webhdfs) {
		s->webhdfs = base_strdup(options->webhdfs, err);
		if (!s->webhdfs)
			goto fail;
	}
	/* Slashes at the end go, but not the root's: hdfs://host is the home folder, hdfs://host/ is not. */
	size_t length = strlen(s->url), least = scheme > 0 ? (size_t)(where - url) + strcspn(where, "/") + 1 : 1;
	while (length > least && s->url[length - 1] == '/')
		s->url[--length] = '\0';
	bool is_file = false;
	status = BM_OK;
	if (storage_pack_name(s->url) && !options->as_file)
		status = storage_pack_open(s, options, &is_file, err);
	if (status == BM_ERR_NOT_FOUND && (options->make || options->missing_ok))
		status = BM_OK;
	if (status == BM_OK && !is_file)
		status = opener(s, s->url + (where - url), options, err);
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
	base_free(s->webhdfs);
	base_free(s->url);
	base_free(s);
}

const char *storage_url(const storage *s)
{
	return s->url;
}

/* Copies a path without its empty and "." parts; "..", an absolute path and what a path cannot hold are refused. */
bm_status storage_clean_path(const storage *s, const char *path, char **clean, bm_error *err)
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

bm_status storage_list_add(storage_list *list, size_t *capacity, const char *name, const storage_info *info,
			   bm_error *err)
{
	if (base_grow(&list->items, capacity, list->count, sizeof *list->items, "a folder's list", err) != BM_OK)
		return BM_ERR_MEMORY;
	char *copy = base_strdup(name, err);
	if (!copy)
		return BM_ERR_MEMORY;
	list->items[list->count++] = (storage_entry){.name = copy, .info = *info};
	return BM_OK;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const storage_entry *)a)->name, ((const storage_entry *)b)->name);
}

static bm_status list(storage *s, const char *path, bool hidden, storage_list *out, bm_error *err)
{
	*out = (storage_list){0};
	char *clean;
	bm_status status = storage_clean_path(s, path, &clean, err);
	if (status != BM_OK)
		return status;
	status = s->backend->list(s->state, s->url, clean, hidden, out, err);
	base_free(clean);
	if (status != BM_OK)
		storage_list_free(out);
	else if (out->count > 1)
		qsort(out->items, out->count, sizeof *out->items, by_name);
	return status;
}

bm_status storage_list_folder(storage *s, const char *path, storage_list *out, bm_error *err)
{
	return list(s, path, false, out, err);
}

bm_status storage_list_all(storage *s, const char *path, storage_list *out, bm_error *err)
{
	return list(s, path, true, out, err);
}

void storage_list_free(storage_list *out)
{
	if (!out)
		return;
	for (size_t i = 0; i < out->count; i++)
		base_free(out->items[i].name);
	base_free(out->items);
	*out = (storage_list){0};
}

bm_status storage_look(storage *s, const char *path, storage_info *info, bm_error *err)
{
	char *clean;
	*info = (storage_info){0};
	bm_status status = storage_clean_path(s, path, &clean, err);
	if (status == BM_OK)
		status = s->backend->look(s->state, s->url, clean, info, err);
	base_free(clean);
	return status;
}

/* Adds up what is below a folder, where the place itself cannot. */
static bm_status summarize_folder(storage *s, const char *path, storage_summary *out, int depth, bm_error *err)
{
	storage_list entries = {0};
	if (depth > DEPTH_MAX)
		return base_fail(err, BM_ERR_LIMIT, "'%s/%s' is more than %d folders deep", s->url, path, DEPTH_MAX);
	bm_status status = s->backend->list(s->state, s->url, path, true, &entries, err);
	out->folders++;
	for (size_t i = 0; i < entries.count && status == BM_OK; i++) {
		const storage_entry *entry = &entries.items[i];
		if (!entry->info.folder) {
			out->files++;
			out->bytes += entry->info.size;
			out->space += entry->info.size;
			continue;
		}
		base_text below = {0};
		base_text_add(&below, "%s%s%s", path, path[0] ? "/" : "", entry->name);
		status = below.failed ? base_fail(err, BM_ERR_MEMORY, "no memory for a path")
				      : summarize_folder(s, base_text_string(&below), out, depth + 1, err);
		base_text_free(&below);
	}
	storage_list_free(&entries);
	return status;
}

bm_status storage_summarize(storage *s, const char *path, storage_summary *summary, bm_error *err)
{
	char *clean;
	*summary = (storage_summary){.quota = -1, .space_quota = -1};
	bm_status status = storage_clean_path(s, path, &clean, err);
	if (status == BM_OK && s->backend->summarize)
		status = s->backend->summarize(s->state, s->url, clean, summary, err);
	else if (status == BM_OK)
		status = summarize_folder(s, clean, summary, 0, err);
	base_free(clean);
	return status;
}

bm_status storage_read(storage *s, const char *path, size_t limit, uint8_t **bytes, size_t *size, bm_error *err)
{
	*bytes = NULL;
	*size = 0;
	char *clean;
	bm_status status = storage_clean_path(s, path, &clean, err);
	if (status != BM_OK)
		return status;
	status = s->backend->read(s->state, s->url, clean, limit, bytes, size, err);
	base_free(clean);
	return status;
}

bm_status storage_read_range(storage *s, const char *path, uint64_t offset, size_t length, uint8_t *bytes, size_t *got,
			     bm_error *err)
{
	*got = 0;
	char *clean;
	bm_status status = storage_clean_path(s, path, &clean, err);
	if (status == BM_OK && offset > INT64_MAX)
		status = base_fail(err, BM_ERR_USAGE, "'%s/%s' cannot be read from byte %llu on", s->url, path,
				   (unsigned long long)offset);
	if (status == BM_OK && length > 0)
		status = s->backend->read_range(s->state, s->url, clean, offset, length, bytes, got, err);
	base_free(clean);
	return status;
}

const char *storage_webhdfs(const storage *s)
{
	return s->webhdfs;
}

bool storage_remote(const storage *s)
{
	return s->remote;
}

bool storage_is_outage(const storage *s, bm_status status)
{
	return status == BM_ERR_CANCELLED || (s->remote && (status == BM_ERR_IO || status == BM_ERR_NOT_FOUND ||
							    status == BM_ERR_USAGE || status == BM_ERR_UNSUPPORTED));
}

int storage_transfers(const storage *s)
{
	return s->backend->transfers;
}
