#include "model/keras_config.h"

#include <ctype.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

/* The release whose files tests/parity compares with. */
#define KERAS_VERSION "3.15.1"

/* keras.src.utils.naming.to_snake_case: "MaxPooling2D" -> "max_pooling2d". */
static void snake_case(const char *name, char *out, size_t size)
{
	size_t n = 0;

	for (size_t i = 0; name[i] && n + 2 < size; i++) {
		bool upper = isupper((unsigned char)name[i]),
		     after_lower = i > 0 && islower((unsigned char)name[i - 1]);
		bool before_lower = i > 0 && islower((unsigned char)name[i + 1]);

		if (upper && (after_lower || before_lower))
			out[n++] = '_';
		out[n++] = (char)tolower((unsigned char)name[i]);
	}
	out[n] = '\0';
}

void model_layer_paths(const nn_graph *graph, model_layer_path *paths)
{
	int used[NN_TYPE_COUNT] = {0};

	for (int i = 0; i < graph->count; i++) {
		nn_type type = graph->layers[i].type;
		char name[64];

		snake_case(nn_type_keras(type), name, sizeof(name));
		if (used[type]++ == 0)
			snprintf(paths[i], sizeof(paths[i]), "layers/%s", name);
		else
			snprintf(paths[i], sizeof(paths[i]), "layers/%s_%d", name, used[type] - 1);
	}
}

/* ---- writing ---- */

/* A float as the shortest decimal that is it, so that 1.001e-5f is written 1.001e-05. */
static double decimal(float value)
{
	char text[32];

	snprintf(text, sizeof(text), "%.7g", (double)value);
	return strtod(text, NULL);
}

static json_t *initializer(const char *name)
{
	bool glorot = strcmp(name, "GlorotUniform") == 0;

	return json_pack("{s:s, s:s, s:o, s:n}", "module", "keras.initializers", "class_name", name, "config",
			 glorot ? json_pack("{s:n}", "seed") : json_object(), "registered_name");
}

static json_t *shape_of(const nn_layer *layer)
{
	if (layer->flat)
		return json_pack("[n, i]", layer->channels);
	return json_pack("[n, i, i, i]", layer->height, layer->width, layer->channels);
}

/* What all layers' configs begin with. */
static json_t *common_config(const nn_layer *layer)
{
	return json_pack("{s:s, s:b, s:{s:s, s:s, s:{s:s}, s:n}}", "name", layer->name, "trainable", layer->trainable,
			 "dtype", "module", "keras", "class_name", "DTypePolicy", "config", "name", "float32",
			 "registered_name");
}

static int add_kernel(json_t *config, bool bias)
{
	return json_object_update_new(config,
				      json_pack("{s:b, s:o, s:o, s:n, s:n, s:n, s:n, s:n}", "use_bias", bias,
						"kernel_initializer", initializer("GlorotUniform"), "bias_initializer",
						initializer("Zeros"), "kernel_regularizer", "bias_regularizer",
						"activity_regularizer", "kernel_constraint", "bias_constraint"));
}

static int add_norm(json_t *config, const nn_layer *layer)
{
	return json_object_update_new(
		config,
		json_pack("{s:i, s:f, s:f, s:b, s:b, s:o, s:o, s:o, s:o, s:n, s:n, s:n, s:n, s:b}", "axis",
			  layer->flat ? -1 : 3, "momentum", decimal(layer->momentum), "epsilon",
			  decimal(layer->epsilon), "center", 1, "scale", 1, "beta_initializer", initializer("Zeros"),
			  "gamma_initializer", initializer("Ones"), "moving_mean_initializer", initializer("Zeros"),
			  "moving_variance_initializer", initializer("Ones"), "beta_regularizer", "gamma_regularizer",
			  "beta_constraint", "gamma_constraint", "synchronized", 0));
}

static json_t *layer_config(const nn_layer *l)
{
	static const char *const activations[] = {
		[NN_LINEAR] = "linear", [NN_ACTIVATION_RELU] = "relu", [NN_SOFTMAX] = "softmax"};
	json_t *config, *more = NULL;

	if (l->type == NN_INPUT)
		return json_pack("{s:o, s:s, s:b, s:s}", "batch_shape", shape_of(l), "dtype", "float32", "sparse", 0,
				 "name", l->name);
	config = common_config(l);
	switch (l->type) {
	case NN_RESCALE:
		more = json_pack("{s:[f, f, f], s:[f, f, f]}", "scale", decimal(l->scale[0]), decimal(l->scale[1]),
				 decimal(l->scale[2]), "offset", decimal(l->offset[0]), decimal(l->offset[1]),
				 decimal(l->offset[2]));
		break;
	case NN_ZERO_PADDING:
		more = json_pack("{s:[[i, i], [i, i]], s:s}", "padding", l->padding, l->padding, l->padding, l->padding,
				 "data_format", "channels_last");
		break;
	case NN_CONV:
		more = json_pack("{s:i, s:[i, i], s:[i, i], s:s, s:s, s:[i, i], s:i, s:s}", "filters", l->units,
				 "kernel_size", l->kernel, l->kernel, "strides", l->stride, l->stride, "padding",
				 l->padding ? "same" : "valid", "data_format", "channels_last", "dilation_rate", 1, 1,
				 "groups", 1, "activation", "linear");
		if (more && add_kernel(more, l->bias) != 0)
			more = (json_decref(more), NULL);
		break;
	case NN_BATCH_NORM:
		more = json_object();
		if (more && add_norm(more, l) != 0)
			more = (json_decref(more), NULL);
		break;
	case NN_RELU:
		more = json_pack("{s:s}", "activation", "relu");
		break;
	case NN_MAX_POOL:
	case NN_AVERAGE_POOL:
		more = json_pack("{s:[i, i], s:s, s:[i, i], s:s}", "pool_size", l->kernel, l->kernel, "padding",
				 "valid", "strides", l->stride, l->stride, "data_format", "channels_last");
		break;
	case NN_GLOBAL_AVERAGE_POOL:
		more = json_pack("{s:s, s:b}", "data_format", "channels_last", "keepdims", 0);
		break;
	case NN_DENSE:
		more = json_pack("{s:i, s:s}", "units", l->units, "activation", activations[l->activation]);
		if (more && add_kernel(more, l->bias) != 0)
			more = (json_decref(more), NULL);
		break;
	case NN_DROPOUT:
		more = json_pack("{s:f, s:n, s:n}", "rate", decimal(l->rate), "seed", "noise_shape");
		break;
	default:
		more = json_object();
		break;
	}
	if (json_object_update_new(config, more) != 0) {
		json_decref(config);
		return NULL;
	}
	return config;
}

static json_t *tensor(const nn_layer *from)
{
	return json_pack("{s:s, s:{s:o, s:s, s:[s, i, i]}}", "class_name", "__keras_tensor__", "config", "shape",
			 shape_of(from), "dtype", "float32", "keras_history", from->name, 0, 0);
}

static json_t *layer_json(const nn_graph *graph, int index)
{
	const nn_layer *l = &graph->layers[index];
	const nn_layer *a = l->input_count > 0 ? &graph->layers[l->inputs[0]] : NULL;
	const nn_layer *b = l->input_count > 1 ? &graph->layers[l->inputs[1]] : NULL;
	json_t *nodes, *build = NULL;

	if (!a)
		nodes = json_array();
	else if (!b)
		nodes = json_pack("[{s:[o], s:{}}]", "args", tensor(a), "kwargs");
	else
		nodes = json_pack("[{s:[[o, o]], s:{}}]", "args", tensor(a), tensor(b), "kwargs");
	if (a && !b)
		build = json_pack("{s:o}", "input_shape", shape_of(a));
	else if (b)
		build = json_pack("{s:[o, o]}", "input_shape", shape_of(a), shape_of(b));
	return json_pack("{s:s, s:s, s:o, s:n, s:o*, s:s, s:o}", "module", "keras.layers", "class_name",
			 nn_type_keras(l->type), "config", layer_config(l), "registered_name", "build_config", build,
			 "name", l->name, "inbound_nodes", nodes);
}

static char *dump(json_t *value, bm_error *err)
{
	char *text = value ? json_dumps(value, JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL;

	json_decref(value);
	if (!text)
		base_fail(err, BM_ERR_MEMORY, "not enough memory for the model's description");
	return text;
}

const char *model_optimizer_name(const model_optimizer *o)
{
	return o->weight_decay > 0 ? "adam_w" : "adam";
}

static json_t *number_or_null(float value)
{
	return value > 0 ? json_real(decimal(value)) : json_null();
}

/* As keras.Model.get_compile_config() gives it for compile(optimizer, "sparse_categorical_crossentropy", ["accuracy"]). */
static json_t *compile_json(const model_optimizer *o)
{
	if (!o)
		return json_object();
	return json_pack("{s:{s:s, s:s, s:{s:s, s:f, s:o, s:n, s:o, s:n, s:b, s:f, s:n, s:n, s:n, s:f, s:f, s:f, s:b}, "
			 "s:n}, s:s, s:n, "
			 "s:[s], s:n, s:b, s:i, s:b}",
			 "optimizer", "module", "keras.optimizers", "class_name",
			 o->weight_decay > 0 ? "AdamW" : "Adam", "config", "name", model_optimizer_name(o),
			 "learning_rate", (double)o->learning_rate, "weight_decay", number_or_null(o->weight_decay),
			 "clipnorm", "global_clipnorm", number_or_null(o->clip_norm), "clipvalue", "use_ema", 0,
			 "ema_momentum", 0.99, "ema_overwrite_frequency", "loss_scale_factor",
			 "gradient_accumulation_steps", "beta_1", decimal(o->beta1), "beta_2", decimal(o->beta2),
			 "epsilon", decimal(o->epsilon), "amsgrad", 0, "registered_name", "loss",
			 "sparse_categorical_crossentropy", "loss_weights", "metrics", "accuracy", "weighted_metrics",
			 "run_eagerly", 0, "steps_per_execution", 1, "jit_compile", 0);
}

char *model_config_json(const model *m, const model_optimizer *optimizer, bm_error *err)
{
	const nn_layer *first = &m->graph.layers[0], *last = &m->graph.layers[m->graph.count - 1];
	json_t *layers = json_array();

	for (int i = 0; i < m->graph.count; i++) {
		if (json_array_append_new(layers, layer_json(&m->graph, i)) != 0) {
			json_decref(layers);
			return dump(NULL, err);
		}
	}
	return dump(json_pack("{s:s, s:s, s:{s:s, s:b, s:o, s:[s, i, i], s:[s, i, i]}, s:s, s:{s:n}, s:o}", "module",
			      "keras.src.models.functional", "class_name", "Functional", "config", "name", "resnet50",
			      "trainable", 1, "layers", layers, "input_layers", first->name, 0, 0, "output_layers",
			      last->name, 0, 0, "registered_name", "Functional", "build_config", "input_shape",
			      "compile_config", compile_json(optimizer)),
		    err);
}

char *model_metadata_json(bm_error *err)
{
	/* No date: the same weights give the same bytes. */
	return dump(json_pack("{s:s, s:s}", "keras_version", KERAS_VERSION, "written_by", "brainmri " BM_VERSION), err);
}
