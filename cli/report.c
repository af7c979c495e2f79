/* brainmri report: phase 10 without the benchmark, and report.html. */
#include "cli/commands.h"
#include "cli/session.h"

int cli_report(const cli_arguments *arguments, cli_terminal *terminal)
{
	static const char *const phases[] = {"artifacts", "summary", "page"};
	return cli_do_phases(arguments, terminal, CLI_LOOKS_ONLY, phases, sizeof phases / sizeof *phases);
}
