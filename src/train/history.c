#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "train/state.h"

#define FILE_LIMIT ((size_t)64 << 20)

typedef struct column {
	const char *name;
	size_t offset;
	bool whole;
} column;

#define AT(member) offsetof(train_epoch, member)
static const column columns[] = {
	/* The first five are Keras' own. */
	{"loss", AT(loss), false},
	{"accuracy", AT(accuracy), false},
	{"val_loss", AT(val_loss), false},
	{"val_accuracy", AT(val_accuracy), false},
	{"learning_rate", AT(learning_rate), false},
	{"stage", AT(stage), true},
	{"epoch", AT(epoch), true},
	{"seconds", AT(seconds), false},
	{"ms_per_step", AT(ms_per_step), false},
	{"images_per_second", AT(images_per_second), false},
};
#define COLUMNS (sizeof columns / sizeof *columns)

void train_history_free(train_history *history)
{
	base_free(history->epochs);
	*history = (train_history){0};
}

bm_status train_history_add(train_history *history, const train_epoch *epoch, bm_error *err)
{
	bm_status status = base_grow(&history->epochs, &history->capacity, history->count, sizeof *history->epochs,
				     "the training history", err);
	if (status == BM_OK)
		history->epochs[history->count++] = *epoch;
	return status;
}

static json_t *cell(const train_epoch *epoch, const column *c)
{
	const char *at = (const char *)epoch + c->offset;
	int whole;
	double real;
	if (c->whole) {
		memcpy(&whole, at, sizeof whole);
		return json_integer(whole);
	}
	memcpy(&real, at, sizeof real);
	return json_real(real);
}

bm_status train_history_write(const train_history *history, const char *path, bm_error *err)
{
	json_t *root = json_object(), *stopped = json_array();
	int failed = !root || !stopped;
	for (size_t c = 0; c < COLUMNS; c++) {
		json_t *list = json_array();
		for (size_t i = 0; i < history->count; i++)
			failed |= json_array_append_new(list, cell(&history->epochs[i], &columns[c]));
		failed |= json_object_set_new(root, columns[c].name, list);
	}
	failed |= json_object_set_new(root, "best_stage", json_integer(history->best_stage));
	failed |= json_object_set_new(root, "best_epoch", json_integer(history->best_epoch));
	failed |= json_object_set_new(root, "total_seconds", json_real(history->seconds));
	for (int i = 0; i < TRAIN_STAGES_MAX; i++)
		failed |= json_array_append_new(stopped, json_boolean(history->early_stopped[i]));
	failed |= json_object_set(root, "early_stopped", stopped);
	char *text = failed ? NULL : json_dumps(root, JSON_INDENT(1) | JSON_REAL_PRECISION(17));
	json_decref(stopped);
	json_decref(root);
	if (!text)
		return base_fail(err, BM_ERR_MEMORY, "cannot write '%s': no memory, or a figure that is not finite",
				 path);
	bm_status status = base_file_write(path, text, strlen(text), err);
	free(text);
	return status;
}

static bm_status damaged(bm_error *err, const char *path, const char *what)
{
	return base_fail(err, BM_ERR_FORMAT,
			 "'%s' is not a training history: %s; train again, or take the file from a whole run", path,
			 what);
}

bm_status train_history_read(const char *path, train_history *history, bm_error *err)
{
	uint8_t *bytes = NULL;
	size_t size = 0;
	*history = (train_history){0};
	bm_status status = base_file_read(path, FILE_LIMIT, &bytes, &size, err);
	if (status != BM_OK)
		return status;
	json_t *root = json_loadb((const char *)bytes, size, JSON_REJECT_DUPLICATES, NULL);
	base_free(bytes);
	const size_t count = json_array_size(json_object_get(root, "loss"));
	if (!root)
		status = damaged(err, path, "it is no JSON");
	for (size_t i = 0; status == BM_OK && i < count; i++) {
		train_epoch epoch = {0};
		for (size_t c = 0; status == BM_OK && c < COLUMNS; c++) {
			const json_t *value = json_array_get(json_object_get(root, columns[c].name), i);
			char *at = (char *)&epoch + columns[c].offset;
			const int whole = (int)json_integer_value(value);
			const double real = json_number_value(value);
			if (!json_is_number(value))
				status = damaged(err, path, "its lists differ in length");
			else if (columns[c].whole)
				memcpy(at, &whole, sizeof whole);
			else
				memcpy(at, &real, sizeof real);
		}
		if (status == BM_OK)
			status = train_history_add(history, &epoch, err);
	}
	if (status == BM_OK) {
		history->best_stage = (int)json_integer_value(json_object_get(root, "best_stage"));
		history->best_epoch = (int)json_integer_value(json_object_get(root, "best_epoch"));
		history->seconds = json_number_value(json_object_get(root, "total_seconds"));
		for (size_t i = 0; i < TRAIN_STAGES_MAX; i++)
			history->early_stopped[i] =
				json_is_true(json_array_get(json_object_get(root, "early_stopped"), i));
	} else {
		train_history_free(history);
	}
	json_decref(root);
	return status;
}
