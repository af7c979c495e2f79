/* Writing, whatever the place: paths are checked, and a whole file goes through a hidden name. */
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/random.h"
#include "base/text.h"
#include "storage/backend.h"

static bm_status read_only(const storage *s, bm_error *err)
{
	return base_fail(err, BM_ERR_UNSUPPORTED, "'%s' is a pack, which is only read; name a folder to write to",
			 s->url);
}

static bm_status no_root(const storage *s, const char *verb, bm_error *err)
{
	return base_fail(err, BM_ERR_USAGE, "cannot %s '%s' itself; name something in it", verb, s->url);
}

/* The path of what is to be written, renamed or removed (`verb`); can: the place knows how. */
static bm_status changed_path(const storage *s, const char *path, bool can, const char *verb, char **clean,
			      bm_error *err)
{
	bm_status status = storage_clean_path(s, path, clean, err);
	if (status == BM_OK && !can)
		return read_only(s, err);
	if (status == BM_OK && !(*clean)[0])
		return no_root(s, verb, err);
	return status;
}

bm_status storage_create(storage *s, const char *path, const storage_source *source, bm_error *err)
{
	char *clean;
	bm_status status = changed_path(s, path, s->backend->create != NULL, "write", &clean, err);
	if (status == BM_OK)
		status = s->backend->create(s->state, s->url, clean, source, err);
	base_free(clean);
	return status;
}

/* ---- whole files ---- */

static bm_status bytes_next(void *arg, uint8_t *bytes, size_t room, size_t *got, bm_error *err)
{
	storage_bytes *b = arg;
	(void)err;
	*got = b->size - b->done < room ? b->size - b->done : room;
	if (*got > 0)
		memcpy(bytes, (const uint8_t *)b->bytes + b->done, *got);
	b->done += *got;
	return BM_OK;
}

static bm_status bytes_again(void *arg, bm_error *err)
{
	storage_bytes *b = arg;
	(void)err;
	b->done = 0;
	return BM_OK;
}

storage_source storage_bytes_source(storage_bytes *bytes)
{
	return (storage_source){.next = bytes_next, .again = bytes_again, .arg = bytes, .size = bytes->size};
}

bm_status storage_write(storage *s, const char *path, const void *bytes, size_t size, bm_error *err)
{
	storage_bytes b = {.bytes = bytes, .size = size};
	storage_source source = storage_bytes_source(&b);
	return storage_write_from(s, path, &source, err);
}

/* No other process and no other thread makes the same. */
bm_status storage_temporary_name(const char *path, char **out, bm_error *err)
{
	static atomic_uint_fast64_t counter;
	struct timespec now;
	base_text text = {0};
	clock_gettime(CLOCK_REALTIME, &now);
	uint64_t unique = base_random_mix((uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec,
					  base_random_mix((uint64_t)getpid(), atomic_fetch_add(&counter, 1)));
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	base_text_add(&text, "%.*s.%s.%016llx.part", (int)(name - path), path, name, (unsigned long long)unique);
	*out = text.failed ? NULL : base_strdup(text.data, err);
	bm_status status = text.failed ? base_fail(err, BM_ERR_MEMORY, "no memory for a path")
			   : *out      ? BM_OK
				       : BM_ERR_MEMORY;
	base_text_free(&text);
	return status;
}

bm_status storage_write_from(storage *s, const char *path, const storage_source *source, bm_error *err)
{
	char *clean;
	char *temporary = NULL;
	bm_status status = changed_path(s, path, s->backend->create != NULL, "write", &clean, err);
	if (status == BM_OK)
		status = storage_temporary_name(clean, &temporary, err);
	if (status != BM_OK)
		goto done;
	status = s->backend->create(s->state, s->url, temporary, source, err);
	if (status == BM_OK)
		status = s->backend->rename(s->state, s->url, temporary, clean, true, err);
	if (status != BM_OK)
		s->backend->remove(s->state, s->url, temporary, false, NULL, NULL);
done:
	base_free(temporary);
	base_free(clean);
	return status;
}

/* ---- the rest ---- */

bm_status storage_make_folders(storage *s, const char *path, bm_error *err)
{
	char *clean;
	bm_status status = storage_clean_path(s, path, &clean, err);
	if (status == BM_OK)
		status = s->backend->make_folders ? s->backend->make_folders(s->state, s->url, clean, err)
						  : read_only(s, err);
	base_free(clean);
	return status;
}

bm_status storage_rename(storage *s, const char *from, const char *to, bool replace, bm_error *err)
{
	char *clean_from = NULL, *clean_to = NULL;
	bm_status status = storage_clean_path(s, from, &clean_from, err);
	if (status == BM_OK)
		status = storage_clean_path(s, to, &clean_to, err);
	if (status == BM_OK && !s->backend->rename)
		status = read_only(s, err);
	else if (status == BM_OK && (!clean_from[0] || !clean_to[0]))
		status = no_root(s, "rename", err);
	if (status == BM_OK)
		status = s->backend->rename(s->state, s->url, clean_from, clean_to, replace, err);
	base_free(clean_from);
	base_free(clean_to);
	return status;
}

bm_status storage_remove(storage *s, const char *path, bool all, bool *was, bm_error *err)
{
	char *clean;
	bool there = false;
	bm_status status = changed_path(s, path, s->backend->remove != NULL, "remove", &clean, err);
	if (status == BM_OK)
		status = s->backend->remove(s->state, s->url, clean, all, &there, err);
	if (was)
		*was = there;
	base_free(clean);
	return status;
}

bm_status storage_set_permission(storage *s, const char *path, int permission, bm_error *err)
{
	char *clean;
	bm_status status = storage_clean_path(s, path, &clean, err);
	if (status == BM_OK)
		status = s->backend->set_permission
				 ? s->backend->set_permission(s->state, s->url, clean, permission, err)
				 : read_only(s, err);
	base_free(clean);
	return status;
}

bm_status storage_set_replication(storage *s, const char *path, int copies, bm_error *err)
{
	char *clean;
	bm_status status = storage_clean_path(s, path, &clean, err);
	if (status == BM_OK && s->backend->set_replication)
		status = s->backend->set_replication(s->state, s->url, clean, copies, err);
	base_free(clean);
	return status;
}

/* ---- checksums ---- */

static bm_status sum_ranges(storage *s, const char *path, const storage_checksum *like, storage_checksum *sum,
			    bm_error *err)
{
	enum { PIECE = 1 << 20 };
	storage_summer *summer = NULL;
	uint8_t *piece = base_malloc(PIECE, 1, "a checksum", err);
	bm_status status = piece ? storage_summer_open(like, &summer, err) : BM_ERR_MEMORY;
	uint64_t offset = 0;
	for (size_t got = PIECE; status == BM_OK && got == PIECE; offset += got) {
		got = 0;
		status = s->backend->read_range(s->state, s->url, path, offset, PIECE, piece, &got, err);
		if (status == BM_OK)
			status = storage_summer_add(summer, piece, got, err);
	}
	if (status == BM_OK)
		status = storage_summer_end(summer, sum, err);
	storage_summer_free(summer);
	base_free(piece);
	return status;
}

bm_status storage_checksum_of(storage *s, const char *path, storage_checksum *sum, bm_error *err)
{
	char *clean;
	*sum = (storage_checksum){0};
	bm_status status = storage_clean_path(s, path, &clean, err);
	if (status == BM_OK)
		status = s->backend->checksum ? s->backend->checksum(s->state, s->url, clean, sum, err)
					      : sum_ranges(s, clean, NULL, sum, err);
	base_free(clean);
	return status;
}

bm_status storage_checksum_read(storage *s, const char *path, const storage_checksum *like, storage_checksum *sum,
				bm_error *err)
{
	char *clean;
	*sum = (storage_checksum){0};
	bm_status status = storage_clean_path(s, path, &clean, err);
	if (status == BM_OK)
		status = sum_ranges(s, clean, like, sum, err);
	base_free(clean);
	return status;
}

bm_status storage_describe(storage *s, storage_service *service, bm_error *err)
{
	*service = (storage_service){.safe_mode = -1, .live_datanodes = -1};
	return s->backend->describe ? s->backend->describe(s->state, s->url, service, err) : BM_OK;
}
