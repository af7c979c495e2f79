/* brainmri train: phase 8. */
#include "cli/commands.h"
#include "cli/session.h"

int cli_train(const cli_arguments *arguments, cli_terminal *terminal)
{
	static const char *const phases[] = {"train"};
	return cli_do_phases(arguments, terminal, 0, phases, sizeof phases / sizeof *phases);
}
