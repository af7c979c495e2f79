#include "live/server.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/threads.h"

enum { ROOM = 1 << 20 };

typedef struct fixture {
	live_monitor *monitor;
	live_server *server;
	int port;
	char answer[ROOM];
} fixture;

static int port_of(const live_server *server)
{
	const char *address = live_server_address(server);
	assert_ptr_equal(strstr(address, "http://127.0.0.1:"), address);
	return atoi(address + strlen("http://127.0.0.1:"));
}

static int enter(void **state)
{
	fixture *f = calloc(1, sizeof *f);
	bm_error err;
	const live_options options = {.command = "run", .folder = "runs/x"};
	*state = f;
	if (!f || live_monitor_create(&options, NULL, &f->monitor, &err) != BM_OK ||
	    live_server_start(f->monitor, 0, &f->server, &err) != BM_OK)
		return -1;
	f->port = port_of(f->server);
	return 0;
}

static int leave(void **state)
{
	fixture *f = *state;
	live_server_stop(f->server);
	live_monitor_free(f->monitor);
	free(f);
	return 0;
}

static int open_to(const char *address, int port)
{
	const struct sockaddr_in at = {
		.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = inet_addr(address)};
	const struct timeval patience = {.tv_sec = 20};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	if (connect(fd, (const struct sockaddr *)&at, sizeof at) == 0)
		return fd;
	close(fd);
	return -1;
}

static void send_text(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* All of the answer; the request has to say that the connection ends. Returns the code, 0: none came. */
static int read_answer(int fd, char *answer)
{
	size_t size = 0;
	ssize_t got;
	while (size < ROOM - 1 && (got = recv(fd, answer + size, ROOM - 1 - size, 0)) > 0)
		size += (size_t)got;
	answer[size] = '\0';
	close(fd);
	return size > 12 ? atoi(answer + strlen("HTTP/1.1 ")) : 0;
}

static int ask(fixture *f, const char *method, const char *path, const char *host)
{
	char request[512];
	const int fd = open_to("127.0.0.1", f->port);
	assert_true(fd >= 0);
	snprintf(request, sizeof request, "%s %s HTTP/1.1\r\n%s%s%sConnection: close\r\n\r\n", method, path,
		 host ? "Host: " : "", host ? host : "", host ? "\r\n" : "");
	send_text(fd, request);
	return read_answer(fd, f->answer);
}

static const char *body(const fixture *f)
{
	const char *end = strstr(f->answer, "\r\n\r\n");
	assert_non_null(end);
	return end + 4;
}

static json_t *json_body(const fixture *f)
{
	json_t *json = json_loads(body(f), 0, NULL);
	assert_non_null(json);
	return json;
}

/* ---- what is asked for ---- */

static void every_route_answers(void **state)
{
	fixture *f = *state;
	static const char *const routes[][3] = {
		{"/", "text/html", "<!DOCTYPE html>"},
		{"/page.css", "text/css", "progress"},
		{"/report.css", "text/css", "--accent"},
		{"/page.js", "text/javascript", "'use strict'"},
		{"/state.json", "application/json", "\"phases\":["},
		{"/pictures.json", "application/json", "\"number\":0"},
	};
	for (size_t i = 0; i < sizeof routes / sizeof *routes; i++) {
		assert_int_equal(ask(f, "GET", routes[i][0], "127.0.0.1"), 200);
		assert_non_null(strstr(f->answer, routes[i][1]));
		assert_non_null(strstr(body(f), routes[i][2]));
		assert_non_null(strstr(f->answer, "Content-Security-Policy: default-src 'none';"));
		assert_non_null(strstr(f->answer, "X-Content-Type-Options: nosniff"));
		assert_null(strstr(f->answer, "Access-Control"));
		assert_int_equal(ask(f, "HEAD", routes[i][0], "127.0.0.1"), 200);
		assert_string_equal(body(f), "");
	}
}

static void nothing_else_is_there(void **state)
{
	fixture *f = *state;
	static const char *const paths[] = {"/index.html",  "/../etc/passwd", "//",
					    "/state.json/", "/%2e%2e/x",      "/runs/x"};
	for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
		assert_int_equal(ask(f, "GET", paths[i], "127.0.0.1"), 404);
}

static void it_can_only_be_read(void **state)
{
	fixture *f = *state;
	static const char *const methods[] = {"POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"};
	for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
		assert_int_equal(ask(f, methods[i], "/state.json", "127.0.0.1"), 405);
		assert_non_null(strstr(f->answer, "Allow: GET, HEAD"));
	}
	const int fd = open_to("127.0.0.1", f->port);
	send_text(fd, "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello");
	assert_int_equal(read_answer(fd, f->answer), 405);
}

static void only_this_machines_names_are_served(void **state)
{
	fixture *f = *state;
	static const char *const own[] = {"127.0.0.1", "127.0.0.1:4040", "localhost", "LocalHost:9999", "[::1]:1"};
	static const char *const other[] = {"evil.example",
					    "evil.example:4040",
					    "127.0.0.1.evil.example",
					    "localhost.evil.example",
					    "localhost:80x",
					    "localhost:",
					    "127.0.0.10",
					    "0.0.0.0"};
	for (size_t i = 0; i < sizeof own / sizeof *own; i++)
		assert_int_equal(ask(f, "GET", "/", own[i]), 200);
	for (size_t i = 0; i < sizeof other / sizeof *other; i++) {
		assert_int_equal(ask(f, "GET", "/state.json", other[i]), 403);
		assert_null(strstr(f->answer, "runs/x"));
	}
	const int fd = open_to("127.0.0.1", f->port);
	send_text(fd, "GET / HTTP/1.0\r\n\r\n");
	assert_int_equal(read_answer(fd, f->answer), 403);
	assert_int_equal(ask(f, "GET", "/", NULL), 403);
}

static void only_loopback_is_listened_at(void **state)
{
	fixture *f = *state;
	assert_int_equal(open_to("127.0.0.2", f->port), -1);
}

static void a_taken_port_is_not_taken_twice(void **state)
{
	fixture *f = *state;
	live_server *second = NULL;
	bm_error err = {0};
	assert_int_equal(live_server_start(f->monitor, f->port, &second, &err), BM_OK);
	assert_in_range(port_of(second), f->port + 1, f->port + 32);
	assert_int_equal(ask(f, "GET", "/", "localhost"), 200);
	const int first = f->port;
	f->port = port_of(second);
	assert_int_equal(ask(f, "GET", "/", "localhost"), 200);
	f->port = first;
	live_server_stop(second);
}

static void a_port_is_free_when_the_server_is_gone(void **state)
{
	fixture *f = *state;
	bm_error err = {0};
	assert_int_equal(ask(f, "GET", "/", "localhost"), 200);
	live_server_stop(f->server);
	f->server = NULL;
	assert_int_equal(open_to("127.0.0.1", f->port), -1);
	assert_int_equal(live_server_start(f->monitor, f->port, &f->server, &err), BM_OK);
	assert_int_equal(port_of(f->server), f->port);
}

/* ---- waiting ---- */

static void an_answer_waits_for_news(void **state)
{
	fixture *f = *state;
	char path[64];
	assert_int_equal(ask(f, "GET", "/state.json", "localhost"), 200);
	json_t *json = json_body(f);
	snprintf(path, sizeof path, "/state.json?after=%lld", json_integer_value(json_object_get(json, "version")));
	json_decref(json);
	const double begin = base_now();
	assert_int_equal(ask(f, "GET", path, "localhost"), 200);
	assert_true(base_now() - begin > 1.5); /* there was none: the clock goes on all the same */
}

typedef struct finisher {
	live_monitor *monitor;
	live_server *server;
	double stopped;
} finisher;

static void *finish_soon(void *arg)
{
	finisher *f = arg;
	nanosleep(&(struct timespec){0, 200000000}, NULL);
	live_monitor_finish(f->monitor, BM_ERR_CANCELLED, "stopped on request");
	live_server_stop(f->server);
	f->stopped = base_now();
	return NULL;
}

static void a_page_that_waits_hears_of_the_end(void **state)
{
	fixture *f = *state;
	finisher arg = {f->monitor, f->server, 0};
	pthread_t thread;
	f->server = NULL;
	const double begin = base_now();
	assert_int_equal(pthread_create(&thread, NULL, finish_soon, &arg), 0);
	assert_int_equal(ask(f, "GET", "/state.json?after=1000000", "localhost"), 200);
	assert_true(base_now() - begin < 1.9); /* before the time that an answer else takes */
	pthread_join(thread, NULL);
	json_t *json = json_body(f);
	assert_string_equal(json_string_value(json_object_get(json, "state")), "stopped");
	assert_string_equal(json_string_value(json_object_get(json, "message")), "stopped on request");
	json_decref(json);
	assert_true(arg.stopped - begin < 8);
}

static void a_server_that_nobody_watched_stops_at_once(void **state)
{
	fixture *f = *state;
	double least = 1e9;
	live_monitor_finish(f->monitor, BM_OK, NULL);
	for (int i = 0; i < 10 && least > 0.5; i++) { /* on a machine that is busy, one of them */
		const double begin = base_now();
		live_server_stop(f->server);
		least = base_now() - begin;
		assert_int_equal(live_server_start(f->monitor, 0, &f->server, NULL), BM_OK);
	}
	assert_true(least < 0.5);
}

/* Clients that take nothing of their answer, that do not end their request, that say nothing. */
static void slow_readers_hold_up_nobody(void **state)
{
	fixture *f = *state;
	enum { SLOW = 12 };
	static const char *const said[] = {"GET /state.json HTTP/1.1\r\nHost: localhost\r\n\r\n",
					   "GET /state.json HTTP/1.1\r\nHost: loc", ""};
	const base_observer *observer = live_monitor_observer(f->monitor);
	int slow[SLOW];
	for (int i = 0; i < SLOW; i++) {
		const int small = 1024;
		slow[i] = open_to("127.0.0.1", f->port);
		assert_true(slow[i] >= 0);
		setsockopt(slow[i], SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
		for (int k = 0; k < 50 && said[i % 3][0]; k++) {
			send_text(slow[i], said[i % 3]);
			if (i % 3 != 0)
				break;
		}
	}
	double longest = 0;
	for (int i = 1; i <= 3000; i++) {
		const base_value values[] = {{"loss", 1}, {"accuracy", 0.5}, {"learning_rate", 0.001}};
		const double begin = base_now();
		base_report_event(observer,
				  &(base_event){.kind = BASE_STEP, .number = i, .values = values, .count = 3});
		if (base_now() - begin > longest)
			longest = base_now() - begin;
	}
	assert_true(longest < 5); /* a connection that stands still is closed after 15 */
	assert_int_equal(ask(f, "GET", "/state.json", "localhost"), 200);
	const double begin = base_now();
	live_monitor_finish(f->monitor, BM_OK, NULL);
	live_server_stop(f->server);
	f->server = NULL;
	assert_true(base_now() - begin < 8);
	for (int i = 0; i < SLOW; i++)
		close(slow[i]);
}

static void more_clients_than_allowed_do_no_harm(void **state)
{
	fixture *f = *state;
	int fds[60];
	for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
		fds[i] = open_to("127.0.0.1", f->port);
	for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	int code = 0;
	for (int tries = 0; code != 200 && tries < 50; tries++) {
		nanosleep(&(struct timespec){0, 50000000}, NULL);
		code = ask(f, "GET", "/", "localhost");
	}
	assert_int_equal(code, 200);
}

static void without_memory_nothing_is_left_behind(void **state)
{
	(void)state;
	bm_error err;
	const live_options options = {.command = "run", .folder = "runs/x"};
	for (long n = 0; n < 4; n++) {
		live_monitor *monitor = NULL;
		base_memory_fail_after(n);
		const bm_status status = live_monitor_create(&options, NULL, &monitor, &err);
		base_memory_fail_after(-1);
		assert_int_equal(status, BM_ERR_MEMORY);
		assert_null(monitor);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(every_route_answers, enter, leave),
		cmocka_unit_test_setup_teardown(nothing_else_is_there, enter, leave),
		cmocka_unit_test_setup_teardown(it_can_only_be_read, enter, leave),
		cmocka_unit_test_setup_teardown(only_this_machines_names_are_served, enter, leave),
		cmocka_unit_test_setup_teardown(only_loopback_is_listened_at, enter, leave),
		cmocka_unit_test_setup_teardown(a_taken_port_is_not_taken_twice, enter, leave),
		cmocka_unit_test_setup_teardown(a_port_is_free_when_the_server_is_gone, enter, leave),
		cmocka_unit_test_setup_teardown(an_answer_waits_for_news, enter, leave),
		cmocka_unit_test_setup_teardown(a_page_that_waits_hears_of_the_end, enter, leave),
		cmocka_unit_test_setup_teardown(a_server_that_nobody_watched_stops_at_once, enter, leave),
		cmocka_unit_test_setup_teardown(slow_readers_hold_up_nobody, enter, leave),
		cmocka_unit_test_setup_teardown(more_clients_than_allowed_do_no_harm, enter, leave),
		cmocka_unit_test(without_memory_nothing_is_left_behind),
	};
	return cmocka_run_group_tests_name("live/server", tests, NULL, NULL);
}
