/* Where Spark is, before anything is started: what is missing is said at once and in full. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/file.h"
#include "engine/spark_job.h"

enum { CONNECT_MS = 5000, REST_PORT = 6066 };

#ifndef ENGINE_LIBEXEC
#define ENGINE_LIBEXEC "/usr/local/libexec/brainmri"
#endif

/* ---- what the user gave ---- */

static bool starts(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

static bool is_number(const char *text, size_t length)
{
	return length > 0 && length < 6 && strspn(text, "0123456789") >= length;
}

/* HOST:PORT at `at`, up to `length` bytes. */
static bool is_address(const char *at, size_t length)
{
	const char *colon = memrchr(at, ':', length);
	return colon && colon > at && strcspn(at, "/ ,") >= length &&
	       is_number(colon + 1, length - (size_t)(colon + 1 - at));
}

static bool is_local(const char *master)
{
	if (strcmp(master, "local") == 0 || strcmp(master, "local[*]") == 0)
		return true;
	size_t length = strlen(master);
	return starts(master, "local[") && master[length - 1] == ']' && is_number(master + 6, length - 7) &&
	       master[6] != '0';
}

bm_status engine_spark_check_master(const char *master, bm_error *err)
{
	bool good = strcmp(master, "yarn") == 0 || is_local(master);
	if (starts(master, "rest://"))
		good = is_address(master + 7, strlen(master + 7));
	if (starts(master, "spark://")) {
		good = true;
		for (const char *at = master + 8; good; at++) {
			size_t length = strcspn(at, ",");
			good = is_address(at, length);
			at += length;
			if (*at == '\0')
				break;
		}
	}
	return good ? BM_OK
		    : base_fail(err, BM_ERR_USAGE,
				"--master takes spark://HOST:PORT, rest://HOST:PORT, yarn, local, local[N] or local[*] "
				"(all are "
				"Spark; threads without Spark: --threads), not '%s'",
				master);
}

bm_status engine_spark_check_conf(const char *conf, bm_error *err)
{
	for (const char *at = conf; at;) {
		size_t length = strcspn(at, ",");
		const char *equals = memchr(at, '=', length);
		if (!starts(at, "spark.") || !equals || equals == at + 6)
			return base_fail(err, BM_ERR_USAGE,
					 "--spark-conf takes spark.NAME=VALUE[,spark.NAME=VALUE...], not '%s'", conf);
		at = at[length] ? at + length + 1 : NULL;
	}
	return BM_OK;
}

const char *engine_spark_setting(const char *conf, const char *name, const char *otherwise, char *buffer, size_t size)
{
	size_t n = strlen(name);
	snprintf(buffer, size, "%s", otherwise);
	for (const char *at = conf; at && *at;) {
		size_t length = strcspn(at, ",");
		if (strncmp(at, name, n) == 0 && at[n] == '=')
			snprintf(buffer, size, "%.*s", (int)(length - n - 1), at + n + 1);
		at += length + (at[length] == ',');
	}
	return buffer;
}

/* ---- files ---- */

static bool executable(const char *path)
{
	return base_is_file(path) && access(path, X_OK) == 0;
}

static bool on_path(const char *name, char *found, size_t size)
{
	for (const char *at = getenv("PATH"); at && *at;) {
		size_t length = strcspn(at, ":");
		if (length > 0 && (size_t)snprintf(found, size, "%.*s/%s", (int)length, at, name) < size &&
		    executable(found))
			return true;
		at += length + (at[length] == ':');
	}
	found[0] = '\0';
	return false;
}

/* The folder that the program runs from; "" when it cannot be told. */
static void own_folder(char *folder, size_t size)
{
	ssize_t length = readlink("/proc/self/exe", folder, size - 1);
	folder[length > 0 ? length : 0] = '\0';
	char *slash = strrchr(folder, '/');
	if (slash)
		*slash = '\0';
}

/* Beside the program, in a build folder or installed; *path is "" when it is nowhere. */
static void find_own(const char *variable, const char *name, const char *built, char *path, size_t size)
{
	char own[400];
	const char *given = getenv(variable);
	own_folder(own, sizeof own);
	if (given && given[0]) {
		snprintf(path, size, "%s", given);
		return;
	}
	snprintf(path, size, "%s/%s/%s", own, built, name);
	if (base_is_file(path))
		return;
	snprintf(path, size, "%s/../libexec/brainmri/%s", own, name);
	if (base_is_file(path))
		return;
	snprintf(path, size, ENGINE_LIBEXEC "/%s", name);
	if (!base_is_file(path))
		path[0] = '\0';
}

static bm_status find_parts(engine_spark_place *p, bm_error *err)
{
	find_own("BRAINMRI_SPARK_JAR", "brainmri-spark.jar", "../spark", p->jar, sizeof p->jar);
	if (!p->jar[0] || !base_is_file(p->jar))
		return base_fail(err, BM_ERR_NOT_FOUND,
				 "the Spark job's jar (brainmri-spark.jar) is not there%s%s; make it with 'make spark' "
				 "in brainmri's "
				 "sources (needs Maven), or name it with BRAINMRI_SPARK_JAR",
				 p->jar[0] ? ": " : "", p->jar);
	find_own("BRAINMRI_WORKER", "brainmri-worker", ".", p->worker, sizeof p->worker);
	if (!p->worker[0]) {
		ssize_t length = readlink("/proc/self/exe", p->worker, sizeof p->worker - 1);
		p->worker[length > 0 ? length : 0] = '\0';
	}
	if (!executable(p->worker))
		return base_fail(err, BM_ERR_NOT_FOUND,
				 "the worker that Spark's tasks run is not there: '%s' is no program; install brainmri "
				 "anew, or name "
				 "it with BRAINMRI_WORKER",
				 p->worker);
	return BM_OK;
}

/* SPARK_HOME or the path; false: no Spark here. */
static bool find_spark(engine_spark_place *p, const char **given)
{
	*given = getenv("SPARK_HOME");
	if (*given && (*given)[0]) {
		snprintf(p->home, sizeof p->home, "%.400s", *given);
		snprintf(p->submit, sizeof p->submit, "%.400s/bin/spark-submit", *given);
		if (executable(p->submit))
			return true;
		p->home[0] = p->submit[0] = '\0';
		return false;
	}
	if (!on_path("spark-submit", p->submit, sizeof p->submit))
		return false;
	char *real = realpath(p->submit, NULL);
	char *slash = real ? strstr(real, "/bin/spark-submit") : NULL;
	if (slash)
		snprintf(p->home, sizeof p->home, "%.*s", (int)(slash - real), real);
	free(real);
	return true;
}

/* Out of the name of $SPARK_HOME/jars/spark-core_2.13-4.2.0.jar. */
static void find_version(engine_spark_place *p)
{
	char path[600];
	snprintf(path, sizeof path, "%s/jars", p->home);
	DIR *folder = p->home[0] ? opendir(path) : NULL;
	struct dirent *entry;
	while (folder && (entry = readdir(folder)) != NULL) {
		const char *name = entry->d_name, *at = starts(name, "spark-core_") ? strchr(name + 11, '-') : NULL;
		const char *tail = at ? strstr(at, ".jar") : NULL;
		if (tail)
			snprintf(p->version, sizeof p->version, "%.*s", (int)(tail - at - 1), at + 1);
	}
	if (folder)
		closedir(folder);
}

static bm_status find_java(engine_spark_place *p, bm_error *err)
{
	const char *home = getenv("JAVA_HOME");
	if (home && home[0]) {
		snprintf(p->java, sizeof p->java, "%.400s/bin/java", home);
		if (executable(p->java))
			return BM_OK;
		return base_fail(err, BM_ERR_NOT_FOUND,
				 "JAVA_HOME is '%s', but there is no '%s': set it to the folder of a Java 11 or newer "
				 "(check with: "
				 "echo $JAVA_HOME)",
				 home, p->java);
	}
	if (on_path("java", p->java, sizeof p->java))
		return BM_OK;
	return base_fail(err, BM_ERR_NOT_FOUND,
			 "JAVA_HOME is not set and there is no 'java' on the PATH: Spark needs Java 11 or newer; "
			 "install it (apt-get "
			 "install default-jre-headless), then set JAVA_HOME (check with: echo $JAVA_HOME)");
}

/* ---- is anybody there? ---- */

static int try_one(const struct addrinfo *address)
{
	int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), number = 0;
	socklen_t size = sizeof number;
	if (fd < 0)
		return errno;
	if (connect(fd, address->ai_addr, address->ai_addrlen) != 0)
		number = errno;
	if (number == EINPROGRESS) {
		struct pollfd waiting = {.fd = fd, .events = POLLOUT};
		number = ETIMEDOUT;
		if (poll(&waiting, 1, CONNECT_MS) == 1 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &number, &size) != 0)
			number = errno;
	}
	close(fd);
	return number;
}

/* Whether somebody listens at HOST:PORT; else why not. */
static bool reaches(const char *at, size_t length, char *why, size_t size)
{
	char host[200];
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
	const char *colon = memrchr(at, ':', length);
	snprintf(host, sizeof host, "%.*s", (int)(colon - at), at);
	char port[8];
	snprintf(port, sizeof port, "%.*s", (int)(length - (size_t)(colon + 1 - at)), colon + 1);
	int code = getaddrinfo(host, port, &hints, &list), number = ECONNREFUSED;
	if (code != 0) {
		snprintf(why, size, "%s", gai_strerror(code));
		return false;
	}
	for (const struct addrinfo *a = list; a && number != 0; a = a->ai_next)
		number = try_one(a);
	freeaddrinfo(list);
	if (number != 0)
		snprintf(why, size, "%s", strerror(number));
	return number == 0;
}

bool engine_spark_reach(const char *addresses, engine_spark_place *p, bm_error *err)
{
	char why[128] = "";
	for (const char *at = addresses; *at;) {
		size_t length = strcspn(at, ",");
		if (reaches(at, length, why, sizeof why)) {
			snprintf(p->reachable, sizeof p->reachable, "%.*s", (int)length, at);
			return true;
		}
		at += length + (at[length] == ',');
	}
	(void)base_fail(err, BM_ERR_IO, "%s", why);
	return false;
}

static bm_status reach_master(const char *addresses, const char *start, engine_spark_place *p, bm_error *err)
{
	bm_error why = {0};
	if (engine_spark_reach(addresses, p, &why))
		return BM_OK;
	return base_fail(err, BM_ERR_IO,
			 "cannot reach the Spark master at %s: %s; start it (%s), check with 'jps' that Master and "
			 "Worker run, and "
			 "that --master names its address and port",
			 addresses, why.message, start);
}

/* Without Spark here a standalone master takes the job over its REST port. */
static bm_status over_rest(const engine_spark *spark, const char *given, engine_spark_place *p, bm_error *err)
{
	char address[160];
	bool named = starts(spark->master, "rest://");
	if (named) {
		snprintf(address, sizeof address, "%s", spark->master + 7);
	} else if (starts(spark->master, "spark://")) {
		const char *at = spark->master + 8, *colon = strchr(at, ':');
		snprintf(address, sizeof address, "%.*s:%d", (int)(colon - at), at, REST_PORT);
	} else {
		return base_fail(
			err, BM_ERR_NOT_FOUND,
			given && given[0]
				? "Spark not found: SPARK_HOME is '%s', but there is no bin/spark-submit in it; set "
				  "it to the folder of a Spark, or leave --master away to work with threads here"
				: "Spark not found: SPARK_HOME is not set and there is no spark-submit on the PATH%s; "
				  "install Spark (https://spark.apache.org) and set SPARK_HOME, or leave --master away "
				  "to work with threads here",
			given && given[0] ? given : "");
	}
	snprintf(p->rest, sizeof p->rest, "http://%.140s", address);
	snprintf(p->master, sizeof p->master, "spark://%.140s", address);
	bm_status status = reach_master(address,
					"spark.master.rest.enabled true in its spark-defaults.conf, then "
					"$SPARK_HOME/sbin/start-master.sh",
					p, err);
	if (status != BM_OK && !named)
		status = base_prefix(err, status,
				     "Spark not found here (SPARK_HOME, PATH), so the job goes over the REST port");
	return status;
}

bm_status engine_spark_find(const engine_spark *spark, engine_spark_place *p, bm_error *err)
{
	const char *given = NULL, *master = spark->master;
	*p = (engine_spark_place){0};
	bm_status status = engine_spark_check_master(master, err);
	if (status == BM_OK && spark->conf)
		status = engine_spark_check_conf(spark->conf, err);
	if (status == BM_OK)
		status = find_parts(p, err);
	if (status != BM_OK)
		return status;
	if (starts(master, "rest://") || !find_spark(p, &given))
		return over_rest(spark, given, p, err);
	find_version(p);
	status = find_java(p, err);
	if (status != BM_OK)
		return status;
	/* Spark's own local mode gives up at the first failure unless told otherwise. */
	if (strcmp(master, "local") == 0)
		snprintf(p->master, sizeof p->master, "local[1,%d]", ENGINE_SPARK_ATTEMPTS);
	else if (is_local(master))
		snprintf(p->master, sizeof p->master, "%.*s,%d]", (int)strlen(master) - 1, master,
			 ENGINE_SPARK_ATTEMPTS);
	else
		snprintf(p->master, sizeof p->master, "%s", master);
	if (strcmp(master, "yarn") == 0)
		status = engine_spark_find_yarn(spark, p, err);
	else if (starts(master, "spark://"))
		status = reach_master(master + 8, "$SPARK_HOME/sbin/start-all.sh", p, err);
	return status;
}
