/* brainmri run: all phases. */
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "cli/commands.h"
#include "cli/session.h"
#include "cli/watch.h"

bm_status cli_configure(const cli_arguments *a, run_config *config, bm_error *err)
{
	const char *out = a->values[CLI_OUT], *file = a->values[CLI_CONFIG];
	bool resumed = a->values[CLI_RESUME] && !file && out && cli_is_run(out);
	char *own = NULL;
	bm_status status = BM_OK;
	if (resumed) {
		own = base_path_join(out, "config.json", err);
		status = own ? BM_OK : BM_ERR_MEMORY;
		file = own;
	}
	if (status == BM_OK && file)
		status = run_config_read(file, config, err);
	base_free(own);
	if (status == BM_OK) /* another run's settings, not its folder */
		status = run_config_set(&config->out, NULL, err);
	if (status == BM_OK && a->operand_count)
		status = run_config_set_path(&config->data, a->operands[0], err);
	if (status == BM_OK)
		status = cli_apply(a, file != NULL, config, err);
	if (status != BM_OK)
		return status;
	if (!config->data)
		return base_fail(err, BM_ERR_USAGE,
				 "which data? name the folder that holds a folder of images per class: 'brainmri %s "
				 "DATA --out RUN'; "
				 "'brainmri phantom DATA' makes one to try",
				 a->command->name);
	if (!config->out)
		return base_fail(err, BM_ERR_USAGE, "where are the results to go? 'brainmri %s %s --out runs/first'",
				 a->command->name, config->data);
	return BM_OK;
}

int cli_run(const cli_arguments *a, cli_terminal *terminal)
{
	bm_error err = {0};
	run_config config;
	phase_context context = {0};
	cli_watch watch = {0};
	const phase_options options = cli_phase_options(a);
	int code = 0;
	run_config_init(&config);
	bm_status status = cli_configure(a, &config, &err);
	if (status == BM_OK)
		status = cli_watch_open(a, terminal, config.out, &watch, &err);
	if (status == BM_OK)
		status = phase_context_create(&config, &options, watch.observer, &context, &err);
	if (status == BM_OK)
		status = phase_run_all(&context, &err);
	if (status == BM_OK && terminal->json) {
		json_t *json = cli_results(a, &context);
		cli_print_json(terminal, json);
		json_decref(json);
	} else if (status != BM_OK) {
		code = cli_terminal_error(terminal, &err);
		if (status == BM_ERR_CANCELLED && context.folder && !strstr(err.message, "--resume"))
			base_note(context.outer, "go on with: brainmri run --out %s --resume", context.folder);
	}
	cli_watch_close(&watch, status, &err);
	run_config_free(&config);
	phase_context_free(&context);
	cli_watch_free(&watch);
	return code;
}
