#include "model/archive.h"

#include <errno.h>
#include <string.h>
#include <zip.h>

#include "base/file.h"
#include "base/memory.h"

#define ENTRIES_MAX 4096
#define DATE_1980 ((1 << 5) | 1) /* 1 January 1980 in the DOS format */
#define PIECE ((size_t)1 << 20)

struct model_archive {
	zip_t *zip;
	char *path;
};

/* ---- writing ---- */

static bm_status fail_writing(bm_error *err, const char *path, const zip_error_t *problem)
{
	return base_fail(err, BM_ERR_IO, "cannot pack '%s': %s", path,
			 zip_error_strerror((zip_error_t *)(uintptr_t)problem));
}

static bool add_entry(zip_t *zip, const model_entry *entry)
{
	zip_source_t *source = zip_source_buffer(zip, entry->bytes, entry->size, 0);
	zip_int64_t index;

	if (!source)
		return false;
	index = zip_file_add(zip, entry->name, source, ZIP_FL_ENC_UTF_8);
	if (index < 0) {
		zip_source_free(source);
		return false;
	}
	return zip_set_file_compression(zip, (zip_uint64_t)index, ZIP_CM_STORE, 0) == 0 &&
	       zip_file_set_dostime(zip, (zip_uint64_t)index, 0, DATE_1980, 0) == 0;
}

/* Copies what libzip made in memory to the file. */
static bm_status copy_out(zip_source_t *made, const char *path, bm_error *err)
{
	base_writer writer = {0};
	bm_status status = base_writer_open(&writer, path, err);
	uint8_t *piece = NULL;
	zip_int64_t got;

	if (status != BM_OK)
		return status;
	piece = base_malloc(PIECE, 1, "a buffer", err);
	if (!piece) {
		status = BM_ERR_MEMORY;
		goto cleanup;
	}
	if (zip_source_open(made) != 0) {
		status = fail_writing(err, path, zip_source_error(made));
		goto cleanup;
	}
	while ((got = zip_source_read(made, piece, PIECE)) > 0)
		base_writer_write(&writer, piece, (size_t)got);
	if (got < 0)
		status = fail_writing(err, path, zip_source_error(made));
	zip_source_close(made);
	if (status == BM_OK)
		status = base_writer_commit(&writer, err);
cleanup:
	base_writer_abort(&writer);
	base_free(piece);
	return status;
}

bm_status model_archive_write(const char *path, const model_entry *entries, int count, bm_error *err)
{
	zip_error_t problem;
	zip_source_t *made;
	zip_t *zip = NULL;
	bm_status status = BM_OK;

	zip_error_init(&problem);
	made = zip_source_buffer_create(NULL, 0, 0, &problem);
	if (!made) {
		status = fail_writing(err, path, &problem);
		goto cleanup;
	}
	zip_source_keep(made); /* for copy_out, after zip_close */
	zip = zip_open_from_source(made, ZIP_CREATE | ZIP_TRUNCATE, &problem);
	if (!zip) {
		zip_source_free(made);
		status = fail_writing(err, path, &problem);
		goto cleanup;
	}
	for (int i = 0; i < count; i++) {
		if (!add_entry(zip, &entries[i])) {
			status = fail_writing(err, path, zip_get_error(zip));
			goto cleanup;
		}
	}
	if (zip_close(zip) != 0) {
		status = fail_writing(err, path, zip_get_error(zip));
		goto cleanup;
	}
	zip = NULL;
	status = copy_out(made, path, err);
cleanup:
	if (zip)
		zip_discard(zip);
	if (made)
		zip_source_free(made);
	zip_error_fini(&problem);
	return status;
}

/* ---- reading ---- */

bm_status model_archive_open(const char *path, model_archive **out, bm_error *err)
{
	model_archive *a;
	zip_error_t problem;
	int code = 0;

	*out = NULL;
	if (!base_is_file(path))
		return base_fail(err, BM_ERR_NOT_FOUND, "there is no model file '%s': train one first, or name another",
				 path);
	a = base_calloc(1, sizeof(*a), "a model file", err);
	if (!a)
		return BM_ERR_MEMORY;
	a->path = base_strdup(path, err);
	if (!a->path) {
		base_free(a);
		return BM_ERR_MEMORY;
	}
	a->zip = zip_open(path, ZIP_RDONLY, &code);
	if (!a->zip) {
		zip_error_init_with_code(&problem, code);
		base_fail(err, BM_ERR_FORMAT, "'%s' is not a whole .keras file (%s): it is damaged, or of another kind",
			  path, zip_error_strerror(&problem));
		zip_error_fini(&problem);
		model_archive_close(a);
		return BM_ERR_FORMAT;
	}
	if (zip_get_num_entries(a->zip, 0) > ENTRIES_MAX) {
		model_archive_close(a);
		return base_fail(err, BM_ERR_LIMIT, "'%s' has more than %d parts: it is not a model file", path,
				 ENTRIES_MAX);
	}
	*out = a;
	return BM_OK;
}

bool model_archive_has(model_archive *a, const char *name)
{
	return zip_name_locate(a->zip, name, 0) >= 0;
}

static bm_status fail_reading(const model_archive *a, const char *name, const char *why, bm_error *err)
{
	return base_fail(err, BM_ERR_FORMAT, "cannot read %s in '%s': %s; the file is damaged, take another", name,
			 a->path, why);
}

bm_status model_archive_read(model_archive *a, const char *name, size_t limit, uint8_t **bytes, size_t *size,
			     bm_error *err)
{
	zip_int64_t index = zip_name_locate(a->zip, name, 0);
	zip_file_t *file = NULL;
	size_t done = 0, length;
	zip_int64_t got = 0;
	zip_stat_t stat;
	uint8_t last;
	bm_status status = BM_OK;

	*bytes = NULL;
	*size = 0;
	if (index < 0)
		return fail_reading(a, name, "there is no such part", err);
	if (zip_stat_index(a->zip, (zip_uint64_t)index, 0, &stat) != 0 || !(stat.valid & ZIP_STAT_SIZE))
		return fail_reading(a, name, "its size is not known", err);
	if (stat.size > limit)
		return base_fail(err, BM_ERR_LIMIT,
				 "%s in '%s' has %llu bytes, more than the %zu that this program reads", name, a->path,
				 (unsigned long long)stat.size, limit);
	length = (size_t)stat.size;
	*bytes = base_malloc(length + 1, 1, name, err);
	if (!*bytes)
		return BM_ERR_MEMORY;
	file = zip_fopen_index(a->zip, (zip_uint64_t)index, 0);
	if (!file) {
		status = fail_reading(a, name, zip_error_strerror(zip_get_error(a->zip)), err);
		goto cleanup;
	}
	while (done < length && (got = zip_fread(file, *bytes + done, length - done)) > 0)
		done += (size_t)got;
	/* Reading on to the end makes libzip compare the CRC. */
	if (done == length && got >= 0)
		got = zip_fread(file, &last, 1);
	if (got != 0 || done != length) {
		status = fail_reading(
			a, name, got < 0 ? zip_error_strerror(zip_file_get_error(file)) : "its size is wrong", err);
		goto cleanup;
	}
	(*bytes)[length] = '\0';
	*size = length;
cleanup:
	if (file)
		zip_fclose(file);
	if (status != BM_OK) {
		base_free(*bytes);
		*bytes = NULL;
	}
	return status;
}

void model_archive_close(model_archive *a)
{
	if (!a)
		return;
	if (a->zip)
		zip_discard(a->zip);
	base_free(a->path);
	base_free(a);
}
