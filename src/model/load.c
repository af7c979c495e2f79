/* Loading models and weights. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "model/grow.h"
#include "model/resnet50.h"
#include "model/source.h"

static const char *shape_text(const model_array *array, char *text, size_t size)
{
	size_t n = 0;

	text[0] = '\0';
	for (int i = 0; i < array->rank && n < size; i++)
		n += (size_t)snprintf(text + n, size - n, "%s%d", i ? "x" : "", array->shape[i]);
	return text;
}

static bool same_shape(const model_array *a, const model_array *b)
{
	bool same = a->rank == b->rank;

	for (int i = 0; same && i < a->rank; i++)
		same = a->shape[i] == b->shape[i];
	return same;
}

/* A list in a message: as many as fit, then "and 12 more". */
typedef struct list {
	base_text text;
	int shown, left_out;
} list;

static void list_add(list *l, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void list_add(list *l, const char *format, ...)
{
	char item[256];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(item, sizeof(item), format, arguments);
	va_end(arguments);
	if (l->text.length + strlen(item) > BM_MESSAGE_SIZE - 350) {
		l->left_out++;
		return;
	}
	base_text_add(&l->text, "%s%s", l->shown++ ? "; " : "", item);
}

/* "conv1_conv/kernel (layers/conv2d/vars/0)". */
static const char *name_text(const model_binding *b, char *text, size_t size)
{
	bool both = b->array.name[0] && strcmp(b->label, b->array.name) != 0;

	snprintf(text, size, "%s%s%s%s", b->label, both ? " (" : "", both ? b->array.name : "", both ? ")" : "");
	return text;
}

/* Finds weights [first, end) in the file and puts what is wrong with them on the list; marks what was found as used. */
static int bind(model_binding *all, int first, int end, const model_source *file, bool *used, list *problems)
{
	char has[64], needs[64], name[320];
	int wrong = 0;

	for (int i = first; i < end; i++) {
		model_binding *b = &all[i];
		const model_array *found;

		b->found = b->array.name[0] ? model_source_find(file, b->array.name) : -1;
		if (b->found < 0) {
			wrong++;
			list_add(problems, "missing %s", name_text(b, name, sizeof(name)));
			continue;
		}
		used[b->found] = true;
		found = model_source_get(file, b->found);
		if (!same_shape(found, &b->array)) {
			wrong++;
			list_add(problems, "%s is %s, must be %s", name_text(b, name, sizeof(name)),
				 shape_text(found, has, sizeof(has)), shape_text(&b->array, needs, sizeof(needs)));
		}
	}
	return wrong;
}

/* Arrays that no weight was bound to. Dense layers and batch norms may belong to another head, which is allowed unless all is strict. */
static int find_extra(const model_source *file, const bool *used, bool strict, int *head_extra, list *problems)
{
	int wrong = 0;

	*head_extra = 0;
	for (int i = 0; i < model_source_count(file); i++) {
		const char *name = model_source_get(file, i)->name;

		if (used[i])
			continue;
		if (!strict && model_naming_is_head(file->naming, name)) {
			++*head_extra;
			continue;
		}
		wrong++;
		list_add(problems, "extra %s", name);
	}
	return wrong;
}

/* A kernel as PyTorch keeps it, [out][in][h][w] or [out][in], into Keras' [h][w][in][out] or [in][out]. */
static void transpose(const float *from, const nn_weight *w)
{
	size_t in = (size_t)w->shape[w->rank - 2], out = (size_t)w->shape[w->rank - 1], area = w->count / in / out;

	for (size_t o = 0; o < out; o++) {
		for (size_t i = 0; i < in; i++) {
			for (size_t a = 0; a < area; a++)
				w->values[(a * in + i) * out + o] = *from++;
		}
	}
}

/* Exchanges the first and the third of a kernel's input channels. */
static void reverse_channels(const nn_weight *w)
{
	size_t out = (size_t)w->shape[3], area = (size_t)w->shape[0] * (size_t)w->shape[1];

	for (size_t a = 0; a < area; a++) {
		float *first = w->values + a * 3 * out, *third = first + 2 * out;

		for (size_t o = 0; o < out; o++) {
			float kept = first[o];

			first[o] = third[o];
			third[o] = kept;
		}
	}
}

static bm_status read_weight(const model_source *file, int index, const nn_weight *w, bool first, bm_error *err)
{
	float *kernel;
	bm_status status;

	if (file->naming != MODEL_NAMING_TORCH || w->rank == 1) {
		status = model_source_read(file, index, w->values, err);
	} else {
		kernel = base_malloc(w->count, sizeof(*kernel), "a kernel", err);
		if (!kernel)
			return BM_ERR_MEMORY;
		status = model_source_read(file, index, kernel, err);
		if (status == BM_OK)
			transpose(kernel, w);
		base_free(kernel);
	}
	if (status == BM_OK && first && file->reversed)
		reverse_channels(w);
	return status;
}

/* Reads the model's weights. head_taken NULL: the head must fit. Nothing is changed when the shapes are
 * wrong; when an array cannot be read, those before it are. */
static bm_status take_weights(model *m, const model_source *file, bool *head_taken, bm_error *err)
{
	nn_weights *weights = &m->weights;
	list problems = {0}, head_problems = {0};
	model_binding *all = NULL;
	bool *used = NULL, head = true;
	int base = 0, wrong, head_extra;
	bm_status status = model_bindings_create(m, file->naming, &all, err);

	if (status != BM_OK)
		goto cleanup;
	used = base_calloc((size_t)model_source_count(file) + 1, sizeof(*used), "a list of arrays", err);
	if (!used) {
		status = BM_ERR_MEMORY;
		goto cleanup;
	}
	while (base < weights->count && weights->items[base].layer < m->base_layers)
		base++;
	wrong = bind(all, 0, base, file, used, &problems);
	head = bind(all, base, weights->count, file, used, head_taken ? &head_problems : &problems) == 0;
	if (!head_taken)
		wrong += !head;
	wrong += find_extra(file, used, !head_taken, &head_extra, &problems);
	if (wrong > 0) {
		if (problems.left_out > 0)
			base_text_add(&problems.text, "; and %d more", problems.left_out);
		status = base_fail(
			err, BM_ERR_FORMAT,
			"the weights in '%s' do not fit the network: %s. Use the --width, --depth, --head and "
			"channels that they were made with",
			file->path, base_text_string(&problems.text));
		goto cleanup;
	}
	head = head && head_extra == 0;
	if (head_taken)
		*head_taken = head;
	for (int i = 0; i < (head ? weights->count : base) && status == BM_OK; i++)
		status = read_weight(file, all[i].found, &weights->items[i], i == 0, err);
cleanup:
	base_text_free(&problems.text);
	base_text_free(&head_problems.text);
	base_free(used);
	base_free(all);
	return status;
}

static bm_status make_model(const model_source *file, model *out, bm_error *err)
{
	const model_description *d = &file->description;
	bm_status status = BM_OK;

	if (!file->whole)
		status = base_fail(
			err, BM_ERR_FORMAT,
			"'%s' holds weights only, not a model with its classes: start a training from it with "
			"--weights, or name a .keras file",
			file->path);
	if (status == BM_OK)
		status = model_build(&d->options, (const char *const *)d->class_names, out, err);
	if (status == BM_OK)
		status = take_weights(out, file, NULL, err);
	if (status == BM_OK && d->trust) {
		out->trust = base_strdup(d->trust, err);
		status = out->trust ? BM_OK : BM_ERR_MEMORY;
	}
	if (status == BM_OK)
		model_set_trainable(out, MODEL_LAST_LAYERS, d->trainable_base);
	else
		model_free(out);
	return status;
}

bm_status model_load(const char *path, model *out, bm_error *err)
{
	model_source *file = NULL;
	bm_status status = model_source_open(path, true, &file, err);

	memset(out, 0, sizeof(*out));
	if (status == BM_OK)
		status = make_model(file, out, err);
	model_source_close(file);
	return status;
}

bm_status model_load_bytes(const uint8_t *bytes, size_t size, const char *name, model *out, bm_error *err)
{
	model_source *file = NULL;
	bm_status status = model_source_open_bytes(bytes, size, name, &file, err);

	memset(out, 0, sizeof(*out));
	if (status == BM_OK)
		status = make_model(file, out, err);
	model_source_close(file);
	return status;
}

/* Weights of a narrower or shallower network of the same make. */
static bm_status take_grown(model *m, const model_source *file, bool *head_taken, bm_error *err)
{
	model_options options = m->options;
	model small = {0};
	bm_status status;

	options.width = file->description.options.width;
	options.depth = file->description.options.depth;
	status = model_build(&options, (const char *const *)m->class_names, &small, err);
	if (status == BM_OK)
		status = take_weights(&small, file, head_taken, err);
	if (status == BM_OK)
		status = model_grow(&small, *head_taken, m, err);
	model_free(&small);
	return status;
}

bm_status model_load_weights(model *m, const char *path, bool *head_taken, bm_error *err)
{
	model_source *file = NULL;
	const model_options *theirs;
	model fresh = *m;
	bool taken = false, smaller;
	bm_status status = model_source_open(path, true, &file, err);

	fresh.weights = (nn_weights){0};
	*head_taken = false;
	if (status != BM_OK)
		return status;
	theirs = &file->description.options;
	if (theirs->variant != m->options.variant || !model_same_input(&theirs->input, &m->options.input))
		status = base_fail(
			err, BM_ERR_USAGE,
			"the weights in '%s' are for %s and %s, the network is not: build it with the options that "
			"the file tells",
			path, model_variant_text(theirs->variant), model_input_text(&theirs->input));
	/* Into a copy: an array may turn out to be unreadable when others have been read. */
	if (status == BM_OK)
		status = nn_weights_copy(&m->weights, &fresh.weights, err);
	smaller = theirs->width > 0 &&
		  (theirs->width < m->options.width || model_depth(theirs) < model_depth(&m->options));
	if (status == BM_OK)
		status = smaller ? take_grown(&fresh, file, &taken, err) : take_weights(&fresh, file, &taken, err);
	if (status == BM_OK) {
		memcpy(m->weights.storage, fresh.weights.storage, m->weights.total * sizeof(float));
		*head_taken = taken;
	}
	nn_weights_free(&fresh.weights);
	model_source_close(file);
	return status;
}

bm_status model_peek(const char *path, model_options *options, bm_error *err)
{
	model_source *file = NULL;
	bm_status status = model_source_open(path, false, &file, err);

	if (status == BM_OK)
		*options = file->description.options;
	model_source_close(file);
	return status;
}
