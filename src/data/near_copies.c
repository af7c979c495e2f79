#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clones.h"
#include "base/memory.h"
#include "base/threads.h"
#include "data/split.h"

/* All pairs of n images would be n^2 / 2 products of 2304 numbers. A cheap upper bound comes first: split each
 * normalised thumbnail into its 4x4 block means (a projection: 144 numbers when each is scaled by the block's
 * norm) and the rest. By Cauchy and Schwarz
 *     a.b = Pa.Pb + Ra.Rb <= Pa.Pb + |Ra| |Rb|,
 * which is the product of two vectors of 145 numbers. Only pairs whose bound is above the threshold are multiplied
 * out, so that the result is exact. */
enum {
	SIDE = DATA_NEAR_COPY_SIDE,
	PIXELS = SIDE * SIDE,
	BLOCK = 4,
	BLOCKS = (SIDE / BLOCK) * (SIDE / BLOCK),
	SHORT = BLOCKS + 1, /* length of the vectors of the bound */
	PANEL = 32,	    /* images whose short vectors lie side by side */
	ROWS = 4,	    /* images of one panel that are multiplied with another at once */
};

/* Rounding may take this much off a bound. */
static const float MARGIN = 1e-4f;

struct pair {
	size_t a, b;
};

struct pairs {
	struct pair *items;
	size_t count, capacity;
};

struct search {
	const data_pack *pack;
	const base_observer *observer;
	float *thumbs; /* [count][PIXELS], mean-free, of length 1 (or 0: a constant image) */
	float *shorts; /* [panels][SHORT][PANEL] */
	size_t panels;
	struct pairs *found; /* [panels]: of the rows of one panel */
	atomic_llong done;
	double start;
};

static bm_status make_thumb(void *arg, int worker, size_t index, bm_error *err)
{
	struct search *search = arg;
	const data_pack *pack = search->pack;
	uint8_t pixels[PIXELS];
	size_t size = (size_t)pack->side * (size_t)pack->side;
	/* image_resize does not write to its input. */
	const image in = {.width = pack->side,
			  .height = pack->side,
			  .channels = 1,
			  .pixels = (uint8_t *)(uintptr_t)(pack->images + index * size)};
	image out = {.width = SIDE, .height = SIDE, .channels = 1, .pixels = pixels};
	(void)worker;
	bm_status status = base_check_cancel(search->observer, err);
	if (status == BM_OK)
		status = image_resize(&in, &out, err);
	if (status != BM_OK)
		return status;
	float *thumb = search->thumbs + index * PIXELS,
	      *bound = search->shorts + index / PANEL * (SHORT * PANEL) + index % PANEL;
	double sum = 0, squares = 0, rest = 0;
	for (int i = 0; i < PIXELS; i++)
		sum += pixels[i];
	for (int i = 0; i < PIXELS; i++)
		squares += (pixels[i] - sum / PIXELS) * (pixels[i] - sum / PIXELS);
	double scale = squares > 0.5 ? 1 / sqrt(squares) : 0;
	for (int i = 0; i < PIXELS; i++)
		thumb[i] = (float)((pixels[i] - sum / PIXELS) * scale);
	for (int b = 0; b < BLOCKS; b++) {
		const float *at = thumb + b / (SIDE / BLOCK) * BLOCK * SIDE + b % (SIDE / BLOCK) * BLOCK;
		double block = 0, block_squares = 0;
		for (int y = 0; y < BLOCK; y++) {
			for (int x = 0; x < BLOCK; x++) {
				block += at[y * SIDE + x];
				block_squares += (double)at[y * SIDE + x] * at[y * SIDE + x];
			}
		}
		block /= BLOCK; /* the norm of a block of ones */
		bound[b * PANEL] = (float)block;
		rest += block_squares - block * block;
	}
	bound[BLOCKS * PANEL] = rest > 0 ? (float)sqrt(rest) : 0.0f;
	return BM_OK;
}

/* out[r][c] = sum over k of rows[k][r] * columns[k][c]: the bounds of ROWS images of one panel with all of another. */
BASE_CLONES static void bounds(const float *restrict rows, const float *restrict columns,
			       float out[restrict ROWS][PANEL])
{
	float sums[ROWS][PANEL] = {{0}};
	for (int k = 0; k < SHORT; k++) {
		for (int r = 0; r < ROWS; r++) {
			float row = rows[k * PANEL + r];
			for (int c = 0; c < PANEL; c++)
				sums[r][c] += row * columns[k * PANEL + c];
		}
	}
	memcpy(out, sums, sizeof sums);
}

/* The inner product of two thumbnails, in 64 fixed partial sums. */
BASE_CLONES static float product(const float *restrict a, const float *restrict b)
{
	float sums[64] = {0}, total = 0;
	_Static_assert(PIXELS % 64 == 0, "whole partial sums");
	for (int i = 0; i < PIXELS; i += 64) {
		for (int j = 0; j < 64; j++)
			sums[j] += a[i + j] * b[i + j];
	}
	for (int j = 0; j < 64; j++)
		total += sums[j];
	return total;
}

static bm_status compare_panels(void *arg, int worker, size_t first, bm_error *err)
{
	struct search *search = arg;
	struct pairs *found = &search->found[first];
	size_t count = search->pack->count;
	_Alignas(64) float out[ROWS][PANEL];
	bm_status status = base_check_cancel(search->observer, err);
	if (status != BM_OK)
		return status;
	const float *mine = search->shorts + first * (SHORT * PANEL);
	for (size_t second = first; second < search->panels; second++) {
		const float *others = search->shorts + second * (SHORT * PANEL);
		for (size_t row = 0; row < PANEL; row += ROWS) {
			bounds(mine + row, others, out);
			for (size_t i = 0; i < ROWS * PANEL; i++) {
				size_t a = first * PANEL + row + i / PANEL, b = second * PANEL + i % PANEL;
				if (out[i / PANEL][i % PANEL] <= DATA_NEAR_COPY_CORRELATION - MARGIN || b <= a ||
				    b >= count)
					continue;
				if (product(search->thumbs + a * PIXELS, search->thumbs + b * PIXELS) <=
				    DATA_NEAR_COPY_CORRELATION)
					continue;
				status = base_grow(&found->items, &found->capacity, found->count, sizeof *found->items,
						   "near-copies", err);
				if (status != BM_OK)
					return status;
				found->items[found->count++] = (struct pair){a, b};
			}
		}
	}
	long long done = atomic_fetch_add(&search->done, 1) + 1;
	if (worker == 0)
		base_report_progress(search->observer,
				     &(base_progress){.what = "Looking for near-copies",
						      .unit = "rows",
						      .done = done < (long long)search->panels ? done : done - 1,
						      .total = (long long)search->panels,
						      .seconds = base_now() - search->start});
	return BM_OK;
}

static size_t find_root(size_t *group, size_t i)
{
	while (group[i] != i) {
		group[i] = group[group[i]];
		i = group[i];
	}
	return i;
}

/* The lower index becomes the root: a group's number is the lowest index in it, in whatever order pairs come. */
static void unite(size_t *group, size_t a, size_t b)
{
	a = find_root(group, a);
	b = find_root(group, b);
	if (a < b)
		group[b] = a;
	else
		group[a] = b;
}

struct keyed {
	base_hash hash;
	size_t index;
};

static int compare_keyed(const void *a, const void *b)
{
	const struct keyed *x = a, *y = b;
	if (x->hash.high != y->hash.high)
		return x->hash.high < y->hash.high ? -1 : 1;
	if (x->hash.low != y->hash.low)
		return x->hash.low < y->hash.low ? -1 : 1;
	return x->index < y->index ? -1 : x->index > y->index;
}

/* Files with the same bytes: found by hash, as a constant image has no correlation with its own copy. */
static bm_status unite_exact(const data_pack *pack, data_near_copies *copies, bm_error *err)
{
	struct keyed *keys = base_malloc(pack->count, sizeof *keys, "near-copies", err);
	if (!keys)
		return BM_ERR_MEMORY;
	for (size_t i = 0; i < pack->count; i++)
		keys[i] = (struct keyed){pack->hashes[i], i};
	qsort(keys, pack->count, sizeof *keys, compare_keyed);
	for (size_t i = 0; i < pack->count; i++) {
		bool before = i > 0 && base_hash_equal(keys[i].hash, keys[i - 1].hash);
		bool behind = i + 1 < pack->count && base_hash_equal(keys[i].hash, keys[i + 1].hash);
		if (before)
			unite(copies->group, keys[i - 1].index, keys[i].index);
		copies->exact += before || behind;
	}
	base_free(keys);
	return BM_OK;
}

static bm_status count_groups(data_near_copies *copies, bm_error *err)
{
	size_t *sizes = base_calloc(copies->count, sizeof *sizes, "near-copies", err);
	if (!sizes)
		return BM_ERR_MEMORY;
	for (size_t i = 0; i < copies->count; i++) {
		copies->group[i] = find_root(copies->group, i);
		sizes[copies->group[i]]++;
	}
	for (size_t i = 0; i < copies->count; i++) {
		if (sizes[i] < 2)
			continue;
		copies->groups++;
		copies->images += sizes[i];
	}
	base_free(sizes);
	return BM_OK;
}

bm_status data_find_near_copies(const data_pack *pack, int threads, const base_observer *observer,
				data_near_copies *out, bm_error *err)
{
	struct search search = {
		.pack = pack, .observer = observer, .panels = (pack->count + PANEL - 1) / PANEL, .start = base_now()};
	data_near_copies copies = {.count = pack->count};
	bm_status status = BM_ERR_MEMORY;
	*out = (data_near_copies){0};
	copies.group = base_malloc(pack->count, sizeof *copies.group, "near-copies", err);
	if (copies.group)
		search.found = base_calloc(search.panels, sizeof *search.found, "near-copies", err);
	if (search.found)
		search.shorts = base_calloc(search.panels * SHORT * PANEL, sizeof *search.shorts, "thumbnails", err);
	if (search.shorts)
		search.thumbs = base_malloc(pack->count, PIXELS * sizeof *search.thumbs, "thumbnails", err);
	if (!search.thumbs)
		goto end;
	for (size_t i = 0; i < pack->count; i++)
		copies.group[i] = i;
	status = base_parallel(threads, pack->count, make_thumb, &search, err);
	if (status == BM_OK)
		status = base_parallel(threads, search.panels, compare_panels, &search, err);
	if (status != BM_OK)
		goto end;
	base_report_progress(observer, &(base_progress){.what = "Looking for near-copies",
							.unit = "rows",
							.done = (long long)search.panels,
							.total = (long long)search.panels,
							.seconds = base_now() - search.start});
	for (size_t p = 0; p < search.panels; p++) {
		for (size_t i = 0; i < search.found[p].count; i++) {
			struct pair pair = search.found[p].items[i];
			unite(copies.group, pair.a, pair.b);
			copies.across_classes += pack->labels[pair.a] != pack->labels[pair.b];
		}
	}
	status = unite_exact(pack, &copies, err);
	if (status == BM_OK)
		status = count_groups(&copies, err);
end:
	if (search.found) {
		for (size_t p = 0; p < search.panels; p++)
			base_free(search.found[p].items);
	}
	base_free(search.found);
	base_free(search.shorts);
	base_free(search.thumbs);
	if (status == BM_OK)
		*out = copies;
	else
		data_near_copies_free(&copies);
	return status;
}

void data_near_copies_free(data_near_copies *copies)
{
	base_free(copies->group);
	*copies = (data_near_copies){0};
}
