#include "phases/phases.h"

#include <string.h>

#include "base/memory.h"
#include "base/threads.h"

const phase_entry phase_entries[PHASE_ENTRIES] = {
	{1, "environment", "Environment Setup", phase_environment},
	{2, "cluster", "Hadoop/Spark Configuration", phase_cluster},
	{3, "data", "Data Management", phase_data},
	{4, "explore", "Data Exploration", phase_explore},
	{5, "classes", "Class Distribution Analysis", phase_classes},
	{6, "preprocess", "Distributed Preprocessing", phase_preprocess},
	{7, "model", "Model Architecture", phase_model},
	{8, "train", "Training", phase_train},
	{9, "evaluate", "Model Evaluation", phase_evaluate},
	{10, "artifacts", "Saved Artifacts", phase_artifacts},
	{10, "benchmark", "Performance Benchmarking", phase_benchmark},
	{10, "summary", "Summary", phase_summary},
	{10, "page", "Report", phase_page},
};

const phase_entry *phase_find(const char *name)
{
	for (size_t i = 0; i < PHASE_ENTRIES; i++)
		if (strcmp(phase_entries[i].name, name) == 0)
			return &phase_entries[i];
	return NULL;
}

/* Begins and ends are told with the numbers of the result. */
static void tell(const phase_context *context, base_event_kind kind, const phase_entry *entry)
{
	base_value values[64];
	base_event event = {.kind = kind, .number = entry->number, .text = entry->title, .values = values};
	const char *key;
	json_t *value;
	json_object_foreach(context->json, key, value)
	{
		if (json_is_number(value) && event.count < sizeof values / sizeof *values)
			values[event.count++] = (base_value){key, json_number_value(value)};
	}
	base_report_event(&context->observer, &event);
}

bm_status phase_run(phase_context *context, const phase_entry *entry, bm_error *err)
{
	double begun = base_now();
	bm_status status = phase_begin(context, err);
	if (status == BM_OK)
		tell(context, BASE_PHASE_BEGINS, entry);
	if (status == BM_OK)
		status = entry->function(context, err);
	if (status == BM_OK)
		status = phase_end(context, entry->number, entry->name, base_now() - begun, err);
	if (status == BM_OK)
		tell(context, BASE_PHASE_ENDS, entry);
	if (status != BM_OK && err)
		phase_log(context, "error: ", err->message);
	return status;
}

bm_status phase_run_all(phase_context *context, bm_error *err)
{
	bm_status status = phase_need_weights(context, err); /* to fail now, not after an hour of preprocessing */
	for (size_t i = 0; i < PHASE_ENTRIES && status == BM_OK; i++) {
		if (phase_entries[i].function == phase_benchmark && !context->config.benchmark)
			continue;
		status = base_check_cancel(&context->observer, err);
		if (status == BM_OK)
			status = phase_run(context, &phase_entries[i], err);
		if (status == BM_OK && i + 1 < PHASE_ENTRIES)
			base_result(context->outer, "%s", "");
	}
	return status;
}
