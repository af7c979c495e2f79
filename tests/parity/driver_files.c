/* Commands about files of other libraries. */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
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
	options.depth = theirs.depth;
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

/* compile MODEL OUT.keras LAST DECAY: the model with an optimizer whose moments are m[i] = i / 1000 and v[i] = i / 10, after 7 steps. */
int command_compile(int argc, char **argv)
{
	model_optimizer o = {.learning_rate = 2e-4f, .beta1 = .9f, .beta2 = .999f, .epsilon = 1e-7f, .steps = 7};
	int64_t total, trainable;
	float *moments;
	model m;
	bm_error err;

	if (argc != 4)
		return 2;
	driver_check(model_load(argv[0], &m, &err), &err);
	model_set_trainable(&m, MODEL_LAST_LAYERS, atoi(argv[2]));
	o.weight_decay = (float)atof(argv[3]);
	o.clip_norm = o.weight_decay > 0 ? 1 : 0;
	nn_weights_counts(&m.graph, &m.weights, &total, &trainable);
	moments = base_malloc((size_t)trainable, 2 * sizeof(float), "moments", &err);
	if (!moments)
		driver_fail("%s", err.message);
	for (int64_t i = 0; i < trainable; i++) {
		moments[i] = (float)i / 1000;
		moments[trainable + i] = (float)i / 10;
	}
	o.m = moments;
	o.v = moments + trainable;
	driver_check(model_save_compiled(&m, &o, argv[1], &err), &err);
	base_free(moments);
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
		driver_check(model_save_safetensors(&m, false, argv[1], &err), &err);
	else
		driver_check(model_save_onnx(&m,
					     strcmp(argv[2], "uint8") == 0 ? MODEL_PIXELS_UINT8 : MODEL_PIXELS_FLOAT32,
					     argv[1], &err),
			     &err);
	model_free(&m);
	return 0;
}
