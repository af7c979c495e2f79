/* Reading a pack as if it were a folder. Its directory is read once; from a server the content comes in large pieces that are kept for a
 * while, the next ones read ahead. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <zlib.h>

#include "base/memory.h"
#include "base/text.h"
#include "storage/pack.h"

enum { END_SEARCH = ZIP_END_SIZE + 65535, PIECES = 12, PIECES_AHEAD = 3 };
#define DIRECTORY_LIMIT ((uint64_t)1 << 30)
#define PIECE_SIZE ((size_t)4 << 20)

typedef struct entry {
	char *path;
	uint64_t offset, end; /* of the local header; of all that belongs to the file */
	uint32_t size, crc;
} entry;

typedef enum piece_state { EMPTY, LOADING, LOADED, FAILED } piece_state;

typedef struct piece {
	piece_state state;
	uint64_t index, used; /* which piece of the file; when it was last asked for */
	int readers;
	size_t size;
	uint8_t *bytes;
	bm_status status;
	char message[BM_MESSAGE_SIZE];
} piece;

typedef struct pack {
	storage *inner;
	char *name; /* in inner */
	storage_info info;
	entry *entries; /* sorted by path */
	size_t count;
	bool cached;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	piece pieces[PIECES];
	uint64_t clock, ahead_from, ahead_to; /* pieces that are wanted soon: [from, to) */
	bool stop, started;
	pthread_t thread;
} pack;

/* ---- pieces ---- */

static piece *find_piece(pack *p, uint64_t index)
{
	for (int i = 0; i < PIECES; i++)
		if (p->pieces[i].state != EMPTY && p->pieces[i].index == index)
			return &p->pieces[i];
	return NULL;
}

/* The piece that is longest not needed; NULL when all are in use. */
static piece *oldest_piece(pack *p)
{
	piece *best = NULL;
	for (int i = 0; i < PIECES; i++) {
		piece *one = &p->pieces[i];
		if (one->state == EMPTY)
			return one;
		if (one->state != LOADING && one->readers == 0 && (!best || one->used < best->used))
			best = one;
	}
	return best;
}

/* Reads piece `index` into `one`; called and left with the lock held. */
static void load_piece(pack *p, piece *one, uint64_t index)
{
	bm_error err = {0};
	uint64_t offset = index * PIECE_SIZE, left = p->info.size - offset;
	size_t want = left < PIECE_SIZE ? (size_t)left : PIECE_SIZE;
	one->state = LOADING;
	one->index = index;
	one->used = ++p->clock;
	one->size = 0;
	pthread_mutex_unlock(&p->lock);
	bm_status status = BM_OK;
	if (!one->bytes) {
		one->bytes = base_malloc(PIECE_SIZE, 1, "a part of a pack", &err);
		status = one->bytes ? BM_OK : BM_ERR_MEMORY;
	}
	size_t got = 0;
	if (status == BM_OK)
		status = storage_read_range(p->inner, p->name, offset, want, one->bytes, &got, &err);
	if (status == BM_OK && got != want)
		status = base_fail(&err, BM_ERR_IO, "cannot read '%s/%s': it became shorter meanwhile",
				   storage_url(p->inner), p->name);
	pthread_mutex_lock(&p->lock);
	one->size = got;
	one->status = status;
	one->state = status == BM_OK ? LOADED : FAILED;
	memcpy(one->message, err.message, sizeof one->message);
	pthread_cond_broadcast(&p->changed);
}

static void *read_ahead(void *arg)
{
	pack *p = arg;
	pthread_mutex_lock(&p->lock);
	while (!p->stop) {
		piece *room = NULL;
		while (p->ahead_from < p->ahead_to && find_piece(p, p->ahead_from))
			p->ahead_from++;
		if (p->ahead_from < p->ahead_to)
			room = oldest_piece(p);
		if (room)
			load_piece(p, room, p->ahead_from++);
		else
			pthread_cond_wait(&p->changed, &p->lock);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

/* Piece `index`, held until release; NULL with a message. */
static piece *hold_piece(pack *p, uint64_t index, bm_error *err)
{
	piece *one;
	pthread_mutex_lock(&p->lock);
	for (;;) {
		one = find_piece(p, index);
		if (one && one->state == LOADED)
			break;
		if (one && one->state == FAILED) { /* the next one who asks tries again */
			base_fail(err, one->status, "%s", one->message);
			one->state = EMPTY;
			pthread_mutex_unlock(&p->lock);
			return NULL;
		}
		piece *room = one ? NULL : oldest_piece(p);
		if (room)
			load_piece(p, room, index);
		else
			pthread_cond_wait(&p->changed, &p->lock);
	}
	one->readers++;
	one->used = ++p->clock;
	uint64_t pieces = (p->info.size + PIECE_SIZE - 1) / PIECE_SIZE, to = index + 1 + PIECES_AHEAD;
	if (p->started && to > p->ahead_to) {
		p->ahead_from = index + 1 > p->ahead_from ? index + 1 : p->ahead_from;
		p->ahead_to = to < pieces ? to : pieces;
		pthread_cond_broadcast(&p->changed);
	}
	pthread_mutex_unlock(&p->lock);
	return one;
}

static void release_piece(pack *p, piece *one)
{
	pthread_mutex_lock(&p->lock);
	one->readers--;
	pthread_cond_broadcast(&p->changed);
	pthread_mutex_unlock(&p->lock);
}

/* `length` bytes from `offset` on, all of which the pack has. */
static bm_status read_bytes(pack *p, uint64_t offset, size_t length, uint8_t *out, bm_error *err)
{
	size_t got = 0;
	if (!p->cached) {
		bm_status status = storage_read_range(p->inner, p->name, offset, length, out, &got, err);
		if (status == BM_OK && got != length)
			status = base_fail(err, BM_ERR_IO, "cannot read '%s/%s': it became shorter meanwhile",
					   storage_url(p->inner), p->name);
		return status;
	}
	while (length > 0) {
		size_t at = (size_t)(offset % PIECE_SIZE), some = PIECE_SIZE - at < length ? PIECE_SIZE - at : length;
		piece *one = hold_piece(p, offset / PIECE_SIZE, err);
		if (!one)
			return err ? err->status : BM_ERR_IO;
		memcpy(out, one->bytes + at, some);
		release_piece(p, one);
		out += some;
		offset += some;
		length -= some;
	}
	return BM_OK;
}

/* ---- the directory ---- */

static bm_status damaged(const char *url, const char *why, bm_error *err)
{
	return base_fail(err, BM_ERR_FORMAT, "'%s' is no pack: %s; make it again with 'brainmri data pack'", url, why);
}

/* Where the directory is. tail: the file's last bytes. */
static bm_status find_directory(pack *p, const char *url, const uint8_t *tail, size_t size, uint64_t *offset,
				uint64_t *length, uint64_t *count, bm_error *err)
{
	const uint8_t *end = NULL;
	for (size_t i = size - ZIP_END_SIZE + 1; i-- > 0 && !end;)
		if (storage_little_endian(tail + i, 4) == ZIP_END &&
		    storage_little_endian(tail + i + 20, 2) == size - i - ZIP_END_SIZE)
			end = tail + i;
	if (!end)
		return damaged(url, "it has no zip directory (cut short?)", err);
	*count = storage_little_endian(end + 10, 2);
	*length = storage_little_endian(end + 12, 4);
	*offset = storage_little_endian(end + 16, 4);
	if (*count == ZIP_16 || *length == ZIP_32 || *offset == ZIP_32) {
		const uint8_t *locator = end - ZIP64_LOCATOR_SIZE;
		uint8_t large[ZIP64_END_SIZE];
		if (end - tail < ZIP64_LOCATOR_SIZE || storage_little_endian(locator, 4) != ZIP64_LOCATOR)
			return damaged(url, "its directory is damaged", err);
		uint64_t at = storage_little_endian(locator + 8, 8);
		if (at > p->info.size || p->info.size - at < ZIP64_END_SIZE)
			return damaged(url, "its directory is damaged", err);
		bm_status status = read_bytes(p, at, sizeof large, large, err);
		if (status != BM_OK)
			return status;
		if (storage_little_endian(large, 4) != ZIP64_END)
			return damaged(url, "its directory is damaged", err);
		*count = storage_little_endian(large + 32, 8);
		*length = storage_little_endian(large + 40, 8);
		*offset = storage_little_endian(large + 48, 8);
	}
	if (*length > DIRECTORY_LIMIT || *offset > p->info.size || p->info.size - *offset < *length ||
	    *count > *length / ZIP_CENTRAL_SIZE)
		return damaged(url, "its directory is damaged", err);
	return BM_OK;
}

/* One entry of the directory; *used: its bytes. Folders are left out: the paths say what there is. */
static bm_status parse_entry(pack *p, const char *url, const uint8_t *at, size_t left, uint64_t directory, size_t *used,
			     bm_error *err)
{
	if (left < ZIP_CENTRAL_SIZE || storage_little_endian(at, 4) != ZIP_CENTRAL)
		return damaged(url, "its directory is damaged", err);
	size_t name = (size_t)storage_little_endian(at + 28, 2), extra = (size_t)storage_little_endian(at + 30, 2);
	*used = ZIP_CENTRAL_SIZE + name + extra + (size_t)storage_little_endian(at + 32, 2);
	if (*used > left)
		return damaged(url, "its directory is damaged", err);
	const char *path = (const char *)at + ZIP_CENTRAL_SIZE;
	if (name > 0 && path[name - 1] == '/')
		return BM_OK;
	uint64_t packed = storage_little_endian(at + 20, 4), size = storage_little_endian(at + 24, 4);
	uint64_t offset = storage_little_endian(at + 42, 4);
	for (size_t i = 0; offset == ZIP_32 && i + 4 <= extra;) {
		const uint8_t *field = at + ZIP_CENTRAL_SIZE + name + i;
		size_t length = (size_t)storage_little_endian(field + 2, 2);
		if (length > extra - i - 4)
			break;
		/* Only the offset can be there: larger files are refused below. */
		if (storage_little_endian(field, 2) == 1 && length >= 8)
			offset = storage_little_endian(field + 4, 8);
		i += 4 + length;
	}
	if (!storage_pack_good_name(path, name))
		return damaged(url, "a name in it is no path below it", err);
	if ((storage_little_endian(at + 8, 2) & 1) || storage_little_endian(at + 10, 2) != 0)
		return base_fail(
			err, BM_ERR_UNSUPPORTED,
			"'%s' is no pack: its files are compressed or encrypted; make it with 'brainmri data pack' or "
			"'zip -0'",
			url);
	if (packed != size || size > STORAGE_PACK_FILE_LIMIT)
		return damaged(url, "a file in it is larger than 64 MiB", err);
	if (offset > directory || directory - offset < ZIP_LOCAL_SIZE + size)
		return damaged(url, "its directory is damaged", err);
	char *copy = base_malloc(name + 1, 1, "a pack's directory", err);
	if (!copy)
		return BM_ERR_MEMORY;
	memcpy(copy, path, name);
	copy[name] = '\0';
	p->entries[p->count++] = (entry){.path = copy,
					 .offset = offset,
					 .size = (uint32_t)size,
					 .crc = (uint32_t)storage_little_endian(at + 16, 4)};
	return BM_OK;
}

static int by_offset(const void *a, const void *b)
{
	const entry *x = a, *y = b;
	return (x->offset > y->offset) - (x->offset < y->offset);
}

static int by_path(const void *a, const void *b)
{
	return strcmp(((const entry *)a)->path, ((const entry *)b)->path);
}

static bm_status read_directory(pack *p, const char *url, bm_error *err)
{
	uint8_t *tail = NULL, *directory = NULL;
	uint64_t offset = 0, length = 0, count = 0;
	size_t size = p->info.size < END_SEARCH ? (size_t)p->info.size : END_SEARCH, at = 0;
	if (p->info.size < ZIP_END_SIZE)
		return damaged(url, "it is too short", err);
	tail = base_malloc(size, 1, "a pack's directory", err);
	bm_status status = tail ? read_bytes(p, p->info.size - size, size, tail, err) : BM_ERR_MEMORY;
	if (status == BM_OK)
		status = find_directory(p, url, tail, size, &offset, &length, &count, err);
	if (status == BM_OK) {
		directory = base_malloc((size_t)length, 1, "a pack's directory", err);
		p->entries =
			directory ? base_calloc((size_t)count, sizeof *p->entries, "a pack's directory", err) : NULL;
		status = p->entries ? read_bytes(p, offset, (size_t)length, directory, err) : BM_ERR_MEMORY;
	}
	for (uint64_t i = 0; status == BM_OK && i < count; i++) {
		size_t used = 0;
		status = parse_entry(p, url, directory + at, (size_t)length - at, offset, &used, err);
		at += used;
	}
	if (status == BM_OK && p->count > 0) {
		qsort(p->entries, p->count, sizeof *p->entries, by_offset);
		for (size_t i = 0; i < p->count; i++)
			p->entries[i].end = i + 1 < p->count ? p->entries[i + 1].offset : offset;
		qsort(p->entries, p->count, sizeof *p->entries, by_path);
	}
	for (size_t i = 1; status == BM_OK && i < p->count; i++)
		if (strcmp(p->entries[i - 1].path, p->entries[i].path) == 0)
			status = damaged(url, "it holds a name twice", err);
	base_free(tail);
	base_free(directory);
	return status;
}

/* ---- as a folder ---- */

static const entry *find_entry(const pack *p, const char *path)
{
	entry key = {.path = (char *)(uintptr_t)path};
	return p->count ? bsearch(&key, p->entries, p->count, sizeof *p->entries, by_path) : NULL;
}

/* The first entry below a folder, whose prefix is `path` and a slash; p->count: there is none. */
static size_t first_below(const pack *p, const char *path)
{
	size_t length = strlen(path);
	for (size_t i = 0; i < p->count; i++)
		if (length == 0 ||
		    (strncmp(p->entries[i].path, path, length) == 0 && p->entries[i].path[length] == '/'))
			return i;
	return p->count;
}

static bm_status missing(const char *verb, const char *url, const char *path, bm_error *err)
{
	return base_fail(err, BM_ERR_NOT_FOUND, "cannot %s '%s/%s': no such file or folder in the pack", verb, url,
			 path);
}

static storage_info info_of(const pack *p, const entry *e)
{
	storage_info info = p->info;
	info.folder = e == NULL;
	info.size = e ? e->size : 0;
	return info;
}

static bm_status pack_look(void *state, const char *url, const char *path, storage_info *info, bm_error *err)
{
	const pack *p = state;
	const entry *e = find_entry(p, path);
	if (!e && path[0] && first_below(p, path) == p->count)
		return missing("look at", url, path, err);
	*info = info_of(p, e);
	return BM_OK;
}

static bm_status pack_list(void *state, const char *url, const char *path, bool hidden, storage_list *list,
			   bm_error *err)
{
	const pack *p = state;
	size_t capacity = 0, length = strlen(path), skip = length > 0 ? length + 1 : 0;
	size_t i = first_below(p, path);
	if (i == p->count && length > 0)
		return missing("list", url, path, err);
	for (; i < p->count; i++) {
		const char *name = p->entries[i].path + skip;
		if (length > 0 && (strncmp(p->entries[i].path, path, length) != 0 || p->entries[i].path[length] != '/'))
			continue;
		size_t part = strcspn(name, "/");
		if (name[0] == '.' && !hidden)
			continue;
		bool folder = name[part] == '/', seen = false;
		/* The files of a folder stand together, but for names such as "a.b" between "a" and "a/b". */
		for (size_t j = list->count; folder && !seen && j-- > 0;)
			seen = list->items[j].info.folder && strlen(list->items[j].name) == part &&
			       strncmp(list->items[j].name, name, part) == 0;
		if (seen)
			continue;
		char *copy = base_malloc(part + 1, 1, "a folder's list", err);
		if (!copy)
			return BM_ERR_MEMORY;
		memcpy(copy, name, part);
		copy[part] = '\0';
		storage_info info = info_of(p, folder ? NULL : &p->entries[i]);
		bm_status status = storage_list_add(list, &capacity, copy, &info, err);
		base_free(copy);
		if (status != BM_OK)
			return status;
	}
	return BM_OK;
}

/* Where a file's bytes begin, behind its local header. *data: all that belongs to it, base_free. */
static bm_status read_entry(pack *p, const char *url, const entry *e, uint8_t **data, size_t *start, bm_error *err)
{
	/* The directory bounds what is read, whatever the header claims. */
	uint64_t most = (uint64_t)ZIP_LOCAL_SIZE + 2 * 65535 + e->size, length = e->end - e->offset;
	size_t want = (size_t)(length < most ? length : most);
	bm_status status = BM_OK;
	*data = NULL;
	if (want < ZIP_LOCAL_SIZE + (size_t)e->size)
		return damaged(url, "its files overlap", err);
	*data = base_malloc(want, 1, "a file", err);
	if (!*data)
		return BM_ERR_MEMORY;
	status = read_bytes(p, e->offset, want, *data, err);
	if (status != BM_OK)
		return status;
	*start = ZIP_LOCAL_SIZE + (size_t)storage_little_endian(*data + 26, 2) +
		 (size_t)storage_little_endian(*data + 28, 2);
	if (storage_little_endian(*data, 4) != ZIP_LOCAL || *start > want || want - *start < e->size)
		return damaged(url, "a file's header is damaged", err);
	if ((uint32_t)crc32_z(0, *data + *start, e->size) != e->crc)
		return base_fail(err, BM_ERR_FORMAT, "cannot read '%s/%s': its checksum is wrong, the pack is damaged",
				 url, e->path);
	return BM_OK;
}

static bm_status pack_read(void *state, const char *url, const char *path, size_t limit, uint8_t **bytes, size_t *size,
			   bm_error *err)
{
	pack *p = state;
	const entry *e = find_entry(p, path);
	uint8_t *data = NULL;
	size_t start = 0;
	char a[32], b[32];
	if (!e && first_below(p, path) < p->count)
		return base_fail(err, BM_ERR_IO, "cannot read '%s/%s': it is a folder, not a file", url, path);
	if (!e)
		return missing("open", url, path, err);
	if (e->size > limit)
		return base_fail(err, BM_ERR_LIMIT, "cannot read '%s/%s': %s, at most %s are accepted", url, path,
				 base_format_bytes(e->size, a), base_format_bytes((double)limit, b));
	bm_status status = read_entry(p, url, e, &data, &start, err);
	if (status == BM_OK) {
		*bytes = base_malloc((size_t)e->size + 1, 1, "a file", err);
		status = *bytes ? BM_OK : BM_ERR_MEMORY;
	}
	if (status == BM_OK) {
		memcpy(*bytes, data + start, e->size);
		(*bytes)[e->size] = '\0';
		*size = e->size;
	}
	base_free(data);
	return status;
}

static bm_status pack_read_range(void *state, const char *url, const char *path, uint64_t offset, size_t length,
				 uint8_t *bytes, size_t *got, bm_error *err)
{
	uint8_t *whole;
	size_t size;
	bm_status status = pack_read(state, url, path, STORAGE_PACK_FILE_LIMIT, &whole, &size, err);
	if (status != BM_OK)
		return status;
	size_t left = offset < size ? size - (size_t)offset : 0;
	*got = left < length ? left : length;
	if (*got > 0)
		memcpy(bytes, whole + offset, *got);
	base_free(whole);
	return BM_OK;
}

static bm_status pack_describe(void *state, const char *url, storage_service *service, bm_error *err)
{
	(void)url;
	return storage_describe(((pack *)state)->inner, service, err);
}

static void pack_close(void *state)
{
	pack *p = state;
	if (!p)
		return;
	if (p->started) {
		pthread_mutex_lock(&p->lock);
		p->stop = true;
		pthread_cond_broadcast(&p->changed);
		pthread_mutex_unlock(&p->lock);
		pthread_join(p->thread, NULL);
	}
	if (p->cached) {
		pthread_cond_destroy(&p->changed);
		pthread_mutex_destroy(&p->lock);
	}
	for (int i = 0; i < PIECES; i++)
		base_free(p->pieces[i].bytes);
	for (size_t i = 0; i < p->count; i++)
		base_free(p->entries[i].path);
	base_free(p->entries);
	base_free(p->name);
	storage_close(p->inner);
	base_free(p);
}

/* The pieces are what is read ahead: a local pack is read directly, and single files of either need no reading ahead. */
static const storage_backend pack_backend = {
	.list = pack_list,
	.look = pack_look,
	.read = pack_read,
	.read_range = pack_read_range,
	.describe = pack_describe,
	.close = pack_close,
	.transfers = 0,
};

bool storage_pack_place(const storage *s, const char *path, uint64_t *offset)
{
	const entry *e = s->backend == &pack_backend ? find_entry(s->state, path) : NULL;
	if (e)
		*offset = e->offset;
	return e != NULL;
}

/* ---- opening ---- */

bool storage_pack_name(const char *url)
{
	size_t length = strlen(url);
	return length > 4 && strcasecmp(url + length - 4, ".zip") == 0;
}

bm_status storage_pack_open(storage *s, const storage_options *options, bool *is_file, bm_error *err)
{
	storage_options inner_options = *options;
	char *folder = NULL;
	char *where = NULL; /* the URL; of a local pack its path, for what is to be looked for there is no URL */
	pack *p = base_calloc(1, sizeof *p, "a pack", err);
	bm_status status;
	*is_file = false;
	if (!p)
		return BM_ERR_MEMORY;
	inner_options.make = inner_options.missing_ok = false;
	inner_options.as_file = true;
	status = storage_local_path(s->url, &where, err);
	if (status != BM_OK)
		goto done;
	status = BM_ERR_MEMORY;
	const char *slash = strrchr(where, '/');
	folder = base_malloc(strlen(where) + 2, 1, "a path", err);
	p->name = base_strdup(slash ? slash + 1 : where, err);
	if (!folder || !p->name)
		goto done;
	/* "/x.zip" lies in "/", "x.zip" in "."; "hdfs://host/x.zip" in "hdfs://host/". */
	memcpy(folder, slash ? where : ".", slash ? (size_t)(slash - where) + 1 : 2);
	if (slash)
		folder[slash - where + 1] = '\0';
	status = storage_open_with(folder, &inner_options, &p->inner, err);
	if (status == BM_OK)
		status = storage_look(p->inner, p->name, &p->info, err);
	if (status != BM_OK || p->info.folder)
		goto done;
	*is_file = true;
	if (storage_transfers(p->inner) > 0) {
		p->cached = pthread_mutex_init(&p->lock, NULL) == 0;
		pthread_cond_init(&p->changed, NULL);
	}
	status = read_directory(p, s->url, err);
	if (status != BM_OK)
		goto done;
	p->started = p->cached && pthread_create(&p->thread, NULL, read_ahead, p) == 0;
	s->remote = storage_remote(p->inner);
	s->backend = &pack_backend;
	s->state = p;
	p = NULL;
done:
	pack_close(p);
	base_free(folder);
	base_free(where);
	return status;
}
