/* JPEG by libjpeg-turbo. Its errors jump; nothing that needs freeing lives in a function that is jumped over. */
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <jerror.h>
#include <jpeglib.h>

#include "base/memory.h"
#include "image/codec.h"

enum { SCAN_LIMIT = 200 }; /* a small progressive file with thousands of scans costs minutes */

typedef struct reader {
	struct jpeg_decompress_struct jpeg;
	struct jpeg_error_mgr errors;
	struct jpeg_progress_mgr progress;
	jmp_buf jump;
	bm_error *err;
	bm_status status;
	const uint8_t *bytes;
	size_t size;
	int channels, min_width, min_height; /* wanted; see image_decode */
	image *out;
	image_info *info;
	uint8_t *cmyk; /* one row of four channels, for printers' files */
} reader;

static _Noreturn void give_up(reader *r, bm_status status)
{
	r->status = status;
	longjmp(r->jump, 1);
}

static void fail_message(j_common_ptr jpeg)
{
	reader *r = jpeg->client_data;
	char reason[JMSG_LENGTH_MAX];
	r->errors.format_message(jpeg, reason);
	switch (r->errors.msg_code) {
	case JERR_OUT_OF_MEMORY:
		give_up(r, base_fail(r->err, BM_ERR_MEMORY,
				     "no memory to decode a JPEG of %u x %u pixels; use fewer threads",
				     r->jpeg.image_width, r->jpeg.image_height));
	case JERR_IMAGE_TOO_BIG:
		give_up(r, base_fail(r->err, BM_ERR_LIMIT, "the JPEG is too large: %s; save it smaller", reason));
	case JERR_SOF_UNSUPPORTED:
	case JERR_BAD_PRECISION:
	case JERR_ARITH_NOTIMPL:
	case JERR_CONVERSION_NOTIMPL:
		give_up(r, base_fail(r->err, BM_ERR_FORMAT,
				     "a kind of JPEG that is not supported (%s); convert it to PNG", reason));
	case JWRN_JPEG_EOF:
	case JWRN_HIT_MARKER:
	case JERR_INPUT_EOF:
	case JERR_INPUT_EMPTY:
		give_up(r, base_fail(r->err, BM_ERR_FORMAT, "the JPEG is truncated (%s); get it anew or leave it out",
				     reason));
	default:
		give_up(r, base_fail(r->err, BM_ERR_FORMAT, "the JPEG is damaged (%s); get it anew or leave it out",
				     reason));
	}
}

/* libjpeg would go on with grey blocks; a half image is no image. What says nothing about the pixels is let pass. */
static void on_message(j_common_ptr jpeg, int level)
{
	if (level >= 0)
		return; /* a trace */
	switch (jpeg->err->msg_code) {
	case JWRN_EXTRANEOUS_DATA: /* between segments; inside a scan other warnings follow */
	case JWRN_JFIF_MAJOR:
	case JWRN_ADOBE_XFORM:
	case JWRN_BOGUS_ICC:
		return;
	default:
		fail_message(jpeg);
	}
}

static void no_output(j_common_ptr jpeg)
{
	(void)jpeg;
}

static void on_progress(j_common_ptr jpeg)
{
	reader *r = jpeg->client_data;
	if (r->jpeg.input_scan_number > SCAN_LIMIT)
		give_up(r, base_fail(r->err, BM_ERR_LIMIT,
				     "the progressive JPEG has more than %d scans; save it anew or leave it out",
				     SCAN_LIMIT));
}

/* Runs one step; false when libjpeg jumped out of it. */
static bool guarded(reader *r, void (*step)(reader *r))
{
	if (setjmp(r->jump) != 0)
		return false;
	step(r);
	return true;
}

static void read_header(reader *r)
{
	jpeg_create_decompress(&r->jpeg);
	r->jpeg.progress = &r->progress;
	jpeg_mem_src(&r->jpeg, r->bytes, r->size);
	jpeg_read_header(&r->jpeg, TRUE);
	bm_status status = image_check_size(r->jpeg.image_width, r->jpeg.image_height, r->err);
	if (status != BM_OK)
		give_up(r, status);
	switch (r->jpeg.jpeg_color_space) {
	case JCS_GRAYSCALE:
	case JCS_RGB:
	case JCS_YCbCr:
	case JCS_CMYK:
	case JCS_YCCK:
		break;
	default:
		give_up(r,
			base_fail(r->err, BM_ERR_FORMAT, "a JPEG with %d channels is not supported; convert it to PNG",
				  r->jpeg.num_components));
	}
}

static bool is_cmyk(const reader *r)
{
	return r->jpeg.jpeg_color_space == JCS_CMYK || r->jpeg.jpeg_color_space == JCS_YCCK;
}

static void describe(reader *r)
{
	r->info->width = (int)r->jpeg.image_width;
	r->info->height = (int)r->jpeg.image_height;
	r->info->bit_depth = r->jpeg.data_precision;
	r->info->progressive = r->jpeg.progressive_mode;
	const char *mode = is_cmyk(r) ? "CMYK" : r->jpeg.jpeg_color_space == JCS_GRAYSCALE ? "L" : "RGB";
	snprintf(r->info->mode, sizeof r->info->mode, "%s", mode);
}

/* The smallest of 1/8, 1/4, 1/2, 1/1 (those with a fast inverse DCT) that keeps the wanted size. */
static void choose_scale(reader *r)
{
	r->jpeg.scale_num = r->jpeg.scale_denom = 8;
	if (r->min_width <= 0 || r->min_height <= 0)
		return;
	for (unsigned eighths = 1; eighths < 8; eighths *= 2) {
		uint64_t width = ((uint64_t)r->jpeg.image_width * eighths + 7) / 8;
		uint64_t height = ((uint64_t)r->jpeg.image_height * eighths + 7) / 8;
		if (width >= (uint64_t)r->min_width && height >= (uint64_t)r->min_height) {
			r->jpeg.scale_num = eighths;
			return;
		}
	}
}

/* Printers' ink to light. Adobe writes it inverted: 255 is no ink. */
static void convert_cmyk(const reader *r, uint8_t *to)
{
	unsigned flip = r->jpeg.saw_Adobe_marker ? 0 : 255;
	for (int x = 0; x < r->out->width; x++) {
		const uint8_t *ink = r->cmyk + (size_t)x * 4;
		unsigned black = ink[3] ^ flip;
		unsigned red = image_multiply(ink[0] ^ flip, black), green = image_multiply(ink[1] ^ flip, black),
			 blue = image_multiply(ink[2] ^ flip, black);
		if (r->channels == 1) {
			to[x] = image_luminance(red, green, blue);
		} else {
			to[x * 3] = (uint8_t)red;
			to[x * 3 + 1] = (uint8_t)green;
			to[x * 3 + 2] = (uint8_t)blue;
		}
	}
}

static void read_pixels(reader *r)
{
	enum { ROWS = 8 };
	choose_scale(r);
	/* To grey, libjpeg leaves the colour channels undecoded. */
	r->jpeg.out_color_space = is_cmyk(r) ? JCS_CMYK : r->channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
	jpeg_start_decompress(&r->jpeg);
	r->out->width = (int)r->jpeg.output_width;
	r->out->height = (int)r->jpeg.output_height;
	r->out->channels = r->channels;
	bm_status status = image_allocate(r->out, r->err);
	if (status != BM_OK)
		give_up(r, status);
	if (is_cmyk(r)) {
		r->cmyk = base_malloc((size_t)r->out->width, 4, "a row of a CMYK image", r->err);
		if (!r->cmyk)
			give_up(r, BM_ERR_MEMORY);
	}
	size_t stride = (size_t)r->out->width * (size_t)r->channels;
	while (r->jpeg.output_scanline < r->jpeg.output_height) {
		uint8_t *row = r->out->pixels + r->jpeg.output_scanline * stride;
		if (r->cmyk) {
			jpeg_read_scanlines(&r->jpeg, &r->cmyk, 1);
			convert_cmyk(r, row);
			continue;
		}
		JSAMPROW rows[ROWS];
		JDIMENSION left = r->jpeg.output_height - r->jpeg.output_scanline, count = left < ROWS ? left : ROWS;
		for (JDIMENSION i = 0; i < count; i++)
			rows[i] = row + i * stride;
		jpeg_read_scanlines(&r->jpeg, rows, count);
	}
	jpeg_finish_decompress(&r->jpeg); /* reads to the end marker, and misses it when it is not there */
}

static void open_reader(reader *r, const uint8_t *bytes, size_t size, bm_error *err)
{
	*r = (reader){.bytes = bytes, .size = size, .err = err};
	r->jpeg.err = jpeg_std_error(&r->errors);
	r->jpeg.client_data = r;
	r->errors.error_exit = fail_message;
	r->errors.emit_message = on_message;
	r->errors.output_message = no_output;
	r->progress.progress_monitor = on_progress;
}

bm_status image_jpeg_inspect(const uint8_t *bytes, size_t size, image_info *info, bm_error *err)
{
	reader r;
	open_reader(&r, bytes, size, err);
	r.info = info;
	if (guarded(&r, read_header) && guarded(&r, describe))
		info->orientation = image_exif_jpeg(bytes, size);
	jpeg_destroy_decompress(&r.jpeg);
	return r.status;
}

bm_status image_jpeg_decode(const uint8_t *bytes, size_t size, int channels, int min_width, int min_height, image *out,
			    bm_error *err)
{
	reader r;
	open_reader(&r, bytes, size, err);
	r.channels = channels;
	r.min_width = min_width;
	r.min_height = min_height;
	r.out = out;
	if (guarded(&r, read_header))
		(void)guarded(&r, read_pixels);
	jpeg_destroy_decompress(&r.jpeg);
	base_free(r.cmyk);
	return r.status;
}
