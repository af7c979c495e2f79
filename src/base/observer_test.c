#include "base/observer.h"

#include <math.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/memory.h"
#include "base/text.h"

struct heard {
	base_text results, notes, warnings;
	long long done, number;
	double loss, none;
};

static void result(void *self, const char *line)
{
	struct heard *heard = self;
	base_text_add(&heard->results, "%s|", line);
}

static void note(void *self, const char *line)
{
	struct heard *heard = self;
	base_text_add(&heard->notes, "%s|", line);
}

static void warning(void *self, const char *line)
{
	struct heard *heard = self;
	base_text_add(&heard->warnings, "%s|", line);
}

static void progress(void *self, const base_progress *now)
{
	struct heard *heard = self;
	heard->done = now->done;
}

static void event(void *self, const base_event *now)
{
	struct heard *heard = self;
	heard->number = now->number;
	heard->loss = base_event_value(now, "loss");
	heard->none = base_event_value(now, "val_loss");
}

static void the_next_one_is_told_too(void **state)
{
	(void)state;
	struct heard first = {0}, last = {0};
	/* One in between that hears nothing itself. */
	const base_observer end = {.self = &last,
				   .result = result,
				   .note = note,
				   .warning = warning,
				   .progress = progress,
				   .event = event},
			    deaf = {.next = &end}, chain = {.self = &first, .result = result, .next = &deaf};
	char text[700];
	memset(text, 'x', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	base_result(&chain, "%d", 1);
	base_result(&chain, "%s", text);
	base_note(&chain, "n");
	base_warning(&chain, "w");
	base_report_progress(&chain, &(base_progress){.done = 5});
	base_report_event(&chain, &(base_event){.kind = BASE_STEP, .number = 7});
	assert_string_equal(base_text_string(&first.results), base_text_string(&last.results));
	assert_int_equal(strlen(base_text_string(&last.results)), 2 + sizeof text);
	assert_string_equal(base_text_string(&last.notes), "n|");
	assert_string_equal(base_text_string(&last.warnings), "w|");
	assert_true(last.done == 5 && last.number == 7);
	assert_true(first.done == 0 && first.number == 0 && first.notes.length == 0);
	base_text_free(&first.results);
	base_text_free(&last.results);
	base_text_free(&last.notes);
	base_text_free(&last.warnings);
}

static void an_event_has_its_values(void **state)
{
	(void)state;
	struct heard heard = {0};
	const base_observer observer = {.self = &heard, .event = event};
	const base_value values[] = {{"accuracy", 0.5}, {"loss", 1.25}};
	base_report_event(&observer, &(base_event){.kind = BASE_STEP, .number = 7, .values = values, .count = 2});
	assert_int_equal(heard.number, 7);
	assert_true(heard.loss == 1.25);
	assert_true(isnan(heard.none));
}

static void each_kind_arrives(void **state)
{
	(void)state;
	struct heard heard = {0};
	base_observer observer = {
		.self = &heard, .result = result, .note = note, .warning = warning, .progress = progress};
	base_result(&observer, "%d images", 5);
	base_note(&observer, "reading");
	base_warning(&observer, "%s left out", "x.jpg");
	base_report_progress(&observer, &(base_progress){.what = "Reading", .unit = "images", .done = 3, .total = 9});
	assert_string_equal(base_text_string(&heard.results), "5 images|");
	assert_string_equal(base_text_string(&heard.notes), "reading|");
	assert_string_equal(base_text_string(&heard.warnings), "x.jpg left out|");
	assert_int_equal(heard.done, 3);
	base_text_free(&heard.results);
	base_text_free(&heard.notes);
	base_text_free(&heard.warnings);
}

static void many_lines_are_split(void **state)
{
	(void)state;
	struct heard heard = {0};
	base_observer observer = {.self = &heard, .result = result};
	base_result_text(&observer, "one\n\ntwo 100%\nthree");
	base_result_text(&observer, "");
	base_result_text(&observer, "four\n");
	assert_string_equal(base_text_string(&heard.results), "one||two 100%|three|four|");
	base_text_free(&heard.results);
}

static void a_long_line_is_whole_or_cut_without_memory(void **state)
{
	(void)state;
	char line[3000];
	memset(line, 'z', sizeof line - 1);
	line[sizeof line - 1] = '\0';
	struct heard heard = {0};
	base_observer observer = {.self = &heard, .result = result};
	base_result(&observer, "%s", line);
	assert_int_equal(heard.results.length, sizeof line);
	base_text_clear(&heard.results); /* its memory stays: only the line itself has to be cut */
	base_memory_fail_after(0);
	base_result(&observer, "%s", line);
	base_memory_fail_after(-1);
	assert_int_equal(heard.results.length, 512);
	base_text_free(&heard.results);
}

static void nobody_has_to_listen(void **state)
{
	(void)state;
	base_observer deaf = {0};
	const base_observer *observers[] = {NULL, &deaf};
	for (int i = 0; i < 2; i++) {
		base_result(observers[i], "x");
		base_result_text(observers[i], "x\ny");
		base_note(observers[i], "x");
		base_warning(observers[i], "x");
		base_report_progress(observers[i], &(base_progress){0});
		base_report_event(observers[i], &(base_event){0});
		assert_int_equal(base_check_cancel(observers[i], NULL), BM_OK);
	}
}

static void the_flag_cancels(void **state)
{
	(void)state;
	atomic_bool flag = false;
	base_observer observer = {.cancel = &flag};
	bm_error err = {0};
	assert_int_equal(base_check_cancel(&observer, &err), BM_OK);
	atomic_store(&flag, true);
	assert_int_equal(base_check_cancel(&observer, &err), BM_ERR_CANCELLED);
	assert_int_equal(err.status, BM_ERR_CANCELLED);
	assert_non_null(strstr(err.message, "kept"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_kind_arrives),
		cmocka_unit_test(the_next_one_is_told_too),
		cmocka_unit_test(an_event_has_its_values),
		cmocka_unit_test(many_lines_are_split),
		cmocka_unit_test(a_long_line_is_whole_or_cut_without_memory),
		cmocka_unit_test(nobody_has_to_listen),
		cmocka_unit_test(the_flag_cancels),
	};
	return cmocka_run_group_tests_name("base/observer", tests, NULL, NULL);
}
