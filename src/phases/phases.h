/* The guide's ten phases, in its order. Each prints what the guide prints, with true numbers, through context->observer; puts
 * the same numbers into the phase's JSON; and leaves both in the run folder as phases/NN-name.txt and .json. */
#ifndef PHASES_PHASES_H
#define PHASES_PHASES_H

#include "phases/context.h"

typedef bm_status phase_function(phase_context *context, bm_error *err);

phase_function phase_environment; /* 1: versions, processor, memory */
phase_function phase_cluster;	  /* 2: where the work runs */
phase_function phase_hdfs;	  /* 2: how HDFS does, when the data is there; called by phase_cluster */
phase_function phase_data;	  /* 3: data.json */
phase_function phase_explore;	  /* 4: samples, dimensions, formats */
phase_function phase_classes;	  /* 5: balance and class weights */
phase_function phase_preprocess;  /* 6: pack/, split.csv */
phase_function phase_model;	  /* 7: the network */
phase_function phase_train;	  /* 8: best_model_stage<n>.keras, training_history.json */
phase_function phase_evaluate;	  /* 9: evaluation_metrics.json, predictions.csv */
phase_function phase_artifacts;	  /* 10: model_metadata.json, what was saved */
phase_function phase_benchmark;	  /* 10: sequential against parallel */
phase_function phase_summary;	  /* 10: the boxed summary */
phase_function phase_page;	  /* 10: report.html out of what the run folder holds */

typedef struct phase_entry {
	int number;
	const char *name;  /* "environment": of the file and of the command */
	const char *title; /* of the phase, for people: "Environment Setup" */
	phase_function *function;
} phase_entry;

#define PHASE_ENTRIES 13
extern const phase_entry phase_entries[PHASE_ENTRIES]; /* in the order in which they run */
const phase_entry *phase_find(const char *name);       /* NULL when there is none */

/* Does one phase: frame, function, frame. */
bm_status phase_run(phase_context *context, const phase_entry *entry, bm_error *err);
/* Does all of them. */
bm_status phase_run_all(phase_context *context, bm_error *err);

#endif
