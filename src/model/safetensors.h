/* Safetensors files (github.com/huggingface/safetensors): 8 bytes that say how long the header is, the header in JSON with each array's type,
 * shape and place, and the arrays' bytes, without gaps, little-endian. */
#ifndef MODEL_SAFETENSORS_H
#define MODEL_SAFETENSORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "model/array.h"

/* True when the first bytes of a file, `size` of them, at least 9, may be those of a safetensors file. */
bool model_safetensors_begins(const uint8_t *bytes, size_t size);

/* ---- writing ---- */

/* Writes arrays[count] as F32, values[i] being [product of the shape], with one entry in the header's metadata. Whole or not at all.
 * `half`: kernels (arrays of two dimensions or more) as F16, rounded to the nearest, ties to even; vectors stay F32: biases and batch norms'
 * statistics, whose range is wide and which take no space. BM_ERR_NUMERIC names an array with a value that F16 cannot hold. */
bm_status model_safetensors_write(const char *path, const model_array *arrays, const float *const *values, int count,
				  bool half, const char *key, const char *text, bm_error *err);
/* IEEE half precision, rounded to the nearest, ties to even; false: beyond 65504, or not a number. */
bool model_to_half(float value, uint16_t *half);

/* ---- reading, of files that may be hostile ---- */

typedef struct model_safetensors model_safetensors;

/* `bytes` must outlive the reader. F16, BF16, F32 and F64 are read; PyTorch's counters (num_batches_tracked) are passed over, any other type
 * is BM_ERR_FORMAT. `name` is for messages. Errors: BM_ERR_FORMAT, BM_ERR_LIMIT, BM_ERR_MEMORY. */
bm_status model_safetensors_open(const uint8_t *bytes, size_t size, const char *name, model_safetensors **out,
				 bm_error *err);
int model_safetensors_count(const model_safetensors *s);
const model_array *model_safetensors_get(const model_safetensors *s, int index);
/* An entry of the metadata; NULL when there is none. Valid until the reader is closed. */
const char *model_safetensors_metadata(const model_safetensors *s, const char *key);
void model_safetensors_read(const model_safetensors *s, int index, float *values); /* [product of the shape] */
void model_safetensors_close(model_safetensors *s);				   /* NULL is allowed */

#endif
