/* Arrays of floats in an HDF5 file that lies in memory, laid out as Keras 3 does: "layers/NAME/vars/0", and the layer's own name in an
 * attribute of "vars". Safe to call from several threads (one at a time gets into libhdf5). */
#ifndef MODEL_HDF5_FILE_H
#define MODEL_HDF5_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define MODEL_HDF5_RANK_MAX 4
#define MODEL_HDF5_PATH_SIZE 160

typedef struct model_hdf5_array {
	char path[MODEL_HDF5_PATH_SIZE]; /* "layers/dense/vars/0" */
	int rank;
	int shape[MODEL_HDF5_RANK_MAX];
} model_hdf5_array;

/* ---- writing ---- */

typedef struct model_hdf5_writer model_hdf5_writer;

bm_status model_hdf5_create(model_hdf5_writer **out, bm_error *err);
/* Adds the group `path`/vars ("layers/dense"; "" is the model itself) with the attribute name = `name`. */
bm_status model_hdf5_add_group(model_hdf5_writer *w, const char *path, const char *name, bm_error *err);
/* Adds one array to a group that was added before. values: [product of the shape]. */
bm_status model_hdf5_add(model_hdf5_writer *w, const model_hdf5_array *array, const float *values, bm_error *err);
/* The file's bytes, the caller's (base_free). The same arrays give the same bytes. */
bm_status model_hdf5_finish(model_hdf5_writer *w, uint8_t **bytes, size_t *size, bm_error *err);
void model_hdf5_discard(model_hdf5_writer *w); /* frees; also after finish; NULL is allowed */

/* ---- reading, of files that may be hostile ---- */

typedef struct model_hdf5_reader model_hdf5_reader;

/* `bytes` must outlive the reader. Lists every array "layers/NAME/vars/NUMBER"; other things in the file are passed over. `name` is for
 * messages. Errors: BM_ERR_FORMAT, BM_ERR_LIMIT, BM_ERR_MEMORY. */
bm_status model_hdf5_open(const void *bytes, size_t size, const char *name, model_hdf5_reader **out, bm_error *err);
int model_hdf5_count(const model_hdf5_reader *r);
const model_hdf5_array *model_hdf5_get(const model_hdf5_reader *r, int index);
int model_hdf5_find(const model_hdf5_reader *r, const char *path); /* -1: there is none */
/* values: [product of the shape]; 16 and 64 bit floats are converted. */
bm_status model_hdf5_read(model_hdf5_reader *r, int index, float *values, bm_error *err);
void model_hdf5_close(model_hdf5_reader *r); /* NULL is allowed */

#endif
