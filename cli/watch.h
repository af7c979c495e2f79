/* Those who watch a command besides the terminal: --ui, --tensorboard. */
#ifndef CLI_WATCH_H
#define CLI_WATCH_H

#include "cli/options.h"
#include "cli/terminal.h"
#include "live/server.h"
#include "live/tensorboard.h"

typedef struct cli_watch {
	live_tensorboard *tensorboard;
	live_monitor *monitor;
	live_server *server;
	const base_observer *observer; /* what the work reports to */
} cli_watch;

/* Without options for it `observer` is the terminal's. folder: of the run, NULL: none. */
bm_status cli_watch_open(const cli_arguments *arguments, cli_terminal *terminal, const char *folder, cli_watch *watch,
			 bm_error *err);
/* The work is done, well or as err says. The observer stays, for what still reports to it. Safe on a zeroed watch. */
void cli_watch_close(cli_watch *watch, bm_status status, const bm_error *err);
void cli_watch_free(cli_watch *watch);

#endif
