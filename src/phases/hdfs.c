/* Phase 2 on HDFS: the guide's connection test, and what the NameNode tells of itself. */
#include <stdlib.h>
#include <string.h>

#include "phases/phases.h"

/* The folder that Hadoop's programs or its configuration are in; NULL: neither is known. */
static const char *hadoop_home(const char **name)
{
	static const char *const variables[] = {"HADOOP_HOME", "HADOOP_CONF_DIR"};
	static const char *const names[] = {"Hadoop Home", "Hadoop configuration"};
	for (int i = 0; i < 2; i++) {
		const char *value = getenv(variables[i]);
		*name = names[i];
		if (value && value[0])
			return value;
	}
	return NULL;
}

static void put_service(phase_context *c, const storage_service *s)
{
	json_t *hdfs = json_object();
	phase_put_text(c, hdfs, "namenode", s->namenode);
	phase_put_text(c, hdfs, "http", s->http);
	phase_put_text(c, hdfs, "filesystem", s->filesystem);
	phase_put_text(c, hdfs, "version", s->version[0] ? s->version : NULL);
	phase_put_text(c, hdfs, "user", s->user);
	phase_put_text(c, hdfs, "home", s->home);
	phase_put(c, hdfs, "home_exists", json_boolean(s->home_exists));
	phase_put(c, hdfs, "safe_mode", s->safe_mode < 0 ? json_null() : json_boolean(s->safe_mode));
	phase_put(c, hdfs, "live_datanodes", s->live_datanodes < 0 ? json_null() : json_integer(s->live_datanodes));
	phase_put_int(c, hdfs, "capacity_bytes", (long long)s->capacity);
	phase_put_int(c, hdfs, "used_bytes", (long long)s->used);
	phase_put_int(c, hdfs, "remaining_bytes", (long long)s->remaining);
	phase_put(c, NULL, "hdfs", hdfs);
}

bm_status phase_hdfs(phase_context *c, bm_error *err)
{
	storage_service s = {0};
	base_text text = {0};
	const char *name, *home = hadoop_home(&name);
	char remaining[32], capacity[32];
	bm_status status = BM_OK;
	if (c->config.data && storage_is_url(c->config.data)) {
		status = phase_need_storage(c, err);
		if (status == BM_OK)
			status = storage_describe(c->store, &s, err);
	}
	if (status != BM_OK)
		return status;
	if (!s.hdfs) {
		phase_put(c, NULL, "hdfs", json_false());
		phase_say(c, "- HDFS: not in use (the data is on this machine)");
		return BM_OK;
	}
	base_text_add(&text, "✓ HDFS File System: %s\n", s.filesystem);
	if (s.version[0])
		base_text_add(&text, "✓ Hadoop Version: %s\n", s.version);
	if (home)
		base_text_add(&text, "✓ %s: %s\n", name, home);
	base_text_add(&text, "\nHDFS Connection Test:\n");
	base_text_add(&text, "✓ NameNode reachable at %s (WebHDFS: %s)\n", s.namenode, s.http);
	base_text_add(&text, "✓ HDFS filesystem accessible\n");
	if (s.home_exists)
		base_text_add(&text, "✓ User home directory: %s\n", s.home);
	else
		base_text_add(&text, "✗ User home directory: %s is not there yet; make it: hdfs dfs -mkdir -p %s\n",
			      s.home, s.home);
	base_text_add(&text, "\nHDFS Status:\n");
	if (s.safe_mode >= 0)
		base_text_add(&text, "%s Safe mode: %s\n", s.safe_mode ? "✗" : "✓",
			      s.safe_mode ? "ON: HDFS only reads; wait, or end it: hdfs dfsadmin -safemode leave"
					  : "OFF");
	if (s.live_datanodes >= 0)
		base_text_add(&text, "%s Live datanodes: %d%s\n", s.live_datanodes > 0 ? "✓" : "✗", s.live_datanodes,
			      s.live_datanodes > 0 ? "" : ": start them with start-dfs.sh, look with jps");
	if (s.capacity > 0)
		base_text_add(&text, "✓ Space left: %s of %s\n", base_format_bytes((double)s.remaining, remaining),
			      base_format_bytes((double)s.capacity, capacity));
	put_service(c, &s);
	return phase_print(c, &text, err);
}
