#include "image/png_support.h"

#include "base/memory.h"

png_voidp image_png_take(png_structp png, png_alloc_size_t size)
{
	image_png *f = png_get_mem_ptr(png);
	void *block = base_malloc(size, 1, "a PNG file", f->err);
	if (!block)
		f->status = BM_ERR_MEMORY;
	return block;
}

void image_png_give(png_structp png, png_voidp block)
{
	(void)png;
	base_free(block);
}

void image_png_silence(png_structp png, png_const_charp reason)
{
	(void)png;
	(void)reason;
}
