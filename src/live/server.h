/* The live page over HTTP: on this machine only, and to be read only. */
#ifndef LIVE_SERVER_H
#define LIVE_SERVER_H

#include "live/monitor.h"

#define LIVE_PORT 4040

typedef struct live_server live_server;

/* Listens on 127.0.0.1 at `port` or, when that is taken, one of the next; 0: any that is free. The monitor must outlive the server. BM_ERR_IO when no
 * port is to be had. */
bm_status live_server_start(live_monitor *monitor, int port, live_server **out, bm_error *err);
const char *live_server_address(const live_server *server); /* "http://127.0.0.1:4040/" */
/* Behind live_monitor_finish: pages that are open get the last state first, which takes 2 seconds at most. NULL is allowed. */
void live_server_stop(live_server *server);

#endif
