#include "data/split.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/random.h"
#include "data/csv.h"

static const char *const part_names[DATA_PART_COUNT] = {"train", "validation", "test"};
static const char columns[] = "index,part,group";

const char *data_part_name(data_part part)
{
	return (int)part >= 0 && part < DATA_PART_COUNT ? part_names[part] : "unknown";
}

bool data_split_tests(data_split_kind kind)
{
	return kind == DATA_SPLIT_DEFAULT || kind == DATA_SPLIT_REFIT;
}

/* ---- making ---- */

enum { PARTS_MAX = 2 * DATA_FOLDS_MAX };

struct group {
	size_t first, count; /* its images: members[first .. first + count) */
	bool mixed;	     /* of more than one class */
};

struct plan {
	const data_pack *pack;
	struct group *groups;
	size_t group_count;
	size_t *members; /* [pack->count], sorted by group */
	int parts;	 /* 3, or 2; of a cross-validation: 2 for each fold */
	double target[PARTS_MAX][DATA_CLASSES_MAX], have[PARTS_MAX][DATA_CLASSES_MAX];
	uint8_t *part; /* [pack->count] */
};

static bm_status collect_groups(struct plan *plan, const data_near_copies *copies, bm_error *err)
{
	size_t n = plan->pack->count;
	size_t *number =
		base_calloc(n + 1, sizeof *number, "the split", err); /* first: sizes; then: index into groups */
	plan->groups = number ? base_calloc(n, sizeof *plan->groups, "the split", err) : NULL;
	plan->members = plan->groups ? base_calloc(n, sizeof *plan->members, "the split", err) : NULL;
	if (!plan->members) {
		base_free(number);
		return BM_ERR_MEMORY;
	}
	for (size_t i = 0; i < n; i++)
		number[copies ? copies->group[i] : i]++;
	for (size_t i = 0, first = 0; i < n; i++) {
		size_t size = number[i];
		number[i] = plan->group_count;
		if (size == 0)
			continue;
		plan->groups[plan->group_count++] = (struct group){.first = first};
		first += size;
	}
	for (size_t i = 0; i < n; i++) {
		struct group *group = &plan->groups[number[copies ? copies->group[i] : i]];
		plan->members[group->first + group->count++] = i;
		group->mixed |= plan->pack->labels[i] != plan->pack->labels[plan->members[group->first]];
	}
	base_free(number);
	return BM_OK;
}

/* Every part must get an image of each class, and a group goes to one part. */
static bm_status check_enough(const struct plan *plan, bm_error *err)
{
	size_t of_class[DATA_CLASSES_MAX] = {0};
	for (size_t g = 0; g < plan->group_count; g++) {
		const struct group *group = &plan->groups[g];
		bool seen[DATA_CLASSES_MAX] = {false};
		for (size_t i = 0; i < group->count; i++) {
			int label = plan->pack->labels[plan->members[group->first + i]];
			of_class[label] += !seen[label];
			seen[label] = true;
		}
	}
	for (int c = 0; c < plan->pack->class_count; c++) {
		if (of_class[c] < (size_t)plan->parts)
			return base_fail(err, BM_ERR_DATA,
					 "class '%s' has %zu image%s that are no near-copies of each other, and %d are "
					 "needed for %d parts; "
					 "add images of this class",
					 plan->pack->class_names[c], of_class[c], of_class[c] == 1 ? "" : "s",
					 plan->parts, plan->parts);
	}
	return BM_OK;
}

/* The part that lacks most of what the group holds, in shares of its target. A part without any of a class lacks
 * all of it, so each part gets a group of every class before one gets a second. */
static int neediest_part(const struct plan *plan, const struct group *group)
{
	int best = 0;
	double best_need = 0;
	for (int p = 0; p < plan->parts; p++) {
		double need = 0;
		for (size_t i = 0; i < group->count; i++) {
			int c = plan->pack->labels[plan->members[group->first + i]];
			need += 1 - plan->have[p][c] / plan->target[p][c];
		}
		if (p == 0 || need > best_need) {
			best = p;
			best_need = need;
		}
	}
	return best;
}

static void assign(struct plan *plan, const size_t *order, bool mixed)
{
	for (size_t k = 0; k < plan->group_count; k++) {
		const struct group *group = &plan->groups[order[k]];
		if (group->mixed != mixed)
			continue;
		int part = neediest_part(plan, group);
		for (size_t i = 0; i < group->count; i++) {
			size_t index = plan->members[group->first + i];
			plan->part[index] = (uint8_t)part;
			plan->have[part][plan->pack->labels[index]]++;
		}
	}
}

static bm_status check_classes(const struct plan *plan, bm_error *err)
{
	for (int p = 0; p < plan->parts; p++) {
		for (int c = 0; c < plan->pack->class_count; c++) {
			if (plan->have[p][c] < 1)
				return base_fail(err, BM_ERR_DATA,
						 "%s would have no image of class '%s', as near-copies of it "
						 "stand in other classes; "
						 "look at these, or add images of this class",
						 plan->parts > DATA_PART_COUNT ? "a fold"
						 : p == DATA_TRAIN	       ? "the train part"
						 : p == DATA_VALIDATION	       ? "the validation part"
									       : "the test part",
						 plan->pack->class_names[c]);
		}
	}
	return BM_OK;
}

/* The lists of the parts out of part[count]; with `same_test` the test part repeats the validation part. */
static bm_status make_lists(const uint8_t *part, size_t count, bool same_test, data_split *out, bm_error *err)
{
	data_split split = {0};
	for (size_t i = 0; i < count; i++)
		split.count[part[i]]++;
	if (same_test)
		split.count[DATA_TEST] = split.count[DATA_VALIDATION];
	for (int p = 0; p < DATA_PART_COUNT; p++) {
		split.indices[p] = base_malloc(split.count[p], sizeof *split.indices[p], "the split", err);
		if (!split.indices[p]) {
			data_split_free(&split);
			return BM_ERR_MEMORY;
		}
		size_t n = 0, from = p == DATA_TEST && same_test ? DATA_VALIDATION : (size_t)p;
		for (size_t i = 0; i < count; i++) {
			if (part[i] == from)
				split.indices[p][n++] = i;
		}
	}
	*out = split;
	return BM_OK;
}

/* Deals the groups out: plan->part. shares[plan->parts] sum to 1. */
static bm_status deal(struct plan *plan, const data_near_copies *copies, const double *shares, uint64_t seed,
		      bm_error *err)
{
	size_t *order = NULL;
	bm_status status;
	if (copies && copies->count != plan->pack->count)
		return base_fail(err, BM_ERR_INTERNAL,
				 "near-copies of %zu images with a pack of %zu; please report this", copies->count,
				 plan->pack->count);
	status = collect_groups(plan, copies, err);
	if (status == BM_OK)
		status = check_enough(plan, err);
	if (status != BM_OK)
		return status;
	order = base_malloc(plan->group_count, sizeof *order, "the split", err);
	plan->part = order ? base_calloc(plan->pack->count, sizeof *plan->part, "the split", err) : NULL;
	if (!plan->part) {
		base_free(order);
		return BM_ERR_MEMORY;
	}
	for (size_t i = 0; i < plan->pack->count; i++) {
		for (int p = 0; p < plan->parts; p++)
			plan->target[p][plan->pack->labels[i]] += shares[p];
	}
	for (size_t g = 0; g < plan->group_count; g++)
		order[g] = g;
	base_random random = base_random_make(seed, 0x73706C6974 /* "split" */);
	base_random_shuffle(&random, order, plan->group_count);
	assign(plan, order, true); /* while there is still room to choose from */
	assign(plan, order, false);
	base_free(order);
	return check_classes(plan, err);
}

/* Whole groups of the validation part go over to the training part, until `left` of each class stays. */
static bm_status refit(struct plan *plan, double left, uint64_t seed, bm_error *err)
{
	double target[DATA_CLASSES_MAX] = {0}, have[DATA_CLASSES_MAX] = {0};
	size_t *order = base_malloc(plan->group_count, sizeof *order, "the split", err);
	if (!order)
		return BM_ERR_MEMORY;
	for (size_t g = 0; g < plan->group_count; g++)
		order[g] = g;
	for (size_t i = 0; i < plan->pack->count; i++)
		if (plan->part[i] == DATA_VALIDATION)
			target[plan->pack->labels[i]] += left;
	base_random random = base_random_make(seed, 0x7265666974 /* "refit" */);
	base_random_shuffle(&random, order, plan->group_count);
	for (size_t k = 0; k < plan->group_count; k++) {
		const struct group *group = &plan->groups[order[k]];
		const size_t *members = plan->members + group->first;
		const int c = plan->pack->labels[members[0]];
		if (plan->part[members[0]] != DATA_VALIDATION)
			continue;
		for (size_t i = 0; have[c] >= target[c] && i < group->count; i++)
			plan->part[members[i]] = DATA_TRAIN;
		if (plan->part[members[0]] == DATA_VALIDATION)
			have[c] += (double)group->count;
	}
	base_free(order);
	return BM_OK;
}

static void drop(struct plan *plan)
{
	base_free(plan->groups);
	base_free(plan->members);
	base_free(plan->part);
}

bm_status data_split_make(const data_pack *pack, const data_near_copies *copies, data_split_kind kind, uint64_t seed,
			  data_split *out, bm_error *err)
{
	static const double shares[DATA_SPLIT_COUNT][DATA_PART_COUNT] = {
		[DATA_SPLIT_DEFAULT] = {0.70, 0.15, 0.15},
		[DATA_SPLIT_GUIDE] = {0.80, 0.20, 0},
		[DATA_SPLIT_FINAL] = {0.95, 0.05, 0},
		[DATA_SPLIT_REFIT] = {0.70, 0.15, 0.15}, /* at first */
	};
	struct plan plan = {.pack = pack, .parts = data_split_tests(kind) ? 3 : 2};
	*out = (data_split){0};
	bm_status status = deal(&plan, copies, shares[kind], seed, err);
	if (status == BM_OK && kind == DATA_SPLIT_REFIT)
		status = refit(&plan, 1 / 3.0, seed, err);
	if (status == BM_OK)
		status = make_lists(plan.part, pack->count, !data_split_tests(kind), out, err);
	drop(&plan);
	return status;
}

bm_status data_split_fold(const data_pack *pack, const data_near_copies *copies, int folds, int fold, uint64_t seed,
			  data_split *out, bm_error *err)
{
	struct plan plan = {.pack = pack, .parts = 2 * folds};
	double shares[PARTS_MAX];
	*out = (data_split){0};
	if (folds < 2 || folds > DATA_FOLDS_MAX || fold < 0 || fold >= folds)
		return base_fail(err, BM_ERR_USAGE, "fold %d of %d: 2 to %d folds are possible", fold + 1, folds,
				 DATA_FOLDS_MAX);
	for (int p = 0; p < plan.parts; p++)
		shares[p] = 1.0 / plan.parts;
	bm_status status = deal(&plan, copies, shares, seed, err);
	/* Two halves of the fold test; the half behind them chooses the epoch; the others train. */
	for (size_t i = 0; status == BM_OK && i < pack->count; i++) {
		int half = (plan.part[i] - 2 * fold + plan.parts) % plan.parts;
		plan.part[i] = (uint8_t)(half < 2 ? DATA_TEST : half == 2 ? DATA_VALIDATION : DATA_TRAIN);
	}
	if (status == BM_OK)
		status = make_lists(plan.part, pack->count, false, out, err);
	drop(&plan);
	return status;
}

bm_status data_split_thin(const data_pack *pack, const size_t *groups, double share, uint64_t seed, data_split *split,
			  bm_error *err)
{
	enum { OPEN, KEPT, DROPPED };
	const size_t count = split->count[DATA_TRAIN];
	double target[DATA_CLASSES_MAX] = {0}, have[DATA_CLASSES_MAX] = {0};
	if (!(share > 0 && share <= 1))
		return base_fail(err, BM_ERR_USAGE, "a share of %g of the training images: above 0, up to 1", share);
	size_t *train = split->indices[DATA_TRAIN];
	size_t *order = base_malloc(count, sizeof *order, "the split", err);
	size_t *size = base_calloc(pack->count, sizeof *size, "the split", err);  /* of a group */
	uint8_t *fate = base_calloc(pack->count, sizeof *fate, "the split", err); /* of a group */
	bm_status status = order && size && fate ? BM_OK : BM_ERR_MEMORY;
	if (status == BM_OK) {
		memcpy(order, train, count * sizeof *order);
		base_random random = base_random_make(seed, 0x7368617265 /* "share" */);
		base_random_shuffle(&random, order, count);
		for (size_t i = 0; i < count; i++) {
			size[groups[train[i]]]++;
			target[pack->labels[train[i]]] += share;
		}
		for (size_t i = 0; i < count; i++) {
			const size_t g = groups[order[i]];
			const int c = pack->labels[order[i]];
			if (fate[g] != OPEN)
				continue;
			fate[g] = have[c] < target[c] ? KEPT : DROPPED;
			if (fate[g] == KEPT)
				have[c] += (double)size[g];
		}
		size_t kept = 0;
		for (size_t i = 0; i < count; i++)
			if (fate[groups[train[i]]] == KEPT)
				train[kept++] = train[i];
		split->count[DATA_TRAIN] = kept;
	}
	base_free(order);
	base_free(size);
	base_free(fate);
	return status;
}

void data_split_free(data_split *split)
{
	for (int p = 0; p < DATA_PART_COUNT; p++)
		base_free(split->indices[p]);
	*split = (data_split){0};
}

/* ---- split.csv ---- */

bm_status data_split_write(const data_split *split, const data_near_copies *copies, const char *path, bm_error *err)
{
	base_text text = {0};
	size_t at[DATA_PART_COUNT] = {0};
	bm_status status;
	base_text_add(&text, "%s\n", columns);
	/* Rows by index: the lists are ascending. */
	for (;;) {
		int part = -1;
		for (int p = 0; p < DATA_PART_COUNT; p++) {
			if (at[p] < split->count[p] &&
			    (part < 0 || split->indices[p][at[p]] < split->indices[part][at[part]]))
				part = p;
		}
		if (part < 0)
			break;
		size_t index = split->indices[part][at[part]++];
		base_text_add(&text, "%zu,%s,%zu\n", index, part_names[part],
			      copies && index < copies->count ? copies->group[index] : index);
	}
	if (text.failed)
		status = base_fail(err, BM_ERR_MEMORY, "cannot write '%s': no memory", path);
	else
		status = base_file_write(path, text.data, text.length, err);
	base_text_free(&text);
	return status;
}

static bool parse_index(const char *text, size_t limit, size_t *index)
{
	char *end;
	if (*text < '0' || *text > '9' || strlen(text) > 18)
		return false;
	*index = (size_t)strtoull(text, &end, 10);
	return *end == '\0' && *index < limit;
}

/* seen[i]: one bit for each part that image i is in. groups: NULL when not wanted. */
static bm_status read_rows(data_csv *csv, uint8_t *seen, size_t *groups, size_t pack_count, bm_error *err)
{
	char *fields[3];
	for (size_t row = 0;; row++) {
		size_t index = 0, group = 0;
		int part = 0, count = data_csv_row(csv, fields, 3);
		if (count == 0)
			return BM_OK;
		if (count != 3)
			return base_fail(err, BM_ERR_FORMAT, "row %zu is broken", row);
		if (!parse_index(fields[0], pack_count, &index) || !parse_index(fields[2], pack_count, &group))
			return base_fail(err, BM_ERR_FORMAT, "row %zu has no image of this pack", row);
		while (part < DATA_PART_COUNT && strcmp(fields[1], part_names[part]) != 0)
			part++;
		if (part == DATA_PART_COUNT)
			return base_fail(err, BM_ERR_FORMAT, "row %zu has part '%.40s', not train, validation or test",
					 row, fields[1]);
		if (seen[index] & (1u << part))
			return base_fail(err, BM_ERR_FORMAT, "image %zu is named twice", index);
		seen[index] |= (uint8_t)(1u << part);
		if (groups)
			groups[index] = group;
	}
}

/* Each image in one part; or test and validation the same throughout (data_split_tests). Turns bits into part
 * numbers. */
static bm_status check_parts(uint8_t *seen, size_t count, bool *same_test, bm_error *err)
{
	const unsigned train = 1u << DATA_TRAIN, validation = 1u << DATA_VALIDATION, test = 1u << DATA_TEST;
	bool single = false, both = false;
	for (size_t i = 0; i < count; i++) {
		if (seen[i] == 0)
			return base_fail(err, BM_ERR_FORMAT, "image %zu is in no part", i);
		if (seen[i] == (validation | test))
			both = true;
		else if (seen[i] == validation || seen[i] == test)
			single = true;
		else if (seen[i] != train)
			return base_fail(err, BM_ERR_FORMAT, "image %zu is in the train part and in another", i);
		seen[i] = seen[i] & train ? DATA_TRAIN : seen[i] & validation ? DATA_VALIDATION : DATA_TEST;
	}
	if (single && both)
		return base_fail(err, BM_ERR_FORMAT, "the validation and test parts overlap");
	*same_test = both;
	return BM_OK;
}

/* out or groups may be NULL. */
static bm_status read_split(const char *path, size_t pack_count, data_split *out, size_t *groups, bm_error *err)
{
	uint8_t *bytes = NULL, *seen = NULL;
	size_t size = 0, title = strlen(columns);
	bool same_test = false;
	char *fields[3];
	bm_status status = base_file_read(path, (size_t)1 << 30, &bytes, &size, err);
	if (status != BM_OK)
		return status;
	seen = base_calloc(pack_count, 1, "the split", err);
	if (!seen) {
		status = BM_ERR_MEMORY;
		goto end;
	}
	data_csv csv = {.at = (char *)bytes, .end = (char *)bytes + size};
	if (size <= title || memcmp(bytes, columns, title) != 0 || data_csv_row(&csv, fields, 3) != 3)
		status = base_fail(err, BM_ERR_FORMAT, "it does not begin with '%s'", columns);
	else
		status = read_rows(&csv, seen, groups, pack_count, err);
	if (status == BM_OK)
		status = check_parts(seen, pack_count, &same_test, err);
	if (status == BM_OK && out)
		status = make_lists(seen, pack_count, same_test, out, err);
end:
	if (status == BM_ERR_FORMAT && err)
		base_fail(err, status, "cannot use '%s': %s; delete it and make the split again", path, err->message);
	base_free(seen);
	base_free(bytes);
	return status;
}

bm_status data_split_read(const char *path, size_t pack_count, data_split *out, bm_error *err)
{
	*out = (data_split){0};
	return read_split(path, pack_count, out, NULL, err);
}

bm_status data_split_read_groups(const char *path, size_t pack_count, size_t *groups, bm_error *err)
{
	return read_split(path, pack_count, NULL, groups, err);
}
