/* Runtimes of other programs, for checking what was exported. */
#ifndef PHASES_RUNTIME_H
#define PHASES_RUNTIME_H

#include <stdint.h>

#include "base/observer.h"

/* Runs images [count][side][side][channels] through an ONNX file with the Python module onnxruntime. The Python is the environment's
 * BRAINMRI_PYTHON, else python3. probabilities: [count][classes]; version: "onnxruntime 1.32.0", at least 64 bytes.
 * BM_ERR_UNSUPPORTED when there is no such Python or module, with what to do. */
typedef struct phase_onnx_job {
	const char *file;
	const uint8_t *images;
	size_t count;
	int side, channels, classes, threads;
	float *probabilities;
	char version[64];
} phase_onnx_job;
bm_status phase_onnxruntime(phase_onnx_job *job, const base_observer *observer, bm_error *err);

#endif
