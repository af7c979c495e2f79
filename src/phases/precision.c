#include "phases/precision.h"

/* It only warns: a run that was told to take bfloat16 does, as its bytes are to be those of an earlier one. */
bm_status phase_warn_of_slow_bf16(phase_context *c, bm_error *err)
{
	bool asked = false;
	double ratio = 0;
	for (int i = 0; i < c->config.plan.count; i++)
		asked |= c->config.plan.stages[i].bf16;
	if (!asked || c->options.precision_measured)
		return BM_OK;
	bm_status status = nn_bf16_speed(c->threads, &ratio, err);
	if (status == BM_OK && ratio > 0 && ratio < 1)
		base_warning(&c->observer,
			     "bfloat16 is only %.2f times as fast as f32 on this processor: take --precision f32, or "
			     "auto, which measures",
			     ratio);
	return status;
}
