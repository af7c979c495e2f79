/* Options into a configuration. */
#include <limits.h>
#include <string.h>

#include "base/file.h"
#include "cli/session.h"
#include "nn/network.h"

/* Of a network's loss: enough labels that its teachers' mistakes are not all taken over. */
#define TEACHERS_SHARE 0.75f

static bm_status integer(const cli_arguments *a, cli_option_id id, const char *name, long long low, long long high,
			 int *member, bm_error *err)
{
	long long value;
	if (!a->values[id])
		return BM_OK;
	bm_status status = cli_parse_integer(name, a->values[id], low, high, &value, err);
	if (status == BM_OK)
		*member = (int)value;
	return status;
}

static bm_status real(const cli_arguments *a, cli_option_id id, const char *name, double low, double high,
		      double *member, bm_error *err)
{
	return a->values[id] ? cli_parse_real(name, a->values[id], low, high, member, err) : BM_OK;
}

static bm_status apply_spark(const cli_arguments *a, run_config *config, bm_error *err)
{
	const char *master = a->values[CLI_MASTER], *conf = a->values[CLI_SPARK_CONF];
	bm_status status = BM_OK;
	if (master && strcmp(master, "none") == 0)
		status = run_config_set(&config->master, NULL, err);
	else if (master && (status = engine_spark_check_master(master, err)) == BM_OK)
		status = run_config_set(&config->master, master, err);
	if (status == BM_OK && conf && (status = engine_spark_check_conf(conf, err)) == BM_OK)
		status = run_config_set(&config->spark_conf, conf, err);
	if (status == BM_OK)
		status = integer(a, CLI_PARTITIONS, "partitions", 0, 100000, &config->partitions, err);
	if (status == BM_OK)
		status = integer(a, CLI_IMAGE_SECONDS, "image-seconds", 1, 86400, &config->image_seconds, err);
	return status;
}

static bm_status apply_general(const cli_arguments *a, run_config *config, bm_error *err)
{
	bm_status status = BM_OK;
	long long seed;
	if (a->values[CLI_SEED]) {
		status = cli_parse_integer("seed", a->values[CLI_SEED], 0, INT64_MAX, &seed, err);
		if (status != BM_OK)
			return status;
		config->seed = (uint64_t)seed;
	}
	if (a->values[CLI_SPLIT_SEED]) {
		status = cli_parse_integer("split-seed", a->values[CLI_SPLIT_SEED], 0, INT64_MAX, &seed, err);
		if (status != BM_OK)
			return status;
		config->split_seed = seed;
	}
	status = real(a, CLI_TRAIN_SHARE, "train-share", 0.01, 1, &config->train_share, err);
	if (status == BM_OK && a->values[CLI_THREADS])
		status = cli_parse_threads(a->values[CLI_THREADS], &config->threads, err);
	if (status == BM_OK && a->values[CLI_OUT])
		status = run_config_set(&config->out, a->values[CLI_OUT], err);
	if (status == BM_OK && a->values[CLI_WEBHDFS])
		status = run_config_set(&config->webhdfs, a->values[CLI_WEBHDFS], err);
	if (status == BM_OK && a->values[CLI_PACK])
		status = run_config_set(&config->pack, a->values[CLI_PACK], err);
	if (status != BM_OK)
		return status;
	status = apply_spark(a, config, err);
	if (status != BM_OK)
		return status;
	if (a->values[CLI_STRICT])
		config->strict = true;
	if (a->values[CLI_NO_BENCH])
		config->benchmark = false;
	if (a->values[CLI_SAVE_OPTIMIZER])
		config->save_optimizer = true;
	if (a->values[CLI_SPLIT] && !run_config_split_parse(a->values[CLI_SPLIT], &config->split))
		return base_fail(err, BM_ERR_USAGE, "--split takes default, guide, final or refit, not '%s'",
				 a->values[CLI_SPLIT]);
	if (a->values[CLI_HEAD] && !run_config_head_parse(a->values[CLI_HEAD], &config->head))
		return base_fail(err, BM_ERR_USAGE, "--head takes guide, dense512 or linear, not '%s'",
				 a->values[CLI_HEAD]);
	return BM_OK;
}

/* Weights are of one network, so another one that was asked for cannot start from them. */
static bm_status check_weights(const cli_arguments *a, model_variant theirs, const run_config *config, bm_error *err)
{
	const bool named = a->values[CLI_NETWORK] || config->variant != MODEL_V1; /* no default */
	const bool any = config->variant == MODEL_V1 && theirs == MODEL_V1_5;	  /* ResNet-50, of either variant */
	if (!named || any || theirs == config->variant)
		return BM_OK;
	return run_config_other_network(config, theirs, err);
}

static bm_status apply_weights(const cli_arguments *a, run_config *config, bm_error *err)
{
	const char *file = a->values[CLI_WEIGHTS];
	model_options options = {.variant = MODEL_V1}; /* ImageNet's, which are fetched when the network is made */
	const bool none = file && strcmp(file, "none") == 0, fetched = file && strcmp(file, "imagenet") == 0;
	bm_status status = BM_OK;
	if (file && !none && !fetched && !base_is_file(file))
		return base_fail(err, BM_ERR_NOT_FOUND,
				 "--weights: there is no file '%s'; it takes none, imagenet or a .keras, .h5 or "
				 ".safetensors file",
				 file);
	if (none || fetched)
		status = run_config_set(&config->weights, none ? NULL : file, err);
	else if (file)
		status = run_config_set_path(&config->weights, file, err);
	/* Named here or before, beside a network that is named here. */
	if (status != BM_OK || !config->weights || !(file || a->values[CLI_NETWORK]))
		return status;
	if (strcmp(config->weights, "imagenet") != 0)
		status = model_peek(config->weights, &options, err);
	if (status == BM_OK)
		status = check_weights(a, options.variant, config, err);
	if (status != BM_OK || !file || fetched)
		return status;
	if (options.width > 0)
		config->width = options.width;
	if (options.variant != MODEL_COMPACT)
		run_config_set_depth(config, model_depth(&options));
	if (options.image_size > 0)
		config->image_size = options.image_size;
	if (options.variant == MODEL_COMPACT)
		config->variant = MODEL_COMPACT;
	return BM_OK;
}

/* Paths separated by commas, made absolute; and the plan's share for what they say. */
static bm_status apply_teachers(const cli_arguments *a, run_config *config, bm_error *err)
{
	const char *list = a->values[CLI_TEACHER];
	base_text absolute = {0};
	if (!list)
		return BM_OK;
	const bool none = strcmp(list, "none") == 0;
	for (int i = 0; i < config->plan.count; i++)
		if (none || config->plan.stages[i].distillation <= 0)
			config->plan.stages[i].distillation = none ? 0 : TEACHERS_SHARE;
	if (none)
		return run_config_set(&config->teachers, NULL, err);
	for (const char *at = list;;) {
		char path[PATH_MAX], real_path[PATH_MAX];
		const size_t length = strcspn(at, ",");
		snprintf(path, sizeof path, "%.*s", (int)length, at);
		if (length == 0 || !realpath(path, real_path)) {
			base_text_free(&absolute);
			return base_fail(err, BM_ERR_NOT_FOUND,
					 "--teacher: there is no run folder and no model file '%s'", path);
		}
		base_text_add(&absolute, "%s%s", at == list ? "" : ",", real_path);
		if (!at[length])
			break;
		at += length + 1;
	}
	bm_status status = absolute.failed ? base_fail(err, BM_ERR_MEMORY, "no memory for the teachers' names")
					   : run_config_set(&config->teachers, absolute.data, err);
	base_text_free(&absolute);
	return status;
}

/* Another network comes with its own head and plan, unless these are named too. */
static bm_status apply_model(const cli_arguments *a, run_config *config, bm_error *err)
{
	const char *name = a->values[CLI_NETWORK];
	model_variant old = config->variant;
	if (!name)
		return BM_OK;
	if (!run_config_model_parse(name, &config->variant))
		return base_fail(err, BM_ERR_USAGE, "--model takes resnet50, resnet50v1.5 or compact, not '%s'", name);
	const bool compact = config->variant == MODEL_COMPACT;
	if (compact == (old == MODEL_COMPACT))
		return BM_OK;
	if (!a->values[CLI_HEAD])
		config->head = compact ? MODEL_HEAD_LINEAR : MODEL_HEAD_GUIDE;
	if (a->values[CLI_PLAN])
		return BM_OK;
	return run_config_plan(config, compact ? "compact" : "two-stage",
			       !a->values[CLI_IMAGE_SIZE] && !config->weights, err);
}

static bm_status apply_depth(const cli_arguments *a, run_config *config, bm_error *err)
{
	const char *text = a->values[CLI_DEPTH];
	int depth = 0;
	if (!text)
		return BM_OK;
	bm_status status = integer(a, CLI_DEPTH, "depth", 1, 1000, &depth, err);
	if (status != BM_OK)
		return status;
	if (config->variant == MODEL_COMPACT || !run_config_set_depth(config, depth))
		return base_fail(err, BM_ERR_USAGE,
				 "--depth takes 14, 26 or 50, of --model resnet50 or resnet50v1.5, not '%s'", text);
	return BM_OK;
}

static bm_status apply_network(const cli_arguments *a, bool own_plan, run_config *config, bm_error *err)
{
	bm_status status = apply_model(a, config, err);
	int size = config->image_size;
	if (status == BM_OK)
		status = apply_weights(a, config, err);
	if (status == BM_OK)
		status = real(a, CLI_DROPOUT, "dropout", 0, 0.9, &config->dropout, err);
	if (status == BM_OK)
		status = real(a, CLI_WIDTH, "width", 0.0625, 4, &config->width, err);
	if (status == BM_OK)
		status = apply_depth(a, config, err);
	if (status == BM_OK)
		status = integer(a, CLI_IMAGE_SIZE, "image-size", 32, 1024, &config->image_size, err);
	if (status != BM_OK)
		return status;
	if (a->values[CLI_PLAN])
		return run_config_plan(config, a->values[CLI_PLAN], !a->values[CLI_IMAGE_SIZE] && !config->weights,
				       err);
	if (config->image_size == size)
		return BM_OK;
	if (!own_plan)
		return run_config_plan(config, config->plan.name, false, err);
	int wanted = config->image_size;
	config->image_size = size;
	run_config_resize(config, wanted);
	return BM_OK;
}

/* One value for all stages, or one for each. */
static bm_status per_stage(const cli_arguments *a, cli_option_id id, const char *name, double low, double high,
			   const train_plan *plan, double values[TRAIN_STAGES_MAX], bool *given, bm_error *err)
{
	int count;
	*given = a->values[id] != NULL;
	if (!*given)
		return BM_OK;
	bm_status status = cli_parse_list(name, a->values[id], low, high, values, TRAIN_STAGES_MAX, &count, err);
	if (status != BM_OK)
		return status;
	if (count == 1)
		for (int i = 1; i < plan->count; i++)
			values[i] = values[0];
	else if (count != plan->count)
		return base_fail(
			err, BM_ERR_USAGE,
			"--%s names %d values, but plan '%s' has %d stage%s; give one value, or one for each stage",
			name, count, plan->name, plan->count, plan->count == 1 ? "" : "s");
	return BM_OK;
}

static bm_status whole(const char *name, double value, int *member, bm_error *err)
{
	*member = (int)value;
	if ((double)*member != value)
		return base_fail(err, BM_ERR_USAGE, "--%s takes whole numbers, not '%g'", name, value);
	return BM_OK;
}

static bm_status apply_lists(const cli_arguments *a, train_plan *plan, bm_error *err)
{
	double values[TRAIN_STAGES_MAX];
	bool given;
	bm_status status = per_stage(a, CLI_EPOCHS, "epochs", 0, 10000, plan, values, &given, err);
	for (int i = 0; status == BM_OK && given && i < plan->count; i++)
		status = whole("epochs", values[i], &plan->stages[i].epochs, err);
	if (status == BM_OK)
		status = per_stage(a, CLI_BATCH, "batch", 1, 4096, plan, values, &given, err);
	for (int i = 0; status == BM_OK && given && i < plan->count; i++)
		status = whole("batch", values[i], &plan->stages[i].batch, err);
	if (status == BM_OK)
		status = per_stage(a, CLI_RATE, "lr", 1e-9, 10, plan, values, &given, err);
	for (int i = 0; status == BM_OK && given && i < plan->count; i++)
		plan->stages[i].learning_rate = (float)values[i];
	return status;
}

/* "auto" is decided here, so that the run's config.json repeats it whatever machine reads it. */
static bm_status apply_precision(const char *precision, train_plan *plan, bm_error *err)
{
	double ratio = 0;
	bool bf16;
	if (!precision)
		return BM_OK;
	bf16 = strcmp(precision, "bf16") == 0;
	if (strcmp(precision, "auto") == 0) {
		bm_status status = nn_bf16_speed(0, &ratio, err);
		if (status != BM_OK)
			return status;
		bf16 = ratio > 1;
	} else if (!bf16 && strcmp(precision, "f32") != 0) {
		return base_fail(err, BM_ERR_USAGE, "--precision takes auto, f32 or bf16, not '%s'", precision);
	}
	for (int i = 0; i < plan->count; i++)
		plan->stages[i].bf16 = bf16;
	return BM_OK;
}

/* Stages of no epochs are left out; the others are numbered anew. */
static bm_status drop_stages(train_plan *plan, bm_error *err)
{
	int kept = 0;
	for (int i = 0; i < plan->count; i++) {
		if (plan->stages[i].epochs == 0)
			continue;
		plan->stages[kept] = plan->stages[i];
		plan->stages[kept].number = kept + 1;
		kept++;
	}
	if (kept == 0)
		return base_fail(err, BM_ERR_USAGE, "--epochs leaves every stage out: one must have an epoch or more");
	plan->count = kept;
	return BM_OK;
}

static bm_status apply_plan(const cli_arguments *a, train_plan *plan, bm_error *err)
{
	double decay = -1, smoothing = -1;
	int last = 0;
	bm_status status = apply_lists(a, plan, err);
	if (status == BM_OK)
		status = real(a, CLI_WEIGHT_DECAY, "weight-decay", 0, 10, &decay, err);
	if (status == BM_OK)
		status = real(a, CLI_LABEL_SMOOTHING, "label-smoothing", 0, 0.5, &smoothing, err);
	if (status == BM_OK)
		status = integer(a, CLI_LAST_LAYERS, "last-layers", 1, 174, &last, err);
	if (status == BM_OK)
		status = apply_precision(a->values[CLI_PRECISION], plan, err);
	if (a->values[CLI_EPOCHS]) /* instead of a budget that the plan has */
		plan->time_budget = plan->fitted_budget = 0;
	if (status == BM_OK && a->values[CLI_TIME_BUDGET])
		status = cli_parse_duration("time-budget", a->values[CLI_TIME_BUDGET], &plan->time_budget, err);
	if (status != BM_OK)
		return status;
	for (int i = 0; i < plan->count; i++) {
		train_stage *stage = &plan->stages[i];
		if (decay >= 0)
			stage->weight_decay = (float)decay;
		if (smoothing >= 0)
			stage->label_smoothing = (float)smoothing;
		if (last > 0 && stage->part == MODEL_LAST_LAYERS) {
			stage->last_layers = last;
			snprintf(stage->title, sizeof stage->title, "Fine-tuning last %d layers", last);
		}
		if (a->values[CLI_NO_AUGMENT]) {
			stage->augmentation = (data_augmentation){0};
			stage->mixup = 0;
		}
	}
	if (a->values[CLI_NO_CLASS_WEIGHTS])
		plan->class_weights = false;
	return a->values[CLI_EPOCHS] ? drop_stages(plan, err) : BM_OK;
}

static bm_status check_resume(const cli_arguments *a, const run_config *config, bm_error *err)
{
	if (!a->values[CLI_RESUME] || config->data || !config->out || cli_is_run(config->out))
		return BM_OK;
	return base_fail(err, BM_ERR_NOT_FOUND,
			 "--resume: there is no run in '%s' to go on with (it has no config.json); begin one with "
			 "'brainmri %s DATA --out %s'",
			 config->out, a->command->name, config->out);
}

/* What is asked for here and would do nothing; a file may hold it. */
static bm_status check_idle(const cli_arguments *a, const run_config *config, bm_error *err)
{
	bool last = false;
	if (a->values[CLI_DROPOUT] && config->head == MODEL_HEAD_LINEAR)
		return base_fail(err, BM_ERR_USAGE,
				 "--dropout does nothing: the head 'linear' has no dropout; leave it away, or name "
				 "--head guide or dense512");
	for (int i = 0; i < config->plan.count; i++)
		last |= config->plan.stages[i].part == MODEL_LAST_LAYERS;
	if (a->values[CLI_LAST_LAYERS] && !last)
		return base_fail(err, BM_ERR_USAGE,
				 "--last-layers does nothing: the plan '%s' trains all layers; leave it away, or name "
				 "--plan two-stage",
				 config->plan.name);
	return BM_OK;
}

bm_status cli_apply(const cli_arguments *a, bool own_plan, run_config *config, bm_error *err)
{
	const int size = config->image_size;
	bm_status status = apply_general(a, config, err);
	if (status == BM_OK)
		status = apply_network(a, own_plan, config, err);
	if (status == BM_OK &&
	    (!own_plan || a->values[CLI_PLAN] || a->values[CLI_NETWORK] || config->image_size != size))
		train_plan_fit_titles(&config->plan, config->variant == MODEL_COMPACT);
	if (status == BM_OK)
		status = check_resume(a, config, err);
	if (status == BM_OK)
		status = check_idle(a, config, err);
	if (status == BM_OK)
		status = apply_plan(a, &config->plan, err);
	if (status == BM_OK)
		status = apply_teachers(a, config, err);
	return status;
}
