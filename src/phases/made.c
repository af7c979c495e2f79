/* What a phase's results were made from, so that a later command does not build on results that no longer fit the settings. */
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "phases/context.h"

#define NOTES "phases/made_from.json"
#define FILE_LIMIT ((size_t)1 << 30)

typedef struct made {
	const char *phase;
	const char *command;	  /* that makes it again */
	const char *product;	  /* file of the run folder; NULL: only asked for by its name */
	const char *what;	  /* "the split" */
	const char *settings[12]; /* keys of config.json that the results depend on, up to a NULL */
	const char *input;	  /* file of the run folder that they were made from, "": the listing; NULL: none */
	const char *input_name;	  /* "the split", where a difference is named */
} made;

#define TRAINING \
	"seed", "model", "head", "dropout", "width", "depth", "image_size", "weights", "teachers", "train_share", "plan"

static const made all[] = {
	{"preprocess", "preprocess", "split.csv", "the split", {"seed", "split", "split_seed"}, "", "the listed data"},
	{"model",
	 "model",
	 "phases/07-model.txt",
	 "the summary of the model",
	 {"seed", "model", "head", "dropout", "width", "depth", "image_size", "weights", "plan"},
	 NULL,
	 ""},
	{"train", "train", "training_history.json", "the trained model", {TRAINING}, "split.csv", "the split"},
	{"checkpoint", "train", NULL, "the checkpoint", {TRAINING}, "split.csv", "the split"},
	{"evaluate",
	 "evaluate",
	 "evaluation_metrics.json",
	 "the evaluation",
	 {NULL},
	 "training_history.json",
	 "the trained model"},
};
#define COUNT (sizeof all / sizeof *all)

static const made *find(const char *phase)
{
	for (size_t i = 0; i < COUNT; i++)
		if (strcmp(all[i].phase, phase) == 0)
			return &all[i];
	return NULL;
}

/* Of the bytes of a file of the run folder. */
static bm_status hash_of(const phase_context *c, const char *name, base_hash *hash, bm_error *err)
{
	uint8_t *bytes = NULL;
	size_t size = 0;
	char *path = phase_path(c, name, err);
	if (!path)
		return BM_ERR_MEMORY;
	bm_status status = base_file_read(path, FILE_LIMIT, &bytes, &size, err);
	base_free(path);
	if (status == BM_OK)
		*hash = base_hash_bytes(bytes, size);
	base_free(bytes);
	return status;
}

static bm_status input_of(phase_context *c, const made *m, json_t *note, bm_error *err)
{
	char text[33];
	base_hash hash;
	bm_status status = BM_OK;
	if (!m->input)
		return BM_OK;
	if (m->input[0]) {
		status = hash_of(c, m->input, &hash, err);
	} else {
		status = phase_need_set(c, err);
		hash = c->set.hash;
	}
	if (status != BM_OK)
		return status;
	base_hash_text(hash, text);
	json_object_set_new(note, m->input_name, json_string(text));
	return BM_OK;
}

/* What the phase would build on now: the settings of config.json, not those that one command was given to look with. */
static bm_status describe(phase_context *c, const made *m, json_t **out, bm_error *err)
{
	run_config config;
	json_t *json = NULL, *note = json_object();
	char *path = phase_path(c, "config.json", err);
	*out = NULL;
	run_config_init(&config);
	bm_status status = path ? run_config_read(path, &config, err) : BM_ERR_MEMORY;
	if (status == BM_OK)
		status = run_config_to_json(&config, &json, err);
	for (int i = 0; status == BM_OK && m->settings[i]; i++)
		json_object_set(note, m->settings[i], json_object_get(json, m->settings[i]));
	if (status == BM_OK)
		status = input_of(c, m, note, err);
	base_free(path);
	run_config_free(&config);
	json_decref(json);
	if (status != BM_OK || !note) {
		json_decref(note);
		return note ? status : base_fail(err, BM_ERR_MEMORY, "no memory for '%s'", NOTES);
	}
	*out = note;
	return BM_OK;
}

/* *notes: an object, empty when nothing has been noted yet. */
static bm_status read_notes(const phase_context *c, char **path, json_t **notes, bm_error *err)
{
	bm_status status = BM_OK;
	*notes = NULL;
	*path = phase_path(c, NOTES, err);
	if (!*path)
		return BM_ERR_MEMORY;
	if (base_is_file(*path))
		status = phase_json_read(*path, notes, err);
	else if (!(*notes = json_object()))
		status = base_fail(err, BM_ERR_MEMORY, "no memory for '%s'", *path);
	return status;
}

bm_status phase_note_made(phase_context *c, const char *phase, bm_error *err)
{
	json_t *notes = NULL, *note = NULL;
	char *path = NULL;
	bm_status status = c->folder ? read_notes(c, &path, &notes, err) : BM_OK;
	if (status == BM_OK && notes)
		status = describe(c, find(phase), &note, err);
	if (status == BM_OK && note && json_object_set(notes, phase, note) != 0)
		status = base_fail(err, BM_ERR_MEMORY, "no memory for '%s'", path);
	if (status == BM_OK && note)
		status = phase_json_write(notes, path, err);
	json_decref(note);
	json_decref(notes);
	base_free(path);
	return status;
}

/* A note's settings as this version writes them: fields that came later have the values that say what was done before. What cannot be read
 * stays as it is, and differs. */
static void renew(json_t *note, const made *m)
{
	run_config config;
	json_t *noted = json_object(), *renewed = NULL;
	run_config_init(&config);
	for (int i = 0; m->settings[i]; i++)
		if (json_object_get(note, m->settings[i]))
			json_object_set(noted, m->settings[i], json_object_get(note, m->settings[i]));
	if (run_config_from_json(noted, NOTES, &config, NULL) == BM_OK &&
	    run_config_to_json(&config, &renewed, NULL) == BM_OK)
		for (int i = 0; m->settings[i]; i++)
			json_object_set(note, m->settings[i], json_object_get(renewed, m->settings[i]));
	json_decref(noted);
	json_decref(renewed);
	run_config_free(&config);
}

/* names: what differs; "" when nothing does, or when nothing was noted: results of an earlier version are taken as they are. */
static bm_status difference(phase_context *c, const made *m, char *names, size_t size, bm_error *err)
{
	json_t *notes = NULL, *now = NULL;
	char *path = NULL;
	names[0] = '\0';
	bm_status status = read_notes(c, &path, &notes, err);
	json_t *then = json_object_get(notes, m->phase);
	if (status == BM_OK && then)
		status = describe(c, m, &now, err);
	if (status == BM_OK && then)
		renew(then, m);
	if (status == BM_OK && then)
		run_config_compare(now, then, names, size);
	json_decref(now);
	json_decref(notes);
	base_free(path);
	return status;
}

bm_status phase_check_made(phase_context *c, const char *phase, bm_error *err)
{
	char names[256];
	const made *m = find(phase);
	bm_status status = difference(c, m, names, sizeof names, err);
	if (status == BM_OK && names[0])
		status = base_fail(
			err, BM_ERR_DATA,
			"%s in '%s' was made from something else (different now: %s); run 'brainmri %s %s' again",
			m->what, c->folder, names, m->command, c->folder);
	return status;
}

void phase_warn_stale(phase_context *c)
{
	char names[256];
	for (size_t i = 0; c->folder && i < COUNT; i++) {
		char *path = all[i].product ? phase_path(c, all[i].product, NULL) : NULL;
		bool there = path && base_is_file(path);
		base_free(path);
		if (!there || difference(c, &all[i], names, sizeof names, NULL) != BM_OK || !names[0])
			continue;
		base_warning(&c->observer,
			     "%s no longer fits (different now: %s), nor does what was made from it; run 'brainmri %s "
			     "%s' again",
			     all[i].what, names, all[i].command, c->folder);
		return;
	}
}
