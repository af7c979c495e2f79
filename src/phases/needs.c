/* What earlier phases left in the run folder. */
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "model/imagenet.h"
#include "phases/context.h"

/* BM_ERR_NOT_FOUND with the command that makes `name`, unless it is there. *path: base_free. */
static bm_status find(const phase_context *c, const char *name, const char *command, char **path, bm_error *err)
{
	*path = NULL;
	if (!c->folder)
		return base_fail(err, BM_ERR_USAGE, "no run folder; say which with --out RUN");
	*path = phase_path(c, name, err);
	if (!*path)
		return BM_ERR_MEMORY;
	if (base_is_file(*path))
		return BM_OK;
	base_free(*path);
	*path = NULL;
	return base_fail(err, BM_ERR_NOT_FOUND, "'%s' has no %s yet; run 'brainmri %s %s' first", c->folder, name,
			 command, c->folder);
}

bm_status phase_need_storage(phase_context *c, bm_error *err)
{
	if (c->store)
		return BM_OK;
	if (!c->config.data)
		return base_fail(err, BM_ERR_USAGE,
				 "no data: name the folder that holds a folder of images per class, as in "
				 "'brainmri run DATA --out runs/first'");
	storage_options options = {.webhdfs = c->config.webhdfs, .cancel = c->observer.cancel};
	return storage_open_with(c->config.data, &options, &c->store, err);
}

bm_status phase_need_set(phase_context *c, bm_error *err)
{
	char *path;
	if (c->have_set)
		return BM_OK;
	bm_status status = find(c, "data.json", "explore", &path, err);
	if (status != BM_OK)
		return status;
	status = phase_listing_read(path, &c->set, err);
	base_free(path);
	c->have_set = status == BM_OK;
	return status;
}

engine_spark phase_spark(const phase_context *c, const char *log)
{
	return (engine_spark){.master = c->config.master,
			      .conf = c->config.spark_conf,
			      .partitions = c->config.partitions,
			      .seconds = c->config.image_seconds,
			      .log = log};
}

char *phase_pack_folder(const phase_context *c, bm_error *err)
{
	if (c->config.pack)
		return base_strdup(c->config.pack, err);
	return phase_path(c, "pack", err);
}

/* With --pack the folder may be another run's too, which may have put other images there since. */
static bm_status check_pack(phase_context *c, const char *folder, bm_error *err)
{
	bm_status status = phase_need_set(c, err);
	if (status == BM_OK && !base_hash_equal(c->pack.content, c->set.hash))
		status =
			base_fail(err, BM_ERR_DATA,
				  "the preprocessed images in '%s' are not those that '%s' lists (another run may have "
				  "overwritten them); run 'brainmri preprocess %s' again",
				  folder, c->folder, c->folder);
	return status;
}

bm_status phase_need_pack(phase_context *c, bm_error *err)
{
	if (c->have_pack)
		return BM_OK;
	char *folder = phase_pack_folder(c, err);
	if (!folder)
		return BM_ERR_MEMORY;
	bm_status status;
	if (base_is_folder(folder))
		status = data_pack_open(folder, &c->pack, err);
	else
		status = base_fail(err, BM_ERR_NOT_FOUND,
				   "'%s' has no preprocessed images yet; run 'brainmri preprocess %s' first", c->folder,
				   c->folder);
	if (status == BM_OK && (status = check_pack(c, folder, err)) != BM_OK)
		data_pack_close(&c->pack);
	c->have_pack = status == BM_OK;
	base_free(folder);
	return status;
}

static bm_status thin(phase_context *c, const char *path, bm_error *err)
{
	size_t *groups = base_malloc(c->pack.count, sizeof *groups, "the split", err);
	bm_status status = groups ? data_split_read_groups(path, c->pack.count, groups, err) : BM_ERR_MEMORY;
	if (status == BM_OK)
		status = data_split_thin(&c->pack, groups, c->config.train_share, run_config_split_seed(&c->config),
					 &c->split, err);
	base_free(groups);
	if (status != BM_OK)
		data_split_free(&c->split);
	return status;
}

bm_status phase_need_split(phase_context *c, bm_error *err)
{
	char *path;
	if (c->have_split)
		return BM_OK;
	bm_status status = find(c, "split.csv", "preprocess", &path, err);
	if (status != BM_OK)
		return status;
	status = phase_check_made(c, "preprocess", err);
	if (status == BM_OK)
		status = phase_need_pack(c, err);
	if (status == BM_OK)
		status = data_split_read(path, c->pack.count, &c->split, err);
	if (status == BM_OK && c->config.train_share < 1)
		status = thin(c, path, err);
	base_free(path);
	c->have_split = status == BM_OK;
	return status;
}

bm_status phase_need_history(phase_context *c, bm_error *err)
{
	char *path;
	if (c->have_history)
		return BM_OK;
	bm_status status = find(c, "training_history.json", "train", &path, err);
	if (status != BM_OK)
		return status;
	status = phase_check_made(c, "train", err);
	if (status == BM_OK)
		status = train_history_read(path, &c->history, err);
	base_free(path);
	c->have_history = status == BM_OK;
	return status;
}

bm_status phase_need_metrics(phase_context *c, bm_error *err)
{
	char *path;
	if (c->have_metrics)
		return BM_OK;
	bm_status status = find(c, "evaluation_metrics.json", "evaluate", &path, err);
	if (status != BM_OK)
		return status;
	status = phase_check_made(c, "evaluate", err);
	if (status == BM_OK)
		status = evaluate_metrics_read(path, &c->metrics, err);
	base_free(path);
	c->have_metrics = status == BM_OK;
	return status;
}

/* The classes are those of the pack, or before there is one those of the listing. */
static bm_status class_names(phase_context *c, int *count, char ***names, bm_error *err)
{
	bm_status status = c->have_pack ? BM_OK : phase_need_set(c, err);
	if (status != BM_OK)
		return status;
	*count = c->have_pack ? c->pack.class_count : c->set.class_count;
	*names = c->have_pack ? c->pack.class_names : c->set.class_names;
	return BM_OK;
}

bm_status phase_need_weights(phase_context *c, bm_error *err)
{
	if (c->weights || !c->config.weights)
		return BM_OK;
	if (strcmp(c->config.weights, "imagenet") == 0) {
		if (c->config.variant != MODEL_V1)
			return run_config_other_network(&c->config, MODEL_V1, err);
		if (c->config.width < 1 || c->config.depth != 0)
			return base_fail(
				err, BM_ERR_USAGE,
				"the ImageNet weights are of a network of width 1 and 50 layers, which can be "
				"widened, but not made less: leave --width and --depth away, or --weights imagenet");
		return model_fetch_imagenet(&c->observer, &c->weights, err);
	}
	c->weights = base_strdup(c->config.weights, err);
	return c->weights ? BM_OK : BM_ERR_MEMORY;
}

/* Both heads that have a second dropout have it with 0.6 of the first one's rate. */
static void set_dropout(nn_graph *graph, double rate)
{
	double next = rate;
	for (int i = 0; rate >= 0 && i < graph->count; i++)
		if (graph->layers[i].type == NN_DROPOUT) {
			graph->layers[i].rate = (float)next;
			next = 0.6 * rate;
		}
}

bm_status phase_need_network(phase_context *c, bm_error *err)
{
	if (c->have_network)
		return BM_OK;
	int count;
	char **names;
	bm_status status = class_names(c, &count, &names, err);
	if (status != BM_OK)
		return status;
	model_options options = {.width = c->config.width,
				 .depth = c->config.depth,
				 .image_size = c->config.image_size,
				 .channels = run_config_channels(&c->config),
				 .head = c->config.head,
				 .classes = count,
				 .variant = c->config.variant};
	status = phase_need_weights(c, err);
	if (status != BM_OK)
		return status;
	if (c->weights) {
		model_options theirs;
		status = model_peek(c->weights, &theirs, err);
		if (status != BM_OK)
			return status;
		if (c->config.variant != MODEL_V1 && theirs.variant != c->config.variant)
			return run_config_other_network(&c->config, theirs.variant, err);
		options.variant = theirs.variant;
		if (theirs.channels > 0)
			options.channels = theirs.channels;
		options.input = theirs.input;
	}
	status = model_create(&options, (const char *const *)names, run_config_from_scratch(&c->config), c->config.seed,
			      &c->network, err);
	c->have_network = status == BM_OK;
	if (c->have_network)
		set_dropout(&c->network.graph, c->config.dropout);
	return status;
}

void phase_best_model(const phase_context *c, char name[64], int *image_size)
{
	snprintf(name, 64, "best_model_stage%d.keras", c->history.best_stage);
	const train_stage *stage = train_plan_stage(&c->config.plan, c->history.best_stage);
	*image_size = stage ? stage->image_size : c->config.image_size;
}

const char *phase_split_name(const phase_context *c, char text[32])
{
	json_t *json = NULL;
	int fold, folds;
	char *path = phase_path(c, PHASE_FOLD, NULL);
	bool is = path && base_is_file(path) && phase_json_read(path, &json, NULL) == BM_OK &&
		  json_unpack(json, "{s:i, s:i}", "fold", &fold, "folds", &folds) == 0;
	if (is)
		snprintf(text, 32, "fold %d of %d", fold, folds);
	else
		snprintf(text, 32, "%s", run_config_split_name(c->config.split));
	json_decref(json);
	base_free(path);
	return text;
}

const char *phase_network_name(const phase_context *c)
{
	static const char *const names[][3] = {[MODEL_V1] = {"ResNet-50", "ResNet-26", "ResNet-14"},
					       [MODEL_V1_5] = {"ResNet-50 v1.5", "ResNet-26 v1.5", "ResNet-14 v1.5"},
					       [MODEL_COMPACT] = {"compact (ResNet-18 at half its width)"}};
	const int depth = c->config.depth;
	return names[c->config.variant][depth == 26 ? 1 : depth == 14 ? 2 : 0];
}

const char *phase_how_chosen(const phase_context *c)
{
	const train_stage *stage = train_plan_stage(&c->config.plan, c->history.best_stage);
	return stage && !stage->keep_best ? "the last of its stage" : "chosen by its validation accuracy";
}
