#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cli/options.h"
#include "cli/session.h"
#include "nn/network.h"

/* Words up to a NULL, the program's name in front. */
#define PARSE(a, err, ...) parse_words(a, err, (const char *[]){"brainmri", __VA_ARGS__, NULL})

static bm_status parse_words(cli_arguments *a, bm_error *err, const char *const *words)
{
	int count = 0;
	while (words[count])
		count++;
	return cli_parse(count, words, a, err);
}

static void options_and_operands_mix(void **state)
{
	(void)state;
	cli_arguments a;
	bm_error err = {0};
	assert_int_equal(PARSE(&a, &err, "run", "-o", "r", "data", "--epochs=3,4", "--no-bench", "-t2", "--seed", "7"),
			 BM_OK);
	assert_string_equal(a.command->name, "run");
	assert_int_equal(a.operand_count, 1);
	assert_string_equal(a.operands[0], "data");
	assert_string_equal(a.values[CLI_OUT], "r");
	assert_string_equal(a.values[CLI_EPOCHS], "3,4");
	assert_string_equal(a.values[CLI_THREADS], "2");
	assert_string_equal(a.values[CLI_SEED], "7");
	assert_non_null(a.values[CLI_NO_BENCH]);
	assert_null(a.values[CLI_JSON]);
	cli_arguments_free(&a);
	assert_int_equal(PARSE(&a, &err, "predict", "run", "--", "--odd-name.jpg", "-"), BM_OK);
	assert_int_equal(a.operand_count, 3);
	assert_string_equal(a.operands[1], "--odd-name.jpg");
	cli_arguments_free(&a);
}

static void expect_usage(const char *const *words, const char *said)
{
	cli_arguments a;
	bm_error err = {0};
	assert_int_equal(parse_words(&a, &err, words), BM_ERR_USAGE);
	if (!strstr(err.message, said))
		fail_msg("'%s' does not say '%s'", err.message, said);
	assert_non_null(strstr(err.message, "--help"));
	cli_arguments_free(&a);
}

static void wrong_usage_suggests_the_nearest(void **state)
{
	(void)state;
	expect_usage((const char *[]){"brainmri", "runn", NULL}, "did you mean 'run'");
	expect_usage((const char *[]){"brainmri", "evalute", "x", NULL}, "did you mean 'evaluate'");
	expect_usage((const char *[]){"brainmri", "xyzzy", NULL}, "'xyzzy'");
	expect_usage((const char *[]){"brainmri", "run", "--epoch", "3", NULL}, "did you mean '--epochs'");
	expect_usage((const char *[]){"brainmri", "train", "r", "--image-siez=3", NULL}, "did you mean '--image-size'");
	expect_usage((const char *[]){"brainmri", "evaluate", "r", "--epochs", "3", NULL}, "'--epochs'");
	expect_usage((const char *[]){"brainmri", "run", "--out", NULL}, "--out needs a value");
	expect_usage((const char *[]){"brainmri", "run", "--json=yes", NULL}, "--json takes no value");
	expect_usage((const char *[]){"brainmri", "evaluate", NULL}, "needs an argument");
	expect_usage((const char *[]){"brainmri", "audit", "r", NULL}, "needs more arguments");
	expect_usage((const char *[]){"brainmri", "train", "a", "b", NULL}, "'b' is one argument too many");
	expect_usage((const char *[]){"brainmri", "-x", NULL}, "'-x'");
}

static void help_of_every_command_names_its_options(void **state)
{
	(void)state;
	for (size_t c = 0; c < cli_command_count; c++) {
		base_text text = {0};
		cli_help(&cli_commands[c], &text);
		assert_non_null(strstr(text.data, "Example:\n  brainmri "));
		assert_non_null(strstr(text.data, "--json"));
		assert_non_null(strstr(text.data, "--quiet"));
		assert_non_null(strstr(text.data, "--seed"));
		assert_non_null(strstr(text.data, "--threads N|local[N]|local[*]"));
		for (const char *line = text.data; *line; line += strcspn(line, "\n") + 1)
			if (strncmp(line, "  brainmri", 10) != 0 && strncmp(line, "Usage", 5) != 0)
				assert_true(strcspn(line, "\n") <= 80);
		base_text_free(&text);
	}
}

static void an_option_has_one_meaning_in_a_command(void **state)
{
	(void)state;
	for (size_t i = 0; i < cli_option_count; i++)
		for (size_t j = 0; j < i; j++) {
			assert_int_not_equal(cli_options[i].id, cli_options[j].id);
			if (!(cli_options[i].commands & cli_options[j].commands)) /* no command takes both */
				continue;
			assert_string_not_equal(cli_options[i].name, cli_options[j].name);
			assert_false(cli_options[i].letter && cli_options[i].letter == cli_options[j].letter);
		}
	assert_int_equal(cli_option_count, CLI_OPTION_COUNT);
}

static void numbers_are_whole_and_within_range(void **state)
{
	(void)state;
	bm_error err = {0};
	long long n;
	double x, list[3];
	int count;
	assert_int_equal(cli_parse_integer("n", "12", 1, 20, &n, &err), BM_OK);
	assert_int_equal(n, 12);
	assert_int_equal(cli_parse_integer("n", "12x", 1, 20, &n, &err), BM_ERR_USAGE);
	assert_int_equal(cli_parse_integer("n", "21", 1, 20, &n, &err), BM_ERR_USAGE);
	assert_int_equal(cli_parse_integer("n", "99999999999999999999", 0, INT64_MAX, &n, &err), BM_ERR_USAGE);
	assert_int_equal(cli_parse_real("x", "nan", 0, 1, &x, &err), BM_ERR_USAGE);
	assert_int_equal(cli_parse_real("x", "0.5", 0, 1, &x, &err), BM_OK);
	assert_true(x == 0.5);
	assert_int_equal(cli_parse_list("l", "1,2,3", 0, 9, list, 3, &count, &err), BM_OK);
	assert_int_equal(count, 3);
	assert_int_equal(cli_parse_list("l", "1,2,3,4", 0, 9, list, 3, &count, &err), BM_ERR_USAGE);
	assert_int_equal(cli_parse_list("l", "1,", 0, 9, list, 3, &count, &err), BM_ERR_USAGE);
	assert_int_equal(cli_parse_list("l", "1;2", 0, 9, list, 3, &count, &err), BM_ERR_USAGE);
}

static void times_have_units(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		double seconds;
	} good[] = {{"3600", 3600}, {"90s", 90}, {"60m", 3600}, {"1h", 3600}, {"1h30m", 5400}, {"1.5h", 5400}};
	static const char *const bad[] = {"", "0", "-5", "h", "5d", "1h-2m", "abc", "nan", "inf"};
	bm_error err = {0};
	double seconds;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		assert_int_equal(cli_parse_duration("t", good[i].text, &seconds, &err), BM_OK);
		assert_true(seconds == good[i].seconds);
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(cli_parse_duration("t", bad[i], &seconds, &err), BM_ERR_USAGE);
}

static bm_status apply(run_config *config, bm_error *err, const char *const *words)
{
	cli_arguments a;
	run_config_init(config);
	bm_status status = parse_words(&a, err, words);
	if (status == BM_OK)
		status = cli_apply(&a, false, config, err);
	cli_arguments_free(&a);
	return status;
}

static void options_reach_the_plan(void **state)
{
	(void)state;
	bm_error err = {0};
	run_config c;
	assert_int_equal(apply(&c, &err,
			       (const char *[]){"brainmri",
						"run",
						"d",
						"--epochs",
						"2,3",
						"--lr",
						"0.01",
						"--batch",
						"8",
						"--no-augment",
						"--label-smoothing",
						"0.1",
						"--last-layers",
						"12",
						"--time-budget",
						"2m",
						"--head",
						"linear",
						"--width",
						"0.25",
						"--image-size",
						"64",
						"--split",
						"guide",
						"--threads",
						"local[2]",
						"--no-class-weights",
						NULL}),
			 BM_OK);
	assert_int_equal(c.plan.count, 2);
	assert_int_equal(c.plan.stages[0].epochs, 2);
	assert_int_equal(c.plan.stages[1].epochs, 3);
	assert_true(c.plan.stages[1].learning_rate == 0.01f);
	assert_int_equal(c.plan.stages[1].batch, 8);
	assert_int_equal(c.plan.stages[1].last_layers, 12);
	assert_false(c.plan.stages[0].augmentation.flip);
	assert_true(c.plan.stages[0].label_smoothing == 0.1f);
	assert_int_equal(c.plan.stages[0].image_size, 64);
	assert_true(c.plan.time_budget == 120);
	assert_false(c.plan.class_weights);
	assert_int_equal(c.head, MODEL_HEAD_LINEAR);
	assert_int_equal(c.split, DATA_SPLIT_GUIDE);
	assert_int_equal(c.threads, 2);
	assert_int_equal(c.image_size, 64);
	run_config_free(&c);
}

static void epochs_take_the_place_of_a_budget(void **state)
{
	(void)state;
	static const char *const named[] = {"brainmri", "train", "r", "--epochs", "3,3,3", NULL};
	static const char *const both[] = {"brainmri", "train", "r", "--epochs", "3", "--time-budget", "2m", NULL};
	for (int own_plan = 0; own_plan < 2; own_plan++) {
		bm_error err = {0};
		run_config c;
		cli_arguments a;
		run_config_init(&c);
		assert_int_equal(run_config_plan(&c, "compact", true, &err), BM_OK);
		assert_true(c.plan.time_budget > 0);
		assert_int_equal(parse_words(&a, &err, named), BM_OK);
		assert_int_equal(cli_apply(&a, own_plan, &c, &err), BM_OK);
		assert_int_equal(c.plan.stages[2].epochs, 3);
		assert_true(c.plan.time_budget == 0);
		cli_arguments_free(&a);
		assert_int_equal(parse_words(&a, &err, both), BM_OK);
		assert_int_equal(cli_apply(&a, own_plan, &c, &err), BM_OK);
		assert_true(c.plan.time_budget == 120);
		cli_arguments_free(&a);
		run_config_free(&c);
	}
}

static void each_split_has_its_name(void **state)
{
	(void)state;
	static const char *const names[DATA_SPLIT_COUNT] = {"default", "guide", "final", "refit"};
	for (int i = 0; i < DATA_SPLIT_COUNT; i++) {
		bm_error err = {0};
		run_config c;
		assert_int_equal(apply(&c, &err, (const char *[]){"brainmri", "run", "d", "--split", names[i], NULL}),
				 BM_OK);
		assert_int_equal(c.split, i);
		run_config_free(&c);
	}
}

static void a_stage_of_no_epochs_is_left_out(void **state)
{
	(void)state;
	bm_error err = {0};
	run_config c;
	const char *last[] = {"brainmri", "run",   "d",	   "--plan",	     "scratch",
			      "--epochs", "0,0,5", "--lr", "1e-3,1e-3,2e-3", NULL};
	assert_int_equal(apply(&c, &err, last), BM_OK);
	assert_int_equal(c.plan.count, 1);
	assert_int_equal(c.plan.stages[0].number, 1);
	assert_int_equal(c.plan.stages[0].epochs, 5);
	assert_int_equal(c.plan.stages[0].image_size, 128);
	assert_true(c.plan.stages[0].learning_rate == 2e-3f);
	run_config_free(&c);
}

static void precision_is_measured(void **state)
{
	(void)state;
	bm_error err = {0};
	run_config c;
	double ratio; /* how much it is depends on the machine, and on what else it does just now */
	assert_int_equal(nn_bf16_speed(0, &ratio, &err), BM_OK);
	assert_true(nn_has_bf16() ? ratio > 0 : ratio == 0);
	assert_int_equal(apply(&c, &err, (const char *[]){"brainmri", "run", "d", "--precision", "auto", NULL}), BM_OK);
	assert_true(nn_has_bf16() || !c.plan.stages[0].bf16);
	assert_true(c.plan.stages[0].bf16 == c.plan.stages[1].bf16);
	run_config_free(&c);
}

static void wrong_values_are_refused(void **state)
{
	(void)state;
	static const char *const bad[][2] = {
		{"--epochs", "1,2,3"},	   {"--epochs", "0"},	  {"--epochs", "1.5"},	{"--plan", "three"},
		{"--precision", "f16"},	   {"--head", "huge"},	  {"--split", "50/50"}, {"--width", "9"},
		{"--image-size", "8"},	   {"--threads", "many"}, {"--seed", "-1"},	{"--label-smoothing", "0.9"},
		{"--time-budget", "soon"}, {"--lr", "0"},	  {"--batch", "0"}};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		bm_error err = {0};
		run_config c;
		if (apply(&c, &err, (const char *[]){"brainmri", "run", "d", bad[i][0], bad[i][1], NULL}) !=
		    BM_ERR_USAGE)
			fail_msg("%s %s was taken", bad[i][0], bad[i][1]);
		run_config_free(&c);
	}
	bm_error err = {0};
	run_config c;
	assert_int_equal(apply(&c, &err, (const char *[]){"brainmri", "run", "d", "--weights", "imagenet", NULL}),
			 BM_OK);
	assert_string_equal(c.weights, "imagenet");
	run_config_free(&c);
	assert_int_equal(apply(&c, &err, (const char *[]){"brainmri", "run", "d", "--weights", "/no/such.keras", NULL}),
			 BM_ERR_NOT_FOUND);
	run_config_free(&c);
}

static run_config applied(const char *const *argv)
{
	bm_error err = {0};
	run_config c;
	if (apply(&c, &err, argv) != BM_OK)
		fail_msg("%s", err.message);
	return c;
}

static void titles_follow_the_network(void **state)
{
	(void)state;
	bm_error err = {0};
	run_config c = applied((const char *[]){"brainmri", "run", "d", "--model", "compact", NULL});
	cli_arguments a;
	assert_string_equal(c.plan.stages[2].title, "All layers at 160 x 160");
	assert_int_equal(PARSE(&a, &err, "run", "d", "--image-size", "64"), BM_OK);
	assert_int_equal(cli_apply(&a, true, &c, &err), BM_OK);
	for (int i = 0; i < c.plan.count; i++) {
		char title[96];
		snprintf(title, sizeof title, "All layers at %d x %d", c.plan.stages[i].image_size,
			 c.plan.stages[i].image_size);
		assert_string_equal(c.plan.stages[i].title, title);
	}
	assert_int_equal(c.plan.stages[c.plan.count - 1].image_size, 64);
	cli_arguments_free(&a);
	run_config_free(&c);
	c = applied((const char *[]){"brainmri", "run", "d", "--model", "compact", "--plan", "two-stage", NULL});
	assert_string_equal(c.plan.stages[0].title, "Training with frozen base");
	run_config_free(&c);
	c = applied((const char *[]){"brainmri", "run", "d", NULL});
	assert_string_equal(c.plan.stages[0].title, "Training with frozen ResNet-50 base");
	run_config_free(&c);
}

static void without_augmentation_nothing_is_mixed(void **state)
{
	(void)state;
	run_config c = applied((const char *[]){"brainmri", "run", "d", "--model", "compact", "--no-augment", NULL});
	for (int i = 0; i < c.plan.count; i++)
		assert_true(c.plan.stages[i].mixup == 0 && !c.plan.stages[i].augmentation.flip);
	run_config_free(&c);
}

static void what_would_do_nothing_is_refused(void **state)
{
	(void)state;
	static const char *const idle[][4] = {{"--dropout", "0.2", "--head", "linear"},
					      {"--dropout", "0.2", "--model", "compact"},
					      {"--last-layers", "9", "--plan", "scratch"}};
	bm_error err = {0};
	run_config c;
	for (size_t i = 0; i < sizeof idle / sizeof *idle; i++) {
		const char *const *o = idle[i];
		assert_int_equal(
			apply(&c, &err, (const char *[]){"brainmri", "run", "d", o[0], o[1], o[2], o[3], NULL}),
			BM_ERR_USAGE);
		assert_non_null(strstr(err.message, o[0]));
		run_config_free(&c);
	}
	assert_int_equal(apply(&c, &err, (const char *[]){"brainmri", "run", "-o", "/no/run", "--resume", NULL}),
			 BM_ERR_NOT_FOUND);
	assert_non_null(strstr(err.message, "no run in '/no/run'"));
	run_config_free(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_and_operands_mix),
		cmocka_unit_test(wrong_usage_suggests_the_nearest),
		cmocka_unit_test(help_of_every_command_names_its_options),
		cmocka_unit_test(an_option_has_one_meaning_in_a_command),
		cmocka_unit_test(numbers_are_whole_and_within_range),
		cmocka_unit_test(times_have_units),
		cmocka_unit_test(options_reach_the_plan),
		cmocka_unit_test(epochs_take_the_place_of_a_budget),
		cmocka_unit_test(a_stage_of_no_epochs_is_left_out),
		cmocka_unit_test(precision_is_measured),
		cmocka_unit_test(each_split_has_its_name),
		cmocka_unit_test(titles_follow_the_network),
		cmocka_unit_test(without_augmentation_nothing_is_mixed),
		cmocka_unit_test(what_would_do_nothing_is_refused),
		cmocka_unit_test(wrong_values_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
