/* Preprocessing on a Spark cluster: the images are handed out by spark/'s job, whose tasks run brainmri's worker on the machines
 * of the cluster; what they leave is put together here, and is the pack that threads would have made. */
#ifndef ENGINE_SPARK_H
#define ENGINE_SPARK_H

#include "base/observer.h"
#include "data/pack.h"
#include "storage/storage.h"

enum { ENGINE_SPARK_TASKS = 256 };

typedef struct engine_spark {
	/* spark://HOST:PORT[,HOST:PORT], yarn, local, local[N], local[*]; rest://HOST:PORT hands the job to a master's REST port,
	 * which needs no Spark here. */
	const char *master;
	const char
		*conf;	 /* "spark.executor.memory=1g,spark.ui.port=4050": goes before what brainmri sets; NULL: none */
	int partitions;	 /* 0: two for each core of the cluster, at least 4 */
	int seconds;	 /* that an image may take before its worker is ended; 0: 60 */
	int silence;	 /* seconds without word of the driver, over REST, after which the job counts as lost; 0: 60 */
	const char *log; /* file for what Spark says; NULL: in the job's folder, and gone with it */
} engine_spark;

typedef struct engine_spark_task {
	int partition, attempt; /* attempt 0: the first one did it */
	size_t images, rejected;
	double seconds;
	char executor[32], host[96];
} engine_spark_task;

typedef struct engine_spark_stats {
	char version[32], application[64], ui[160];
	double start_seconds;	/* from submitting to the first task, and from the last one to the end */
	double run_seconds;	/* of the job */
	double collect_seconds; /* of putting the parts together */
	uint64_t bytes_read;
	int partitions;
	int failed_tasks; /* attempts that failed and were made again, as far as was seen */
	int task_count;
	engine_spark_task tasks[ENGINE_SPARK_TASKS]; /* by partition, the first of them */
} engine_spark_stats;

/* BM_ERR_USAGE unless it is one of those above. */
bm_status engine_spark_check_master(const char *master, bm_error *err);
/* BM_ERR_USAGE unless it is NAME=VALUE[,NAME=VALUE...] with names "spark.". */
bm_status engine_spark_check_conf(const char *conf, bm_error *err);
/* The value of one of conf's names, else `otherwise`. */
const char *engine_spark_setting(const char *conf, const char *name, const char *otherwise, char *buffer, size_t size);

/* What phase 2 shows. BM_ERR_NOT_FOUND and BM_ERR_IO with a remedy: no Spark, no Java, no job's jar, no master. */
typedef struct engine_spark_place {
	char version[32]; /* "": not known before the job runs */
	char home[512];	  /* SPARK_HOME; "": over REST */
	char submit[512]; /* spark-submit; "": over REST */
	char rest[160];	  /* "http://HOST:PORT"; "": by spark-submit */
	char java[512];	  /* "": over REST */
	char jar[512];	  /* the job's */
	char worker[512]; /* the program that tasks run */
	char master[256]; /* what Spark is told: "local[2,4]" */
	char reachable
		[160]; /* HOST:PORT of the master that answered, of YARN the ResourceManager; "": there is none to ask */
	/* With YARN alone: */
	char hadoop[512];  /* the folder of yarn-site.xml; "": not known here, Spark itself may know it */
	char yarn[8][160]; /* "http://HOST:PORT": the pages of the ResourceManagers */
} engine_spark_place;
bm_status engine_spark_find(const engine_spark *spark, engine_spark_place *place, bm_error *err);

/* What a standalone master's page tells, or YARN's; false: there is none at the usual port (SPARK_MASTER_WEBUI_PORT, 8080). */
typedef struct engine_spark_service {
	int workers, cores, cores_used; /* of the workers (YARN: nodes) that are alive */
	long long memory_mb;
	long long memory_free_mb; /* of YARN alone */
} engine_spark_service;
bool engine_spark_ask_master(const engine_spark_place *place, engine_spark_service *service);

/* Fills the writer's slots with all of the set's images. reasons[i] (base_free): image i was left out (its slot is dropped). pack: the
 * folder beside which the job's files go when the data are local; of data in HDFS they go to the user's home there.
 * BM_ERR_CANCELLED ends the job in the cluster too. */
bm_status engine_spark_fill(storage *s, const data_set *set, int side, const char *pack, const engine_spark *spark,
			    const base_observer *observer, data_pack_writer *writer, char **reasons,
			    engine_spark_stats *stats, bm_error *err);

/* The chosen images preprocessed and thrown away, all of them and half of them, each `repeats` times: the fastest. Spark's start is
 * not counted. */
bm_status engine_spark_measure(storage *s, const data_set *set, const size_t *indices, size_t count, int side,
			       const engine_spark *spark, int repeats, const base_observer *observer,
			       double *all_seconds, double *half_seconds, bm_error *err);

#endif
