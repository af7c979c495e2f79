/* brainmri bench: phase 10, the benchmark. */
#include "cli/commands.h"
#include "cli/session.h"

int cli_bench(const cli_arguments *arguments, cli_terminal *terminal)
{
	static const char *const phases[] = {"benchmark"};
	return cli_do_phases(arguments, terminal, CLI_DATA_ALLOWED | CLI_LOOKS_ONLY, phases,
			     sizeof phases / sizeof *phases);
}
