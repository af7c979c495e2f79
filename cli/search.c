/* brainmri search: hyper-parameters by random trials and successive halving. */
#include "phases/search.h"

#include <string.h>

#include "cli/commands.h"
#include "cli/session.h"

static bm_status parse(const cli_arguments *a, phase_search_options *options, bm_error *err)
{
	long long value;
	bm_status status = BM_OK;
	if (a->values[CLI_TRIALS]) {
		status = cli_parse_integer("trials", a->values[CLI_TRIALS], 2, PHASE_TRIALS_MAX, &value, err);
		options->trials = status == BM_OK ? (int)value : 0;
	}
	if (status == BM_OK && a->values[CLI_PARALLEL]) {
		status = cli_parse_integer("parallel", a->values[CLI_PARALLEL], 1, 64, &value, err);
		options->parallel = status == BM_OK ? (int)value : 0;
	}
	return status;
}

int cli_search(const cli_arguments *a, cli_terminal *terminal)
{
	bm_error err = {0};
	run_config config;
	phase_context context = {0};
	const phase_options options = cli_phase_options(a);
	phase_search_options search = {.trials = 27, .parallel = 1, .resume = options.resume};
	int code = 0;
	run_config_init(&config);
	bm_status status = parse(a, &search, &err);
	if (status == BM_OK)
		status = cli_configure(a, &config, &err);
	if (status == BM_OK)
		status = phase_context_create(&config, &options, &terminal->observer, &context, &err);
	if (status == BM_OK)
		status = phase_search(&context, &search, &err);
	if (status == BM_OK && terminal->json) {
		json_object_set_new(context.json, "command", json_string("search"));
		cli_print_json(terminal, context.json);
	} else if (status != BM_OK) {
		code = cli_terminal_error(terminal, &err);
		if (status == BM_ERR_CANCELLED && context.folder)
			base_note(context.outer, "go on with: brainmri search --out %s --resume and the same --trials",
				  context.folder);
	}
	run_config_free(&config);
	phase_context_free(&context);
	return code;
}
