/* brainmri explore: phases 3 and 4. */
#include "cli/commands.h"
#include "cli/session.h"

int cli_explore(const cli_arguments *arguments, cli_terminal *terminal)
{
	static const char *const phases[] = {"data", "explore"};
	return cli_do_phases(arguments, terminal, CLI_DATA_ALLOWED, phases, sizeof phases / sizeof *phases);
}
