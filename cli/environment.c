/* brainmri environment: phases 1 and 2. */
#include "cli/commands.h"
#include "cli/session.h"

int cli_environment(const cli_arguments *arguments, cli_terminal *terminal)
{
	static const char *const phases[] = {"environment", "cluster"};
	return cli_do_phases(arguments, terminal, CLI_DATA_ALLOWED | CLI_NO_LISTING, phases,
			     sizeof phases / sizeof *phases);
}
