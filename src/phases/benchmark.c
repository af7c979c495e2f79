/* Phase 10: the same images preprocessed one by one and by several workers, and what that would mean at scale. */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/random.h"
#include "base/threads.h"
#include "phases/phases.h"
#include "report/figures.h"
#include "report/tables.h"

enum { SAMPLE = 400, REPEATS = 3, SETTINGS = 4, SIZES = 4 };

static const uint64_t benchmark_stream = 0x62656e6368; /* "bench" */

typedef struct measurement {
	char label[32];
	int threads;
	const char *master; /* NULL: threads of this program */
	double seconds;	    /* for the sample: fastest of REPEATS */
	double rate;	    /* images per second, from the slope between half the sample and all of it */
	double start;	    /* seconds before the first image: the cost of the workers; 0 when too small to see */
} measurement;

/* The fastest of a few: what else runs on the machine only ever adds time. */
static bm_status fastest(phase_context *c, const size_t *indices, size_t count, int threads, double *seconds,
			 bm_error *err)
{
	*seconds = INFINITY;
	for (int i = 0; i < REPEATS; i++) {
		double took;
		bm_status status = base_check_cancel(&c->observer, err);
		if (status == BM_OK)
			status = engine_benchmark(c->store, &c->set, indices, count, threads, &took, err);
		if (status != BM_OK)
			return status;
		*seconds = fmin(*seconds, took);
	}
	return BM_OK;
}

/* Time is taken as start + images / rate, measured at two sample sizes. */
static bm_status measure(phase_context *c, const size_t *indices, size_t count, measurement *m, bm_error *err)
{
	double half_time = 0;
	size_t half = count / 2;
	bm_status status;
	if (m->master) {
		engine_spark spark = phase_spark(c, NULL);
		spark.master = m->master;
		status = engine_spark_measure(c->store, &c->set, indices, count, DATA_PACK_SIDE, &spark, REPEATS,
					      &c->observer, &m->seconds, &half_time, err);
	} else {
		status = fastest(c, indices, count, m->threads, &m->seconds, err);
		if (status == BM_OK && half > 0)
			status = fastest(c, indices, half, m->threads, &half_time, err);
	}
	if (status != BM_OK)
		return status;
	m->rate = (double)count / m->seconds;
	m->start = 0;
	if (half == 0)
		return BM_OK;
	double slope = (m->seconds - half_time) / (double)(count - half), start = m->seconds - slope * (double)count;
	if (slope > 0 && start > 0 && start < m->seconds / 2) {
		m->rate = 1 / slope;
		m->start = start;
	}
	return BM_OK;
}

static double project(const measurement *m, double images)
{
	return m->start + images / m->rate;
}

static bm_status projection(phase_context *c, const measurement *m, bm_error *err)
{
	static const double images[SIZES] = {5e3, 5e4, 5e5, 5e6};
	static const char *const names[SIZES] = {"5K", "50K", "500K", "5M"};
	static const char *const header[6] = {"Dataset Size", "Sequential", "local[2]",
					      "local[4]",     "local[*]",   "Speedup"};
	static const bool right[6] = {false, true, true, true, true, true};
	char cells[SIZES][6][40];
	const char *texts[SIZES * 6];
	base_text text = {0};
	json_t *list = json_array();
	for (int r = 0; r < SIZES; r++) {
		double best = INFINITY, one = project(&m[0], images[r]);
		json_t *row = json_object();
		snprintf(cells[r][0], sizeof cells[r][0], "%s", names[r]);
		phase_put_real(c, row, "images", images[r]);
		for (int s = 0; s < SETTINGS; s++) {
			double seconds = project(&m[s], images[r]);
			char span[32];
			snprintf(cells[r][1 + s], sizeof cells[r][1 + s], "~%s", base_format_seconds(seconds, span));
			best = fmin(best, seconds);
			phase_put_real(c, row, m[s].label, seconds);
		}
		snprintf(cells[r][5], sizeof cells[r][5], "%.2fx", one / best);
		phase_put_real(c, row, "speedup", one / best);
		json_array_append_new(list, row);
		for (int k = 0; k < 6; k++)
			texts[r * 6 + k] = cells[r][k];
	}
	base_text_add(&text, "\nProjected Performance at Scale (a projection, not a measurement):\n");
	report_table(&text, header, texts, SIZES, 6, right);
	base_text_add(&text,
		      "Computed as the workers' start-up + images / rate, both measured on the sample above, on this "
		      "machine\n"
		      "(%d core%s); files are taken to come as fast as they did here. This data set has %zu images.\n",
		      base_cores(), base_cores() == 1 ? "" : "s", c->set.count);
	if (m[1].master)
		base_text_add(&text, "Spark's own start, some seconds once a job, is not counted.\n");
	phase_put(c, NULL, "projection", list);
	return phase_print(c, &text, err);
}

static bm_status say(phase_context *c, const measurement *m, size_t count, bm_error *err)
{
	base_text text = {0};
	report_line lines[SETTINGS];
	char values[SETTINGS][64];
	const char *labels[SETTINGS];
	double seconds[SETTINGS];
	json_t *list = json_array();
	for (int s = 0; s < SETTINGS; s++) {
		double speedup = m[0].seconds / m[s].seconds;
		if (s == 0)
			snprintf(values[s], sizeof values[s], "%.3f seconds", m[s].seconds);
		else
			snprintf(values[s], sizeof values[s], "%.3f seconds (%.2fx speedup)", m[s].seconds, speedup);
		lines[s] = (report_line){m[s].label, values[s]};
		labels[s] = m[s].label;
		seconds[s] = m[s].seconds;
		json_array_append_new(list, json_pack("{s:s, s:i, s:f, s:f, s:f, s:f}", "name", m[s].label, "workers",
						      m[s].threads, "seconds", m[s].seconds, "images_per_second",
						      m[s].rate, "start_seconds", m[s].start, "speedup", speedup));
	}
	base_text_add(&text, "\nPreprocessing Comparison (%zu image sample, fastest of %d):\n", count, REPEATS);
	report_tree(&text, lines, SETTINGS);
	phase_put_int(c, NULL, "sample", (long long)count);
	phase_put(c, NULL, "settings", list);
	bm_status status = phase_print(c, &text, err);
	if (status == BM_OK && c->folder)
		status = phase_figure(c, report_figure_benchmark(c->figures, labels, seconds, SETTINGS, err),
				      "benchmark", err);
	return status;
}

bm_status phase_benchmark(phase_context *c, bm_error *err)
{
	base_text text = {0};
	measurement m[SETTINGS] = {{.label = "Sequential", .threads = 1},
				   {.label = "local[2]", .threads = 2},
				   {.label = "local[4]", .threads = 4}};
	snprintf(m[3].label, sizeof m[3].label, "local[*] (%d)", base_cores());
	m[3].threads = base_cores();
	bm_status status = phase_need_set(c, err);
	if (status == BM_OK)
		status = phase_need_storage(c, err);
	if (status != BM_OK)
		return status;
	static const char *const masters[SETTINGS] = {NULL, "local[2]", "local[4]", "local[*]"};
	for (int s = 0; c->config.master && s < SETTINGS; s++) {
		m[s].master = masters[s];
		snprintf(m[s].label, sizeof m[s].label, "%s%s", s ? "Spark " : "Sequential (no Spark)",
			 s ? masters[s] : "");
	}
	report_heading(&text, "PERFORMANCE BENCHMARKING");
	status = phase_print(c, &text, err);
	size_t *indices = base_malloc(c->set.count, sizeof *indices, "the benchmark's sample", err);
	if (status != BM_OK || !indices) {
		base_free(indices);
		return status != BM_OK ? status : BM_ERR_MEMORY;
	}
	for (size_t i = 0; i < c->set.count; i++)
		indices[i] = i;
	base_random random = base_random_make(c->config.seed, benchmark_stream);
	base_random_shuffle(&random, indices, c->set.count);
	const size_t wanted = c->options.sample > 0 ? (size_t)c->options.sample : SAMPLE,
		     count = wanted < c->set.count ? wanted : c->set.count;
	double begun = base_now(), ignored;
	status = engine_benchmark(c->store, &c->set, indices, count, m[3].threads, &ignored,
				  err); /* fills the page cache */
	for (int s = 0; s < SETTINGS && status == BM_OK; s++) {
		status = measure(c, indices, count, &m[s], err);
		base_report_progress(&c->observer, &(base_progress){.what = "Benchmark",
								    .unit = "settings",
								    .done = s + 1,
								    .total = SETTINGS,
								    .seconds = base_now() - begun});
	}
	base_free(indices);
	if (status == BM_OK)
		status = say(c, m, count, err);
	if (status == BM_OK)
		status = projection(c, m, err);
	return status;
}
