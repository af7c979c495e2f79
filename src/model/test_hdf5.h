/* For tests: HDF5 files that are made in memory, as bytes. */
#ifndef MODEL_TEST_HDF5_H
#define MODEL_TEST_HDF5_H

#include <cmocka.h>
#include <hdf5.h>
#include <stdint.h>

#include "base/memory.h"

static inline hid_t test_hdf5_begin(const char *name)
{
	hid_t access = H5Pcreate(H5P_FILE_ACCESS), file;

	H5Pset_fapl_core(access, 1 << 16, false);
	file = H5Fcreate(name, H5F_ACC_TRUNC, H5P_DEFAULT, access);
	assert_true(file >= 0);
	H5Pclose(access);
	return file;
}

/* Closes it; the bytes are the caller's to base_free. */
static inline void test_hdf5_end(hid_t file, uint8_t **bytes, size_t *size)
{
	ssize_t length;

	H5Fflush(file, H5F_SCOPE_LOCAL);
	length = H5Fget_file_image(file, NULL, 0);
	assert_true(length > 0);
	*bytes = base_malloc((size_t)length, 1, "a file", NULL);
	assert_non_null(*bytes);
	assert_int_equal(H5Fget_file_image(file, *bytes, (size_t)length), length);
	*size = (size_t)length;
	H5Fclose(file);
}

#endif
