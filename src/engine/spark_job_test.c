/* Jobs whose Spark is a script or a small HTTP server of this test: what is started, said and ended. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/threads.h"
#include "data/test_fixture.h"
#include "engine/frame.h"
#include "engine/preprocess.h"
#include "engine/spark_job.h"

enum { SIDE = 16, CLASSES = 2, EACH = 3, COUNT = CLASSES * EACH };

static storage *store;
static data_set set;
static atomic_bool cancel;

/* ---- a small HTTP server: a fixed answer for each path ---- */

struct page {
	const char *path, *body;
};
static struct server {
	int fd;
	char address[32];
	pthread_t thread;
	const struct page *pages;
	atomic_int kills;
	char last[16384]; /* the last POST or PUT */
} server;

static void answer(int client)
{
	char request[32768] = "", head[256];
	size_t size = 0, wanted = SIZE_MAX;
	while (size < wanted && size + 1 < sizeof request) {
		ssize_t n = read(client, request + size, sizeof request - 1 - size);
		if (n <= 0)
			break;
		size += (size_t)n;
		request[size] = '\0';
		const char *end = strstr(request, "\r\n\r\n"), *length = strcasestr(request, "content-length:");
		if (end)
			wanted = (size_t)(end + 4 - request) + (length ? (size_t)atol(length + 15) : 0);
	}
	const char *path = strchr(request, ' ');
	if (!path)
		return;
	path++;
	if (strncmp(request, "POST", 4) == 0 || strncmp(request, "PUT", 3) == 0)
		snprintf(server.last, sizeof server.last, "%s", request);
	if (strstr(request, "/v1/submissions/kill/"))
		atomic_fetch_add(&server.kills, 1);
	const char *body = "";
	for (const struct page *p = server.pages; p->path; p++)
		if (strncmp(path, p->path, strlen(p->path)) == 0)
			body = p->body;
	/* "-> URL": somewhere else */
	bool moved = strncmp(body, "-> ", 3) == 0;
	int length =
		snprintf(head, sizeof head, "HTTP/1.1 %s\r\n%s%s%sContent-Length: %zu\r\nConnection: close\r\n\r\n",
			 moved	   ? "302 Found"
			 : body[0] ? "200 OK"
				   : "404 Not Found",
			 moved ? "Location: " : "", moved ? body + 3 : "", moved ? "\r\n" : "", strlen(body));
	assert_int_equal(write(client, head, (size_t)length), length);
	assert_int_equal(write(client, body, strlen(body)), strlen(body));
}

static void *serve(void *arg)
{
	(void)arg;
	for (;;) {
		int client = accept(server.fd, NULL, NULL);
		if (client < 0)
			return NULL;
		answer(client);
		close(client);
	}
}

static void begin_server(const struct page *pages)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof address;
	server.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(server.fd, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(listen(server.fd, 16), 0);
	assert_int_equal(getsockname(server.fd, (struct sockaddr *)&address, &size), 0);
	snprintf(server.address, sizeof server.address, "127.0.0.1:%d", ntohs(address.sin_port));
	server.pages = pages;
	atomic_store(&server.kills, 0);
	assert_int_equal(pthread_create(&server.thread, NULL, serve, NULL), 0);
}

static void end_server(void)
{
	shutdown(server.fd, SHUT_RDWR);
	close(server.fd);
	pthread_join(server.thread, NULL);
}

/* ---- jobs ---- */

static int setup(void **state)
{
	if (fixture_setup(state) != 0)
		return -1;
	signal(SIGPIPE, SIG_IGN);
	fixture_images(CLASSES, EACH);
	atomic_store(&cancel, false);
	if (storage_open(fixture_path("data"), &store, &oops) != BM_OK ||
	    data_scan(store, 1, false, NULL, &set, &oops) != BM_OK)
		return -1;
	fixture_write("brainmri-spark.jar", "x", 1);
	fixture_write("worker", "x", 1);
	chmod(fixture_path("worker"), 0755);
	setenv("BRAINMRI_SPARK_JAR", fixture_path("brainmri-spark.jar"), 1);
	setenv("BRAINMRI_WORKER", fixture_path("worker"), 1);
	setenv("SPARK_HOME", fixture_path("spark"), 1);
	setenv("JAVA_HOME", fixture_path("java"), 1);
	fixture_write("java/bin/java", "x", 1);
	chmod(fixture_path("java/bin/java"), 0755);
	return 0;
}

static int teardown(void **state)
{
	data_set_free(&set);
	storage_close(store);
	store = NULL;
	return fixture_teardown(state);
}

/* What $SPARK_HOME/bin/spark-submit does; $job is the job's folder there. */
static void submit_does(const char *script)
{
	char text[4096];
	snprintf(text, sizeof text,
		 "#!/bin/bash\nfor word; do [ \"$previous\" = --job ] && job=${word#file://}; previous=$word; "
		 "done\n%s\n",
		 script);
	fixture_write("spark/bin/spark-submit", text, strlen(text));
	chmod(fixture_path("spark/bin/spark-submit"), 0755);
}

static bm_status preprocess(const char *master, engine_stats *stats, bm_error *err)
{
	engine_spark spark = {
		.master = master, .conf = "spark.ui.port=4999", .silence = 2, .log = fixture_path("spark.log")};
	engine_options options = {.side = SIDE, .spark = &spark};
	base_observer observer = {.cancel = &cancel};
	return engine_preprocess(store, &set, fixture_path("pack"), &options, &observer, stats, err);
}

static void expect_failure(const char *master, bm_status status, const char *words)
{
	static engine_stats stats;
	bm_error err = {0};
	storage_list list = {0};
	storage *root = NULL;
	bm_status got = preprocess(master, &stats, &err);
	if (got != status || !strstr(err.message, words))
		fail_msg("%s: '%s' does not say '%s'", bm_status_name(got), err.message, words);
	assert_false(base_is_folder(fixture_path("pack")));
	assert_ok(storage_open(fixture_root, &root, &oops));
	assert_ok(storage_list_folder(root, "", &list, &oops));
	for (size_t i = 0; i < list.count; i++)
		if (strncmp(list.items[i].name, "pack", 4) == 0)
			fail_msg("'%s' is left", list.items[i].name);
	storage_list_free(&list);
	storage_close(root);
}

static void what_is_missing_is_said(void **state)
{
	(void)state;
	expect_failure("local[2]", BM_ERR_NOT_FOUND, "Spark not found: SPARK_HOME is");
	submit_does("exit 0");
	setenv("JAVA_HOME", "/nowhere", 1);
	expect_failure("local[2]", BM_ERR_NOT_FOUND, "echo $JAVA_HOME");
	setenv("JAVA_HOME", fixture_path("java"), 1);
	expect_failure("spark://127.0.0.1:1", BM_ERR_IO, "start-all.sh");
	expect_failure("spark://127.0.0.1:1,localhost:1", BM_ERR_IO, "Connection refused");
	expect_failure("rest://127.0.0.1:1", BM_ERR_IO, "Connection refused");
	expect_failure("nonsense", BM_ERR_USAGE, "spark://HOST:PORT");
	setenv("BRAINMRI_SPARK_JAR", "/nowhere.jar", 1);
	expect_failure("local[2]", BM_ERR_NOT_FOUND, "make spark");
	setenv("BRAINMRI_SPARK_JAR", fixture_path("brainmri-spark.jar"), 1);
	setenv("BRAINMRI_WORKER", "/nowhere", 1);
	expect_failure("local[2]", BM_ERR_NOT_FOUND, "BRAINMRI_WORKER");
}

static void a_job_that_fails_is_explained(void **state)
{
	(void)state;
	submit_does("echo 'java.net.BindException: Address already in use' >&2; exit 1");
	expect_failure("local[2]", BM_ERR_IO, "a port is in use");
	submit_does("exit 0");
	expect_failure("local[2]", BM_ERR_IO, "ended without a result");
	submit_does("kill -9 $$");
	expect_failure("local[2]", BM_ERR_IO, "ended without a result");
	submit_does("echo '{\"error\": \"x\\nCaused by: java.lang.OutOfMemoryError: Java heap space\"}' "
		    ">$job/result.json; exit 1");
	expect_failure("local[2]", BM_ERR_MEMORY, "spark.executor.memory");
	submit_does(
		"echo '{\"spark\": \"4.2.0\", \"partitions\": 1, \"seconds\": 1, \"tasks\": []}' >$job/result.json");
	expect_failure("local[2]", BM_ERR_DATA, "part-00000");
	submit_does("echo '{' >$job/result.json");
	expect_failure("local[2]", BM_ERR_IO, "ended without a result");
}

static void *cancel_soon(void *arg)
{
	(void)arg;
	usleep(300000);
	atomic_store(&cancel, true);
	return NULL;
}

static void cancelling_ends_what_was_started(void **state)
{
	pthread_t thread;
	(void)state;
	char script[4200];
	snprintf(script, sizeof script, "echo $$ >%s; exec sleep 1000", fixture_path("pid"));
	submit_does(script);
	assert_int_equal(pthread_create(&thread, NULL, cancel_soon, NULL), 0);
	expect_failure("local[2]", BM_ERR_CANCELLED, "");
	pthread_join(thread, NULL);
	uint8_t *text = NULL;
	size_t size;
	assert_ok(base_file_read(fixture_path("pid"), 100, &text, &size, &oops));
	assert_int_equal(kill((pid_t)atol((char *)text), 0), -1);
	base_free(text);
}

static void masters_take_and_refuse_over_rest(void **state)
{
	static const struct page refuses[] = {
		{"/v1/submissions/create", "{\"success\": false, \"message\": \"no room\"}"}, {0}};
	static const struct page no_master[] = {{"/x", "y"}, {0}};
	static const struct page fails[] = {
		{"/v1/submissions/create", "{\"success\": true, \"submissionId\": \"driver-1\"}"},
		{"/v1/submissions/status/driver-1",
		 "{\"driverState\": \"ERROR\", \"message\": \"java.io.IOException: No space left on device\"}"},
		{0}};
	static const struct page forgets[] = {
		{"/v1/submissions/create", "{\"success\": true, \"submissionId\": \"driver-1\"}"},
		{"/v1/submissions/status/driver-1", "{\"success\": false, \"serverSparkVersion\": \"4.2.0\"}"},
		{0}};
	static const struct page runs[] = {
		{"/v1/submissions/create", "{\"success\": true, \"submissionId\": \"driver-1\"}"},
		{"/v1/submissions/status/driver-1", "{\"driverState\": \"RUNNING\"}"},
		{"/v1/submissions/kill/driver-1", "{\"success\": true}"},
		{0}};
	const struct {
		const struct page *pages;
		const char *words;
	} cases[] = {{refuses, "no room"},
		     {no_master, "no REST port"},
		     {fails, "a disk is full"},
		     {forgets, "tells no more of the job"}};
	char master[64];
	pthread_t thread;
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		begin_server(cases[i].pages);
		snprintf(master, sizeof master, "rest://%s", server.address);
		expect_failure(master, BM_ERR_IO, cases[i].words);
		end_server();
	}
	begin_server(runs);
	snprintf(master, sizeof master, "rest://%s", server.address);
	assert_int_equal(pthread_create(&thread, NULL, cancel_soon, NULL), 0);
	expect_failure(master, BM_ERR_CANCELLED, "");
	pthread_join(thread, NULL);
	assert_int_equal(atomic_load(&server.kills), 1);
	end_server();
}

static void a_submission_names_all_that_the_cluster_needs(void **state)
{
	static const struct page pages[] = {{"/v1/submissions/create", "{\"success\": false}"}, {0}};
	(void)state;
	char master[64];
	begin_server(pages);
	snprintf(master, sizeof master, "rest://%s", server.address);
	expect_failure(master, BM_ERR_IO, "does not take the job");
	json_t *json = json_loads(strstr(server.last, "\r\n\r\n") + 4, 0, NULL);
	end_server();
	const json_t *properties = json_object_get(json, "sparkProperties");
	assert_string_equal(json_string_value(json_object_get(json, "action")), "CreateSubmissionRequest");
	assert_string_equal(json_string_value(json_object_get(json, "mainClass")), "brainmri.Preprocess");
	assert_non_null(strstr(json_string_value(json_object_get(json, "appResource")), "/brainmri-spark.jar"));
	assert_non_null(strstr(json_string_value(json_object_get(properties, "spark.files")), "/brainmri-worker"));
	assert_string_equal(json_string_value(json_object_get(properties, "spark.ui.port")), "4999");
	assert_string_equal(json_string_value(json_object_get(properties, "spark.task.maxFailures")), "4");
	const json_t *arguments = json_object_get(json, "appArgs");
	size_t i, side = 0, preprocessing = 0;
	json_t *value;
	json_array_foreach(arguments, i, value)
	{
		if (strcmp(json_string_value(value), "--side") == 0)
			side = i + 1;
		if (strcmp(json_string_value(value), "--preprocessing") == 0)
			preprocessing = i + 1;
	}
	assert_true(side > 0 && preprocessing > 0);
	assert_string_equal(json_string_value(json_array_get(arguments, side)), "16");
	assert_int_equal(strtoul(json_string_value(json_array_get(arguments, preprocessing)), NULL, 10),
			 engine_preprocessing_number());
	json_decref(json);
}

/* ---- YARN ---- */

#define METRICS                                                                                               \
	"{\"clusterMetrics\": {\"activeNodes\": 2, \"totalVirtualCores\": 16, \"allocatedVirtualCores\": 3, " \
	"\"availableMB\": 12000, \"totalMB\": 16000}}"

static void yarn_site(const char *properties)
{
	char text[2048];
	snprintf(text, sizeof text, "<configuration>%s</configuration>", properties);
	fixture_write("hadoop/yarn-site.xml", text, strlen(text));
	setenv("HADOOP_CONF_DIR", fixture_path("hadoop"), 1);
}

static void yarn_is_found_by_its_configuration(void **state)
{
	static const struct page pages[] = {{"/ws/v1/cluster/metrics", METRICS}, {0}};
	char text[1024];
	engine_spark spark = {.master = "yarn"};
	engine_spark_place place;
	engine_spark_service service;
	(void)state;
	unsetenv("YARN_CONF_DIR");
	unsetenv("HADOOP_HOME");
	submit_does("exit 0");
	fixture_write("hadoop/core-site.xml", "<configuration/>", 16);
	setenv("HADOOP_CONF_DIR", fixture_path("hadoop"), 1);
	expect_failure("yarn", BM_ERR_NOT_FOUND, "no yarn-site.xml in it: set HADOOP_CONF_DIR");
	yarn_site("<property><name>yarn.resourcemanager.address</name><value>127.0.0.1:1</value></property>");
	expect_failure("yarn", BM_ERR_IO, "cannot reach YARN's ResourceManager at 127.0.0.1:1");
	expect_failure("yarn", BM_ERR_IO, "start-yarn.sh");
	/* Two of them, the first is gone. */
	begin_server(pages);
	snprintf(text, sizeof text,
		 "<property><name>yarn.resourcemanager.ha.rm-ids</name><value>a, b</value></property>"
		 "<property><name>yarn.resourcemanager.address.a</name><value>127.0.0.1:1</value></property>"
		 "<property><name>yarn.resourcemanager.webapp.address.a</name><value>127.0.0.1:1</value></property>"
		 "<property><name>yarn.resourcemanager.address.b</name><value>%s</value></property>"
		 "<property><name>yarn.resourcemanager.webapp.address.b</name><value>%s</value></property>",
		 server.address, server.address);
	yarn_site(text);
	assert_ok(engine_spark_find(&spark, &place, &oops));
	assert_string_equal(place.reachable, server.address);
	assert_string_equal(place.hadoop, fixture_path("hadoop"));
	assert_true(engine_spark_ask_master(&place, &service));
	assert_int_equal(service.workers, 2);
	assert_int_equal(service.cores, 16);
	assert_int_equal(service.cores_used, 3);
	assert_int_equal(service.memory_mb, 16000);
	/* What spark-submit is told: 12 free cores in executors of 4, as many as there is memory for; the user's words come last. */
	snprintf(text, sizeof text, "echo \"$@\" >%s; exit 1", fixture_path("words"));
	submit_does(text);
	expect_failure("yarn", BM_ERR_IO, "ended without a result");
	uint8_t *words = NULL;
	size_t size;
	assert_ok(base_file_read(fixture_path("words"), 10000, &words, &size, &oops));
	assert_non_null(strstr((char *)words, "--master yarn "));
	assert_non_null(strstr((char *)words, "spark.executor.instances=3 --conf spark.executor.cores=4 "));
	base_free(words);
	end_server();
	/* Machines by name and the usual ports. */
	yarn_site("<property><name>yarn.resourcemanager.hostname</name><value>127.0.0.1</value></property>");
	bm_error err = {0};
	if (engine_spark_find(&spark, &place, &err) != BM_OK)
		assert_non_null(strstr(err.message, "127.0.0.1:8032"));
	assert_string_equal(place.yarn[0], "http://127.0.0.1:8088");
	unsetenv("HADOOP_CONF_DIR");
}

static void what_is_free_is_taken(void **state)
{
	static const struct {
		engine_spark_service service;
		const char *conf;
		int executors, cores;
	} cases[] = {
		{{.workers = 1, .cores = 3, .memory_free_mb = 4096}, NULL, 1, 2},
		{{.workers = 10, .cores = 480, .memory_free_mb = 1 << 20}, NULL, 119, 4},
		{{.workers = 10, .cores = 480, .memory_free_mb = 8192}, NULL, 5, 4},
		{{.workers = 10, .cores = 480, .memory_free_mb = 1 << 20}, "spark.executor.cores=8", 59, 8},
		{{.workers = 2, .cores = 16, .memory_free_mb = 16384}, "spark.executor.memory=6g", 2, 4},
		{{.workers = 2, .cores = 16, .memory_free_mb = 16384}, "spark.executor.memory=512m", 3, 4},
		/* Nothing is free: one is asked for, and waited for. */
		{{.workers = 2, .cores = 8, .cores_used = 8, .memory_free_mb = 0}, NULL, 1, 1},
	};
	int executors, cores;
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_true(engine_spark_share(&cases[i].service, cases[i].conf, &executors, &cores));
		if (executors != cases[i].executors || cores != cases[i].cores)
			fail_msg("case %zu: %d of %d cores", i, executors, cores);
	}
	assert_false(engine_spark_share(&(engine_spark_service){.cores = 3}, NULL, &executors, &cores));
	assert_false(engine_spark_read_yarn(NULL, &(engine_spark_service){0}));
}

static void the_page_is_followed_to_yarn(void **state)
{
	static char there[256];
	static struct page pages[] = {
		{"/api/v1/applications/app_1/stages", there},
		{"/proxy/redirect/app_1/api/v1/applications/app_1/stages", "[]"},
		{"/ws/v1/cluster/apps", "{\"apps\":{}}"},
		{"/ws/v1/cluster/apps?states=NEW,NEW_SAVING,SUBMITTED,ACCEPTED&applicationTags=spark-1-2-3 ",
		 "{\"apps\":{\"app\":[{\"id\":\"application_7\",\"queue\":\"night\",\"diagnostics\":\"AM resource "
		 "limit "
		 "exceeded\"}]}}"},
		{"/loop", "-> /loop"},
		{0}};
	engine_spark_job job = {.application = "app_1"};
	storage_http_options options = {.connect_timeout = 3, .idle_timeout = 5};
	char url[128], wanted[128];
	(void)state;
	begin_server(pages);
	snprintf(there, sizeof there, "-> http://%s/proxy/redirect/app_1/api/v1/applications/app_1/stages",
		 server.address);
	assert_ok(storage_http_open(&options, &job.http, &oops));
	snprintf(job.ui, sizeof job.ui, "http://%s", server.address);
	job.looked = base_now();
	engine_spark_watch(&job);
	snprintf(wanted, sizeof wanted, "http://%s/proxy/app_1", server.address);
	assert_string_equal(job.ui, wanted);
	/* A job that YARN has and does not begin, and one that it does not have. */
	engine_spark_waiting waiting;
	job.folder = (char[]){"hdfs://h:1/user/x/.brainmri/spark-1-2-3"};
	snprintf(job.place.yarn[0], sizeof job.place.yarn[0], "http://%s", server.address);
	assert_true(engine_spark_waits_for_yarn(&job, job.http, &waiting));
	assert_string_equal(waiting.id, "application_7");
	assert_string_equal(waiting.why, "application_7 in queue 'night': AM resource limit exceeded");
	job.folder = (char[]){"hdfs://h:1/user/x/.brainmri/spark-4-5-6"};
	assert_false(engine_spark_waits_for_yarn(&job, job.http, &waiting));
	snprintf(url, sizeof url, "http://%s/loop", server.address);
	assert_null(engine_spark_get(job.http, url, NULL, 0));
	storage_http_close(job.http);
	end_server();
}

static char warned[400];

static void keep_warning(void *self, const char *line)
{
	(void)self;
	snprintf(warned, sizeof warned, "%s", line);
}

static void a_job_that_waits_is_taken_out_of_yarn(void **state)
{
	static struct page pages[] = {
		{"/ws/v1/cluster/apps?states=NEW,NEW_SAVING,SUBMITTED,ACCEPTED&applicationTags=spark-1-2-3 ",
		 "{\"apps\":{\"app\":[{\"id\":\"application_7\"}]}}"},
		{"/ws/v1/cluster/apps/application_7/state?user.name=an%20owner ", "{\"state\":\"KILLED\"}"},
		{0}};
	base_observer observer = {.warning = keep_warning};
	engine_spark_job job = {.folder = (char[]){"file:///x/spark-1-2-3"}, .observer = &observer};
	char wanted[128];
	(void)state;
	setenv("HADOOP_USER_NAME", "an owner", 1);
	begin_server(pages);
	snprintf(job.place.yarn[0], sizeof job.place.yarn[0], "http://127.0.0.1:1");
	snprintf(job.place.yarn[1], sizeof job.place.yarn[1], "http://%s", server.address);
	engine_spark_leave_yarn(&job);
	assert_string_equal(warned, "");
	snprintf(wanted, sizeof wanted, "PUT %s", pages[1].path);
	assert_int_equal(strncmp(server.last, wanted, strlen(wanted)), 0);
	assert_non_null(strstr(server.last, "Content-Type: application/json\r\n"));
	assert_string_equal(strstr(server.last, "\r\n\r\n") + 4, "{\"state\":\"KILLED\"}");
	/* Refused: the user is told what to do. */
	setenv("HADOOP_USER_NAME", "another", 1);
	engine_spark_leave_yarn(&job);
	assert_non_null(strstr(warned, "(HTTP 404); end it with: yarn application -kill application_7"));
	/* Nothing waits: nothing is asked for. */
	server.last[0] = warned[0] = '\0';
	job.folder = (char[]){"file:///x/spark-4-5-6"};
	engine_spark_leave_yarn(&job);
	assert_string_equal(server.last, "");
	assert_string_equal(warned, "");
	unsetenv("HADOOP_USER_NAME");
	end_server();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_is_missing_is_said, setup, teardown),
		cmocka_unit_test_setup_teardown(a_job_that_fails_is_explained, setup, teardown),
		cmocka_unit_test_setup_teardown(cancelling_ends_what_was_started, setup, teardown),
		cmocka_unit_test_setup_teardown(masters_take_and_refuse_over_rest, setup, teardown),
		cmocka_unit_test_setup_teardown(yarn_is_found_by_its_configuration, setup, teardown),
		cmocka_unit_test(what_is_free_is_taken),
		cmocka_unit_test(the_page_is_followed_to_yarn),
		cmocka_unit_test(a_job_that_waits_is_taken_out_of_yarn),
		cmocka_unit_test_setup_teardown(a_submission_names_all_that_the_cluster_needs, setup, teardown),
	};
	return cmocka_run_group_tests_name("engine/spark_job", tests, NULL, NULL);
}
