/* brainmri crossval: the same run on every fold. */
#include "phases/crossval.h"

#include <string.h>

#include "cli/commands.h"
#include "cli/session.h"

static bm_status parse(const cli_arguments *a, phase_crossval_options *options, bm_error *err)
{
	long long folds;
	if (!a->values[CLI_FOLDS])
		return BM_OK;
	bm_status status = cli_parse_integer("folds", a->values[CLI_FOLDS], 2, DATA_FOLDS_MAX, &folds, err);
	if (status == BM_OK)
		options->folds = (int)folds;
	return status;
}

int cli_crossval(const cli_arguments *a, cli_terminal *terminal)
{
	bm_error err = {0};
	run_config config;
	phase_context context = {0};
	const phase_options options = cli_phase_options(a);
	phase_crossval_options crossval = {.resume = options.resume};
	int code = 0;
	run_config_init(&config);
	bm_status status = parse(a, &crossval, &err);
	if (status == BM_OK)
		status = cli_configure(a, &config, &err);
	if (status == BM_OK)
		status = phase_context_create(&config, &options, &terminal->observer, &context, &err);
	if (status == BM_OK)
		status = phase_crossval(&context, &crossval, &err);
	if (status == BM_OK && terminal->json) {
		json_object_set_new(context.json, "command", json_string("crossval"));
		cli_print_json(terminal, context.json);
	} else if (status != BM_OK) {
		code = cli_terminal_error(terminal, &err);
		if (status == BM_ERR_CANCELLED && context.folder)
			base_note(context.outer, "go on with: brainmri crossval --out %s --resume", context.folder);
	}
	run_config_free(&config);
	phase_context_free(&context);
	return code;
}
