#include "cli/options.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/threads.h"

enum { WORD_MAX = 64, HELP_COLUMN = 30, HELP_WIDTH = 80 };

/* ---- the nearest name ---- */

static int least(int a, int b)
{
	return a < b ? a : b;
}

/* Edits that make b of a; words longer than WORD_MAX are far from everything. */
static int distance(const char *a, const char *b)
{
	int row[WORD_MAX + 1];
	size_t n = strlen(a), m = strlen(b);
	if (n > WORD_MAX || m > WORD_MAX)
		return WORD_MAX;
	for (size_t j = 0; j <= m; j++)
		row[j] = (int)j;
	for (size_t i = 1; i <= n; i++) {
		int diagonal = row[0];
		row[0] = (int)i;
		for (size_t j = 1; j <= m; j++) {
			int change = diagonal + (a[i - 1] != b[j - 1]);
			diagonal = row[j];
			row[j] = least(change, least(row[j], row[j - 1]) + 1);
		}
	}
	return row[m];
}

const char *cli_nearest(const char *word, const char *const *names, size_t count)
{
	const char *best = NULL;
	int best_distance = WORD_MAX;
	size_t length = strlen(word);
	for (size_t i = 0; i < count; i++) {
		int d = distance(word, names[i]);
		if (length >= 3 && strncmp(word, names[i], length) == 0)
			d = 1; /* a beginning */
		if (d < best_distance) {
			best_distance = d;
			best = names[i];
		}
	}
	return best_distance <= 1 + (int)length / 3 ? best : NULL;
}

/* ---- parsing ---- */

const cli_command *cli_find_command(const char *name)
{
	for (size_t i = 0; i < cli_command_count; i++)
		if (strcmp(cli_commands[i].name, name) == 0)
			return &cli_commands[i];
	return NULL;
}

static uint32_t bit_of(const cli_command *command)
{
	return command ? UINT32_C(1) << (command - cli_commands) : 0;
}

bool cli_takes(const cli_command *command, const cli_option *option)
{
	return command ? (option->commands & bit_of(command)) != 0
		       : option->id == CLI_HELP || option->id == CLI_VERSION;
}

static const char *prefix(const cli_command *command)
{
	return command ? command->name : "";
}

static bm_status unknown_command(const char *word, bm_error *err)
{
	const char *names[32];
	for (size_t i = 0; i < cli_command_count; i++)
		names[i] = cli_commands[i].name;
	const char *near = cli_nearest(word, names, cli_command_count);
	return base_fail(err, BM_ERR_USAGE, "no command is called '%s'%s%s%s; see 'brainmri --help'", word,
			 near ? "; did you mean '" : "", near ? near : "", near ? "'" : "");
}

static bm_status unknown_option(const cli_command *command, const char *word, bm_error *err)
{
	const char *names[CLI_OPTION_COUNT];
	size_t count = 0;
	for (size_t i = 0; i < cli_option_count; i++)
		if (cli_takes(command, &cli_options[i]))
			names[count++] = cli_options[i].name;
	const char *near = word[0] == '-' && word[1] == '-' ? cli_nearest(word + 2, names, count) : NULL;
	return base_fail(err, BM_ERR_USAGE, "'brainmri%s%s' has no option '%s'%s%s%s; see 'brainmri%s%s --help'",
			 command ? " " : "", prefix(command), word, near ? "; did you mean '--" : "", near ? near : "",
			 near ? "'" : "", command ? " " : "", prefix(command));
}

static const cli_option *find_option(const cli_command *command, const char *name, size_t length)
{
	for (size_t i = 0; i < cli_option_count; i++)
		if (cli_takes(command, &cli_options[i]) && strlen(cli_options[i].name) == length &&
		    strncmp(cli_options[i].name, name, length) == 0)
			return &cli_options[i];
	return NULL;
}

static const cli_option *find_letter(const cli_command *command, char letter)
{
	for (size_t i = 0; i < cli_option_count; i++)
		if (cli_takes(command, &cli_options[i]) && cli_options[i].letter == letter)
			return &cli_options[i];
	return NULL;
}

static bool is_number(const char *word)
{
	char *end;
	strtod(word, &end);
	return end != word && *end == '\0';
}

/* argv[*i] begins with a dash; *i is moved on over its value. */
static bm_status parse_option(int argc, const char *const *argv, int *i, cli_arguments *out, bm_error *err)
{
	const char *word = argv[*i], *value = NULL;
	const cli_option *option;
	char name[WORD_MAX + 4];
	if (word[1] == '-') {
		size_t length = strcspn(word + 2, "=");
		option = find_option(out->command, word + 2, length);
		if (word[2 + length] == '=')
			value = word + 3 + length;
		snprintf(name, sizeof name, "%.*s", (int)least((int)length + 2, WORD_MAX), word);
	} else {
		option = find_letter(out->command, word[1]);
		if (word[2])
			value = word + 2 + (word[2] == '=');
		snprintf(name, sizeof name, "%.2s", word);
	}
	if (!option)
		return unknown_option(out->command, name, err);
	if (!option->argument && value)
		return base_fail(err, BM_ERR_USAGE, "--%s takes no value; see 'brainmri %s --help'", option->name,
				 prefix(out->command));
	bool optional = option->argument && option->argument[0] == '[';
	if (optional && !value) {
		/* A number behind it is its value; anything else is the next argument. */
		out->values[option->id] = "";
		if (*i + 1 < argc && is_number(argv[*i + 1]))
			out->values[option->id] = argv[++*i];
		return BM_OK;
	}
	if (option->argument && !value) {
		if (*i + 1 >= argc)
			return base_fail(err, BM_ERR_USAGE, "--%s needs a value: --%s %s; see 'brainmri %s --help'",
					 option->name, option->name, option->argument, prefix(out->command));
		value = argv[++*i];
	}
	if (option->argument && !value[0])
		return base_fail(err, BM_ERR_USAGE, "--%s has an empty value; it takes %s", option->name,
				 option->argument);
	out->values[option->id] = option->argument ? value : "";
	return BM_OK;
}

static bm_status check_operands(const cli_arguments *a, bm_error *err)
{
	const cli_command *c = a->command;
	if (!c || a->values[CLI_HELP] || a->values[CLI_VERSION])
		return BM_OK;
	if (a->operand_count < c->least)
		return base_fail(err, BM_ERR_USAGE, "'brainmri %s' needs %s: brainmri %s %s; see 'brainmri %s --help'",
				 c->name, a->operand_count == 0 ? "an argument" : "more arguments", c->name,
				 c->operands, c->name);
	if (c->most >= 0 && a->operand_count > c->most)
		return base_fail(err, BM_ERR_USAGE,
				 "'%s' is one argument too many: brainmri %s %s; see 'brainmri %s --help'",
				 a->operands[c->most], c->name, c->operands, c->name);
	return BM_OK;
}

bm_status cli_parse(int argc, const char *const *argv, cli_arguments *out, bm_error *err)
{
	bool options = true;
	*out = (cli_arguments){0};
	out->operands = base_calloc((size_t)argc + 1, sizeof *out->operands, "the arguments", err);
	if (!out->operands)
		return BM_ERR_MEMORY;
	for (int i = 1; i < argc; i++) {
		const char *word = argv[i];
		bm_status status = BM_OK;
		if (options && strcmp(word, "--") == 0)
			options = false;
		else if (options && word[0] == '-' && word[1])
			status = parse_option(argc, argv, &i, out, err);
		else if (out->command)
			out->operands[out->operand_count++] = word;
		else if (strcmp(word, "help") == 0)
			out->values[CLI_HELP] = "";
		else if (!(out->command = cli_find_command(word)))
			status = unknown_command(word, err);
		if (status != BM_OK)
			return status;
	}
	return check_operands(out, err);
}

void cli_arguments_free(cli_arguments *arguments)
{
	base_free(arguments->operands);
	*arguments = (cli_arguments){0};
}

/* ---- help ---- */

/* Words from column `indent` on, broken before HELP_WIDTH. `at`: the column that the text stands at. */
static void wrap(base_text *text, const char *words, int indent, int at)
{
	bool first = true;
	while (*words) {
		size_t length = strcspn(words, " ");
		if (!first && at + 1 + (int)length > HELP_WIDTH) {
			base_text_add(text, "\n%*s", indent, "");
			at = indent;
		} else if (!first) {
			base_text_add(text, " ");
			at++;
		}
		base_text_append(text, words, length);
		at += (int)length;
		words += length + (words[length] == ' ');
		first = false;
	}
	base_text_add(text, "\n");
}

static void option_line(base_text *text, const cli_option *option)
{
	char name[WORD_MAX + 32];
	snprintf(name, sizeof name, "  %c%c%c --%s%s%s", option->letter ? '-' : ' ',
		 option->letter ? option->letter : ' ', option->letter ? ',' : ' ', option->name,
		 option->argument && option->argument[0] != '[' ? " " : "", option->argument ? option->argument : "");
	int length = (int)strlen(name);
	base_text_add(text, "%s", name);
	if (length + 2 > HELP_COLUMN) {
		base_text_add(text, "\n");
		length = 0;
	}
	base_text_add(text, "%*s", HELP_COLUMN - length, "");
	wrap(text, option->help, HELP_COLUMN, HELP_COLUMN);
}

static void program_help(base_text *text)
{
	base_text_add(text, "brainmri classifies brain-MRI slices with a network that it trains itself.\n\n"
			    "Usage: brainmri COMMAND [OPTION...] [ARGUMENT...]\n\nCommands:\n");
	for (size_t i = 0; i < cli_command_count; i++) {
		base_text_add(text, "  %-12s ", cli_commands[i].name);
		wrap(text, cli_commands[i].summary, 15, 15);
	}
	base_text_add(text, "\nOptions:\n");
	for (size_t i = 0; i < cli_option_count; i++)
		if (cli_takes(NULL, &cli_options[i]))
			option_line(text, &cli_options[i]);
	base_text_add(text,
		      "\n'brainmri COMMAND --help' tells more of each. Exit code: 0 done, 1 failed, 2 wrong usage.\n\n"
		      "Example:\n  brainmri phantom data/phantom --count 200\n"
		      "  brainmri run data/phantom --out runs/first --plan scratch --width 0.25 --image-size 96\n"
		      "  brainmri predict runs/first data/phantom/glioma/*.jpg\n\n"
		      "Not a medical device.\n");
}

void cli_help(const cli_command *command, base_text *text)
{
	if (!command) {
		program_help(text);
		return;
	}
	base_text_add(text, "brainmri %s: ", command->name);
	wrap(text, command->summary, 2, 12 + (int)strlen(command->name));
	base_text_add(text, "\nUsage: brainmri %s %s [OPTION...]\n", command->name, command->operands);
	if (command->details[0]) {
		base_text_add(text, "\n");
		wrap(text, command->details, 0, 0);
	}
	base_text_add(text, "\nOptions:\n");
	for (size_t i = 0; i < cli_option_count; i++)
		if (cli_takes(command, &cli_options[i]))
			option_line(text, &cli_options[i]);
	base_text_add(text, "\nExample:\n");
	for (const char *line = command->example; *line;) {
		size_t length = strcspn(line, "\n");
		base_text_add(text, "  %.*s\n", (int)length, line);
		line += length + (line[length] == '\n');
	}
}

/* ---- values ---- */

bm_status cli_parse_integer(const char *option, const char *text, long long low, long long high, long long *value,
			    bm_error *err)
{
	char *end;
	errno = 0;
	*value = strtoll(text, &end, 10);
	if (end == text || *end || errno || *value < low || *value > high) {
		if (high == INT64_MAX)
			return base_fail(err, BM_ERR_USAGE, "--%s takes a whole number from %lld on, not '%s'", option,
					 low, text);
		return base_fail(err, BM_ERR_USAGE, "--%s takes a whole number from %lld to %lld, not '%s'", option,
				 low, high, text);
	}
	return BM_OK;
}

bm_status cli_parse_real(const char *option, const char *text, double low, double high, double *value, bm_error *err)
{
	int count;
	bm_status status = cli_parse_list(option, text, low, high, value, 1, &count, err);
	return status;
}

bm_status cli_parse_list(const char *option, const char *text, double low, double high, double *values, int room,
			 int *count, bm_error *err)
{
	const char *at = text;
	*count = 0;
	for (;;) {
		char *end;
		errno = 0;
		double value = strtod(at, &end);
		if (end == at || (*end && *end != ',') || errno || !isfinite(value) || value < low || value > high)
			return base_fail(err, BM_ERR_USAGE, "--%s takes %s from %g to %g, not '%s'", option,
					 room > 1 ? "numbers (separated by commas)" : "a number", low, high, text);
		if (*count == room)
			return base_fail(err, BM_ERR_USAGE, "--%s takes at most %d number%s, not '%s'", option, room,
					 room == 1 ? "" : "s", text);
		values[(*count)++] = value;
		if (!*end)
			return BM_OK;
		at = end + 1;
	}
}

bm_status cli_parse_duration(const char *option, const char *text, double *seconds, bm_error *err)
{
	const char *at = text;
	*seconds = 0;
	while (*at) {
		char *end;
		double value = strtod(at, &end), unit = 1;
		if (end == at || !isfinite(value) || value < 0)
			break;
		if (*end == 'h')
			unit = 3600;
		else if (*end == 'm')
			unit = 60;
		else if (*end && *end != 's')
			break;
		*seconds += value * unit;
		at = end + (*end != '\0');
	}
	if (*at || !(*seconds > 0) || *seconds > 1e8)
		return base_fail(err, BM_ERR_USAGE, "--%s takes a time such as 3600, 90s, 60m or 1h30m, not '%s'",
				 option, text);
	return BM_OK;
}

bm_status cli_parse_threads(const char *text, int *threads, bm_error *err)
{
	*threads = base_threads_parse(text);
	if (*threads <= 0)
		return base_fail(err, BM_ERR_USAGE, "--threads takes a number, local[N] or local[*], not '%s'", text);
	return BM_OK;
}
