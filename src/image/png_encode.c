/* PNG by libpng, into memory. */
#include <setjmp.h>
#include <string.h>

#include "base/memory.h"
#include "image/codec.h"
#include "image/png_support.h"

typedef struct writer {
	image_png f;
	const image *img;
	uint8_t *bytes;
	size_t size, room;
} writer;

static void on_error(png_structp png, png_const_charp reason)
{
	writer *w = png_get_error_ptr(png);
	if (w->f.status == BM_OK)
		w->f.status = base_fail(w->f.err, BM_ERR_INTERNAL, "cannot write a PNG of %d x %d pixels: %s",
					w->img->width, w->img->height, reason);
	png_longjmp(png, 1);
}

static void append(png_structp png, png_bytep from, size_t count)
{
	writer *w = png_get_io_ptr(png);
	if (count > w->room - w->size) {
		size_t room = w->room * 2 + count + 4096;
		uint8_t *grown = base_malloc(room, 1, "a PNG file", w->f.err);
		if (!grown) {
			w->f.status = BM_ERR_MEMORY;
			png_longjmp(png, 1);
		}
		if (w->size > 0)
			memcpy(grown, w->bytes, w->size);
		base_free(w->bytes);
		w->bytes = grown;
		w->room = room;
	}
	memcpy(w->bytes + w->size, from, count);
	w->size += count;
}

static void flush(png_structp png)
{
	(void)png;
}

static void encode(writer *w)
{
	if (setjmp(png_jmpbuf(w->f.png)) != 0)
		return;
	png_set_write_fn(w->f.png, w, append, flush);
	png_set_user_limits(w->f.png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
	png_set_IHDR(w->f.png, w->f.head, (png_uint_32)w->img->width, (png_uint_32)w->img->height, 8,
		     w->img->channels == 1 ? PNG_COLOR_TYPE_GRAY : PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
		     PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
	png_write_info(w->f.png, w->f.head);
	size_t stride = (size_t)w->img->width * (size_t)w->img->channels;
	for (size_t y = 0; y < (size_t)w->img->height; y++)
		png_write_row(w->f.png, w->img->pixels + y * stride);
	png_write_end(w->f.png, w->f.head);
}

bm_status image_encode_png(const image *img, uint8_t **bytes, size_t *size, bm_error *err)
{
	*bytes = NULL;
	*size = 0;
	if (!img->pixels || (img->channels != 1 && img->channels != 3) || img->width < 1 || img->height < 1)
		return base_fail(err, BM_ERR_USAGE,
				 "cannot write a PNG of %d x %d pixels and %d channels: channels are 1 or 3",
				 img->width, img->height, img->channels);
	writer w = {.f.err = err, .img = img};
	w.f.png = png_create_write_struct_2(PNG_LIBPNG_VER_STRING, &w, on_error, image_png_silence, &w.f,
					    image_png_take, image_png_give);
	w.f.head = w.f.png ? png_create_info_struct(w.f.png) : NULL;
	if (w.f.head)
		encode(&w);
	else if (w.f.status == BM_OK)
		w.f.status = base_fail(err, BM_ERR_MEMORY, "no memory to write a PNG of %d x %d pixels", img->width,
				       img->height);
	if (w.f.png)
		png_destroy_write_struct(&w.f.png, &w.f.head);
	if (w.f.status == BM_OK) {
		*bytes = w.bytes;
		*size = w.size;
	} else {
		base_free(w.bytes);
	}
	return w.f.status;
}
