/* brainmri audit: copies of training images among test images. */
#include "phases/audit.h"
#include "cli/commands.h"
#include "cli/session.h"

int cli_audit(const cli_arguments *a, cli_terminal *terminal)
{
	bm_error err = {0};
	run_config config;
	phase_context context = {0};
	const phase_options options = {0};
	const phase_audit_options audit = {.train = a->operands[0],
					   .test = a->operands[1],
					   .model = a->values[CLI_MODEL],
					   .out = a->values[CLI_OUT],
					   .strict = a->values[CLI_STRICT] != NULL};
	int code = 0;
	run_config_init(&config);
	bm_status status = BM_OK;
	if (a->values[CLI_THREADS])
		status = cli_parse_threads(a->values[CLI_THREADS], &config.threads, &err);
	if (status == BM_OK)
		status = phase_context_create(&config, &options, &terminal->observer, &context, &err);
	if (status == BM_OK)
		status = phase_begin(&context, &err);
	if (status == BM_OK)
		status = phase_audit(&context, &audit, &err);
	if (status != BM_OK) {
		code = cli_terminal_error(terminal, &err);
	} else if (terminal->json) {
		json_object_set_new(context.json, "command", json_string("audit"));
		cli_print_json(terminal, context.json);
	}
	run_config_free(&config);
	phase_context_free(&context);
	return code;
}
