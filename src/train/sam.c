#include "train/sam.h"

#include <string.h>

#include "train/optimizer.h"

bm_status train_sam_create(nn_network *network, train_sam *out, bm_error *err)
{
	*out = (train_sam){.count = nn_network_parameter_count(network)};
	out->values = train_arrays_create(network, "weights put aside", err);
	return out->values ? BM_OK : BM_ERR_MEMORY;
}

void train_sam_free(train_sam *sam)
{
	train_arrays_free(sam->values, sam->count);
	*sam = (train_sam){0};
}

bm_status train_sam_climb(train_sam *sam, nn_network *network, float rho, int threads, float *norm, bm_error *err)
{
	double length;
	bm_status status = train_gradient_norm(network, threads, &length, norm, err);
	if (status != BM_OK)
		return status;
	const float scale = length > 0 ? (float)((double)rho / length) : 0;
	for (int i = 0; i < sam->count; i++) {
		const nn_parameter *p = nn_network_parameter(network, i);
		memcpy(sam->values[i], p->value, p->count * sizeof(float));
		for (size_t k = 0; k < p->count; k++)
			p->value[k] += scale * p->gradient[k];
	}
	nn_network_hold_statistics(network, true);
	return nn_network_parameters_changed(network, err);
}

bm_status train_sam_return(train_sam *sam, nn_network *network, bm_error *err)
{
	for (int i = 0; i < sam->count; i++) {
		const nn_parameter *p = nn_network_parameter(network, i);
		memcpy(p->value, sam->values[i], p->count * sizeof(float));
	}
	nn_network_hold_statistics(network, false);
	return nn_network_parameters_changed(network, err);
}
