#include "cli/watch.h"

static bm_status open_page(const cli_arguments *a, cli_terminal *terminal, const char *folder, cli_watch *watch,
			   bm_error *err)
{
	const live_options options = {.command = a->command->name, .folder = folder};
	const char *given = a->values[CLI_UI];
	long long port = LIVE_PORT;
	bm_status status = BM_OK;
	if (given[0])
		status = cli_parse_integer("ui", given, 0, 65535, &port, err);
	if (status == BM_OK)
		status = live_monitor_create(&options, watch->observer, &watch->monitor, err);
	if (status == BM_OK)
		status = live_server_start(watch->monitor, (int)port, &watch->server, err);
	if (status != BM_OK)
		return status;
	watch->observer = live_monitor_observer(watch->monitor);
	base_note(&terminal->observer, "Live page: %s", live_server_address(watch->server));
	return BM_OK;
}

bm_status cli_watch_open(const cli_arguments *a, cli_terminal *terminal, const char *folder, cli_watch *watch,
			 bm_error *err)
{
	bm_status status = BM_OK;
	*watch = (cli_watch){.observer = &terminal->observer};
	if (a->values[CLI_TENSORBOARD] && folder) {
		status = live_tensorboard_create(folder, watch->observer, &watch->tensorboard, err);
		if (status == BM_OK)
			watch->observer = live_tensorboard_observer(watch->tensorboard);
	}
	return status == BM_OK && a->values[CLI_UI] ? open_page(a, terminal, folder, watch, err) : status;
}

void cli_watch_close(cli_watch *watch, bm_status status, const bm_error *err)
{
	if (watch->server)
		live_monitor_finish(watch->monitor, status, status == BM_OK ? NULL : err->message);
	live_server_stop(watch->server);
	watch->server = NULL;
}

void cli_watch_free(cli_watch *watch)
{
	cli_watch_close(watch, BM_OK, NULL);
	live_monitor_free(watch->monitor);
	live_tensorboard_free(watch->tensorboard);
	*watch = (cli_watch){0};
}
