#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/memory.h"
#include "nn/internal.h"

#define ALIGNMENT 64
#define HUGE_PAGE ((size_t)2 << 20)

static size_t aligned(size_t bytes)
{
	return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

bm_status nn_buffer_add(nn_network *network, size_t bytes, int birth, int death, int *index, bm_error *err)
{
	bm_status status = base_grow(&network->buffers, &network->buffer_capacity, (size_t)network->buffer_count,
				     sizeof *network->buffers, "the list of buffers", err);
	if (status != BM_OK)
		return status;
	network->buffers[network->buffer_count] =
		(nn_buffer){.bytes = aligned(bytes > 0 ? bytes : 1), .birth = birth, .death = death};
	*index = network->buffer_count++;
	return BM_OK;
}

void nn_buffer_resize(nn_network *network, int buffer, size_t bytes)
{
	network->buffers[buffer].bytes = aligned(bytes);
}

void nn_buffer_use(nn_network *network, int buffer, int time)
{
	nn_buffer *used = &network->buffers[buffer];
	if (time < used->birth)
		used->birth = time;
	if (time > used->death)
		used->death = time;
}

/* The lowest gap between the already placed buffers that live at the same time; `placed` are sorted by offset. */
static size_t find_gap(const nn_buffer *buffers, const size_t *placed, int count, const nn_buffer *wanted)
{
	size_t at = 0;
	for (int i = 0; i < count; i++) {
		const nn_buffer *other = &buffers[placed[i]];
		if (other->death < wanted->birth || other->birth > wanted->death)
			continue;
		if (other->offset >= at + wanted->bytes)
			return at;
		if (other->offset + other->bytes > at)
			at = other->offset + other->bytes;
	}
	return at;
}

void nn_arena_place(nn_network *network, size_t *placed)
{
	nn_buffer *buffers = network->buffers;
	int count = network->buffer_count;
	network->arena_bytes = 0;
	for (int i = 0; i < count; i++)
		buffers[i].offset = SIZE_MAX;
	for (int done = 0; done < count; done++) {
		int best = -1; /* the largest of the rest */
		for (int i = 0; i < count; i++)
			if (buffers[i].offset == SIZE_MAX && (best < 0 || buffers[i].bytes > buffers[best].bytes))
				best = i;
		size_t offset = find_gap(buffers, placed, done, &buffers[best]);
		buffers[best].offset = offset;
		int at = done;
		for (; at > 0 && buffers[placed[at - 1]].offset > offset; at--)
			placed[at] = placed[at - 1];
		placed[at] = (size_t)best;
		if (offset + buffers[best].bytes > network->arena_bytes)
			network->arena_bytes = offset + buffers[best].bytes;
	}
}

size_t nn_store_add(nn_network *network, size_t bytes)
{
	size_t offset = network->store_bytes;
	network->store_bytes += aligned(bytes);
	return offset;
}

bm_status nn_parameter_add(nn_network *network, nn_op *op, int layer, nn_role role, size_t count, size_t *value,
			   size_t *gradient, bm_error *err)
{
	bm_status status = base_grow(&network->slots, &network->slot_capacity, (size_t)network->slot_count,
				     sizeof *network->slots, "the list of parameters", err);
	if (status != BM_OK)
		return status;
	nn_slot *slot = &network->slots[network->slot_count++];
	memset(slot, 0, sizeof *slot);
	slot->parameter.weight = nn_weight_index(&network->graph, layer, role);
	slot->parameter.role = role;
	slot->parameter.count = count;
	slot->op = (int)(op - network->ops);
	slot->value = *value = nn_store_add(network, count * sizeof(float));
	slot->gradient = *gradient = nn_store_add(network, count * sizeof(float));
	return BM_OK;
}

void *nn_large_alloc(size_t bytes, bool zeroed, const char *what, bm_error *err)
{
	char *block = base_malloc(bytes, 1, what, err);
	if (block == NULL)
		return NULL;
	uintptr_t begin = ((uintptr_t)block + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1);
	uintptr_t end = ((uintptr_t)block + bytes) & ~(HUGE_PAGE - 1);
	if (end > begin) /* only advice: where it is refused, small pages do */
		(void)madvise((void *)begin, end - begin, MADV_HUGEPAGE);
	if (zeroed)
		memset(block, 0, bytes);
	return block;
}

int nn_backward_time(const nn_network *network, const nn_op *op)
{
	return 2 * network->op_count - 1 - op->time;
}

bm_status nn_gradient_target(nn_network *network, nn_op *op, int index, int *buffer, bool *extra, bm_error *err)
{
	nn_tensor *tensor = &network->tensors[index];
	int time = nn_backward_time(network, op);
	size_t bytes = tensor->image_floats * (size_t)tensor->batch * sizeof(float);
	bm_status status = nn_buffer_add(network, bytes, time, time, buffer, err);
	if (status != BM_OK)
		return status;
	*extra = tensor->gradient_buffer >= 0;
	const nn_op *producer = &network->ops[tensor->producer];
	if (!*extra) {
		tensor->gradient_buffer = *buffer;
		nn_buffer_use(network, *buffer, nn_backward_time(network, producer));
	} else {
		nn_buffer_use(network, tensor->gradient_buffer, time);
		if (tensor->gradient_buffer2 < 0 && producer->class->sums_gradients) {
			tensor->gradient_buffer2 = *buffer;
			nn_buffer_use(network, *buffer, nn_backward_time(network, producer));
		}
	}
	return BM_OK;
}

void nn_gradient_finish(nn_network *network, int index, int buffer, bool extra)
{
	const nn_tensor *tensor = &network->tensors[index];
	if (!extra || tensor->gradient_buffer2 == buffer)
		return;
	float *sum = nn_gradient(network, index);
	nn_add_arrays(sum, nn_buffer_data(network, buffer), sum, tensor->image_floats * (size_t)tensor->batch, false);
}

float *nn_data(nn_network *network, const nn_op *op, int index)
{
	const nn_tensor *tensor = &network->tensors[index];
	float *data = nn_buffer_data(network, tensor->buffer);
	if (op->chunked && tensor->batch != op->batch)
		data += (size_t)network->chunk_index * (size_t)op->batch * tensor->image_floats;
	return data;
}
