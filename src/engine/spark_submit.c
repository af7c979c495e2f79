/* A job started, asked after and ended: by spark-submit as a child process, or over the REST port of a standalone master. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/child.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/threads.h"
#include "engine/spark_job.h"

enum { WORDS_MAX = 160, ANSWER_LIMIT = 1 << 20 };
static const double STOP_SECONDS = 10, ASK_SECONDS = 0.5, SILENCE_SECONDS = 60;

#define APPLICATION "BrainMRI_Distributed_DL"
#define MAIN_CLASS "brainmri.Preprocess"

/* What brainmri sets; what the user sets comes after it, and counts. */
static const char *const defaults[][2] = {
	{"spark.ui.showConsoleProgress", "false"},
	{"spark.locality.wait", "0s"},
	/* Names of files are UTF-8 also where the machine's language is not set. */
	{"spark.executorEnv.LC_ALL", "C.UTF-8"},
	/* Java only hands bytes on and lives for seconds: compiling it well would cost more than it gains. */
	{"spark.driver.extraJavaOptions", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"},
	{"spark.executor.extraJavaOptions", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"},
};
#define DEFAULTS (sizeof defaults / sizeof *defaults)

static void wait_a_little(void)
{
	nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
}

static bool on_loopback(const char *master)
{
	return strncmp(master, "local", 5) == 0 || strstr(master, "//127.") || strstr(master, "//localhost:");
}

/* ---- words that are kept until the process runs ---- */

struct words {
	char *items[WORDS_MAX + 1];
	size_t count;
	bool failed;
};

static void add(struct words *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add(struct words *w, const char *format, ...)
{
	char *text = NULL;
	va_list args;
	va_start(args, format);
	int length = vasprintf(&text, format, args);
	va_end(args);
	if (length < 0 || w->count == WORDS_MAX) {
		if (length >= 0)
			free(text);
		w->failed = true;
		return;
	}
	w->items[w->count++] = text;
}

static void free_words(struct words *w)
{
	for (size_t i = 0; i < w->count; i++)
		free(w->items[i]);
}

/* The user's settings one by one: "NAME=VALUE". */
static const char *next_setting(const char *at, const char **setting, size_t *length)
{
	*setting = at;
	*length = strcspn(at, ",");
	return at[*length] ? at + *length + 1 : at + *length;
}

static void submit_words(const engine_spark_job *job, struct words *w)
{
	const engine_spark_place *p = &job->place;
	add(w, "%s", p->submit);
	add(w, "--master");
	add(w, "%s", p->master);
	add(w, "--deploy-mode");
	add(w, "client");
	add(w, "--name");
	add(w, APPLICATION);
	add(w, "--class");
	add(w, MAIN_CLASS);
	add(w, "--files");
	add(w, "%s", p->worker);
	for (size_t i = 0; i < DEFAULTS; i++) {
		add(w, "--conf");
		add(w, "%s=%s", defaults[i][0], defaults[i][1]);
	}
	add(w, "--conf");
	add(w, "spark.task.maxFailures=%d", ENGINE_SPARK_ATTEMPTS);
	/* By which YARN's page finds it. */
	if (strcmp(p->master, "yarn") == 0) {
		add(w, "--conf");
		add(w, "spark.yarn.tags=%s", base_path_name(job->folder));
	}
	engine_spark_service service;
	int executors, cores;
	if (strcmp(p->master, "yarn") == 0 && engine_spark_ask_yarn(p, &service) &&
	    engine_spark_share(&service, job->spark->conf, &executors, &cores)) {
		add(w, "--conf");
		add(w, "spark.executor.instances=%d", executors);
		add(w, "--conf");
		add(w, "spark.executor.cores=%d", cores);
	}
	for (const char *at = job->spark->conf, *setting; at && *at;) {
		size_t length;
		at = next_setting(at, &setting, &length);
		add(w, "--conf");
		add(w, "%.*s", (int)length, setting);
	}
	add(w, "%s", p->jar);
	for (size_t i = 0; job->arguments[i]; i++)
		add(w, "%s", job->arguments[i]);
	add(w, "--watch");
	add(w, "yes");
}

/* The environment, with what Spark needs to be told there. */
static char **environment(const engine_spark_job *job, struct words *own)
{
	size_t count = 0, used = 0;
	while (environ[count])
		count++;
	add(own, "LC_ALL=C.UTF-8");
	if (on_loopback(job->place.master) && !getenv("SPARK_LOCAL_IP"))
		add(own, "SPARK_LOCAL_IP=127.0.0.1"); /* its page is for this machine only */
	if (job->place.hadoop[0] && !getenv("HADOOP_CONF_DIR") && !getenv("YARN_CONF_DIR"))
		add(own, "HADOOP_CONF_DIR=%s", job->place.hadoop);
	char **all = base_calloc(count + own->count + 1, sizeof *all, "the environment", NULL);
	if (!all)
		return NULL;
	for (size_t i = 0; i < count; i++)
		if (strncmp(environ[i], "LC_ALL=", 7) != 0)
			all[used++] = environ[i];
	for (size_t i = 0; i < own->count; i++)
		all[used++] = own->items[i];
	return all;
}

static int spawn(engine_spark_job *job, char *const *words, char *const *variables, int input)
{
	base_spawn spawn;
	int number = base_spawn_open(&spawn);
	if (number != 0)
		return number;
	number = base_spawn_own_group(&spawn); /* Ctrl-C is ours, and ends the job in an orderly way */
	if (number == 0)
		number = posix_spawn_file_actions_adddup2(&spawn.actions, input, STDIN_FILENO);
	if (number == 0)
		number = posix_spawn_file_actions_addopen(&spawn.actions, STDOUT_FILENO, job->log,
							  O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0666);
	if (number == 0)
		number = posix_spawn_file_actions_adddup2(&spawn.actions, STDOUT_FILENO, STDERR_FILENO);
	if (number == 0)
		number = posix_spawn(&job->child, words[0], &spawn.actions, &spawn.attributes, words, variables);
	if (number != 0)
		job->child = 0;
	base_spawn_close(&spawn);
	return number;
}

static bm_status start_here(engine_spark_job *job, bm_error *err)
{
	struct words words = {0}, own = {0};
	int ends[2], number = 0;
	bm_status status = BM_OK;
	submit_words(job, &words);
	char **variables = environment(job, &own);
	if (words.failed || own.failed || !variables) {
		status = base_fail(err, BM_ERR_USAGE,
				   "Spark cannot be started: too many settings in --spark-conf, or no memory");
	} else if (pipe2(ends, O_CLOEXEC) != 0) {
		status = base_fail(err, BM_ERR_IO, "Spark cannot be started: %s", strerror(errno));
	} else {
		number = spawn(job, words.items, variables, ends[0]);
		close(ends[0]);
		job->keep = ends[1]; /* when we are gone it ends, and so does the job */
	}
	if (number != 0)
		status = base_fail(err, BM_ERR_IO, "'%s' cannot be started: %s", job->place.submit, strerror(number));
	base_free(variables);
	free_words(&words);
	free_words(&own);
	return status;
}

/* ---- over REST ---- */

/* The answer as JSON. A refusal is an error with what the master said. */
static bm_status call(storage_http *http, const char *method, const char *url, const char *text, json_t **json,
		      bm_error *err)
{
	storage_bytes body = {.bytes = text, .size = text ? strlen(text) : 0};
	storage_source source = storage_bytes_source(&body);
	storage_http_request request = {
		.method = method, .url = url, .source = text ? &source : NULL, .limit = ANSWER_LIMIT};
	storage_http_answer answer = {0};
	*json = NULL;
	bm_status status = storage_http_do(http, &request, &answer, err);
	if (status == BM_OK && answer.end == HTTP_CANCELLED)
		status = base_fail(err, BM_ERR_CANCELLED, "stopped");
	else if (status == BM_OK && answer.end != HTTP_ANSWERED)
		status = base_fail(err, BM_ERR_IO, "the Spark master does not answer at %s: %s", url, answer.why);
	if (status == BM_OK && answer.body)
		*json = json_loadb((const char *)answer.body, answer.size, 0, NULL);
	if (status == BM_OK && !json_is_object(*json)) {
		json_decref(*json);
		*json = NULL;
		status = base_fail(err, BM_ERR_IO,
				   "%s is no REST port of a Spark master (HTTP %ld); it is 6066 unless "
				   "spark.master.rest.port says otherwise",
				   url, answer.code);
	}
	storage_http_answer_free(&answer);
	return status;
}

static json_t *properties_of(const engine_spark_job *job)
{
	json_t *properties = json_object();
	json_object_set_new(properties, "spark.app.name", json_string(APPLICATION));
	json_object_set_new(properties, "spark.master", json_string(job->place.master));
	json_object_set_new(properties, "spark.submit.deployMode", json_string("cluster"));
	json_object_set_new(properties, "spark.driver.supervise", json_string("false"));
	json_object_set_new(properties, "spark.jars", json_sprintf("%s/brainmri-spark.jar", job->folder));
	json_object_set_new(properties, "spark.files", json_sprintf("%s/brainmri-worker", job->folder));
	json_object_set_new(properties, "spark.task.maxFailures", json_sprintf("%d", ENGINE_SPARK_ATTEMPTS));
	for (size_t i = 0; i < DEFAULTS; i++)
		json_object_set_new(properties, defaults[i][0], json_string(defaults[i][1]));
	for (const char *at = job->spark->conf, *setting; at && *at;) {
		size_t length;
		at = next_setting(at, &setting, &length);
		size_t name = strcspn(setting, "=");
		char key[256];
		snprintf(key, sizeof key, "%.*s", (int)name, setting);
		json_object_set_new(properties, key, json_stringn(setting + name + 1, length - name - 1));
	}
	return properties;
}

static bm_status start_there(engine_spark_job *job, bm_error *err)
{
	char url[256];
	const char *id = NULL, *message = NULL;
	int success = 0;
	json_t *arguments = json_array(), *answer = NULL;
	for (size_t i = 0; job->arguments[i]; i++)
		json_array_append_new(arguments, json_string(job->arguments[i]));
	json_t *variables =
		json_pack("{s:s, s:s}", "SPARK_ENV_LOADED", "1" /* by the driver's machine */, "LC_ALL", "C.UTF-8");
	/* Else the job would be in HDFS whoever the master's workers run as. */
	if (job->user[0])
		json_object_set_new(variables, "HADOOP_USER_NAME", json_string(job->user));
	json_t *request = json_pack(
		"{s:s, s:s, s:o, s:s, s:o, s:o, s:o}", "action", "CreateSubmissionRequest", "clientSparkVersion",
		"4.2.0", "appResource", json_sprintf("%s/brainmri-spark.jar", job->folder), "mainClass", MAIN_CLASS,
		"appArgs", arguments, "environmentVariables", variables, "sparkProperties", properties_of(job));
	char *text = request ? json_dumps(request, 0) : NULL;
	json_decref(request);
	if (!text)
		return base_fail(err, BM_ERR_MEMORY,
				 "no memory for the job's description, or a path in it is not UTF-8");
	snprintf(url, sizeof url, "%s/v1/submissions/create", job->place.rest);
	bm_status status = call(job->http, "POST", url, text, &answer, err);
	free(text);
	if (status != BM_OK)
		return status;
	if (json_unpack(answer, "{s:b, s?:s, s?:s}", "success", &success, "submissionId", &id, "message", &message) !=
		    0 ||
	    !success || !id)
		status = base_fail(err, BM_ERR_IO, "the Spark master at %s does not take the job: %s", job->place.rest,
				   message ? message : "no reason is given");
	else
		snprintf(job->driver, sizeof job->driver, "%s", id);
	json_decref(answer);
	return status;
}

static bm_status ask_there(engine_spark_job *job, bool *ended, bool *failed, base_text *why, bm_error *err)
{
	char url[256];
	const char *state = NULL, *message = NULL;
	json_t *answer = NULL;
	bm_error missed = {0};
	double now = base_now();
	if (now - job->asked < ASK_SECONDS)
		return BM_OK;
	job->asked = now;
	snprintf(url, sizeof url, "%s/v1/submissions/status/%s", job->place.rest, job->driver);
	bm_status status = call(job->http, "GET", url, NULL, &answer, &missed);
	if (status == BM_ERR_CANCELLED || status == BM_ERR_MEMORY)
		return base_fail(err, status, "%s", missed.message);
	/* An answer that is missing once is no end; a master that was started anew never knows the driver. */
	const double silence = job->spark->silence > 0 ? job->spark->silence : SILENCE_SECONDS;
	if (status == BM_OK && json_unpack(answer, "{s?:s, s?:s}", "driverState", &state, "message", &message) == 0 &&
	    state) {
		job->heard = now;
		*failed = strcmp(state, "FAILED") == 0 || strcmp(state, "ERROR") == 0 || strcmp(state, "KILLED") == 0;
		*ended = *failed || strcmp(state, "FINISHED") == 0;
		if (*failed)
			base_text_add(why, "the driver's state is %s%s%s\n", state, message ? ": " : "",
				      message ? message : "");
	} else if (now - job->heard > silence) {
		*ended = *failed = true; /* its result may be there all the same */
		base_text_add(why, "no word of %s for %.0f s: %s\n", job->driver, silence,
			      status != BM_OK ? missed.message
			      : message	      ? message
					      : "the master does not know it");
	}
	json_decref(answer);
	return BM_OK;
}

/* ---- both ---- */

bm_status engine_spark_start(engine_spark_job *job, bm_error *err)
{
	job->begun = job->heard = base_now();
	return job->place.rest[0] ? start_there(job, err) : start_here(job, err);
}

bm_status engine_spark_ended(engine_spark_job *job, bool *ended, bool *failed, base_text *why, bm_error *err)
{
	int code;
	*ended = *failed = false;
	if (job->driver[0])
		return ask_there(job, ended, failed, why, err);
	pid_t gone = waitpid(job->child, &code, WNOHANG);
	if (gone == 0 || (gone < 0 && errno == EINTR))
		return BM_OK;
	*ended = true;
	*failed = gone < 0 || !WIFEXITED(code) || WEXITSTATUS(code) != 0;
	job->child = 0;
	if (gone > 0 && WIFSIGNALED(code))
		base_text_add(why, "spark-submit was ended by signal %d\n", WTERMSIG(code));
	return BM_OK;
}

static void stop_here(engine_spark_job *job)
{
	double begun = base_now();
	int code;
	/* The driver ends its application when its input ends or at SIGTERM: the master then ends the executors. */
	if (job->keep >= 0)
		close(job->keep);
	job->keep = -1;
	if (job->child <= 0)
		return;
	kill(-job->child, SIGTERM);
	while (waitpid(job->child, &code, WNOHANG) == 0) {
		if (base_now() - begun > STOP_SECONDS) {
			kill(-job->child, SIGKILL);
			waitpid(job->child, &code, 0);
			break;
		}
		wait_a_little();
	}
	job->child = 0;
}

void engine_spark_stop(engine_spark_job *job)
{
	if (job->driver[0]) {
		char url[256];
		json_t *answer = NULL;
		storage_http *http = NULL; /* ours is cancelled */
		storage_http_options options = {.connect_timeout = 3, .idle_timeout = STOP_SECONDS};
		snprintf(url, sizeof url, "%s/v1/submissions/kill/%s", job->place.rest, job->driver);
		if (storage_http_open(&options, &http, NULL) == BM_OK &&
		    call(http, "POST", url, "", &answer, NULL) == BM_OK)
			json_decref(answer);
		storage_http_close(http);
		job->driver[0] = '\0';
	}
	bool waits = job->child > 0 && !job->application[0] && job->place.yarn[0][0];
	stop_here(job);
	if (waits)
		engine_spark_leave_yarn(job);
}
