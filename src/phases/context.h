/* What the phases hand on to each other: in memory while one command does several of them, else out of the run folder. */
#ifndef PHASES_CONTEXT_H
#define PHASES_CONTEXT_H

#include <jansson.h>
#include <pthread.h>
#include <stdio.h>

#include "base/text.h"
#include "data/set.h"
#include "engine/preprocess.h"
#include "evaluate/metrics.h"
#include "model/predict.h"
#include "phases/config.h"
#include "storage/storage.h"

typedef struct phase_options {
	bool resume;		 /* go on from a checkpoint */
	bool force;		 /* overwrite what another configuration left */
	bool summary;		 /* phase 7 prints the table of all layers */
	bool looks_only;	 /* a config.json that is there is left as it is */
	bool precision_measured; /* how fast bfloat16 is was found, and told, before */
	int sample;		 /* images that phase 10 measures, at most; 0: 400 */
} phase_options;

typedef struct phase_context {
	run_config config;
	phase_options options;
	char *folder; /* of the run; NULL: nothing is kept (phases 1 and 2 only) */
	char *figures;
	base_observer observer; /* keeps text and log, then hands on to `outer` */
	const base_observer *outer;
	FILE *log;
	pthread_mutex_t lock; /* of text and log: workers may warn */
	int threads;	      /* config.threads resolved */

	base_text text;	 /* what the running phase has printed */
	json_t *json;	 /* its numbers */
	json_t *results; /* array of the JSON of each phase that ran */

	storage *store;
	data_set set;
	bool have_set;
	data_pack pack;
	bool have_pack;
	data_split split;
	bool have_split;
	char *weights; /* file of config.weights; NULL: not needed yet, or none */
	model network;
	bool have_network;
	train_history history;
	bool have_history;
	evaluate_metrics metrics;
	bool have_metrics;
} phase_context;

/* Takes over *config (zeroed). With config.out the run folder is made, log.txt opened and config.json written, unless it holds another
 * configuration's: then BM_ERR_USAGE names the differences and says how to go on. A run folder has one user at a time. `outer` must outlive the context. */
bm_status phase_context_create(run_config *config, const phase_options *options, const base_observer *outer,
			       phase_context *out, bm_error *err);
void phase_context_free(phase_context *context); /* safe on a zeroed context */
bm_status phase_save_config(phase_context *context, bm_error *err);

/* A path below the run folder; base_free. */
char *phase_path(const phase_context *context, const char *name, bm_error *err);

/* ---- a phase's frame ---- */

/* Empties text and JSON. */
bm_status phase_begin(phase_context *context, bm_error *err);
void phase_log(phase_context *context, const char *kind, const char *line); /* into log.txt only */
void phase_say(phase_context *context, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Prints the lines of `text`, empties it. BM_ERR_MEMORY when it had no memory. */
bm_status phase_print(phase_context *context, base_text *text, bm_error *err);
/* Numbers of the phase's JSON. `object` NULL: the phase's own. A number that is not finite becomes null. */
void phase_put(phase_context *context, json_t *object, const char *key, json_t *value); /* takes the reference */
void phase_put_int(phase_context *context, json_t *object, const char *key, long long value);
void phase_put_real(phase_context *context, json_t *object, const char *key, double value);
void phase_put_text(phase_context *context, json_t *object, const char *key, const char *value);
/* A text that JSON can hold, as phase_put_text puts it: file names may be anything. */
json_t *phase_json_text(const char *text);
/* Keeps phases/NN-name.txt and .json in the run folder. */
bm_status phase_end(phase_context *context, int number, const char *name, double seconds, bm_error *err);
/* What a report_figure_ function handed back for figures/NAME: says where the picture is. One that could not be drawn for want of gnuplot is a
 * warning, since its data and script are there; anything else is handed back. */
bm_status phase_figure(phase_context *context, bm_status status, const char *name, bm_error *err);

/* ---- what earlier phases left; each says which command makes it ---- */

bm_status phase_need_storage(phase_context *context, bm_error *err);
bm_status phase_need_set(phase_context *context, bm_error *err);
bm_status phase_need_pack(phase_context *context, bm_error *err);
bm_status phase_need_split(phase_context *context, bm_error *err);
bm_status phase_need_history(phase_context *context, bm_error *err);
bm_status phase_need_metrics(phase_context *context, bm_error *err);
/* A phase's results hold as long as the settings they depend on, and the results they were made from, are those that they were made with.
 * `phase`: "preprocess", "model", "train", "evaluate", or "checkpoint", which training begins. phase_note_made keeps them in
 * phases/made_from.json when the results are there; the phase_need_ functions call phase_check_made: BM_ERR_DATA names what differs and the
 * command that makes the results again. */
bm_status phase_note_made(phase_context *context, const char *phase, bm_error *err);
bm_status phase_check_made(phase_context *context, const char *phase, bm_error *err);
/* How the trained model's epoch was found: "chosen by its validation accuracy", "the last of its stage". */
const char *phase_how_chosen(const phase_context *context);
/* Warns of the first results in the run folder that do not hold any more. */
void phase_warn_stale(phase_context *context);
/* The file of config.weights in context->weights, "imagenet" fetched; NULL there for none. */
bm_status phase_need_weights(phase_context *context, bm_error *err);
/* The untrained network of phase 7, random; built as the file of config.weights wants it. */
bm_status phase_need_network(phase_context *context, bm_error *err);
/* What phase 2 says of it, in two parts: lines into text, and the rest into the JSON. */
bm_status phase_cluster_spark(phase_context *context, base_text *text, bm_error *err);
/* The Spark of the configuration; its texts are the context's. log: a path, NULL: none. */
engine_spark phase_spark(const phase_context *context, const char *log);
/* base_free; NULL with a message. */
char *phase_pack_folder(const phase_context *context, bm_error *err);
/* "best_model_stage2.keras" of the history; and the size that its stage was trained at. */
void phase_best_model(const phase_context *context, char name[64], int *image_size);

/* "ResNet-50": what is trained here; static storage. */
const char *phase_network_name(const phase_context *context);
#define PHASE_FOLD "fold.json" /* in the run folder of a cross-validation's fold */
/* "default": the kind of the split; or "fold 2 of 5". */
const char *phase_split_name(const phase_context *context, char text[32]);
/* MODEL_CARD.md out of pack, split, history and metrics, which must be there. */
bm_status phase_write_card(phase_context *context, const char *best, int image_size, bm_error *err);

/* data.json: the listing of phase 3. */
bm_status phase_listing_write(const data_set *set, const char *path, bm_error *err);
bm_status phase_listing_read(const char *path, data_set *set, bm_error *err);

/* A whole file, NAME of a folder. The text is empty afterwards, whatever the outcome; of the JSON no reference is taken. */
bm_status phase_write_text(const char *folder, const char *name, base_text *text, bm_error *err);
bm_status phase_write_json(const char *folder, const char *name, const json_t *json, bm_error *err);
bm_status phase_json_write(const json_t *json, const char *path, bm_error *err);
bm_status phase_json_read(const char *path, json_t **json, bm_error *err); /* *json: json_decref */

#endif
