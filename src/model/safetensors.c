#include "model/safetensors.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"

#define PREFIX 8
#define HEADER_MAX ((uint64_t)16 << 20)
#define ARRAYS_MAX 8192
#define ELEMENTS_MAX ((uint64_t)1 << 30) /* of one array */

typedef enum number { F16, BF16, F32, F64, NOT_READ } number;

typedef struct item {
	model_array array;
	number type;
	uint64_t begin, end; /* of its bytes, behind the header */
} item;

struct model_safetensors {
	const uint8_t *data; /* behind the header */
	char name[256];
	json_t *header;
	item *items; /* sorted by begin while they are checked, those that can be read first afterwards */
	int count;
};

static int width_of(number type)
{
	return type == F32 ? 4 : type == F64 ? 8 : 2;
}

static uint64_t little_endian(const uint8_t *bytes, int width)
{
	uint64_t value = 0;

	for (int i = width - 1; i >= 0; i--)
		value = value << 8 | bytes[i];
	return value;
}

bool model_safetensors_begins(const uint8_t *bytes, size_t size)
{
	return size > PREFIX && little_endian(bytes, PREFIX) < (uint64_t)1 << 32 && bytes[PREFIX] == '{';
}

/* ---- writing ---- */

static size_t elements_of(const model_array *array)
{
	size_t elements = 1;

	for (int i = 0; i < array->rank; i++)
		elements *= (size_t)array->shape[i];
	return elements;
}

static number stored_as(const model_array *array, bool half)
{
	return half && array->rank >= 2 ? F16 : F32;
}

bool model_to_half(float value, uint16_t *half)
{
	uint32_t bits, sign, size, kept, lost;
	int shift;

	memcpy(&bits, &value, sizeof(bits));
	sign = bits >> 16 & 0x8000;
	size = bits & 0x7fffffff;
	if (size >= 0x477ff000) /* 65520 and more would round to infinity */
		return false;
	if (size < 0x38800000) { /* below 2^-14: no leading one, steps of 2^-24 */
		shift = 126 - (int)(size >> 23);
		size = shift > 24 ? 0 : (size & 0x7fffff) | 0x800000;
		shift = shift > 24 ? 24 : shift;
	} else {
		size -= 112u << 23;
		shift = 13;
	}
	kept = size >> shift;
	lost = size & ((1u << shift) - 1);
	kept += lost > 1u << (shift - 1) || (lost == 1u << (shift - 1) && (kept & 1));
	*half = (uint16_t)(sign | kept);
	return true;
}

/* The header's text, to be freed with free(); NULL when memory ran out or a name is not UTF-8. */
static char *make_header(const model_array *arrays, int count, bool half, const char *key, const char *text)
{
	json_t *all = json_pack("{s:{s:s}}", "__metadata__", key, text);
	size_t at = 0;
	char *header = NULL;

	for (int i = 0; all && i < count; i++) {
		json_t *shape = json_array();
		number type = stored_as(&arrays[i], half);
		size_t bytes = elements_of(&arrays[i]) * (size_t)width_of(type);

		for (int k = 0; shape && k < arrays[i].rank; k++)
			json_array_append_new(shape, json_integer(arrays[i].shape[k]));
		if (json_object_set_new(all, arrays[i].name,
					json_pack("{s:s, s:o, s:[I, I]}", "dtype", type == F16 ? "F16" : "F32", "shape",
						  shape, "data_offsets", (json_int_t)at, (json_int_t)(at + bytes))) !=
		    0) {
			json_decref(all);
			return NULL;
		}
		at += bytes;
	}
	if (all)
		header = json_dumps(all, JSON_COMPACT);
	json_decref(all);
	return header;
}

static bm_status write_halves(const model_array *array, const float *values, const char *path, base_writer *writer,
			      bm_error *err)
{
	size_t count = elements_of(array);

	for (size_t i = 0; i < count; i++) {
		uint16_t half;
		uint8_t bytes[2];

		if (!model_to_half(values[i], &half))
			return base_fail(err, BM_ERR_NUMERIC,
					 "'%s' was not written: array '%s' holds %g, and half precision ends at 65504; "
					 "export it without --half",
					 path, array->name, (double)values[i]);
		bytes[0] = (uint8_t)half;
		bytes[1] = (uint8_t)(half >> 8);
		base_writer_write(writer, bytes, 2);
	}
	return BM_OK;
}

bm_status model_safetensors_write(const char *path, const model_array *arrays, const float *const *values, int count,
				  bool half, const char *key, const char *text, bm_error *err)
{
	char *header = make_header(arrays, count, half, key, text);
	size_t length, padded;
	uint8_t prefix[PREFIX];
	base_writer writer = {0};
	bm_status status;

	if (!header)
		return base_fail(err, BM_ERR_MEMORY, "not enough memory for the header of '%s'", path);
	length = strlen(header);
	padded = (length + 7) / 8 * 8; /* with spaces, so that the arrays are aligned */
	for (int i = 0; i < PREFIX; i++)
		prefix[i] = (uint8_t)(padded >> (8 * i));
	status = base_writer_open(&writer, path, err);
	if (status == BM_OK) {
		base_writer_write(&writer, prefix, PREFIX);
		base_writer_write(&writer, header, length);
		base_writer_write(&writer, "       ", padded - length);
		for (int i = 0; i < count && status == BM_OK; i++) {
			if (stored_as(&arrays[i], half) == F16)
				status = write_halves(&arrays[i], values[i], path, &writer, err);
			else
				base_writer_write(&writer, values[i], sizeof(float) * elements_of(&arrays[i]));
		}
		if (status == BM_OK)
			status = base_writer_commit(&writer, err);
	}
	base_writer_abort(&writer);
	free(header);
	return status;
}

/* ---- reading ---- */

static bm_status fail(const model_safetensors *s, bm_error *err, const char *why, const char *what)
{
	return base_fail(err, BM_ERR_FORMAT, "'%s' is not a whole safetensors file (%s%s%.80s%s): take another",
			 s->name, why, what ? " '" : "", what ? what : "", what ? "'" : "");
}

/* The size of one element in bytes, 0: no such type. */
static int parse_type(const char *text, number *type)
{
	static const struct {
		const char *name;
		number type;
		int width;
	} types[] = {{"F16", F16, 2},	   {"BF16", BF16, 2},	 {"F32", F32, 4},      {"F64", F64, 8},
		     {"I64", NOT_READ, 8}, {"U64", NOT_READ, 8}, {"I32", NOT_READ, 4}, {"U32", NOT_READ, 4},
		     {"I16", NOT_READ, 2}, {"U16", NOT_READ, 2}, {"I8", NOT_READ, 1},  {"U8", NOT_READ, 1},
		     {"BOOL", NOT_READ, 1}};

	for (size_t i = 0; text && i < sizeof(types) / sizeof(types[0]); i++) {
		if (strcmp(text, types[i].name) == 0) {
			*type = types[i].type;
			return types[i].width;
		}
	}
	return 0;
}

static bool is_counter(const char *name)
{
	static const char counter[] = "num_batches_tracked";
	size_t length = strlen(name);

	return length >= sizeof(counter) - 1 && strcmp(name + length - (sizeof(counter) - 1), counter) == 0;
}

static bm_status read_entry(const model_safetensors *s, const char *name, const json_t *entry, item *out, bm_error *err)
{
	const json_t *shape = json_object_get(entry, "shape"), *place = json_object_get(entry, "data_offsets");
	const char *type = json_string_value(json_object_get(entry, "dtype"));
	json_int_t begin = json_integer_value(json_array_get(place, 0)),
		   end = json_integer_value(json_array_get(place, 1));
	int width = parse_type(type, &out->type);
	uint64_t elements = 1;

	memset(&out->array, 0, sizeof(out->array));
	if (!width)
		return fail(s, err, "an unknown type of the array", name);
	if (strlen(name) >= sizeof(out->array.name))
		return fail(s, err, "a name that is too long", name);
	if (!json_is_array(shape) || json_array_size(place) != 2 || !json_is_integer(json_array_get(place, 0)) ||
	    !json_is_integer(json_array_get(place, 1)) || begin < 0 || end < begin)
		return fail(s, err, "no shape or place of the array", name);
	if (out->type == NOT_READ && !is_counter(name))
		return base_fail(err, BM_ERR_FORMAT,
				 "array '%s' in '%s' has numbers of type %s: only F16, BF16, F32 and F64 are read",
				 name, s->name, type);
	if (json_array_size(shape) > MODEL_RANK_MAX)
		return fail(s, err, "too many dimensions of the array", name);
	snprintf(out->array.name, sizeof(out->array.name), "%s", name);
	out->array.rank = (int)json_array_size(shape);
	for (int i = 0; i < out->array.rank; i++) {
		const json_t *size = json_array_get(shape, (size_t)i);
		json_int_t n = json_integer_value(size);

		if (!json_is_integer(size) || n < 1 || (uint64_t)n > ELEMENTS_MAX ||
		    elements * (uint64_t)n > ELEMENTS_MAX)
			return fail(s, err, "a wrong shape of the array", name);
		elements *= (uint64_t)n;
		out->array.shape[i] = (int)n;
	}
	out->begin = (uint64_t)begin;
	out->end = (uint64_t)end;
	if (out->end - out->begin != elements * (uint64_t)width)
		return fail(s, err, "shape and size do not fit for the array", name);
	return BM_OK;
}

static int by_begin(const void *a, const void *b)
{
	const item *x = a, *y = b;

	if (x->begin != y->begin)
		return x->begin < y->begin ? -1 : 1;
	return x->end < y->end ? -1 : x->end > y->end;
}

static bm_status read_entries(model_safetensors *s, uint64_t size, bm_error *err)
{
	const char *name;
	json_t *entry;
	uint64_t at = 0;
	int readable = 0;

	json_object_foreach(s->header, name, entry)
	{
		bm_status status;

		if (strcmp(name, "__metadata__") == 0)
			continue;
		status = read_entry(s, name, entry, &s->items[s->count], err);
		if (status != BM_OK)
			return status;
		s->count++;
	}
	/* No overlaps, no gaps: what the format's own reader demands. */
	qsort(s->items, (size_t)s->count, sizeof(*s->items), by_begin);
	for (int i = 0; i < s->count; i++) {
		if (s->items[i].begin != at || s->items[i].end > size)
			return fail(s, err, "a gap, an overlap or a missing end at the array", s->items[i].array.name);
		at = s->items[i].end;
	}
	if (at != size)
		return fail(s, err, "bytes that belong to no array", NULL);
	for (int i = 0; i < s->count; i++) {
		if (s->items[i].type != NOT_READ)
			s->items[readable++] = s->items[i];
	}
	s->count = readable;
	return BM_OK;
}

bm_status model_safetensors_open(const uint8_t *bytes, size_t size, const char *name, model_safetensors **out,
				 bm_error *err)
{
	model_safetensors *s = base_calloc(1, sizeof(*s), "a safetensors reader", err);
	json_error_t problem;
	uint64_t length;
	bm_status status;

	*out = NULL;
	if (!s)
		return BM_ERR_MEMORY;
	snprintf(s->name, sizeof(s->name), "%s", name);
	length = size >= PREFIX ? little_endian(bytes, PREFIX) : 0;
	if (size < PREFIX || length > size - PREFIX) {
		status = fail(s, err, "the header is cut off", NULL);
		goto cleanup;
	}
	if (length > HEADER_MAX) {
		status = base_fail(err, BM_ERR_LIMIT,
				   "the header of '%s' has %llu bytes, more than the %llu that this program reads",
				   name, (unsigned long long)length, (unsigned long long)HEADER_MAX);
		goto cleanup;
	}
	s->data = bytes + PREFIX + length;
	s->header = json_loadb((const char *)bytes + PREFIX, (size_t)length, JSON_REJECT_DUPLICATES, &problem);
	if (!json_is_object(s->header)) {
		status = fail(s, err, "the header is not JSON: ", s->header ? "no object" : problem.text);
		goto cleanup;
	}
	if (json_object_size(s->header) > ARRAYS_MAX) {
		status = base_fail(err, BM_ERR_LIMIT, "'%s' holds more arrays than any model of this program", name);
		goto cleanup;
	}
	s->items = base_calloc(json_object_size(s->header) + 1, sizeof(*s->items), "the list of weights", err);
	status = s->items ? read_entries(s, size - PREFIX - length, err) : BM_ERR_MEMORY;
cleanup:
	if (status == BM_OK)
		*out = s;
	else
		model_safetensors_close(s);
	return status;
}

int model_safetensors_count(const model_safetensors *s)
{
	return s->count;
}

const model_array *model_safetensors_get(const model_safetensors *s, int index)
{
	return &s->items[index].array;
}

const char *model_safetensors_metadata(const model_safetensors *s, const char *key)
{
	return json_string_value(json_object_get(json_object_get(s->header, "__metadata__"), key));
}

static float from_bits(uint32_t bits)
{
	float value;

	memcpy(&value, &bits, sizeof(value));
	return value;
}

/* IEEE half precision. */
static float from_half(uint32_t half)
{
	uint32_t sign = (half & 0x8000) << 16, exponent = half >> 10 & 31, fraction = half & 1023;

	if (exponent == 0) {
		float value = (float)fraction * 0x1p-24f;

		return sign ? -value : value;
	}
	return from_bits(sign | (exponent == 31 ? 255 : exponent + 112) << 23 | fraction << 13);
}

void model_safetensors_read(const model_safetensors *s, int index, float *values)
{
	const item *from = &s->items[index];
	int width = width_of(from->type);
	const uint8_t *bytes = s->data + from->begin;
	size_t count = (size_t)(from->end - from->begin) / (size_t)width;

	for (size_t i = 0; i < count; i++, bytes += width) {
		uint64_t bits = little_endian(bytes, width);
		double wide;

		switch (from->type) {
		case F16:
			values[i] = from_half((uint32_t)bits);
			break;
		case BF16:
			values[i] = from_bits((uint32_t)bits << 16);
			break;
		case F64:
			memcpy(&wide, &bits, sizeof(wide));
			values[i] = (float)wide;
			break;
		default:
			values[i] = from_bits((uint32_t)bits);
		}
	}
}

void model_safetensors_close(model_safetensors *s)
{
	if (!s)
		return;
	json_decref(s->header);
	base_free(s->items);
	base_free(s);
}
