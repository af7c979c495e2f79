#include "model/shipped.h"

#ifdef MODEL_IS_SHIPPED
#include <shipped_files.h> /* SHIPPED_MODEL and SHIPPED_CARD: their paths (meson.build) */

/* Read-only data: the kernel maps it from the program's file, page by page, when it is first read. */
__asm__(".pushsection .rodata, \"a\"\n"
	".balign 64\n"
	".local shipped_model\n"
	"shipped_model: .incbin \"" SHIPPED_MODEL "\"\n"
	".local shipped_model_end\n"
	"shipped_model_end: .byte 0\n"
	".local shipped_card\n"
	"shipped_card: .incbin \"" SHIPPED_CARD "\"\n"
	".byte 0\n"
	".popsection\n");

extern const uint8_t shipped_model[] __attribute__((visibility("hidden")));
extern const uint8_t shipped_model_end[] __attribute__((visibility("hidden")));
extern const char shipped_card[] __attribute__((visibility("hidden")));

const uint8_t *model_shipped(size_t *size)
{
	*size = (size_t)(shipped_model_end - shipped_model);
	return shipped_model;
}

const char *model_shipped_card(void)
{
	return shipped_card;
}
#else
const uint8_t *model_shipped(size_t *size)
{
	*size = 0;
	return NULL;
}

const char *model_shipped_card(void)
{
	return NULL;
}
#endif
