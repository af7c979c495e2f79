/* brainmri export: a trained model as a file for other programs. */
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "cli/commands.h"
#include "cli/session.h"
#include "phases/export.h"

/* The run folder that the operand is, or that the file is in; NULL: none. *folder: base_free. */
static bm_status find_run(const char *operand, char **folder, bm_error *err)
{
	*folder = NULL;
	if (base_is_folder(operand)) {
		if (!cli_is_run(operand))
			return base_fail(
				err, BM_ERR_NOT_FOUND,
				"'%s' is no run folder (it has no config.json); name a run folder or a model file",
				operand);
		*folder = base_strdup(operand, err);
		return *folder ? BM_OK : BM_ERR_MEMORY;
	}
	size_t length = (size_t)(base_path_name(operand) - operand);
	char *above = base_strdup(length ? operand : ".", err);
	if (!above)
		return BM_ERR_MEMORY;
	if (length)
		above[length > 1 ? length - 1 : 1] = '\0';
	if (cli_is_run(above))
		*folder = above;
	else
		base_free(above);
	return BM_OK;
}

static bm_status read_config(const char *folder, run_config *config, bm_error *err)
{
	char *path = base_path_join(folder, "config.json", err);
	bm_status status = path ? run_config_read(path, config, err) : BM_ERR_MEMORY;
	base_free(path);
	return status == BM_OK ? run_config_set(&config->out, folder, err) : status;
}

static bm_status read_options(const cli_arguments *a, phase_export_options *o, bm_error *err)
{
	const char *to = a->values[CLI_TO];
	o->out = a->values[CLI_EXPORT_OUT];
	if (!to || !phase_format_parse(to, &o->format))
		return base_fail(err, BM_ERR_USAGE, "--to takes keras, safetensors or onnx%s%s%s", to ? ", not '" : "",
				 to ? to : "", to ? "'" : "; say which");
	const char *pixels = a->values[CLI_PIXELS];
	if (pixels && strcmp(pixels, "uint8") != 0 && strcmp(pixels, "float32") != 0)
		return base_fail(err, BM_ERR_USAGE, "--pixels takes uint8 or float32, not '%s'", pixels);
	if (pixels && o->format != PHASE_ONNX)
		return base_fail(err, BM_ERR_USAGE, "--pixels is for --to onnx: other files hold no preprocessing");
	o->pixels = pixels && strcmp(pixels, "float32") == 0 ? MODEL_PIXELS_FLOAT32 : MODEL_PIXELS_UINT8;
	o->half = a->values[CLI_HALF] != NULL;
	if (o->half && o->format != PHASE_SAFETENSORS)
		return base_fail(err, BM_ERR_USAGE, "--half is for --to safetensors");
	o->calibration = a->values[CLI_CALIBRATION];
	if (o->calibration && o->format == PHASE_ONNX)
		return base_fail(
			err, BM_ERR_USAGE,
			"--calibration is for --to keras and safetensors: an ONNX file says what the network says");
	if (!o->out)
		return base_fail(err, BM_ERR_USAGE, "where to? name the file with --out FILE");
	if (base_is_folder(o->out))
		return base_fail(err, BM_ERR_USAGE, "'%s' is a folder: name a file with --out", o->out);
	o->model = base_is_folder(a->operands[0]) ? NULL : a->operands[0];
	return BM_OK;
}

int cli_export(const cli_arguments *a, cli_terminal *terminal)
{
	bm_error err = {0};
	char *folder = NULL;
	run_config config;
	phase_context context = {0};
	phase_export_options options = {0};
	phase_options how = {.force = true, .looks_only = true};
	int code = 0;
	run_config_init(&config);
	bm_status status = read_options(a, &options, &err);
	if (status == BM_OK)
		status = find_run(a->operands[0], &folder, &err);
	if (status == BM_OK && folder)
		status = read_config(folder, &config, &err);
	if (status == BM_OK && a->values[CLI_THREADS])
		status = cli_parse_threads(a->values[CLI_THREADS], &config.threads, &err);
	if (status == BM_OK)
		status = phase_context_create(&config, &how, &terminal->observer, &context, &err);
	if (status == BM_OK)
		status = phase_export(&context, &options, &err);
	if (status == BM_OK && terminal->json) {
		json_t *json = json_pack("{s:s, s:o?, s:O}", "command", "export", "run",
					 folder ? phase_json_text(folder) : NULL, "result", context.json);
		cli_print_json(terminal, json);
		json_decref(json);
	}
	if (status != BM_OK)
		code = cli_terminal_error(terminal, &err);
	run_config_free(&config);
	phase_context_free(&context);
	base_free(folder);
	return code;
}
