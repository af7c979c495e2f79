/* The optimiser and whole training steps, on what Keras is given too. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "driver.h"
#include "train/loss.h"
#include "train/optimizer.h"

#define THREADS 2

/* options.json */
typedef struct options {
	train_optimizer_options optimizer;
	int size, batch, steps, last; /* last: as in command_gradients */
	float smoothing;
	json_t *json; /* "rates": one learning rate per step; "class_weights": list or null */
} options;

static void read_options(const char *folder, options *o)
{
	double decay = 0, clip = 0, smoothing = 0;
	json_error_t problem;
	bm_error err;
	char *path = base_path_join(folder, "options.json", &err);

	memset(o, 0, sizeof(*o));
	if (!path)
		driver_fail("%s", err.message);
	o->json = json_load_file(path, 0, &problem);
	if (!o->json || json_unpack_ex(o->json, &problem, 0, "{s:i, s?i, s?i, s?i, s?F, s?F, s?F}", "steps", &o->steps,
				       "size", &o->size, "batch", &o->batch, "last", &o->last, "weight_decay", &decay,
				       "clip_norm", &clip, "smoothing", &smoothing) != 0)
		driver_fail("'%s': %s", path, problem.text);
	o->optimizer = (train_optimizer_options){.beta1 = .9f,
						 .beta2 = .999f,
						 .epsilon = 1e-7f,
						 .weight_decay = (float)decay,
						 .clip_norm = (float)clip,
						 .threads = THREADS};
	o->smoothing = (float)smoothing;
	base_free(path);
}

static float rate_of(const options *o, int step)
{
	return (float)json_number_value(json_array_get(json_object_get(o->json, "rates"), (size_t)step));
}

/* optimizer FOLDER: the network of spec.json; step k takes the gradients [k][floats of the trainable arrays] of gradients.f32. Writes all
 * weights after each step to weights_steps.f32. */
int command_optimizer(int argc, char **argv)
{
	const char *folder = argv[0];
	train_optimizer optimizer;
	nn_options compile;
	nn_network *network;
	driver_spec spec;
	nn_weights weights;
	float *values, *gradients, *after, *next;
	size_t trainable = 0;
	options o;
	bm_error err;

	if (argc != 1)
		return 2;
	read_options(folder, &o);
	driver_read_spec(folder, &spec);
	driver_check(nn_weights_create(&spec.graph, &weights, &err), &err);
	values = driver_read_floats(folder, "weights.f32", weights.total);
	memcpy(weights.storage, values, weights.total * sizeof(float));
	for (int i = 0; i < weights.count; i++)
		trainable += nn_weight_trainable(&spec.graph, &weights.items[i]) ? weights.items[i].count : 0;
	gradients = next = driver_read_floats(folder, "gradients.f32", trainable * (size_t)o.steps);
	after = base_malloc(weights.total * (size_t)o.steps, sizeof(float), "weights", &err);
	if (!after)
		driver_fail("%s", err.message);
	compile = (nn_options){.batch = spec.batch,
			       .height = spec.height,
			       .width = spec.width,
			       .channels = spec.channels,
			       .training = true,
			       .threads = THREADS};
	driver_check(nn_network_create(&spec.graph, &weights, &compile, &network, &err), &err);
	driver_check(train_optimizer_create(network, &o.optimizer, &optimizer, &err), &err);
	for (int step = 0; step < o.steps; step++) {
		for (int w = 0; w < weights.count; w++) {
			for (int i = 0; i < nn_network_parameter_count(network); i++) {
				nn_parameter *p = nn_network_parameter(network, i);

				if (p->weight != w)
					continue;
				driver_check(nn_parameter_from_keras(network, i, next, p->gradient, &err), &err);
				next += weights.items[w].count;
			}
		}
		driver_check(train_optimizer_step(&optimizer, network, rate_of(&o, step), NULL, &err), &err);
		driver_check(nn_network_parameters_changed(network, &err), &err);
		driver_check(nn_network_store(network, &weights, &err), &err);
		memcpy(after + (size_t)step * weights.total, weights.storage, weights.total * sizeof(float));
	}
	driver_write_floats(folder, "weights_steps.f32", after, weights.total * (size_t)o.steps);
	train_optimizer_free(&optimizer);
	nn_network_free(network);
	nn_weights_free(&weights);
	nn_graph_free(&spec.graph);
	base_free(values);
	base_free(gradients);
	base_free(after);
	json_decref(o.json);
	return 0;
}

/* One training step on one batch; returns the loss before it. */
static double train_step(nn_network *network, train_optimizer *optimizer, const options *o, const float *class_weights,
			 int classes, const float *images, const float *label_floats, int step)
{
	float probabilities[64 * 8], gradient[64 * 8];
	int labels[64], correct;
	double loss;
	bm_error err;

	if (o->batch > 64 || classes > 8)
		driver_fail("at most 64 images and 8 classes");
	for (int i = 0; i < o->batch; i++)
		labels[i] = (int)label_floats[i];
	driver_check(nn_network_forward(network, images, o->batch, true, (uint64_t)step, probabilities, &err), &err);
	train_cross_entropy(probabilities, labels, o->batch, classes, class_weights, o->smoothing, NULL, NULL, &loss,
			    gradient, &correct);
	driver_check(nn_network_backward(network, gradient, &err), &err);
	driver_check(train_optimizer_step(optimizer, network, rate_of(o, step), NULL, &err), &err);
	driver_check(nn_network_parameters_changed(network, &err), &err);
	return loss;
}

/* steps MODEL FOLDER: trains without dropout on images.f32 [steps][batch][size][size][channels] and labels.f32 [steps][batch]; writes
 * losses.f32 [steps] and weights_after.f32. */
int command_steps(int argc, char **argv)
{
	const char *folder;
	train_optimizer optimizer;
	float *images, *labels, *losses, weight_values[8], *class_weights = NULL;
	nn_network *network;
	nn_graph graph;
	json_t *list;
	size_t pixels;
	nn_options compile;
	options o;
	model m;
	bm_error err;

	if (argc != 2)
		return 2;
	folder = argv[1];
	driver_check(model_load(argv[0], &m, &err), &err);
	read_options(folder, &o);
	driver_no_dropout(&m.graph);
	model_set_trainable(&m, o.last < 0 ? MODEL_ALL : MODEL_LAST_LAYERS, o.last);
	driver_check(nn_graph_copy(&m.graph, &graph, &err), &err);
	driver_check(nn_graph_infer(&graph, o.size, o.size, m.options.channels, &err), &err);
	pixels = (size_t)o.batch * (size_t)o.size * (size_t)o.size * (size_t)m.options.channels;
	images = driver_read_floats(folder, "images.f32", pixels * (size_t)o.steps);
	labels = driver_read_floats(folder, "labels.f32", (size_t)o.batch * (size_t)o.steps);
	losses = base_malloc((size_t)o.steps, sizeof(float), "losses", &err);
	if (!losses)
		driver_fail("%s", err.message);
	list = json_object_get(o.json, "class_weights");
	for (int c = 0; json_is_array(list) && c < m.options.classes && c < 8; c++) {
		class_weights = weight_values;
		weight_values[c] = (float)json_number_value(json_array_get(list, (size_t)c));
	}
	compile = (nn_options){.batch = o.batch,
			       .height = o.size,
			       .width = o.size,
			       .channels = m.options.channels,
			       .training = true,
			       .threads = THREADS};
	driver_check(nn_network_create(&graph, &m.weights, &compile, &network, &err), &err);
	driver_check(train_optimizer_create(network, &o.optimizer, &optimizer, &err), &err);
	for (int step = 0; step < o.steps; step++)
		losses[step] = (float)train_step(network, &optimizer, &o, class_weights, m.options.classes,
						 images + (size_t)step * pixels,
						 labels + (size_t)step * (size_t)o.batch, step);
	driver_check(nn_network_store(network, &m.weights, &err), &err);
	driver_write_floats(folder, "losses.f32", losses, (size_t)o.steps);
	driver_write_floats(folder, "weights_after.f32", m.weights.storage, m.weights.total);
	train_optimizer_free(&optimizer);
	nn_network_free(network);
	nn_graph_free(&graph);
	base_free(images);
	base_free(labels);
	base_free(losses);
	json_decref(o.json);
	model_free(&m);
	return 0;
}
