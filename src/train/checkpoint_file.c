#include "train/checkpoint_file.h"

#include <errno.h>
#include <string.h>

#include "base/memory.h"

#define MAGIC "bmCKPT\r\n"
#define VERSION 1
#define BLOCK ((size_t)1 << 20)
#define ALIGNMENT 64

typedef struct header {
	char magic[8];
	uint32_t version, reserved;
	uint64_t text_length;
	uint64_t counts[TRAIN_SECTIONS];
	uint64_t total; /* bytes of the file, hash included */
} header;
_Static_assert(sizeof(header) == ALIGNMENT, "the header fills one alignment unit");

static size_t padded(size_t n)
{
	return (n + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

/* Bytes on their way to the file, hashed block by block. */
typedef struct stream {
	FILE *file;
	uint8_t *block;
	size_t used;
	base_hash hash;
	bool failed;
} stream;

static void flush_block(stream *s)
{
	if (s->used == 0)
		return;
	s->hash = base_hash_join(s->hash, base_hash_bytes(s->block, s->used));
	s->failed |= fwrite(s->block, 1, s->used, s->file) != s->used;
	s->used = 0;
}

static void put(stream *s, const void *bytes, size_t size)
{
	const uint8_t *from = bytes;
	while (size > 0 && !s->failed) {
		const size_t n = size < BLOCK - s->used ? size : BLOCK - s->used;
		memcpy(s->block + s->used, from, n);
		s->used += n;
		from += n;
		size -= n;
		if (s->used == BLOCK)
			flush_block(s);
	}
}

bm_status train_file_write(const char *path, const char *text, const train_piece *pieces, size_t piece_count,
			   base_hash *hash, bm_error *err)
{
	static const char zeros[ALIGNMENT];
	header head = {.magic = MAGIC, .version = VERSION, .text_length = strlen(text)};
	const size_t text_size = padded(head.text_length);
	head.total = sizeof head + text_size + sizeof(base_hash);
	for (size_t i = 0; i < piece_count; i++) {
		head.counts[pieces[i].section] += pieces[i].count;
		head.total += pieces[i].count * sizeof(float);
	}
	base_writer writer = {0};
	stream s = {.block = base_malloc(BLOCK, 1, "a checkpoint", err)};
	if (!s.block)
		return BM_ERR_MEMORY;
	bm_status status = base_writer_open(&writer, path, err);
	if (status != BM_OK)
		goto end;
	s.file = writer.file;
	put(&s, &head, sizeof head);
	put(&s, text, head.text_length);
	put(&s, zeros, text_size - head.text_length);
	for (size_t i = 0; i < piece_count; i++)
		put(&s, pieces[i].values, pieces[i].count * sizeof(float));
	flush_block(&s);
	s.failed |= fwrite(&s.hash, 1, sizeof s.hash, s.file) != sizeof s.hash;
	if (s.failed)
		status = base_fail(err, BM_ERR_IO, "cannot write '%s': %s; free some space or choose another folder",
				   path, strerror(errno));
	else
		status = base_writer_commit(&writer, err);
	if (hash)
		*hash = s.hash;
end:
	base_writer_abort(&writer);
	base_free(s.block);
	return status;
}

static bm_status damaged(const char *path, const char *why, bm_error *err)
{
	return base_fail(err, BM_ERR_FORMAT,
			 "the checkpoint '%s' is damaged: %s; start the training anew, without --resume", path, why);
}

bm_status train_file_open(train_file *file, const char *path, bm_error *err)
{
	*file = (train_file){0};
	bm_status status = base_map_open(&file->map, path, err);
	if (status != BM_OK)
		return status;
	const uint8_t *bytes = file->map.bytes;
	const size_t size = file->map.size;
	header head;
	if (size < sizeof head + sizeof(base_hash) || memcmp(bytes, MAGIC, sizeof head.magic) != 0) {
		status = damaged(path, "it does not begin like one", err);
		goto failed;
	}
	memcpy(&head, bytes, sizeof head);
	if (head.version != VERSION) {
		status = base_fail(err, BM_ERR_UNSUPPORTED,
				   "the checkpoint '%s' has format %u, this program reads format %d; start the "
				   "training anew, without --resume",
				   path, head.version, VERSION);
		goto failed;
	}
	if (head.total != size) {
		status = damaged(path, "it is cut off, or longer than it was", err);
		goto failed;
	}
	for (size_t at = 0; at < size - sizeof(base_hash); at += BLOCK) {
		const size_t left = size - sizeof(base_hash) - at;
		file->hash = base_hash_join(file->hash, base_hash_bytes(bytes + at, left < BLOCK ? left : BLOCK));
	}
	base_hash written;
	memcpy(&written, bytes + size - sizeof written, sizeof written);
	if (!base_hash_equal(file->hash, written)) {
		status = damaged(path, "its checksum is wrong", err);
		goto failed;
	}
	/* The checksum holds; the sizes are looked at all the same, since they lead to memory accesses. */
	size_t at = sizeof head;
	if (head.text_length > size - at - sizeof written || padded(head.text_length) > size - at - sizeof written) {
		status = damaged(path, "its text is longer than it", err);
		goto failed;
	}
	file->text = (const char *)bytes + at;
	file->text_length = head.text_length;
	at += padded(head.text_length);
	for (int i = 0; i < TRAIN_SECTIONS; i++) {
		if (head.counts[i] > (size - sizeof written - at) / sizeof(float)) {
			status = damaged(path, "a section is longer than it", err);
			goto failed;
		}
		file->sections[i] = (const float *)(const void *)(bytes + at);
		file->counts[i] = head.counts[i];
		at += head.counts[i] * sizeof(float);
	}
	return BM_OK;
failed:
	train_file_close(file);
	return status;
}

void train_file_close(train_file *file)
{
	base_map_close(&file->map);
	*file = (train_file){0};
}
