/* What reading and writing with libpng share: memory of base/memory.h, and silence. */
#ifndef IMAGE_PNG_SUPPORT_H
#define IMAGE_PNG_SUPPORT_H

#include <png.h>

#include "base/error.h"

/* One file being read or written; libpng's memory pointer. */
typedef struct image_png {
	png_structp png;
	png_infop head;
	bm_error *err;
	bm_status status; /* BM_ERR_MEMORY once an allocation has failed */
} image_png;

png_voidp image_png_take(png_structp png, png_alloc_size_t size);
void image_png_give(png_structp png, png_voidp block);
void image_png_silence(png_structp png, png_const_charp reason);

#endif
