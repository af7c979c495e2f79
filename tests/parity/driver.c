#include "driver.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/random.h"
#include "model/predict.h"
#include "model/resnet50.h"

#define THREADS 2

void driver_fail(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	fputs("parity driver: ", stderr);
	vfprintf(stderr, format, arguments);
	fputc('\n', stderr);
	va_end(arguments);
	exit(1);
}

void driver_check(bm_status status, const bm_error *err)
{
	if (status != BM_OK)
		driver_fail("%s", err->message);
}

float *driver_read_floats(const char *folder, const char *name, size_t count)
{
	uint8_t *bytes;
	size_t size;
	bm_error err;
	char *path = base_path_join(folder, name, &err);

	if (!path)
		driver_fail("%s", err.message);
	driver_check(base_file_read(path, (size_t)4 << 30, &bytes, &size, &err), &err);
	if (size != count * sizeof(float))
		driver_fail("'%s' has %zu bytes, not %zu", path, size, count * sizeof(float));
	base_free(path);
	return (float *)(void *)bytes;
}

void driver_write_floats(const char *folder, const char *name, const float *values, size_t count)
{
	bm_error err;
	char *path = base_path_join(folder, name, &err);

	if (!path)
		driver_fail("%s", err.message);
	driver_check(base_file_write(path, values, count * sizeof(float), &err), &err);
	base_free(path);
}

static nn_type type_of(const char *keras)
{
	for (int t = 0; t < NN_TYPE_COUNT; t++) {
		if (strcmp(nn_type_keras((nn_type)t), keras) == 0)
			return (nn_type)t;
	}
	driver_fail("spec.json: no layer type '%s'", keras);
}

static void add_layer(nn_graph *graph, json_t *json)
{
	const char *type, *name, *activation = "linear";
	nn_layer layer = {.trainable = true, .kernel = 1, .stride = 1, .epsilon = 1e-3f, .momentum = .99f};
	int inputs[2] = {0, 0}, trainable = 1, bias = 1, index;
	double epsilon = 1e-3, momentum = .99, rate = 0;
	json_t *from = NULL;
	json_error_t problem;
	bm_error err;

	if (json_unpack_ex(json, &problem, 0, "{s:s, s:s, s?o, s?b, s?i, s?i, s?i, s?i, s?b, s?s, s?F, s?F, s?F}",
			   "type", &type, "name", &name, "inputs", &from, "trainable", &trainable, "units",
			   &layer.units, "kernel", &layer.kernel, "stride", &layer.stride, "padding", &layer.padding,
			   "bias", &bias, "activation", &activation, "epsilon", &epsilon, "momentum", &momentum, "rate",
			   &rate) != 0)
		driver_fail("spec.json: %s", problem.text);
	layer.type = type_of(type);
	snprintf(layer.name, sizeof(layer.name), "%s", name);
	layer.trainable = trainable;
	layer.bias = bias;
	layer.epsilon = (float)epsilon;
	layer.momentum = (float)momentum;
	layer.rate = (float)rate;
	layer.activation = strcmp(activation, "softmax") == 0 ? NN_SOFTMAX
			   : strcmp(activation, "relu") == 0  ? NN_ACTIVATION_RELU
							      : NN_LINEAR;
	if (layer.type == NN_RESCALE) {
		for (int c = 0; c < NN_CHANNELS_RESCALED; c++) {
			layer.scale[c] =
				(float)json_number_value(json_array_get(json_object_get(json, "scale"), (size_t)c));
			layer.offset[c] =
				(float)json_number_value(json_array_get(json_object_get(json, "offset"), (size_t)c));
		}
	}
	for (int i = 0; i < 2 && i < (int)json_array_size(from); i++) {
		inputs[i] = nn_graph_find(graph, json_string_value(json_array_get(from, (size_t)i)));
		if (inputs[i] < 0)
			driver_fail("spec.json: an input of '%s' is not an earlier layer", name);
	}
	if (json_array_size(from) == 2)
		driver_check(nn_graph_add2(graph, &layer, inputs[0], inputs[1], &index, &err), &err);
	else
		driver_check(nn_graph_add(graph, &layer, layer.type == NN_INPUT ? -1 : inputs[0], &index, &err), &err);
}

void driver_read_spec(const char *folder, driver_spec *spec)
{
	json_t *json, *layers, *layer;
	json_error_t problem;
	int training = 0;
	size_t i;
	bm_error err;
	char *path = base_path_join(folder, "spec.json", &err);

	memset(spec, 0, sizeof(*spec));
	if (!path)
		driver_fail("%s", err.message);
	json = json_load_file(path, 0, &problem);
	if (!json || json_unpack_ex(json, &problem, 0, "{s:i, s:i, s:i, s:i, s:b, s:o}", "batch", &spec->batch,
				    "height", &spec->height, "width", &spec->width, "channels", &spec->channels,
				    "training", &training, "layers", &layers) != 0)
		driver_fail("'%s': %s", path, problem.text);
	spec->training = training;
	json_array_foreach(layers, i, layer) add_layer(&spec->graph, layer);
	driver_check(nn_graph_infer(&spec->graph, spec->height, spec->width, spec->channels, &err), &err);
	json_decref(json);
	base_free(path);
}

void driver_no_dropout(nn_graph *graph)
{
	for (int i = 0; i < graph->count; i++) {
		if (graph->layers[i].type == NN_DROPOUT)
			graph->layers[i].rate = 0;
	}
}

void driver_write_gradients(const char *folder, const char *name, nn_network *network, const nn_weights *weights)
{
	float *all, *next;
	size_t count = 0;
	bm_error err;
	int n = nn_network_parameter_count(network);

	for (int i = 0; i < n; i++)
		count += weights->items[nn_network_parameter(network, i)->weight].count;
	all = next = base_malloc(count, sizeof(float), "gradients", &err);
	if (!all)
		driver_fail("%s", err.message);
	/* In the order of the weights, whatever the network's. */
	for (int w = 0; w < weights->count; w++) {
		for (int i = 0; i < n; i++) {
			const nn_parameter *p = nn_network_parameter(network, i);

			if (p->weight != w)
				continue;
			driver_check(nn_parameter_to_keras(network, i, p->gradient, next, &err), &err);
			next += weights->items[w].count;
		}
	}
	driver_write_floats(folder, name, all, count);
	base_free(all);
}

/* Forward, and for training also backward, of the network whose batch lies in the folder. Reads images.f32 and gradient.f32; writes
 * probabilities.f32, gradients.f32 and weights_after.f32 (all weights: the moving statistics have moved). */
static void run(const char *folder, const driver_spec *spec, nn_weights *weights)
{
	const nn_layer *last = &spec->graph.layers[spec->graph.count - 1];
	size_t pixels = (size_t)spec->batch * (size_t)spec->height * (size_t)spec->width * (size_t)spec->channels;
	size_t outputs = (size_t)spec->batch * (size_t)last->channels;
	nn_options options = {.batch = spec->batch,
			      .height = spec->height,
			      .width = spec->width,
			      .channels = spec->channels,
			      .training = spec->training,
			      .threads = THREADS,
			      .seed = 1};
	float *images = driver_read_floats(folder, "images.f32", pixels), *gradient;
	nn_network *network;
	float *probabilities;
	bm_error err;

	probabilities = base_malloc(outputs, sizeof(float), "probabilities", &err);
	if (!probabilities)
		driver_fail("%s", err.message);
	driver_check(nn_network_create(&spec->graph, weights, &options, &network, &err), &err);
	driver_check(nn_network_forward(network, images, spec->batch, spec->training, 0, probabilities, &err), &err);
	driver_write_floats(folder, "probabilities.f32", probabilities, outputs);
	if (spec->training) {
		gradient = driver_read_floats(folder, "gradient.f32", outputs);
		driver_check(nn_network_backward(network, gradient, &err), &err);
		driver_write_gradients(folder, "gradients.f32", network, weights);
		driver_check(nn_network_store(network, weights, &err), &err);
		driver_write_floats(folder, "weights_after.f32", weights->storage, weights->total);
		base_free(gradient);
	}
	nn_network_free(network);
	base_free(probabilities);
	base_free(images);
}

/* graph FOLDER: the network of spec.json with the weights of weights.f32. */
static int command_graph(int argc, char **argv)
{
	driver_spec spec;
	nn_weights weights;
	float *values;
	bm_error err;

	if (argc != 1)
		return 2;
	driver_read_spec(argv[0], &spec);
	driver_check(nn_weights_create(&spec.graph, &weights, &err), &err);
	values = driver_read_floats(argv[0], "weights.f32", weights.total);
	memcpy(weights.storage, values, weights.total * sizeof(float));
	run(argv[0], &spec, &weights);
	base_free(values);
	nn_weights_free(&weights);
	nn_graph_free(&spec.graph);
	return 0;
}

/* create OUT.keras WIDTH SIZE CHANNELS HEAD CLASSES SEED [compact|DEPTH]: a model as a file, no array of it all zeros or all ones. */
static int command_create(int argc, char **argv)
{
	static const char *const names[] = {"glioma", "meningioma", "notumor", "pituitary", "e", "f", "g", "h"};
	model_options options = {0};
	model m;
	bm_error err;

	if (argc != 7 && argc != 8)
		return 2;
	options.width = atof(argv[1]);
	options.image_size = atoi(argv[2]);
	options.channels = atoi(argv[3]);
	options.classes = atoi(argv[5]);
	options.variant = argc == 8 && strcmp(argv[7], "compact") == 0 ? MODEL_COMPACT : MODEL_V1;
	options.depth = argc == 8 ? atoi(argv[7]) : 0;
	if (!model_head_parse(argv[4], &options.head) || options.classes > 8)
		return 2;
	driver_check(model_create(&options, names, false, strtoull(argv[6], NULL, 10), &m, &err), &err);
	for (int i = 0; i < m.weights.count; i++) {
		nn_weight *w = &m.weights.items[i];
		base_random r = base_random_make(strtoull(argv[6], NULL, 10), 1000 + (uint64_t)i);

		for (size_t k = 0; w->role != NN_KERNEL && k < w->count; k++)
			w->values[k] += w->role == NN_MOVING_VARIANCE ? base_random_range(&r, -.3f, .3f)
								      : base_random_range(&r, -.1f, .1f);
	}
	driver_check(model_save(&m, argv[0], &err), &err);
	model_free(&m);
	return 0;
}

/* forward MODEL FOLDER SIZE COUNT: the predictor on images.f32, batches of 4; writes probabilities.f32. */
static int command_forward(int argc, char **argv)
{
	model_predictor *predictor;
	float *images, *probabilities;
	int size, count;
	model m;
	bm_error err;

	if (argc != 4)
		return 2;
	size = atoi(argv[2]);
	count = atoi(argv[3]);
	driver_check(model_load(argv[0], &m, &err), &err);
	images = driver_read_floats(argv[1], "images.f32", (size_t)(count * size * size * m.options.channels));
	probabilities = base_malloc((size_t)(count * m.options.classes), sizeof(float), "probabilities", &err);
	if (!probabilities)
		driver_fail("%s", err.message);
	driver_check(model_predictor_create(&m, 4, size, THREADS, &predictor, &err), &err);
	driver_check(model_predictor_run(predictor, images, count, probabilities, &err), &err);
	driver_write_floats(argv[1], "probabilities.f32", probabilities, (size_t)(count * m.options.classes));
	model_predictor_free(predictor);
	base_free(images);
	base_free(probabilities);
	model_free(&m);
	return 0;
}

/* gradients MODEL FOLDER SIZE BATCH LAST: a training pass without dropout, the last LAST layers of the base and the head
 * trainable (-1: all). */
static int command_gradients(int argc, char **argv)
{
	driver_spec spec = {.training = true};
	model m;
	bm_error err;

	if (argc != 5)
		return 2;
	driver_check(model_load(argv[0], &m, &err), &err);
	driver_no_dropout(&m.graph);
	model_set_trainable(&m, atoi(argv[4]) < 0 ? MODEL_ALL : MODEL_LAST_LAYERS, atoi(argv[4]));
	spec.height = spec.width = atoi(argv[2]);
	spec.batch = atoi(argv[3]);
	spec.channels = m.options.channels;
	driver_check(nn_graph_copy(&m.graph, &spec.graph, &err), &err);
	driver_check(nn_graph_infer(&spec.graph, spec.height, spec.width, spec.channels, &err), &err);
	run(argv[1], &spec, &m.weights);
	nn_graph_free(&spec.graph);
	model_free(&m);
	return 0;
}

/* resave MODEL OUT: loads and saves. */
static int command_resave(int argc, char **argv)
{
	model m;
	bm_error err;

	if (argc != 2)
		return 2;
	driver_check(model_load(argv[0], &m, &err), &err);
	driver_check(model_save(&m, argv[1], &err), &err);
	model_free(&m);
	return 0;
}

/* take MODEL WEIGHTS OUT: loads the model, takes the weights of another file, which must have the same head, and saves. */
static int command_take(int argc, char **argv)
{
	bool head;
	model m;
	bm_error err;

	if (argc != 3)
		return 2;
	driver_check(model_load(argv[0], &m, &err), &err);
	driver_check(model_load_weights(&m, argv[1], &head, &err), &err);
	if (!head)
		driver_fail("the head was not taken");
	driver_check(model_save(&m, argv[2], &err), &err);
	model_free(&m);
	return 0;
}

/* counts MODEL LAST: prints total and trainable parameters with the last LAST layers of the base trainable (-1: all), and the summary. */
static int command_counts(int argc, char **argv)
{
	base_text text = {0};
	int64_t total, trainable;
	model m;
	bm_error err;

	if (argc != 2)
		return 2;
	driver_check(model_load(argv[0], &m, &err), &err);
	model_set_trainable(&m, atoi(argv[1]) < 0 ? MODEL_ALL : MODEL_LAST_LAYERS, atoi(argv[1]));
	nn_weights_counts(&m.graph, &m.weights, &total, &trainable);
	printf("%lld %lld\n", (long long)total, (long long)trainable);
	model_summary(&m, &text);
	fputs(base_text_string(&text), stdout);
	base_text_free(&text);
	model_free(&m);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name, *arguments;
		int (*run)(int argc, char **argv);
	} commands[] = {
		{"create", "OUT.keras WIDTH SIZE CHANNELS HEAD CLASSES SEED [compact]", command_create},
		{"graph", "FOLDER", command_graph},
		{"forward", "MODEL FOLDER SIZE COUNT", command_forward},
		{"gradients", "MODEL FOLDER SIZE BATCH LAST", command_gradients},
		{"resave", "MODEL OUT", command_resave},
		{"take", "MODEL WEIGHTS OUT", command_take},
		{"counts", "MODEL LAST", command_counts},
		{"optimizer", "FOLDER", command_optimizer},
		{"start", "WEIGHTS OUT.keras SIZE HEAD CLASSES", command_start},
		{"compile", "MODEL OUT.keras LAST DECAY", command_compile},
		{"export", "MODEL OUT safetensors|uint8|float32", command_export},
		{"steps", "MODEL FOLDER", command_steps},
	};

	for (size_t i = 0; argc > 1 && i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(argv[1], commands[i].name) == 0) {
			int code = commands[i].run(argc - 2, argv + 2);

			if (code == 2)
				fprintf(stderr, "use: driver %s %s\n", commands[i].name, commands[i].arguments);
			return code;
		}
	}
	fputs("use: driver COMMAND ...\n", stderr);
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		fprintf(stderr, "  %s %s\n", commands[i].name, commands[i].arguments);
	return 2;
}
