#include "engine/frame.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "data/pack_format.h"
#include "image/image.h"

enum { HELLO = 16, REQUEST = 40, BEGIN = 16, END = 16, TAG = 4, FIRST_ROOM = 1 << 16 };

static const char work_magic[] = "BMWORK01", part_magic[] = "BMPART02";
static const uint32_t tag_request = 0x51524d42, tag_answer = 0x4e414d42,
		      tag_end = 0x4e454d42; /* "BMRQ", "BMAN", "BMEN" */

static void put32(uint8_t *to, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		to[i] = (uint8_t)(value >> 8 * i);
}

static void put64(uint8_t *to, uint64_t value)
{
	put32(to, (uint32_t)value);
	put32(to + 4, (uint32_t)(value >> 32));
}

static uint32_t get32(const uint8_t *from)
{
	return (uint32_t)from[0] | (uint32_t)from[1] << 8 | (uint32_t)from[2] << 16 | (uint32_t)from[3] << 24;
}

static uint64_t get64(const uint8_t *from)
{
	return get32(from) | (uint64_t)get32(from + 4) << 32;
}

/* ---- bytes ---- */

bm_status engine_source_fd(void *state, void *to, size_t size, size_t *got, bm_error *err)
{
	const int *fd = state;
	*got = 0;
	while (*got < size) {
		ssize_t n = read(*fd, (uint8_t *)to + *got, size - *got);
		if (n == 0)
			return BM_OK;
		if (n < 0 && errno != EINTR)
			return base_fail(err, BM_ERR_IO, "cannot read from the pipe: %s", strerror(errno));
		if (n > 0)
			*got += (size_t)n;
	}
	return BM_OK;
}

bm_status engine_write_fd(int fd, const void *bytes, size_t size, bm_error *err)
{
	const uint8_t *at = bytes;
	while (size > 0) {
		ssize_t n = write(fd, at, size);
		if (n < 0 && errno != EINTR)
			return base_fail(err, BM_ERR_IO, "cannot write to the pipe: %s", strerror(errno));
		if (n > 0) {
			at += n;
			size -= (size_t)n;
		}
	}
	return BM_OK;
}

static bm_status read_all(const engine_source *source, void *to, size_t size, const char *what, bm_error *err)
{
	size_t got = 0;
	bm_status status = source->read(source->state, to, size, &got, err);
	if (status == BM_OK && got < size)
		status = base_fail(err, BM_ERR_FORMAT, "%s is cut off: %zu of %zu bytes came", what, got, size);
	return status;
}

/* ---- requests ---- */

bm_status engine_read_hello(const engine_source *source, engine_hello *hello, bm_error *err)
{
	uint8_t bytes[HELLO];
	bm_status status = read_all(source, bytes, sizeof bytes, "the beginning", err);
	if (status != BM_OK)
		return status;
	uint32_t side = get32(bytes + 8), seconds = get32(bytes + 12);
	if (memcmp(bytes, work_magic, 8) != 0)
		return base_fail(
			err, BM_ERR_FORMAT,
			"what came is no request of this version of brainmri ('brainmri worker' is started by an "
			"engine, not by hand)");
	if (side < DATA_PACK_SIDE_MIN || side > DATA_PACK_SIDE_MAX || seconds > ENGINE_SECONDS_LIMIT)
		return base_fail(err, BM_ERR_FORMAT, "images of %u pixels in at most %u seconds were asked for", side,
				 seconds);
	hello->side = (int)side;
	hello->seconds = (int)seconds;
	return BM_OK;
}

/* Room for the body. Not more than was sent so far is trusted: a lying size must not take 64 MiB before a byte came. */
static bm_status read_body(const engine_source *source, engine_request *r, size_t size, bm_error *err)
{
	size_t done = 0;
	while (done < size) {
		if (done == r->capacity) {
			size_t room = r->capacity ? r->capacity * 2 : FIRST_ROOM;
			uint8_t *grown = base_malloc(room, 1, "an image file", err);
			if (!grown)
				return BM_ERR_MEMORY;
			if (done > 0)
				memcpy(grown, r->body, done);
			base_free(r->body);
			r->body = grown;
			r->capacity = room;
		}
		size_t piece = r->capacity < size ? r->capacity - done : size - done;
		bm_status status = read_all(source, r->body + done, piece, "an image file", err);
		if (status != BM_OK)
			return status;
		done += piece;
	}
	r->size = size;
	return BM_OK;
}

bm_status engine_read_request(const engine_source *source, engine_request *r, bool *end, bm_error *err)
{
	uint8_t bytes[REQUEST];
	size_t got = 0;
	*end = false;
	bm_status status = source->read(source->state, bytes, sizeof bytes, &got, err);
	if (status != BM_OK)
		return status;
	if (got == 0) {
		*end = true;
		return BM_OK;
	}
	if (got < sizeof bytes)
		return base_fail(err, BM_ERR_FORMAT, "a request is cut off: %zu of %d bytes came", got, REQUEST);
	uint32_t kind = get32(bytes + 4), name = get32(bytes + 16), body = get32(bytes + 20);
	if (get32(bytes) != tag_request || kind > 1)
		return base_fail(err, BM_ERR_FORMAT, "what came is no request");
	if (name > ENGINE_NAME_LIMIT)
		return base_fail(err, BM_ERR_LIMIT, "a name of %u bytes is longer than %d", name, ENGINE_NAME_LIMIT);
	if (kind == 0 && body > IMAGE_FILE_LIMIT)
		return base_fail(err, BM_ERR_LIMIT, "a file of %u bytes is larger than %zu", body, IMAGE_FILE_LIMIT);
	if (kind == 1 && body > ENGINE_REASON_LIMIT)
		return base_fail(err, BM_ERR_LIMIT, "a reason of %u bytes is longer than %d", body,
				 ENGINE_REASON_LIMIT);
	r->skip = kind == 1;
	r->index = get64(bytes + 8);
	r->hash = (base_hash){.low = get64(bytes + 24), .high = get64(bytes + 32)};
	status = read_all(source, r->name, name, "a name", err);
	r->name[status == BM_OK ? name : 0] = '\0';
	if (status == BM_OK)
		status = read_body(source, r, body, err);
	return status;
}

void engine_request_free(engine_request *request)
{
	base_free(request->body);
	request->body = NULL;
	request->size = request->capacity = 0;
}

/* ---- parts ---- */

uint32_t engine_preprocessing_number(void)
{
	return (uint32_t)base_hash_bytes(DATA_PACK_PREPROCESSING, strlen(DATA_PACK_PREPROCESSING)).low;
}

bm_status engine_write_part_begin(int fd, int side, bm_error *err)
{
	uint8_t bytes[BEGIN];
	memcpy(bytes, part_magic, 8);
	put32(bytes + 8, (uint32_t)side);
	put32(bytes + 12, engine_preprocessing_number());
	return engine_write_fd(fd, bytes, sizeof bytes, err);
}

/* Of everything but the check itself. */
static base_hash check_of(const uint8_t header[ENGINE_ANSWER_HEADER], const char *reason, size_t reason_size,
			  const uint8_t *pixels, size_t pixel_size)
{
	base_hash head = base_hash_bytes(header, ENGINE_ANSWER_HEADER - 16);
	head = base_hash_join(head, base_hash_bytes(reason, reason_size));
	return base_hash_join(head, base_hash_bytes(pixel_size ? (const void *)pixels : "", pixel_size));
}

static void encode(const engine_answer *a, size_t reason_size, size_t pixel_size, uint8_t header[ENGINE_ANSWER_HEADER])
{
	memset(header, 0, ENGINE_ANSWER_HEADER);
	put32(header, tag_answer);
	put32(header + 4, (uint32_t)a->status);
	put64(header + 8, a->index);
	put32(header + 16, (uint32_t)reason_size);
	put32(header + 20, (uint32_t)pixel_size);
	put64(header + 24, a->size);
}

bm_status engine_write_answer(int fd, int side, const engine_answer *a, bm_error *err)
{
	uint8_t header[ENGINE_ANSWER_HEADER];
	size_t reason = a->status == BM_OK ? 0 : strnlen(a->reason, ENGINE_REASON_LIMIT),
	       pixels = a->status == BM_OK ? (size_t)side * (size_t)side : 0;
	encode(a, reason, pixels, header);
	base_hash check = check_of(header, a->reason, reason, a->pixels, pixels);
	put64(header + 32, check.low);
	put64(header + 40, check.high);
	bm_status status = engine_write_fd(fd, header, sizeof header, err);
	if (status == BM_OK)
		status = engine_write_fd(fd, a->reason, reason, err);
	if (status == BM_OK)
		status = engine_write_fd(fd, a->pixels, pixels, err);
	return status;
}

bm_status engine_write_part_end(int fd, uint64_t count, bm_error *err)
{
	uint8_t bytes[END] = {0};
	put32(bytes, tag_end);
	put64(bytes + 8, count);
	return engine_write_fd(fd, bytes, sizeof bytes, err);
}

static bm_status damaged(const engine_part *part, const char *why, bm_error *err)
{
	return base_fail(err, BM_ERR_FORMAT, "'%s' is damaged: %s", part->name, why);
}

bm_status engine_part_begin(engine_part *part, int side, bm_error *err)
{
	uint8_t bytes[BEGIN];
	part->count = 0;
	part->side = side;
	bm_status status = read_all(&part->source, bytes, sizeof bytes, part->name, err);
	if (status != BM_OK)
		return status;
	if (memcmp(bytes, part_magic, 8) != 0)
		return damaged(part, "it does not begin as a part of this version of brainmri does", err);
	if (get32(bytes + 8) != (uint32_t)side)
		return base_fail(err, BM_ERR_FORMAT, "'%s' holds images of %u pixels, not %d", part->name,
				 get32(bytes + 8), side);
	if (get32(bytes + 12) != engine_preprocessing_number())
		return base_fail(err, BM_ERR_UNSUPPORTED,
				 "'%s' comes from a worker of another version of brainmri, which makes other pixels; "
				 "preprocess again with the brainmri-worker that was built with this program",
				 part->name);
	return BM_OK;
}

static bm_status read_end(engine_part *part, uint8_t header[ENGINE_ANSWER_HEADER], bm_error *err)
{
	uint8_t more;
	size_t got = 0;
	bm_status status = read_all(&part->source, header + TAG, END - TAG, part->name, err);
	if (status != BM_OK)
		return status;
	if (get64(header + 8) != part->count)
		return base_fail(err, BM_ERR_FORMAT, "'%s' is damaged: it holds %llu images, and its end says %llu",
				 part->name, (unsigned long long)part->count, (unsigned long long)get64(header + 8));
	status = part->source.read(part->source.state, &more, 1, &got, err);
	if (status == BM_OK && got > 0)
		status = damaged(part, "something stands behind its end", err);
	return status;
}

bm_status engine_part_next(engine_part *part, engine_answer *a, base_hash *check, bool *end, bm_error *err)
{
	uint8_t header[ENGINE_ANSWER_HEADER];
	*end = false;
	bm_status status = read_all(&part->source, header, TAG, part->name, err);
	if (status != BM_OK)
		return status;
	if (get32(header) == tag_end) {
		*end = true;
		return read_end(part, header, err);
	}
	if (get32(header) != tag_answer)
		return damaged(part, "an image does not begin where it should", err);
	status = read_all(&part->source, header + TAG, sizeof header - TAG, part->name, err);
	if (status != BM_OK)
		return status;
	uint32_t code = get32(header + 4), reason = get32(header + 16), pixels = get32(header + 20);
	if (code >= BM_STATUS_COUNT || reason > ENGINE_REASON_LIMIT || (code == BM_OK) != (reason == 0) ||
	    pixels != (code == BM_OK ? (uint32_t)part->side * (uint32_t)part->side : 0))
		return damaged(part, "an image's sizes cannot be right", err);
	a->status = (bm_status)code;
	a->index = get64(header + 8);
	a->size = get64(header + 24);
	*check = (base_hash){.low = get64(header + 32), .high = get64(header + 40)};
	status = read_all(&part->source, a->reason, reason, part->name, err);
	a->reason[status == BM_OK ? reason : 0] = '\0';
	if (status != BM_OK)
		return status;
	if (code != BM_OK && !base_hash_equal(*check, check_of(header, a->reason, reason, NULL, 0)))
		return damaged(part, "an image's check is wrong", err);
	part->count++;
	return BM_OK;
}

bm_status engine_part_pixels(engine_part *part, const engine_answer *a, base_hash check, uint8_t *pixels, bm_error *err)
{
	uint8_t header[ENGINE_ANSWER_HEADER];
	size_t size = (size_t)part->side * (size_t)part->side;
	bm_status status = read_all(&part->source, pixels, size, part->name, err);
	if (status != BM_OK)
		return status;
	encode(a, 0, size, header);
	if (!base_hash_equal(check, check_of(header, "", 0, pixels, size)))
		return damaged(part, "an image's check is wrong", err);
	return BM_OK;
}
