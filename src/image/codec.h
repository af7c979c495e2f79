/* What the files of this folder share. */
#ifndef IMAGE_CODEC_H
#define IMAGE_CODEC_H

#include "image/image.h"

/* width and height from a header, against IMAGE_PIXEL_LIMIT. */
bm_status image_check_size(uint64_t width, uint64_t height, bm_error *err);
/* pixels for out->width x height x channels, not zeroed. */
bm_status image_allocate(image *out, bm_error *err);
/* Turns the pixels as EXIF orientation 2 to 8 asks for; 1 and anything else: as they are. */
bm_status image_orient(image *img, int orientation, bm_error *err);

/* EXIF orientation 1 to 8 of a JPEG, or of a TIFF block ("II*" or "MM*"); 1 when there is none or it is damaged. */
int image_exif_jpeg(const uint8_t *bytes, size_t size);
int image_exif_tiff(const uint8_t *bytes, size_t size);

/* ITU-R 601 luminance, rounded, as Pillow's convert("L"). */
static inline uint8_t image_luminance(unsigned r, unsigned g, unsigned b)
{
	return (uint8_t)((r * 19595u + g * 38470u + b * 7471u + 0x8000u) >> 16);
}

/* a * b / 255, rounded, for 0 to 255. */
static inline unsigned image_multiply(unsigned a, unsigned b)
{
	unsigned t = a * b + 128u;
	return (t + (t >> 8)) >> 8;
}

/* The two formats, behind image_inspect and image_decode, which check the arguments. They hand back width, height and
 * pixels as stored; turning them is left to the caller. */
bm_status image_jpeg_inspect(const uint8_t *bytes, size_t size, image_info *info, bm_error *err);
bm_status image_jpeg_decode(const uint8_t *bytes, size_t size, int channels, int min_width, int min_height, image *out,
			    bm_error *err);
bm_status image_png_inspect(const uint8_t *bytes, size_t size, image_info *info, bm_error *err);
bm_status image_png_decode(const uint8_t *bytes, size_t size, int channels, image *out, int *orientation,
			   bm_error *err);

#endif
