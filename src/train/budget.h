/* A time budget turned into epochs. */
#ifndef TRAIN_BUDGET_H
#define TRAIN_BUDGET_H

#include "train/train.h"

#define TRAIN_BUDGET_SHARE 0.97 /* of the budget that a plan is made to fill */
#define TRAIN_BUDGET_GROWTH 5.0 /* a one-cycle plan's epochs are multiplied by at most this */

typedef struct train_cost {
	double step;	   /* seconds for a training step */
	size_t steps;	   /* per epoch */
	double validation; /* seconds for one pass over the validation part */
	double once;	   /* seconds per stage: compiling, first batches, files */
} train_cost;

double train_cost_epoch(const train_cost *cost);
/* Seconds for so many epochs of each stage [count]; a stage without epochs costs nothing. */
double train_budget_total(const train_cost *costs, const int *epochs, int count);

/* epochs[count]: multiples of wanted[count], by the same factor, at most `growth`, that take `seconds` at most; each at least least[count].
 * False when even `least` takes longer: epochs are `least` then. */
bool train_budget_fit(const train_cost *costs, const int *wanted, const int *least, int count, double seconds,
		      double growth, int *epochs);

/* The same for more time than `wanted` takes: it goes to the stages after the one under way, wanted[0], whose epochs stay as
 * they are; a stage that could grow again after each of its epochs would in the end leave nothing for the later, larger ones.
 * The last stage grows itself. */
void train_budget_grow(const train_cost *costs, const int *wanted, int count, double seconds, int *epochs);

/* Times a few steps and validation batches of one stage on a throw-away network; the model's weights stay as they are. */
bm_status train_measure(model *m, const data_pack *pack, const data_split *split, const train_stage *stage, bool mirror,
			const train_options *options, int threads, const base_observer *observer, train_cost *cost,
			bm_error *err);

/* The least epochs that stages [first, count) should keep: 1 each, 3 for the last where the plan has as many; `keep` false: 1. */
void train_budget_least(const train_plan *plan, int first, bool keep, int *least);

#endif
