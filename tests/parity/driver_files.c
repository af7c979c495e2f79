/* Commands about files of other libraries. */
#include <stdlib.h>
#include <string.h>

#include "driver.h"
#include "model/resnet50.h"

static const char *const names[] = {"glioma", "meningioma", "notumor", "pituitary"};

/* start WEIGHTS OUT.keras SIZE HEAD CLASSES: a new model that begins with a file's weights, built as the file wants it. */
int command_start(int argc, char **argv)
{
	model_options options = {0}, theirs;
	bool head_taken;
	model m;
	bm_error err;

	if (argc != 5 || !model_head_parse(argv[3], &options.head) || atoi(argv[4]) > 4)
		return 2;
	driver_check(model_peek(argv[0], &theirs, &err), &err);
	options.width = theirs.width;
	options.image_size = atoi(argv[2]);
	options.channels = 3;
	options.classes = atoi(argv[4]);
	options.variant = theirs.variant;
	options.input = theirs.input;
	driver_check(model_create(&options, names, false, 1, &m, &err), &err);
	driver_check(model_load_weights(&m, argv[0], &head_taken, &err), &err);
	driver_check(model_save(&m, argv[1], &err), &err);
	model_free(&m);
	return 0;
}

/* export MODEL OUT safetensors|uint8|float32: the latter two are ONNX files that take such pixels. */
int command_export(int argc, char **argv)
{
	model m;
	bm_error err;

	if (argc != 3)
		return 2;
	driver_check(model_load(argv[0], &m, &err), &err);
	if (strcmp(argv[2], "safetensors") == 0)
		driver_check(model_save_safetensors(&m, argv[1], &err), &err);
	else
		driver_check(model_save_onnx(&m,
					     strcmp(argv[2], "uint8") == 0 ? MODEL_PIXELS_UINT8 : MODEL_PIXELS_FLOAT32,
					     argv[1], &err),
			     &err);
	model_free(&m);
	return 0;
}
