/* Phase 2 with a Spark: where it is, and whether it answers. */
#include <stdlib.h>
#include <string.h>

#include "phases/phases.h"
#include "report/tables.h"

static void say_setting(phase_context *c, base_text *text, const char *title, const char *name, const char *key)
{
	char value[64];
	engine_spark_setting(c->config.spark_conf, name, "", value, sizeof value);
	base_text_add(text, "✓ %s: %s\n", title, value[0] ? value : "1g (Spark's default)");
	phase_put_text(c, NULL, key, value[0] ? value : "1g");
}

bm_status phase_cluster_spark(phase_context *c, base_text *text, bm_error *err)
{
	engine_spark spark = phase_spark(c, NULL);
	engine_spark_place place;
	engine_spark_service service;
	bm_status status = engine_spark_find(&spark, &place, err);
	if (status != BM_OK)
		return status;
	base_text_add(text, "\nSpark Session Configuration:\n");
	base_text_add(text, "✓ Application Name: BrainMRI_Distributed_DL\n");
	if (place.version[0])
		base_text_add(text, "✓ Spark Version: %s\n", place.version);
	base_text_add(text, "✓ Master: %s\n", c->config.master);
	say_setting(c, text, "Driver Memory", "spark.driver.memory", "driver_memory");
	say_setting(c, text, "Executor Memory", "spark.executor.memory", "executor_memory");
	if (place.rest[0])
		base_text_add(text, "✓ Submitted over REST: %s (no Spark is needed on this machine)\n", place.rest);
	else
		base_text_add(text, "✓ Submitted by: %s\n✓ Java: %s\n", place.submit, place.java);
	base_text_add(text, "✓ Worker program: %s\n", place.worker);
	bool yarn = strcmp(place.master, "yarn") == 0;
	if (place.reachable[0])
		base_text_add(text, "✓ %s reachable at %s\n", yarn ? "YARN ResourceManager" : "Spark master",
			      place.reachable);
	if (engine_spark_ask_master(&place, &service)) {
		base_text_add(text, "✓ Live %s: %d (%d cores, %d in use; %lld MB of memory)\n",
			      yarn ? "YARN nodes" : "Spark workers", service.workers, service.cores, service.cores_used,
			      service.memory_mb);
		phase_put_int(c, NULL, "spark_workers", service.workers);
		phase_put_int(c, NULL, "spark_cores", service.cores);
		if (service.workers == 0 && yarn)
			base_warning(&c->observer,
				     "no NodeManager is registered at the ResourceManager %s; start one: yarn --daemon "
				     "start nodemanager",
				     place.reachable);
		else if (service.workers == 0)
			base_warning(&c->observer,
				     "no worker is registered at the Spark master %s; start one: "
				     "$SPARK_HOME/sbin/start-worker.sh %s",
				     place.reachable, c->config.master);
	}
	phase_put_text(c, NULL, "engine", "spark");
	phase_put_text(c, NULL, "master", c->config.master);
	phase_put_text(c, NULL, "spark_version", place.version);
	phase_put_text(c, NULL, "spark_home", place.home);
	phase_put_text(c, NULL, "java", place.java);
	phase_put(c, NULL, "spark", json_true());
	return BM_OK;
}
