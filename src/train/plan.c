#include <stdio.h>
#include <string.h>

#include "train/train.h"

/* The guide's "moderate" changes, and enough for a network that sees each image some thirty times. */
static const data_augmentation moderate = {
	.flip = true, .rotation = 15, .shift = 0.06f, .zoom = 0.12f, .brightness = 0.1f, .contrast = 0.1f};

static void title_size(train_stage *stage)
{
	snprintf(stage->title, sizeof stage->title, "All layers at %d x %d", stage->image_size, stage->image_size);
}

static const char frozen[] = "Training with frozen ResNet-50 base";

void train_plan_fit_titles(train_plan *plan, bool compact)
{
	for (int i = 0; i < plan->count; i++) {
		train_stage *stage = &plan->stages[i];
		int first, second, end = 0;
		if (sscanf(stage->title, "All layers at %d x %d%n", &first, &second, &end) == 2 && !stage->title[end])
			title_size(stage);
		if (compact && strcmp(stage->title, frozen) == 0)
			strcpy(stage->title, "Training with frozen base");
	}
}

void train_plan_two_stage(train_plan *plan, int image_size)
{
	*plan = (train_plan){.name = "two-stage", .count = 2, .class_weights = true};
	const train_stage common = {
		.image_size = image_size,
		.batch = 16,
		.schedule = TRAIN_CONSTANT,
		.augmentation = moderate,
		.patience = 5,
		.plateau_patience = 3,
		.plateau_factor = 0.5f,
		.keep_best = true,
	};
	plan->stages[0] = plan->stages[1] = common;
	train_stage *one = &plan->stages[0], *two = &plan->stages[1];
	strcpy(one->title, frozen);
	one->number = 1;
	one->epochs = 5;
	one->part = MODEL_HEAD_ONLY;
	one->learning_rate = 1e-3f;
	two->last_layers = 30;
	snprintf(two->title, sizeof two->title, "Fine-tuning last %d layers", two->last_layers);
	two->number = 2;
	two->epochs = 10;
	two->part = MODEL_LAST_LAYERS;
	two->learning_rate = 1e-5f;
}

/* The compact network sees each image three times as often and would learn them by heart: without the stronger changes and mixup it answered
 * 99.7 % of its training images right and stood still on the others. */
static const data_augmentation strong = {.flip = true,
					 .rotation = 15,
					 .shift = 0.06f,
					 .zoom = 0.12f,
					 .brightness = 0.1f,
					 .contrast = 0.2f,
					 .stretch = 0.1f,
					 .gamma = 0.25f};

/* The multiple of 32 (the network's total stride) nearest to a share of the size, within [32, size]. */
static int step_size(int size, double share)
{
	int n = (int)(size * share / 32 + 0.5) * 32;
	if (n < 32)
		n = 32;
	return n > size ? size : n;
}

/* All layers from random weights on growing images. `like` gives batch, peak rate, augmentation and mixup. */
static void grow(train_plan *plan, int image_size, const int epochs[3], const double shares[3], const train_stage *like)
{
	for (int i = 0; i < 3; i++) {
		const int size = i == 2 ? image_size : step_size(image_size, shares[i]);
		train_stage *before = plan->count > 0 ? &plan->stages[plan->count - 1] : NULL;
		if (before && before->image_size == size) {
			/* A small final size has fewer steps on the way to it. */
			before->epochs += epochs[i];
			continue;
		}
		plan->stages[plan->count] = (train_stage){
			.number = plan->count + 1,
			.epochs = epochs[i],
			.part = MODEL_ALL,
			.image_size = size,
			.batch = like->batch,
			.schedule = TRAIN_ONE_CYCLE,
			.learning_rate = like->learning_rate,
			.weight_decay = 0.05f,
			.label_smoothing = 0.05f,
			.clip_norm = 2,
			.bn_momentum = 0.95f,
			.augmentation = like->augmentation,
			.mixup = like->mixup,
		};
		title_size(&plan->stages[plan->count]);
		plan->count++;
	}
}

const train_stage *train_plan_stage(const train_plan *plan, int number)
{
	for (int i = 0; i < plan->count; i++)
		if (plan->stages[i].number == number)
			return &plan->stages[i];
	return NULL;
}

void train_plan_scratch(train_plan *plan, int image_size)
{
	/* An epoch of small images teaches as much at first and costs a quarter. */
	static const int epochs[3] = {14, 10, 8};
	static const double shares[3] = {0.5, 0.75, 1};
	*plan = (train_plan){.name = "scratch", .class_weights = true, .mirror = true};
	grow(plan, image_size, epochs, shares,
	     &(train_stage){.batch = 32, .learning_rate = 1e-3f, .augmentation = moderate});
	plan->stages[plan->count - 1].keep_best = true;
}

/* It ends with its last epoch, whose learning rate is 0: the best of sixty on a few hundred validation images is the luckiest. */
void train_plan_compact(train_plan *plan, int image_size)
{
	static const int epochs[3] = {60, 60, 60};
	static const double shares[3] = {0.6, 0.8, 1};
	*plan = (train_plan){.name = "compact", .mirror = true, .time_budget = 2400};
	grow(plan, image_size, epochs, shares,
	     &(train_stage){.batch = 64, .learning_rate = 4e-3f, .augmentation = strong, .mixup = 0.2f});
}
