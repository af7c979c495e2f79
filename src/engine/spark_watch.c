/* What a running job tells: its folder, and the status pages of Spark. */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/threads.h"
#include "engine/spark_job.h"

enum { ANSWER_LIMIT = 8 << 20, REDIRECTS = 4 };
static const double POLL_SECONDS = 0.25, LOOK_SECONDS = 2, PATIENCE = 20;

json_t *engine_spark_get(storage_http *http, const char *url, char *moved, size_t size)
{
	char here[512];
	json_t *json = NULL;
	bool again = true;
	snprintf(here, sizeof here, "%s", url);
	if (moved)
		moved[0] = '\0';
	for (int i = 0; i < REDIRECTS && again; i++) {
		storage_http_request request = {.method = "GET", .url = here, .limit = ANSWER_LIMIT};
		storage_http_answer answer = {0};
		bool answered = storage_http_do(http, &request, &answer, NULL) == BM_OK && answer.end == HTTP_ANSWERED;
		if (answered && answer.code == 200 && answer.body)
			json = json_loadb((const char *)answer.body, answer.size, 0, NULL);
		again = answered && answer.code / 100 == 3 && answer.location && strlen(answer.location) < sizeof here;
		if (again)
			snprintf(here, sizeof here, "%s", answer.location);
		storage_http_answer_free(&answer);
	}
	if (json && moved && strcmp(here, url) != 0)
		snprintf(moved, size, "%s", here);
	return json;
}

bool engine_spark_read_stages(const json_t *stages, engine_spark_progress *p)
{
	int latest = -1, failed = 0;
	size_t i;
	json_t *value;
	json_array_foreach(stages, i, value)
	{
		engine_spark_progress one = {0};
		int attempt = 0;
		if (json_unpack(value, "{s:i, s?:i, s:i, s:i, s:i, s?:i}", "stageId", &one.stage, "attemptId", &attempt,
				"numTasks", &one.tasks, "numCompleteTasks", &one.complete, "numActiveTasks",
				&one.active, "numFailedTasks", &one.failed) != 0 ||
		    one.stage < 0 || one.stage > 1000000 || attempt < 0 || attempt > 1000)
			continue;
		failed += one.failed;
		if (one.stage * 1000 + attempt > latest) {
			latest = one.stage * 1000 + attempt;
			*p = one;
		}
	}
	p->failed = failed;
	return latest >= 0;
}

int engine_spark_read_executors(const json_t *executors)
{
	int count = 0;
	size_t i;
	json_t *value;
	if (!json_is_array(executors))
		return -1;
	json_array_foreach(executors, i, value) count += json_is_true(json_object_get(value, "isActive")) &&
							 json_integer_value(json_object_get(value, "totalCores")) > 0;
	return count;
}

bool engine_spark_read_master(const json_t *master, const char *address, engine_spark_service *service)
{
	const char *url = NULL;
	json_t *workers = NULL, *value;
	size_t i;
	*service = (engine_spark_service){0};
	if (json_unpack((json_t *)(uintptr_t)master, "{s:s, s:o}", "url", &url, "workers", &workers) != 0 ||
	    strncmp(url, "spark://", 8) != 0 || strcmp(url + 8, address) != 0)
		return false;
	json_array_foreach(workers, i, value)
	{
		const char *state = "";
		int cores = 0, used = 0;
		json_int_t memory = 0;
		if (json_unpack(value, "{s:s, s:i, s:i, s:I}", "state", &state, "cores", &cores, "coresused", &used,
				"memory", &memory) != 0 ||
		    strcmp(state, "ALIVE") != 0)
			continue;
		service->workers++;
		service->cores += cores;
		service->cores_used += used;
		service->memory_mb += memory;
	}
	return true;
}

bool engine_spark_ask_master(const engine_spark_place *place, engine_spark_service *service)
{
	char url[256];
	const char *port = getenv("SPARK_MASTER_WEBUI_PORT"), *colon = strrchr(place->reachable, ':');
	storage_http *http = NULL;
	storage_http_options options = {.connect_timeout = 2, .idle_timeout = 5};
	if (strcmp(place->master, "yarn") == 0)
		return engine_spark_ask_yarn(place, service);
	if (!colon || place->rest[0] || storage_http_open(&options, &http, NULL) != BM_OK)
		return false;
	snprintf(url, sizeof url, "http://%.*s:%.5s/json/", (int)(colon - place->reachable), place->reachable,
		 port && port[0] ? port : "8080");
	json_t *json = engine_spark_get(http, url, NULL, 0);
	bool known = engine_spark_read_master(json, place->reachable, service);
	json_decref(json);
	storage_http_close(http);
	return known;
}

static int by_partition(const void *a, const void *b)
{
	const engine_spark_task *left = a, *right = b;
	return (left->partition > right->partition) - (left->partition < right->partition);
}

bm_status engine_spark_read_result(const char *text, size_t size, engine_spark_stats *stats, base_text *why,
				   bm_error *err)
{
	const char *error = NULL, *version = NULL;
	json_t *tasks = NULL, *value, *json = json_loadb(text, size, 0, NULL);
	size_t i;
	bm_status status = BM_OK;
	if (!json)
		return base_fail(err, BM_ERR_FORMAT,
				 "what the Spark job left as its result is not JSON; preprocess again");
	if (json_unpack(json, "{s:s}", "error", &error) == 0) {
		base_text_add(why, "%s\n", error);
		status = base_fail(err, BM_ERR_IO, "the Spark job failed");
		goto end;
	}
	if (json_unpack(json, "{s:s, s:i, s?:F, s?:o}", "spark", &version, "partitions", &stats->partitions, "seconds",
			&stats->run_seconds, "tasks", &tasks) != 0 ||
	    stats->partitions < 1 || stats->partitions > 1000000 || (tasks && !json_is_array(tasks))) {
		status = base_fail(err, BM_ERR_FORMAT,
				   "what the Spark job left as its result is not whole; preprocess again");
		goto end;
	}
	snprintf(stats->version, sizeof stats->version, "%s", version);
	json_array_foreach(tasks, i, value)
	{
		engine_spark_task task = {0};
		const char *executor, *host;
		json_int_t images, rejected, bytes;
		if (json_unpack(value, "{s:i, s:i, s:s, s:s, s:I, s:I, s:I, s:F}", "partition", &task.partition,
				"attempt", &task.attempt, "executor", &executor, "host", &host, "images", &images,
				"rejected", &rejected, "bytes", &bytes, "seconds", &task.seconds) != 0 ||
		    images < 0 || rejected < 0 || bytes < 0)
			continue; /* figures to be shown, nothing that the pack depends on */
		task.images = (size_t)images;
		task.rejected = (size_t)rejected;
		snprintf(task.executor, sizeof task.executor, "%s", executor);
		snprintf(task.host, sizeof task.host, "%s", host);
		stats->bytes_read += (uint64_t)bytes;
		if (stats->task_count < ENGINE_SPARK_TASKS)
			stats->tasks[stats->task_count++] = task;
	}
	qsort(stats->tasks, (size_t)stats->task_count, sizeof *stats->tasks, by_partition);
end:
	json_decref(json);
	return status;
}

/* The driver's first sign of life. */
static void look_for_start(engine_spark_job *job)
{
	uint8_t *bytes = NULL;
	size_t size = 0;
	const char *application, *ui, *version;
	if (storage_read(job->exchange, "started.json", 1 << 16, &bytes, &size, NULL) != BM_OK)
		return;
	json_t *json = json_loadb((const char *)bytes, size, 0, NULL);
	base_free(bytes);
	if (json_unpack(json, "{s:s, s:s, s:s}", "application", &application, "ui", &ui, "spark", &version) == 0) {
		snprintf(job->application, sizeof job->application, "%s", application);
		snprintf(job->ui, sizeof job->ui, "%s", ui);
		snprintf(job->version, sizeof job->version, "%s", version);
		base_note(job->observer, "Spark %s runs %s%s%s", version, application, ui[0] ? "; its page: " : "", ui);
	}
	json_decref(json);
}

/* What Spark's page of the job has at `path`. YARN sends those who read it on to its own page, which shows it still when the job
 * has ended. */
static json_t *get_of_job(engine_spark_job *job, const char *path)
{
	char url[320], moved[512], tail[160];
	snprintf(tail, sizeof tail, "/api/v1/applications/%s/%s", job->application, path);
	snprintf(url, sizeof url, "%s%s", job->ui, tail);
	json_t *json = engine_spark_get(job->http, url, moved, sizeof moved);
	size_t length = strlen(moved), end = strlen(tail);
	if (length <= end || strcmp(moved + length - end, tail) != 0)
		return json;
	moved[length - end] = '\0';
	/* By this word the page of Spark only tells that it sent someone there. */
	char *word = strstr(moved, "/proxy/redirect/");
	if (word)
		memmove(word + 6, word + 15, strlen(word + 15) + 1);
	snprintf(job->ui, sizeof job->ui, "%.159s", moved);
	return json;
}

/* Nothing runs, because the cluster has nothing free: Spark itself would wait in silence. */
static void look_for_executors(engine_spark_job *job)
{
	if (job->waiting_said || base_now() - job->begun < PATIENCE)
		return;
	json_t *json = get_of_job(job, "allexecutors");
	if (engine_spark_read_executors(json) == 0) {
		base_warning(
			job->observer,
			"the cluster has given no executor yet: no worker has enough free cores or memory, or none is "
			"registered; look at the master's page, or ask for less: --spark-conf "
			"spark.executor.memory=512m");
		job->waiting_said = true;
	}
	json_decref(json);
}

/* The driver itself waits in silence until YARN has a container for the application's master. */
static void look_for_yarn(engine_spark_job *job, double now)
{
	engine_spark_waiting waiting;
	if (job->waiting_said || !job->place.yarn[0][0] || now - job->begun < PATIENCE ||
	    now - job->looked < LOOK_SECONDS)
		return;
	job->looked = now;
	if (!engine_spark_waits_for_yarn(job, job->http, &waiting))
		return;
	base_warning(
		job->observer,
		"YARN has not begun the job yet: no node has enough free cores or memory, or its queue is full (%s); "
		"look at %s/cluster, or stop it (Ctrl-C) and name another queue: --spark-conf spark.yarn.queue=NAME",
		waiting.why, job->place.yarn[0]);
	job->waiting_said = true;
}

void engine_spark_watch(engine_spark_job *job)
{
	char detail[96];
	double now = base_now();
	engine_spark_progress p = {0};
	if (now - job->polled < POLL_SECONDS)
		return;
	job->polled = now;
	if (!job->application[0]) {
		look_for_start(job);
		look_for_yarn(job, now);
		return;
	}
	if (!job->ui[0])
		return;
	json_t *stages = get_of_job(job, "stages");
	bool known = engine_spark_read_stages(stages, &p);
	json_decref(stages);
	if (known) {
		job->failed = p.failed;
		snprintf(detail, sizeof detail, "stage %d, %d running, %d failed", p.stage, p.active, p.failed);
		/* The bar ends when the job has. */
		base_report_progress(job->observer,
				     &(base_progress){.what = "Preprocessing on Spark",
						      .unit = "tasks",
						      .done = p.complete < p.tasks ? p.complete : p.tasks - 1,
						      .total = p.tasks,
						      .seconds = now - job->begun,
						      .detail = detail});
		const base_value values[] = {{"stage", p.stage},
					     {"tasks", p.tasks},
					     {"complete", p.complete},
					     {"running", p.active},
					     {"failed", p.failed}};
		base_report_event(job->observer, &(base_event){.kind = BASE_CLUSTER,
							       .text = job->ui,
							       .values = values,
							       .count = sizeof values / sizeof *values});
	}
	if (p.active == 0 && p.complete == 0 && now - job->looked > LOOK_SECONDS) {
		job->looked = now;
		look_for_executors(job);
	}
}
