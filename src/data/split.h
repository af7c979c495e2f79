/* Near-copies and the split that respects them. */
#ifndef DATA_SPLIT_H
#define DATA_SPLIT_H

#include "data/pack.h"

typedef enum data_part { DATA_TRAIN, DATA_VALIDATION, DATA_TEST, DATA_PART_COUNT } data_part;
const char *data_part_name(data_part part); /* "train", "validation", "test" */

#define DATA_NEAR_COPY_SIDE 48
#define DATA_NEAR_COPY_CORRELATION 0.99f

/* groups[pack->count]: images of one group are (chains of) near-copies: shrunk to 48x48, mean-free, normalised,
 * correlated above 0.99. Group numbers are the lowest image index in the group. */
typedef struct data_near_copies {
	size_t *group; /* [count] */
	size_t count;
	size_t images;	       /* that have at least one partner */
	size_t groups;	       /* of two or more */
	size_t across_classes; /* pairs whose classes differ: a labelling error in the data */
	size_t exact;	       /* images whose file bytes another image has */
} data_near_copies;
bm_status data_find_near_copies(const data_pack *pack, int threads, const base_observer *observer,
				data_near_copies *out, bm_error *err);
void data_near_copies_free(data_near_copies *copies);

typedef enum data_split_kind {
	DATA_SPLIT_DEFAULT, /* 70/15/15 train/validation/test */
	DATA_SPLIT_GUIDE,   /* 80/20 train/validation; validation is also the test part, as in the guide: warn */
	DATA_SPLIT_FINAL, /* 95/5, likewise: for a model that is given away after its recipe was tested with the default split */
	DATA_SPLIT_REFIT, /* 80/5/15: the default's test part, and two thirds of its validation part train: for a recipe that is fixed */
	DATA_SPLIT_COUNT
} data_split_kind;
bool data_split_tests(data_split_kind kind); /* false: the test part is the validation part, its figures are no test */

typedef struct data_split {
	size_t *indices[DATA_PART_COUNT]; /* into the pack, ascending */
	size_t count[DATA_PART_COUNT];
} data_split;

/* Stratified by class, whole groups on one side, seeded. BM_ERR_DATA when a class has too few groups for every
 * part to have one image of it (says how many are needed). */
bm_status data_split_make(const data_pack *pack, const data_near_copies *copies, data_split_kind kind, uint64_t seed,
			  data_split *out, bm_error *err);
#define DATA_FOLDS_MAX 20
/* One of the splits of a cross-validation, fold in [0, folds): every image is in the test part of exactly one of them; half as many images
 * choose the epoch, the others train. Stratified, whole groups on one side, seeded. Errors as above. */
bm_status data_split_fold(const data_pack *pack, const data_near_copies *copies, int folds, int fold, uint64_t seed,
			  data_split *out, bm_error *err);
/* Leaves about `share` of each class in the training part, in (0, 1], seeded: whole groups, those of a smaller share among those of a larger one.
 * groups [pack->count]: as from data_split_read_groups. */
bm_status data_split_thin(const data_pack *pack, const size_t *groups, double share, uint64_t seed, data_split *split,
			  bm_error *err);
void data_split_free(data_split *split);
/* split.csv: index,part,group. Written whole or not at all. */
bm_status data_split_write(const data_split *split, const data_near_copies *copies, const char *path, bm_error *err);
/* The near-copy groups that split.csv names: groups[pack_count]. */
bm_status data_split_read_groups(const char *path, size_t pack_count, size_t *groups, bm_error *err);
bm_status data_split_read(const char *path, size_t pack_count, data_split *out, bm_error *err);

#endif
