#include "engine/spark.h"

#include "data/test_fixture.h"
#include "engine/frame.h"
#include "engine/spark_job.h"

enum { SIDE = 16, COUNT = 7, PARTS = 2 };

static data_set set;

static int setup(void **state)
{
	if (fixture_setup(state) != 0)
		return -1;
	fixture_set(&set, COUNT, 2);
	return 0;
}

static int teardown(void **state)
{
	data_set_free(&set);
	return fixture_teardown(state);
}

static void expect(const char *message, const char *words)
{
	if (!strstr(message, words))
		fail_msg("'%s' does not say '%s'", message, words);
}

/* ---- words ---- */

static void masters_and_settings(void **state)
{
	static const char *const good[] = {"local", "local[1]",	      "local[16]",	   "local[*]",
					   "yarn",  "spark://h:7077", "spark://a:1,b.c:2", "rest://127.0.0.1:6066"};
	static const char *const bad[] = {"",		"local[]",     "local[0]",     "local[x]",
					  "local[2",	"locale",      "spark://",     "spark://h",
					  "spark://h:", "spark://:1",  "spark://a:1,", "spark://a:1/x",
					  "rest://h",	"mesos://h:1", "http://h:1"};
	bm_error err;
	char buffer[32];
	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		assert_ok(engine_spark_check_master(good[i], &oops));
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		if (engine_spark_check_master(bad[i], &err) != BM_ERR_USAGE)
			fail_msg("'%s' is taken", bad[i]);
	assert_ok(engine_spark_check_conf("spark.a=1", &oops));
	assert_ok(engine_spark_check_conf("spark.executor.memory=1g,spark.b=", &oops));
	assert_int_equal(engine_spark_check_conf("executor.memory=1g", &err), BM_ERR_USAGE);
	assert_int_equal(engine_spark_check_conf("spark.a=1,", &err), BM_ERR_USAGE);
	assert_int_equal(engine_spark_check_conf("spark.a", &err), BM_ERR_USAGE);
	assert_string_equal(engine_spark_setting("spark.a=1,spark.ab=2", "spark.ab", "x", buffer, sizeof buffer), "2");
	assert_string_equal(engine_spark_setting("spark.ab=2", "spark.a", "x", buffer, sizeof buffer), "x");
	assert_string_equal(engine_spark_setting(NULL, "spark.a", "1g", buffer, sizeof buffer), "1g");
}

static void failures_say_what_to_do(void **state)
{
	static const struct {
		const char *said, *remedy;
		bm_status status;
	} cases[] = {
		{"x\nJAVA_HOME is not set\n", "echo $JAVA_HOME", BM_ERR_NOT_FOUND},
		{"Caused by: java.lang.OutOfMemoryError: Java heap space", "spark.executor.memory", BM_ERR_MEMORY},
		{"ExecutorLostFailure (executor 1 exited caused by one of the running tasks)", "executors were lost",
		 BM_ERR_IO},
		{"java.net.BindException: Address already in use: Service 'SparkUI' failed", "spark.ui.port",
		 BM_ERR_IO},
		{"All masters are unresponsive! Giving up.", "start-master.sh", BM_ERR_IO},
		{"java.net.ConnectException: Call From a/1 to b:9000 failed: Connection refused", "start-dfs.sh",
		 BM_ERR_IO},
		{"SafeModeException: Cannot create file", "hdfs dfsadmin -safemode leave", BM_ERR_IO},
		{"AccessControlException: Permission denied: user=x", "hdfs dfs -chmod", BM_ERR_IO},
		{"DSQuotaExceededException: The DiskSpace quota", "hdfs dfs -df -h", BM_ERR_IO},
		{"brainmri.Worker$Ended: brainmri worker gave no answer to 'a/b.jpg' in 3 s and was ended", "'a/b.jpg'",
		 BM_ERR_DATA},
		{"SparkException: Job aborted due to stage failure: Task 1 in stage 0.0 failed 4 times, most recent "
		 "failure: Lost task 1.3: another version of brainmri runs as the worker on node7",
		 "(another version of brainmri runs as the worker on node7)", BM_ERR_UNSUPPORTED},
		{"java.lang.IllegalArgumentException: unknown argument --preprocessing", "make spark",
		 BM_ERR_UNSUPPORTED},
		{"brainmri worker ended by signal 11 on 'a/b.jpg'", "'a/b.jpg'", BM_ERR_IO},
		{"x\nException in thread \"main\" java.lang.Odd: strange\n", "strange", BM_ERR_IO},
		{"When running with master 'yarn' either HADOOP_CONF_DIR or YARN_CONF_DIR must be set in the "
		 "environment.",
		 "set HADOOP_CONF_DIR", BM_ERR_NOT_FOUND},
		{"Error: Could not load YARN classes. This copy of Spark", "SPARK_HOME", BM_ERR_UNSUPPORTED},
		{"Required executor memory (9216 MB), overhead (921 MB) is above the max threshold (4096 MB)",
		 "yarn.scheduler.maximum-allocation-mb", BM_ERR_MEMORY},
		{"ExecutorLostFailure (executor 1 exited) Reason: Container killed by YARN for exceeding physical "
		 "memory "
		 "limits.",
		 "spark.executor.memoryOverhead", BM_ERR_MEMORY},
		{"", "ended without a result", BM_ERR_IO},
	};
	engine_spark spark = {.master = "spark://h:7077"};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		bm_error err = {0};
		assert_int_equal(engine_spark_explain(cases[i].said, &spark, "run/spark.log", &err), cases[i].status);
		expect(err.message, cases[i].remedy);
		expect(err.message, "spark://h:7077");
		expect(err.message, "run/spark.log");
	}
}

/* ---- JSON ---- */

static void status_pages_are_read(void **state)
{
	engine_spark_progress p = {0};
	engine_spark_service service;
	(void)state;
	json_t *json =
		json_loads("[{\"stageId\":2,\"attemptId\":1,\"numTasks\":8,\"numCompleteTasks\":3,\"numActiveTasks\":2,"
			   "\"numFailedTasks\":1},{\"stageId\":2,\"attemptId\":0,\"numTasks\":8,\"numCompleteTasks\":8,"
			   "\"numActiveTasks\":0,\"numFailedTasks\":4},{\"stageId\":\"x\"}]",
			   0, NULL);
	assert_true(engine_spark_read_stages(json, &p));
	assert_int_equal(p.stage, 2);
	assert_int_equal(p.complete, 3);
	assert_int_equal(p.active, 2);
	assert_int_equal(p.failed, 5);
	json_decref(json);
	assert_false(engine_spark_read_stages(NULL, &p));
	json = json_loads("[{\"id\":\"driver\",\"isActive\":true,\"totalCores\":0},{\"id\":\"0\",\"isActive\":true,"
			  "\"totalCores\":2},"
			  "{\"id\":\"1\",\"isActive\":false,\"totalCores\":2}]",
			  0, NULL);
	assert_int_equal(engine_spark_read_executors(json), 1);
	assert_int_equal(engine_spark_read_executors(NULL), -1);
	json_decref(json);
	json = json_loads("{\"url\":\"spark://"
			  "h:7077\",\"workers\":[{\"state\":\"ALIVE\",\"cores\":4,\"coresused\":1,\"memory\":2048},"
			  "{\"state\":\"DEAD\",\"cores\":4,\"coresused\":0,\"memory\":2048}]}",
			  0, NULL);
	assert_true(engine_spark_read_master(json, "h:7077", &service));
	assert_int_equal(service.workers, 1);
	assert_int_equal(service.cores, 4);
	assert_int_equal(service.memory_mb, 2048);
	assert_false(engine_spark_read_master(json, "other:7077", &service));
	assert_false(engine_spark_read_master(NULL, "h:7077", &service));
	json_decref(json);
}

static void results_are_read(void **state)
{
	static engine_spark_stats stats;
	base_text why = {0};
	bm_error err;
	static const char whole[] =
		"{\"spark\":\"4.2.0\",\"partitions\":2,\"seconds\":1.5,\"tasks\":[{\"partition\":1,\"attempt\":1,"
		"\"executor\":\"0\","
		"\"host\":\"h\",\"images\":3,\"rejected\":1,\"bytes\":70,\"seconds\":0.5},{\"partition\":0,\"attempt\":"
		"0,"
		"\"executor\":\"1\",\"host\":\"h\",\"images\":4,\"rejected\":0,\"bytes\":30,\"seconds\":0.25}]}";
	static const char *const broken[] = {"",
					     "{",
					     "[]",
					     "{\"spark\":\"4\"}",
					     "{\"spark\":\"4\",\"partitions\":0}",
					     "{\"spark\":\"4\",\"partitions\":2,\"tasks\":3}"};
	(void)state;
	assert_ok(engine_spark_read_result(whole, sizeof whole - 1, &stats, &why, &oops));
	assert_int_equal(stats.partitions, 2);
	assert_int_equal(stats.task_count, 2);
	assert_int_equal(stats.tasks[0].images, 4);
	assert_int_equal(stats.tasks[1].attempt, 1);
	assert_int_equal(stats.bytes_read, 100);
	for (size_t i = 0; i < sizeof broken / sizeof *broken; i++)
		assert_int_equal(engine_spark_read_result(broken[i], strlen(broken[i]), &stats, &why, &err),
				 BM_ERR_FORMAT);
	assert_int_equal(engine_spark_read_result("{\"error\":\"a trace\"}", 19, &stats, &why, &err), BM_ERR_IO);
	assert_string_equal(base_text_string(&why), "a trace\n");
	base_text_free(&why);
}

/* ---- parts ---- */

/* part-0000N with these images of the set; the pixels of image i are all i. status: of the last one. */
static void write_part(int number, const int *indices, size_t count, bm_status last)
{
	char name[64];
	uint8_t pixels[SIDE * SIDE];
	snprintf(name, sizeof name, "job/part-%05d", number);
	fixture_write(name, "", 0);
	FILE *file = fopen(fixture_path(name), "wb");
	assert_non_null(file);
	assert_ok(engine_write_part_begin(fileno(file), SIDE, &oops));
	for (size_t i = 0; i < count; i++) {
		engine_answer answer = {.index = (uint64_t)indices[i], .pixels = pixels, .reason = "no image"};
		answer.status = i + 1 == count ? last : BM_OK;
		memset(pixels, indices[i], sizeof pixels);
		assert_ok(engine_write_answer(fileno(file), SIDE, &answer, &oops));
	}
	assert_ok(engine_write_part_end(fileno(file), count, &oops));
	fclose(file);
}

static const int evens[] = {0, 2, 4, 6}, odds[] = {1, 3, 5};

static bm_status assemble(int partitions, char *reasons[COUNT], data_pack_writer **writer, bm_error *err)
{
	storage *exchange = NULL;
	*writer = NULL;
	assert_ok(storage_open(fixture_path("job"), &exchange, &oops));
	assert_ok(data_pack_writer_open(fixture_path("pack"), COUNT, SIDE, writer, &oops));
	bm_status status = engine_spark_assemble(exchange, partitions, &set, SIDE, *writer, reasons, NULL, err);
	storage_close(exchange);
	return status;
}

static void expect_refused(int partitions, bm_status status, const char *words)
{
	char *reasons[COUNT] = {0};
	data_pack_writer *writer;
	bm_error err = {0};
	bm_status got = assemble(partitions, reasons, &writer, &err);
	if (got != status)
		fail_msg("%s: %s", bm_status_name(got), err.message);
	expect(err.message, words);
	for (int i = 0; i < COUNT; i++)
		base_free(reasons[i]);
	data_pack_writer_abort(writer);
}

static void parts_become_a_pack(void **state)
{
	char *reasons[COUNT] = {0};
	data_pack_writer *writer;
	(void)state;
	write_part(0, evens, 4, BM_OK);
	write_part(1, odds, 3, BM_ERR_FORMAT);
	assert_ok(assemble(PARTS, reasons, &writer, &oops));
	for (int i = 0; i < COUNT; i++) {
		uint8_t pixels[SIDE * SIDE];
		memset(pixels, i, sizeof pixels);
		if (i == 5)
			assert_string_equal(reasons[i], "no image");
		else
			assert_memory_equal(data_pack_writer_slot(writer, (size_t)i), pixels, sizeof pixels);
		assert_int_equal(reasons[i] != NULL, i == 5);
		base_free(reasons[i]);
	}
	data_pack_writer_abort(writer);
}

static void parts_that_do_not_fit_are_refused(void **state)
{
	static const int twice[] = {1, 3, 5, 2}, beyond[] = {1, 3, 5, COUNT}, fewer[] = {1, 5};
	char name[64];
	(void)state;
	write_part(0, evens, 4, BM_OK);
	expect_refused(PARTS, BM_ERR_DATA, "part-00001");
	write_part(1, twice, 4, BM_OK);
	expect_refused(PARTS, BM_ERR_DATA, "came twice");
	write_part(1, beyond, 4, BM_OK);
	expect_refused(PARTS, BM_ERR_FORMAT, "there are 7");
	write_part(1, fewer, 2, BM_OK);
	expect_refused(PARTS, BM_ERR_DATA, "1 of 7 images did not come back");
	expect_refused(1, BM_ERR_DATA, "3 of 7 images did not come back");
	write_part(1, odds, 3, BM_ERR_MEMORY);
	expect_refused(PARTS, BM_ERR_MEMORY, "no image");
	/* Cut off, with something behind it, changed in the middle. */
	write_part(1, odds, 3, BM_OK);
	snprintf(name, sizeof name, "%s", "job/part-00001");
	uint8_t *bytes = NULL;
	size_t size = 0;
	assert_ok(base_file_read(fixture_path(name), 1 << 20, &bytes, &size, &oops));
	fixture_write(name, bytes, size - 1);
	expect_refused(PARTS, BM_ERR_FORMAT, "cut off");
	fixture_write(name, bytes, 100);
	expect_refused(PARTS, BM_ERR_FORMAT, "cut off");
	fixture_write(name, "", 0);
	expect_refused(PARTS, BM_ERR_FORMAT, "cut off");
	bytes[200] ^= 1;
	fixture_write(name, bytes, size);
	expect_refused(PARTS, BM_ERR_FORMAT, "check is wrong");
	base_free(bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(masters_and_settings, setup, teardown),
		cmocka_unit_test_setup_teardown(failures_say_what_to_do, setup, teardown),
		cmocka_unit_test_setup_teardown(status_pages_are_read, setup, teardown),
		cmocka_unit_test_setup_teardown(results_are_read, setup, teardown),
		cmocka_unit_test_setup_teardown(parts_become_a_pack, setup, teardown),
		cmocka_unit_test_setup_teardown(parts_that_do_not_fit_are_refused, setup, teardown),
	};
	return cmocka_run_group_tests_name("engine/spark", tests, NULL, NULL);
}
