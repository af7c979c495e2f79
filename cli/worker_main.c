/* brainmri-worker: `brainmri worker` as a program of its own. It is linked statically and without the network's libraries, so that
 * Spark can ship it to machines on which nothing of brainmri is installed. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "engine/worker.h"

int main(int argc, char **argv)
{
	bm_error err = {0};
	if (argc != 2 || strcmp(argv[1], "worker") != 0) {
		fputs("brainmri-worker " BM_VERSION ": started by brainmri's Spark job as 'brainmri-worker worker'\n",
		      stderr);
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	if (engine_worker(STDIN_FILENO, STDOUT_FILENO, &err) == BM_OK)
		return 0;
	fprintf(stderr, "brainmri-worker: %s\n", err.message);
	return 1;
}
