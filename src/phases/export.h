/* Exports: a trained model as a file for other programs, checked on the run's validation images before it gets its name. */
#ifndef PHASES_EXPORT_H
#define PHASES_EXPORT_H

#include "phases/context.h"

typedef enum phase_format { PHASE_KERAS, PHASE_SAFETENSORS, PHASE_ONNX, PHASE_FORMATS } phase_format;
const char *phase_format_name(phase_format format); /* "keras", "safetensors", "onnx" */
bool phase_format_parse(const char *text, phase_format *format);

typedef struct phase_export_options {
	const char *model; /* file; NULL: the run's best model */
	phase_format format;
	model_pixels pixels; /* of ONNX: what the graph takes */
	bool half;	     /* of safetensors: kernels in half precision */
	/* Run folder or model file whose temperature and abstain threshold the file gets in place of the model's own; NULL: its own. For a model of
	 * nearly all images, whose few validation images chose its epoch: a run of the same recipe on the default split knows better. */
	const char *calibration;
	const char *out;
} phase_export_options;

/* With a run folder (context->folder) the exported file is run on the validation images, by onnxruntime where it is found or by this program's
 * own reader: BM_ERR_NUMERIC, and no file, when it answers otherwise than the model; with `half`, when the accuracy falls by more than 0.002 or
 * more than one image in a hundred changes its class. Says what it did through context->observer and in context->json. */
bm_status phase_export(phase_context *context, const phase_export_options *options, bm_error *err);

#endif
