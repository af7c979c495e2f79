/* Phase 2: where the work runs. */
#include "base/memory.h"
#include "base/threads.h"
#include "phases/phases.h"
#include "report/tables.h"

bm_status phase_cluster(phase_context *c, bm_error *err)
{
	base_text text = {0};
	char available[32];
	double left = (double)base_memory_available();
	bm_status status = BM_OK;
	report_heading(&text, "PHASE 2: HADOOP/SPARK CONFIGURATION");
	phase_put_text(c, NULL, "application", "BrainMRI_Distributed_DL");
	if (c->config.master) {
		status = phase_cluster_spark(c, &text, err);
	} else {
		base_text_add(&text, "\nSession Configuration:\n");
		base_text_add(&text, "✓ Application Name: BrainMRI_Distributed_DL\n");
		base_text_add(&text, "✓ Engine: local threads\n");
		base_text_add(&text, "✓ Master: local[%d]\n", c->threads);
		phase_put_text(c, NULL, "engine", "local threads");
		phase_put(c, NULL, "spark", json_false());
	}
	if (status != BM_OK) {
		base_text_free(&text);
		return status;
	}
	base_text_add(&text, "✓ Memory available: %s\n", base_format_bytes(left, available));
	base_text_add(&text, "\nHadoop Configuration:\n");
	if (!c->config.master)
		base_text_add(&text, "- Spark: not in use (--master preprocesses there)\n");
	phase_put_int(c, NULL, "workers", c->threads);
	phase_put_real(c, NULL, "memory_available_bytes", left);
	status = phase_print(c, &text, err);
	return status == BM_OK ? phase_hdfs(c, err) : status;
}
