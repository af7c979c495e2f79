#include "data/loader.h"

#include <pthread.h>
#include <string.h>

#include "base/memory.h"
#include "base/random.h"
#include "base/threads.h"
#include "data/augment.h"

/* A ring of batches. Workers take pieces of a few images in order, piece by piece through batch after batch, as
 * long as the ring has room; what a piece holds is a function of (seed, epoch, position), so it does not matter
 * who makes it. */
enum { PIECE = 8, SIZE_MAX_PIXELS = 1024, AHEAD = 4, THREADS_MAX = 256 };

/* Streams of random numbers. */
static const uint64_t ORDER = 0x6F72646572 /* "order" */, CHANGE = 0x6368616E6765 /* "change" */,
		      LEVELS = 0x6C6576656C73 /* "levels" */;

struct slot {
	data_batch batch;
	float *images;
	int *labels;
	size_t *indices;
	int made; /* images that are finished */
};

struct worker {
	data_loader *loader;
	data_scratch scratch;
	pthread_t thread;
};

struct data_loader {
	const data_pack *pack;
	data_loader_options options;
	size_t count, batches;
	size_t *indices;    /* [count], into the pack */
	size_t *order;	    /* [count], positions of this epoch: into indices */
	uint8_t *resized;   /* [count][size][size], in the order of indices; NULL: the pack has this size */
	struct slot *slots; /* batch b is made in slots[b % slot_count] */
	size_t slot_count;
	struct worker *workers; /* [options.threads] */
	int scratches, started; /* how many workers have one */
	bool locks;		/* the three below exist */

	pthread_mutex_t lock; /* guards what follows, the slots' `made`, and order between epochs */
	pthread_cond_t work, ready;
	bool quit, running; /* running: pieces may be taken */
	uint64_t epoch;
	size_t next_batch; /* whose pieces are being handed out */
	int next_piece;	   /* first image in it that was not handed out */
	size_t given;	   /* the first batch that the consumer did not give back; with `holds` it reads it now */
	bool holds;
	int busy; /* workers in a piece */
	double waited;
};

static int batch_size(const data_loader *l, size_t batch)
{
	size_t left = l->count - batch * (size_t)l->options.batch;
	return l->options.shuffle || left > (size_t)l->options.batch ? l->options.batch : (int)left;
}

static const uint8_t *image_pixels(const data_loader *l, size_t member)
{
	size_t area = (size_t)l->options.image_size * (size_t)l->options.image_size;
	return l->resized ? l->resized + member * area : l->pack->images + l->indices[member] * area;
}

/* The pixels, or now and then what becomes of them with another image's grey levels. A stream of its own leaves the other changes as they were. */
static const uint8_t *take_levels(const data_loader *l, const uint8_t *pixels, size_t position, data_scratch *scratch)
{
	const data_loader_options *o = &l->options;
	if (o->augmentation.levels <= 0)
		return pixels;
	base_random random = base_random_make(o->seed, base_random_mix(base_random_mix(LEVELS, l->epoch), position));
	if (base_random_uniform(&random) >= o->augmentation.levels)
		return pixels;
	const size_t other = (size_t)base_random_below(&random, l->count);
	const float amount = base_random_uniform(&random);
	data_match_levels(pixels, image_pixels(l, other), (size_t)o->image_size * (size_t)o->image_size, amount,
			  scratch->matched);
	return scratch->matched;
}

/* Images [from, to) of a batch. Reads only what stands still while workers are busy. */
static void make_piece(const data_loader *l, struct slot *slot, size_t batch, int from, int to, data_scratch *scratch)
{
	const data_loader_options *o = &l->options;
	size_t floats = (size_t)o->image_size * (size_t)o->image_size * (size_t)o->channels;
	bool plain = data_augmentation_is_none(&o->augmentation);
	for (int i = from; i < to; i++) {
		size_t position = batch * (size_t)o->batch + (size_t)i, member = l->order[position % l->count];
		const uint8_t *pixels = image_pixels(l, member);
		float *out = slot->images + (size_t)i * floats;
		slot->indices[i] = l->indices[member];
		slot->labels[i] = l->pack->labels[l->indices[member]];
		if (plain) {
			data_pixels_to_floats(pixels, o->image_size, o->channels, out);
			continue;
		}
		pixels = take_levels(l, pixels, position, scratch);
		base_random random =
			base_random_make(o->seed, base_random_mix(base_random_mix(CHANGE, l->epoch), position));
		data_augment(pixels, o->image_size, o->channels, &o->augmentation, &random, scratch, out);
	}
}

static bool may_take(const data_loader *l)
{
	return l->running && l->next_batch < l->batches && l->next_batch < l->given + l->slot_count;
}

static void *work(void *arg)
{
	struct worker *worker = arg;
	data_loader *l = worker->loader;
	pthread_mutex_lock(&l->lock);
	while (!l->quit) {
		if (!may_take(l)) {
			pthread_cond_wait(&l->work, &l->lock);
			continue;
		}
		size_t batch = l->next_batch;
		struct slot *slot = &l->slots[batch % l->slot_count];
		int size = batch_size(l, batch), from = l->next_piece, to = size - from > PIECE ? from + PIECE : size;
		if (from == 0)
			slot->made = 0;
		l->next_piece = to;
		if (to == size) {
			l->next_batch++;
			l->next_piece = 0;
		}
		l->busy++;
		pthread_mutex_unlock(&l->lock);
		make_piece(l, slot, batch, from, to, &worker->scratch);
		pthread_mutex_lock(&l->lock);
		l->busy--;
		slot->made += to - from;
		if (slot->made == size || (!l->running && l->busy == 0))
			pthread_cond_broadcast(&l->ready);
	}
	pthread_mutex_unlock(&l->lock);
	return NULL;
}

/* Hands out no more pieces and waits for those that are being made. Called with the lock. */
static void halt(data_loader *l)
{
	l->running = false;
	while (l->busy > 0)
		pthread_cond_wait(&l->ready, &l->lock);
}

/* ---- making and freeing ---- */

static bm_status check(const data_pack *pack, const size_t *indices, size_t count, const data_loader_options *o,
		       bm_error *err)
{
	const data_augmentation *a = &o->augmentation;
	if (count == 0)
		return base_fail(err, BM_ERR_DATA, "there are no images to make batches of; look at the split");
	if (o->batch < 1 || o->batch > 1 << 16)
		return base_fail(err, BM_ERR_USAGE, "a batch of %d images is not possible; choose 1 to 65536",
				 o->batch);
	if (o->image_size < 8 || o->image_size > SIZE_MAX_PIXELS)
		return base_fail(err, BM_ERR_USAGE, "images of %d x %d pixels are not possible; choose 8 to %d",
				 o->image_size, o->image_size, SIZE_MAX_PIXELS);
	if (o->channels != 1 && o->channels != 3)
		return base_fail(err, BM_ERR_USAGE, "%d channels are not possible; choose 1 or 3", o->channels);
	if (o->threads < 0 || o->ahead < 0 || o->ahead > 1024)
		return base_fail(err, BM_ERR_USAGE, "%d worker threads and %d batches ahead are not possible",
				 o->threads, o->ahead);
	/* Written so that NaN fails. */
	if (!(a->zoom >= 0 && a->zoom < 1) || !(a->shift >= 0 && a->shift <= 1) ||
	    !(a->rotation >= 0 && a->rotation <= 180) || !(a->brightness >= 0 && a->brightness <= 1) ||
	    !(a->contrast >= 0 && a->contrast <= 1) || !(a->stretch >= 0 && a->stretch < 1) ||
	    !(a->gamma >= 0 && a->gamma <= 2) || !(a->erase >= 0 && a->erase < 1) ||
	    !(a->sharpness >= 0 && a->sharpness <= 4) || !(a->noise >= 0 && a->noise <= 1) ||
	    !(a->levels >= 0 && a->levels <= 1))
		return base_fail(err, BM_ERR_USAGE,
				 "an augmentation range is not possible; rotation is 0 to 180 degrees, shift, "
				 "brightness, contrast, noise and levels 0 to 1, gamma 0 to 2, sharpness 0 to 4, zoom, "
				 "stretch and erase below 1");
	for (size_t i = 0; i < count; i++) {
		if (indices[i] >= pack->count)
			return base_fail(err, BM_ERR_DATA, "image %zu is not in the pack of %zu; make the split again",
					 indices[i], pack->count);
	}
	return BM_OK;
}

static bm_status resize_one(void *arg, int worker, size_t member, bm_error *err)
{
	data_loader *l = arg;
	size_t side = (size_t)l->pack->side, size = (size_t)l->options.image_size;
	/* image_resize does not write to its input. */
	image in = {.width = l->pack->side,
		    .height = l->pack->side,
		    .channels = 1,
		    .pixels = (uint8_t *)(uintptr_t)(l->pack->images + l->indices[member] * side * side)};
	image out = {.width = l->options.image_size,
		     .height = l->options.image_size,
		     .channels = 1,
		     .pixels = l->resized + member * size * size};
	(void)worker;
	return image_resize(&in, &out, err);
}

static bm_status make_slots(data_loader *l, bm_error *err)
{
	const data_loader_options *o = &l->options;
	size_t batch = (size_t)o->batch,
	       floats = batch * (size_t)o->image_size * (size_t)o->image_size * (size_t)o->channels;
	l->slots = base_calloc(l->slot_count, sizeof *l->slots, "batches", err);
	if (!l->slots)
		return BM_ERR_MEMORY;
	for (size_t i = 0; i < l->slot_count; i++) {
		struct slot *slot = &l->slots[i];
		slot->images = base_malloc(floats, sizeof *slot->images, "batches", err);
		slot->labels = slot->images ? base_malloc(batch, sizeof *slot->labels, "batches", err) : NULL;
		slot->indices = slot->labels ? base_malloc(batch, sizeof *slot->indices, "batches", err) : NULL;
		if (!slot->indices)
			return BM_ERR_MEMORY;
		slot->batch = (data_batch){.images = slot->images, .labels = slot->labels, .indices = slot->indices};
	}
	return BM_OK;
}

static bm_status start_workers(data_loader *l, bm_error *err)
{
	l->workers = base_calloc((size_t)l->options.threads, sizeof *l->workers, "loader threads", err);
	if (!l->workers)
		return BM_ERR_MEMORY;
	for (int i = 0; i < l->options.threads; i++, l->scratches++) {
		l->workers[i].loader = l;
		if (data_scratch_create(l->options.image_size, &l->workers[i].scratch, err) != BM_OK)
			return BM_ERR_MEMORY;
	}
	/* Fewer than asked for (a limit of the system) only make it slower. */
	for (; l->started < l->options.threads; l->started++) {
		if (pthread_create(&l->workers[l->started].thread, NULL, work, &l->workers[l->started]) != 0)
			break;
	}
	if (l->started == 0)
		return base_fail(
			err, BM_ERR_MEMORY,
			"cannot start a loader thread: the system allows no more threads; close other programs");
	return BM_OK;
}

bm_status data_loader_create(const data_pack *pack, const size_t *indices, size_t count,
			     const data_loader_options *options, data_loader **out, bm_error *err)
{
	*out = NULL;
	bm_status status = check(pack, indices, count, options, err);
	if (status != BM_OK)
		return status;
	data_loader *l = base_calloc(1, sizeof *l, "a loader", err);
	if (!l)
		return BM_ERR_MEMORY;
	l->pack = pack;
	l->options = *options;
	if (l->options.threads == 0)
		l->options.threads = base_cores();
	if (l->options.threads > THREADS_MAX)
		l->options.threads = THREADS_MAX;
	l->count = count;
	l->batches = (count - 1) / (size_t)options->batch + 1;
	/* One more than are made ahead: the one that the consumer holds. */
	l->slot_count = (size_t)(options->ahead > 0 ? options->ahead : AHEAD) + 1;
	status = BM_ERR_MEMORY;
	l->indices = base_malloc(count, sizeof *l->indices, "a loader", err);
	l->order = l->indices ? base_malloc(count, sizeof *l->order, "a loader", err) : NULL;
	if (!l->order)
		goto failed;
	memcpy(l->indices, indices, count * sizeof *indices);
	if (options->image_size != pack->side) {
		l->resized = base_malloc(count, (size_t)options->image_size * (size_t)options->image_size,
					 "resized images", err);
		if (!l->resized)
			goto failed;
		status = base_parallel(l->options.threads, count, resize_one, l, err);
		if (status != BM_OK)
			goto failed;
	}
	status = make_slots(l, err);
	if (status != BM_OK)
		goto failed;
	pthread_mutex_init(&l->lock, NULL);
	pthread_cond_init(&l->work, NULL);
	pthread_cond_init(&l->ready, NULL);
	l->locks = true;
	status = start_workers(l, err);
	if (status != BM_OK)
		goto failed;
	*out = l;
	return BM_OK;
failed:
	data_loader_free(l);
	return status;
}

void data_loader_free(data_loader *l)
{
	if (!l)
		return;
	if (l->locks) {
		pthread_mutex_lock(&l->lock);
		l->quit = true;
		pthread_cond_broadcast(&l->work);
		pthread_mutex_unlock(&l->lock);
		for (int i = 0; i < l->started; i++)
			pthread_join(l->workers[i].thread, NULL);
		pthread_cond_destroy(&l->ready);
		pthread_cond_destroy(&l->work);
		pthread_mutex_destroy(&l->lock);
	}
	for (int i = 0; i < l->scratches; i++)
		data_scratch_free(&l->workers[i].scratch);
	if (l->slots) {
		for (size_t i = 0; i < l->slot_count; i++) {
			base_free(l->slots[i].images);
			base_free(l->slots[i].labels);
			base_free(l->slots[i].indices);
		}
	}
	base_free(l->workers);
	base_free(l->slots);
	base_free(l->resized);
	base_free(l->order);
	base_free(l->indices);
	base_free(l);
}

/* ---- use ---- */

size_t data_loader_batches(const data_loader *l)
{
	return l->batches;
}

bm_status data_loader_start(data_loader *l, uint64_t epoch, size_t first_batch, bm_error *err)
{
	if (first_batch > l->batches)
		return base_fail(
			err, BM_ERR_USAGE,
			"an epoch of %zu batches cannot begin at batch %zu; the checkpoint belongs to other data",
			l->batches, first_batch);
	pthread_mutex_lock(&l->lock);
	halt(l);
	for (size_t i = 0; i < l->count; i++)
		l->order[i] = i;
	if (l->options.shuffle) {
		base_random random = base_random_make(l->options.seed, base_random_mix(ORDER, epoch));
		base_random_shuffle(&random, l->order, l->count);
	}
	l->epoch = epoch;
	l->next_batch = l->given = first_batch;
	l->next_piece = 0;
	l->holds = false;
	l->waited = 0;
	for (size_t i = 0; i < l->slot_count; i++)
		l->slots[i].made = 0;
	l->running = true;
	pthread_cond_broadcast(&l->work);
	pthread_mutex_unlock(&l->lock);
	return BM_OK;
}

bm_status data_loader_next(data_loader *l, const data_batch **batch, bm_error *err)
{
	*batch = NULL;
	pthread_mutex_lock(&l->lock);
	if (!l->running) {
		pthread_mutex_unlock(&l->lock);
		return base_fail(err, BM_ERR_INTERNAL,
				 "a batch is asked for before an epoch was begun; please report this");
	}
	if (l->holds) {
		/* The slot is free again; its next batch begins with `made` at 0. */
		l->holds = false;
		l->given++;
		pthread_cond_broadcast(&l->work);
	}
	if (l->given < l->batches) {
		struct slot *slot = &l->slots[l->given % l->slot_count];
		int size = batch_size(l, l->given);
		if (l->next_batch <= l->given || slot->made < size) {
			double start = base_now();
			while (l->next_batch <= l->given || slot->made < size)
				pthread_cond_wait(&l->ready, &l->lock);
			l->waited += base_now() - start;
		}
		slot->batch.count = size;
		l->holds = true;
		*batch = &slot->batch;
	}
	pthread_mutex_unlock(&l->lock);
	return BM_OK;
}

double data_loader_waited(const data_loader *l)
{
	return l->waited;
}

bm_status data_image_to_floats(const uint8_t *pixels, int side, int size, int channels, float *out, bm_error *err)
{
	image resized = {0};
	bm_status status = BM_OK;
	if (side < 1 || size < 1 || (channels != 1 && channels != 3))
		return base_fail(err, BM_ERR_USAGE, "an image of %d pixels cannot become %d x %d x %d", side, size,
				 size, channels);
	if (side != size) {
		/* image_resize does not write to its input. */
		image in = {.width = side, .height = side, .channels = 1, .pixels = (uint8_t *)(uintptr_t)pixels};
		resized = (image){.width = size, .height = size, .channels = 1};
		status = image_resize(&in, &resized, err);
		pixels = resized.pixels;
	}
	if (status == BM_OK)
		data_pixels_to_floats(pixels, size, channels, out);
	image_free(&resized);
	return status;
}
