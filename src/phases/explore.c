/* Phase 4: eight samples, and what kinds of files there are. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/memory.h"
#include "phases/phases.h"
#include "report/figures.h"
#include "report/tables.h"

enum { SAMPLES = 8, SAMPLE_SIDE = 224, DIMENSIONS_SHOWN = 5, KINDS_MAX = 16 };

/* Two of each class when there are four: evenly over the classes, evenly spread inside each. */
static size_t sample_index(const data_set *set, int sample)
{
	size_t counts[DATA_CLASSES_MAX], seen = 0;
	data_set_counts(set, counts);
	int label = sample * set->class_count / SAMPLES, first = sample, of_class = 0;
	if (set->class_count > SAMPLES)
		label = sample;
	while (first > 0 && (first - 1) * set->class_count / SAMPLES == label && set->class_count <= SAMPLES)
		first--;
	of_class = sample - first;
	size_t wanted = counts[label] * (size_t)(2 * of_class + 1) / (2 * SAMPLES) % counts[label];
	for (size_t i = 0; i < set->count; i++)
		if (set->items[i].label == label && seen++ == wanted)
			return i;
	return 0;
}

static bm_status samples(phase_context *c, bm_error *err)
{
	report_tile tiles[SAMPLES] = {{0}};
	const char *names[SAMPLES];
	json_t *list = json_array();
	bm_status status = BM_OK;
	uint8_t *pixels = base_malloc(SAMPLES, (size_t)SAMPLE_SIDE * SAMPLE_SIDE, "the samples", err);
	if (!pixels) {
		json_decref(list);
		return BM_ERR_MEMORY;
	}
	for (int i = 0; i < SAMPLES && status == BM_OK; i++) {
		const data_item *item = &c->set.items[sample_index(&c->set, i)];
		uint8_t *bytes = NULL, *at = pixels + (size_t)i * SAMPLE_SIDE * SAMPLE_SIDE;
		size_t size = 0;
		status = storage_read(c->store, item->path, IMAGE_FILE_LIMIT, &bytes, &size, err);
		if (status != BM_OK && storage_is_outage(c->store, status))
			break;
		if (status == BM_OK)
			status = engine_preprocess_bytes(bytes, size, SAMPLE_SIDE, at, err);
		base_free(bytes);
		if (status == BM_ERR_FORMAT || status == BM_ERR_IO || status == BM_ERR_NOT_FOUND ||
		    status == BM_ERR_LIMIT) {
			/* damaged behind its header: phase 6 will leave it out; the tile stays black */
			base_warning(&c->observer, "the sample '%s' cannot be shown: %s", item->path,
				     err ? err->message : "");
			memset(at, 0, (size_t)SAMPLE_SIDE * SAMPLE_SIDE);
			status = BM_OK;
		}
		names[i] = c->set.class_names[item->label];
		tiles[i] = (report_tile){.pixels = at, .side = SAMPLE_SIDE};
		snprintf(tiles[i].caption[0], sizeof tiles[i].caption[0], "%s", names[i]);
		json_array_append_new(list, phase_json_text(item->path));
	}
	phase_put(c, NULL, "samples", list);
	if (status == BM_OK)
		phase_say(c, "✓ Loaded %d sample images", SAMPLES);
	if (status == BM_OK && c->folder)
		status = phase_figure(c, report_figure_samples(c->figures, tiles, names, err), "samples", err);
	base_free(pixels);
	return status;
}

typedef struct dimension {
	int width, height;
	size_t count;
} dimension;

static int by_size(const void *a, const void *b)
{
	const dimension *x = a, *y = b;
	if (x->width != y->width)
		return x->width < y->width ? -1 : 1;
	return (x->height > y->height) - (x->height < y->height);
}

static int by_count(const void *a, const void *b)
{
	const dimension *x = a, *y = b;
	if (x->count != y->count)
		return x->count > y->count ? -1 : 1;
	return by_size(a, b);
}

static bm_status dimensions(phase_context *c, base_text *text, bm_error *err)
{
	size_t kinds = 0, shown = 0, total = c->set.count;
	json_t *list = json_array();
	report_line lines[DIMENSIONS_SHOWN + 1];
	char names[DIMENSIONS_SHOWN + 1][48], values[DIMENSIONS_SHOWN + 1][64];
	dimension *all = base_calloc(total, sizeof *all, "the image sizes", err);
	if (!all) {
		json_decref(list);
		return BM_ERR_MEMORY;
	}
	for (size_t i = 0; i < total; i++)
		all[i] = (dimension){c->set.items[i].info.width, c->set.items[i].info.height, 1};
	qsort(all, total, sizeof *all, by_size);
	for (size_t i = 0; i < total; i++) {
		if (kinds > 0 && by_size(&all[kinds - 1], &all[i]) == 0)
			all[kinds - 1].count++;
		else
			all[kinds++] = all[i];
	}
	qsort(all, kinds, sizeof *all, by_count);
	size_t rest = total;
	for (size_t i = 0; i < kinds; i++)
		json_array_append_new(list, json_pack("{s:i, s:i, s:I}", "width", all[i].width, "height", all[i].height,
						      "images", (json_int_t)all[i].count));
	for (size_t i = 0; i < kinds && i < DIMENSIONS_SHOWN; i++, shown++) {
		snprintf(names[i], sizeof names[i], "(%d, %d)", all[i].width, all[i].height);
		snprintf(values[i], sizeof values[i], "%zu images (%.1f%%)", all[i].count,
			 100.0 * (double)all[i].count / (double)total);
		rest -= all[i].count;
	}
	if (rest > 0) {
		snprintf(names[shown], sizeof names[shown], "(Other)");
		snprintf(values[shown], sizeof values[shown], "%zu images (%.1f%%) of %zu sizes", rest,
			 100.0 * (double)rest / (double)total, kinds - shown);
		shown++;
	}
	for (size_t i = 0; i < shown; i++)
		lines[i] = (report_line){names[i], values[i]};
	base_text_add(text, "\nImage Analysis:\n\nDimension Distribution (width, height):\n");
	report_tree(text, lines, shown);
	phase_put(c, NULL, "dimensions", list);
	base_free(all);
	return BM_OK;
}

/* Counts of a few different words, in the order of their first appearance. */
typedef struct tally {
	char words[KINDS_MAX][16];
	size_t counts[KINDS_MAX];
	int kinds;
} tally;

static void tally_add(tally *t, const char *word)
{
	int i = 0;
	while (i < t->kinds && strcmp(t->words[i], word) != 0)
		i++;
	if (i == KINDS_MAX)
		return;
	if (i == t->kinds) {
		snprintf(t->words[i], sizeof t->words[i], "%s", word);
		t->kinds++;
	}
	t->counts[i]++;
}

/* "JPEG 5,707, PNG 5"; with one kind only its name. */
static void tally_text(phase_context *c, const tally *t, const char *key, char *buffer, size_t size)
{
	json_t *json = json_object();
	size_t used = 0;
	char number[32];
	buffer[0] = '\0';
	for (int i = 0; i < t->kinds; i++) {
		phase_put_int(c, json, t->words[i], (long long)t->counts[i]);
		int length = snprintf(buffer + used, size - used, "%s%s%s%s", i ? ", " : "", t->words[i],
				      t->kinds > 1 ? " " : "",
				      t->kinds > 1 ? base_format_count((long long)t->counts[i], number) : "");
		if (length > 0 && used + (size_t)length < size)
			used += (size_t)length;
	}
	phase_put(c, NULL, key, json);
}

static bool misnamed(const data_item *item)
{
	const char *dot = strrchr(item->path, '.');
	bool png = dot && strcasecmp(dot, ".png") == 0;
	bool jpeg = dot && (strcasecmp(dot, ".jpg") == 0 || strcasecmp(dot, ".jpeg") == 0);
	return (png && item->info.format != IMAGE_PNG) || (jpeg && item->info.format != IMAGE_JPEG);
}

static void properties(phase_context *c, base_text *text)
{
	tally formats = {0}, modes = {0}, depths = {0};
	size_t wrong = 0;
	char format[512], mode[512], depth[512];
	for (size_t i = 0; i < c->set.count; i++) {
		const data_item *item = &c->set.items[i];
		char bits[16];
		snprintf(bits, sizeof bits, "%d-bit", item->info.bit_depth);
		tally_add(&formats, image_format_name(item->info.format));
		tally_add(&modes, item->info.mode);
		tally_add(&depths, bits);
		wrong += misnamed(item);
	}
	tally_text(c, &formats, "formats", format, sizeof format);
	tally_text(c, &modes, "modes", mode, sizeof mode);
	tally_text(c, &depths, "bit_depths", depth, sizeof depth);
	phase_put_int(c, NULL, "misnamed", (long long)wrong);
	if (wrong > 0)
		snprintf(format + strlen(format), sizeof format - strlen(format), " (by content; %zu named otherwise)",
			 wrong);
	snprintf(mode + strlen(mode), sizeof mode - strlen(mode), " (will convert to grayscale)");
	base_text_add(text, "\nImage Properties:\n");
	report_tree(text, (report_line[]){{"Format", format}, {"Mode", mode}, {"Bit Depth", depth}}, 3);
	base_text_add(text, "\nNote: All images will be resized to %dx%d; the model takes %dx%d\n", DATA_PACK_SIDE,
		      DATA_PACK_SIDE, c->config.image_size, c->config.image_size);
}

bm_status phase_explore(phase_context *c, bm_error *err)
{
	base_text text = {0};
	bm_status status = phase_need_set(c, err);
	if (status == BM_OK)
		status = phase_need_storage(c, err);
	if (status != BM_OK)
		return status;
	report_heading(&text, "PHASE 4: DATA EXPLORATION");
	base_text_add(&text, "\nLoading sample images%s...\n", storage_remote(c->store) ? " from HDFS" : "");
	status = phase_print(c, &text, err);
	if (status == BM_OK)
		status = samples(c, err);
	if (status == BM_OK)
		status = dimensions(c, &text, err);
	if (status != BM_OK) {
		base_text_free(&text);
		return status;
	}
	properties(c, &text);
	return phase_print(c, &text, err);
}
