#include <hdf5.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "model/hdf5_file.h"
#include "model/hdf5_lock.h"

#define STEP ((size_t)16 << 20) /* bytes by which the file in memory grows */

struct model_hdf5_writer {
	hid_t file;
};

static bm_status fail(bm_error *err, const char *what)
{
	return base_fail(err, BM_ERR_IO, "HDF5 could not write %s: most likely there is not enough memory", what);
}

bm_status model_hdf5_create(model_hdf5_writer **out, bm_error *err)
{
	model_hdf5_writer *w = base_calloc(1, sizeof(*w), "an HDF5 writer", err);
	model_hdf5_lock lock;
	char name[MODEL_HDF5_NAME_SIZE];
	hid_t access;

	*out = NULL;
	if (!w)
		return BM_ERR_MEMORY;
	model_hdf5_enter(&lock);
	w->file = -1;
	access = H5Pcreate(H5P_FILE_ACCESS);
	/* In memory only: no such file is made. */
	if (access >= 0 && H5Pset_fapl_core(access, STEP, false) >= 0)
		w->file = H5Fcreate(model_hdf5_new_name(name), H5F_ACC_TRUNC, H5P_DEFAULT, access);
	if (access >= 0)
		H5Pclose(access);
	model_hdf5_leave(&lock);
	if (w->file < 0) {
		base_free(w);
		return fail(err, "a new file");
	}
	*out = w;
	return BM_OK;
}

static bool write_name(hid_t group, const char *name)
{
	hid_t type = H5Tcopy(H5T_C_S1), space = H5Screate(H5S_SCALAR), attribute = -1;
	bool good = false;

	if (type >= 0 && space >= 0 && H5Tset_size(type, H5T_VARIABLE) >= 0 && H5Tset_cset(type, H5T_CSET_UTF8) >= 0)
		attribute = H5Acreate2(group, "name", type, space, H5P_DEFAULT, H5P_DEFAULT);
	if (attribute >= 0)
		good = H5Awrite(attribute, type, &name) >= 0;
	if (attribute >= 0)
		H5Aclose(attribute);
	if (space >= 0)
		H5Sclose(space);
	if (type >= 0)
		H5Tclose(type);
	return good;
}

bm_status model_hdf5_add_group(model_hdf5_writer *w, const char *path, const char *name, bm_error *err)
{
	char full[MODEL_ARRAY_NAME_SIZE + 8];
	model_hdf5_lock lock;
	hid_t group = -1, links;
	bool good = false;

	snprintf(full, sizeof(full), "%s%svars", path, path[0] ? "/" : "");
	model_hdf5_enter(&lock);
	links = H5Pcreate(H5P_LINK_CREATE);
	if (links >= 0 && H5Pset_create_intermediate_group(links, 1) >= 0)
		group = H5Gcreate2(w->file, full, links, H5P_DEFAULT, H5P_DEFAULT);
	if (group >= 0) {
		good = write_name(group, name);
		H5Gclose(group);
	}
	if (links >= 0)
		H5Pclose(links);
	model_hdf5_leave(&lock);
	return good ? BM_OK : fail(err, full);
}

static bm_status add(model_hdf5_writer *w, const char *name, int rank, const hsize_t *shape, hid_t in_file,
		     hid_t in_memory, const void *values, bm_error *err)
{
	hid_t space = -1, create = -1, set = -1;
	bool good = false;

	space = rank > 0 ? H5Screate_simple(rank, shape, NULL) : H5Screate(H5S_SCALAR);
	create = H5Pcreate(H5P_DATASET_CREATE);
	/* No time of writing in the file. */
	if (space >= 0 && create >= 0 && H5Pset_obj_track_times(create, false) >= 0)
		set = H5Dcreate2(w->file, name, in_file, space, H5P_DEFAULT, create, H5P_DEFAULT);
	if (set >= 0)
		good = H5Dwrite(set, in_memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0;
	if (set >= 0)
		H5Dclose(set);
	if (create >= 0)
		H5Pclose(create);
	if (space >= 0)
		H5Sclose(space);
	return good ? BM_OK : fail(err, name);
}

bm_status model_hdf5_add(model_hdf5_writer *w, const model_array *array, const float *values, bm_error *err)
{
	hsize_t shape[MODEL_RANK_MAX];
	model_hdf5_lock lock;
	bm_status status;

	for (int i = 0; i < array->rank; i++)
		shape[i] = (hsize_t)array->shape[i];
	model_hdf5_enter(&lock);
	status = add(w, array->name, array->rank, shape, H5T_IEEE_F32LE, H5T_NATIVE_FLOAT, values, err);
	model_hdf5_leave(&lock);
	return status;
}

bm_status model_hdf5_add_integer(model_hdf5_writer *w, const char *name, int64_t value, bm_error *err)
{
	model_hdf5_lock lock;
	bm_status status;

	model_hdf5_enter(&lock);
	status = add(w, name, 0, NULL, H5T_STD_I64LE, H5T_NATIVE_INT64, &value, err);
	model_hdf5_leave(&lock);
	return status;
}

bm_status model_hdf5_finish(model_hdf5_writer *w, uint8_t **bytes, size_t *size, bm_error *err)
{
	model_hdf5_lock lock;
	ssize_t length = -1;
	bool good = false;

	*bytes = NULL;
	model_hdf5_enter(&lock);
	if (H5Fflush(w->file, H5F_SCOPE_LOCAL) >= 0)
		length = H5Fget_file_image(w->file, NULL, 0);
	if (length > 0) {
		*bytes = base_malloc((size_t)length, 1, "the weights file", err);
		good = *bytes && H5Fget_file_image(w->file, *bytes, (size_t)length) == length;
	}
	model_hdf5_leave(&lock);
	if (length > 0 && !*bytes)
		return BM_ERR_MEMORY;
	if (!good) {
		base_free(*bytes);
		*bytes = NULL;
		return fail(err, "the weights file");
	}
	*size = (size_t)length;
	return BM_OK;
}

void model_hdf5_discard(model_hdf5_writer *w)
{
	model_hdf5_lock lock;

	if (!w)
		return;
	model_hdf5_enter(&lock);
	H5Fclose(w->file);
	model_hdf5_leave(&lock);
	base_free(w);
}
