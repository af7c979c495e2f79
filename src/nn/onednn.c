#include <omp.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/threads.h"
#include "nn/internal.h"

bm_status nn_dnnl_fail(bm_error *err, dnnl_status_t status, const char *layer, const char *what)
{
	switch (status) {
	case dnnl_out_of_memory:
		return base_fail(err, BM_ERR_MEMORY, "layer '%s': no memory for %s; use a smaller batch or image size",
				 layer, what);
	case dnnl_unimplemented:
		return base_fail(
			err, BM_ERR_UNSUPPORTED,
			"layer '%s': oneDNN %d.%d.%d has no %s for this shape on this processor; change the layer's "
			"size",
			layer, DNNL_VERSION_MAJOR, DNNL_VERSION_MINOR, DNNL_VERSION_PATCH, what);
	default:
		return base_fail(err, BM_ERR_INTERNAL, "layer '%s': oneDNN failed on %s (status %d): please report it",
				 layer, what, (int)status);
	}
}

static const char *isa_name(void)
{
	switch (dnnl_get_effective_cpu_isa()) {
	case dnnl_cpu_isa_sse41:
		return "sse41";
	case dnnl_cpu_isa_avx:
		return "avx";
	case dnnl_cpu_isa_avx2:
		return "avx2";
	case dnnl_cpu_isa_avx2_vnni:
		return "avx2_vnni";
	case dnnl_cpu_isa_avx512_mic:
	case dnnl_cpu_isa_avx512_mic_4ops:
		return "avx512_mic";
	case dnnl_cpu_isa_avx512_core:
		return "avx512_core";
	case dnnl_cpu_isa_avx512_core_vnni:
		return "avx512_core_vnni";
	case dnnl_cpu_isa_avx512_core_bf16:
		return "avx512_core_bf16";
	case dnnl_cpu_isa_avx512_core_amx:
		return "avx512_core_amx";
	default:
		return "generic";
	}
}

bool nn_has_bf16(void)
{
	const unsigned isa = (unsigned)dnnl_get_effective_cpu_isa();
	return (isa & dnnl_cpu_isa_avx512_core_bf16) == dnnl_cpu_isa_avx512_core_bf16;
}

bool nn_has_amx(void)
{
	return dnnl_get_effective_cpu_isa() == dnnl_cpu_isa_avx512_core_amx;
}

void nn_describe(char *buffer, size_t size)
{
	const dnnl_version_t *version = dnnl_version();
	int threads = base_cores();
	snprintf(buffer, size, "oneDNN %d.%d.%d, %s, %d thread%s", version->major, version->minor, version->patch,
		 isa_name(), threads, threads == 1 ? "" : "s");
}

bm_status nn_engine_create(nn_network *network, bm_error *err)
{
	dnnl_status_t status = dnnl_engine_create(&network->engine, dnnl_cpu, 0);
	if (status == dnnl_success)
		status = dnnl_stream_create(&network->stream, network->engine, dnnl_stream_default_flags);
	if (status != dnnl_success)
		return nn_dnnl_fail(err, status, "(all)", "a CPU engine");
	unsigned isa = (unsigned)dnnl_get_effective_cpu_isa();
	network->lanes = (isa & dnnl_cpu_isa_avx512_core) == dnnl_cpu_isa_avx512_core ? 16 : 8;
	return BM_OK;
}

void nn_tensor_desc(const nn_network *network, const nn_tensor *tensor, int batch, dnnl_memory_desc_t *desc)
{
	if (tensor->layout == NN_FLAT) {
		dnnl_dims_t dims = {batch, tensor->channels};
		dnnl_memory_desc_init_by_tag(desc, 2, dims, dnnl_f32, dnnl_nc);
		return;
	}
	dnnl_dims_t dims = {batch, tensor->channels, tensor->height, tensor->width};
	dnnl_format_tag_t tag = tensor->layout == NN_PLANAR ? dnnl_nchw
				: tensor->layout == NN_LAST ? dnnl_nhwc
				: network->lanes == 16	    ? dnnl_nChw16c
							    : dnnl_nChw8c;
	dnnl_memory_desc_init_by_tag(desc, 4, dims, tensor->bf16 ? dnnl_bf16 : dnnl_f32, tag);
}

static bm_status take_desc(nn_network *network, const char *layer, dnnl_primitive_desc_t desc, int *index,
			   bm_error *err)
{
	bm_status status =
		base_grow(&network->primitives, &network->primitive_capacity, (size_t)network->primitive_count,
			  sizeof *network->primitives, "the list of primitives", err);
	if (status != BM_OK) {
		dnnl_primitive_desc_destroy(desc);
		return status;
	}
	nn_primitive *primitive = &network->primitives[network->primitive_count];
	memset(primitive, 0, sizeof *primitive);
	primitive->layer = layer;
	primitive->desc = desc;
	primitive->scratchpad =
		dnnl_memory_desc_get_size(dnnl_primitive_desc_query_md(desc, dnnl_query_scratchpad_md, 0));
	if (primitive->scratchpad > network->scratchpad_bytes)
		network->scratchpad_bytes = primitive->scratchpad;
	*index = network->primitive_count++;
	return BM_OK;
}

static dnnl_status_t user_scratchpad(dnnl_primitive_attr_t *attr, dnnl_post_ops_t post_ops)
{
	dnnl_status_t status = dnnl_primitive_attr_create(attr);
	if (status == dnnl_success)
		status = dnnl_primitive_attr_set_scratchpad_mode(*attr, dnnl_scratchpad_mode_user);
	if (status == dnnl_success && post_ops != NULL)
		status = dnnl_primitive_attr_set_post_ops(*attr, post_ops);
	return status;
}

bm_status nn_primitive_add(nn_network *network, const char *layer, const_dnnl_op_desc_t op_desc,
			   dnnl_post_ops_t post_ops, int forward, int *index, bm_error *err)
{
	dnnl_primitive_attr_t attr = NULL;
	dnnl_primitive_desc_t desc = NULL;
	dnnl_primitive_desc_t hint = forward < 0 ? NULL : network->primitives[forward].desc;
	dnnl_status_t status = user_scratchpad(&attr, post_ops);
	if (status == dnnl_success)
		status = dnnl_primitive_desc_create(&desc, op_desc, attr, network->engine, hint);
	if (attr != NULL)
		dnnl_primitive_attr_destroy(attr);
	if (status != dnnl_success)
		return nn_dnnl_fail(err, status, layer, "primitive");
	return take_desc(network, layer, desc, index, err);
}

bm_status nn_reorder_add(nn_network *network, const char *layer, const dnnl_memory_desc_t *from,
			 const dnnl_memory_desc_t *to, int *index, bm_error *err)
{
	dnnl_primitive_attr_t attr = NULL;
	dnnl_primitive_desc_t desc = NULL;
	dnnl_status_t status = user_scratchpad(&attr, NULL);
	if (status == dnnl_success)
		status = dnnl_reorder_primitive_desc_create(&desc, from, network->engine, to, network->engine, attr);
	if (attr != NULL)
		dnnl_primitive_attr_destroy(attr);
	if (status != dnnl_success)
		return nn_dnnl_fail(err, status, layer, "reorder");
	return take_desc(network, layer, desc, index, err);
}

const dnnl_memory_desc_t *nn_primitive_desc(const nn_network *network, int index, dnnl_query_t what, int argument)
{
	return dnnl_primitive_desc_query_md(network->primitives[index].desc, what, argument);
}

bm_status nn_primitives_build(nn_network *network, bm_error *err)
{
	for (int i = 0; i < network->primitive_count; i++) {
		nn_primitive *primitive = &network->primitives[i];
		dnnl_status_t status = dnnl_primitive_create(&primitive->primitive, primitive->desc);
		if (status != dnnl_success)
			return nn_dnnl_fail(err, status, primitive->layer, "a primitive");
	}
	return BM_OK;
}

/* The primitive's memory object of an argument, with this pointer in it. */
static dnnl_status_t bind(nn_network *network, nn_primitive *primitive, int arg, void *pointer, dnnl_memory_t *memory)
{
	int i = 0;
	while (i < primitive->memory_count && primitive->memories[i].arg != arg)
		i++;
	if (i == primitive->memory_count) {
		if (i > NN_ARGS_MAX)
			return dnnl_invalid_arguments;
		const dnnl_memory_desc_t *desc =
			dnnl_primitive_desc_query_md(primitive->desc, dnnl_query_exec_arg_md, arg);
		dnnl_status_t status =
			dnnl_memory_create(&primitive->memories[i].memory, desc, network->engine, DNNL_MEMORY_NONE);
		if (status != dnnl_success)
			return status;
		primitive->memories[i].arg = arg;
		primitive->memories[i].pointer = NULL;
		primitive->memory_count++;
	}
	*memory = primitive->memories[i].memory;
	if (primitive->memories[i].pointer == pointer)
		return dnnl_success;
	primitive->memories[i].pointer = pointer;
	return dnnl_memory_set_data_handle_v2(*memory, pointer, network->stream);
}

bm_status nn_primitive_run(nn_network *network, int index, int count, const nn_arg *args, bm_error *err)
{
	nn_primitive *primitive = &network->primitives[index];
	dnnl_exec_arg_t exec[NN_ARGS_MAX + 1];
	int exec_count = 0;
	dnnl_status_t status = dnnl_success;
	for (int i = 0; i < count && status == dnnl_success; i++) {
		if (args[i].pointer == NULL)
			continue;
		exec[exec_count].arg = args[i].arg;
		status = bind(network, primitive, args[i].arg, args[i].pointer, &exec[exec_count].memory);
		exec_count++;
	}
	if (status == dnnl_success && primitive->scratchpad > 0) {
		exec[exec_count].arg = DNNL_ARG_SCRATCHPAD;
		status = bind(network, primitive, DNNL_ARG_SCRATCHPAD, network->scratchpad, &exec[exec_count].memory);
		exec_count++;
	}
	if (status == dnnl_success)
		status = dnnl_primitive_execute(primitive->primitive, network->stream, exec_count, exec);
	if (status == dnnl_success)
		status = dnnl_stream_wait(network->stream);
	return status == dnnl_success ? BM_OK : nn_dnnl_fail(err, status, primitive->layer, "running a primitive");
}

void nn_primitives_free(nn_network *network)
{
	for (int i = 0; i < network->primitive_count; i++) {
		nn_primitive *primitive = &network->primitives[i];
		for (int k = 0; k < primitive->memory_count; k++)
			dnnl_memory_destroy(primitive->memories[k].memory);
		if (primitive->primitive != NULL)
			dnnl_primitive_destroy(primitive->primitive);
		dnnl_primitive_desc_destroy(primitive->desc);
	}
	base_free(network->primitives);
	network->primitives = NULL;
	network->primitive_count = 0;
	if (network->stream != NULL)
		dnnl_stream_destroy(network->stream);
	if (network->engine != NULL)
		dnnl_engine_destroy(network->engine);
	network->stream = NULL;
	network->engine = NULL;
}

bm_status nn_reorder(nn_network *network, const char *layer, const dnnl_memory_desc_t *from_desc, const float *from,
		     const dnnl_memory_desc_t *to_desc, float *to, bm_error *err)
{
	dnnl_primitive_desc_t desc = NULL;
	dnnl_primitive_t primitive = NULL;
	dnnl_memory_t memories[2] = {NULL, NULL};
	dnnl_engine_t engine = network->engine;
	dnnl_status_t status = dnnl_reorder_primitive_desc_create(&desc, from_desc, engine, to_desc, engine, NULL);
	if (status == dnnl_success)
		status = dnnl_primitive_create(&primitive, desc);
	if (status == dnnl_success)
		status = dnnl_memory_create(&memories[0], from_desc, engine, (void *)(uintptr_t)from);
	if (status == dnnl_success)
		status = dnnl_memory_create(&memories[1], to_desc, engine, to);
	if (status == dnnl_success) {
		dnnl_exec_arg_t args[2] = {{DNNL_ARG_FROM, memories[0]}, {DNNL_ARG_TO, memories[1]}};
		status = dnnl_primitive_execute(primitive, network->stream, 2, args);
	}
	if (status == dnnl_success)
		status = dnnl_stream_wait(network->stream);
	for (int i = 0; i < 2; i++)
		if (memories[i] != NULL)
			dnnl_memory_destroy(memories[i]);
	if (primitive != NULL)
		dnnl_primitive_destroy(primitive);
	if (desc != NULL)
		dnnl_primitive_desc_destroy(desc);
	return status == dnnl_success ? BM_OK : nn_dnnl_fail(err, status, layer, "a reorder");
}
