#include "data/transfer.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/memory.h"
#include "base/random.h"
#include "base/text.h"
#include "base/threads.h"

enum { WHOLE_MAX = 8 << 20, TRIES = 2, LOCAL_TRANSFERS = 4, PREFIX_SIZE = 96 };
static const double PROGRESS_EVERY = 0.1;

/* ---- a file's content, whole when it is small, else piece by piece ---- */

typedef struct content {
	storage *from;
	const data_file *file;
	uint8_t *bytes; /* NULL: read as it goes */
	uint64_t done;
} content;

static bm_status changed(const content *c, bm_error *err)
{
	return base_fail(err, BM_ERR_IO, "'%s/%s' changed while it was being read; try again", storage_url(c->from),
			 c->file->path);
}

static bm_status content_open(content *c, storage *from, const data_file *file, bm_error *err)
{
	size_t size = 0;
	*c = (content){.from = from, .file = file};
	if (file->size > WHOLE_MAX)
		return BM_OK;
	bm_status status = storage_read(from, file->path, WHOLE_MAX, &c->bytes, &size, err);
	if (status == BM_OK && size != file->size)
		status = changed(c, err);
	return status;
}

static bm_status content_next(void *arg, uint8_t *bytes, size_t room, size_t *got, bm_error *err)
{
	content *c = arg;
	uint64_t left = c->file->size - c->done;
	size_t some = left < room ? (size_t)left : room;
	bm_status status = BM_OK;
	if (c->bytes) {
		if (some > 0)
			memcpy(bytes, c->bytes + c->done, some);
	} else if (some > 0) {
		size_t read = 0;
		status = storage_read_range(c->from, c->file->path, c->done, some, bytes, &read, err);
		if (status == BM_OK && read != some)
			status = changed(c, err);
	}
	*got = some;
	c->done += some;
	return status;
}

static bm_status content_again(void *arg, bm_error *err)
{
	(void)err;
	((content *)arg)->done = 0;
	return BM_OK;
}

/* ---- jobs ---- */

typedef struct job {
	storage *from, *to;
	const data_transfer_options *options;
	const base_observer *observer;
	const data_files *files;
	const data_files *there;
	char *staging; /* hidden folder in `to` */
	const char *what;
	atomic_size_t done, sent, replaced, verified;
	atomic_uint_fast64_t sent_bytes, seen_bytes;
	double start, reported;
	int *differences; /* comparing: [files]; see compare() */
} job;

static void report(job *j, int worker, bool last)
{
	double now = base_now();
	char detail[64], bytes[32];
	if (worker != 0 || (!last && now - j->reported < PROGRESS_EVERY))
		return;
	j->reported = now;
	double seconds = now - j->start;
	snprintf(detail, sizeof detail, "%s", base_format_bytes((double)atomic_load(&j->seen_bytes), bytes));
	base_report_progress(j->observer, &(base_progress){.what = j->what,
							   .unit = "files",
							   .done = (long long)atomic_load(&j->done),
							   .total = (long long)j->files->count,
							   .seconds = seconds,
							   .detail = detail});
}

static int by_path(const void *a, const void *b)
{
	return strcmp(((const data_file *)a)->path, ((const data_file *)b)->path);
}

static const data_file *find(const data_files *files, const char *path)
{
	data_file key = {.path = (char *)(uintptr_t)path};
	return files->count ? bsearch(&key, files->items, files->count, sizeof *files->items, by_path) : NULL;
}

/* Whether what lies under `path` in `to` is the content, by HDFS's own checksum of it. */
static bm_status same_sum(storage *to, const char *path, content *c, bool *same, bm_error *err)
{
	storage_checksum there, here;
	bm_status status = storage_checksum_of(to, path, &there, err);
	if (status == BM_OK && c->bytes)
		status = storage_checksum_bytes(&there, c->bytes, (size_t)c->file->size, &here, err);
	else if (status == BM_OK)
		status = storage_checksum_read(c->from, c->file->path, &there, &here, err);
	*same = status == BM_OK && storage_checksum_equal(&there, &here);
	return status;
}

enum { EQUAL = -1 }; /* else a data_difference */

/* A file and what `to` has of that name. Opens the content when it is looked at. */
static bm_status compare(job *j, const data_file *file, content *c, int *difference, bm_error *err)
{
	const data_file *other = find(j->there, file->path);
	bool same = true;
	*difference = !other ? DATA_MISSING : other->size != file->size ? DATA_OTHER_SIZE : EQUAL;
	if (*difference != EQUAL || (j->options && j->options->no_verify))
		return BM_OK;
	bm_status status = content_open(c, j->from, file, err);
	if (status == BM_OK)
		status = same_sum(j->to, file->path, c, &same, err);
	if (!same)
		*difference = DATA_OTHER_CONTENT;
	return status;
}

static void count(job *j, int worker, const data_file *file)
{
	atomic_fetch_add(&j->seen_bytes, file->size);
	atomic_fetch_add(&j->done, 1);
	report(j, worker, false);
}

/* Sends a file under a hidden name, compares, renames. */
static bm_status send_file(job *j, size_t index, content *c, bm_error *err)
{
	const data_file *file = c->file;
	base_text temporary = {0};
	bm_status status = BM_OK;
	base_text_add(&temporary, "%s/%zu", j->staging, index);
	if (temporary.failed)
		return base_fail(err, BM_ERR_MEMORY, "no memory for a path");
	bool same = false;
	for (int i = 0; status == BM_OK && !same && i < TRIES; i++) {
		storage_source source = {.next = content_next, .again = content_again, .arg = c, .size = file->size};
		c->done = 0;
		status = storage_create(j->to, temporary.data, &source, err);
		if (status == BM_OK && j->options->no_verify)
			same = true;
		else if (status == BM_OK)
			status = same_sum(j->to, temporary.data, c, &same, err);
	}
	if (status == BM_OK && !same)
		status = base_fail(
			err, BM_ERR_IO,
			"'%s/%s' arrived with another checksum than it was sent with, %d times; check the network, "
			"and the disks with 'hdfs fsck'",
			storage_url(j->to), file->path, TRIES);
	if (status == BM_OK && j->options->replication > 0)
		status = storage_set_replication(j->to, temporary.data, j->options->replication, err);
	if (status == BM_OK)
		status = storage_rename(j->to, temporary.data, file->path, true, err);
	base_text_free(&temporary);
	return status;
}

static bm_status transfer_one(void *arg, int worker, size_t index, bm_error *err)
{
	job *j = arg;
	const data_file *file = &j->files->items[index];
	content c = {0};
	int difference = EQUAL;
	bm_status status = base_check_cancel(j->observer, err);
	if (status == BM_OK)
		status = compare(j, file, &c, &difference, err);
	if (status == BM_OK && difference != EQUAL) {
		if (!c.file)
			status = content_open(&c, j->from, file, err);
		if (status == BM_OK)
			status = send_file(j, index, &c, err);
		if (status == BM_OK) {
			atomic_fetch_add(&j->sent, 1);
			atomic_fetch_add(&j->replaced, difference != DATA_MISSING);
			atomic_fetch_add(&j->sent_bytes, file->size);
		}
	}
	base_free(c.bytes);
	if (status != BM_OK)
		return status;
	atomic_fetch_add(&j->verified, !j->options->no_verify);
	count(j, worker, file);
	return BM_OK;
}

/* ---- the staging folder ---- */

#define STAGING ".brainmri-put-"

/* What the staging folders made from here begin with: ".brainmri-put-HOST-MARK-". A process id tells something only as
 * long as this computer runs and in this container, so MARK is of both; other containers may have the same host name. */
static void own_prefix(char prefix[PREFIX_SIZE])
{
	char host[64] = "", boot[64] = "";
	struct stat processes = {0};
	FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");
	if (file) {
		boot[fread(boot, 1, sizeof boot - 1, file)] = '\0';
		fclose(file);
	}
	(void)stat("/proc/self/ns/pid", &processes); /* its inode is 0 if it can't be told */
	gethostname(host, sizeof host - 1);
	base_hash mark = base_hash_join(base_hash_bytes(boot, sizeof boot),
					base_hash_bytes(&processes.st_ino, sizeof processes.st_ino));
	char text[33];
	base_hash_text(mark, text);
	snprintf(prefix, PREFIX_SIZE, STAGING "%s-%.8s-", host, text);
}

/* A folder ".brainmri-put-HOST-MARK-PID-RANDOM" of its own: no other process stages in it. */
static bm_status make_staging(job *j, const char *prefix, bm_error *err)
{
	char name[160];
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	uint64_t unique =
		base_random_mix((uint64_t)now.tv_nsec, base_random_mix((uint64_t)now.tv_sec, (uint64_t)getpid()));
	snprintf(name, sizeof name, "%s%ld-%08llx", prefix, (long)getpid(), (unsigned long long)(unique & 0xFFFFFFFFu));
	j->staging = base_strdup(name, err);
	return j->staging ? storage_make_folders(j->to, j->staging, err) : BM_ERR_MEMORY;
}

/* Whether the process that made a staging folder is surely gone: one of this computer by its id, others by their age. */
static bool left_over(const storage_entry *entry, const char *prefix)
{
	static const int64_t two_days = (int64_t)48 * 3600 * 1000;
	struct timespec now;
	if (strncmp(entry->name, prefix, strlen(prefix)) == 0) {
		long id = strtol(entry->name + strlen(prefix), NULL, 10);
		return id > 0 && kill((pid_t)id, 0) != 0 && errno == ESRCH;
	}
	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 - entry->info.modified > two_days;
}

static bm_status remove_left_over(job *j, const char *prefix, bm_error *err)
{
	storage_list list;
	bm_status status = storage_list_all(j->to, "", &list, err);
	if (status != BM_OK)
		return status;
	for (size_t i = 0; i < list.count && status == BM_OK; i++) {
		const storage_entry *entry = &list.items[i];
		if (!entry->info.folder || strncmp(entry->name, STAGING, strlen(STAGING)) != 0 ||
		    !left_over(entry, prefix))
			continue;
		base_note(j->observer, "removed what an earlier, broken-off transfer left: '%s/%s'", storage_url(j->to),
			  entry->name);
		status = storage_remove(j->to, entry->name, true, NULL, err);
	}
	storage_list_free(&list);
	return status;
}

/* Every folder that a file needs; sorted paths name each once, one after the other. */
static bm_status make_folders(job *j, bm_error *err)
{
	const char *last = "";
	size_t last_length = 0;
	bm_status status = BM_OK;
	for (size_t i = 0; i < j->files->count && status == BM_OK; i++) {
		const char *path = j->files->items[i].path, *slash = strrchr(path, '/');
		size_t length = slash ? (size_t)(slash - path) : 0;
		if (length == 0 || (length == last_length && strncmp(path, last, length) == 0))
			continue;
		base_text folder = {0};
		base_text_append(&folder, path, length);
		status = folder.failed ? base_fail(err, BM_ERR_MEMORY, "no memory for a path")
				       : storage_make_folders(j->to, folder.data, err);
		base_text_free(&folder);
		last = path;
		last_length = length;
	}
	return status;
}

static int workers(const storage *a, const storage *b, int wanted)
{
	int most = storage_transfers(a) > storage_transfers(b) ? storage_transfers(a) : storage_transfers(b);
	return wanted > 0 ? wanted : most > 0 ? most : LOCAL_TRANSFERS;
}

bm_status data_transfer(storage *from, storage *to, const data_transfer_options *options, const base_observer *observer,
			data_transfer_stats *stats, bm_error *err)
{
	data_files files = {0}, there = {0};
	job j = {.from = from,
		 .to = to,
		 .options = options,
		 .observer = observer,
		 .files = &files,
		 .there = &there,
		 .what = storage_transfers(to) > 0 ? "Uploading" : "Copying",
		 .start = base_now()};
	char prefix[PREFIX_SIZE];
	*stats = (data_transfer_stats){0};
	j.reported = j.start;
	own_prefix(prefix);
	bm_status status = data_files_list(from, observer, &files, err);
	if (status == BM_OK && files.count == 0)
		status = base_fail(err, BM_ERR_DATA,
				   "'%s' holds no file; name the folder that holds one folder per class",
				   storage_url(from));
	if (status == BM_OK)
		status = remove_left_over(&j, prefix, err);
	if (status == BM_OK)
		status = data_files_list(to, observer, &there, err);
	if (status == BM_OK)
		status = make_staging(&j, prefix, err);
	if (status == BM_OK)
		status = make_folders(&j, err);
	if (status == BM_OK)
		status = base_parallel(workers(from, to, options->transfers), files.count, transfer_one, &j, err);
	if (status == BM_OK)
		report(&j, 0, true);
	if (j.staging) {
		bm_error ignored;
		bm_status removed = storage_remove(to, j.staging, true, NULL, &ignored);
		if (removed != BM_OK)
			base_warning(observer, "%s", ignored.message);
	}
	*stats = (data_transfer_stats){.files = files.count,
				       .sent = atomic_load(&j.sent),
				       .present = atomic_load(&j.done) - atomic_load(&j.sent),
				       .bytes = files.bytes,
				       .sent_bytes = atomic_load(&j.sent_bytes),
				       .replaced = atomic_load(&j.replaced),
				       .verified = atomic_load(&j.verified),
				       .seconds = base_now() - j.start};
	base_free(j.staging);
	data_files_free(&files);
	data_files_free(&there);
	return status;
}

/* ---- comparing ---- */

static bm_status compare_one(void *arg, int worker, size_t index, bm_error *err)
{
	job *j = arg;
	const data_file *file = &j->files->items[index];
	content c = {0};
	bm_status status = base_check_cancel(j->observer, err);
	if (status == BM_OK)
		status = compare(j, file, &c, &j->differences[index], err);
	base_free(c.bytes);
	if (status == BM_OK)
		count(j, worker, file);
	return status;
}

static bm_status add_difference(data_comparison *out, size_t *capacity, const char *path, data_difference difference,
				bm_error *err)
{
	if (base_grow(&out->different, capacity, out->count, sizeof *out->different, "differences", err) != BM_OK)
		return BM_ERR_MEMORY;
	char *copy = base_strdup(path, err);
	if (!copy)
		return BM_ERR_MEMORY;
	out->different[out->count++] = (struct data_compared){.path = copy, .difference = difference};
	return BM_OK;
}

bm_status data_compare(storage *here, storage *there, int transfers, const base_observer *observer,
		       data_comparison *out, bm_error *err)
{
	data_files files = {0}, others = {0};
	size_t capacity = 0;
	job j = {.from = here,
		 .to = there,
		 .observer = observer,
		 .files = &files,
		 .there = &others,
		 .what = "Verifying",
		 .start = base_now()};
	*out = (data_comparison){0};
	j.reported = j.start;
	bm_status status = data_files_list(here, observer, &files, err);
	if (status == BM_OK)
		status = data_files_list(there, observer, &others, err);
	if (status == BM_OK) {
		j.differences = base_calloc(files.count, sizeof *j.differences, "differences", err);
		status = j.differences ? BM_OK : BM_ERR_MEMORY;
	}
	if (status == BM_OK)
		status = base_parallel(workers(here, there, transfers), files.count, compare_one, &j, err);
	if (status == BM_OK)
		report(&j, 0, true);
	for (size_t i = 0; status == BM_OK && i < files.count; i++) {
		if (j.differences[i] != EQUAL)
			status = add_difference(out, &capacity, files.items[i].path, (data_difference)j.differences[i],
						err);
		else
			out->equal++;
	}
	for (size_t i = 0; status == BM_OK && i < others.count; i++)
		if (!find(&files, others.items[i].path))
			status = add_difference(out, &capacity, others.items[i].path, DATA_UNKNOWN, err);
	out->files = files.count;
	out->bytes = files.bytes;
	out->seconds = base_now() - j.start;
	if (status != BM_OK)
		data_comparison_free(out);
	base_free(j.differences);
	data_files_free(&files);
	data_files_free(&others);
	return status;
}

void data_comparison_free(data_comparison *comparison)
{
	for (size_t i = 0; i < comparison->count; i++)
		base_free(comparison->different[i].path);
	base_free(comparison->different);
	*comparison = (data_comparison){0};
}
