/* brainmri phantom: writes a synthetic data set that exercises the loader: JPEG (grey and colour) and PNG, some not square, some of odd sizes. */
#include <jansson.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/threads.h"
#include "cli/commands.h"
#include "cli/session.h"
#include "image/phantom.h"

typedef struct phantom_job {
	const char *out;
	const base_observer *observer;
	long long count; /* per class */
	int size;
	uint64_t seed;
	atomic_llong done;
	double begun;
} phantom_job;

/* In the middle of a wider black picture. */
static bm_status widen(image *img, int width, bm_error *err)
{
	image wide = {.width = width, .height = img->height, .channels = 1};
	wide.pixels = base_calloc((size_t)width, (size_t)img->height, "a phantom", err);
	if (!wide.pixels)
		return BM_ERR_MEMORY;
	for (int y = 0; y < img->height; y++)
		memcpy(wide.pixels + (size_t)y * (size_t)width + (width - img->width) / 2,
		       img->pixels + (size_t)y * (size_t)img->width, (size_t)img->width);
	image_free(img);
	*img = wide;
	return BM_OK;
}

static bm_status resized(image *img, int side, bm_error *err)
{
	image small = {.width = side, .height = side, .channels = 1};
	bm_status status = image_resize(img, &small, err);
	if (status != BM_OK)
		return status;
	image_free(img);
	*img = small;
	return BM_OK;
}

/* Three equal channels, as most files of the real data have. */
static bm_status coloured(image *img, bm_error *err)
{
	size_t pixels = (size_t)img->width * (size_t)img->height;
	uint8_t *rgb = base_malloc(pixels, 3, "a phantom", err);
	if (!rgb)
		return BM_ERR_MEMORY;
	for (size_t i = 0; i < pixels; i++)
		rgb[3 * i] = rgb[3 * i + 1] = rgb[3 * i + 2] = img->pixels[i];
	base_free(img->pixels);
	img->pixels = rgb;
	img->channels = 3;
	return BM_OK;
}

static bool is_png(long long index)
{
	return index % 16 == 9;
}

static bm_status add_path(const phantom_job *job, int label, long long index, base_text *path, bm_error *err)
{
	base_text_clear(path);
	base_text_add(path, "%s/%s/phantom_%06lld.%s", job->out, image_phantom_class_names[label], index,
		      is_png(index) ? "png" : "jpg");
	return path->failed ? base_fail(err, BM_ERR_MEMORY, "no memory for a path") : BM_OK;
}

static bm_status write_image(const phantom_job *job, int label, long long index, const image *img, bm_error *err)
{
	base_text path = {0};
	uint8_t *bytes = NULL;
	size_t size = 0;
	bm_status status = is_png(index) ? image_encode_png(img, &bytes, &size, err)
					 : image_encode_jpeg(img, 90, &bytes, &size, err);
	if (status != BM_OK)
		return status;
	status = add_path(job, label, index, &path, err);
	if (status == BM_OK)
		status = base_file_write(path.data, bytes, size, err);
	base_free(bytes);
	base_text_free(&path);
	return status;
}

static bm_status make_one(void *arg, int worker, size_t i, bm_error *err)
{
	phantom_job *job = arg;
	int label = (int)(i % IMAGE_PHANTOM_CLASSES);
	long long index = (long long)(i / IMAGE_PHANTOM_CLASSES);
	image img = {0};
	bm_status status = base_check_cancel(job->observer, err);
	if (status == BM_OK)
		status = image_phantom(job->seed, label, (uint64_t)index, job->size, &img, err);
	if (status != BM_OK)
		return status;
	/* The kind of file depends on the index, not on the class: nothing can be learnt from it. */
	if (index % 7 == 3)
		status = widen(&img, (job->size + job->size / 8) | 1, err);
	else if (index % 7 == 5)
		status = resized(&img, (job->size * 7 / 8) | 1, err);
	if (status == BM_OK && index % 5 < 3)
		status = coloured(&img, err);
	if (status == BM_OK)
		status = write_image(job, label, index, &img, err);
	image_free(&img);
	long long done = atomic_fetch_add(&job->done, 1) + 1;
	if (status == BM_OK && worker == 0)
		base_report_progress(job->observer, &(base_progress){.what = "Drawing phantoms",
								     .unit = "images",
								     .done = done,
								     .total = job->count * IMAGE_PHANTOM_CLASSES,
								     .seconds = base_now() - job->begun});
	return status;
}

/* Whether every phantom is there: some may have been deleted since. */
static bm_status look_for_all(const phantom_job *job, bool *there, bm_error *err)
{
	base_text path = {0};
	bm_status status = BM_OK;
	*there = true;
	for (int k = 0; k < IMAGE_PHANTOM_CLASSES; k++)
		for (long long i = 0; i < job->count && *there && status == BM_OK; i++) {
			status = add_path(job, k, i, &path, err);
			*there = status == BM_OK && base_is_file(path.data);
		}
	base_text_free(&path);
	return status;
}

/* .phantom.json says what the folder holds: asking for the same again does nothing, for something else is refused. */
static bm_status check_folder(const phantom_job *job, const char *marker, bool *there, bm_error *err)
{
	storage *s = NULL;
	storage_list list = {0};
	json_t *json = NULL;
	json_int_t count = 0, seed = 0;
	int size = 0, whole = 0;
	*there = false;
	if (!base_is_folder(job->out))
		return BM_OK;
	bm_status status = storage_open(job->out, &s, err);
	if (status == BM_OK)
		status = storage_list_folder(s, "", &list, err);
	if (status != BM_OK || list.count == 0)
		goto done;
	if (!base_is_file(marker)) {
		status = base_fail(err, BM_ERR_USAGE,
				   "'%s' is not empty and was not made by 'brainmri phantom'; choose another folder",
				   job->out);
		goto done;
	}
	status = phase_json_read(marker, &json, err);
	if (status != BM_OK)
		goto done;
	if (json_unpack(json, "{s:I, s:i, s:I, s:b}", "count", &count, "size", &size, "seed", &seed, "complete",
			&whole) != 0 ||
	    count != job->count || size != job->size || (uint64_t)seed != job->seed)
		status = base_fail(
			err, BM_ERR_USAGE,
			"'%s' holds phantoms of another count, size or seed; choose another folder or remove it",
			job->out);
	if (status == BM_OK && whole)
		status = look_for_all(job, there, err);
done:
	json_decref(json);
	storage_list_free(&list);
	storage_close(s);
	return status;
}

static bm_status write_marker(const phantom_job *job, const char *marker, bool complete, bm_error *err)
{
	json_t *json = json_pack("{s:I, s:i, s:I, s:b}", "count", (json_int_t)job->count, "size", job->size, "seed",
				 (json_int_t)job->seed, "complete", (int)complete);
	bm_status status = json ? phase_json_write(json, marker, err) : base_fail(err, BM_ERR_MEMORY, "no memory");
	json_decref(json);
	return status;
}

static bm_status make(phantom_job *job, int threads, bool *there, bm_error *err)
{
	char *marker = base_path_join(job->out, ".phantom.json", err);
	if (!marker)
		return BM_ERR_MEMORY;
	bm_status status = check_folder(job, marker, there, err);
	for (int k = 0; k < IMAGE_PHANTOM_CLASSES && status == BM_OK && !*there; k++) {
		char *folder = base_path_join(job->out, image_phantom_class_names[k], err);
		status = folder ? base_make_folders(folder, err) : BM_ERR_MEMORY;
		base_free(folder);
	}
	if (status == BM_OK && !*there)
		status = write_marker(job, marker, false, err);
	if (status == BM_OK && !*there)
		status = base_parallel(threads, (size_t)job->count * IMAGE_PHANTOM_CLASSES, make_one, job, err);
	if (status == BM_OK && !*there) {
		long long total = job->count * IMAGE_PHANTOM_CLASSES;
		base_report_progress(job->observer, &(base_progress){.what = "Drawing phantoms",
								     .unit = "images",
								     .done = total,
								     .total = total,
								     .seconds = base_now() - job->begun});
		status = write_marker(job, marker, true, err);
	}
	base_free(marker);
	return status;
}

int cli_phantom(const cli_arguments *a, cli_terminal *terminal)
{
	bm_error err = {0};
	phantom_job job = {.out = a->operands[0], .observer = &terminal->observer, .count = 100, .begun = base_now()};
	long long seed = 42, size = 256;
	int threads = 0;
	bool there = false;
	char total[32];
	bm_status status = BM_OK;
	if (a->values[CLI_COUNT])
		status = cli_parse_integer("count", a->values[CLI_COUNT], 1, 1000000, &job.count, &err);
	if (status == BM_OK && a->values[CLI_SIZE])
		status = cli_parse_integer("size", a->values[CLI_SIZE], 32, 1024, &size, &err);
	if (status == BM_OK && a->values[CLI_SEED])
		status = cli_parse_integer("seed", a->values[CLI_SEED], 0, INT64_MAX, &seed, &err);
	if (status == BM_OK && a->values[CLI_THREADS])
		status = cli_parse_threads(a->values[CLI_THREADS], &threads, &err);
	job.size = (int)size;
	job.seed = (uint64_t)seed;
	if (status == BM_OK)
		status = make(&job, threads > 0 ? threads : base_cores(), &there, &err);
	if (status != BM_OK)
		return cli_terminal_error(terminal, &err);
	long long images = job.count * IMAGE_PHANTOM_CLASSES;
	double took = base_now() - job.begun;
	if (terminal->json) {
		json_t *json = json_pack("{s:s, s:o, s:I, s:I, s:i, s:I, s:b, s:f}", "command", "phantom", "folder",
					 phase_json_text(job.out), "images", (json_int_t)images, "per_class",
					 (json_int_t)job.count, "size", job.size, "seed", (json_int_t)job.seed,
					 "reused", (int)there, "seconds", took);
		cli_print_json(terminal, json);
		json_decref(json);
	} else if (there) {
		base_result(&terminal->observer, "✓ %s phantoms are there already: %s",
			    base_format_count(images, total), job.out);
	} else {
		base_result(&terminal->observer, "✓ %s phantoms of %d classes written to %s in %.1f s",
			    base_format_count(images, total), IMAGE_PHANTOM_CLASSES, job.out, took);
	}
	return 0;
}
