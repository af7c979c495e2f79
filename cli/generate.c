/* Writes what is generated from the table of commands and options: generate man|bash|zsh|fish. Runs while the program is built. */
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"

#define PROGRAM "brainmri"

/* What completes an option's value. Choices stand in its help: "one: what it is; two: what it is". */
typedef enum value_kind { VALUE_NONE, VALUE_ANY, VALUE_FILE, VALUE_FOLDER, VALUE_CHOICE } value_kind;

static bool is_word(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
}

/* The choices of a help text, separated by blanks; "" when it names fewer than two. */
static void choices_of(const char *help, base_text *words)
{
	int count = 0;
	base_text_clear(words);
	for (const char *at = help; at;) {
		size_t length = 0;
		while (is_word(at[length]))
			length++;
		if (length > 0 && at[length] == ':') {
			base_text_add(words, "%s%.*s", count ? " " : "", (int)length, at);
			count++;
		}
		at = strstr(at, "; ");
		at = at ? at + 2 : NULL;
	}
	if (count < 2)
		base_text_clear(words);
}

static value_kind kind_of(const cli_option *option, base_text *choices)
{
	base_text_clear(choices);
	if (!option->argument || option->argument[0] == '[') /* one that may be left out is not asked for */
		return VALUE_NONE;
	choices_of(option->help, choices);
	if (choices->length)
		return VALUE_CHOICE;
	if (strstr(option->argument, "FILE"))
		return VALUE_FILE;
	return strcmp(option->argument, "RUN") == 0 || strcmp(option->argument, "FOLDER") == 0 ? VALUE_FOLDER
											       : VALUE_ANY;
}

/* Text with each character of `from` replaced by the string of the same place in `to`. */
static void add_replaced(base_text *text, const char *words, const char *from, const char *const *to)
{
	for (const char *p = words; *p; p++) {
		const char *found = strchr(from, *p);
		if (found)
			base_text_add(text, "%s", to[found - from]);
		else
			base_text_append(text, p, 1);
	}
}

/* ---- the manual page ---- */

static void roff(base_text *text, const char *words)
{
	if (*words == '.' || *words == '\'')
		base_text_add(text, "\\&");
	add_replaced(text, words, "\\-", (const char *const[]){"\\e", "\\-"});
}

static void roff_lines(base_text *text, const char *lines)
{
	base_text_add(text, ".PP\n.nf\n.RS\n");
	while (*lines) {
		char line[512];
		size_t length = strcspn(lines, "\n");
		snprintf(line, sizeof line, "%.*s", (int)length, lines);
		roff(text, line);
		base_text_add(text, "\n");
		lines += length + (lines[length] == '\n');
	}
	base_text_add(text, ".RE\n.fi\n");
}

static void roff_option(base_text *text, const cli_option *option)
{
	base_text_add(text, ".TP\n");
	if (option->letter)
		base_text_add(text, "\\fB\\-%c\\fR, ", option->letter);
	base_text_add(text, "\\fB\\-\\-");
	roff(text, option->name);
	base_text_add(text, "\\fR");
	if (option->argument) {
		base_text_add(text, option->argument[0] == '[' ? "\\fI" : " \\fI");
		roff(text, option->argument);
		base_text_add(text, "\\fR");
	}
	base_text_add(text, "\n");
	roff(text, option->help);
	base_text_add(text, ".\n");
	/* Those that every command takes are not followed by a list of all. */
	size_t count = 0;
	for (size_t i = 0; i < cli_command_count; i++)
		count += cli_takes(&cli_commands[i], option);
	if (count == cli_command_count)
		return;
	base_text_add(text, "Taken by");
	for (size_t i = 0, listed = 0; i < cli_command_count; i++)
		if (cli_takes(&cli_commands[i], option)) {
			base_text_add(text, "%s \\fB", listed ? "," : "");
			roff(text, cli_commands[i].name);
			base_text_add(text, "\\fR");
			listed++;
		}
	base_text_add(text, ".\n");
}

static void manual(base_text *text)
{
	base_text_add(
		text,
		".\\\" Generated from the table of commands and options (cli/table.c).\n"
		".TH BRAINMRI 1 \"\" \"brainmri " BM_VERSION "\" \"User Commands\"\n"
		".SH NAME\n" PROGRAM " \\- train and use a ResNet\\-50 that classifies brain\\-MRI slices\n"
		".SH SYNOPSIS\n.B " PROGRAM "\n\\fICOMMAND\\fR [\\fIOPTION\\fR...] [\\fIARGUMENT\\fR...]\n"
		".SH DESCRIPTION\nA folder of brain\\-MRI images, one folder for each class, goes through the phases "
		"of a "
		"study: the data is listed and\nexplored, near\\-copies are found and kept on one side of the split, "
		"the images are preprocessed into a pack, a ResNet\\-50\nis trained and evaluated, and a report is "
		"written.\nResults go to standard output, progress, warnings and errors to standard error.\n.PP\n"
		"A tool for learning and research.\nIt is not a medical device.\n"
		".SH COMMANDS\n");
	for (size_t i = 0; i < cli_command_count; i++) {
		const cli_command *c = &cli_commands[i];
		base_text_add(text, ".SS ");
		roff(text, c->name);
		base_text_add(text, "\n.B " PROGRAM " ");
		roff(text, c->name);
		base_text_add(text, "\n.I ");
		roff(text, c->operands);
		base_text_add(text, "\n.PP\n");
		roff(text, c->summary);
		base_text_add(text, ".\n");
		if (c->details[0]) {
			base_text_add(text, ".PP\n");
			roff(text, c->details);
			base_text_add(text, "\n");
		}
		roff_lines(text, c->example);
	}
	base_text_add(text,
		      ".SH OPTIONS\nA value may follow its option as the next word or behind an equals sign.\nDefaults "
		      "stand in parentheses.\n");
	for (size_t i = 0; i < cli_option_count; i++)
		roff_option(text, &cli_options[i]);
	base_text_add(
		text,
		".SH EXIT STATUS\n.TP\n.B 0\nDone.\n.TP\n.B 1\nIt failed, or was stopped.\n.TP\n.B 2\nWrong usage.\n"
		".SH FILES\nA run folder holds\n.IR config.json ,\nwhich repeats the run,\n"
		".IR report.html ,\n.IR figures/ ,\n.IR training_history.json ,\n.IR evaluation_metrics.json ,\n"
		".IR predictions.csv ,\n.IR split.csv ,\n.IR model_metadata.json ,\n.I log.txt\nand the models, "
		"\n.IR best_model_stage1.keras ,\n\\&...\n"
		".SH SEE ALSO\n.BR gnuplot (1)\n");
}

/* ---- bash ---- */

static void bash_value(base_text *text, const cli_option *option, base_text *choices)
{
	value_kind kind = kind_of(option, choices);
	if (kind == VALUE_NONE)
		return;
	base_text_add(text, "\t\t--%s", option->name);
	if (option->letter)
		base_text_add(text, "|-%c", option->letter);
	base_text_add(text, ")");
	if (kind == VALUE_CHOICE)
		base_text_add(text, " mapfile -t COMPREPLY < <(compgen -W '%s' -- \"$word\");",
			      base_text_string(choices));
	else if (kind == VALUE_FILE || kind == VALUE_FOLDER)
		base_text_add(text, " compopt -o filenames; mapfile -t COMPREPLY < <(compgen -%c -- \"$word\");",
			      kind == VALUE_FILE ? 'f' : 'd');
	base_text_add(text, " return ;;\n");
}

static void bash(base_text *text)
{
	base_text choices = {0};
	base_text_add(
		text,
		"# Completion of " PROGRAM " for bash; generated from its table of options.\n"
		"_brainmri() {\n"
		"\tlocal word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} command= options= i\n"
		"\tCOMPREPLY=()\n"
		"\t# --plan=scratch comes as three words.\n"
		"\tif [ \"$word\" = = ]; then\n\t\tword=\n"
		"\telif [ \"$previous\" = = ]; then\n\t\tprevious=${COMP_WORDS[COMP_CWORD-2]}\n\tfi\n"
		"\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
		"\t\tcase ${COMP_WORDS[i]} in\n\t\t-*) ;;\n\t\t*) command=${COMP_WORDS[i]}; break ;;\n\t\tesac\n"
		"\tdone\n"
		"\tcase $command in\n\t'') options='");
	for (size_t i = 0; i < cli_command_count; i++)
		base_text_add(text, "%s ", cli_commands[i].name);
	for (size_t i = 0; i < cli_option_count; i++)
		if (cli_takes(NULL, &cli_options[i]))
			base_text_add(text, "--%s ", cli_options[i].name);
	base_text_add(text, "help' ;;\n");
	for (size_t k = 0; k < cli_command_count; k++) {
		const cli_command *c = &cli_commands[k];
		base_text_add(text, "\t%s)\n\t\toptions='", c->name);
		for (size_t i = 0, listed = 0; i < cli_option_count; i++)
			if (cli_takes(c, &cli_options[i]))
				base_text_add(text, "%s--%s", listed++ ? " " : "", cli_options[i].name);
		base_text_add(text, "'\n\t\tcase $previous in\n");
		for (size_t i = 0; i < cli_option_count; i++)
			if (cli_takes(c, &cli_options[i]))
				bash_value(text, &cli_options[i], &choices);
		base_text_add(text, "\t\tesac ;;\n");
	}
	base_text_add(text,
		      "\tesac\n"
		      "\tif [ -z \"$command\" ] || [ \"${word:0:1}\" = - ]; then\n"
		      "\t\tmapfile -t COMPREPLY < <(compgen -W \"$options\" -- \"$word\")\n"
		      "\telse\n\t\tcompopt -o filenames\n\t\tmapfile -t COMPREPLY < <(compgen -f -- \"$word\")\n\tfi\n"
		      "}\ncomplete -F _brainmri " PROGRAM "\n");
	base_text_free(&choices);
}

/* ---- zsh ---- */

static void zsh_words(base_text *text, const char *words)
{
	add_replaced(text, words, "'[]:\\", (const char *const[]){"'\\''", "\\[", "\\]", "\\:", "\\\\"});
}

/* "-o+[help]:RUN:_files -/": one spelling of an option. */
static void zsh_spelling(base_text *text, const cli_option *option, bool letter, base_text *choices)
{
	value_kind kind = kind_of(option, choices);
	base_text_add(text, " \\\n\t\t\t'");
	if (option->letter)
		base_text_add(text, "(-%c --%s)", option->letter, option->name);
	if (letter)
		base_text_add(text, "-%c%s[", option->letter, kind == VALUE_NONE ? "" : "+");
	else
		base_text_add(text, "--%s%s[", option->name, kind == VALUE_NONE ? "" : "=");
	zsh_words(text, option->help);
	base_text_add(text, "]");
	if (kind != VALUE_NONE) {
		base_text_add(text, ":");
		zsh_words(text, option->argument);
		base_text_add(text, ":");
	}
	if (kind == VALUE_CHOICE)
		base_text_add(text, "(%s)", base_text_string(choices));
	else if (kind == VALUE_FILE || kind == VALUE_FOLDER)
		base_text_add(text, "_files%s", kind == VALUE_FOLDER ? " -/" : "");
	base_text_add(text, "'");
}

static void zsh_options(base_text *text, const cli_command *command)
{
	base_text choices = {0};
	for (size_t i = 0; i < cli_option_count; i++) {
		if (!cli_takes(command, &cli_options[i]))
			continue;
		if (cli_options[i].letter)
			zsh_spelling(text, &cli_options[i], true, &choices);
		zsh_spelling(text, &cli_options[i], false, &choices);
	}
	base_text_free(&choices);
}

static void zsh(base_text *text)
{
	base_text_add(text,
		      "#compdef " PROGRAM "\n# Generated from the table of options of " PROGRAM ".\n"
		      "_brainmri() {\n\tlocal curcontext=$curcontext state line\n\tlocal -a commands\n\tcommands=(\n");
	for (size_t i = 0; i < cli_command_count; i++) {
		base_text_add(text, "\t\t'%s:", cli_commands[i].name);
		zsh_words(text, cli_commands[i].summary);
		base_text_add(text, "'\n");
	}
	base_text_add(text, "\t)\n\t_arguments -C");
	zsh_options(text, NULL);
	base_text_add(
		text,
		" \\\n\t\t\t'1:command:->command' '*::argument:->argument'\n"
		"\tcase $state in\n\tcommand) _describe command commands ;;\n\targument)\n\t\tcase $line[1] in\n");
	for (size_t i = 0; i < cli_command_count; i++) {
		base_text_add(text, "\t\t%s) _arguments", cli_commands[i].name);
		zsh_options(text, &cli_commands[i]);
		base_text_add(text, " \\\n\t\t\t'*:file:_files' ;;\n");
	}
	base_text_add(text, "\t\tesac ;;\n\tesac\n}\n_brainmri \"$@\"\n");
}

/* ---- fish ---- */

static void fish_option(base_text *text, const char *condition, const cli_option *option, base_text *choices)
{
	value_kind kind = kind_of(option, choices);
	base_text_add(text, "complete -c " PROGRAM " -n '%s' -l %s", condition, option->name);
	if (option->letter)
		base_text_add(text, " -s %c", option->letter);
	if (kind == VALUE_CHOICE)
		base_text_add(text, " -x -a '%s'", base_text_string(choices));
	else if (kind == VALUE_FOLDER)
		base_text_add(text, " -x -a '(__fish_complete_directories)'");
	else if (kind == VALUE_FILE || kind == VALUE_ANY)
		base_text_add(text, kind == VALUE_FILE ? " -r -F" : " -x");
	base_text_add(text, " -d '");
	add_replaced(text, option->help, "'\\", (const char *const[]){"\\'", "\\\\"});
	base_text_add(text, "'\n");
}

static void fish(base_text *text)
{
	base_text choices = {0};
	base_text_add(text, "# Completion of " PROGRAM " for fish; generated from its table of options.\n");
	for (size_t i = 0; i < cli_option_count; i++)
		if (cli_takes(NULL, &cli_options[i]))
			fish_option(text, "__fish_use_subcommand", &cli_options[i], &choices);
	for (size_t i = 0; i < cli_command_count; i++) {
		char condition[96];
		base_text_add(text, "complete -c " PROGRAM " -n __fish_use_subcommand -f -a %s -d '",
			      cli_commands[i].name);
		add_replaced(text, cli_commands[i].summary, "'\\", (const char *const[]){"\\'", "\\\\"});
		base_text_add(text, "'\n");
		snprintf(condition, sizeof condition, "__fish_seen_subcommand_from %s", cli_commands[i].name);
		for (size_t k = 0; k < cli_option_count; k++)
			if (cli_takes(&cli_commands[i], &cli_options[k]))
				fish_option(text, condition, &cli_options[k], &choices);
	}
	base_text_free(&choices);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*function)(base_text *text);
	} kinds[] = {{"man", manual}, {"bash", bash}, {"zsh", zsh}, {"fish", fish}};
	base_text text = {0};
	int code = 2;
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		if (argc == 2 && strcmp(argv[1], kinds[i].name) == 0) {
			kinds[i].function(&text);
			code = text.failed || fputs(base_text_string(&text), stdout) < 0 || fflush(stdout) != 0;
		}
	if (code)
		fprintf(stderr, code == 2 ? "usage: generate man|bash|zsh|fish\n" : "generate: cannot write\n");
	base_text_free(&text);
	return code;
}
