/* Jobs whose Spark is a script or a small HTTP server of this test: what is started, said and ended. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "data/test_fixture.h"
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
	char last[16384]; /* the last POST */
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
	if (strncmp(request, "POST", 4) == 0)
		snprintf(server.last, sizeof server.last, "%s", request);
	if (strstr(request, "/v1/submissions/kill/"))
		atomic_fetch_add(&server.kills, 1);
	const char *body = "";
	for (const struct page *p = server.pages; p->path; p++)
		if (strncmp(path, p->path, strlen(p->path)) == 0)
			body = p->body;
	int length = snprintf(head, sizeof head, "HTTP/1.1 %s\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n",
			      body[0] ? "200 OK" : "404 Not Found", strlen(body));
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
	engine_spark spark = {.master = master, .conf = "spark.ui.port=4999", .log = fixture_path("spark.log")};
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
	static const struct page runs[] = {
		{"/v1/submissions/create", "{\"success\": true, \"submissionId\": \"driver-1\"}"},
		{"/v1/submissions/status/driver-1", "{\"driverState\": \"RUNNING\"}"},
		{"/v1/submissions/kill/driver-1", "{\"success\": true}"},
		{0}};
	const struct {
		const struct page *pages;
		const char *words;
	} cases[] = {{refuses, "no room"}, {no_master, "no REST port"}, {fails, "a disk is full"}};
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
	assert_true(json_array_size(json_object_get(json, "appArgs")) >= 14);
	json_decref(json);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_is_missing_is_said, setup, teardown),
		cmocka_unit_test_setup_teardown(a_job_that_fails_is_explained, setup, teardown),
		cmocka_unit_test_setup_teardown(cancelling_ends_what_was_started, setup, teardown),
		cmocka_unit_test_setup_teardown(masters_take_and_refuse_over_rest, setup, teardown),
		cmocka_unit_test_setup_teardown(a_submission_names_all_that_the_cluster_needs, setup, teardown),
	};
	return cmocka_run_group_tests_name("engine/spark_job", tests, NULL, NULL);
}
