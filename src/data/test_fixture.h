/* For tests: a temporary folder, class folders of phantoms, and packs made of phantoms without files. */
#ifndef DATA_TEST_FIXTURE_H
#define DATA_TEST_FIXTURE_H

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
#include "data/pack.h"
#include "image/phantom.h"

static bm_error oops; /* of what must succeed */

#define assert_ok(call)                                          \
	do {                                                     \
		if ((call) != BM_OK)                             \
			fail_msg("%s: %s", #call, oops.message); \
	} while (0)

static char fixture_root[64];

static int fixture_setup(void **state)
{
	(void)state;
	/* In memory where there is such a folder: packs wait for the disk. */
	strcpy(fixture_root, "/dev/shm/bm-data-XXXXXX");
	if (mkdtemp(fixture_root))
		return 0;
	strcpy(fixture_root, "/tmp/bm-data-XXXXXX");
	return mkdtemp(fixture_root) ? 0 : -1;
}

static int fixture_remove(const char *path, const struct stat *status, int flag, struct FTW *walk)
{
	(void)status, (void)flag, (void)walk;
	return remove(path);
}

static inline void fixture_clear(const char *path)
{
	nftw(path, fixture_remove, 16, FTW_DEPTH | FTW_PHYS);
}

static int fixture_teardown(void **state)
{
	(void)state;
	base_memory_fail_after(-1);
	fixture_clear(fixture_root);
	return 0;
}

/* A path in the temporary folder, good until the eighth next call. */
static inline const char *fixture_path(const char *name)
{
	static char paths[8][4096];
	static unsigned next;
	char *path = paths[next++ % 8];
	snprintf(path, sizeof paths[0], "%s/%s", fixture_root, name);
	return path;
}

static inline void fixture_write(const char *name, const void *bytes, size_t size)
{
	char folder[4096];
	snprintf(folder, sizeof folder, "%s", fixture_path(name));
	*strrchr(folder, '/') = '\0';
	assert_ok(base_make_folders(folder, &oops));
	FILE *file = fopen(fixture_path(name), "wb"); /* base_file_write would wait for the disk */
	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, size, file), size);
	assert_int_equal(fclose(file), 0);
}

/* A phantom as a JPEG file. */
static inline void fixture_jpeg(const char *name, int label, uint64_t index, int quality)
{
	image img = {0};
	uint8_t *bytes = NULL;
	size_t size = 0;
	assert_ok(image_phantom(1, label, index, 96, &img, &oops));
	assert_ok(image_encode_jpeg(&img, quality, &bytes, &size, &oops));
	fixture_write(name, bytes, size);
	base_free(bytes);
	image_free(&img);
}

/* data/CLASS/N.jpg: per_class phantoms of each of the first `classes` classes. */
static inline void fixture_images(int classes, int per_class)
{
	char name[128];
	for (int label = 0; label < classes; label++) {
		for (int i = 0; i < per_class; i++) {
			snprintf(name, sizeof name, "data/%s/%03d.jpg", image_phantom_class_names[label], i);
			fixture_jpeg(name, label, (uint64_t)i, 90);
		}
	}
}

/* A data set of phantoms that never were files: count images, labels in turn, with made-up hashes. */
static inline void fixture_set(data_set *set, size_t count, int classes)
{
	char name[64];
	*set = (data_set){.class_count = classes, .count = count, .hash = {1, 2}};
	set->root = base_strdup("nowhere", NULL);
	for (int c = 0; c < classes; c++) {
		snprintf(name, sizeof name, "class %d", c);
		set->class_names[c] = base_strdup(name, NULL);
	}
	set->items = base_calloc(count, sizeof *set->items, "items", NULL);
	assert_non_null(set->items);
	for (size_t i = 0; i < count; i++) {
		snprintf(name, sizeof name, "class %d/%05zu.jpg", (int)(i % (size_t)classes), i);
		set->items[i] = (data_item){.path = base_strdup(name, NULL),
					    .label = (int)(i % (size_t)classes),
					    .info = {.format = IMAGE_JPEG, .width = 96, .height = 80},
					    .hash = base_hash_bytes(name, strlen(name))};
		assert_non_null(set->items[i].path);
	}
}

/* Its pack, image i being phantom i of class i % 4, under NAME in the temporary folder. */
static inline void fixture_pack(const char *name, size_t count, int classes, int side, data_pack *pack)
{
	data_set set;
	data_pack_writer *writer = NULL;
	fixture_set(&set, count, classes);
	assert_ok(data_pack_writer_open(fixture_path(name), count, side, &writer, &oops));
	for (size_t i = 0; i < count; i++) {
		image img = {0};
		assert_ok(image_phantom(7, (int)(i % IMAGE_PHANTOM_CLASSES), i, side, &img, &oops));
		memcpy(data_pack_writer_slot(writer, i), img.pixels, (size_t)side * (size_t)side);
		image_free(&img);
	}
	assert_ok(data_pack_writer_commit(writer, &set, &oops));
	if (pack)
		assert_ok(data_pack_open(fixture_path(name), pack, &oops));
	data_set_free(&set);
}

#endif
