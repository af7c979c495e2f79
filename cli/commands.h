/* One function per command; each returns the exit code: 0 done, 1 failed, 2 wrong usage. */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

#include "cli/options.h"
#include "cli/terminal.h"

typedef int cli_function(const cli_arguments *arguments, cli_terminal *terminal);

cli_function cli_run;
cli_function cli_environment;
cli_function cli_phantom;
cli_function cli_data;
cli_function cli_explore;
cli_function cli_classes;
cli_function cli_preprocess;
cli_function cli_model;
cli_function cli_train;
cli_function cli_evaluate;
cli_function cli_predict;
cli_function cli_audit;
cli_function cli_crossval;
cli_function cli_search;
cli_function cli_bench;
cli_function cli_report;
cli_function cli_worker;
cli_function cli_export;

#endif
