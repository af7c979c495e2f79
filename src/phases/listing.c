/* data.json: the listing of phase 3, so that a later command need not read every file again. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "phases/context.h"

json_t *phase_json_text(const char *text)
{
	json_t *json = json_string(text);
	char *copy = json ? NULL : base_strdup(text, NULL);
	if (copy) {
		base_tidy(copy);
		json = json_string(copy);
	}
	base_free(copy);
	return json;
}

static json_t *item_to_json(const data_item *item)
{
	char hash[33];
	base_hash_text(item->hash, hash);
	return json_pack("{s:s, s:i, s:I, s:s, s:i, s:i, s:i, s:s, s:b, s:i, s:s}", "path", item->path, "label",
			 item->label, "size", (json_int_t)item->size, "format", image_format_name(item->info.format),
			 "width", item->info.width, "height", item->info.height, "bit_depth", item->info.bit_depth,
			 "mode", item->info.mode, "progressive", (int)item->info.progressive, "orientation",
			 item->info.orientation, "hash", hash);
}

bm_status phase_listing_write(const data_set *set, const char *path, bm_error *err)
{
	char hash[33];
	bm_status status = BM_ERR_MEMORY;
	base_hash_text(set->hash, hash);
	json_t *classes = json_array(), *images = json_array(), *rejected = json_array(), *json = NULL;
	bool good = classes && images && rejected;
	for (int i = 0; good && i < set->class_count; i++)
		good = json_array_append_new(classes, json_string(set->class_names[i])) == 0;
	/* A name that is not UTF-8 cannot stand in JSON; of an image it must, to find it again. */
	for (size_t i = 0; good && i < set->count; i++)
		if (json_array_append_new(images, item_to_json(&set->items[i])) != 0) {
			status = base_fail(err, BM_ERR_DATA, "cannot list '%s': its name is not UTF-8; rename it",
					   set->items[i].path);
			goto done;
		}
	for (size_t i = 0; good && i < set->rejected_count; i++)
		good = json_array_append_new(rejected,
					     json_pack("{s:o, s:o}", "path", phase_json_text(set->rejected[i].path),
						       "reason", phase_json_text(set->rejected[i].reason))) == 0;
	if (good)
		json = json_pack("{s:s, s:s, s:O, s:O, s:O}", "root", set->root, "hash", hash, "classes", classes,
				 "rejected", rejected, "images", images);
	status = json ? phase_json_write(json, path, err) : base_fail(err, BM_ERR_MEMORY, "no memory for '%s'", path);
done:
	json_decref(json);
	json_decref(classes);
	json_decref(images);
	json_decref(rejected);
	return status;
}

static image_format format_of(const char *name)
{
	for (image_format f = IMAGE_JPEG; f <= IMAGE_PNG; f++)
		if (strcmp(image_format_name(f), name) == 0)
			return f;
	return IMAGE_UNKNOWN;
}

static bm_status item_from_json(json_t *json, int classes, data_item *item, const char *path, bm_error *err)
{
	const char *name, *format, *mode, *hash;
	json_int_t size;
	int progressive;
	if (json_unpack(json, "{s:s, s:i, s:I, s:s, s:i, s:i, s:i, s:s, s:b, s:i, s:s}", "path", &name, "label",
			&item->label, "size", &size, "format", &format, "width", &item->info.width, "height",
			&item->info.height, "bit_depth", &item->info.bit_depth, "mode", &mode, "progressive",
			&progressive, "orientation", &item->info.orientation, "hash", &hash) != 0 ||
	    item->label < 0 || item->label >= classes || size < 0 || strlen(mode) >= sizeof item->info.mode ||
	    !base_hash_parse(hash, &item->hash))
		return base_fail(err, BM_ERR_FORMAT, "'%s' is damaged; run 'brainmri explore' again", path);
	item->size = (uint64_t)size;
	item->info.format = format_of(format);
	item->info.progressive = progressive != 0;
	memcpy(item->info.mode, mode, strlen(mode) + 1);
	item->path = base_strdup(name, err);
	return item->path ? BM_OK : BM_ERR_MEMORY;
}

static bm_status fill(json_t *json, data_set *set, const char *path, bm_error *err)
{
	const char *root, *hash, *name, *reason;
	json_t *classes, *images, *rejected, *value;
	size_t i;
	if (json_unpack(json, "{s:s, s:s, s:o, s:o, s:o}", "root", &root, "hash", &hash, "classes", &classes, "images",
			&images, "rejected", &rejected) != 0 ||
	    !base_hash_parse(hash, &set->hash) || json_array_size(classes) < 1 ||
	    json_array_size(classes) > DATA_CLASSES_MAX)
		return base_fail(err, BM_ERR_FORMAT, "'%s' is damaged; run 'brainmri explore' again", path);
	set->root = base_strdup(root, err);
	set->items = base_calloc(json_array_size(images), sizeof *set->items, "the listing", err);
	set->rejected = base_calloc(json_array_size(rejected), sizeof *set->rejected, "the listing", err);
	if (!set->root || !set->items || !set->rejected)
		return BM_ERR_MEMORY;
	json_array_foreach(classes, i, value)
	{
		if (!json_is_string(value))
			return base_fail(err, BM_ERR_FORMAT, "'%s' is damaged; run 'brainmri explore' again", path);
		set->class_names[i] = base_strdup(json_string_value(value), err);
		if (!set->class_names[i])
			return BM_ERR_MEMORY;
		set->class_count++;
	}
	json_array_foreach(images, i, value)
	{
		bm_status status = item_from_json(value, set->class_count, &set->items[i], path, err);
		if (status != BM_OK)
			return status;
		set->count++;
	}
	json_array_foreach(rejected, i, value)
	{
		if (json_unpack(value, "{s:s, s:s}", "path", &name, "reason", &reason) != 0)
			return base_fail(err, BM_ERR_FORMAT, "'%s' is damaged; run 'brainmri explore' again", path);
		set->rejected[i].path = base_strdup(name, err);
		set->rejected[i].reason = base_strdup(reason, err);
		set->rejected_count++;
		if (!set->rejected[i].path || !set->rejected[i].reason)
			return BM_ERR_MEMORY;
	}
	return BM_OK;
}

bm_status phase_listing_read(const char *path, data_set *set, bm_error *err)
{
	json_t *json;
	*set = (data_set){0};
	bm_status status = phase_json_read(path, &json, err);
	if (status != BM_OK)
		return status;
	status = fill(json, set, path, err);
	json_decref(json);
	if (status != BM_OK)
		data_set_free(set);
	return status;
}
