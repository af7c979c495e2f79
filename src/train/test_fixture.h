/* For tests: phantoms in a pack, a small ResNet, a run folder that is removed, and an observer that listens. */
#ifndef TRAIN_TEST_FIXTURE_H
#define TRAIN_TEST_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "image/phantom.h"
#include "train/state.h"

#define FIXTURE_SIDE 32

#define assert_ok(call)                                                \
	do {                                                           \
		bm_error assert_err = {0};                             \
		bm_error *err = &assert_err;                           \
		if ((call) != BM_OK)                                   \
			fail_msg("%s: %s", #call, assert_err.message); \
	} while (0)

static char fixture_root[64];

static int fixture_remove(const char *path, const struct stat *status, int flag, struct FTW *walk)
{
	(void)status, (void)flag, (void)walk;
	return remove(path);
}

static inline int fixture_setup(void **state)
{
	(void)state;
	strcpy(fixture_root, "/tmp/bm-train-XXXXXX");
	return mkdtemp(fixture_root) ? 0 : -1;
}

static inline int fixture_teardown(void **state)
{
	(void)state;
	nftw(fixture_root, fixture_remove, 16, FTW_DEPTH | FTW_PHYS);
	return 0;
}

/* A pack and its split: of every class `train` and `validation` images, and as many for the test as for validation. */
typedef struct fixture_data {
	data_pack pack;
	data_split split;
	uint8_t *images;
	base_hash *hashes;
} fixture_data;

static inline void fixture_data_make(fixture_data *d, size_t train, size_t validation)
{
	const size_t each = train + 2 * validation, count = each * IMAGE_PHANTOM_CLASSES,
		     area = FIXTURE_SIDE * FIXTURE_SIDE;
	*d = (fixture_data){0};
	d->images = base_calloc(count, area, "test", NULL);
	d->pack = (data_pack){
		.count = count, .side = FIXTURE_SIDE, .images = d->images, .class_count = IMAGE_PHANTOM_CLASSES};
	d->pack.labels = base_calloc(count, sizeof(int), "test", NULL);
	for (int p = 0; p < DATA_PART_COUNT; p++)
		d->split.indices[p] = base_calloc(count, sizeof(size_t), "test", NULL);
	for (size_t i = 0; i < count; i++) {
		const size_t number = i / IMAGE_PHANTOM_CLASSES;
		const data_part part = number < train		     ? DATA_TRAIN
				       : number < train + validation ? DATA_VALIDATION
								     : DATA_TEST;
		image slice = {0};
		d->pack.labels[i] = (int)(i % IMAGE_PHANTOM_CLASSES);
		assert_ok(image_phantom(5, d->pack.labels[i], number, FIXTURE_SIDE, &slice, err));
		memcpy(d->images + i * area, slice.pixels, area);
		image_free(&slice);
		d->split.indices[part][d->split.count[part]++] = i;
	}
	d->pack.content = base_hash_bytes(d->images, count * area);
}

static inline void fixture_data_free(fixture_data *d)
{
	base_free(d->images);
	base_free(d->pack.labels);
	for (int p = 0; p < DATA_PART_COUNT; p++)
		base_free(d->split.indices[p]);
}

static inline void fixture_model_headed(model *m, bool from_scratch, model_head head)
{
	const model_options options = {.width = 0.25,
				       .image_size = FIXTURE_SIDE,
				       .channels = 1,
				       .head = head,
				       .classes = IMAGE_PHANTOM_CLASSES};
	assert_ok(model_create(&options, image_phantom_class_names, from_scratch, 3, m, err));
}

static inline void fixture_model(model *m, bool from_scratch)
{
	fixture_model_headed(m, from_scratch, MODEL_HEAD_GUIDE);
}

/* What was said, and a flag to cancel once `cancel_at` progress reports were made. */
typedef struct fixture_ear {
	char text[1 << 16];
	size_t length;
	long reports, cancel_at;
	atomic_bool cancel;
} fixture_ear;

static inline void fixture_hear(void *self, const char *line)
{
	fixture_ear *ear = self;
	ear->length += (size_t)snprintf(ear->text + ear->length, sizeof ear->text - ear->length, "%s\n", line);
	assert_true(ear->length < sizeof ear->text);
}

static inline void fixture_progress(void *self, const base_progress *progress)
{
	fixture_ear *ear = self;
	(void)progress;
	if (++ear->reports == ear->cancel_at)
		atomic_store(&ear->cancel, true);
}

static inline base_observer fixture_observer(fixture_ear *ear)
{
	*ear = (fixture_ear){0};
	return (base_observer){.self = ear,
			       .result = fixture_hear,
			       .note = fixture_hear,
			       .warning = fixture_hear,
			       .progress = fixture_progress,
			       .cancel = &ear->cancel};
}

#endif
