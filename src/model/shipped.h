/* The model that ships with the program: models/brain-mri-compact.safetensors and its card, within the program and the library. */
#ifndef MODEL_SHIPPED_H
#define MODEL_SHIPPED_H

#include <stddef.h>
#include <stdint.h>

#define MODEL_SHIPPED_NAME "shipped" /* what stands where a path would */

/* Static storage, read from the program's file when it is used; NULL, *size 0: it was built without a model. */
const uint8_t *model_shipped(size_t *size);
const char *model_shipped_card(void); /* Markdown; NULL likewise */

#endif
