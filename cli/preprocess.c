/* brainmri preprocess: phase 6. */
#include "cli/commands.h"
#include "cli/session.h"

int cli_preprocess(const cli_arguments *arguments, cli_terminal *terminal)
{
	static const char *const phases[] = {"preprocess"};
	return cli_do_phases(arguments, terminal, 0, phases, sizeof phases / sizeof *phases);
}
