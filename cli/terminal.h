/* What the user sees: results on standard output; progress, notes, warnings and errors on standard error. */
#ifndef CLI_TERMINAL_H
#define CLI_TERMINAL_H

#include <pthread.h>

#include "base/observer.h"

typedef struct cli_terminal {
	base_observer observer;
	bool quiet, json;
	bool colour_out, colour_err; /* a terminal, and no NO_COLOR */
	bool bar;		     /* progress as a bar that is drawn over */
	bool drawn;		     /* one stands on the screen */
	bool broken;		     /* standard output could not be written */
	int broken_error;	     /* errno of that */
	double last;		     /* when progress was last shown */
	bool said;		     /* a plain progress line of the running work was printed */
	pthread_mutex_t lock;
} cli_terminal;

/* Ctrl-C and SIGTERM once: the observer's cancel flag; twice: the process ends at once. SIGPIPE becomes a write error. */
void cli_terminal_init(cli_terminal *terminal, bool quiet, bool json);
/* Whether everything was written; says so when not. Call at the end; returns the exit code, made 1 by a failure. */
int cli_terminal_finish(cli_terminal *terminal, int code);

/* "brainmri: MESSAGE" on standard error; the exit code for the status: 2 for BM_ERR_USAGE, else 1. */
int cli_terminal_error(cli_terminal *terminal, const bm_error *err);
void cli_terminal_write(cli_terminal *terminal, const char *text); /* as it is, on standard output, also with --json */

#endif
