#include "train/teachers.h"

#include <string.h>

#include "base/memory.h"

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
			    .height = stage->image_size,
			    .width = stage->image_size,
			    .channels = teacher->options.channels,
			    .threads = threads,
			    .bf16 = stage->bf16};
}

bm_status train_teachers_open(const model *m, const train_options *options, const train_stage *stage, int threads,
			      train_teachers *out, bm_error *err)
{
	const size_t batch = (size_t)stage->batch, pixels = (size_t)stage->image_size * (size_t)stage->image_size;
	bm_status status = BM_OK;
	*out = (train_teachers){0};
	if (stage->distillation <= 0 || options->teacher_count < 1)
		return BM_OK;
	out->channels = m->options.channels;
	out->pixels = pixels;
	out->probabilities = base_calloc(batch * (size_t)m->options.classes, sizeof(float), "what a teacher says", err);
	out->images = base_malloc(batch * pixels * 3, sizeof(float), "a teacher's images", err);
	if (!out->probabilities || !out->images)
		status = BM_ERR_MEMORY;
	for (int i = 0; status == BM_OK && i < options->teacher_count; i++) {
		const model *teacher = options->teachers[i];
		const nn_options shape = shape_of(teacher, stage, threads);
		status = nn_network_create(&teacher->graph, &teacher->weights, &shape, &out->networks[i], err);
		out->theirs[i] = teacher->options.channels;
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
	base_free(teachers->images);
	*teachers = (train_teachers){0};
}

bm_status train_teachers_ask(train_teachers *teachers, const float *images, int count, uint64_t step, const float **out,
			     bm_error *err)
{
	*out = NULL;
	if (teachers->count == 0)
		return BM_OK;
	const int turn = (int)(step % (uint64_t)teachers->count), ours = teachers->channels,
		  theirs = teachers->theirs[turn];
	if (ours != theirs) {
		for (size_t i = 0; i < (size_t)count * teachers->pixels; i++)
			for (int c = 0; c < theirs; c++)
				teachers->images[i * (size_t)theirs + (size_t)c] = images[i * (size_t)ours];
		images = teachers->images;
	}
	*out = teachers->probabilities;
	return nn_network_forward(teachers->networks[turn], images, count, false, 0, teachers->probabilities, err);
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
	bm_status status = BM_OK;
	*bytes = 0;
	for (int i = 0; status == BM_OK && stage->distillation > 0 && i < options->teacher_count; i++) {
		const nn_options shape = shape_of(options->teachers[i], stage, 1);
		uint64_t one = 0;
		status = nn_network_estimate(&options->teachers[i]->graph, &shape, &one, err);
		*bytes += one;
		if (i == 0)
			*bytes += 3 * sizeof(float) * (uint64_t)stage->batch * (uint64_t)stage->image_size *
				  (uint64_t)stage->image_size;
	}
	return status;
}
