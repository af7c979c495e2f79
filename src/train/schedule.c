#include "train/schedule.h"

#include <math.h>

#define WARM_UP 0.1
#define FIRST (1.0 / 25)
#define LAST (1.0 / 25e4) /* PyTorch's defaults for both ends */

static double cosine(double from, double to, double x)
{
	return to + (from - to) * 0.5 * (1 + cos(M_PI * x));
}

double train_cycle_shape(double progress)
{
	if (progress <= 0)
		return FIRST;
	if (progress >= 1)
		return LAST;
	if (progress < WARM_UP)
		return cosine(FIRST, 1, progress / WARM_UP);
	return cosine(1, LAST, (progress - WARM_UP) / (1 - WARM_UP));
}

double train_cycle_progress(const train_cycle *cycle, uint64_t step)
{
	if (step >= cycle->total)
		return 1;
	if (step <= cycle->anchor_step)
		return cycle->anchor;
	return cycle->anchor +
	       (1 - cycle->anchor) * (double)(step - cycle->anchor_step) / (double)(cycle->total - cycle->anchor_step);
}

void train_cycle_refit(train_cycle *cycle, uint64_t step, uint64_t remaining)
{
	cycle->anchor = cycle->total > 0 ? train_cycle_progress(cycle, step) : 0;
	cycle->anchor_step = step;
	cycle->total = step + remaining;
}
