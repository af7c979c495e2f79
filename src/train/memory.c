#include "base/memory.h"

#include "train/state.h"

bm_status train_memory_needed(model *m, const train_stage *stage, const train_options *options, size_t train_images,
			      uint64_t *bytes, bm_error *err)
{
	*bytes = 0;
	model_set_trainable(m, stage->part, stage->last_layers);
	nn_options network = {
		.batch = stage->batch,
		.height = stage->image_size,
		.width = stage->image_size,
		.channels = m->options.channels,
		.training = true,
		.threads = 1,
		.bf16 = stage->bf16,
	};
	uint64_t training = 0, prediction = 0, teachers = 0;
	bm_status status = nn_network_estimate(&m->graph, &network, &training, err);
	network.batch = train_validation_batch(stage);
	network.training = network.bf16 = false;
	if (status == BM_OK)
		status = nn_network_estimate(&m->graph, &network, &prediction, err);
	if (status == BM_OK)
		status = train_teachers_memory(options, stage, &teachers, err);
	if (status != BM_OK)
		return status;
	int64_t all = 0, trainable = 0;
	nn_weights_counts(&m->graph, &m->weights, &all, &trainable);
	const uint64_t pixels = (uint64_t)stage->image_size * (uint64_t)stage->image_size;
	const uint64_t batches = 6 * pixels * (uint64_t)m->options.channels * (uint64_t)stage->batch * sizeof(float);
	const uint64_t moments = 2 * (uint64_t)trainable * sizeof(float);
	const uint64_t ema = stage->ema_decay > 0 ? (uint64_t)all * sizeof(float) : 0;
	const uint64_t sam = stage->sam_rho > 0 ? (uint64_t)trainable * sizeof(float) : 0;
	const uint64_t mixed =
		stage->mixup > 0 ? pixels * (uint64_t)m->options.channels * (uint64_t)stage->batch * sizeof(float) : 0;
	*bytes = mixed + teachers + training + prediction + moments + ema + sam + batches + train_images * pixels;
	return BM_OK;
}

bm_status train_memory_check(model *m, const train_plan *plan, const train_options *options, int first,
			     size_t train_images, uint64_t available, bm_error *err)
{
	for (int i = first; i < plan->count; i++) {
		train_stage stage = plan->stages[i];
		uint64_t needed = 0, smaller = 0;
		bm_status status = train_memory_needed(m, &stage, options, train_images, &needed, err);
		if (status != BM_OK)
			return status;
		if (needed <= available)
			continue;
		const int batch = stage.batch;
		char is[32], there[32];
		base_format_bytes((double)needed, is);
		base_format_bytes((double)available, there);
		while (stage.batch > 1) {
			/* Powers of two, from the next below. */
			int half = 1;
			while (half * 2 < stage.batch)
				half *= 2;
			stage.batch = half;
			status = train_memory_needed(m, &stage, options, train_images, &smaller, err);
			if (status != BM_OK)
				return status;
			if (smaller <= available)
				return base_fail(
					err, BM_ERR_MEMORY,
					"not enough memory for stage %d with a batch of %d at %d x %d: about %s "
					"are needed, %s are there; a batch of %d fits: use --batch %d, or free some "
					"memory",
					stage.number, batch, stage.image_size, stage.image_size, is, there, stage.batch,
					stage.batch);
		}
		return base_fail(
			err, BM_ERR_MEMORY,
			"not enough memory for stage %d with a batch of %d at %d x %d: about %s are needed, %s "
			"are there, and not even a batch of 1 fits; free some memory, or use a smaller "
			"--image-size or --width",
			stage.number, batch, stage.image_size, stage.image_size, is, there);
	}
	return BM_OK;
}
