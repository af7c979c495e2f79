#include "data/leaks.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/threads.h"

enum { SIDE = DATA_NEAR_COPY_SIDE, PIXELS = SIDE * SIDE };

/* Both packs shrunk into one, the training images first. */
typedef struct joint {
	const data_pack *train, *test;
	data_pack pack; /* side SIDE; its arrays are its own, but for the map, which it has not */
	uint8_t *pixels;
} joint;

static bm_status shrink(void *arg, int worker, size_t index, bm_error *err)
{
	joint *j = arg;
	bool test = index >= j->train->count;
	const data_pack *from = test ? j->test : j->train;
	size_t at = test ? index - j->train->count : index, size = (size_t)from->side * (size_t)from->side;
	/* image_resize does not write to its input. */
	const image in = {.width = from->side,
			  .height = from->side,
			  .channels = 1,
			  .pixels = (uint8_t *)(uintptr_t)(from->images + at * size)};
	image out = {.width = SIDE, .height = SIDE, .channels = 1, .pixels = j->pixels + index * PIXELS};
	(void)worker;
	return image_resize(&in, &out, err);
}

static bm_status join(joint *j, int threads, bm_error *err)
{
	size_t count = j->train->count + j->test->count;
	j->pixels = base_malloc(count, PIXELS, "thumbnails", err);
	j->pack.labels = base_calloc(count, sizeof *j->pack.labels, "thumbnails", err);
	j->pack.hashes = base_malloc(count, sizeof *j->pack.hashes, "thumbnails", err);
	if (!j->pixels || !j->pack.labels || !j->pack.hashes)
		return BM_ERR_MEMORY;
	memcpy(j->pack.hashes, j->train->hashes, j->train->count * sizeof *j->pack.hashes);
	memcpy(j->pack.hashes + j->train->count, j->test->hashes, j->test->count * sizeof *j->pack.hashes);
	j->pack.count = count;
	j->pack.side = SIDE;
	j->pack.images = j->pixels;
	return base_parallel(threads, count, shrink, j, err);
}

static float correlation(const uint8_t *a, const uint8_t *b)
{
	double mean_a = 0, mean_b = 0, product = 0, square_a = 0, square_b = 0;
	for (int i = 0; i < PIXELS; i++) {
		mean_a += (double)a[i] / PIXELS;
		mean_b += (double)b[i] / PIXELS;
	}
	for (int i = 0; i < PIXELS; i++) {
		product += (a[i] - mean_a) * (b[i] - mean_b);
		square_a += (a[i] - mean_a) * (a[i] - mean_a);
		square_b += (b[i] - mean_b) * (b[i] - mean_b);
	}
	return square_a > 0.5 && square_b > 0.5 ? (float)(product / sqrt(square_a * square_b)) : 0;
}

/* The training images of each group, as a list: first[group], next[image]. */
static bm_status judge(const joint *j, const data_near_copies *copies, data_leaks *out, bm_error *err)
{
	size_t train = j->train->count, all = j->pack.count;
	size_t *first = base_malloc(all, sizeof *first, "the groups", err);
	size_t *next = base_malloc(train, sizeof *next, "the groups", err);
	if (!first || !next) {
		base_free(first);
		base_free(next);
		return BM_ERR_MEMORY;
	}
	memset(first, 0xff, all * sizeof *first);
	for (size_t i = train; i-- > 0;) {
		next[i] = first[copies->group[i]];
		first[copies->group[i]] = i;
	}
	for (size_t t = 0; t < out->count; t++) {
		size_t me = train + t;
		out->kind[t] = DATA_LEAK_NONE;
		out->partner[t] = SIZE_MAX;
		out->correlation[t] = 0;
		for (size_t i = first[copies->group[me]]; i != SIZE_MAX; i = next[i]) {
			bool exact = base_hash_equal(j->pack.hashes[i], j->pack.hashes[me]);
			float r = exact ? 1 : correlation(j->pixels + i * PIXELS, j->pixels + me * PIXELS);
			if (out->kind[t] != DATA_LEAK_NONE && !exact && r <= out->correlation[t])
				continue;
			out->partner[t] = i;
			out->correlation[t] = r;
			out->kind[t] = exact				? DATA_LEAK_EXACT
				       : r > DATA_NEAR_COPY_CORRELATION ? DATA_LEAK_NEAR
									: DATA_LEAK_CHAIN;
			if (exact)
				break;
		}
		out->of_kind[out->kind[t]]++;
		if (out->partner[t] != SIZE_MAX && strcmp(j->train->class_names[j->train->labels[out->partner[t]]],
							  j->test->class_names[j->test->labels[t]]) != 0)
			out->across_classes++;
	}
	base_free(first);
	base_free(next);
	return BM_OK;
}

bm_status data_find_leaks(const data_pack *train, const data_pack *test, int threads, const base_observer *observer,
			  data_leaks *out, bm_error *err)
{
	joint j = {.train = train, .test = test};
	data_near_copies copies = {0};
	*out = (data_leaks){.count = test->count};
	out->kind = base_malloc(test->count, sizeof *out->kind, "the audit", err);
	out->partner = base_malloc(test->count, sizeof *out->partner, "the audit", err);
	out->correlation = base_malloc(test->count, sizeof *out->correlation, "the audit", err);
	bm_status status = out->kind && out->partner && out->correlation ? BM_OK : BM_ERR_MEMORY;
	if (status == BM_OK)
		status = join(&j, threads, err);
	if (status == BM_OK)
		status = data_find_near_copies(&j.pack, threads, observer, &copies, err);
	if (status == BM_OK)
		status = judge(&j, &copies, out, err);
	data_near_copies_free(&copies);
	base_free(j.pixels);
	base_free(j.pack.labels);
	base_free(j.pack.hashes);
	if (status != BM_OK)
		data_leaks_free(out);
	return status;
}

void data_leaks_free(data_leaks *leaks)
{
	base_free(leaks->kind);
	base_free(leaks->partner);
	base_free(leaks->correlation);
	*leaks = (data_leaks){0};
}
