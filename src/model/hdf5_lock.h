/* Around every use of libhdf5, which is not built for threads and prints its errors unless told not to. */
#ifndef MODEL_HDF5_LOCK_H
#define MODEL_HDF5_LOCK_H

#include <hdf5.h>

typedef struct model_hdf5_lock {
	H5E_auto2_t print; /* the caller's way of showing errors, put back by leave */
	void *data;
} model_hdf5_lock;

void model_hdf5_enter(model_hdf5_lock *lock);
void model_hdf5_leave(const model_hdf5_lock *lock);

#define MODEL_HDF5_NAME_SIZE 40
/* A name for a file in memory that no other has: HDF5 takes two of one name, both open, for the same file. Call it inside the lock. */
const char *model_hdf5_new_name(char buffer[MODEL_HDF5_NAME_SIZE]);

#endif
