/* What the commands share: from options to a configuration and a run folder, phases done, results printed. */
#ifndef CLI_SESSION_H
#define CLI_SESSION_H

#include "cli/options.h"
#include "cli/terminal.h"
#include "phases/phases.h"

/* The options' settings into config. `own_plan`: the plan came from a file, so a new image size only resizes its stages. */
bm_status cli_apply(const cli_arguments *arguments, bool own_plan, run_config *config, bm_error *err);

/* Settings for a whole run, out of a config file and options. A resumed run has the settings of its folder; others that are given must
 * agree with them. */
bm_status cli_configure(const cli_arguments *arguments, run_config *config, bm_error *err);

/* What the options say of how the phases are done. */
phase_options cli_phase_options(const cli_arguments *arguments);

enum {
	CLI_DATA_ALLOWED = 1, /* the operand may be a data folder */
	CLI_LOOKS_ONLY = 2,   /* options are not kept in config.json */
	CLI_NO_LISTING = 4,   /* a data folder is not listed first */
};

/* Opens what the operand names and does the named phases; prints their JSON with --json. Exit code. `missing`: phases that are done before
 * when the operand is a data folder; may be empty. */
int cli_do_phases(const cli_arguments *arguments, cli_terminal *terminal, int flags, const char *const *names,
		  size_t count);

/* Prints the results as JSON when --json is given. */
void cli_print_json(cli_terminal *terminal, json_t *json);
json_t *cli_results(const cli_arguments *arguments, const phase_context *context);

bool cli_is_run(const char *path); /* a folder with a config.json */

#endif
