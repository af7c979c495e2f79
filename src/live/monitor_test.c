#include "live/state.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

static int enter(void **state)
{
	bm_error err;
	const live_options options = {.command = "train", .folder = "runs/\xff"};
	return live_monitor_create(&options, NULL, (live_monitor **)state, &err) == BM_OK ? 0 : -1;
}

static int leave(void **state)
{
	live_monitor_free(*state);
	return 0;
}

static json_t *at(json_t *json, const char *path)
{
	char name[64];
	for (; json && *path; path += strspn(path, ".")) {
		const size_t length = strcspn(path, ".");
		snprintf(name, sizeof name, "%.*s", (int)length, path);
		json = json_is_array(json) ? json_array_get(json, (size_t)atoi(name)) : json_object_get(json, name);
		path += length;
	}
	assert_non_null(json);
	return json;
}

static const char *text_at(json_t *json, const char *path)
{
	return json_string_value(at(json, path));
}

static void step(const base_observer *observer, long long number, double loss, const base_pictures *pictures)
{
	const base_value values[] = {
		{"loss", loss}, {"accuracy", 0.25}, {"learning_rate", 0.001}, {"seconds_left", (double)NAN}};
	base_report_event(observer, &(base_event){.kind = BASE_STEP,
						  .number = number,
						  .values = values,
						  .count = sizeof values / sizeof *values,
						  .pictures = pictures});
}

static void a_series_keeps_its_mean_and_its_end(void **state)
{
	(void)state;
	live_series *s = calloc(1, sizeof *s);
	assert_non_null(s);
	for (int i = 1; i <= 10000; i++) {
		live_series_add(s, i, (const double[LIVE_CURVES]){i, 1, 0, -i});
		assert_in_range(s->count, 1, LIVE_POINTS);
		assert_true(s->at[s->count - 1] == i);
		if (i <= LIVE_POINTS)
			assert_int_equal(s->count, i); /* nothing is put together before it has to be */
	}
	double sum = 0;
	for (int i = 0; i < s->count; i++) {
		const double events = (double)(i + 1 < s->count ? s->width : s->held);
		assert_true(i == 0 || s->at[i] > s->at[i - 1]);
		assert_true(fabs((double)s->values[i][1] - 1) < 1e-6);
		assert_true(fabs((double)s->values[i][0] - (s->at[i] - (events - 1) / 2)) < 0.1);
		sum += events * (double)s->values[i][0];
	}
	assert_true(fabs(sum / (10000.0 * 10001 / 2) - 1) < 1e-4);
	assert_int_equal(s->width, 16);
	free(s);
}

static void what_is_heard_is_shown(void **state)
{
	live_monitor *m = *state;
	const base_observer *o = live_monitor_observer(m);
	const base_value result[] = {{"accuracy", 0.5}}, stage[] = {{"epochs", 3}},
			 epoch[] = {{"loss", 2}, {"accuracy", 0.25}, {"val_loss", 1}, {"val_accuracy", 0.75}};
	base_report_event(o, &(base_event){.kind = BASE_PHASE_BEGINS, .number = 8, .text = "Training"});
	base_report_event(o,
			  &(base_event){.kind = BASE_STAGE, .number = 1, .text = "All", .values = stage, .count = 1});
	base_report_event(o, &(base_event){.kind = BASE_EPOCH, .number = 1, .values = epoch, .count = 4, .past = true});
	step(o, 7, 1.5, NULL);
	base_report_progress(o, &(base_progress){.what = "Epoch 2/3", .unit = "steps", .done = 3, .total = 9});
	base_warning(o, "left out '%s'", "a\xff.jpg");
	base_result(o, "✓ done");
	json_t *json = live_monitor_state(m);
	assert_string_equal(text_at(json, "state"), "running");
	assert_string_equal(text_at(json, "command"), "train");
	assert_string_equal(text_at(json, "folder"), "runs/?"); /* no UTF-8 */
	assert_string_equal(text_at(json, "phases.7.state"), "running");
	assert_string_equal(text_at(json, "phases.8.state"), "to come");
	assert_string_equal(text_at(json, "phases.9.title"), "Saved Artifacts");
	assert_int_equal(json_integer_value(at(json, "training.step")), 7);
	assert_true(json_is_null(at(json, "training.seconds_left")));
	assert_true(json_real_value(at(json, "steps.loss.0")) == 1.5);
	assert_true(json_real_value(at(json, "epochs.val_accuracy.0")) == 0.75);
	assert_true(json_real_value(at(json, "stages.0.numbers.epochs")) == 3);
	assert_int_equal(json_integer_value(at(json, "progress.done")), 3);
	assert_string_equal(text_at(json, "warnings.0"), "left out 'a?.jpg'");
	assert_string_equal(text_at(json, "lines.0"), "✓ done");
	assert_true(json_is_null(at(json, "cluster")));
	assert_true(json_integer_value(at(json, "machine.memory_peak")) > 0);
	json_decref(json);

	base_report_event(o, &(base_event){.kind = BASE_CLUSTER, .text = "http://x:4040", .values = stage, .count = 1});
	base_report_event(o, &(base_event){.kind = BASE_PHASE_ENDS, .number = 8, .values = result, .count = 1});
	base_report_event(o, &(base_event){.kind = BASE_PHASE_ENDS, .number = 11}); /* no such */
	live_monitor_finish(m, BM_ERR_IO, "the disk is full");
	json = live_monitor_state(m);
	assert_string_equal(text_at(json, "state"), "failed");
	assert_string_equal(text_at(json, "message"), "the disk is full");
	assert_string_equal(text_at(json, "phases.7.state"), "done");
	assert_true(json_real_value(at(json, "phases.7.numbers.accuracy")) == 0.5);
	assert_string_equal(text_at(json, "cluster.page"), "http://x:4040");
	json_decref(json);
}

static void only_the_last_lines_are_kept(void **state)
{
	live_monitor *m = *state;
	char text[2 * LIVE_TEXT];
	/* Two bytes a character: a cut at any byte would leave half of one. */
	for (size_t i = 0; i + 2 < sizeof text; i += 2)
		memcpy(text + i, "é", 2);
	text[sizeof text - 2] = '\0';
	for (int i = 0; i < LIVE_LINES + 5; i++)
		base_warning(live_monitor_observer(m), "%d %s", i, text);
	json_t *json = live_monitor_state(m);
	assert_int_equal(json_array_size(at(json, "warnings")), LIVE_LINES);
	assert_int_equal(json_integer_value(at(json, "warnings_dropped")), 5);
	assert_memory_equal(text_at(json, "warnings.0"), "5 é", 4);
	assert_null(strchr(text_at(json, "warnings.0"), '?'));
	json_decref(json);
}

static void the_batch_is_shown_beside_its_files(void **state)
{
	live_monitor *m = *state;
	enum { COUNT = 20, SIDE = 200, ORIGINAL = 64 };
	float *pixels = calloc((size_t)COUNT * SIDE * SIDE * 3, sizeof *pixels);
	uint8_t *originals = calloc((size_t)COUNT * ORIGINAL * ORIGINAL, 1);
	size_t indices[COUNT];
	int labels[COUNT];
	float probabilities[COUNT * 2];
	static const char *const names[] = {"glioma", "notumor"};
	assert_true(pixels && originals);
	for (int i = 0; i < COUNT; i++) {
		indices[i] = (size_t)(COUNT - 1 - i);
		labels[i] = i % 2;
		probabilities[2 * i] = 0.25f;
		probabilities[2 * i + 1] = 0.75f;
	}
	base_pictures p = {COUNT, SIDE, 3, ORIGINAL, 2, pixels, originals, indices, labels, probabilities, names};
	step(live_monitor_observer(m), 1, 1, &p);
	step(live_monitor_observer(m), 2, 1, &p); /* too soon for others */
	json_t *json = live_monitor_pictures(m);
	assert_int_equal(json_integer_value(at(json, "number")), 1);
	assert_int_equal(json_array_size(at(json, "pictures")), LIVE_PICTURES);
	assert_string_equal(text_at(json, "pictures.0.label"), "glioma");
	assert_string_equal(text_at(json, "pictures.0.answer"), "notumor");
	assert_true(json_real_value(at(json, "pictures.0.probability")) == 0.75);
	assert_memory_equal(text_at(json, "pictures.15.image"), "data:image/jpeg;base64,/9j/", 27);
	assert_memory_equal(text_at(json, "pictures.15.original"), "data:image/jpeg;base64,/9j/", 27);
	json_decref(json);
	/* Without memory there are none, and the work goes on. */
	m->pictures_at = -1e9;
	p.side = SIDE - 1;
	p.original_side = ORIGINAL * 2;
	free(originals);
	originals = calloc((size_t)COUNT * ORIGINAL * ORIGINAL * 4, 1);
	assert_non_null(originals);
	p.originals = originals;
	base_memory_fail_after(0);
	step(live_monitor_observer(m), 3, 1, &p);
	base_memory_fail_after(-1);
	json = live_monitor_pictures(m);
	assert_int_equal(json_array_size(at(json, "pictures")), 0);
	json_decref(json);
	free(pixels);
	free(originals);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_series_keeps_its_mean_and_its_end),
		cmocka_unit_test_setup_teardown(what_is_heard_is_shown, enter, leave),
		cmocka_unit_test_setup_teardown(only_the_last_lines_are_kept, enter, leave),
		cmocka_unit_test_setup_teardown(the_batch_is_shown_beside_its_files, enter, leave),
	};
	return cmocka_run_group_tests_name("live/monitor", tests, NULL, NULL);
}
