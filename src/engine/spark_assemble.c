/* Parts in, slots of a pack out: every image exactly once. */
#include <stdatomic.h>
#include <string.h>

#include "base/memory.h"
#include "base/threads.h"
#include "engine/frame.h"
#include "engine/preprocess.h"
#include "engine/spark_job.h"

enum { PIECE = 8 << 20, TRANSFERS = 4 };

/* A file of the storage, read in large pieces. */
struct stream {
	storage *from;
	const char *name;
	uint8_t *piece;
	uint64_t offset; /* of the piece's end */
	size_t size, at;
	bool end;
};

static bm_status read_stream(void *state, void *to, size_t size, size_t *got, bm_error *err)
{
	struct stream *stream = state;
	*got = 0;
	while (*got < size) {
		if (stream->at == stream->size) {
			if (stream->end)
				return BM_OK;
			bm_status status = storage_read_range(stream->from, stream->name, stream->offset, PIECE,
							      stream->piece, &stream->size, err);
			if (status != BM_OK)
				return status;
			stream->at = 0;
			stream->offset += stream->size;
			stream->end = stream->size < PIECE;
			continue;
		}
		size_t n = stream->size - stream->at < size - *got ? stream->size - stream->at : size - *got;
		memcpy((uint8_t *)to + *got, stream->piece + stream->at, n);
		stream->at += n;
		*got += n;
	}
	return BM_OK;
}

struct assembly {
	storage *exchange;
	const data_set *set;
	int side;
	data_pack_writer *writer;
	char **reasons;
	const base_observer *observer;
	_Atomic uint32_t *owners; /* [set->count]: 1 + the part that an image came from; 0: none yet */
};

static bm_status take_answer(struct assembly *a, engine_part *part, const engine_answer *answer, base_hash check,
			     uint32_t number, bm_error *err)
{
	if (answer->index >= a->set->count)
		return base_fail(err, BM_ERR_FORMAT, "'%s' holds an image %llu, and there are %zu", part->name,
				 (unsigned long long)answer->index, a->set->count);
	size_t index = (size_t)answer->index;
	uint32_t owner = atomic_exchange(&a->owners[index], number + 1);
	if (owner != 0)
		return base_fail(
			err, BM_ERR_DATA,
			"'%s' came twice from Spark, in part %u and in part %u; preprocess again, and please report "
			"this",
			a->set->items[index].path, owner - 1, number);
	if (answer->status == BM_OK) {
		bm_status status = engine_part_pixels(part, answer, check, answer->pixels, err);
		return status == BM_OK ? data_pack_writer_put(a->writer, index, answer->pixels, err) : status;
	}
	if (!engine_is_damage(answer->status))
		return base_fail(err, answer->status, "'%s': %s", a->set->items[index].path, answer->reason);
	a->reasons[index] = base_strdup(answer->reason, err);
	if (!a->reasons[index])
		return BM_ERR_MEMORY;
	data_pack_writer_drop(a->writer, index);
	return BM_OK;
}

static bm_status take_part(void *arg, int worker, size_t number, bm_error *err)
{
	struct assembly *a = arg;
	char name[32];
	bool end = false;
	engine_answer answer = {0};
	base_hash check;
	(void)worker;
	snprintf(name, sizeof name, "part-%05zu", number);
	struct stream stream = {.from = a->exchange, .name = name};
	engine_part part = {.source = {read_stream, &stream}, .name = name};
	stream.piece = base_malloc(PIECE, 1, "a part", err);
	answer.pixels = base_malloc((size_t)a->side, (size_t)a->side, "an image", err);
	bm_status status = stream.piece && answer.pixels ? engine_part_begin(&part, a->side, err) : BM_ERR_MEMORY;
	if (status == BM_ERR_NOT_FOUND)
		status = base_fail(
			err, BM_ERR_DATA,
			"Spark's job ended, but its part '%s' is not there; do all machines share the folder '%s'?",
			name, storage_url(a->exchange));
	while (status == BM_OK) {
		status = base_check_cancel(a->observer, err);
		if (status == BM_OK)
			status = engine_part_next(&part, &answer, &check, &end, err);
		if (status != BM_OK || end)
			break;
		status = take_answer(a, &part, &answer, check, (uint32_t)number, err);
	}
	base_free(answer.pixels);
	base_free(stream.piece);
	return status;
}

bm_status engine_spark_assemble(storage *exchange, int partitions, const data_set *set, int side,
				data_pack_writer *writer, char **reasons, const base_observer *observer, bm_error *err)
{
	struct assembly a = {.exchange = exchange,
			     .set = set,
			     .side = side,
			     .writer = writer,
			     .reasons = reasons,
			     .observer = observer};
	size_t missing = 0, first = 0;
	a.owners = base_calloc(set->count, sizeof *a.owners, "the list of images", err);
	if (!a.owners)
		return BM_ERR_MEMORY;
	bm_status status = base_parallel(TRANSFERS, (size_t)partitions, take_part, &a, err);
	for (size_t i = set->count; status == BM_OK && i-- > 0;) {
		if (atomic_load(&a.owners[i]) == 0) {
			first = i;
			missing++;
		}
	}
	if (missing > 0)
		status = base_fail(
			err, BM_ERR_DATA,
			"%zu of %zu images did not come back from Spark, the first is '%s'; preprocess again, and "
			"please report this",
			missing, set->count, set->items[first].path);
	base_free(a.owners);
	return status;
}
