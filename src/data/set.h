/* A data set: a folder per class. Listing, looking at, near-copies, splits. */
#ifndef DATA_SET_H
#define DATA_SET_H

#include "base/hash.h"
#include "base/observer.h"
#include "image/image.h"
#include "storage/storage.h"

#define DATA_CLASSES_MAX 64

typedef struct data_item {
	char *path;    /* below the root: "glioma/Tr-gl_0010.jpg"; owned by the set */
	int label;     /* index of the class */
	uint64_t size; /* bytes */
	image_info info;
	base_hash hash; /* of the file's bytes; set by data_scan */
} data_item;

typedef struct data_rejected {
	char *path;
	char *reason; /* one line */
} data_rejected;

typedef struct data_set {
	char *root; /* as the user gave it */
	int class_count;
	char *class_names[DATA_CLASSES_MAX]; /* folder names, sorted */
	data_item *items;		     /* sorted by path */
	size_t count;
	data_rejected *rejected; /* files that are no readable image, sorted by path */
	size_t rejected_count;
	base_hash hash; /* of all paths and contents: changes when anything does */
} data_set;

/* Lists every class folder, reads every file (threads at once), hashes it and reads its header. A file that can't
 * be read goes to `rejected` with a warning, or fails the scan with `strict`. Errors (BM_ERR_DATA, saying what to
 * do): no class folder, only one, a class with no readable image, none at all; more than 64 classes. */
bm_status data_scan(storage *s, int threads, bool strict, const base_observer *observer, data_set *out, bm_error *err);
void data_set_free(data_set *set); /* safe on a zeroed set */
void data_set_counts(const data_set *set, size_t counts[DATA_CLASSES_MAX]);
/* Removes item i (a file that turned out to be damaged while it was decoded) and puts it among the rejected. */
bm_status data_set_reject(data_set *set, size_t index, const char *reason, bm_error *err);

/* BM_ERR_DATA, saying what to do, when there is no image or a class has none left. */
bm_status data_set_check(const data_set *set, bm_error *err);

/* Balanced class weights, as scikit-learn: n / (classes * count); 0 for a class without images.
 * weights[class_count]. */
void data_class_weights(const size_t *counts, int class_count, float *weights);

#endif
