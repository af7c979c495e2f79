#include "engine/preprocess.h"

#include <stdatomic.h>
#include <string.h>

#include "base/memory.h"
#include "base/threads.h"
#include "storage/prefetch.h"

/* The single worker's rate is measured on this many images, or for this long. */
enum { SAMPLE = 200 };
static const double SAMPLE_SECONDS = 1.0, PROGRESS_EVERY = 0.1;

/* Reads and preprocesses one file. *damaged: the failure is the file's, not the machine's. ahead: where it is file `index`; may be NULL. */
static bm_status process_file(storage *s, storage_prefetch *ahead, size_t index, const data_item *item, int side,
			      uint8_t *out, uint64_t *size_read, bool *damaged, bm_error *err)
{
	uint8_t *bytes = NULL;
	size_t size = 0;
	bm_status status = ahead ? storage_prefetch_take(ahead, index, &bytes, &size, err)
				 : storage_read(s, item->path, IMAGE_FILE_LIMIT, &bytes, &size, err);
	*damaged = engine_is_damage(status) && !storage_is_outage(s, status);
	if (status != BM_OK)
		return status;
	*size_read = size;
	status = engine_preprocess_file(bytes, size, item->hash, side, out, damaged, err);
	base_free(bytes);
	return status;
}

struct tally { /* of one worker; a cache line each */
	_Alignas(64) size_t images;
	double busy;
	uint64_t bytes;
};

struct job {
	storage *storage;
	storage_prefetch *ahead;
	const char **paths; /* [set->count], for `ahead` */
	const data_set *set;
	const engine_options *options;
	const base_observer *observer;
	data_pack_writer *writer;
	char **reasons; /* [set->count]; NULL: preprocessed */
	struct tally *tallies;
	uint8_t *pixels; /* [workers][side][side]: what each is working on */
	atomic_size_t done;
	double start, reported;
};

static void report(struct job *job, bool last)
{
	double now = base_now();
	if (!last && now - job->reported < PROGRESS_EVERY)
		return;
	job->reported = now;
	base_report_progress(job->observer, &(base_progress){.what = "Preprocessing",
							     .unit = "images",
							     .done = (long long)atomic_load(&job->done),
							     .total = (long long)job->set->count,
							     .seconds = now - job->start});
}

static bm_status process_one(void *arg, int worker, size_t index, bm_error *err)
{
	struct job *job = arg;
	const data_item *item = &job->set->items[index];
	uint8_t *pixels = job->pixels + (size_t)worker * (size_t)job->options->side * (size_t)job->options->side;
	uint64_t size = 0;
	bool damaged = false;
	bm_status status = base_check_cancel(job->observer, err);
	if (status != BM_OK)
		return status;
	double start = base_now();
	status = process_file(job->storage, job->ahead, index, item, job->options->side, pixels, &size, &damaged, err);
	if (damaged) {
		if (job->options->strict)
			return base_fail(
				err, BM_ERR_DATA,
				"cannot use '%s': %s; remove or replace it, or run without --strict to leave it out",
				item->path, err->message);
		data_pack_writer_drop(job->writer, index);
		job->reasons[index] = base_strdup(err->message, err);
		status = job->reasons[index] ? BM_OK : BM_ERR_MEMORY;
	} else if (status == BM_OK) {
		status = data_pack_writer_put(job->writer, index, pixels, err);
	}
	if (status != BM_OK)
		return status;
	struct tally *tally = &job->tallies[worker];
	tally->images++;
	tally->bytes += size;
	tally->busy += base_now() - start;
	atomic_fetch_add(&job->done, 1);
	if (worker == 0) /* the calling thread: an observer need not be thread-safe */
		report(job, false);
	return BM_OK;
}

/* Images a second of one worker, on images from all over the set; 0 when it could not be measured. */
static bm_status measure_single(storage *s, const data_set *set, int side, const base_observer *observer, double *rate,
				bm_error *err)
{
	uint8_t *out = base_malloc((size_t)side, (size_t)side, "an image", err);
	size_t count = set->count < SAMPLE ? set->count : SAMPLE, done = 0;
	bm_status status = BM_OK;
	if (!out)
		return BM_ERR_MEMORY;
	double start = base_now();
	/* The step of a golden ratio: wherever time runs out, what was done is spread over all classes. */
	for (size_t i = 0; i < count && base_now() - start < SAMPLE_SECONDS; i++) {
		uint64_t size = 0;
		bool damaged = false;
		double position = (double)i * 0.6180339887498949;
		size_t index =
			count == set->count ? i : (size_t)((position - (double)(size_t)position) * (double)set->count);
		status = base_check_cancel(observer, err);
		if (status == BM_OK)
			status = process_file(s, NULL, 0, &set->items[index], side, out, &size, &damaged, err);
		if (damaged)
			status = BM_OK; /* the job itself reports it */
		if (status != BM_OK)
			break;
		done++;
	}
	double seconds = base_now() - start;
	*rate = seconds > 0 ? (double)done / seconds : 0;
	base_free(out);
	return status;
}

/* Moves what could not be decoded to the rejected; from the end, so that indices hold. */
static bm_status reject_damaged(data_set *set, char **reasons, const base_observer *observer, bm_error *err)
{
	for (size_t i = 0, count = set->count; i < count; i++) {
		if (reasons[i])
			base_warning(observer, "left out '%s': %s", set->items[i].path, reasons[i]);
	}
	for (size_t i = set->count; i-- > 0;) {
		if (!reasons[i])
			continue;
		bm_status status = data_set_reject(set, i, reasons[i], err);
		if (status != BM_OK)
			return status;
	}
	return data_set_check(set, err);
}

/* An earlier pack may lack images that turned out to be damaged: the set learns which, and why. *same is false
 * when pack and set do not fit together after all. */
static bm_status adopt(storage *s, data_set *set, const data_pack *pack, const engine_options *options,
		       const base_observer *observer, size_t *rejected, bool *same, bm_error *err)
{
	size_t missing = 0, at = 0;
	bm_status status = BM_OK;
	char **reasons = base_calloc(set->count, sizeof *reasons, "the list of damaged files", err);
	uint8_t *out = reasons ? base_malloc((size_t)options->side, (size_t)options->side, "an image", err) : NULL;
	*same = false;
	*rejected = 0;
	if (!out) {
		base_free(reasons);
		return BM_ERR_MEMORY;
	}
	for (size_t i = 0; i < set->count; i++) {
		uint64_t size = 0;
		bool damaged = false;
		if (at < pack->count && strcmp(pack->sources[at], set->items[i].path) == 0) {
			if (pack->labels[at] != set->items[i].label ||
			    !base_hash_equal(pack->hashes[at], set->items[i].hash))
				goto end;
			at++;
			continue;
		}
		status = process_file(s, NULL, 0, &set->items[i], options->side, out, &size, &damaged, err);
		if (status == BM_OK || !damaged) /* it can be read: the pack should have it */
			goto end;
		if (options->strict) {
			status = base_fail(
				err, BM_ERR_DATA,
				"cannot use '%s': %s; remove or replace it, or run without --strict to leave it out",
				set->items[i].path, err->message);
			goto end;
		}
		reasons[i] = base_strdup(err->message, err);
		if (!reasons[i]) {
			status = BM_ERR_MEMORY;
			goto end;
		}
		status = BM_OK;
		missing++;
	}
	*same = at == pack->count;
	if (*same && missing > 0) {
		size_t count = set->count;
		status = reject_damaged(set, reasons, observer, err);
		*rejected = count - set->count;
		for (size_t i = 0; i < count; i++)
			base_free(reasons[i]);
		base_free(reasons);
		reasons = NULL;
	}
end:
	if (reasons) {
		for (size_t i = 0; i < set->count; i++)
			base_free(reasons[i]);
	}
	base_free(reasons);
	base_free(out);
	return status;
}

static bm_status try_reuse(storage *s, data_set *set, const char *folder, const engine_options *options,
			   const base_observer *observer, engine_stats *stats, bm_error *err)
{
	data_pack pack = {0};
	size_t rejected = 0;
	bool same = false;
	if (options->force || !data_pack_holds(folder, set->hash, options->side))
		return BM_OK;
	bm_status status = data_pack_open(folder, &pack, err);
	if (status == BM_OK)
		status = adopt(s, set, &pack, options, observer, &rejected, &same, err);
	data_pack_close(&pack);
	if (status == BM_OK && same)
		*stats = (engine_stats){.reused = true, .rejected = rejected, .images = set->count};
	return status;
}

static void fill_stats(const struct job *job, int workers, double seconds, engine_stats *stats)
{
	stats->workers = workers;
	stats->seconds = seconds;
	for (int i = 0; i < workers; i++) {
		stats->worker_images[i] = job->tallies[i].images;
		stats->worker_busy[i] = job->tallies[i].busy;
		stats->bytes_read += job->tallies[i].bytes;
	}
	stats->images_per_second = seconds > 0 ? (double)atomic_load(&job->done) / seconds : 0;
	if (stats->single_images_per_second > 0)
		stats->speedup = stats->images_per_second / stats->single_images_per_second;
}

/* Workers are executors here: what each did, out of its tasks. */
static void fill_spark_stats(const engine_spark_stats *spark, size_t count, engine_stats *stats)
{
	const char *names[ENGINE_WORKERS_MAX];
	stats->on_spark = true;
	stats->seconds = spark->run_seconds + spark->collect_seconds;
	stats->bytes_read = spark->bytes_read;
	for (int i = 0; i < spark->task_count; i++) {
		int w = 0;
		while (w < stats->workers && strcmp(names[w], spark->tasks[i].executor) != 0)
			w++;
		if (w == ENGINE_WORKERS_MAX)
			continue;
		if (w == stats->workers)
			names[stats->workers++] = spark->tasks[i].executor;
		stats->worker_images[w] += spark->tasks[i].images;
		stats->worker_busy[w] += spark->tasks[i].seconds;
	}
	stats->images_per_second = stats->seconds > 0 ? (double)count / stats->seconds : 0;
	if (stats->single_images_per_second > 0)
		stats->speedup = stats->images_per_second / stats->single_images_per_second;
}

/* With `strict` the first damaged file fails the job, as it does on threads. */
static bm_status check_strict(const struct job *job, bm_error *err)
{
	for (size_t i = 0; job->options->strict && i < job->set->count; i++) {
		if (job->reasons[i])
			return base_fail(
				err, BM_ERR_DATA,
				"cannot use '%s': %s; remove or replace it, or run without --strict to leave it out",
				job->set->items[i].path, job->reasons[i]);
	}
	return BM_OK;
}

/* Every slot of the writer filled or dropped, here or in a cluster. */
static bm_status fill(struct job *job, const char *folder, int threads, engine_stats *stats, bm_error *err)
{
	const engine_options *options = job->options;
	bm_status status;
	job->start = job->reported = base_now();
	if (options->spark) {
		status = engine_spark_fill(job->storage, job->set, options->side, folder, options->spark, job->observer,
					   job->writer, job->reasons, &stats->spark, err);
		if (status == BM_OK)
			status = check_strict(job, err);
		if (status == BM_OK)
			fill_spark_stats(&stats->spark, job->set->count, stats);
		return status;
	}
	for (size_t i = 0; i < job->set->count; i++)
		job->paths[i] = job->set->items[i].path;
	status = storage_prefetch_open(job->storage, job->paths, job->set->count, IMAGE_FILE_LIMIT, &job->ahead, err);
	if (status == BM_OK)
		status = base_parallel(threads, job->set->count, process_one, job, err);
	if (status != BM_OK)
		return status;
	fill_stats(job, threads, base_now() - job->start, stats);
	report(job, true);
	return BM_OK;
}

bm_status engine_preprocess(storage *s, data_set *set, const char *folder, const engine_options *options,
			    const base_observer *observer, engine_stats *stats, bm_error *err)
{
	struct job job = {.storage = s, .set = set, .options = options, .observer = observer};
	int threads = options->threads > 0 ? options->threads : base_cores();
	size_t count = set->count;
	*stats = (engine_stats){0};
	bm_status status = try_reuse(s, set, folder, options, observer, stats, err);
	if (status != BM_OK || stats->reused)
		return status;
	if (count == 0)
		return data_set_check(set, err);
	if (threads > ENGINE_WORKERS_MAX)
		threads = ENGINE_WORKERS_MAX;
	if ((size_t)threads > count)
		threads = (int)count;
	job.reasons = base_calloc(count, sizeof *job.reasons, "the list of damaged files", err);
	job.paths = job.reasons ? base_calloc(count, sizeof *job.paths, "the list of files", err) : NULL;
	job.tallies = job.paths ? base_calloc((size_t)threads, sizeof *job.tallies, "worker statistics", err) : NULL;
	job.pixels = job.tallies ? base_malloc((size_t)threads, (size_t)options->side * (size_t)options->side,
					       "the images in work", err)
				 : NULL;
	if (!job.pixels) {
		status = BM_ERR_MEMORY;
		goto end;
	}
	status = measure_single(s, set, options->side, observer, &stats->single_images_per_second, err);
	if (status == BM_OK)
		status = data_pack_writer_open(folder, count, options->side, &job.writer, err);
	if (status != BM_OK)
		goto end;
	status = fill(&job, folder, threads, stats, err);
	if (status != BM_OK)
		goto end;
	status = reject_damaged(set, job.reasons, observer, err);
	if (status != BM_OK)
		goto end;
	stats->rejected = count - set->count;
	stats->images = set->count;
	status = data_pack_writer_commit(job.writer, set, err);
	job.writer = NULL; /* gone in any case */
end:
	storage_prefetch_close(job.ahead);
	base_free(job.paths);
	data_pack_writer_abort(job.writer);
	if (job.reasons) {
		for (size_t i = 0; i < count; i++)
			base_free(job.reasons[i]);
	}
	base_free(job.reasons);
	base_free(job.tallies);
	base_free(job.pixels);
	return status;
}

/* ---- phase 10 ---- */

struct benchmark {
	storage *storage;
	const data_set *set;
	const size_t *indices;
	uint8_t *out; /* [threads][DATA_PACK_SIDE][DATA_PACK_SIDE], overwritten again and again */
};

static bm_status benchmark_one(void *arg, int worker, size_t i, bm_error *err)
{
	const struct benchmark *b = arg;
	const data_item *item = &b->set->items[b->indices[i]];
	uint8_t *bytes = NULL;
	size_t size = 0;
	bm_status status = storage_read(b->storage, item->path, IMAGE_FILE_LIMIT, &bytes, &size, err);
	if (status == BM_OK)
		status = engine_preprocess_bytes(bytes, size, DATA_PACK_SIDE,
						 b->out + (size_t)worker * DATA_PACK_SIDE * DATA_PACK_SIDE, err);
	base_free(bytes);
	return status == BM_OK ? BM_OK : base_prefix(err, status, "'%s'", item->path);
}

bm_status engine_benchmark(storage *s, const data_set *set, const size_t *indices, size_t count, int threads,
			   double *seconds, bm_error *err)
{
	*seconds = 0;
	if (threads < 1)
		threads = base_cores();
	if (threads > ENGINE_WORKERS_MAX)
		threads = ENGINE_WORKERS_MAX;
	for (size_t i = 0; i < count; i++) {
		if (indices[i] >= set->count)
			return base_fail(err, BM_ERR_INTERNAL, "image %zu of %zu is to be measured; please report this",
					 indices[i], set->count);
	}
	struct benchmark b = {.storage = s, .set = set, .indices = indices};
	b.out = base_malloc((size_t)threads, (size_t)DATA_PACK_SIDE * DATA_PACK_SIDE, "images", err);
	if (!b.out)
		return BM_ERR_MEMORY;
	double start = base_now();
	bm_status status = base_parallel(threads, count, benchmark_one, &b, err);
	*seconds = base_now() - start;
	base_free(b.out);
	return status;
}
