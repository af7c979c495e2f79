/* Phase 6: every image decoded, shrunk and packed; near-copies found; the split. */
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "data/loader.h"
#include "phases/phases.h"
#include "report/tables.h"

enum { VERIFIED_SAMPLES = 64, WORKERS_SHOWN = 16 };

#define NO_PATIENTS "no patient identifiers in this data: slices of one patient may stand on both sides of the split"

static bm_status configuration(phase_context *c, bm_error *err)
{
	base_text text = {0};
	char size[32], partitions[64];
	bool spark = c->config.master != NULL;
	snprintf(size, sizeof size, "%d x %d", DATA_PACK_SIDE, DATA_PACK_SIDE);
	if (!spark)
		snprintf(partitions, sizeof partitions, "%d (parallel worker%s)", c->threads,
			 c->threads == 1 ? "" : "s");
	else if (c->config.partitions > 0)
		snprintf(partitions, sizeof partitions, "%d (Spark tasks)", c->config.partitions);
	else
		snprintf(partitions, sizeof partitions, "two for each core of the cluster, at least 4");
	report_heading(&text,
		       spark ? "PHASE 6: DISTRIBUTED PREPROCESSING WITH SPARK" : "PHASE 6: DISTRIBUTED PREPROCESSING");
	base_text_add(&text, "\nConfiguration:\n");
	report_tree(&text,
		    (const report_line[]){{"Target Size", size},
					  {"Normalization", "[0, 1] range (packed as 8-bit, scaled per batch)"},
					  {"Partitions", partitions},
					  {"Processing", spark ? "mapPartitions, each with one brainmri worker"
							       : "local threads, images handed out one by one"}},
		    4);
	base_text_add(&text, "\nStarting parallel preprocessing...\n");
	phase_put_int(c, NULL, "side", DATA_PACK_SIDE);
	return phase_print(c, &text, err);
}

/* The files must still be those of the listing: a pack is found again by the listing's hash. */
static bm_status check_listing(phase_context *c, bm_error *err)
{
	if (c->have_set)
		return BM_OK; /* phase 3 has just read it */
	bm_status status = phase_need_set(c, err);
	if (status != BM_OK)
		return status;
	data_set now;
	status = data_scan(c->store, c->threads, c->config.strict, &c->observer, &now, err);
	if (status != BM_OK)
		return status;
	if (!base_hash_equal(now.hash, c->set.hash))
		status = base_fail(err, BM_ERR_DATA,
				   "'%s' has changed since it was explored; run 'brainmri explore %s' again",
				   storage_url(c->store), c->folder);
	data_set_free(&now);
	return status;
}

/* What each task did, and the executors that they ran on. */
static void say_spark(phase_context *c, const engine_spark_stats *spark, base_text *text)
{
	base_text_add(text, "Spark %s, application %s%s%s\n", spark->version, spark->application,
		      spark->ui[0] ? ", page " : "", spark->ui);
	int shown = spark->task_count < WORKERS_SHOWN ? spark->task_count : WORKERS_SHOWN;
	json_t *tasks = json_array();
	for (int i = 0; i < spark->task_count; i++) {
		const engine_spark_task *t = &spark->tasks[i];
		json_array_append_new(tasks, json_pack("{s:i, s:i, s:I, s:I, s:f, s:s, s:s}", "partition", t->partition,
						       "attempt", t->attempt, "images", (json_int_t)t->images,
						       "rejected", (json_int_t)t->rejected, "seconds", t->seconds,
						       "executor", t->executor, "host", t->host));
		if (i < shown)
			base_text_add(
				text,
				"%s Worker %d: Processed partition %d (%zu images) on executor %s at %s, %.2f s%s\n",
				i + 1 < shown || spark->partitions > shown ? "├──" : "└──", i, t->partition, t->images,
				t->executor, t->host, t->seconds, t->attempt > 0 ? ", tried again" : "");
	}
	if (spark->partitions > shown)
		base_text_add(text, "└── ... and %d more, in phases/06-preprocess.json\n", spark->partitions - shown);
	if (spark->failed_tasks > 0)
		base_text_add(text, "✗ Attempts that failed and were made again: %d\n", spark->failed_tasks);
	phase_put(c, NULL, "spark",
		  json_pack("{s:s, s:s, s:s, s:i, s:i, s:f, s:f, s:f, s:o}", "version", spark->version, "application",
			    spark->application, "ui", spark->ui, "partitions", spark->partitions, "failed_tasks",
			    spark->failed_tasks, "start_seconds", spark->start_seconds, "run_seconds",
			    spark->run_seconds, "collect_seconds", spark->collect_seconds, "tasks", tasks));
}

static bm_status say_stats(phase_context *c, const engine_stats *stats, bm_error *err)
{
	base_text text = {0};
	char count[32], seconds[64], rate[64], speedup[96], reason[64];
	phase_put(c, NULL, "reused", json_boolean(stats->reused));
	phase_put_int(c, NULL, "images", (long long)c->pack.count);
	if (stats->reused) {
		base_text_add(&text,
			      "✓ Preprocessing was done before: the pack still holds (same contents, same size)\n");
		snprintf(reason, sizeof reason, "%s", base_format_count((long long)c->pack.count, count));
		report_tree(&text, (report_line[]){{"Total images", reason}, {"Images decoded now", "0"}}, 2);
		return phase_print(c, &text, err);
	}
	json_t *workers = json_array();
	if (stats->on_spark)
		say_spark(c, &stats->spark, &text);
	int shown = stats->on_spark ? 0 : stats->workers < WORKERS_SHOWN ? stats->workers : WORKERS_SHOWN;
	for (int i = 0; i < stats->workers; i++)
		json_array_append_new(workers, json_pack("{s:I, s:f}", "images", (json_int_t)stats->worker_images[i],
							 "busy_seconds", stats->worker_busy[i]));
	for (int i = 0; i < shown; i++)
		base_text_add(&text, "%s Worker %d: %zu images, busy %.2f s\n", i + 1 < shown ? "├──" : "└──", i,
			      stats->worker_images[i], stats->worker_busy[i]);
	snprintf(count, sizeof count, "%zu", stats->images);
	snprintf(seconds, sizeof seconds, "%.2f seconds", stats->seconds);
	if (stats->on_spark)
		snprintf(seconds, sizeof seconds, "%.2f seconds (and %.2f for Spark's start and end)", stats->seconds,
			 stats->spark.start_seconds);
	snprintf(rate, sizeof rate, "%.1f images/second", stats->images_per_second);
	snprintf(speedup, sizeof speedup, "%.2fx vs sequential (%.1f images/second, measured on a sample)",
		 stats->speedup, stats->single_images_per_second);
	base_text_add(&text, "\n✓ Preprocessing complete!\n");
	report_tree(&text,
		    (report_line[]){{"Total images processed", count},
				    {"Time elapsed", seconds},
				    {"Throughput", rate},
				    {"Effective speedup", speedup}},
		    4);
	if (stats->rejected > 0)
		base_text_add(&text, "✗ Left out while decoding: %zu (named above and in data.json)\n",
			      stats->rejected);
	phase_put(c, NULL, "workers", workers);
	phase_put_int(c, NULL, "processed", (long long)stats->images);
	phase_put_int(c, NULL, "rejected", (long long)stats->rejected);
	phase_put_int(c, NULL, "bytes_read", (long long)stats->bytes_read);
	phase_put_real(c, NULL, "elapsed_seconds", stats->seconds);
	phase_put_real(c, NULL, "images_per_second", stats->images_per_second);
	phase_put_real(c, NULL, "sequential_images_per_second", stats->single_images_per_second);
	phase_put_real(c, NULL, "speedup", stats->speedup);
	return phase_print(c, &text, err);
}

/* Takes images out of the pack as the network will get them, and looks. */
static bm_status verify(phase_context *c, bm_error *err)
{
	base_text text = {0};
	const data_pack *pack = &c->pack;
	int size = c->config.image_size, channels = run_config_channels(&c->config);
	size_t floats = (size_t)size * (size_t)size * (size_t)channels,
	       samples = pack->count < VERIFIED_SAMPLES ? pack->count : VERIFIED_SAMPLES;
	float low = 1e30f, high = -1e30f, *values = base_malloc(floats, sizeof *values, "a sample", err);
	bool seen[DATA_CLASSES_MAX] = {false};
	if (!values)
		return BM_ERR_MEMORY;
	for (size_t s = 0; s < samples; s++) {
		size_t i = s * pack->count / samples;
		const uint8_t *pixels = pack->images + i * (size_t)pack->side * (size_t)pack->side;
		bm_status status = data_image_to_floats(pixels, pack->side, size, channels, values, err);
		if (status != BM_OK) {
			base_free(values);
			return status;
		}
		for (size_t k = 0; k < floats; k++) {
			low = values[k] < low ? values[k] : low;
			high = values[k] > high ? values[k] : high;
		}
	}
	base_free(values);
	base_text labels = {0};
	json_t *list = json_array();
	for (size_t i = 0; i < pack->count; i++)
		if (pack->labels[i] >= 0 && pack->labels[i] < DATA_CLASSES_MAX)
			seen[pack->labels[i]] = true;
	for (int k = 0; k < DATA_CLASSES_MAX; k++)
		if (seen[k]) {
			base_text_add(&labels, "%s%d", labels.length ? ", " : "[", k);
			json_array_append_new(list, json_integer(k));
		}
	base_text_add(&labels, "]");
	char shape[64], range[64];
	snprintf(shape, sizeof shape, "(%d, %d, %d)", size, size, channels);
	snprintf(range, sizeof range, "[%.3f, %.3f] in %zu samples", (double)low, (double)high, samples);
	base_text_add(&text, "\nSample verification:\n");
	report_tree(&text,
		    (report_line[]){{"Image shape", shape},
				    {"Data type", "float32"},
				    {"Value range", range},
				    {"Labels encoded", base_text_string(&labels)}},
		    4);
	base_text_free(&labels);
	phase_put(c, NULL, "sample",
		  json_pack("{s:[i,i,i], s:s, s:f, s:f, s:I, s:o}", "shape", size, size, channels, "type", "float32",
			    "low", (double)low, "high", (double)high, "samples", (json_int_t)samples, "labels", list));
	return phase_print(c, &text, err);
}

static bm_status say_split(phase_context *c, const data_split *made, const data_near_copies *copies, bm_error *err)
{
	static const char *const shares[DATA_SPLIT_COUNT] = {[DATA_SPLIT_DEFAULT] = "70/15/15",
							     [DATA_SPLIT_GUIDE] = "the guide's 80/20",
							     [DATA_SPLIT_FINAL] = "final, 95/5",
							     [DATA_SPLIT_REFIT] = "refit, 80/5/15"};
	base_text text = {0};
	char found[96], exact[64], across[64], parts[DATA_PART_COUNT][64];
	report_line lines[DATA_PART_COUNT];
	json_t *sizes = json_object();
	snprintf(found, sizeof found, "%zu images in %zu groups", copies->images, copies->groups);
	snprintf(exact, sizeof exact, "%zu images", copies->exact);
	snprintf(across, sizeof across, "%zu pairs%s", copies->across_classes,
		 copies->across_classes ? ": look at their labels" : "");
	base_text_add(&text, "\nNear-copies (correlation over %.2f at %dx%d):\n", (double)DATA_NEAR_COPY_CORRELATION,
		      DATA_NEAR_COPY_SIDE, DATA_NEAR_COPY_SIDE);
	report_tree(&text,
		    (report_line[]){{"Found", found}, {"Repeated byte for byte", exact}, {"Across classes", across}},
		    3);
	for (int p = 0; p < DATA_PART_COUNT; p++) {
		snprintf(parts[p], sizeof parts[p], "%zu images (%.1f%%)", made->count[p],
			 100.0 * (double)made->count[p] / (double)c->pack.count);
		lines[p] = (report_line){data_part_name(p), parts[p]};
		phase_put_int(c, sizes, data_part_name(p), (long long)made->count[p]);
	}
	base_text_add(&text, "\nSplit (%s, seed %llu, near-copies kept on one side):\n", shares[c->config.split],
		      (unsigned long long)run_config_split_seed(&c->config));
	report_tree(&text, lines, DATA_PART_COUNT);
	base_text_add(&text, "Note: %s\n", NO_PATIENTS);
	if (!data_split_tests(c->config.split)) {
		base_text_add(&text, "Note: test images are the validation images%s: the test figures are too high\n",
			      c->config.split == DATA_SPLIT_GUIDE ? ", as in the guide" : "");
		base_warning(&c->observer,
			     "--split %s: the test figures come from the images that choose and calibrate",
			     run_config_split_name(c->config.split));
	}
	phase_put(c, NULL, "near_copies",
		  json_pack("{s:I, s:I, s:I, s:I}", "images", (json_int_t)copies->images, "groups",
			    (json_int_t)copies->groups, "exact", (json_int_t)copies->exact, "pairs_across_classes",
			    (json_int_t)copies->across_classes));
	phase_put(c, NULL, "split", sizes);
	phase_put_text(c, NULL, "split_kind", run_config_split_name(c->config.split));
	phase_put_text(c, NULL, "caution", NO_PATIENTS);
	return phase_print(c, &text, err);
}

/* Makes and writes the split; phase_need_split reads what the phases use of it. */
static bm_status split(phase_context *c, bm_error *err)
{
	data_near_copies copies = {0};
	data_split made = {0};
	char *path = NULL;
	data_split_free(&c->split);
	c->have_split = false;
	bm_status status = data_find_near_copies(&c->pack, c->threads, &c->observer, &copies, err);
	if (status == BM_OK)
		status = data_split_make(&c->pack, &copies, c->config.split, run_config_split_seed(&c->config), &made,
					 err);
	if (status == BM_OK)
		path = phase_path(c, "split.csv", err);
	if (status == BM_OK)
		status = path ? data_split_write(&made, &copies, path, err) : BM_ERR_MEMORY;
	if (status == BM_OK)
		status = phase_note_made(c, "preprocess", err);
	if (status == BM_OK)
		status = say_split(c, &made, &copies, err);
	base_free(path);
	data_split_free(&made);
	data_near_copies_free(&copies);
	return status;
}

bm_status phase_preprocess(phase_context *c, bm_error *err)
{
	engine_options options = {.threads = c->threads, .side = DATA_PACK_SIDE, .strict = c->config.strict};
	engine_stats stats = {0};
	engine_spark spark;
	char *log = NULL;
	bm_status status = phase_need_storage(c, err);
	if (status == BM_OK)
		status = check_listing(c, err);
	if (status == BM_OK)
		status = configuration(c, err);
	if (status != BM_OK)
		return status;
	char *folder = phase_pack_folder(c, err);
	if (!folder)
		return BM_ERR_MEMORY;
	if (c->config.master) {
		log = phase_path(c, "spark.log", err);
		if (!log) {
			base_free(folder);
			return BM_ERR_MEMORY;
		}
		spark = phase_spark(c, log);
		options.spark = &spark;
	}
	data_pack_close(&c->pack);
	c->have_pack = false;
	size_t rejected = c->set.rejected_count;
	status = engine_preprocess(c->store, &c->set, folder, &options, &c->observer, &stats, err);
	if (status == BM_OK)
		status = data_pack_open(folder, &c->pack, err);
	base_free(folder);
	base_free(log);
	if (status != BM_OK)
		return status;
	c->have_pack = true;
	if (c->set.rejected_count != rejected) {
		char *path = phase_path(c, "data.json", err);
		status = path ? phase_listing_write(&c->set, path, err) : BM_ERR_MEMORY;
		base_free(path);
	}
	if (status == BM_OK)
		status = say_stats(c, &stats, err);
	if (status == BM_OK)
		status = verify(c, err);
	if (status == BM_OK)
		status = split(c, err);
	return status;
}
