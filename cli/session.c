#include "cli/session.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "cli/watch.h"

bool cli_is_run(const char *path)
{
	char *config = base_path_join(path, "config.json", NULL);
	bool is = config && base_is_file(config);
	base_free(config);
	return is;
}

void cli_print_json(cli_terminal *terminal, json_t *json)
{
	char *text = json ? json_dumps(json, JSON_INDENT(2) | JSON_REAL_PRECISION(10)) : NULL;
	if (text) {
		cli_terminal_write(terminal, text);
		cli_terminal_write(terminal, "\n");
	} else {
		terminal->broken = true;     /* results that cannot be shown are a failure */
		terminal->broken_error = 12; /* ENOMEM */
	}
	free(text);
}

json_t *cli_results(const cli_arguments *a, const phase_context *c)
{
	return json_pack("{s:s, s:s?, s:O}", "command", a->command->name, "run", c->folder, "phases", c->results);
}

phase_options cli_phase_options(const cli_arguments *a)
{
	const char *precision = a->values[CLI_PRECISION];
	return (phase_options){.resume = a->values[CLI_RESUME] != NULL,
			       .force = a->values[CLI_FORCE] != NULL,
			       .summary = a->values[CLI_SUMMARY] != NULL,
			       .precision_measured = precision && strcmp(precision, "auto") == 0};
}

static bm_status read_run(const char *folder, run_config *config, bm_error *err)
{
	char *path = base_path_join(folder, "config.json", err);
	if (!path)
		return BM_ERR_MEMORY;
	bm_status status = run_config_read(path, config, err);
	base_free(path);
	if (status == BM_OK)
		status = run_config_set(&config->out, folder, err); /* it may have been moved */
	return status;
}

/* The operand is a run folder, or a data folder where that is allowed. */
static bm_status configure(const cli_arguments *a, int flags, run_config *config, phase_options *options, bm_error *err)
{
	const char *operand = a->operand_count ? a->operands[0] : NULL;
	const char *file = a->values[CLI_CONFIG];
	bm_status status = BM_OK;
	if (operand && cli_is_run(operand)) {
		if (a->values[CLI_OUT] && strcmp(a->values[CLI_OUT], operand) != 0)
			return base_fail(err, BM_ERR_USAGE, "'%s' is a run folder already: leave --out away", operand);
		if (file)
			return base_fail(err, BM_ERR_USAGE,
					 "'%s' is a run folder and has its own config.json: leave --config away",
					 operand);
		/* Its own settings, and what the user changes of them, which training that goes on does not allow. */
		options->force |= !options->resume;
		status = read_run(operand, config, err);
		return status == BM_OK ? cli_apply(a, true, config, err) : status;
	}
	if (operand && !(flags & CLI_DATA_ALLOWED))
		return base_fail(
			err, BM_ERR_NOT_FOUND,
			"'%s' is no run folder (it has no config.json); make one with 'brainmri run DATA --out %s' "
			"or 'brainmri explore DATA --out %s'",
			operand, operand, operand);
	if (file)
		status = run_config_read(file, config, err);
	if (status == BM_OK) /* another run's settings, not its folder */
		status = run_config_set(&config->out, NULL, err);
	if (status == BM_OK && operand)
		status = run_config_set_path(&config->data, operand, err);
	return status == BM_OK ? cli_apply(a, file != NULL, config, err) : status;
}

static bm_status choose_sample(const cli_arguments *a, phase_options *options, bm_error *err)
{
	long long sample;
	if (!a->values[CLI_SAMPLE])
		return BM_OK;
	bm_status status = cli_parse_integer("sample", a->values[CLI_SAMPLE], 0, INT_MAX, &sample, err);
	if (status == BM_OK)
		options->sample = sample == 0 ? INT_MAX : (int)sample;
	return status;
}

/* Phases that the named ones need when they start from a data folder. */
static bm_status do_phases(phase_context *c, const char *const *names, size_t count, bool from_data, bm_error *err)
{
	bm_status status = BM_OK;
	bool listed = false;
	for (size_t i = 0; i < count; i++)
		listed |= strcmp(names[i], "data") == 0;
	if (from_data && !listed)
		status = phase_run(c, phase_find("data"), err);
	for (size_t i = 0; i < count && status == BM_OK; i++) {
		if (i > 0 || (from_data && !listed))
			base_result(c->outer, "%s", "");
		status = phase_run(c, phase_find(names[i]), err);
	}
	return status;
}

int cli_do_phases(const cli_arguments *a, cli_terminal *terminal, int flags, const char *const *names, size_t count)
{
	bm_error err = {0};
	run_config config;
	phase_context context = {0};
	cli_watch watch = {0};
	phase_options options = cli_phase_options(a);
	int code = 0;
	options.looks_only = (flags & CLI_LOOKS_ONLY) != 0;
	run_config_init(&config);
	bool from_data = (flags & CLI_DATA_ALLOWED) && !(flags & CLI_NO_LISTING) && a->operand_count &&
			 !cli_is_run(a->operands[0]);
	bm_status status = choose_sample(a, &options, &err);
	if (status == BM_OK)
		status = configure(a, flags, &config, &options, &err);
	if (status == BM_OK)
		status = cli_watch_open(a, terminal, config.out, &watch, &err);
	if (status == BM_OK)
		status = phase_context_create(&config, &options, watch.observer, &context, &err);
	if (status == BM_OK)
		status = do_phases(&context, names, count, from_data, &err);
	if (status == BM_OK)
		phase_warn_stale(&context);
	if (status == BM_OK && terminal->json) {
		json_t *json = cli_results(a, &context);
		cli_print_json(terminal, json);
		json_decref(json);
	}
	if (status != BM_OK)
		code = cli_terminal_error(terminal, &err);
	cli_watch_close(&watch, status, &err);
	run_config_free(&config);
	phase_context_free(&context);
	cli_watch_free(&watch);
	return code;
}
