/* Pixels: JPEG and PNG decoded within limits, resized, written. */
#ifndef IMAGE_IMAGE_H
#define IMAGE_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define IMAGE_FILE_LIMIT ((size_t)64 << 20)  /* bytes */
#define IMAGE_PIXEL_LIMIT ((size_t)16 << 20) /* width * height, checked before decoding */

typedef struct image {
	int width, height, channels; /* channels: 1 grey, 3 RGB */
	uint8_t *pixels;	     /* [height][width][channels], owned */
} image;

typedef enum image_format { IMAGE_UNKNOWN, IMAGE_JPEG, IMAGE_PNG } image_format;

typedef struct image_info {
	image_format format;
	int width, height; /* as shown: EXIF orientation applied */
	int bit_depth;	   /* per channel: 1, 2, 4, 8, 16 */
	char mode[8];	   /* as Pillow names it: "1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16" */
	bool progressive;
	int orientation; /* EXIF, 1 to 8; 1 when there is none */
} image_info;

image_format image_sniff(const void *bytes, size_t size); /* by content */
const char *image_format_name(image_format format);	  /* "JPEG" */

/* Reads the header only, and checks the limits. BM_ERR_FORMAT: not an image, or damaged; BM_ERR_LIMIT: too large. */
bm_status image_inspect(const void *bytes, size_t size, image_info *info, bm_error *err);

/* Decodes to 1 (luminance, ITU-R 601) or 3 channels; CMYK and palettes converted, 16 bits cut to the
 * upper 8 of those that are used, transparency
 * over black, EXIF rotation applied. With min_width and min_height > 0 (of the picture as shown) a JPEG may be
 * decoded at the smallest DCT scale (1/1, 1/2, 1/4, 1/8) that is still at least that large. A truncated or corrupted
 * file is an error, not a grey half. On success out is the caller's (image_free); on failure it is zeroed. */
bm_status image_decode(const void *bytes, size_t size, int channels, int min_width, int min_height, image *out,
		       bm_error *err);
void image_free(image *img); /* safe on a zeroed image */

/* Antialiased resampling to out->width x out->height (set by the caller with channels; pixels are allocated when NULL):
 * triangle filter scaled with the reduction, as Pillow's BILINEAR; fixed-point, the same bytes everywhere. */
bm_status image_resize(const image *in, image *out, bm_error *err);
/* The same filter on grey images of floats, not rounded: in [count][from][from], out [count][to][to]. */
bm_status image_resize_floats(const float *in, size_t count, int from, float *out, int to, bm_error *err);

/* Makes a slice (one channel) look as all others do, in place, so that a network cannot learn what an export added: cuts empty margins and
 * uniform frames (no more than three quarters of a side), turns inverted grey levels (bright corners), and spreads the levels to 0..255,
 * 0.5 % at each end cut off. width and height shrink with the margins. A picture with nothing on it stays as it is. */
void image_keep_foreground(image *img);

/* PNG bytes of an image (for pictures and thumbnails); *bytes is the caller's (base_free). */
bm_status image_encode_png(const image *img, uint8_t **bytes, size_t *size, bm_error *err);
/* JPEG bytes, quality 1 to 100, grey or 4:4:4. */
bm_status image_encode_jpeg(const image *img, int quality, uint8_t **bytes, size_t *size, bm_error *err);

#endif
