/* What repeats a run: the settings that `brainmri run` leaves as config.json and takes back with --config. */
#ifndef PHASES_CONFIG_H
#define PHASES_CONFIG_H

#include <jansson.h>

#include "data/split.h"
#include "model/model.h"
#include "train/train.h"

typedef struct run_config {
	char *data;	   /* folder with a folder per class; absolute when it exists; NULL: not given yet */
	char *out;	   /* run folder; NULL: not given yet */
	char *webhdfs;	   /* the NameNodes' HTTP addresses, "HOST:PORT,HOST:PORT"; NULL: looked up */
	char *pack;	   /* folder of the pack; NULL: <out>/pack */
	char *master;	   /* of the Spark that preprocesses; NULL: threads here */
	char *spark_conf;  /* "spark.NAME=VALUE,..."; NULL: none */
	int partitions;	   /* of the Spark job; 0: chosen by it */
	int image_seconds; /* that an image may take there */
	char *weights;	   /* file that the network starts from; NULL: none, random */
	char *teachers;	   /* run folders or model files that it learns from, with commas between; NULL: none */
	uint64_t seed;
	double train_share; /* of the training images that are used, (0, 1]; whole near-copy groups */
	int64_t split_seed; /* of the split alone; negative: the seed */
	int threads;	    /* 0: one per core */
	bool strict;	    /* a file that cannot be read fails the run */
	data_split_kind split;
	model_variant variant; /* MODEL_V1: ResNet-50, of the variant of the weights that it starts from, if any */
	model_head head;
	double dropout; /* rate of the head's dropout (of its first; a second has 0.6 of it); negative: as the head has it */
	double width;
	int depth; /* 14 or 26 layers of a ResNet; 0: what the network is named after */
	int image_size;
	bool save_optimizer; /* into the models' files */
	bool benchmark;	     /* phase 10 measures sequential against parallel preprocessing */
	train_plan plan;
} run_config;

/* The defaults: the guide's two stages at 224 pixels, seed 42. */
void run_config_init(run_config *config);
void run_config_free(run_config *config); /* safe on a zeroed config */
bm_status run_config_copy(const run_config *from, run_config *to, bm_error *err);

/* Replaces a string member; NULL is allowed. */
bm_status run_config_set(char **member, const char *value, bm_error *err);
/* The same for a path: made absolute when it exists and is no URL. */
bm_status run_config_set_path(char **member, const char *value, bm_error *err);

/* Builds the plan of this name ("two-stage", "scratch", "compact") for config->image_size; own_size: for the size that the plan is
 * meant for, unless config->image_size was chosen. BM_ERR_USAGE names the known ones. */
bm_status run_config_plan(run_config *config, const char *name, bool own_size, bm_error *err);

/* A plan for `size` pixels made of this one: its last stage gets the size, earlier ones their share of it, in steps of 8. */
void run_config_resize(run_config *config, int size);

/* config.json as an object; *json is the caller's (json_decref). */
bm_status run_config_to_json(const run_config *config, json_t **json, bm_error *err);
/* Takes the members that `json` names; an unknown one or one of a wrong type is BM_ERR_USAGE and is named. `origin` names the file. */
bm_status run_config_from_json(json_t *json, const char *origin, run_config *config, bm_error *err);
bm_status run_config_write(const run_config *config, const char *path, bm_error *err);
bm_status run_config_read(const char *path, run_config *config, bm_error *err);

/* Names the first settings in which two configs would give different results ("seed, width"), "" for none. Threads, folders of
 * the output, Spark and, under a time budget, the epochs that it resolved to are not among them. */
bm_status run_config_difference(const run_config *a, const run_config *b, char *names, size_t size, bm_error *err);

/* The same for parts of two config.json objects, which are changed: what does not matter is taken out. */
void run_config_compare(json_t *a, json_t *b, char *names, size_t size);

const char *run_config_split_name(data_split_kind kind); /* "default", "guide", "final", "refit" */
bool run_config_split_parse(const char *text, data_split_kind *kind);
const char *run_config_head_name(model_head head); /* "guide", "dense512", "linear" */
bool run_config_head_parse(const char *text, model_head *head);
const char *run_config_model_name(const run_config *config); /* "resnet50", "resnet50v1.5", "compact" */
bool run_config_model_parse(const char *text, model_variant *variant);
/* BM_ERR_USAGE: config's weights are of another network than the one that it names. */
bm_status run_config_other_network(const run_config *config, model_variant theirs, bm_error *err);
bool run_config_set_depth(run_config *config, int depth); /* false: no ResNet here has this many layers */
int run_config_channels(const run_config *config);	  /* of the network's input */
uint64_t run_config_split_seed(const run_config *config);
bool run_config_from_scratch(const run_config *config); /* the plan is one for random weights */

#endif
