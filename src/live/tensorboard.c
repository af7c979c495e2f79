#include "live/tensorboard.h"

#include <dirent.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/threads.h"
#include "image/image.h"
#include "live/event_file.h"

enum { EVALUATION = 9, STEPS = 10 }; /* the phase; steps that a batch_ value is the mean of */
static const double FLUSH_EVERY = 2; /* seconds */

typedef enum board_part { TRAIN, VALIDATION, TEST, PARTS } board_part;
static const char *const part_names[PARTS] = {"train", "validation", "test"};

struct live_tensorboard {
	base_observer observer;
	char *folder; /* of the run */
	live_event_file files[PARTS];
	bool broken;  /* what went wrong was said */
	bool resumed; /* epochs of an earlier sitting were told */
	long long epochs;
	double loss, accuracy; /* sums over the steps since the last batch_ values */
	int steps;
	double flushed;
};

static void remove_files(const char *folder)
{
	DIR *directory = opendir(folder);
	const struct dirent *entry;
	if (!directory)
		return;
	while ((entry = readdir(directory)))
		if (strncmp(entry->d_name, "events.out.tfevents.", strlen("events.out.tfevents.")) == 0)
			unlinkat(dirfd(directory), entry->d_name, 0);
	closedir(directory);
}

/* RUN/tensorboard/PART; base_free. */
static char *part_folder(const live_tensorboard *b, board_part part, bm_error *err)
{
	char *all = base_path_join(b->folder, "tensorboard", err),
	     *folder = all ? base_path_join(all, part_names[part], err) : NULL;
	base_free(all);
	return folder;
}

static bm_status forget(live_tensorboard *b, board_part part, bm_error *err)
{
	char *folder = part_folder(b, part, err);
	if (!folder)
		return BM_ERR_MEMORY;
	remove_files(folder);
	base_free(folder);
	return BM_OK;
}

static bm_status open_part(live_tensorboard *b, board_part part, bm_error *err)
{
	char *folder = part_folder(b, part, err);
	bm_status status = folder ? live_event_file_open(folder, &b->files[part], err) : BM_ERR_MEMORY;
	base_free(folder);
	return status;
}

/* step: the first of this sitting; 0: it has none. */
static bm_status open_training(live_tensorboard *b, int64_t step, bm_error *err)
{
	if (b->files[TRAIN].file)
		return BM_OK;
	const bool resumed = b->resumed || step != 1;
	bm_status status = BM_OK;
	for (int i = 0; status == BM_OK && !resumed && i < PARTS; i++)
		status = forget(b, i, err);
	if (status == BM_OK)
		status = open_part(b, TRAIN, err);
	if (status == BM_OK)
		status = open_part(b, VALIDATION, err);
	if (status == BM_OK && resumed && step > 0)
		status = live_event_file_restart(&b->files[TRAIN], step, err);
	return status;
}

static bm_status flush(live_tensorboard *b, bm_error *err)
{
	bm_status status = BM_OK;
	b->flushed = base_now();
	for (int i = 0; status == BM_OK && i < PARTS; i++)
		if (b->files[i].file)
			status = live_event_file_flush(&b->files[i], err);
	return status;
}

static bm_status on_step(live_tensorboard *b, const base_event *event, bm_error *err)
{
	bm_status status = open_training(b, event->number, err);
	b->loss += base_event_value(event, "loss");
	b->accuracy += base_event_value(event, "accuracy");
	b->steps++;
	if (status != BM_OK || event->number % STEPS != 0)
		return status;
	const base_value values[] = {{"batch_loss", b->loss / b->steps},
				     {"batch_accuracy", b->accuracy / b->steps},
				     {"batch_learning_rate", base_event_value(event, "learning_rate")}};
	b->loss = b->accuracy = 0;
	b->steps = 0;
	status = live_event_file_scalars(&b->files[TRAIN], event->number, values, sizeof values / sizeof *values, err);
	return status == BM_OK && base_now() - b->flushed > FLUSH_EVERY ? flush(b, err) : status;
}

static bm_status on_epoch(live_tensorboard *b, const base_event *event, bm_error *err)
{
	const base_value train[] = {{"epoch_loss", base_event_value(event, "loss")},
				    {"epoch_accuracy", base_event_value(event, "accuracy")},
				    {"epoch_learning_rate", base_event_value(event, "learning_rate")}};
	const base_value validation[] = {{"epoch_loss", base_event_value(event, "val_loss")},
					 {"epoch_accuracy", base_event_value(event, "val_accuracy")}};
	b->epochs = event->number;
	if (event->past) {
		b->resumed = true;
		return BM_OK;
	}
	/* A training that was stopped while it validated begins without a step. */
	bm_status status = open_training(b, 0, err);
	if (status == BM_OK)
		status = live_event_file_scalars(&b->files[TRAIN], event->number - 1, train,
						 sizeof train / sizeof *train, err);
	if (status == BM_OK)
		status = live_event_file_scalars(&b->files[VALIDATION], event->number - 1, validation,
						 sizeof validation / sizeof *validation, err);
	return status == BM_OK ? flush(b, err) : status;
}

/* What gnuplot drew; without it there is no picture. */
static bm_status add_confusion_matrix(live_tensorboard *b, bm_error *err)
{
	uint8_t *png = NULL;
	size_t size = 0;
	image_info info;
	bm_status status = BM_OK;
	char *path = base_path_join(b->folder, "figures/confusion_matrix.png", err);
	if (!path)
		return BM_ERR_MEMORY;
	if (base_is_file(path) && base_file_read(path, IMAGE_FILE_LIMIT, &png, &size, NULL) == BM_OK &&
	    image_inspect(png, size, &info, NULL) == BM_OK)
		status = live_event_file_image(&b->files[TEST], b->epochs, "confusion_matrix", png, size, info.width,
					       info.height, err);
	base_free(png);
	base_free(path);
	return status;
}

static bm_status on_evaluation(live_tensorboard *b, const base_event *event, bm_error *err)
{
	const base_value values[] = {{"test_loss", base_event_value(event, "loss")},
				     {"test_accuracy", base_event_value(event, "accuracy")},
				     {"test_macro_f1", base_event_value(event, "macro_f1")},
				     {"test_mean_auc", base_event_value(event, "mean_auc")}};
	bm_status status = forget(b, TEST, err);
	if (status == BM_OK)
		status = open_part(b, TEST, err);
	if (status == BM_OK)
		status = live_event_file_scalars(&b->files[TEST], b->epochs, values, sizeof values / sizeof *values,
						 err);
	if (status == BM_OK)
		status = add_confusion_matrix(b, err);
	return status == BM_OK ? flush(b, err) : status;
}

static void on_event(void *self, const base_event *event)
{
	live_tensorboard *b = self;
	bm_error err;
	bm_status status = BM_OK;
	if (!b->broken && event->kind == BASE_STEP)
		status = on_step(b, event, &err);
	else if (!b->broken && event->kind == BASE_EPOCH)
		status = on_epoch(b, event, &err);
	else if (!b->broken && event->kind == BASE_PHASE_ENDS && event->number == EVALUATION && !b->files[TEST].file)
		status = on_evaluation(b, event, &err);
	if (status != BM_OK) {
		b->broken = true;
		base_warning(b->observer.next, "TensorBoard's files are not written any more: %s", err.message);
	}
}

bm_status live_tensorboard_create(const char *folder, const base_observer *outer, live_tensorboard **out, bm_error *err)
{
	*out = NULL;
	live_tensorboard *b = base_calloc(1, sizeof *b, "TensorBoard's files", err);
	if (!b)
		return BM_ERR_MEMORY;
	b->folder = base_strdup(folder, err);
	if (!b->folder) {
		base_free(b);
		return BM_ERR_MEMORY;
	}
	b->observer =
		(base_observer){.self = b, .event = on_event, .next = outer, .cancel = outer ? outer->cancel : NULL};
	*out = b;
	return BM_OK;
}

void live_tensorboard_free(live_tensorboard *b)
{
	if (!b)
		return;
	for (int i = 0; i < PARTS; i++)
		live_event_file_close(&b->files[i]);
	base_free(b->folder);
	base_free(b);
}

const base_observer *live_tensorboard_observer(const live_tensorboard *b)
{
	return &b->observer;
}
