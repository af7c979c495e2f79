/* Arrays of floats in an HDF5 file that lies in memory. Written as Keras 3 does: "layers/NAME/vars/0", and the layer's own name in an
 * attribute of "vars"; read in that layout and in the one of Keras 2. Safe to call from several threads (one at a time gets into libhdf5). */
#ifndef MODEL_HDF5_FILE_H
#define MODEL_HDF5_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "model/array.h"

/* ---- writing ---- */

typedef struct model_hdf5_writer model_hdf5_writer;

bm_status model_hdf5_create(model_hdf5_writer **out, bm_error *err);
/* Adds the group `path`/vars ("layers/dense"; "" is the model itself) with the attribute name = `name`. */
bm_status model_hdf5_add_group(model_hdf5_writer *w, const char *path, const char *name, bm_error *err);
/* Adds one array to a group that was added before. values: [product of the shape]; rank 0 is one number. */
bm_status model_hdf5_add(model_hdf5_writer *w, const model_array *array, const float *values, bm_error *err);
/* Adds one 64-bit integer without dimensions. */
bm_status model_hdf5_add_integer(model_hdf5_writer *w, const char *name, int64_t value, bm_error *err);
/* The file's bytes, the caller's (base_free). The same arrays give the same bytes. */
bm_status model_hdf5_finish(model_hdf5_writer *w, uint8_t **bytes, size_t *size, bm_error *err);
void model_hdf5_discard(model_hdf5_writer *w); /* frees; also after finish; NULL is allowed */

/* ---- reading, of files that may be hostile ---- */

typedef struct model_hdf5_reader model_hdf5_reader;

/* `bytes` must outlive the reader. In Keras 3's layout lists every array "layers/NAME/vars/NUMBER"; in the older one (a root with the attribute
 * layer_names, or the group model_weights of a whole model) every array as "LAYER/ROLE", such as "conv1_conv/kernel". Other things in the file
 * are passed over. `name` is for messages. Errors: BM_ERR_FORMAT, BM_ERR_LIMIT, BM_ERR_MEMORY. */
bm_status model_hdf5_open(const void *bytes, size_t size, const char *name, model_hdf5_reader **out, bm_error *err);
bool model_hdf5_is_legacy(const model_hdf5_reader *r); /* the older layout */
int model_hdf5_count(const model_hdf5_reader *r);
const model_array *model_hdf5_get(const model_hdf5_reader *r, int index);
int model_hdf5_find(const model_hdf5_reader *r, const char *array); /* -1: there is none */
/* values: [product of the shape]; 16 and 64 bit floats are converted. */
bm_status model_hdf5_read(model_hdf5_reader *r, int index, float *values, bm_error *err);
void model_hdf5_close(model_hdf5_reader *r); /* NULL is allowed */

#endif
