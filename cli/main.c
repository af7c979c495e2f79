#include <stdio.h>

#include "cli/commands.h"

static int print_help(const cli_command *command, cli_terminal *terminal)
{
	base_text text = {0};
	cli_help(command, &text);
	cli_terminal_write(terminal, base_text_string(&text));
	base_text_free(&text);
	return 0;
}

int main(int argc, char **argv)
{
	cli_arguments arguments;
	cli_terminal terminal;
	bm_error err = {0};
	int code;
	bm_status status = cli_parse(argc, (const char *const *)argv, &arguments, &err);
	cli_terminal_init(&terminal, arguments.values[CLI_QUIET] != NULL, arguments.values[CLI_JSON] != NULL);
	if (status != BM_OK) {
		code = cli_terminal_error(&terminal, &err);
	} else if (arguments.values[CLI_VERSION]) {
		cli_terminal_write(&terminal, "brainmri " BM_VERSION "\n");
		code = 0;
	} else if (arguments.values[CLI_HELP]) {
		code = print_help(arguments.command, &terminal);
	} else if (!arguments.command) {
		base_fail(&err, BM_ERR_USAGE,
			  "which command? 'brainmri run DATA --out runs/first' does everything; see 'brainmri --help'");
		code = cli_terminal_error(&terminal, &err);
	} else {
		code = arguments.command->function(&arguments, &terminal);
	}
	cli_arguments_free(&arguments);
	return cli_terminal_finish(&terminal, code);
}
