#include "live/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/threads.h"
#include "live/page.css.h"
#include "live/page.html.h"
#include "live/page.js.h"
#include "report/page.css.h"

enum { PORTS = 32, CONNECTIONS = 32, IDLE_SECONDS = 15, BACKLOG = 16 };
static const double PACE = 1, PATIENCE = 2, /* seconds between the answers to a page, and its longest wait */
	RECENT = 3, LINGER = 1.5;	    /* how a stopping server waits for pages */

struct live_server {
	live_monitor *monitor;
	struct MHD_Daemon *daemon;
	char address[40];
	pthread_mutex_t lock;
	int waiting;   /* requests under way */
	double served; /* base_now() of the last answer with a state; 0: none yet */
};

/* ---- answers ---- */

typedef struct route {
	const char *path, *type;
	const char *fixed;
	size_t size;
	json_t *(*make)(live_server *server, struct MHD_Connection *connection);
} route;

/* The state, when there is a newer one than `after` and it is time for it: so a page only asks again and again. */
static json_t *state(live_server *s, struct MHD_Connection *connection)
{
	const char *given = MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, "after");
	const uint64_t after = given ? strtoull(given, NULL, 10) : 0;
	if (after > 0) {
		/* Nothing but the end is newer than this, and so it is the time to wait for. */
		live_monitor_wait(s->monitor, UINT64_MAX, PACE);
		live_monitor_wait(s->monitor, after, PATIENCE - PACE);
	}
	json_t *json = live_monitor_state(s->monitor);
	pthread_mutex_lock(&s->lock);
	s->served = base_now();
	pthread_mutex_unlock(&s->lock);
	return json;
}

static json_t *pictures(live_server *s, struct MHD_Connection *connection)
{
	(void)connection;
	return live_monitor_pictures(s->monitor);
}

static const route routes[] = {
	{"/", "text/html; charset=utf-8", live_page_html, sizeof live_page_html - 1, NULL},
	{"/report.css", "text/css; charset=utf-8", page_css, sizeof page_css - 1, NULL},
	{"/page.css", "text/css; charset=utf-8", live_page_css, sizeof live_page_css - 1, NULL},
	{"/page.js", "text/javascript; charset=utf-8", live_page_js, sizeof live_page_js - 1, NULL},
	{"/state.json", "application/json", NULL, 0, state},
	{"/pictures.json", "application/json", NULL, 0, pictures},
};

static enum MHD_Result answer(struct MHD_Connection *connection, unsigned code, const char *type,
			      struct MHD_Response *response)
{
	static const char *const headers[][2] = {
		{"Content-Security-Policy",
		 "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
		 "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"},
		{"X-Content-Type-Options", "nosniff"},
		{"Cross-Origin-Resource-Policy", "same-origin"},
		{"Referrer-Policy", "no-referrer"},
		{"Cache-Control", "no-store"},
	};
	if (!response)
		return MHD_NO;
	enum MHD_Result result = MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	for (size_t i = 0; result == MHD_YES && i < sizeof headers / sizeof *headers; i++)
		result = MHD_add_response_header(response, headers[i][0], headers[i][1]);
	if (result == MHD_YES && code == MHD_HTTP_METHOD_NOT_ALLOWED)
		result = MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
	if (result == MHD_YES)
		result = MHD_queue_response(connection, code, response);
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result refuse(struct MHD_Connection *connection, unsigned code, const char *why)
{
	return answer(connection, code, "text/plain; charset=utf-8",
		      MHD_create_response_from_buffer(strlen(why), (void *)(uintptr_t)why, MHD_RESPMEM_PERSISTENT));
}

static enum MHD_Result serve(live_server *s, struct MHD_Connection *connection, const route *r)
{
	if (!r->make)
		return answer(
			connection, MHD_HTTP_OK, r->type,
			MHD_create_response_from_buffer(r->size, (void *)(uintptr_t)r->fixed, MHD_RESPMEM_PERSISTENT));
	json_t *json = r->make(s, connection);
	char *text = json ? json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(6)) : NULL;
	json_decref(json);
	if (!text)
		return refuse(connection, MHD_HTTP_INTERNAL_SERVER_ERROR, "no memory\n");
	struct MHD_Response *response = MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_MUST_FREE);
	if (!response)
		free(text);
	return answer(connection, MHD_HTTP_OK, r->type, response);
}

/* A page from elsewhere may make its own name point to 127.0.0.1 and read what it likes (DNS rebinding): the name that was asked for has to be this
 * machine's. Another port is well: of a tunnel. */
static bool is_own_name(const char *host)
{
	static const char *const names[] = {"127.0.0.1", "localhost", "[::1]"};
	for (size_t i = 0; host && i < sizeof names / sizeof *names; i++) {
		const size_t length = strlen(names[i]);
		if (strncasecmp(host, names[i], length) != 0)
			continue;
		const char *rest = host + length;
		if (!*rest || (*rest == ':' && rest[1] && strspn(rest + 1, "0123456789") == strlen(rest + 1)))
			return true;
	}
	return false;
}

static enum MHD_Result on_request(void *self, struct MHD_Connection *connection, const char *url, const char *method,
				  const char *version, const char *upload, size_t *upload_size, void **request)
{
	live_server *s = self;
	(void)version, (void)upload;
	/* The first call comes before the body, which is read and dropped: an answer before its end closes the connection. */
	if (!*request || *upload_size > 0) {
		*upload_size = 0;
		*request = s;
		return MHD_YES;
	}
	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
		return refuse(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "this page can only be read\n");
	if (!is_own_name(MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_HOST)))
		return refuse(connection, MHD_HTTP_FORBIDDEN, "this page is for this machine only\n");
	for (size_t i = 0; i < sizeof routes / sizeof *routes; i++) {
		if (strcmp(url, routes[i].path) != 0)
			continue;
		if (routes[i].make) {
			pthread_mutex_lock(&s->lock);
			s->waiting++;
			pthread_mutex_unlock(&s->lock);
			*request = (void *)(uintptr_t)&routes[i];
		}
		return serve(s, connection, &routes[i]);
	}
	return refuse(connection, MHD_HTTP_NOT_FOUND, "there is no such page\n");
}

static void on_completed(void *self, struct MHD_Connection *connection, void **request,
			 enum MHD_RequestTerminationCode end)
{
	live_server *s = self;
	(void)connection, (void)end;
	for (size_t i = 0; i < sizeof routes / sizeof *routes; i++) {
		if (*request != &routes[i])
			continue;
		pthread_mutex_lock(&s->lock);
		s->waiting--;
		pthread_mutex_unlock(&s->lock);
	}
}

/* ---- start and stop ---- */

static int listen_at(int port)
{
	const int on = 1;
	const struct sockaddr_in at = {
		.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -1;
	/* Or a port would count as taken for a minute after a run that was watched. */
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (bind(fd, (const struct sockaddr *)&at, sizeof at) == 0 && listen(fd, BACKLOG) == 0)
		return fd;
	const int number = errno;
	close(fd);
	errno = number;
	return -1;
}

static int listen_from(int port, bm_error *err)
{
	int fd = -1;
	for (int i = 0; fd < 0 && i < (port > 0 ? PORTS : 1) && port + i <= 65535; i++) {
		fd = listen_at(port + i);
		if (fd < 0 && errno != EADDRINUSE)
			break;
	}
	if (fd < 0)
		base_fail(err, BM_ERR_IO,
			  "no port of 127.0.0.1 from %d on is to be had for the live page: %s; name another with "
			  "--ui=PORT",
			  port, strerror(errno));
	return fd;
}

bm_status live_server_start(live_monitor *monitor, int port, live_server **out, bm_error *err)
{
	struct sockaddr_in at = {0};
	socklen_t size = sizeof at;
	sigset_t all, before;
	*out = NULL;
	live_server *s = base_calloc(1, sizeof *s, "the live page", err);
	if (!s)
		return BM_ERR_MEMORY;
	s->monitor = monitor;
	const int fd = listen_from(port, err);
	if (fd < 0) {
		base_free(s);
		return BM_ERR_IO;
	}
	if (getsockname(fd, (struct sockaddr *)&at, &size) != 0 || pthread_mutex_init(&s->lock, NULL) != 0) {
		close(fd);
		base_free(s);
		return base_fail(err, BM_ERR_IO, "cannot serve the live page: %s", strerror(errno));
	}
	snprintf(s->address, sizeof s->address, "http://127.0.0.1:%d/", ntohs(at.sin_port));
	/* Ctrl-C is the main thread's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	/* A thread for each connection: one that waits for news, or for a slow reader, holds up nobody. */
	s->daemon =
		MHD_start_daemon(MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL, 0,
				 NULL, NULL, on_request, s, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
				 (unsigned)CONNECTIONS, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_SECONDS,
				 MHD_OPTION_NOTIFY_COMPLETED, on_completed, s, MHD_OPTION_END);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (!s->daemon) {
		close(fd);
		pthread_mutex_destroy(&s->lock);
		base_free(s);
		return base_fail(err, BM_ERR_IO, "cannot serve the live page: %s", strerror(errno));
	}
	*out = s;
	return BM_OK;
}

const char *live_server_address(const live_server *server)
{
	return server->address;
}

/* Pages ask again a moment after each answer: while there is one, it shall hear of the end. */
static void wait_for_pages(live_server *s)
{
	const double begin = base_now();
	while (base_now() - begin < PATIENCE) {
		pthread_mutex_lock(&s->lock);
		const bool watched = s->waiting > 0 || (s->served > 0 && begin - s->served < RECENT);
		const bool waiting = s->waiting > 0;
		pthread_mutex_unlock(&s->lock);
		if (!watched || (!waiting && base_now() - begin > LINGER))
			return;
		nanosleep(&(struct timespec){0, 20000000}, NULL);
	}
}

void live_server_stop(live_server *s)
{
	if (!s)
		return;
	if (live_monitor_finished(s->monitor))
		wait_for_pages(s);
	else
		live_monitor_finish(s->monitor, BM_OK, NULL); /* or those who wait would go on */
	MHD_stop_daemon(s->daemon);
	pthread_mutex_destroy(&s->lock);
	base_free(s);
}
