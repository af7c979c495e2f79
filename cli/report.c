/* brainmri report: phase 10 without the benchmark, and report.html; of several runs, the comparison. */
#include <stdio.h>

#include "cli/commands.h"
#include "cli/session.h"
#include "phases/compare.h"

static int compare(const cli_arguments *arguments, cli_terminal *terminal)
{
	bm_error err = {0};
	base_text text = {0};
	json_t *json = NULL;
	int code = 0;
	const char *path = arguments->values[CLI_REPORT_OUT] ? arguments->values[CLI_REPORT_OUT] : "comparison.html";
	bm_status status =
		phase_compare(arguments->operands, (size_t)arguments->operand_count, path, &text, &json, &err);
	if (status != BM_OK)
		code = cli_terminal_error(terminal, &err);
	else if (terminal->json)
		cli_print_json(terminal, json);
	else
		cli_terminal_write(terminal, base_text_string(&text));
	base_text_free(&text);
	json_decref(json);
	return code;
}

int cli_report(const cli_arguments *arguments, cli_terminal *terminal)
{
	static const char *const phases[] = {"artifacts", "summary", "page"};
	if (arguments->operand_count > 1)
		return compare(arguments, terminal);
	if (arguments->values[CLI_REPORT_OUT]) {
		bm_error err = {0};
		base_fail(&err, BM_ERR_USAGE, "--out is for several runs: the report of one goes to '%s/report.html'",
			  arguments->operands[0]);
		return cli_terminal_error(terminal, &err);
	}
	cli_arguments own = *arguments;
	if (own.values[CLI_SEED] || own.values[CLI_THREADS]) /* the report would tell them as the run's */
		base_note(&terminal->observer,
			  "--seed and --threads change nothing: a report tells those that the run was made with");
	own.values[CLI_SEED] = own.values[CLI_THREADS] = NULL;
	return cli_do_phases(&own, terminal, CLI_LOOKS_ONLY, phases, sizeof phases / sizeof *phases);
}
