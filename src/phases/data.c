/* Phase 3: the data set found, listed and looked at file by file. */
#include "base/memory.h"
#include "phases/phases.h"
#include "report/tables.h"

static void list_classes(phase_context *c, base_text *text, const size_t *counts)
{
	json_t *classes = json_object();
	char total[32], bytes[32];
	uint64_t size = 0;
	for (size_t i = 0; i < c->set.count; i++)
		size += c->set.items[i].size;
	base_text_add(text, "\nClass Directories:\n");
	for (int k = 0; k < c->set.class_count; k++) {
		base_text_add(text, "✓ %s: %zu image%s\n", c->set.class_names[k], counts[k], counts[k] == 1 ? "" : "s");
		phase_put_int(c, classes, c->set.class_names[k], (long long)counts[k]);
	}
	base_text_add(text, "\nTotal: %s images\n", base_format_count((long long)c->set.count, total));
	base_text_add(text, "Total size: %s\n", base_format_bytes((double)size, bytes));
	phase_put(c, NULL, "classes", classes);
	phase_put_int(c, NULL, "images", (long long)c->set.count);
	phase_put_int(c, NULL, "bytes", (long long)size);
}

static void list_rejected(phase_context *c, base_text *text)
{
	enum { SHOWN = 20 };
	json_t *list = json_array();
	size_t count = c->set.rejected_count;
	if (count > 0)
		base_text_add(text, "\nLeft out, because they cannot be read: %zu file%s\n", count,
			      count == 1 ? "" : "s");
	for (size_t i = 0; i < count; i++) {
		const data_rejected *r = &c->set.rejected[i];
		json_array_append_new(list, json_pack("{s:o, s:o}", "path", phase_json_text(r->path), "reason",
						      phase_json_text(r->reason)));
		if (i < SHOWN)
			base_text_add(text, "✗ %s: %s\n", r->path, r->reason);
	}
	if (count > SHOWN)
		base_text_add(text, "  ... and %zu more, all in data.json\n", count - SHOWN);
	phase_put(c, NULL, "rejected", list);
}

bm_status phase_data(phase_context *c, bm_error *err)
{
	base_text text = {0};
	size_t counts[DATA_CLASSES_MAX];
	char hash[33];
	bm_status status = phase_need_storage(c, err);
	if (status != BM_OK)
		return status;
	bool hdfs = storage_remote(c->store);
	report_heading(&text, hdfs ? "PHASE 3: HDFS DATA MANAGEMENT" : "PHASE 3: DATA MANAGEMENT");
	base_text_add(&text, "\nChecking %sfor existing data...\n", hdfs ? "HDFS " : "");
	status = phase_print(c, &text, err);
	if (status != BM_OK)
		return status;
	data_set_free(&c->set);
	c->have_set = false;
	status = data_scan(c->store, c->threads, c->config.strict, &c->observer, &c->set, err);
	if (status != BM_OK)
		return status;
	c->have_set = true;
	data_set_counts(&c->set, counts);
	base_hash_text(c->set.hash, hash);
	base_text_add(&text, "✓ Data found at: %s\n", storage_url(c->store));
	phase_put_text(c, NULL, "data", storage_url(c->store));
	phase_put_text(c, NULL, "hash", hash);
	list_classes(c, &text, counts);
	list_rejected(c, &text);
	status = phase_print(c, &text, err);
	if (status != BM_OK || !c->folder)
		return status;
	char *path = phase_path(c, "data.json", err);
	if (!path)
		return BM_ERR_MEMORY;
	status = phase_listing_write(&c->set, path, err);
	base_free(path);
	return status;
}
