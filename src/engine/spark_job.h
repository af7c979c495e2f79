/* What the files of the Spark engine share. */
#ifndef ENGINE_SPARK_JOB_H
#define ENGINE_SPARK_JOB_H

#include <jansson.h>
#include <sys/types.h>

#include "base/text.h"
#include "engine/spark.h"
#include "storage/http.h"

enum { ENGINE_SPARK_ATTEMPTS = 4, ENGINE_SPARK_SECONDS = 60 };

/* A job on its way. */
typedef struct engine_spark_job {
	const engine_spark *spark;
	engine_spark_place place;
	const base_observer *observer;
	storage *exchange; /* its folder */
	char *folder;	   /* URL of that, as Spark is told */
	char user[64];	   /* in HDFS; "": the data are not there */
	char *data;	   /* URL of the images */
	char *log;	   /* of spark-submit */
	storage_http *http;
	const char **arguments; /* of the job: "--side", "224", ...; NULL at the end */
	pid_t child;		/* spark-submit, 0: none */
	int keep;		/* our end of its standard input; -1 */
	char driver[64];	/* id of a submission over REST; "": none */
	char application[64], ui[160], version[32];
	bool waiting_said;
	double begun, polled, looked, asked, heard;
	int failed;
} engine_spark_job;

/* ---- spark_submit.c ---- */
bm_status engine_spark_start(engine_spark_job *job, bm_error *err);
/* Whether it has ended; *failed: not well. why: what is known of that (may stay empty). */
bm_status engine_spark_ended(engine_spark_job *job, bool *ended, bool *failed, base_text *why, bm_error *err);
/* Ends it in the cluster and here; safe when nothing runs. */
void engine_spark_stop(engine_spark_job *job);

/* ---- spark_watch.c ---- */
/* A JSON document over HTTP; NULL: there is none to be had. json_decref. moved: where it was found when redirects led
 * elsewhere, else ""; may be NULL. */
json_t *engine_spark_get(storage_http *http, const char *url, char *moved, size_t size);
typedef struct engine_spark_progress {
	int stage, tasks, complete, active, failed;
} engine_spark_progress;
/* Of /stages: the latest stage, failures of all. false: none yet. */
bool engine_spark_read_stages(const json_t *stages, engine_spark_progress *progress);
/* Of /allexecutors: executors that take tasks; -1: cannot be told. */
int engine_spark_read_executors(const json_t *executors);
bm_status engine_spark_read_result(const char *text, size_t size, engine_spark_stats *stats, base_text *why,
				   bm_error *err);
bool engine_spark_read_master(const json_t *master, const char *address, engine_spark_service *service);
/* Reports progress, once in a while. */
void engine_spark_watch(engine_spark_job *job);

/* ---- spark_find.c ---- */
/* Whether somebody listens at one of HOST:PORT[,HOST:PORT...], kept in p->reachable; else err says why not. */
bool engine_spark_reach(const char *addresses, engine_spark_place *p, bm_error *err);

/* ---- spark_yarn.c ---- */
bm_status engine_spark_find_yarn(const engine_spark *spark, engine_spark_place *p, bm_error *err);
bool engine_spark_ask_yarn(const engine_spark_place *p, engine_spark_service *service);
/* A job that YARN has and has not begun. */
typedef struct engine_spark_waiting {
	char id[64];   /* of the application; "" when it is none of YARN's */
	char why[400]; /* which application, and what YARN says of it */
} engine_spark_waiting;
/* Whether the job is one. */
bool engine_spark_waits_for_yarn(const engine_spark_job *job, storage_http *http, engine_spark_waiting *waiting);
/* Takes a job that YARN has not begun out of its queue, with the files that Spark left for it. */
void engine_spark_leave_yarn(const engine_spark_job *job);
/* Of the ResourceManager's /ws/v1/cluster/metrics. */
bool engine_spark_read_yarn(const json_t *json, engine_spark_service *service);
/* How many executors with how many cores take what is free; Spark's own default is two of one core. false: not known. */
bool engine_spark_share(const engine_spark_service *service, const char *conf, int *executors, int *cores);

/* ---- spark_assemble.c ---- */
/* Every image of the set exactly once, out of the parts in `exchange`. */
bm_status engine_spark_assemble(storage *exchange, int partitions, const data_set *set, int side,
				data_pack_writer *writer, char **reasons, const base_observer *observer, bm_error *err);

/* ---- spark_explain.c ---- */
/* Turns what Spark said into an error with a remedy. text: a stack trace or the end of a log. */
bm_status engine_spark_explain(const char *text, const engine_spark *spark, const char *log, bm_error *err);

#endif
