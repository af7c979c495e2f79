#include "train/teachers.h"

#include <string.h>

#include "base/memory.h"
#include "image/image.h"

static bool wanted(const train_plan *plan)
{
	for (int i = 0; i < plan->count; i++)
		if (plan->stages[i].distillation > 0)
			return true;
	return false;
}

bm_status train_teachers_check(const model *m, const train_plan *plan, const train_options *options, bm_error *err)
{
	if (options->teacher_count < 0 || options->teacher_count > TRAIN_TEACHERS_MAX)
		return base_fail(err, BM_ERR_USAGE, "%d teachers: at most %d can be learnt from",
				 options->teacher_count, TRAIN_TEACHERS_MAX);
	if (wanted(plan) && options->teacher_count == 0)
		return base_fail(
			err, BM_ERR_USAGE,
			"the training plan learns from teachers ('distillation'), but none is given: name them "
			"with --teacher");
	if (!wanted(plan) && options->teacher_count > 0)
		return base_fail(err, BM_ERR_USAGE,
				 "teachers are given, but no stage of the training plan learns from them: set its "
				 "'distillation' above 0");
	for (int i = 0; i < options->teacher_count; i++) {
		const model *t = options->teachers[i];
		bool same = t->options.classes == m->options.classes;
		for (int c = 0; same && c < m->options.classes; c++)
			same = strcmp(t->class_names[c], m->class_names[c]) == 0;
		if (!same)
			return base_fail(err, BM_ERR_USAGE,
					 "teacher %d knows other classes than this network, or in another order: %s, "
					 "... instead of %s, ...",
					 i + 1, t->class_names[0], m->class_names[0]);
	}
	return BM_OK;
}

static nn_options shape_of(const model *teacher, const train_stage *stage, int threads)
{
	return (nn_options){.batch = stage->batch,
			    .height = teacher->options.image_size,
			    .width = teacher->options.image_size,
			    .channels = teacher->options.channels,
			    .threads = threads,
			    .bf16 = stage->bf16};
}

/* Of an image as the network sees it, and as the largest of its teachers does. */
static void pixels_of(const train_options *options, const train_stage *stage, size_t *own, size_t *largest)
{
	*own = (size_t)stage->image_size * (size_t)stage->image_size;
	*largest = 0;
	for (int i = 0; i < options->teacher_count; i++) {
		const size_t size = (size_t)options->teachers[i]->options.image_size;
		if (size * size > *largest)
			*largest = size * size;
	}
}

bm_status train_teachers_open(const model *m, const train_options *options, const train_stage *stage, int threads,
			      train_teachers *out, bm_error *err)
{
	const size_t batch = (size_t)stage->batch;
	size_t own, largest;
	bm_status status = BM_OK;
	*out = (train_teachers){0};
	if (stage->distillation <= 0 || options->teacher_count < 1)
		return BM_OK;
	pixels_of(options, stage, &own, &largest);
	out->own_channels = m->options.channels;
	out->own_size = stage->image_size;
	out->probabilities = base_calloc(batch * (size_t)m->options.classes, sizeof(float), "what a teacher says", err);
	out->grey = base_malloc(batch * own, sizeof(float), "a teacher's images", err);
	out->resized = base_malloc(batch * largest, sizeof(float), "a teacher's images", err);
	out->spread = base_malloc(batch * largest * 3, sizeof(float), "a teacher's images", err);
	if (!out->probabilities || !out->grey || !out->resized || !out->spread)
		status = BM_ERR_MEMORY;
	for (int i = 0; status == BM_OK && i < options->teacher_count; i++) {
		const model *teacher = options->teachers[i];
		const nn_options shape = shape_of(teacher, stage, threads);
		status = nn_network_create(&teacher->graph, &teacher->weights, &shape, &out->networks[i], err);
		out->channels[i] = teacher->options.channels;
		out->sizes[i] = teacher->options.image_size;
		out->count += status == BM_OK;
	}
	if (status != BM_OK)
		train_teachers_close(out);
	return status;
}

void train_teachers_close(train_teachers *teachers)
{
	for (int i = 0; i < teachers->count; i++)
		nn_network_free(teachers->networks[i]);
	base_free(teachers->probabilities);
	base_free(teachers->grey);
	base_free(teachers->resized);
	base_free(teachers->spread);
	*teachers = (train_teachers){0};
}

/* The images as teacher `turn` takes them. */
static bm_status show(train_teachers *t, int turn, const float *images, size_t count, const float **out, bm_error *err)
{
	const size_t own = (size_t)t->own_channels, own_pixels = (size_t)t->own_size * (size_t)t->own_size;
	const size_t theirs = (size_t)t->channels[turn], pixels = (size_t)t->sizes[turn] * (size_t)t->sizes[turn];
	bm_status status = BM_OK;
	*out = images;
	if (own == theirs && own_pixels == pixels)
		return BM_OK;
	if (own > 1) {
		for (size_t i = 0; i < count * own_pixels; i++)
			t->grey[i] = images[i * own];
		*out = t->grey;
	}
	if (own_pixels != pixels) {
		status = image_resize_floats(*out, count, t->own_size, t->resized, t->sizes[turn], err);
		*out = t->resized;
	}
	if (theirs > 1) {
		for (size_t i = 0; i < count * pixels; i++)
			for (size_t c = 0; c < theirs; c++)
				t->spread[i * theirs + c] = (*out)[i];
		*out = t->spread;
	}
	return status;
}

bm_status train_teachers_ask(train_teachers *teachers, const float *images, int count, uint64_t step, const float **out,
			     bm_error *err)
{
	*out = NULL;
	if (teachers->count == 0)
		return BM_OK;
	const int turn = (int)(step % (uint64_t)teachers->count);
	const float *shown;
	bm_status status = show(teachers, turn, images, (size_t)count, &shown, err);
	if (status != BM_OK)
		return status;
	*out = teachers->probabilities;
	return nn_network_forward(teachers->networks[turn], shown, count, false, 0, teachers->probabilities, err);
}

base_hash train_teachers_hash(const train_options *options)
{
	base_hash hash = {0};
	for (int i = 0; i < options->teacher_count; i++) {
		const nn_weights *w = &options->teachers[i]->weights;
		hash = base_hash_join(hash, base_hash_bytes(w->storage, w->total * sizeof *w->storage));
	}
	return hash;
}

bm_status train_teachers_memory(const train_options *options, const train_stage *stage, uint64_t *bytes, bm_error *err)
{
	size_t own, largest;
	bm_status status = BM_OK;
	*bytes = 0;
	if (stage->distillation <= 0 || options->teacher_count < 1)
		return BM_OK;
	pixels_of(options, stage, &own, &largest);
	*bytes = (uint64_t)stage->batch * (own + 4 * largest) * sizeof(float);
	for (int i = 0; status == BM_OK && i < options->teacher_count; i++) {
		const nn_options shape = shape_of(options->teachers[i], stage, 1);
		uint64_t one = 0;
		status = nn_network_estimate(&options->teachers[i]->graph, &shape, &one, err);
		*bytes += one;
	}
	return status;
}
