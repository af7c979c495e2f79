/* brainmri evaluate: phase 9. */
#include "cli/commands.h"
#include "cli/session.h"

int cli_evaluate(const cli_arguments *arguments, cli_terminal *terminal)
{
	static const char *const phases[] = {"evaluate"};
	return cli_do_phases(arguments, terminal, CLI_LOOKS_ONLY, phases, sizeof phases / sizeof *phases);
}
