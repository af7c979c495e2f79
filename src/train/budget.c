#include "train/budget.h"

#include <math.h>
#include <string.h>

double train_cost_epoch(const train_cost *cost)
{
	return cost->step * (double)cost->steps + cost->validation;
}

double train_budget_total(const train_cost *costs, const int *epochs, int count)
{
	double total = 0;
	for (int i = 0; i < count; i++)
		if (epochs[i] > 0)
			total += costs[i].once + epochs[i] * train_cost_epoch(&costs[i]);
	return total;
}

void train_budget_least(const train_plan *plan, int first, bool keep, int *least)
{
	for (int i = first; i < plan->count; i++) {
		const int some = keep && plan->count > 1 && i == plan->count - 1 ? 3 : 1;
		least[i - first] = plan->stages[i].epochs < some ? plan->stages[i].epochs : some;
	}
}

static void scaled(const int *wanted, const int *least, int count, double factor, int *epochs)
{
	for (int i = 0; i < count; i++) {
		const int n = (int)floor(wanted[i] * factor + 1e-9);
		epochs[i] = n < least[i] ? least[i] : n;
	}
}

void train_budget_grow(const train_cost *costs, const int *wanted, int count, double seconds, int *epochs)
{
	const int kept = count > 1; /* stages */
	epochs[0] = wanted[0];
	if (kept)
		seconds -= costs[0].once + wanted[0] * train_cost_epoch(&costs[0]);
	if (!train_budget_fit(costs + kept, wanted + kept, wanted + kept, count - kept, seconds, TRAIN_BUDGET_GROWTH,
			      epochs + kept))
		memcpy(epochs, wanted, (size_t)count * sizeof *epochs);
}

bool train_budget_fit(const train_cost *costs, const int *wanted, const int *least, int count, double seconds,
		      double growth, int *epochs)
{
	memcpy(epochs, least, (size_t)count * sizeof *epochs);
	if (train_budget_total(costs, least, count) > seconds)
		return false;
	scaled(wanted, least, count, growth, epochs);
	if (train_budget_total(costs, epochs, count) <= seconds)
		return true;
	double low = 0, high = growth;
	for (int i = 0; i < 60; i++) {
		const double middle = (low + high) / 2;
		scaled(wanted, least, count, middle, epochs);
		if (train_budget_total(costs, epochs, count) <= seconds)
			low = middle;
		else
			high = middle;
	}
	scaled(wanted, least, count, low, epochs);
	/* What is left goes, an epoch at a time, to the stages that were rounded down most; to the later of two equals. */
	bool tried[TRAIN_STAGES_MAX] = {false};
	for (int round = 0; round < count; round++) {
		int best = -1;
		double most = 0;
		for (int i = 0; i < count; i++) {
			const double missing = wanted[i] * high - epochs[i];
			if (!tried[i] && missing > 0 && missing >= most) {
				best = i;
				most = missing;
			}
		}
		if (best < 0)
			break;
		tried[best] = true;
		epochs[best]++;
		if (train_budget_total(costs, epochs, count) > seconds)
			epochs[best]--;
	}
	return true;
}
