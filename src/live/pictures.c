/* Images of a step: copied while it waits, made into files when somebody looks. */
#include <math.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "image/image.h"
#include "live/state.h"

enum { SHOWN_SIDE = 128, QUALITY = 85 };

static bool room(uint8_t **block, size_t *has, size_t wanted)
{
	if (*has >= wanted)
		return true;
	base_free(*block);
	*block = base_malloc(wanted, 1, "the live page", NULL);
	*has = *block ? wanted : 0;
	return *block != NULL;
}

static uint8_t to_byte(float value)
{
	return (uint8_t)(value <= 0 ? 0 : value >= 1 ? 255 : lrintf(value * 255));
}

static live_picture answer(const base_pictures *from, int i)
{
	const float *p = from->probabilities ? from->probabilities + (size_t)i * (size_t)from->classes : NULL;
	live_picture picture = {.label = from->labels[i], .answer = -1};
	for (int k = 0; p && k < from->classes; k++)
		if (picture.answer < 0 || p[k] > picture.probability) {
			picture.answer = k;
			picture.probability = p[k];
		}
	return picture;
}

void live_pictures_take(live_pictures *to, const base_pictures *from)
{
	const int count = from->count < LIVE_PICTURES ? from->count : LIVE_PICTURES;
	const size_t area = (size_t)from->side * (size_t)from->side,
		     original = (size_t)from->original_side * (size_t)from->original_side;
	to->number++;
	to->count = 0;
	if (count < 1 || !room(&to->pixels, &to->room, area * (size_t)count) ||
	    !room(&to->originals, &to->original_room, original * (size_t)count))
		return;
	for (size_t i = 0; i < area * (size_t)count; i++)
		to->pixels[i] = to_byte(from->pixels[i * (size_t)from->channels]);
	for (int i = 0; i < count; i++) {
		memcpy(to->originals + (size_t)i * original, from->originals + from->indices[i] * original, original);
		to->items[i] = answer(from, i);
	}
	to->classes = from->classes < LIVE_PICTURES ? from->classes : LIVE_PICTURES;
	for (int k = 0; k < to->classes; k++)
		snprintf(to->names[k], sizeof to->names[k], "%s", from->class_names[k] ? from->class_names[k] : "");
	to->count = count;
	to->side = from->side;
	to->original_side = from->original_side;
}

bool live_pictures_copy(const live_pictures *from, live_pictures *to)
{
	const size_t bytes = (size_t)from->count * (size_t)from->side * (size_t)from->side,
		     original = (size_t)from->count * (size_t)from->original_side * (size_t)from->original_side;
	*to = *from;
	to->pixels = to->originals = NULL;
	to->room = to->original_room = 0;
	if (!room(&to->pixels, &to->room, bytes > 0 ? bytes : 1) ||
	    !room(&to->originals, &to->original_room, original > 0 ? original : 1))
		return false;
	if (from->count > 0) {
		memcpy(to->pixels, from->pixels, bytes);
		memcpy(to->originals, from->originals, original);
	}
	return true;
}

void live_pictures_free(live_pictures *pictures)
{
	base_free(pictures->pixels);
	base_free(pictures->originals);
	*pictures = (live_pictures){0};
}

/* "data:image/jpeg;base64,..."; json_null when there is no memory. */
static json_t *data_url(uint8_t *pixels, int side)
{
	static const char head[] = "data:image/jpeg;base64,";
	const image whole = {.width = side, .height = side, .channels = 1, .pixels = pixels};
	image small = {.width = SHOWN_SIDE, .height = SHOWN_SIDE, .channels = 1};
	uint8_t *bytes = NULL;
	size_t size = 0;
	char *url = NULL;
	json_t *json = NULL;
	const bool larger = side > SHOWN_SIDE;
	if (larger && image_resize(&whole, &small, NULL) != BM_OK)
		goto done;
	if (image_encode_jpeg(larger ? &small : &whole, QUALITY, &bytes, &size, NULL) != BM_OK)
		goto done;
	url = base_malloc(sizeof head + (size + 2) / 3 * 4 + 1, 1, "the live page", NULL);
	if (!url)
		goto done;
	memcpy(url, head, sizeof head);
	EVP_EncodeBlock((unsigned char *)url + sizeof head - 1, bytes, (int)size);
	json = json_string(url);
done:
	base_free(url);
	base_free(bytes);
	image_free(&small);
	return json ? json : json_null();
}

json_t *live_pictures_json(const live_pictures *p)
{
	json_t *list = json_array();
	for (int i = 0; i < p->count; i++) {
		const live_picture *item = &p->items[i];
		const size_t area = (size_t)p->side * (size_t)p->side,
			     original = (size_t)p->original_side * (size_t)p->original_side;
		json_t *one = json_object();
		if (item->label >= 0 && item->label < p->classes)
			json_object_set_new(one, "label", json_string(p->names[item->label]));
		if (item->answer >= 0 && item->answer < p->classes) {
			json_object_set_new(one, "answer", json_string(p->names[item->answer]));
			json_object_set_new(one, "probability", json_real((double)item->probability));
		}
		json_object_set_new(one, "image", data_url(p->pixels + (size_t)i * area, p->side));
		json_object_set_new(one, "original", data_url(p->originals + (size_t)i * original, p->original_side));
		json_array_append_new(list, one);
	}
	return json_pack("{s:I, s:o}", "number", (json_int_t)p->number, "pictures", list);
}
