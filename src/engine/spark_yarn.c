/* Spark on YARN: where the ResourceManager is, and how much of its cluster is free. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "engine/spark_job.h"
#include "storage/hadoop_config.h"
#include "storage/hdfs.h"

enum {
	ANSWER_LIMIT = 1 << 20,
	FILE_LIMIT = 16 << 20,
	IDS_MAX = 8,
	RPC_PORT = 8032,
	WEB_PORT = 8088,
	SECURE_WEB_PORT = 8090
};
/* An executor's: what YARN gives in one piece unless it is told otherwise (yarn.scheduler.maximum-allocation-vcores). */
enum { EXECUTOR_CORES = 4 };
/* Of memory in a container, beside the executor's heap: Spark's own default; and the container that asks for the others. */
enum { OVERHEAD_MB = 384, OVERHEAD_PERCENT = 10, MASTER_MB = 896 };

#define PREFIX "yarn.resourcemanager."

/* The folder with yarn-site.xml; false: none is known. */
static bool find_folder(char *folder, size_t size, const char **named)
{
	static const char *const variables[] = {"YARN_CONF_DIR", "HADOOP_CONF_DIR"};
	char path[600];
	for (size_t i = 0; i < 2; i++) {
		const char *value = getenv(variables[i]);
		if (!value || !value[0])
			continue;
		*named = variables[i];
		snprintf(folder, size, "%.500s", value);
		snprintf(path, sizeof path, "%.500s/yarn-site.xml", value);
		if (base_is_file(path))
			return true;
	}
	const char *home = getenv("HADOOP_HOME");
	for (int i = 0; i < 2 && !*named; i++) {
		if (i == 0 && (!home || !home[0]))
			continue;
		snprintf(folder, size, "%.480s%s", i == 0 ? home : "", i == 0 ? "/etc/hadoop" : "/etc/hadoop/conf");
		snprintf(path, sizeof path, "%.500s/yarn-site.xml", folder);
		if (base_is_file(path))
			return true;
	}
	if (!*named)
		folder[0] = '\0';
	return false;
}

static bm_status read_config(const char *folder, storage_hadoop_config *config, bm_error *err)
{
	char path[600];
	uint8_t *bytes = NULL;
	size_t size = 0;
	snprintf(path, sizeof path, "%.500s/yarn-site.xml", folder);
	bm_status status = storage_hadoop_config_read(folder, config, err);
	if (status == BM_OK)
		status = base_file_read(path, FILE_LIMIT, &bytes, &size, err);
	if (status == BM_OK)
		status = storage_hadoop_config_parse(path, (const char *)bytes, size, config, err);
	base_free(bytes);
	return status;
}

/* HOST:PORT of one of the ResourceManager's services: its own address, else its machine and the usual port. id: of one of
 * several ResourceManagers, "" of the only one. */
static bm_status find_address(const storage_hadoop_config *config, const char *service, const char *id, int port,
			      char *address, size_t size, bm_error *err)
{
	char name[160], *value = NULL;
	const char *dot = id[0] ? "." : "";
	snprintf(name, sizeof name, PREFIX "%s%s%.60s", service, dot, id);
	bm_status status = storage_hadoop_config_get(config, name, &value, err);
	if (status == BM_OK && value && strchr(value, ':')) {
		snprintf(address, size, "%s", value);
	} else if (status == BM_OK) {
		base_free(value);
		snprintf(name, sizeof name, PREFIX "hostname%s%.60s", dot, id);
		status = storage_hadoop_config_get(config, name, &value, err);
		snprintf(address, size, "%s:%d", value && strcmp(value, "0.0.0.0") != 0 ? value : "localhost", port);
	}
	base_free(value);
	return status;
}

static bm_status find_addresses(const storage_hadoop_config *config, engine_spark_place *p, char *rpc, size_t size,
				bm_error *err)
{
	const char *policy = storage_hadoop_config_raw(config, "yarn.http.policy");
	bool secure = policy && strcmp(policy, "HTTPS_ONLY") == 0;
	char *ids = NULL;
	rpc[0] = '\0';
	bm_status status = storage_hadoop_config_get(config, PREFIX "ha.rm-ids", &ids, err);
	const char *at = status == BM_OK && ids ? ids : "";
	for (int i = 0; status == BM_OK && i < IDS_MAX; i++) {
		char id[64], one[160], web[160];
		at += strspn(at, ", ");
		size_t length = strcspn(at, ", ");
		if (i > 0 && length == 0)
			break;
		snprintf(id, sizeof id, "%.*s", (int)length, at);
		at += length;
		status = find_address(config, "address", id, RPC_PORT, one, sizeof one, err);
		if (status == BM_OK)
			status = find_address(config, secure ? "webapp.https.address" : "webapp.address", id,
					      secure ? SECURE_WEB_PORT : WEB_PORT, web, sizeof web, err);
		if (status != BM_OK)
			break;
		snprintf(rpc + strlen(rpc), size - strlen(rpc), "%s%s", rpc[0] ? "," : "", one);
		snprintf(p->yarn[i], sizeof p->yarn[i], "%s://%.140s", secure ? "https" : "http", web);
	}
	base_free(ids);
	return status;
}

bm_status engine_spark_find_yarn(const engine_spark *spark, engine_spark_place *p, bm_error *err)
{
	char rpc[1400];
	const char *named = NULL;
	storage_hadoop_config config = {0};
	if (!find_folder(p->hadoop, sizeof p->hadoop, &named)) {
		/* Spark's own spark-env.sh may name it, or the settings hold all of it. */
		if (!named || (spark->conf && strstr(spark->conf, "spark.hadoop.yarn.")))
			return BM_OK;
		return base_fail(
			err, BM_ERR_NOT_FOUND,
			"%s is '%s', but there is no yarn-site.xml in it: set HADOOP_CONF_DIR to the folder of "
			"the cluster's core-site.xml, hdfs-site.xml and yarn-site.xml",
			named, p->hadoop);
	}
	bm_status status = read_config(p->hadoop, &config, err);
	if (status == BM_OK)
		status = find_addresses(&config, p, rpc, sizeof rpc, err);
	if (status == BM_OK && !engine_spark_reach(rpc, p, err))
		status = base_prefix(err, BM_ERR_IO,
				     "cannot reach YARN's ResourceManager at %s (%s/yarn-site.xml); start it "
				     "(start-yarn.sh), and check with 'jps' that ResourceManager and NodeManager run",
				     rpc, p->hadoop);
	storage_hadoop_config_free(&config);
	return status;
}

bool engine_spark_read_yarn(const json_t *json, engine_spark_service *service)
{
	json_int_t free_mb = 0, total_mb = 0;
	*service = (engine_spark_service){0};
	if (json_unpack((json_t *)(uintptr_t)json, "{s:{s:i, s:i, s:i, s:I, s:I}}", "clusterMetrics", "activeNodes",
			&service->workers, "totalVirtualCores", &service->cores, "allocatedVirtualCores",
			&service->cores_used, "availableMB", &free_mb, "totalMB", &total_mb) != 0)
		return false;
	service->memory_mb = total_mb;
	service->memory_free_mb = free_mb;
	return service->workers >= 0 && service->cores >= 0 && service->cores_used >= 0;
}

bool engine_spark_ask_yarn(const engine_spark_place *p, engine_spark_service *service)
{
	storage_http *http = NULL;
	storage_http_options options = {.connect_timeout = 2, .idle_timeout = 5};
	bool known = false;
	if (!p->yarn[0][0] || storage_http_open(&options, &http, NULL) != BM_OK)
		return false;
	for (int i = 0; i < IDS_MAX && p->yarn[i][0] && !known; i++) {
		char url[256];
		snprintf(url, sizeof url, "%s/ws/v1/cluster/metrics", p->yarn[i]);
		json_t *json = engine_spark_get(http, url, NULL, 0); /* one on standby sends on to the other */
		known = engine_spark_read_yarn(json, service);
		json_decref(json);
	}
	storage_http_close(http);
	return known;
}

bool engine_spark_waits_for_yarn(const engine_spark_job *job, storage_http *http, engine_spark_waiting *w)
{
	bool waits = false;
	for (int i = 0; i < IDS_MAX && job->place.yarn[i][0] && !waits; i++) {
		char url[512];
		const char *id, *queue = "", *diagnostics = "";
		snprintf(url, sizeof url,
			 "%s/ws/v1/cluster/apps?states=NEW,NEW_SAVING,SUBMITTED,ACCEPTED&applicationTags=%s",
			 job->place.yarn[i], base_path_name(job->folder));
		json_t *json = engine_spark_get(http, url, NULL, 0);
		waits = json_unpack(json, "{s:{s:[{s:s, s?:s, s?:s}]}}", "apps", "app", "id", &id, "queue", &queue,
				    "diagnostics", &diagnostics) == 0;
		if (waits) {
			snprintf(w->why, sizeof w->why, "%.60s in queue '%.60s'%s%.240s", id, queue,
				 diagnostics[0] ? ": " : "", diagnostics);
			/* It becomes the name of a folder that is deleted. */
			snprintf(w->id, sizeof w->id, "%.*s", (int)strspn(id, "application_0123456789"), id);
		}
		json_decref(json);
	}
	return waits;
}

/* Whether the ResourceManager with this page takes the order; else why not. */
static bool kill_at(storage_http *http, const char *page, const char *id, const char *user, char *why, size_t size)
{
	static const char order[] = "{\"state\":\"KILLED\"}";
	storage_bytes body = {.bytes = order, .size = strlen(order)};
	storage_source source = storage_bytes_source(&body);
	storage_http_answer answer = {0};
	base_text url = {0};
	base_text_add(&url, "%s/ws/v1/cluster/apps/%s/state?user.name=", page, id);
	storage_hdfs_escape(&url, user, false);
	storage_http_request request = {
		.method = "PUT", .url = base_text_string(&url), .source = &source, .json = true, .limit = ANSWER_LIMIT};
	bool taken = false;
	if (!url.failed && storage_http_do(http, &request, &answer, NULL) == BM_OK) {
		taken = answer.end == HTTP_ANSWERED && answer.code / 100 == 2;
		if (answer.end == HTTP_ANSWERED && answer.code / 100 != 3) /* one on standby sends on to the other */
			snprintf(why, size, "HTTP %ld", answer.code);
		if (answer.end != HTTP_ANSWERED)
			snprintf(why, size, "%s", answer.why);
	}
	storage_http_answer_free(&answer);
	base_text_free(&url);
	return taken;
}

/* The jar and the worker, which only a job that is begun deletes. */
static void remove_staging(const engine_spark_job *job, const char *id)
{
	char folder[480];
	base_text url = {0};
	storage *home = NULL;
	storage_options options = {.webhdfs = storage_webhdfs(job->exchange)};
	const char *end = strstr(job->folder, "/.brainmri/");
	base_text_append(&url, job->folder, end ? (size_t)(end - job->folder) : 0);
	snprintf(folder, sizeof folder, ".sparkStaging/%s", id);
	if (end && !url.failed && storage_open_with(base_text_string(&url), &options, &home, NULL) == BM_OK)
		(void)storage_remove(home, folder, true, NULL, NULL);
	storage_close(home);
	base_text_free(&url);
}

void engine_spark_leave_yarn(const engine_spark_job *job)
{
	char user[64], why[256] = "no memory";
	bool killed = false;
	engine_spark_waiting w;
	storage_http *http = NULL; /* the job's is cancelled */
	storage_http_options options = {.connect_timeout = 3, .idle_timeout = 10};
	if (storage_http_open(&options, &http, NULL) != BM_OK)
		return;
	if (!engine_spark_waits_for_yarn(job, http, &w) || !w.id[0])
		goto done;
	storage_hadoop_user(user, sizeof user);
	for (int i = 0; i < IDS_MAX && job->place.yarn[i][0] && !killed; i++)
		killed = kill_at(http, job->place.yarn[i], w.id, user, why, sizeof why);
	if (!killed)
		base_warning(job->observer,
			     "YARN did not take %s out of its queue (%s); end it with: yarn application -kill %s", w.id,
			     why, w.id);
	else if (job->user[0])
		remove_staging(job, w.id);
done:
	storage_http_close(http);
}

/* "512m", "1g", "2048k"; a number alone is bytes in Spark's memory settings. */
static long long megabytes(const char *text)
{
	char *end;
	long long value = strtoll(text, &end, 10);
	if (value < 1 || value > 1 << 24)
		return 1024;
	return *end == 'g' || *end == 'G' ? value * 1024 : *end == 'm' || *end == 'M' ? value : 1024;
}

bool engine_spark_share(const engine_spark_service *service, const char *conf, int *executors, int *cores)
{
	char value[64];
	int free_cores = service->cores - service->cores_used - 1; /* one is for the application's master */
	if (service->workers < 1)
		return false;
	long long memory = megabytes(engine_spark_setting(conf, "spark.executor.memory", "1g", value, sizeof value));
	long long overhead = memory * OVERHEAD_PERCENT / 100;
	memory += overhead > OVERHEAD_MB ? overhead : OVERHEAD_MB;
	long long room = (service->memory_free_mb - MASTER_MB) / memory;
	int each = free_cores / service->workers;
	*cores = each < 1 ? 1 : each > EXECUTOR_CORES ? EXECUTOR_CORES : each;
	*cores = (int)strtol(engine_spark_setting(conf, "spark.executor.cores", "", value, sizeof value), NULL, 10) > 0
			 ? (int)strtol(value, NULL, 10)
			 : *cores;
	long long count = free_cores / *cores < room ? free_cores / *cores : room;
	*executors = count < 1 ? 1 : count > 100000 ? 100000 : (int)count;
	return true;
}
