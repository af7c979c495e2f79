/* The commands of the parity driver: small pieces of the program, run on raw float files that a Python script wrote, so that it can
 * compare with Keras. Errors end the driver with status 1 and a message. */
#ifndef PARITY_DRIVER_H
#define PARITY_DRIVER_H

#include "model/model.h"

/* Ends the driver when status is not BM_OK. */
void driver_check(bm_status status, const bm_error *err);
/* Ends the driver with a message. */
void driver_fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* Whole files of little-endian float32 below `folder`. Freed with base_free. */
float *driver_read_floats(const char *folder, const char *name, size_t count); /* exactly count, or the driver fails */
void driver_write_floats(const char *folder, const char *name, const float *values, size_t count);

/* A run of one layer list: see command_graph. */
typedef struct driver_spec {
	nn_graph graph;
	int batch, height, width, channels;
	bool training;
} driver_spec;
void driver_read_spec(const char *folder, driver_spec *spec);

/* Writes the gradients of all trainable arrays in Keras' layout, one behind the other in the order of nn_weights. */
void driver_write_gradients(const char *folder, const char *name, nn_network *network, const nn_weights *weights);

/* Sets every dropout rate to 0: Keras' masks cannot be drawn here. */
void driver_no_dropout(nn_graph *graph);

/* commands that need src/train: driver_train.c */
int command_optimizer(int argc, char **argv);
int command_steps(int argc, char **argv);
/* commands about files of other libraries: driver_files.c */
int command_start(int argc, char **argv);
int command_compile(int argc, char **argv);
int command_export(int argc, char **argv);

#endif
