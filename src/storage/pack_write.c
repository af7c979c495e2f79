/* Writing a pack: a source that makes the zip file piece by piece, from files that are read ahead. */
#include <stdio.h>
#include <string.h>
#include <zlib.h>

#include "base/memory.h"
#include "base/text.h"
#include "base/threads.h"
#include "storage/pack.h"
#include "storage/prefetch.h"

typedef struct maker {
	storage *from;
	const storage_pack_file *files;
	const char **paths;
	size_t count;
	const base_observer *observer;
	storage_prefetch *ahead;
	storage_summer *summer; /* over what was made, with HDFS's defaults */
	uint32_t *crcs;
	uint64_t *offsets;
	size_t next; /* file that comes; count: the directory; count + 1: the end */
	uint64_t made;
	uint8_t *bytes;	 /* of the running file */
	base_text piece; /* what is handed on before `bytes` */
	size_t piece_done, bytes_size, bytes_done;
	double start;
} maker;

static void put(base_text *text, uint64_t value, int bytes)
{
	char little[8];
	for (int i = 0; i < bytes; i++)
		little[i] = (char)(value >> (8 * i));
	base_text_append(text, little, (size_t)bytes);
}

/* What both headers share, from "version needed" to the length of the name. 1 January 1980: equal files give equal packs. */
static void put_common(base_text *text, uint32_t crc, uint64_t size, const char *path, int version)
{
	put(text, (uint64_t)version, 2);
	put(text, 0x0800, 2); /* names are UTF-8 */
	put(text, 0, 2);      /* stored */
	put(text, 0, 2);
	put(text, 0x0021, 2);
	put(text, crc, 4);
	put(text, size, 4);
	put(text, size, 4);
	put(text, strlen(path), 2);
}

static void put_directory(maker *m)
{
	base_text *text = &m->piece;
	uint64_t start = m->made;
	for (size_t i = 0; i < m->count; i++) {
		bool far = m->offsets[i] >= ZIP_32;
		put(text, ZIP_CENTRAL, 4);
		put(text, 3 << 8 | 45, 2); /* made on Unix */
		put_common(text, m->crcs[i], m->files[i].size, m->files[i].path, far ? 45 : 10);
		put(text, far ? 12 : 0, 2);
		put(text, 0, 2);
		put(text, 0, 2);
		put(text, 0, 2);
		put(text, (uint64_t)0100644 << 16, 4);
		put(text, far ? ZIP_32 : m->offsets[i], 4);
		base_text_append(text, m->files[i].path, strlen(m->files[i].path));
		if (far) {
			put(text, 1, 2);
			put(text, 8, 2);
			put(text, m->offsets[i], 8);
		}
	}
	uint64_t size = text->length, end = start + size;
	bool large = m->count >= ZIP_16 || start >= ZIP_32 || size >= ZIP_32;
	if (large) {
		put(text, ZIP64_END, 4);
		put(text, ZIP64_END_SIZE - 12, 8);
		put(text, 3 << 8 | 45, 2);
		put(text, 45, 2);
		put(text, 0, 4);
		put(text, 0, 4);
		put(text, m->count, 8);
		put(text, m->count, 8);
		put(text, size, 8);
		put(text, start, 8);
		put(text, ZIP64_LOCATOR, 4);
		put(text, 0, 4);
		put(text, end, 8);
		put(text, 1, 4);
	}
	put(text, ZIP_END, 4);
	put(text, 0, 4);
	put(text, large ? ZIP_16 : m->count, 2);
	put(text, large ? ZIP_16 : m->count, 2);
	put(text, large ? ZIP_32 : size, 4);
	put(text, large ? ZIP_32 : start, 4);
	put(text, 0, 2);
}

/* The size that the whole will have, so that the server is told beforehand. */
static uint64_t whole_size(const maker *m)
{
	uint64_t offset = 0, directory = 0;
	for (size_t i = 0; i < m->count; i++) {
		size_t name = strlen(m->files[i].path);
		directory += ZIP_CENTRAL_SIZE + name + (offset >= ZIP_32 ? 12 : 0);
		offset += ZIP_LOCAL_SIZE + name + m->files[i].size;
	}
	bool large = m->count >= ZIP_16 || offset >= ZIP_32 || directory >= ZIP_32;
	return offset + directory + (large ? ZIP64_END_SIZE + ZIP64_LOCATOR_SIZE : 0) + ZIP_END_SIZE;
}

static void report(const maker *m, size_t done)
{
	base_report_progress(m->observer, &(base_progress){.what = "Packing",
							   .unit = "files",
							   .done = (long long)done,
							   .total = (long long)m->count,
							   .seconds = base_now() - m->start});
}

static bm_status next_file(maker *m, bm_error *err)
{
	const storage_pack_file *file = &m->files[m->next];
	bm_status status = base_check_cancel(m->observer, err);
	if (status == BM_OK)
		status = storage_prefetch_take(m->ahead, m->next, &m->bytes, &m->bytes_size, err);
	if (status != BM_OK)
		return status;
	if (m->bytes_size != file->size)
		return base_fail(err, BM_ERR_IO, "'%s' changed while it was being packed; try again", file->path);
	m->crcs[m->next] = (uint32_t)crc32_z(0, m->bytes, m->bytes_size);
	m->offsets[m->next] = m->made;
	put(&m->piece, ZIP_LOCAL, 4);
	put_common(&m->piece, m->crcs[m->next], file->size, file->path, 10);
	put(&m->piece, 0, 2);
	base_text_append(&m->piece, file->path, strlen(file->path));
	report(m, m->next);
	return BM_OK;
}

static bm_status maker_next(void *arg, uint8_t *out, size_t room, size_t *got, bm_error *err)
{
	maker *m = arg;
	bm_status status = BM_OK;
	*got = 0;
	while (*got < room && status == BM_OK) {
		size_t left = m->piece.length - m->piece_done, left_bytes = m->bytes_size - m->bytes_done;
		size_t some = left > 0 ? left : left_bytes;
		if (some > room - *got)
			some = room - *got;
		if (left > 0) {
			memcpy(out + *got, m->piece.data + m->piece_done, some);
			m->piece_done += some;
		} else if (left_bytes > 0) {
			memcpy(out + *got, m->bytes + m->bytes_done, some);
			m->bytes_done += some;
		} else if (m->next > m->count) {
			break;
		} else {
			base_free(m->bytes);
			m->bytes = NULL;
			m->bytes_size = m->bytes_done = m->piece_done = 0;
			base_text_clear(&m->piece);
			if (m->next < m->count)
				status = next_file(m, err);
			else
				put_directory(m);
			if (status == BM_OK && m->piece.failed)
				status = base_fail(err, BM_ERR_MEMORY, "no memory for a pack's directory");
			m->next++;
			m->made += m->piece.length + m->bytes_size;
			continue;
		}
		*got += some;
	}
	if (status == BM_OK && m->summer)
		status = storage_summer_add(m->summer, out, *got, err);
	return status;
}

/* From the first file on; also the beginning. like: see storage_summer_open. */
static bm_status start_over(maker *m, const storage_checksum *like, bm_error *err)
{
	storage_prefetch_close(m->ahead);
	storage_summer_free(m->summer);
	base_free(m->bytes);
	m->ahead = NULL;
	m->summer = NULL;
	m->bytes = NULL;
	m->next = m->bytes_size = m->bytes_done = m->piece_done = 0;
	m->made = 0;
	base_text_clear(&m->piece);
	bm_status status = storage_summer_open(like, &m->summer, err);
	if (status == BM_OK)
		status = storage_prefetch_open(m->from, m->paths, m->count, STORAGE_PACK_FILE_LIMIT, &m->ahead, err);
	return status;
}

static bm_status maker_again(void *arg, bm_error *err)
{
	return start_over(arg, NULL, err);
}

/* Whether what lies under `path` is what was made. */
static bm_status check(maker *m, storage *to, const char *path, bm_error *err)
{
	storage_checksum there, here;
	bm_status status = storage_checksum_of(to, path, &there, err);
	if (status == BM_OK)
		status = storage_summer_end(m->summer, &here, err);
	if (status == BM_OK && strcmp(there.algorithm, here.algorithm) != 0) {
		/* Summed in another way than HDFS does by default: it is made once more, for its sum only. */
		uint8_t *piece = base_malloc(1 << 18, 1, "a pack", err);
		status = piece ? start_over(m, &there, err) : BM_ERR_MEMORY;
		for (size_t got = 1; status == BM_OK && got > 0;)
			status = maker_next(m, piece, 1 << 18, &got, err);
		if (status == BM_OK)
			status = storage_summer_end(m->summer, &here, err);
		base_free(piece);
	}
	if (status == BM_OK && !storage_checksum_equal(&there, &here))
		status = base_fail(err, BM_ERR_IO,
				   "the pack '%s/%s' arrived with another checksum than it was sent with; try again",
				   storage_url(to), path);
	return status;
}

bool storage_pack_good_name(const char *name, size_t length)
{
	if (length == 0 || memchr(name, '\0', length) || memchr(name, '\\', length))
		return false;
	for (size_t at = 0; at <= length;) {
		size_t part = 0;
		while (at + part < length && name[at + part] != '/')
			part++;
		if (part == 0 || (part == 1 && name[at] == '.') ||
		    (part == 2 && name[at] == '.' && name[at + 1] == '.'))
			return false;
		at += part + 1;
	}
	return true;
}

static bm_status prepare(maker *m, bm_error *err)
{
	m->paths = base_calloc(m->count, sizeof *m->paths, "a pack's directory", err);
	m->crcs = m->paths ? base_calloc(m->count, sizeof *m->crcs, "a pack's directory", err) : NULL;
	m->offsets = m->crcs ? base_calloc(m->count, sizeof *m->offsets, "a pack's directory", err) : NULL;
	if (!m->offsets)
		return BM_ERR_MEMORY;
	for (size_t i = 0; i < m->count; i++) {
		m->paths[i] = m->files[i].path;
		if (!storage_pack_good_name(m->paths[i], strlen(m->paths[i])))
			return base_fail(err, BM_ERR_DATA,
					 "'%s' cannot be in a pack under this name: rename it without a backslash",
					 m->paths[i]);
		if (m->files[i].size > STORAGE_PACK_FILE_LIMIT || strlen(m->paths[i]) >= ZIP_16)
			return base_fail(err, BM_ERR_LIMIT,
					 "'%s' is too large for a pack, which takes files of up to 64 MiB",
					 m->paths[i]);
	}
	return start_over(m, NULL, err);
}

bm_status storage_pack_write(storage *from, const storage_pack_file *files, size_t count, storage *to, const char *path,
			     const base_observer *observer, uint64_t *bytes, bm_error *err)
{
	maker m = {.from = from, .files = files, .count = count, .observer = observer, .start = base_now()};
	char *temporary = NULL;
	storage_source source = {.next = maker_next, .again = maker_again, .arg = &m};
	bm_status status = prepare(&m, err);
	if (status == BM_OK)
		status = storage_temporary_name(path, &temporary, err);
	if (status != BM_OK)
		goto done;
	source.size = whole_size(&m);
	status = storage_create(to, temporary, &source, err);
	if (status == BM_OK)
		status = check(&m, to, temporary, err);
	if (status == BM_OK)
		status = storage_rename(to, temporary, path, true, err);
	if (status != BM_OK)
		storage_remove(to, temporary, false, NULL, NULL);
	else
		report(&m, count);
	if (bytes)
		*bytes = source.size;
done:
	storage_prefetch_close(m.ahead);
	storage_summer_free(m.summer);
	base_text_free(&m.piece);
	base_free(m.bytes);
	base_free(m.paths);
	base_free(m.crcs);
	base_free(m.offsets);
	base_free(temporary);
	return status;
}
