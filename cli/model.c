/* brainmri model: phase 7. */
#include "cli/commands.h"
#include "cli/session.h"

int cli_model(const cli_arguments *arguments, cli_terminal *terminal)
{
	static const char *const phases[] = {"model"};
	return cli_do_phases(arguments, terminal, 0, phases, sizeof phases / sizeof *phases);
}
