#include "data/pack.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "data/csv.h"
#include "data/pack_format.h"

/* Reading trusts nothing: a pack may be cut, edited or made by someone else. */

enum { COLUMNS = 7 };
static const size_t JSON_LIMIT = (size_t)1 << 20, MANIFEST_LIMIT = (size_t)1 << 30;

struct description {
	size_t count;
	int side, class_count;
	base_hash content, images;
	bool current; /* made with this program's preprocessing */
};

#define REMEDY "; delete the pack's folder and run the preprocessing again"

/* ---- pack.json ---- */

static bool json_hash(const json_t *root, const char *name, base_hash *hash)
{
	const char *text = json_string_value(json_object_get(root, name));
	return text && base_hash_parse(text, hash);
}

static bm_status read_classes(const json_t *classes, data_pack *pack, bm_error *err)
{
	size_t count = json_array_size(classes);
	if (count < 2 || count > DATA_CLASSES_MAX)
		return base_fail(err, BM_ERR_FORMAT, "it names %zu classes, not 2 to %d", count, DATA_CLASSES_MAX);
	for (size_t i = 0; i < count; i++) {
		const char *name = json_string_value(json_array_get(classes, i));
		if (!name || *name == '\0' || strchr(name, '/'))
			return base_fail(err, BM_ERR_FORMAT, "class %zu has no name", i);
		for (size_t j = 0; j < i; j++) {
			if (strcmp(name, pack->class_names[j]) == 0)
				return base_fail(err, BM_ERR_FORMAT, "two classes have the same name");
		}
		pack->class_names[i] = base_strdup(name, err);
		if (!pack->class_names[i])
			return BM_ERR_MEMORY;
		pack->class_count = (int)i + 1;
	}
	return BM_OK;
}

static bm_status read_description(const char *path, data_pack *pack, struct description *d, bm_error *err)
{
	uint8_t *bytes = NULL;
	size_t size = 0;
	json_error_t where;
	bm_status status = base_file_read(path, JSON_LIMIT, &bytes, &size, err);
	if (status != BM_OK)
		return status;
	json_t *root = json_loadb((const char *)bytes, size, JSON_REJECT_DUPLICATES, &where);
	const char *format = json_string_value(json_object_get(root, "format"));
	const char *preprocessing = json_string_value(json_object_get(root, "preprocessing"));
	json_int_t count = json_integer_value(json_object_get(root, "count")),
		   side = json_integer_value(json_object_get(root, "side"));
	if (!root)
		status = base_fail(err, BM_ERR_FORMAT, "it is no JSON: line %d: %s", where.line, where.text);
	else if (!format || strcmp(format, DATA_PACK_FORMAT) != 0)
		status = base_fail(err, BM_ERR_FORMAT, "it does not describe a pack");
	else if (json_integer_value(json_object_get(root, "version")) != DATA_PACK_VERSION)
		status = base_fail(err, BM_ERR_FORMAT, "it is of version %lld, this program reads version %d",
				   (long long)json_integer_value(json_object_get(root, "version")), DATA_PACK_VERSION);
	else if (side < DATA_PACK_SIDE_MIN || side > DATA_PACK_SIDE_MAX)
		status = base_fail(err, BM_ERR_FORMAT, "it has a side of %lld pixels, not %d to %d", (long long)side,
				   DATA_PACK_SIDE_MIN, DATA_PACK_SIDE_MAX);
	else if (count < 1 || count > (1LL << 40) / (side * side))
		status = base_fail(err, BM_ERR_FORMAT, "it counts %lld images", (long long)count);
	else if (!json_hash(root, "content", &d->content) || !json_hash(root, "images", &d->images) || !preprocessing)
		status = base_fail(err, BM_ERR_FORMAT, "a hash is missing or wrong");
	else
		status = read_classes(json_object_get(root, "classes"), pack, err);
	if (status == BM_OK) {
		d->count = (size_t)count;
		d->side = (int)side;
		d->current = strcmp(preprocessing, DATA_PACK_PREPROCESSING) == 0;
	}
	json_decref(root);
	base_free(bytes);
	return status;
}

/* ---- images.npy ---- */

/* The value behind 'key': in a .npy header, which is a Python literal; NULL when there is none. */
static const char *npy_value(const char *header, const char *key)
{
	const char *at = strstr(header, key);
	if (!at)
		return NULL;
	at += strlen(key);
	at += strspn(at, " ");
	if (*at++ != ':')
		return NULL;
	return at + strspn(at, " ");
}

static bool npy_shape(const char *at, size_t expected[3])
{
	if (*at++ != '(')
		return false;
	for (int i = 0; i < 3; i++) {
		char *end;
		at += strspn(at, " ");
		if (*at < '0' || *at > '9')
			return false;
		unsigned long long n = strtoull(at, &end, 10);
		if (n != expected[i])
			return false;
		at = end + strspn(end, " ");
		if (i < 2 && *at++ != ',')
			return false;
	}
	if (*at == ',')
		at++;
	return at[strspn(at, " ")] == ')';
}

static bm_status read_images(const char *path, const struct description *d, data_pack *pack, bm_error *err)
{
	char header[1024];
	bm_status status = base_map_open(&pack->map, path, err);
	if (status != BM_OK)
		return status;
	const uint8_t *bytes = pack->map.bytes;
	if (pack->map.size < 10 || memcmp(bytes, "\x93NUMPY\x01\x00", 8) != 0)
		return base_fail(err, BM_ERR_FORMAT, "it is no NumPy array of format 1.0");
	size_t length = (size_t)bytes[8] | (size_t)bytes[9] << 8, pixels = d->count * (size_t)d->side * (size_t)d->side;
	if (length >= sizeof header || pack->map.size < 10 + length)
		return base_fail(err, BM_ERR_FORMAT, "its header is cut or too long");
	memcpy(header, bytes + 10, length);
	header[length] = '\0';
	const char *type = npy_value(header, "'descr'"), *order = npy_value(header, "'fortran_order'"),
		   *shape = npy_value(header, "'shape'");
	if (!type || (strncmp(type, "'|u1'", 5) != 0 && strncmp(type, "'u1'", 4) != 0))
		return base_fail(err, BM_ERR_FORMAT, "its elements are not 8-bit numbers");
	if (!order || strncmp(order, "False", 5) != 0)
		return base_fail(err, BM_ERR_FORMAT, "its elements are not in C order");
	if (!shape || !npy_shape(shape, (size_t[3]){d->count, (size_t)d->side, (size_t)d->side}))
		return base_fail(err, BM_ERR_FORMAT, "its shape is not (%zu, %d, %d) as pack.json says", d->count,
				 d->side, d->side);
	if (pack->map.size != 10 + length + pixels)
		return base_fail(err, BM_ERR_FORMAT, "it has %zu bytes, not %zu: it was cut or added to",
				 pack->map.size, 10 + length + pixels);
	pack->images = bytes + 10 + length;
	return BM_OK;
}

/* ---- manifest.csv ---- */

static bool number(const char *text, unsigned long long limit, unsigned long long *value)
{
	char *end;
	if (*text < '0' || *text > '9' || strlen(text) > 18)
		return false;
	*value = strtoull(text, &end, 10);
	return *end == '\0' && *value < limit;
}

/* A path below the root that does not leave it. */
static bool below_root(const char *path)
{
	if (*path == '\0' || *path == '/')
		return false;
	for (const char *part = path;;) {
		size_t length = strcspn(part, "/");
		if (length == 2 && part[0] == '.' && part[1] == '.')
			return false;
		if (part[length] == '\0')
			return true;
		part += length + 1;
	}
}

static bm_status read_row(char **fields, size_t i, data_pack *pack, bm_error *err)
{
	unsigned long long index, label, width, height;
	if (!number(fields[0], ~0ull, &index) || index != i)
		return base_fail(err, BM_ERR_FORMAT, "row %zu has index '%.40s'", i, fields[0]);
	if (!number(fields[1], (unsigned long long)pack->class_count, &label))
		return base_fail(err, BM_ERR_FORMAT, "row %zu has label '%.40s', not 0 to %d", i, fields[1],
				 pack->class_count - 1);
	if (strcmp(fields[2], pack->class_names[label]) != 0)
		return base_fail(err, BM_ERR_FORMAT, "row %zu: label %llu is class '%.40s', not '%.40s'", i, label,
				 pack->class_names[label], fields[2]);
	if (!below_root(fields[3]))
		return base_fail(err, BM_ERR_FORMAT, "row %zu has no path below the data set's folder", i);
	if (!base_hash_parse(fields[4], &pack->hashes[i]))
		return base_fail(err, BM_ERR_FORMAT, "row %zu has hash '%.40s'", i, fields[4]);
	if (!number(fields[5], 1u << 30, &width) || !number(fields[6], 1u << 30, &height) || width == 0 || height == 0)
		return base_fail(err, BM_ERR_FORMAT, "row %zu has size '%.20s' x '%.20s'", i, fields[5], fields[6]);
	pack->labels[i] = (int)label;
	pack->sources[i] = base_strdup(fields[3], err);
	return pack->sources[i] ? BM_OK : BM_ERR_MEMORY;
}

static bm_status read_manifest(const char *path, data_pack *pack, bm_error *err)
{
	uint8_t *bytes = NULL;
	size_t size = 0;
	char *fields[COLUMNS];
	bm_status status = base_file_read(path, MANIFEST_LIMIT, &bytes, &size, err);
	if (status != BM_OK)
		return status;
	size_t title = strlen(DATA_PACK_COLUMNS);
	data_csv csv = {.at = (char *)bytes, .end = (char *)bytes + size};
	/* The shortest row, so that a count without rows cannot make the program ask for a terabyte. */
	if (pack->count > size / 2 || size < title + 1 || memcmp(bytes, DATA_PACK_COLUMNS, title) != 0 ||
	    data_csv_row(&csv, fields, COLUMNS) != COLUMNS) {
		status =
			base_fail(err, BM_ERR_FORMAT, "it does not begin with '%s' or is too short", DATA_PACK_COLUMNS);
		goto end;
	}
	pack->labels = base_calloc(pack->count, sizeof *pack->labels, "labels", err);
	pack->sources = pack->labels ? base_calloc(pack->count, sizeof *pack->sources, "sources", err) : NULL;
	pack->hashes = pack->sources ? base_calloc(pack->count, sizeof *pack->hashes, "hashes", err) : NULL;
	if (!pack->hashes) {
		status = BM_ERR_MEMORY;
		goto end;
	}
	for (size_t i = 0; status == BM_OK && i < pack->count; i++) {
		int columns = data_csv_row(&csv, fields, COLUMNS);
		if (columns == 0)
			status = base_fail(err, BM_ERR_FORMAT, "it ends after %zu of %zu images", i, pack->count);
		else if (columns != COLUMNS)
			status = base_fail(err, BM_ERR_FORMAT, "row %zu is broken", i);
		else
			status = read_row(fields, i, pack, err);
	}
	if (status == BM_OK && data_csv_row(&csv, fields, COLUMNS) != 0)
		status = base_fail(err, BM_ERR_FORMAT, "it has more than %zu images", pack->count);
end:
	base_free(bytes);
	return status;
}

/* ---- the whole ---- */

static bm_status open_pack(const char *folder, data_pack *pack, struct description *d, bm_error *err)
{
	char *json = base_path_join(folder, DATA_PACK_JSON, err), *images = NULL, *manifest = NULL;
	const char *part = json;
	bm_status status = BM_ERR_MEMORY;
	if (json)
		images = base_path_join(folder, DATA_PACK_IMAGES, err);
	if (images)
		manifest = base_path_join(folder, DATA_PACK_MANIFEST, err);
	if (!manifest)
		goto end;
	status = read_description(json, pack, d, err);
	if (status != BM_OK)
		goto end;
	pack->count = d->count;
	pack->side = d->side;
	pack->content = d->content;
	part = images;
	status = read_images(images, d, pack, err);
	if (status != BM_OK)
		goto end;
	part = manifest;
	status = read_manifest(manifest, pack, err);
end:
	if (status == BM_ERR_FORMAT && err)
		base_fail(err, status, "cannot use '%s': %s" REMEDY, part, err->message);
	base_free(json);
	base_free(images);
	base_free(manifest);
	return status;
}

bm_status data_pack_open(const char *folder, data_pack *out, bm_error *err)
{
	struct description d = {0};
	*out = (data_pack){0};
	if (!base_is_folder(folder))
		return base_fail(err, BM_ERR_NOT_FOUND, "there is no pack '%s'; run the preprocessing first", folder);
	bm_status status = open_pack(folder, out, &d, err);
	if (status != BM_OK)
		data_pack_close(out);
	return status;
}

void data_pack_close(data_pack *pack)
{
	if (pack->sources) {
		for (size_t i = 0; i < pack->count; i++)
			base_free(pack->sources[i]);
	}
	for (int i = 0; i < pack->class_count; i++)
		base_free(pack->class_names[i]);
	base_free(pack->labels);
	base_free(pack->sources);
	base_free(pack->hashes);
	base_map_close(&pack->map);
	*pack = (data_pack){0};
}

bool data_pack_holds(const char *folder, base_hash content, int side)
{
	struct description d = {0};
	data_pack pack = {0};
	bool holds = open_pack(folder, &pack, &d, NULL) == BM_OK && d.current && d.side == side &&
		     base_hash_equal(d.content, content);
	/* The pixels too: a disk that lost some blocks must not go on unseen. */
	if (holds)
		holds = base_hash_equal(
			d.images, base_hash_bytes(pack.images, pack.count * (size_t)pack.side * (size_t)pack.side));
	data_pack_close(&pack);
	return holds;
}
