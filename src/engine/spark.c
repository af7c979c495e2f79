/* A job from its list of images to its parts. */
#include "engine/spark.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/threads.h"
#include "engine/frame.h"
#include "engine/spark_job.h"

enum { RESULT_LIMIT = 64 << 20, LOG_TAIL = 256 << 10 };

/* ---- the job's folder ---- */

/* "hdfs://HOST:PORT" of "hdfs://HOST:PORT/path"; the whole of a path is 0. */
static size_t authority_length(const char *url)
{
	const char *at = strstr(url, "://");
	return at ? (size_t)(at + 3 - url) + strcspn(at + 3, "/") : 0;
}

/* As Hadoop's Path reads it: nothing is escaped. */
static char *absolute_url(const char *path, bm_error *err)
{
	char whole[PATH_MAX], url[PATH_MAX + 8];
	if (!realpath(path, whole)) {
		base_fail(err, BM_ERR_NOT_FOUND, "there is no '%s'", path);
		return NULL;
	}
	snprintf(url, sizeof url, "file://%s", whole);
	return base_strdup(url, err);
}

/* Where the tasks find the data. */
static char *data_url(const char *url, bm_error *err)
{
	char *path = NULL, *found = NULL;
	if (!storage_is_local(url))
		return base_strdup(url, err);
	if (storage_local_path(url, &path, err) == BM_OK)
		found = absolute_url(path, err);
	base_free(path);
	return found;
}

static void job_name(char *name, size_t size)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	snprintf(name, size, "spark-%lld-%ld-%ld", (long long)now.tv_sec, now.tv_nsec / 1000, (long)getpid());
}

/* Where the tasks leave their parts: beside the pack, or, when the data are in HDFS, in the user's home there. */
static bm_status open_exchange(engine_spark_job *job, storage *data, const char *pack, bm_error *err)
{
	const char *url = storage_url(data);
	char name[96];
	base_text where = {0};
	storage_options options = {
		.make = true, .webhdfs = storage_webhdfs(data), .cancel = job->observer ? job->observer->cancel : NULL};
	bm_status status = BM_OK;
	job_name(name, sizeof name);
	if (storage_is_local(url)) {
		size_t length = strlen(pack);
		while (length > 1 && pack[length - 1] == '/')
			length--;
		base_text_add(&where, "%.*s.%s", (int)length, pack, name);
	} else {
		storage_service service;
		status = storage_describe(data, &service, err);
		if (status == BM_OK && !service.home_exists)
			status = base_fail(err, BM_ERR_NOT_FOUND,
					   "the Spark job needs your home folder in HDFS for its parts, and there is "
					   "no '%s'; run: "
					   "hdfs dfs -mkdir -p %s",
					   service.home, service.home);
		snprintf(job->user, sizeof job->user, "%s", status == BM_OK ? service.user : "");
		base_text_add(&where, "%.*s%s/.brainmri/%s", (int)authority_length(url), url,
			      status == BM_OK ? service.home : "", name);
	}
	if (status == BM_OK && where.failed)
		status = base_fail(err, BM_ERR_MEMORY, "no memory for the name of the job's folder");
	if (status == BM_OK)
		status = storage_open_with(base_text_string(&where), &options, &job->exchange, err);
	if (status == BM_OK) {
		job->folder = storage_is_local(url) ? absolute_url(base_text_string(&where), err)
						    : base_strdup(base_text_string(&where), err);
		status = job->folder ? BM_OK : BM_ERR_MEMORY;
	}
	base_text_free(&where);
	return status;
}

/* Files that are made by others than this process are left: the folder was made for this job alone. */
static void close_exchange(engine_spark_job *job)
{
	if (!job->exchange)
		return;
	char *slash = job->folder ? strrchr(job->folder, '/') : NULL;
	/* Through its parent: a root cannot remove itself. */
	storage *parent = NULL;
	storage_options options = {.webhdfs = job->exchange ? storage_webhdfs(job->exchange) : NULL};
	if (slash)
		*slash = '\0';
	/* The folder's address is not escaped, so it is opened as a path. */
	const char *above = job->folder && strncmp(job->folder, "file://", 7) == 0 ? job->folder + 7 : job->folder;
	if (slash && storage_open_with(above[0] ? above : "/", &options, &parent, NULL) == BM_OK)
		(void)storage_remove(parent, slash + 1, true, NULL, NULL);
	storage_close(parent);
	storage_close(job->exchange);
	job->exchange = NULL;
}

static void add_number(base_text *to, uint64_t value, int size)
{
	char bytes[8];
	for (int i = 0; i < size; i++)
		bytes[i] = (char)(value >> 8 * i);
	base_text_append(to, bytes, (size_t)size);
}

/* The list of images as spark/'s Preprocess reads it. indices: those that are wanted; NULL: all. */
static bm_status write_list(engine_spark_job *job, const storage *s, const data_set *set, const size_t *indices,
			    size_t count, bm_error *err)
{
	base_text list = {0};
	bm_status status;
	base_text_append(&list, "BMLIST01", 8);
	add_number(&list, count, 4);
	for (size_t i = 0; i < count; i++) {
		size_t index = indices ? indices[i] : i;
		const data_item *item = &set->items[index];
		add_number(&list, index, 8);
		uint64_t place = UINT64_MAX; /* a file of its own; else where its header begins in the pack */
		(void)storage_pack_place(s, item->path, &place);
		add_number(&list, place, 8);
		add_number(&list, item->size, 8);
		add_number(&list, item->hash.low, 8);
		add_number(&list, item->hash.high, 8);
		add_number(&list, strlen(item->path), 4);
		base_text_append(&list, item->path, strlen(item->path));
	}
	if (list.failed || count > 10000000)
		status = base_fail(err, BM_ERR_MEMORY, "no memory for the list of %zu images", count);
	else
		status = storage_write(job->exchange, "images", list.data, list.length, err);
	base_text_free(&list);
	return status;
}

/* A cluster that takes the job over REST fetches the jar and the worker from the job's folder. */
static bm_status lend(engine_spark_job *job, const char *path, const char *name, int permission, bm_error *err)
{
	uint8_t *bytes = NULL;
	size_t size = 0;
	bm_status status = base_file_read(path, (size_t)256 << 20, &bytes, &size, err);
	if (status == BM_OK)
		status = storage_write(job->exchange, name, bytes, size, err);
	if (status == BM_OK)
		status = storage_set_permission(job->exchange, name, permission, err);
	base_free(bytes);
	return status;
}

/* ---- running ---- */

static bm_status prepare(engine_spark_job *job, storage *s, const data_set *set, const size_t *indices, size_t count,
			 const char *pack, bm_error *err)
{
	const char *url = storage_url(s);
	storage_http_options options = {
		.connect_timeout = 3, .idle_timeout = 15, .cancel = job->observer ? job->observer->cancel : NULL};
	bm_status status = engine_spark_find(job->spark, &job->place, err);
	if (status != BM_OK)
		return status;
	job->data = data_url(url, err);
	if (!job->data)
		return err ? err->status : BM_ERR_MEMORY;
	status = storage_http_open(&options, &job->http, err);
	if (status == BM_OK)
		status = open_exchange(job, s, pack, err);
	if (status == BM_OK)
		status = write_list(job, s, set, indices, count, err);
	if (status == BM_OK && job->place.rest[0])
		status = lend(job, job->place.jar, "brainmri-spark.jar", 0644, err);
	if (status == BM_OK && job->place.rest[0])
		status = lend(job, job->place.worker, "brainmri-worker", 0755, err);
	if (status != BM_OK)
		return status;
	job->log = job->spark->log ? base_strdup(job->spark->log, err) : NULL;
	if (!job->spark->log) {
		char name[64] = "/tmp/brainmri-spark-XXXXXX";
		int fd = mkstemp(name);
		if (fd < 0)
			return base_fail(err, BM_ERR_IO, "no file can be made in /tmp for what Spark says");
		close(fd);
		job->log = base_strdup(name, err);
	}
	return job->log ? BM_OK : BM_ERR_MEMORY;
}

/* The end of what spark-submit said. */
static void add_log(const engine_spark_job *job, base_text *why)
{
	FILE *file = job->place.rest[0] ? NULL : fopen(job->log, "re");
	if (!file)
		return;
	if (fseek(file, -(long)LOG_TAIL, SEEK_END) != 0)
		rewind(file);
	char piece[4096];
	size_t got;
	while ((got = fread(piece, 1, sizeof piece, file)) > 0)
		base_text_append(why, piece, got);
	fclose(file);
}

static bm_status take_result(engine_spark_job *job, bool failed, base_text *why, engine_spark_stats *stats,
			     bm_error *err)
{
	uint8_t *bytes = NULL;
	size_t size = 0;
	bm_status status = storage_read(job->exchange, "result.json", RESULT_LIMIT, &bytes, &size, err);
	if (status == BM_OK)
		status = engine_spark_read_result((const char *)bytes, size, stats, why, err);
	base_free(bytes);
	if (status == BM_OK && !failed)
		return BM_OK;
	if (status == BM_ERR_MEMORY || status == BM_ERR_CANCELLED)
		return status;
	if (status == BM_OK) /* the work was done, what failed came after it */
		return BM_OK;
	add_log(job, why);
	return engine_spark_explain(base_text_string(why), job->spark,
				    job->place.rest[0] || !job->spark->log ? NULL : job->log, err);
}

static bm_status run(engine_spark_job *job, engine_spark_stats *stats, bm_error *err)
{
	base_text why = {0};
	bool ended = false, failed = false;
	bm_status status = engine_spark_start(job, err);
	while (status == BM_OK && !ended) {
		nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
		status = base_check_cancel(job->observer, err);
		if (status == BM_OK)
			status = engine_spark_ended(job, &ended, &failed, &why, err);
		if (status == BM_OK && !ended)
			engine_spark_watch(job);
	}
	if (status == BM_OK)
		job->driver[0] = '\0';
	if (status == BM_OK)
		status = take_result(job, failed, &why, stats, err);
	if (status == BM_OK) {
		snprintf(stats->application, sizeof stats->application, "%s", job->application);
		snprintf(stats->ui, sizeof stats->ui, "%s", job->ui);
		stats->failed_tasks = 0;
		for (int i = 0; i < stats->task_count; i++)
			stats->failed_tasks += stats->tasks[i].attempt;
		if (stats->failed_tasks < job->failed)
			stats->failed_tasks = job->failed;
		stats->start_seconds = base_now() - job->begun - stats->run_seconds;
	}
	base_text_free(&why);
	return status;
}

static void end(engine_spark_job *job)
{
	engine_spark_stop(job);
	close_exchange(job);
	storage_http_close(job->http);
	if (job->log && !job->spark->log)
		unlink(job->log);
	base_free(job->log);
	base_free(job->data);
	base_free(job->folder);
}

struct numbers {
	char side[16], seconds[16], attempts[16], partitions[16], measure[16], worker[256], preprocessing[16];
};

/* The words that the job is given. */
static void argue(engine_spark_job *job, int side, int measure, struct numbers *n, const char *words[32])
{
	const engine_spark *spark = job->spark;
	size_t count = 0;
	snprintf(n->side, sizeof n->side, "%d", side);
	snprintf(n->seconds, sizeof n->seconds, "%d", spark->seconds > 0 ? spark->seconds : ENGINE_SPARK_SECONDS);
	snprintf(n->attempts, sizeof n->attempts, "%d", ENGINE_SPARK_ATTEMPTS);
	snprintf(n->partitions, sizeof n->partitions, "%d", spark->partitions);
	snprintf(n->measure, sizeof n->measure, "%d", measure);
	snprintf(n->preprocessing, sizeof n->preprocessing, "%u", engine_preprocessing_number());
	snprintf(n->worker, sizeof n->worker, "%s",
		 job->place.rest[0] ? "brainmri-worker" : base_path_name(job->place.worker));
	const char *const all[] = {"--job",	 job->folder,	    "--data",	     job->data,	    "--worker",
				   n->worker,	 "--side",	    n->side,	     "--seconds",   n->seconds,
				   "--attempts", n->attempts,	    "--partitions",  n->partitions, "--measure",
				   n->measure,	 "--preprocessing", n->preprocessing};
	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		words[count++] = all[i];
	words[count] = NULL;
	job->arguments = words;
}

bm_status engine_spark_fill(storage *s, const data_set *set, int side, const char *pack, const engine_spark *spark,
			    const base_observer *observer, data_pack_writer *writer, char **reasons,
			    engine_spark_stats *stats, bm_error *err)
{
	engine_spark_job job = {.spark = spark, .observer = observer, .keep = -1};
	struct numbers numbers;
	const char *words[32];
	*stats = (engine_spark_stats){0};
	bm_status status = prepare(&job, s, set, NULL, set->count, pack, err);
	if (status == BM_OK) {
		argue(&job, side, 0, &numbers, words);
		status = run(&job, stats, err);
	}
	if (status == BM_OK) {
		double begun = base_now();
		status = engine_spark_assemble(job.exchange, stats->partitions, set, side, writer, reasons, observer,
					       err);
		stats->collect_seconds = base_now() - begun;
		base_report_progress(observer, &(base_progress){.what = "Preprocessing on Spark",
								.unit = "tasks",
								.done = stats->partitions,
								.total = stats->partitions,
								.seconds = base_now() - job.begun});
	}
	end(&job);
	return status;
}

/* The fastest of those with this count; 0: none. */
static double fastest(const json_t *measured, size_t count)
{
	double best = 0;
	size_t i;
	json_t *value;
	json_array_foreach(measured, i, value)
	{
		double seconds = json_number_value(json_array_get(value, 1));
		if ((size_t)json_integer_value(json_array_get(value, 0)) == count && seconds > 0 &&
		    (best == 0 || seconds < best))
			best = seconds;
	}
	return best;
}

bm_status engine_spark_measure(storage *s, const data_set *set, const size_t *indices, size_t count, int side,
			       const engine_spark *spark, int repeats, const base_observer *observer,
			       double *all_seconds, double *half_seconds, bm_error *err)
{
	engine_spark_job job = {.spark = spark, .observer = observer, .keep = -1};
	engine_spark_stats *stats = base_calloc(1, sizeof *stats, "the job's figures", err);
	struct numbers numbers;
	const char *words[32];
	uint8_t *bytes = NULL;
	size_t size = 0;
	char folder[64] = "/tmp/brainmri-bench";
	if (!stats)
		return BM_ERR_MEMORY;
	bm_status status = prepare(&job, s, set, indices, count, folder, err);
	if (status == BM_OK) {
		argue(&job, side, repeats, &numbers, words);
		status = run(&job, stats, err);
	}
	if (status == BM_OK)
		status = storage_read(job.exchange, "result.json", RESULT_LIMIT, &bytes, &size, err);
	if (status == BM_OK) {
		json_t *json = json_loadb((const char *)bytes, size, 0, NULL);
		const json_t *measured = json_object_get(json, "measured");
		*all_seconds = fastest(measured, count);
		*half_seconds = fastest(measured, count / 2);
		if (*all_seconds <= 0)
			status = base_fail(err, BM_ERR_FORMAT, "the Spark job measured nothing; try again");
		json_decref(json);
	}
	base_free(bytes);
	base_free(stats);
	end(&job);
	return status;
}
