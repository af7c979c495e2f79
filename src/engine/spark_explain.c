/* What Spark says at length, in one line that tells what to do. */
#include <string.h>

#include "engine/spark_job.h"

typedef struct known {
	const char *sign; /* in Spark's words */
	const char *also; /* that must be there too; NULL */
	bm_status status;
	const char *words; /* what happened, and what to do */
} known;

/* The first that fits: causes stand before what follows from them. */
static const known errors[] = {
	{"no word of driver", NULL, BM_ERR_IO,
	 "the Spark master tells no more of the job, as if it had been stopped or started anew; look at it with jps, "
	 "start it ($SPARK_HOME/sbin/start-master.sh) and run this again"},
	{"another version of brainmri runs as the worker", NULL, BM_ERR_UNSUPPORTED,
	 "the worker would make other pixels than this program; ship the brainmri-worker that was built with it: "
	 "install both anew, and unset BRAINMRI_WORKER or let it name that one"},
	{"unknown argument --", NULL, BM_ERR_UNSUPPORTED,
	 "the job's jar is older than this program; make it anew with 'make spark'"},
	{"gave no answer to", NULL, BM_ERR_DATA,
	 "a task hung; look at the image that is named, or give it more time with --image-seconds"},
	{"brainmri worker ended by signal 9", NULL, BM_ERR_MEMORY,
	 "a worker was killed from outside, as the kernel does when memory runs out; use fewer cores per machine "
	 "(--spark-conf "
	 "spark.executor.cores=1)"},
	{"brainmri worker ended", NULL, BM_ERR_IO,
	 "the worker does not run on a machine of the cluster; try 'brainmri-worker worker </dev/null' there"},
	{"Cannot run program", NULL, BM_ERR_IO,
	 "the worker cannot be started on a machine of the cluster; it is built for this machine's processor and "
	 "system, name "
	 "another with BRAINMRI_WORKER"},
	{"UnsupportedClassVersionError", NULL, BM_ERR_UNSUPPORTED,
	 "the cluster's Java is too old; Java 11 or newer is needed: set JAVA_HOME to it"},
	{"JAVA_HOME is not set", NULL, BM_ERR_NOT_FOUND,
	 "Spark found no Java; install one (apt-get install default-jre-headless) and set JAVA_HOME: echo $JAVA_HOME"},
	{"ClassNotFoundException: brainmri", NULL, BM_ERR_NOT_FOUND,
	 "the cluster could not load the job's jar; make it anew with 'make spark'"},
	{"SafeModeException", NULL, BM_ERR_IO, "HDFS is in safe mode; wait, or run: hdfs dfsadmin -safemode leave"},
	{"DSQuotaExceededException", NULL, BM_ERR_IO, "the space quota of HDFS is used up; look at: hdfs dfs -df -h"},
	{"No space left on device", NULL, BM_ERR_IO,
	 "a disk is full; free some space (in HDFS: hdfs dfs -df -h), or set spark.local.dir with --spark-conf"},
	{"AccessControlException", NULL, BM_ERR_IO,
	 "permission denied; run: hdfs dfs -chmod -R 755 /user/$USER, or set HADOOP_USER_NAME"},
	{"Permission denied", NULL, BM_ERR_IO,
	 "permission denied; the data and the run folder must be readable and writable for the user that Spark runs "
	 "as"},
	{"OutOfMemoryError", NULL, BM_ERR_MEMORY,
	 "Java ran out of memory; process in smaller parts (--partitions N), or give it more: --spark-conf "
	 "spark.executor.memory=2g,spark.driver.memory=2g"},
	{"Java heap space", NULL, BM_ERR_MEMORY,
	 "Java ran out of memory; process in smaller parts (--partitions N), or give it more: --spark-conf "
	 "spark.executor.memory=2g,spark.driver.memory=2g"},
	{"System memory", "must be at least", BM_ERR_MEMORY,
	 "Spark takes no less than 450 MB of memory; give it more: --spark-conf "
	 "spark.driver.memory=1g,spark.executor.memory=1g"},
	{"Executor memory", "must be at least", BM_ERR_MEMORY,
	 "Spark takes no less than 450 MB of memory; give it more: --spark-conf spark.executor.memory=1g"},
	{"is above the max threshold", NULL, BM_ERR_MEMORY,
	 "YARN gives no container of this size; ask for less: --spark-conf spark.executor.memory=512m, or raise "
	 "yarn.scheduler.maximum-allocation-mb and yarn.nodemanager.resource.memory-mb"},
	{"exceeding physical memory limits", NULL, BM_ERR_MEMORY,
	 "YARN ended a container for its memory; give it more beside Java's: --spark-conf "
	 "spark.executor.memoryOverhead=1g"},
	{"ExecutorLostFailure", NULL, BM_ERR_IO,
	 "executors were lost again and again; look at their logs (Spark's page, work/ on the machines), and reduce "
	 "memory: "
	 "--spark-conf spark.executor.memory=1g"},
	{"Master removed our application", NULL, BM_ERR_IO,
	 "the master gave the application up, its executors cannot start; look at their logs on Spark's page"},
	{"BindException", NULL, BM_ERR_IO,
	 "a port is in use; choose others: --spark-conf spark.ui.port=4050,spark.driver.port=0, and look with: ss "
	 "-ltnp"},
	{"Address already in use", NULL, BM_ERR_IO,
	 "a port is in use; choose others: --spark-conf spark.ui.port=4050,spark.driver.port=0, and look with: ss "
	 "-ltnp"},
	{"All masters are unresponsive", NULL, BM_ERR_IO,
	 "connection refused by the Spark master; start it: $SPARK_HOME/sbin/start-master.sh, and check with: jps"},
	{"Call From", "Connection refused", BM_ERR_IO,
	 "connection refused by HDFS; start it: start-dfs.sh, and check with: jps (NameNode, DataNode)"},
	{"Connection refused", NULL, BM_ERR_IO,
	 "connection refused; start the services (start-dfs.sh, $SPARK_HOME/sbin/start-all.sh) and check with: jps"},
	{"HADOOP_CONF_DIR or YARN_CONF_DIR must be set", NULL, BM_ERR_NOT_FOUND,
	 "--master yarn needs Hadoop's configuration; set HADOOP_CONF_DIR to the folder of the cluster's core-site.xml "
	 "and "
	 "yarn-site.xml"},
	{"Could not load YARN classes", NULL, BM_ERR_UNSUPPORTED,
	 "this Spark has no YARN in it; set SPARK_HOME to one that has, or name a standalone master: "
	 "spark://HOST:PORT"},
	{"UnknownHostException", NULL, BM_ERR_IO,
	 "a machine's name is not known; check the names in the configuration and /etc/hosts, or set SPARK_LOCAL_IP"},
	{"FileNotFoundException", "file:", BM_ERR_IO,
	 "a machine of the cluster does not see the files; local data must lie in a folder that all of them share, or "
	 "in HDFS"},
	{"does not exist", "file:", BM_ERR_IO,
	 "a machine of the cluster does not see the files; local data must lie in a folder that all of them share, or "
	 "in HDFS"},
};

/* The line that says it. */
static void line_of(const char *text, const char *at, char *line, size_t size)
{
	const char *begin = at;
	while (begin > text && begin[-1] != '\n')
		begin--;
	size_t length = strcspn(begin, "\r\n");
	/* "Job aborted ...: Lost task ...: X": what stands in front of X says nothing. */
	if (at > begin + 80)
		begin = at, length = strcspn(begin, "\r\n");
	while (length > 0 && (*begin == ' ' || *begin == '\t'))
		begin++, length--;
	if (length > 300)
		length = 300;
	snprintf(line, size, "%.*s", (int)length, begin);
}

static const char *last_of(const char *text, const char *sign)
{
	const char *found = NULL;
	for (const char *at = text; (at = strstr(at, sign)) != NULL; at += strlen(sign))
		found = at;
	return found;
}

bm_status engine_spark_explain(const char *text, const engine_spark *spark, const char *log, bm_error *err)
{
	char line[384];
	const char *where = log ? "; Spark's own words are in " : "";
	for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
		const known *k = &errors[i];
		const char *at = strstr(text, k->sign);
		if (!at || (k->also && !strstr(text, k->also)))
			continue;
		line_of(text, at, line, sizeof line);
		return base_fail(err, k->status, "preprocessing on Spark (%s) failed: %s (%s)%s%s", spark->master,
				 k->words, line, where, log ? log : "");
	}
	static const char *const signs[] = {"Caused by: ", "Exception: ", "Exception in thread",
					    "ERROR",	   "Error: ",	  "the driver's state is"};
	for (size_t i = 0; i < sizeof signs / sizeof *signs; i++) {
		const char *at = last_of(text, signs[i]);
		if (!at)
			continue;
		line_of(text, at, line, sizeof line);
		return base_fail(err, BM_ERR_IO,
				 "preprocessing on Spark (%s) failed: %s%s%s; look at the failed tasks on Spark's page",
				 spark->master, line, where, log ? log : "");
	}
	return base_fail(err, BM_ERR_IO,
			 "preprocessing on Spark (%s) ended without a result%s%s; look at the failed tasks on "
			 "Spark's page",
			 spark->master, where, log ? log : "");
}
