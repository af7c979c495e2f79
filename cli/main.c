#include <stdlib.h>
#include <unistd.h>

#include "cli/commands.h"

static int print_help(const cli_command *command, cli_terminal *terminal)
{
	base_text text = {0};
	cli_help(command, &text);
	cli_terminal_write(terminal, base_text_string(&text));
	base_text_free(&text);
	return 0;
}

/* OpenMP's threads wait for each other by spinning for milliseconds, which on a machine that does other work too makes a network several times
 * slower: they shall sleep soon. libgomp reads its variables before main, so the program starts itself once more, with them set. */
static void tame_openmp(char **argv)
{
	char self[4096];
	if (getenv("GOMP_SPINCOUNT") || getenv("OMP_WAIT_POLICY") || setenv("GOMP_SPINCOUNT", "1000", 1) != 0)
		return;
	ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
	if (length <= 0)
		return;
	self[length] = '\0';
	execv(self, argv); /* comes back only when it cannot: then it goes on as it is */
}

static bool computes(const cli_command *command)
{
	return command->function == cli_run || command->function == cli_train || command->function == cli_evaluate ||
	       command->function == cli_predict || command->function == cli_export || command->function == cli_audit ||
	       command->function == cli_crossval || command->function == cli_search;
}

/* Every command takes these, and some have no use for them. */
static bm_status check_common(const cli_arguments *a, bm_error *err)
{
	long long seed;
	int threads;
	bm_status status = BM_OK;
	if (a->values[CLI_SEED])
		status = cli_parse_integer("seed", a->values[CLI_SEED], 0, INT64_MAX, &seed, err);
	if (status == BM_OK && a->values[CLI_THREADS])
		status = cli_parse_threads(a->values[CLI_THREADS], &threads, err);
	return status;
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
	} else if (check_common(&arguments, &err) != BM_OK) {
		code = cli_terminal_error(&terminal, &err);
	} else {
		if (computes(arguments.command))
			tame_openmp(argv);
		code = arguments.command->function(&arguments, &terminal);
	}
	cli_arguments_free(&arguments);
	return cli_terminal_finish(&terminal, code);
}
