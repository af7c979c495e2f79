/* What a `.keras` file says about the model before its weights are read. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "model/keras_config.h"
#include "model/resnet50.h"

/* 1: MODEL_V1 without rescaling; 2: with variant and rescaling; 3: with depth too, where it is not the variant's own. */
#define FORMAT 3
#define CLASS_NAME_MAX 255
/* The arrays and objects of a config.json lie 10 deep; the parser gives up at 2048. */

static json_t *triple(const float *values)
{
	return json_pack("[f, f, f]", (double)values[0], (double)values[1], (double)values[2]);
}

static const char *const variant_names[] = {[MODEL_V1] = "v1", [MODEL_V1_5] = "v1.5", [MODEL_COMPACT] = "compact"};
#define VARIANTS (int)(sizeof(variant_names) / sizeof(variant_names[0]))

static bool own_depth(const model_options *o)
{
	return model_depth(o) == model_variant_depth(o->variant);
}

/* Of format 2 and 3. */
static int add_more(json_t *all, const model_options *o)
{
	int failed = json_object_set_new(all, "variant", json_string(variant_names[o->variant]));

	if (!failed && !own_depth(o))
		failed = json_object_set_new(all, "depth", json_integer(model_depth(o)));
	if (!failed && o->input.rescaled)
		failed = json_object_set_new(
			all, "rescaling",
			json_pack("{s:o, s:o}", "scale", triple(o->input.scale), "offset", triple(o->input.offset)));
	return failed;
}

static bool read_triple(const json_t *list, float *values)
{
	for (size_t c = 0; c < 3; c++) {
		const json_t *one = json_array_get(list, c);

		if (!json_is_number(one))
			return false;
		values[c] = (float)json_number_value(one);
	}
	return json_array_size(list) == 3;
}

static bool read_more(const json_t *all, model_options *o)
{
	const char *variant = json_string_value(json_object_get(all, "variant"));
	const json_t *rescaling = json_object_get(all, "rescaling");

	int number = 0;

	while (variant && number < VARIANTS && strcmp(variant, variant_names[number]) != 0)
		number++;
	if (!variant || number == VARIANTS)
		return false;
	o->variant = (model_variant)number;
	o->depth = (int)json_integer_value(json_object_get(all, "depth"));
	o->input.rescaled = rescaling != NULL;
	return !rescaling || (read_triple(json_object_get(rescaling, "scale"), o->input.scale) &&
			      read_triple(json_object_get(rescaling, "offset"), o->input.offset));
}

char *model_brainmri_json(const model *m, bm_error *err)
{
	json_t *classes = json_array(), *all = NULL;
	char *text = NULL;
	int trainable = 0;
	bool plain;

	while (trainable < m->base_layers && m->graph.layers[m->base_layers - 1 - trainable].trainable)
		trainable++;
	for (int i = 0; i < m->options.classes; i++) {
		if (json_array_append_new(classes, json_string(m->class_names[i])) != 0) {
			json_decref(classes);
			base_fail(err, BM_ERR_USAGE, "class name %d cannot be saved: it is not UTF-8", i);
			return NULL;
		}
	}
	plain = m->options.variant == MODEL_V1 && !m->options.input.rescaled && own_depth(&m->options);
	all = json_pack("{s:i, s:s, s:f, s:i, s:i, s:s, s:s, s:i, s:o}", "format",
			plain			 ? 1
			: own_depth(&m->options) ? 2
						 : FORMAT,
			"program", "brainmri " BM_VERSION, "width", m->options.width, "image_size",
			m->options.image_size, "channels", m->options.channels, "pixels", "[0, 1]", "head",
			model_head_name(m->options.head), "trainable_base_layers", trainable, "classes", classes);
	if (all && !plain && add_more(all, &m->options) != 0)
		all = (json_decref(all), NULL);
	/* A text in a text: it comes back byte for byte. */
	if (all && m->trust && json_object_set_new(all, "trust", json_string(m->trust)) != 0)
		all = (json_decref(all), NULL);
	if (all)
		text = json_dumps(all, JSON_INDENT(1) | JSON_REAL_PRECISION(17));
	json_decref(all);
	if (!text)
		base_fail(err, BM_ERR_MEMORY, "not enough memory for the model's description");
	return text;
}

void model_description_free(model_description *d)
{
	for (int i = 0; i < MODEL_CLASSES_MAX; i++)
		base_free(d->class_names[i]);
	base_free(d->trust);
	memset(d, 0, sizeof(*d));
}

static bm_status parse(const char *path, const char *name, const void *bytes, size_t size, json_t **out, bm_error *err)
{
	json_error_t problem;

	*out = json_loadb(bytes, size, JSON_REJECT_DUPLICATES, &problem);
	if (!*out)
		return base_fail(err, BM_ERR_FORMAT,
				 "%s in '%s' is not JSON (line %d: %s): the file is damaged, take another", name, path,
				 problem.line, problem.text);
	return BM_OK;
}

static bm_status read_classes(const char *path, const json_t *classes, model_description *out, bm_error *err)
{
	if (!json_is_array(classes) || json_array_size(classes) != (size_t)out->options.classes)
		return base_fail(err, BM_ERR_FORMAT, "brainmri.json in '%s' has no list of 2 to %d classes", path,
				 MODEL_CLASSES_MAX);
	for (int i = 0; i < out->options.classes; i++) {
		const json_t *name = json_array_get(classes, (size_t)i);
		size_t length = json_string_length(name);

		if (length < 1 || length > CLASS_NAME_MAX)
			return base_fail(err, BM_ERR_FORMAT,
					 "brainmri.json in '%s': class %d has no name of 1 to %d bytes", path, i,
					 CLASS_NAME_MAX);
		out->class_names[i] = base_strdup(json_string_value(name), err);
		if (!out->class_names[i])
			return BM_ERR_MEMORY;
	}
	return BM_OK;
}

bm_status model_describe(const char *path, const void *bytes, size_t size, model_description *out, bm_error *err)
{
	model_options *o = &out->options;
	const char *head = NULL;
	json_t *all = NULL, *classes = NULL;
	json_error_t problem;
	bm_status status;
	int format = 0;

	memset(out, 0, sizeof(*out));
	status = parse(path, "brainmri.json", bytes, size, &all, err);
	if (status != BM_OK)
		return status;
	if (json_unpack_ex(all, &problem, 0, "{s:i}", "format", &format) != 0 || format < 1 || format > FORMAT) {
		status = base_fail(err, BM_ERR_UNSUPPORTED, "'%s' was written in format %d, this program reads 1 to %d",
				   path, format, FORMAT);
		goto cleanup;
	}
	if (json_unpack_ex(all, &problem, 0, "{s:F, s:i, s:i, s:s, s:i, s:o}", "width", &o->width, "image_size",
			   &o->image_size, "channels", &o->channels, "head", &head, "trainable_base_layers",
			   &out->trainable_base, "classes", &classes) != 0) {
		status = base_fail(err, BM_ERR_FORMAT, "brainmri.json in '%s' lacks something: %s", path, problem.text);
		goto cleanup;
	}
	if (format >= 2 && !read_more(all, o)) {
		status =
			base_fail(err, BM_ERR_FORMAT, "brainmri.json in '%s' lacks the variant or the rescaling", path);
		goto cleanup;
	}
	if (!model_head_parse(head, &o->head)) {
		status = base_fail(err, BM_ERR_UNSUPPORTED,
				   "'%s' has a head called '%.40s' that this program does not know", path, head);
		goto cleanup;
	}
	o->classes = json_array_size(classes) > MODEL_CLASSES_MAX ? 0 : (int)json_array_size(classes);
	status = model_check_options(o, err);
	if (status != BM_OK) {
		status = base_prefix(err, BM_ERR_FORMAT, "'%s' does not describe a model", path);
		goto cleanup;
	}
	status = read_classes(path, classes, out, err);
	if (status == BM_OK && json_is_string(json_object_get(all, "trust"))) {
		out->trust = base_strdup(json_string_value(json_object_get(all, "trust")), err);
		status = out->trust ? BM_OK : BM_ERR_MEMORY;
	}
cleanup:
	json_decref(all);
	if (status != BM_OK)
		model_description_free(out);
	return status;
}

/* ---- a file that Keras wrote ---- */

static const json_t *find_layer(const json_t *layers, const char *name)
{
	size_t i;
	const json_t *layer;

	json_array_foreach(layers, i, layer)
	{
		const char *found = json_string_value(json_object_get(layer, "name"));

		if (found && strcmp(found, name) == 0)
			return json_object_get(layer, "config");
	}
	return NULL;
}

static int integer(const json_t *config, const char *key)
{
	json_int_t value = json_integer_value(json_object_get(config, key));

	return value > 0 && value < 1 << 20 ? (int)value : 0;
}

/* The head by its dense layers; classes from the last of them. */
static bool find_head(const json_t *layers, model_options *o)
{
	int units[3] = {integer(find_layer(layers, "dense"), "units"), integer(find_layer(layers, "dense_1"), "units"),
			integer(find_layer(layers, "dense_2"), "units")};

	if (units[2] && units[1] == 128 && units[0] == 256)
		o->head = MODEL_HEAD_GUIDE, o->classes = units[2];
	else if (!units[2] && units[1] && units[0] == 512)
		o->head = MODEL_HEAD_DENSE512, o->classes = units[1];
	else if (!units[2] && !units[1] && units[0])
		o->head = MODEL_HEAD_LINEAR, o->classes = units[0];
	else
		return false;
	return true;
}

/* One number for all channels, or one for each. */
static bool read_factor(const json_t *value, float *out)
{
	if (json_is_array(value))
		return read_triple(value, out);
	out[0] = out[1] = out[2] = (float)json_number_value(value);
	return json_is_number(value);
}

static bool near(const json_t *value, double wanted)
{
	return json_is_number(value) && fabs(json_number_value(value) - wanted) <= 1e-9;
}

/* By its blocks, each of which has a third convolution; 0 of a network without any. */
static int find_depth(const json_t *layers)
{
	int blocks = 0;
	size_t i;
	const json_t *layer;

	json_array_foreach(layers, i, layer)
	{
		const char *name = json_string_value(json_object_get(layer, "name"));

		blocks += name && strlen(name) > 7 && strcmp(name + strlen(name) - 7, "_3_conv") == 0;
	}
	return blocks > 0 ? 3 * blocks + 2 : 0;
}

/* Whose ResNet it is, by its biases; strides and epsilon must be those that go with them. */
static bool find_variant(const json_t *layers, model_options *o)
{
	const json_t *first = find_layer(layers, "conv3_block1_1_conv"), *norm = find_layer(layers, "conv1_bn"),
		     *rescaling = find_layer(layers, "rescaling");
	bool v1 = json_is_true(json_object_get(find_layer(layers, "conv1_conv"), "use_bias"));
	/* Its blocks have two convolutions; one of them has half the filters that ResNet-50 begins with. */
	bool compact = !v1 && !find_layer(layers, "conv2_block1_3_conv");

	o->variant = v1 ? MODEL_V1 : compact ? MODEL_COMPACT : MODEL_V1_5;
	o->width *= compact ? 2 : 1;
	o->depth = find_depth(layers);
	o->input.rescaled = rescaling != NULL;
	if (rescaling && (!read_factor(json_object_get(rescaling, "scale"), o->input.scale) ||
			  !read_factor(json_object_get(rescaling, "offset"), o->input.offset)))
		return false;
	return json_integer_value(json_array_get(json_object_get(first, "strides"), 0)) == (v1 || compact ? 2 : 1) &&
	       near(json_object_get(norm, "epsilon"), v1 ? 1.001e-5 : 1e-5);
}

bm_status model_describe_keras(const char *path, const void *bytes, size_t size, model_description *out, bm_error *err)
{
	model_options *o = &out->options, checked;
	const json_t *layers, *shape;
	json_t *all = NULL;
	bm_status status;

	memset(out, 0, sizeof(*out));
	status = parse(path, "config.json", bytes, size, &all, err);
	if (status != BM_OK)
		return status;
	layers = json_object_get(json_object_get(all, "config"), "layers");
	shape = json_object_get(json_object_get(json_array_get(layers, 0), "config"), "batch_shape");
	o->image_size = (int)json_integer_value(json_array_get(shape, 1));
	o->channels = (int)json_integer_value(json_array_get(shape, 3));
	o->width = integer(find_layer(layers, "conv1_conv"), "filters") / 64.0;
	out->trainable_base = 1 << 20;
	bool head = find_head(layers, o), known = find_variant(layers, o);
	if (head && o->image_size == 0) /* any: the usual one */
		o->image_size = MODEL_SIZE_USUAL;
	checked = *o;
	if (!head) { /* the base's weights are good all the same */
		o->classes = 0;
		checked.head = MODEL_HEAD_LINEAR;
		checked.classes = 2;
		if (o->image_size == 0)
			checked.image_size = MODEL_SIZE_USUAL;
	}
	if (!known || model_check_options(&checked, NULL) != BM_OK) {
		status = base_fail(err, BM_ERR_UNSUPPORTED,
				   "'%s' is a Keras file, but its layers are not those of a ResNet50 or compact "
				   "network (one that lies "
				   "in another model as one layer has to be saved by itself)",
				   path);
		goto cleanup;
	}
	for (int i = 0; i < o->classes; i++) {
		char name[32];

		snprintf(name, sizeof(name), "class %d", i);
		out->class_names[i] = base_strdup(name, err);
		if (!out->class_names[i]) {
			status = BM_ERR_MEMORY;
			goto cleanup;
		}
	}
cleanup:
	json_decref(all);
	if (status != BM_OK)
		model_description_free(out);
	return status;
}
