/* JPEG by libjpeg-turbo, into memory. */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

#include "base/memory.h"
#include "image/codec.h"

typedef struct writer {
	struct jpeg_compress_struct jpeg;
	struct jpeg_error_mgr errors;
	jmp_buf jump;
	bm_error *err;
	bm_status status;
	const image *img;
	int quality;
	unsigned char *bytes; /* libjpeg's, by malloc */
	unsigned long size;
} writer;

static void on_error(j_common_ptr jpeg)
{
	writer *w = jpeg->client_data;
	char reason[JMSG_LENGTH_MAX];
	w->errors.format_message(jpeg, reason);
	w->status = base_fail(w->err, BM_ERR_INTERNAL, "cannot write a JPEG of %d x %d pixels: %s", w->img->width,
			      w->img->height, reason);
	longjmp(w->jump, 1);
}

static void on_message(j_common_ptr jpeg, int level)
{
	(void)jpeg;
	(void)level;
}

static void encode(writer *w)
{
	struct jpeg_compress_struct *jpeg = &w->jpeg;
	jpeg_create_compress(jpeg);
	jpeg_mem_dest(jpeg, &w->bytes, &w->size);
	jpeg->image_width = (JDIMENSION)w->img->width;
	jpeg->image_height = (JDIMENSION)w->img->height;
	jpeg->input_components = w->img->channels;
	jpeg->in_color_space = w->img->channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
	jpeg_set_defaults(jpeg);
	jpeg_set_quality(jpeg, w->quality, TRUE);
	jpeg->comp_info[0].h_samp_factor = jpeg->comp_info[0].v_samp_factor = 1; /* 4:4:4 */
	jpeg_start_compress(jpeg, TRUE);
	size_t stride = (size_t)w->img->width * (size_t)w->img->channels;
	while (jpeg->next_scanline < jpeg->image_height) {
		JSAMPROW row = w->img->pixels + jpeg->next_scanline * stride; /* only read */
		jpeg_write_scanlines(jpeg, &row, 1);
	}
	jpeg_finish_compress(jpeg);
}

static void run(writer *w)
{
	if (setjmp(w->jump) == 0)
		encode(w);
	jpeg_destroy_compress(&w->jpeg);
}

bm_status image_encode_jpeg(const image *img, int quality, uint8_t **bytes, size_t *size, bm_error *err)
{
	*bytes = NULL;
	*size = 0;
	if (!img->pixels || (img->channels != 1 && img->channels != 3) || quality < 1 || quality > 100 ||
	    img->width < 1 || img->height < 1 || img->width > JPEG_MAX_DIMENSION || img->height > JPEG_MAX_DIMENSION)
		return base_fail(err, BM_ERR_USAGE,
				 "cannot write a JPEG of %d x %d pixels, %d channels, quality %d: sides are 1 to %ld, "
				 "channels 1 or 3, quality 1 to 100",
				 img->width, img->height, img->channels, quality, (long)JPEG_MAX_DIMENSION);
	writer w = {.img = img, .quality = quality, .err = err};
	w.jpeg.err = jpeg_std_error(&w.errors);
	w.jpeg.client_data = &w;
	w.errors.error_exit = on_error;
	w.errors.emit_message = on_message;
	run(&w);
	if (w.status == BM_OK) {
		*bytes = base_malloc(w.size, 1, "a JPEG file", err);
		if (*bytes) {
			memcpy(*bytes, w.bytes, w.size);
			*size = w.size;
		} else {
			w.status = BM_ERR_MEMORY;
		}
	}
	free(w.bytes);
	return w.status;
}
