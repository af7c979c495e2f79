/* Image files for this folder's tests, made with the libraries themselves so that each kind occurs. */
#ifndef IMAGE_TEST_FILES_H
#define IMAGE_TEST_FILES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jpeglib.h>
#include <png.h>

#include "image/image.h"

typedef struct test_file {
	uint8_t *bytes; /* free() */
	size_t size;
} test_file;

/* A smooth picture that JPEG keeps well: value of channel c at x, y. */
static inline int test_value(int x, int y, int c)
{
	static const int slope_x[] = {3, 1, -2, 2}, slope_y[] = {1, -2, 2, 1}, start[] = {40, 200, 120, 60};
	int value = start[c] + slope_x[c] * x + slope_y[c] * y;
	return value < 0 ? 0 : value > 255 ? 255 : value;
}

typedef struct test_jpeg {
	int width, height, channels; /* 1, 3 or 4 */
	J_COLOR_SPACE in, stored;
	bool progressive, adobe, subsampled;
	int orientation, scans; /* 0: none, libjpeg's own */
	bool big_endian;
	int restart; /* rows between restart markers */
} test_jpeg;

static inline void test_exif(uint8_t exif[32], int orientation, bool big)
{
	static const uint8_t little_end[32] = {'E', 'x', 'i', 'f', 0, 0,    'I', 'I', 42, 0, 8,
					       0,   0,	 0,   1,   0, 0x12, 1,	 3,   0,  1};
	static const uint8_t big_end[32] = {'E', 'x', 'i', 'f', 0, 0,	 'M', 'M', 0, 42, 0, 0,
					    0,	 8,   0,   1,	1, 0x12, 0,   3,   0, 0,  0, 1};
	memcpy(exif, big ? big_end : little_end, 32);
	exif[big ? 25 : 24] = (uint8_t)orientation;
}

static inline test_file test_make_jpeg(const test_jpeg *t)
{
	struct jpeg_compress_struct jpeg;
	struct jpeg_error_mgr errors;
	unsigned char *bytes = NULL;
	unsigned long size = 0;
	jpeg.err = jpeg_std_error(&errors);
	jpeg_create_compress(&jpeg);
	jpeg_mem_dest(&jpeg, &bytes, &size);
	jpeg.image_width = (JDIMENSION)t->width;
	jpeg.image_height = (JDIMENSION)t->height;
	jpeg.input_components = t->channels;
	jpeg.in_color_space = t->in;
	jpeg_set_defaults(&jpeg);
	jpeg_set_colorspace(&jpeg, t->stored);
	jpeg_set_quality(&jpeg, 95, TRUE);
	if (!t->subsampled)
		jpeg.comp_info[0].h_samp_factor = jpeg.comp_info[0].v_samp_factor = 1;
	if (t->stored == JCS_YCCK && !t->subsampled)
		jpeg.comp_info[3].h_samp_factor = jpeg.comp_info[3].v_samp_factor = 1;
	jpeg.write_Adobe_marker = t->adobe;
	jpeg.restart_in_rows = t->restart;
	jpeg_scan_info *scans = NULL;
	if (t->scans > 0) { /* each coefficient in four scans, bit by bit: legal, and slow to read */
		scans = calloc((size_t)t->scans, sizeof *scans);
		assert_non_null(scans);
		scans[0].comps_in_scan = 1;
		for (int i = 1; i < t->scans; i++) {
			int coefficient = (i - 1) / 4 + 1, bit = 3 - (i - 1) % 4;
			scans[i] = (jpeg_scan_info){.comps_in_scan = 1,
						    .Ss = coefficient,
						    .Se = coefficient,
						    .Ah = bit < 3 ? bit + 1 : 0,
						    .Al = bit};
		}
		jpeg.scan_info = scans;
		jpeg.num_scans = t->scans;
	} else if (t->progressive) {
		jpeg_simple_progression(&jpeg);
	}
	jpeg_start_compress(&jpeg, TRUE);
	if (t->orientation > 0) {
		uint8_t exif[32];
		test_exif(exif, t->orientation, t->big_endian);
		jpeg_write_marker(&jpeg, JPEG_APP0 + 1, exif, sizeof exif);
	}
	uint8_t *row = malloc((size_t)t->width * (size_t)t->channels);
	assert_non_null(row);
	for (int y = 0; y < t->height; y++) {
		for (int x = 0; x < t->width; x++) {
			for (int c = 0; c < t->channels; c++)
				row[x * t->channels + c] = (uint8_t)test_value(x, y, c);
		}
		JSAMPROW rows[1] = {row};
		jpeg_write_scanlines(&jpeg, rows, 1);
	}
	jpeg_finish_compress(&jpeg);
	jpeg_destroy_compress(&jpeg);
	free(row);
	free(scans);
	return (test_file){.bytes = bytes, .size = size};
}

typedef struct test_png {
	int width, height, depth, type; /* PNG_COLOR_TYPE_... */
	bool interlaced, transparent;	/* transparent: a tRNS chunk */
	int orientation;
	/* Fills one row as PNG stores it, packed, 16 bits big-endian. */
	void (*row)(const struct test_png *t, int y, uint8_t *to);
} test_png;

static inline void test_append(png_structp png, png_bytep from, size_t count)
{
	test_file *file = png_get_io_ptr(png);
	uint8_t *grown = realloc(file->bytes, file->size + count);
	assert_non_null(grown);
	memcpy(grown + file->size, from, count);
	file->bytes = grown;
	file->size += count;
}

static inline test_file test_make_png(const test_png *t)
{
	test_file file = {0};
	png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
	assert_non_null(png);
	png_infop info = png_create_info_struct(png);
	assert_non_null(info);
	if (setjmp(png_jmpbuf(png)) != 0)
		fail_msg("libpng cannot write this test file");
	png_set_write_fn(png, &file, test_append, NULL);
	png_set_IHDR(png, info, (png_uint_32)t->width, (png_uint_32)t->height, t->depth, t->type,
		     t->interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
		     PNG_FILTER_TYPE_DEFAULT);
	if (t->type == PNG_COLOR_TYPE_PALETTE) {
		png_color palette[4] = {{10, 20, 30}, {200, 100, 50}, {0, 255, 0}, {255, 255, 255}};
		png_byte alpha[2] = {255, 128};
		png_set_PLTE(png, info, palette, t->depth == 1 ? 2 : 4);
		if (t->transparent)
			png_set_tRNS(png, info, alpha, 2, NULL);
	} else if (t->transparent) {
		png_color_16 colour = {.red = 40, .green = 200, .blue = 120, .gray = 40};
		png_set_tRNS(png, info, NULL, 0, &colour);
	}
	uint8_t exif[32];
	if (t->orientation > 0) {
		test_exif(exif, t->orientation, true);
		png_set_eXIf_1(png, info, sizeof exif - 6, exif + 6);
	}
	png_write_info(png, info);
	size_t stride = png_get_rowbytes(png, info);
	uint8_t *pixels = calloc((size_t)t->height, stride);
	uint8_t **rows = malloc((size_t)t->height * sizeof *rows);
	assert_true(pixels && rows);
	for (int y = 0; y < t->height; y++) {
		rows[y] = pixels + (size_t)y * stride;
		t->row(t, y, rows[y]);
	}
	png_write_image(png, rows);
	png_write_end(png, info);
	png_destroy_write_struct(&png, &info);
	free(rows);
	free(pixels);
	return file;
}

/* Rows of 8 or 16 bits with as many channels as the type has; 16 bits: the low byte is noise that has to go. */
static inline void test_plain_row(const test_png *t, int y, uint8_t *to)
{
	int channels = t->type == PNG_COLOR_TYPE_GRAY	      ? 1
		       : t->type == PNG_COLOR_TYPE_GRAY_ALPHA ? 2
		       : t->type == PNG_COLOR_TYPE_RGB	      ? 3
							      : 4;
	for (int x = 0; x < t->width; x++) {
		for (int c = 0; c < channels; c++) {
			bool alpha = c == channels - 1 && (channels == 2 || channels == 4);
			*to++ = (uint8_t)(alpha ? (x + y) % 3 * 127 : test_value(x, y, c));
			if (t->depth == 16)
				*to++ = (uint8_t)(x * 89 + y * 57);
		}
	}
}

#endif
