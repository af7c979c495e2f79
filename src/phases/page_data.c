#include "phases/page_data.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "data/csv.h"
#include "report/markup.h"
#include "report/tables.h"

enum { SAMPLES_MOST = 16, GROUPS_SHOWN = 6, MEMBERS_SHOWN = 12, LEFT_OUT_SHOWN = 200, FIXED_COLUMNS = 4 };

static const uint8_t *pixels_of(const data_pack *pack, size_t index)
{
	return pack->images + index * (size_t)pack->side * (size_t)pack->side;
}

/* ---- predictions ---- */

void phase_page_predictions_free(page_predictions *p)
{
	base_free(p->items);
	base_free(p->probabilities);
	base_free(p->csv);
	*p = (page_predictions){0};
}

static int class_number(const data_pack *pack, const char *name)
{
	for (int k = 0; k < pack->class_count; k++)
		if (strcmp(pack->class_names[k], name) == 0)
			return k;
	return -1;
}

/* Row i of the file is test image i of the split. */
static bool take_row(const phase_context *c, char **fields, size_t i, page_predictions *out)
{
	const data_pack *pack = &c->pack;
	size_t index = c->split.indices[DATA_TEST][i];
	float *p = out->probabilities + i * (size_t)pack->class_count;
	report_prediction *item = &out->items[i];
	*item = (report_prediction){.path = fields[0],
				    .actual = class_number(pack, fields[1]),
				    .predicted = class_number(pack, fields[2]),
				    .probabilities = p,
				    .pixels = pixels_of(pack, index)};
	for (int k = 0; k < pack->class_count; k++) {
		char *end;
		p[k] = strtof(fields[FIXED_COLUMNS + k], &end);
		if (end == fields[FIXED_COLUMNS + k] || !(p[k] >= 0 && p[k] <= 1))
			return false;
	}
	return item->actual >= 0 && item->predicted >= 0 && strcmp(fields[0], pack->sources[index]) == 0;
}

bm_status phase_page_predictions(const phase_context *c, page_predictions *out, bm_error *err)
{
	char *fields[FIXED_COLUMNS + DATA_CLASSES_MAX + 1];
	size_t size = 0, count = c->split.count[DATA_TEST], rows = 0;
	int columns = FIXED_COLUMNS + c->pack.class_count, found;
	*out = (page_predictions){0};
	char *path = phase_path(c, "predictions.csv", err);
	bm_status status = path ? base_file_read(path, (size_t)1 << 30, &out->csv, &size, err) : BM_ERR_MEMORY;
	base_free(path);
	if (status != BM_OK)
		return status;
	out->items = base_calloc(count, sizeof *out->items, "the predictions", err);
	out->probabilities =
		base_calloc(count * (size_t)c->pack.class_count, sizeof *out->probabilities, "the predictions", err);
	if (!out->items || !out->probabilities) {
		phase_page_predictions_free(out);
		return BM_ERR_MEMORY;
	}
	data_csv csv = {.at = (char *)out->csv, .end = (char *)out->csv + size};
	bool good = data_csv_row(&csv, fields, columns + 1) >= columns; /* the columns' names */
	while (good && (found = data_csv_row(&csv, fields, columns + 1)) != 0) {
		good = found >= columns && rows < count && take_row(c, fields, rows, out);
		rows++;
	}
	if (!good || rows != count) {
		phase_page_predictions_free(out);
		return base_fail(err, BM_ERR_FORMAT,
				 "'%s/predictions.csv' does not belong to the split; run 'brainmri evaluate %s' again",
				 c->folder, c->folder);
	}
	out->view = (report_predictions){.items = out->items,
					 .count = count,
					 .names = (const char *const *)c->pack.class_names,
					 .classes = c->pack.class_count,
					 .side = c->pack.side};
	return BM_OK;
}

/* ---- samples ---- */

/* "samples" of phases/NN-name.json, or NULL. *json: json_decref. */
static json_t *samples_of(const phase_context *c, const char *file, json_t **json)
{
	*json = NULL;
	char *path = phase_path(c, file, NULL);
	if (path && base_is_file(path) && phase_json_read(path, json, NULL) != BM_OK)
		*json = NULL;
	base_free(path);
	return json_object_get(json_object_get(*json, "result"), "samples");
}

bm_status phase_page_samples(const phase_context *c, base_text *html, bm_error *err)
{
	report_picture pictures[SAMPLES_MOST] = {{0}};
	char titles[SAMPLES_MOST][64];
	size_t count = 0, i;
	json_t *json, *value, *list = samples_of(c, "phases/04-explore.json", &json);
	json_array_foreach(list, i, value)
	{
		const char *path = json_string_value(value);
		for (size_t k = 0; path && count < SAMPLES_MOST && k < c->pack.count; k++)
			if (strcmp(c->pack.sources[k], path) == 0) {
				report_class_title(c->pack.class_names[c->pack.labels[k]], titles[count]);
				pictures[count] = (report_picture){path, titles[count], pixels_of(&c->pack, k)};
				count++;
			}
	}
	bm_status status = count ? report_gallery_pictures(html, pictures, count, c->pack.side, err) : BM_OK;
	json_decref(json);
	return status;
}

bm_status phase_page_predicted(const phase_context *c, const page_predictions *p, base_text *html, bm_error *err)
{
	size_t chosen[SAMPLES_MOST], count = 0, i;
	json_t *json, *value, *list = samples_of(c, "phases/09-evaluate.json", &json);
	json_array_foreach(list, i, value)
	{
		const char *path = json_string_value(json_object_get(value, "path"));
		for (size_t k = 0; path && count < SAMPLES_MOST && k < p->view.count; k++)
			if (strcmp(p->items[k].path, path) == 0)
				chosen[count++] = k;
	}
	json_decref(json);
	return count ? report_gallery_samples(html, &p->view, chosen, count, err) : BM_OK;
}

/* ---- split and near-copies ---- */

static void part_table(const phase_context *c, base_text *html)
{
	static const char *const titles[] = {"Train", "Validation", "Test"};
	char title[64];
	base_text_add(html,
		      "<h3>The split</h3>\n<div class=\"scroll\">\n<table>\n<thead>\n<tr><th scope=\"col\">Class</th>");
	for (int part = 0; part < DATA_PART_COUNT; part++)
		base_text_add(html, "<th scope=\"col\" class=\"number\">%s</th>", titles[part]);
	base_text_add(html, "</tr>\n</thead>\n<tbody>\n");
	for (int k = 0; k <= c->pack.class_count; k++) {
		bool sum = k == c->pack.class_count;
		report_add_element(html, "<tr><th scope=\"row\">",
				   sum ? "All" : report_class_title(c->pack.class_names[k], title), "</th>");
		for (int part = 0; part < DATA_PART_COUNT; part++) {
			size_t count = 0;
			for (size_t i = 0; i < c->split.count[part]; i++)
				count += sum || c->pack.labels[c->split.indices[part][i]] == k;
			base_text_add(html, "<td class=\"number\">%zu</td>", count);
		}
		base_text_add(html, "</tr>\n");
	}
	base_text_add(html,
		      "</tbody>\n</table>\n</div>\n<p class=\"note\">Drawn with seed %llu, each class in the same "
		      "shares",
		      (unsigned long long)run_config_split_seed(&c->config));
	if (!data_split_tests(c->config.split))
		base_text_add(html, "; validation and test are the same images (--split %s)",
			      run_config_split_name(c->config.split));
	base_text_add(html, ".</p>\n");
}

static void left_out(const phase_context *c, base_text *html)
{
	base_text_add(html, "<h3>Files that cannot be read</h3>\n");
	if (c->set.rejected_count == 0) {
		base_text_add(html, "<p>None.</p>\n");
		return;
	}
	base_text_add(html, "<div class=\"scroll\">\n<table>\n<thead>\n<tr><th scope=\"col\">File</th><th "
			    "scope=\"col\">Why it was left "
			    "out</th></tr>\n</thead>\n<tbody>\n");
	for (size_t i = 0; i < c->set.rejected_count && i < LEFT_OUT_SHOWN; i++) {
		report_add_element(html, "<tr><td class=\"path\">", c->set.rejected[i].path, "</td>");
		report_add_element(html, "<td>", c->set.rejected[i].reason, "</td></tr>");
	}
	base_text_add(html, "</tbody>\n</table>\n</div>\n");
	if (c->set.rejected_count > LEFT_OUT_SHOWN)
		base_text_add(html, "<p class=\"note\">The first %d of %zu; data.json lists all.</p>\n", LEFT_OUT_SHOWN,
			      c->set.rejected_count);
}

typedef struct group {
	size_t number, count;
} group;

static int by_count(const void *a, const void *b)
{
	const group *x = a, *y = b;
	return x->count != y->count ? (x->count < y->count) - (x->count > y->count)
				    : (x->number > y->number) - (x->number < y->number);
}

/* groups[i]: the group of image i, its third column. */
static bm_status read_groups(const phase_context *c, size_t *groups, bm_error *err)
{
	uint8_t *bytes = NULL;
	size_t size = 0, rows = 0;
	char *fields[3];
	char *path = phase_path(c, "split.csv", err);
	bm_status status = path ? base_file_read(path, (size_t)1 << 30, &bytes, &size, err) : BM_ERR_MEMORY;
	base_free(path);
	if (status != BM_OK)
		return status;
	data_csv csv = {.at = (char *)bytes, .end = (char *)bytes + size};
	data_csv_row(&csv, fields, 3);
	for (; data_csv_row(&csv, fields, 3) == 3; rows++) {
		size_t index = strtoul(fields[0], NULL, 10), number = strtoul(fields[2], NULL, 10);
		if (index < c->pack.count && number < c->pack.count)
			groups[index] = number;
	}
	base_free(bytes);
	return BM_OK;
}

static bm_status show_group(const phase_context *c, const size_t *groups, const group *g, const char *part,
			    base_text *html, bm_error *err)
{
	report_picture pictures[MEMBERS_SHOWN] = {{0}};
	size_t count = 0;
	char title[64];
	for (size_t i = g->number; i < c->pack.count && count < MEMBERS_SHOWN; i++)
		if (groups[i] == g->number)
			pictures[count++] = (report_picture){c->pack.sources[i], NULL, pixels_of(&c->pack, i)};
	base_text_add(html, "<p class=\"note\">%zu images of ", g->count);
	report_add_escaped(html, report_class_title(c->pack.class_names[c->pack.labels[g->number]], title));
	base_text_add(html, ", all in the %s part%s</p>\n", part, g->count > MEMBERS_SHOWN ? " (the first 12)" : "");
	return report_gallery_strip(html, pictures, count, c->pack.side, err);
}

static const char *part_of(const phase_context *c, size_t index)
{
	for (int part = DATA_PART_COUNT - 1; part >= 0; part--)
		for (size_t i = 0; i < c->split.count[part]; i++)
			if (c->split.indices[part][i] == index)
				return data_part_name((data_part)part);
	return "";
}

static bm_status near_copies(const phase_context *c, base_text *html, bm_error *err)
{
	size_t *groups = base_calloc(c->pack.count, sizeof *groups, "the near-copies", err);
	group *all = base_calloc(c->pack.count, sizeof *all, "the near-copies", err);
	size_t more = 0, images = 0;
	bm_status status = groups && all ? BM_OK : BM_ERR_MEMORY;
	for (size_t i = 0; status == BM_OK && i < c->pack.count; i++) {
		groups[i] = i;
		all[i].number = i;
	}
	if (status == BM_OK)
		status = read_groups(c, groups, err);
	if (status != BM_OK)
		goto done;
	for (size_t i = 0; i < c->pack.count; i++)
		all[groups[i]].count++;
	qsort(all, c->pack.count, sizeof *all, by_count);
	while (more < c->pack.count && all[more].count > 1)
		images += all[more++].count;
	base_text_add(html, "<h3>Near-copies</h3>\n");
	if (more == 0) {
		base_text_add(html, "<p>None.</p>\n");
		goto done;
	}
	base_text_add(html,
		      "<p>%zu of %zu images have a near-copy (correlation above 0.99): %zu groups, each whole in one "
		      "part of the "
		      "split, so that no copy of a test image is trained on. The largest:</p>\n",
		      images, c->pack.count, more);
	for (size_t i = 0; i < more && i < GROUPS_SHOWN && status == BM_OK; i++)
		status = show_group(c, groups, &all[i], part_of(c, all[i].number), html, err);
done:
	base_free(groups);
	base_free(all);
	return status;
}

bm_status phase_page_split(phase_context *c, base_text *html, bm_error *err)
{
	bm_status status = phase_need_set(c, err);
	if (status != BM_OK)
		return status;
	part_table(c, html);
	left_out(c, html);
	return near_copies(c, html, err);
}
