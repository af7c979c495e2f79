/* brainmri worker: what an engine starts in other processes. Standard output is its part, so nothing else is printed there. */
#include <signal.h>
#include <unistd.h>

#include "cli/commands.h"
#include "engine/worker.h"

int cli_worker(const cli_arguments *arguments, cli_terminal *terminal)
{
	bm_error err = {0};
	(void)arguments;
	/* Ctrl-C is for the one who started the worker, who then closes its pipe. */
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_DFL);
	return engine_worker(STDIN_FILENO, STDOUT_FILENO, &err) == BM_OK ? 0 : cli_terminal_error(terminal, &err);
}
