/* PNG by libpng. Its errors jump; nothing that needs freeing lives in a function that is jumped over. */
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "image/codec.h"
#include "image/png_support.h"

typedef struct reader {
	image_png f;
	const uint8_t *bytes;
	size_t size, at;
	int channels; /* wanted */
	image *out;
	image_info *info;
	int orientation;
	uint8_t *rows; /* one row as libpng gives it; all of them when interlaced */
} reader;

static _Noreturn void give_up(reader *r, bm_status status)
{
	r->f.status = status;
	png_longjmp(r->f.png, 1);
}

static void on_error(png_structp png, png_const_charp reason)
{
	reader *r = png_get_error_ptr(png);
	if (r->f.status == BM_OK)
		r->f.status = base_fail(r->f.err, BM_ERR_FORMAT, "the PNG is damaged (%s); get it anew or leave it out",
					reason);
	png_longjmp(png, 1);
}

static void feed(png_structp png, png_bytep to, size_t count)
{
	reader *r = png_get_io_ptr(png);
	if (count > r->size - r->at)
		give_up(r, base_fail(r->f.err, BM_ERR_FORMAT, "the PNG is truncated; get it anew or leave it out"));
	memcpy(to, r->bytes + r->at, count);
	r->at += count;
}

static bool guarded(reader *r, void (*step)(reader *r))
{
	if (setjmp(png_jmpbuf(r->f.png)) != 0) {
		if (r->f.status == BM_OK)
			r->f.status = base_fail(r->f.err, BM_ERR_INTERNAL, "libpng gave up without a reason");
		return false;
	}
	step(r);
	return true;
}

static void read_header(reader *r)
{
	/* Texts, profiles and times say nothing about pixels: left unread, so that they can't eat memory. */
	static const png_byte ignored[] = "iCCP\0iTXt\0tEXt\0zTXt\0sPLT\0hIST\0tIME\0pCAL\0sCAL";
	png_set_read_fn(r->f.png, r, feed);
	png_set_keep_unknown_chunks(r->f.png, PNG_HANDLE_CHUNK_NEVER, NULL, 0);
	png_set_keep_unknown_chunks(r->f.png, PNG_HANDLE_CHUNK_NEVER, ignored, (int)(sizeof ignored / 5));
	png_set_user_limits(r->f.png, (png_uint_32)IMAGE_PIXEL_LIMIT, (png_uint_32)IMAGE_PIXEL_LIMIT);
	png_set_chunk_cache_max(r->f.png, 128);
	png_set_chunk_malloc_max(r->f.png, (png_alloc_size_t)8 << 20);
	png_read_info(r->f.png, r->f.head);
	bm_status status = image_check_size(png_get_image_width(r->f.png, r->f.head),
					    png_get_image_height(r->f.png, r->f.head), r->f.err);
	if (status != BM_OK)
		give_up(r, status);
	png_uint_32 length = 0;
	png_bytep exif = NULL;
	r->orientation = 1;
	if (png_get_eXIf_1(r->f.png, r->f.head, &length, &exif) != 0 && exif)
		r->orientation = image_exif_tiff(exif, length);
}

static void describe(reader *r)
{
	const char *mode = "L";
	int depth = png_get_bit_depth(r->f.png, r->f.head);
	switch (png_get_color_type(r->f.png, r->f.head)) {
	case PNG_COLOR_TYPE_GRAY:
		mode = depth == 1 ? "1" : depth == 16 ? "I;16" : "L";
		break;
	case PNG_COLOR_TYPE_GRAY_ALPHA:
		mode = depth == 16 ? "RGBA" : "LA";
		break;
	case PNG_COLOR_TYPE_PALETTE:
		mode = "P";
		break;
	case PNG_COLOR_TYPE_RGB:
		mode = "RGB";
		break;
	case PNG_COLOR_TYPE_RGB_ALPHA:
		mode = "RGBA";
		break;
	default:
		break;
	}
	r->info->width = (int)png_get_image_width(r->f.png, r->f.head);
	r->info->height = (int)png_get_image_height(r->f.png, r->f.head);
	r->info->bit_depth = depth;
	r->info->progressive = png_get_interlace_type(r->f.png, r->f.head) != PNG_INTERLACE_NONE;
	r->info->orientation = r->orientation;
	snprintf(r->info->mode, sizeof r->info->mode, "%s", mode);
}

/* A row of 1 to 4 channels (grey, grey and alpha, RGB, RGBA) to the 1 or 3 wanted, over black. */
static void convert(const uint8_t *from, int have, uint8_t *to, int want, int width)
{
	if (have == want) {
		memcpy(to, from, (size_t)width * (size_t)want);
		return;
	}
	for (int x = 0; x < width; x++, from += have, to += want) {
		unsigned red = from[0], green = red, blue = red;
		if (have >= 3) {
			green = from[1];
			blue = from[2];
		}
		if (have == 2 || have == 4) {
			unsigned alpha = from[have - 1];
			red = image_multiply(red, alpha);
			green = image_multiply(green, alpha);
			blue = image_multiply(blue, alpha);
		}
		if (want == 1) {
			to[0] = have <= 2 ? (uint8_t)red : image_luminance(red, green, blue);
		} else {
			to[0] = (uint8_t)red;
			to[1] = (uint8_t)green;
			to[2] = (uint8_t)blue;
		}
	}
}

/* Rows of 16-bit samples to 8 bits, in place. A scanner's 10 or 12 bits often come in files of 16: what counts are the bits that the brightest
 * sample of the picture uses. */
static void narrow(uint8_t *rows, size_t samples, int have)
{
	const int colours = have - (have + 1) % 2; /* the last of two or four channels is alpha: all its bits count */
	unsigned most = 0;
	int shift = 0;
	for (size_t i = 0; i < samples; i++) {
		const unsigned value = (unsigned)rows[2 * i] << 8 | rows[2 * i + 1];
		if ((int)(i % (size_t)have) < colours && value > most)
			most = value;
	}
	while (most >> shift > 255)
		shift++;
	for (size_t i = 0; i < samples; i++) {
		const unsigned value = (unsigned)rows[2 * i] << 8 | rows[2 * i + 1];
		rows[i] = (uint8_t)(value >> ((int)(i % (size_t)have) < colours ? shift : 8));
	}
}

static void read_pixels(reader *r)
{
	png_set_expand(r->f.png); /* palettes to RGB, 1, 2, 4 bits to 8, a transparent colour to alpha */
	int passes = png_set_interlace_handling(r->f.png);
	png_read_update_info(r->f.png, r->f.head);
	int have = png_get_channels(r->f.png, r->f.head);
	int bytes = png_get_bit_depth(r->f.png, r->f.head) / 8; /* a sample */
	size_t stride = png_get_rowbytes(r->f.png, r->f.head);
	r->out->width = (int)png_get_image_width(r->f.png, r->f.head);
	r->out->height = (int)png_get_image_height(r->f.png, r->f.head);
	r->out->channels = r->channels;
	if (have < 1 || have > 4 || bytes < 1 || bytes > 2 ||
	    stride != (size_t)have * (size_t)r->out->width * (size_t)bytes)
		give_up(r, base_fail(r->f.err, BM_ERR_INTERNAL, "libpng gives %d channels of %d bits", have,
				     png_get_bit_depth(r->f.png, r->f.head)));
	bm_status status = image_allocate(r->out, r->f.err);
	if (status != BM_OK)
		give_up(r, status);
	/* An interlaced picture comes in several passes over all rows, and of 16 bits the brightest sample must be known first. */
	const bool whole = passes > 1 || bytes > 1;
	r->rows = base_malloc(whole ? (size_t)r->out->height : 1, stride, "the rows of a PNG", r->f.err);
	if (!r->rows)
		give_up(r, BM_ERR_MEMORY);
	size_t step = (size_t)r->out->width * (size_t)r->channels;
	for (int pass = 0; pass < passes; pass++) {
		for (size_t y = 0; y < (size_t)r->out->height; y++) {
			uint8_t *row = r->rows + (whole ? y * stride : 0);
			png_read_row(r->f.png, row, NULL);
			if (!whole)
				convert(row, have, r->out->pixels + y * step, r->channels, r->out->width);
		}
	}
	if (bytes > 1)
		narrow(r->rows, (size_t)r->out->height * stride / 2, have);
	for (size_t y = 0; whole && y < (size_t)r->out->height; y++)
		convert(r->rows + y * (stride / (size_t)bytes), have, r->out->pixels + y * step, r->channels,
			r->out->width);
	png_read_end(r->f.png, NULL);
}

/* IHDR is always first: the limits hold before libpng is asked anything. */
static bm_status check_header(const uint8_t *bytes, size_t size, bm_error *err)
{
	enum { WIDTH = 16, HEIGHT = 20, END = 24 };
	if (size < END)
		return base_fail(err, BM_ERR_FORMAT, "the PNG is truncated; get it anew or leave it out");
	if (memcmp(bytes + 12, "IHDR", 4) != 0)
		return base_fail(err, BM_ERR_FORMAT, "the PNG is damaged (no header); get it anew or leave it out");
	return image_check_size(png_get_uint_32(bytes + WIDTH), png_get_uint_32(bytes + HEIGHT), err);
}

static bm_status open_reader(reader *r, const uint8_t *bytes, size_t size, bm_error *err)
{
	*r = (reader){.f.err = err, .bytes = bytes, .size = size};
	r->f.status = check_header(bytes, size, err);
	if (r->f.status != BM_OK)
		return r->f.status;
	r->f.png = png_create_read_struct_2(PNG_LIBPNG_VER_STRING, r, on_error, image_png_silence, &r->f,
					    image_png_take, image_png_give);
	r->f.head = r->f.png ? png_create_info_struct(r->f.png) : NULL;
	if (!r->f.head && r->f.status == BM_OK)
		r->f.status = base_fail(err, BM_ERR_MEMORY, "no memory to decode a PNG; use fewer threads");
	return r->f.status;
}

static void close_reader(reader *r)
{
	if (r->f.png)
		png_destroy_read_struct(&r->f.png, &r->f.head, NULL);
	base_free(r->rows);
}

bm_status image_png_inspect(const uint8_t *bytes, size_t size, image_info *info, bm_error *err)
{
	reader r;
	if (open_reader(&r, bytes, size, err) == BM_OK) {
		r.info = info;
		if (guarded(&r, read_header))
			(void)guarded(&r, describe);
	}
	close_reader(&r);
	return r.f.status;
}

bm_status image_png_decode(const uint8_t *bytes, size_t size, int channels, image *out, int *orientation, bm_error *err)
{
	reader r;
	if (open_reader(&r, bytes, size, err) == BM_OK) {
		r.channels = channels;
		r.out = out;
		if (guarded(&r, read_header) && guarded(&r, read_pixels))
			*orientation = r.orientation;
	}
	close_reader(&r);
	return r.f.status;
}
