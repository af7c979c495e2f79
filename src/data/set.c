#include "data/set.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/threads.h"
#include "storage/prefetch.h"

enum { PROGRESS_EVERY_MS = 100 };

static int compare_items(const void *a, const void *b)
{
	const data_item *left = a, *right = b;
	return strcmp(left->path, right->path);
}

static int compare_rejected(const void *a, const void *b)
{
	const data_rejected *left = a, *right = b;
	return strcmp(left->path, right->path);
}

/* Well-formed UTF-8 without control characters: what JSON, a terminal and HTML can show. */
static bool showable(const char *text)
{
	const unsigned char *p = (const unsigned char *)text;
	while (*p) {
		int more;
		unsigned code;
		if (*p < 0x80) {
			code = *p, more = 0;
		} else if (*p >= 0xC2 && *p <= 0xDF) {
			code = *p & 0x1Fu, more = 1;
		} else if (*p >= 0xE0 && *p <= 0xEF) {
			code = *p & 0x0Fu, more = 2;
		} else if (*p >= 0xF0 && *p <= 0xF4) {
			code = *p & 0x07u, more = 3;
		} else {
			return false;
		}
		p++;
		for (int i = 0; i < more; i++, p++) {
			if ((*p & 0xC0) != 0x80)
				return false;
			code = code << 6 | (*p & 0x3Fu);
		}
		if (code < 0x20 || (code >= 0x7F && code < 0xA0) || (more == 2 && code < 0x800) ||
		    (more == 3 && code < 0x10000) || (code >= 0xD800 && code <= 0xDFFF) || code > 0x10FFFF)
			return false;
	}
	return true;
}

/* ---- listing ---- */

static bm_status list_classes(storage *s, const base_observer *observer, data_set *set, bm_error *err)
{
	storage_list list = {0};
	size_t loose = 0, folders = 0;
	bm_status status = storage_list_folder(s, "", &list, err);
	if (status != BM_OK)
		return status;
	for (size_t i = 0; i < list.count; i++) {
		if (list.items[i].info.folder)
			folders++;
		else
			loose++;
	}
	if (folders == 0) {
		status = base_fail(err, BM_ERR_DATA,
				   "'%s' has no class folder; put the images of each class into a folder of its own, "
				   "such as '%s/glioma'",
				   set->root, set->root);
		goto end;
	}
	if (folders > DATA_CLASSES_MAX) {
		status = base_fail(
			err, BM_ERR_DATA,
			"'%s' has %zu folders, more than %d classes; name the folder that holds one folder per class",
			set->root, folders, DATA_CLASSES_MAX);
		goto end;
	}
	for (size_t i = 0; i < list.count; i++) {
		if (!list.items[i].info.folder)
			continue;
		if (!showable(list.items[i].name)) {
			status = base_fail(err, BM_ERR_DATA,
					   "the name of a class folder in '%s' is not plain UTF-8 text; rename folder "
					   "%d of %zu in the listing",
					   set->root, set->class_count + 1, folders);
			goto end;
		}
		set->class_names[set->class_count] = base_strdup(list.items[i].name, err);
		if (!set->class_names[set->class_count]) {
			status = BM_ERR_MEMORY;
			goto end;
		}
		set->class_count++;
	}
	if (set->class_count == 1) {
		status = base_fail(err, BM_ERR_DATA,
				   "'%s' has only one class folder, '%s'; add one folder for every other class, or, if "
				   "the class folders are inside it, "
				   "name '%s/%s'",
				   set->root, set->class_names[0], set->root, set->class_names[0]);
		goto end;
	}
	if (loose > 0)
		base_note(observer,
			  "%zu file%s directly in '%s' left out: only files in class folders are images of a class",
			  loose, loose == 1 ? "" : "s", set->root);
end:
	storage_list_free(&list);
	return status;
}

static bm_status list_class(storage *s, int label, size_t *capacity, size_t *nested, data_set *set, bm_error *err)
{
	storage_list list = {0};
	const char *name = set->class_names[label];
	size_t files = 0;
	bm_status status = storage_list_folder(s, name, &list, err);
	if (status != BM_OK)
		return status;
	for (size_t i = 0; i < list.count; i++) {
		if (list.items[i].info.folder) {
			(*nested)++;
			continue;
		}
		status = base_grow(&set->items, capacity, set->count, sizeof *set->items, "the list of files", err);
		if (status != BM_OK)
			goto end;
		char *path = base_path_join(name, list.items[i].name, err);
		if (!path) {
			status = BM_ERR_MEMORY;
			goto end;
		}
		set->items[set->count++] = (data_item){.path = path, .label = label, .size = list.items[i].info.size};
		files++;
	}
	if (files == 0)
		status = base_fail(err, BM_ERR_DATA,
				   "the class folder '%s/%s' is empty; put images into it, or remove it", set->root,
				   name);
end:
	storage_list_free(&list);
	return status;
}

/* ---- looking at every file ---- */

struct scan {
	storage *storage;
	storage_prefetch *ahead;
	data_set *set;
	const base_observer *observer;
	bool strict;
	char **reasons; /* [set->count]; NULL: a readable image */
	atomic_llong done;
	double start, reported;
};

static void report(struct scan *scan, int worker, bool last)
{
	double now = base_now();
	/* The calling thread only: an observer need not be thread-safe. */
	if (worker != 0 || (!last && (now - scan->reported) * 1000 < PROGRESS_EVERY_MS))
		return;
	scan->reported = now;
	base_report_progress(scan->observer, &(base_progress){.what = "Reading images",
							      .unit = "images",
							      .done = atomic_load(&scan->done),
							      .total = (long long)scan->set->count,
							      .seconds = now - scan->start});
}

static bm_status scan_one(void *arg, int worker, size_t index, bm_error *err)
{
	struct scan *scan = arg;
	data_item *item = &scan->set->items[index];
	uint8_t *bytes = NULL;
	size_t size = 0;
	bm_status status = base_check_cancel(scan->observer, err);
	if (status != BM_OK)
		return status;
	status = storage_prefetch_take(scan->ahead, index, &bytes, &size, err);
	if (status != BM_OK && storage_is_outage(scan->storage, status))
		return status;
	if (status == BM_OK) {
		item->size = size;
		item->hash = base_hash_bytes(bytes, size);
		if (size == 0)
			status = base_fail(err, BM_ERR_FORMAT, "the file is empty");
		else
			status = image_inspect(bytes, size, &item->info, err);
		base_free(bytes);
	}
	if (status != BM_OK && status != BM_ERR_MEMORY && status != BM_ERR_INTERNAL) {
		if (scan->strict)
			return base_fail(
				err, BM_ERR_DATA,
				"cannot use '%s': %s; remove or replace it, or run without --strict to leave it out",
				item->path, err->message);
		scan->reasons[index] = base_strdup(err->message, err);
		status = scan->reasons[index] ? BM_OK : BM_ERR_MEMORY;
	}
	if (status == BM_OK) {
		atomic_fetch_add(&scan->done, 1);
		report(scan, worker, false);
	}
	return status;
}

/* The hash covers what was left out too: repairing a damaged file makes a new data set. */
static void hash_set(data_set *set)
{
	base_hash hash = base_hash_bytes("", 0);
	for (size_t i = 0; i < set->count; i++) {
		const char *path = set->items[i].path;
		hash = base_hash_join(hash, base_hash_bytes(path, strlen(path)));
		hash = base_hash_join(hash, set->items[i].hash);
	}
	set->hash = hash;
}

static bm_status take_out_rejected(struct scan *scan, bm_error *err)
{
	data_set *set = scan->set;
	size_t bad = 0, kept = 0;
	for (size_t i = 0; i < set->count; i++)
		bad += scan->reasons[i] != NULL;
	if (bad == 0)
		return BM_OK;
	set->rejected = base_calloc(bad, sizeof *set->rejected, "the list of unreadable files", err);
	if (!set->rejected)
		return BM_ERR_MEMORY;
	for (size_t i = 0; i < set->count; i++) {
		if (!scan->reasons[i]) {
			set->items[kept++] = set->items[i];
			continue;
		}
		set->rejected[set->rejected_count++] =
			(data_rejected){.path = set->items[i].path, .reason = scan->reasons[i]};
		scan->reasons[i] = NULL;
		base_warning(scan->observer, "left out '%s': %s", set->items[i].path,
			     set->rejected[set->rejected_count - 1].reason);
	}
	set->count = kept;
	return BM_OK;
}

bm_status data_set_check(const data_set *set, bm_error *err)
{
	size_t counts[DATA_CLASSES_MAX];
	if (set->count == 0)
		return base_fail(err, BM_ERR_DATA,
				 "'%s' holds no readable image (%zu file%s left out%s%s); JPEG and PNG files are read",
				 set->root, set->rejected_count, set->rejected_count == 1 ? " was" : "s were",
				 set->rejected_count > 0 ? ", the first because: " : "",
				 set->rejected_count > 0 ? set->rejected[0].reason : "");
	data_set_counts(set, counts);
	for (int i = 0; i < set->class_count; i++) {
		if (counts[i] == 0)
			return base_fail(err, BM_ERR_DATA,
					 "the class folder '%s/%s' holds no readable image; put JPEG or PNG images "
					 "into it, or remove it",
					 set->root, set->class_names[i]);
	}
	return BM_OK;
}

bm_status data_scan(storage *s, int threads, bool strict, const base_observer *observer, data_set *out, bm_error *err)
{
	data_set set = {0};
	size_t capacity = 0, nested = 0;
	const char **paths = NULL;
	struct scan scan = {.storage = s, .set = &set, .observer = observer, .strict = strict, .start = base_now()};
	*out = (data_set){0};
	bm_status status = BM_ERR_MEMORY;
	set.root = base_strdup(storage_url(s), err);
	if (!set.root)
		goto end;
	status = list_classes(s, observer, &set, err);
	for (int i = 0; status == BM_OK && i < set.class_count; i++)
		status = list_class(s, i, &capacity, &nested, &set, err);
	if (status != BM_OK)
		goto end;
	if (nested > 0)
		base_warning(
			observer,
			"%zu folder%s inside class folders left out: only files directly in a class folder are read",
			nested, nested == 1 ? "" : "s");
	qsort(set.items, set.count, sizeof *set.items, compare_items);
	scan.reasons = base_calloc(set.count, sizeof *scan.reasons, "the list of files", err);
	paths = scan.reasons ? base_calloc(set.count, sizeof *paths, "the list of files", err) : NULL;
	if (!paths) {
		status = BM_ERR_MEMORY;
		goto end;
	}
	for (size_t i = 0; i < set.count; i++)
		paths[i] = set.items[i].path;
	status = storage_prefetch_open(s, paths, set.count, IMAGE_FILE_LIMIT, &scan.ahead, err);
	if (status == BM_OK)
		status = base_parallel(threads, set.count, scan_one, &scan, err);
	if (status != BM_OK)
		goto end;
	report(&scan, 0, true);
	hash_set(&set);
	status = take_out_rejected(&scan, err);
	if (status == BM_OK)
		status = data_set_check(&set, err);
end:
	storage_prefetch_close(scan.ahead);
	base_free(paths);
	if (scan.reasons) {
		for (size_t i = 0; i < set.count; i++)
			base_free(scan.reasons[i]);
		base_free(scan.reasons);
	}
	if (status == BM_OK)
		*out = set;
	else
		data_set_free(&set);
	return status;
}

void data_set_free(data_set *set)
{
	for (size_t i = 0; i < set->count; i++)
		base_free(set->items[i].path);
	for (size_t i = 0; i < set->rejected_count; i++) {
		base_free(set->rejected[i].path);
		base_free(set->rejected[i].reason);
	}
	for (int i = 0; i < set->class_count; i++)
		base_free(set->class_names[i]);
	base_free(set->items);
	base_free(set->rejected);
	base_free(set->root);
	*set = (data_set){0};
}

void data_set_counts(const data_set *set, size_t counts[DATA_CLASSES_MAX])
{
	memset(counts, 0, DATA_CLASSES_MAX * sizeof *counts);
	for (size_t i = 0; i < set->count; i++)
		counts[set->items[i].label]++;
}

bm_status data_set_reject(data_set *set, size_t index, const char *reason, bm_error *err)
{
	if (index >= set->count)
		return base_fail(err, BM_ERR_INTERNAL, "image %zu of %zu is to be left out; please report this", index,
				 set->count);
	char *copy = base_strdup(reason, err);
	if (!copy)
		return BM_ERR_MEMORY;
	data_rejected *grown = base_malloc(set->rejected_count + 1, sizeof *grown, "the list of unreadable files", err);
	if (!grown) {
		base_free(copy);
		return BM_ERR_MEMORY;
	}
	if (set->rejected_count > 0)
		memcpy(grown, set->rejected, set->rejected_count * sizeof *grown);
	grown[set->rejected_count++] = (data_rejected){.path = set->items[index].path, .reason = copy};
	qsort(grown, set->rejected_count, sizeof *grown, compare_rejected);
	base_free(set->rejected);
	set->rejected = grown;
	memmove(&set->items[index], &set->items[index + 1], (set->count - index - 1) * sizeof *set->items);
	set->count--;
	return BM_OK;
}

void data_class_weights(const size_t *counts, int class_count, float *weights)
{
	size_t total = 0;
	for (int i = 0; i < class_count; i++)
		total += counts[i];
	for (int i = 0; i < class_count; i++)
		weights[i] = counts[i] > 0 ? (float)((double)total / ((double)class_count * (double)counts[i])) : 0.0f;
}
