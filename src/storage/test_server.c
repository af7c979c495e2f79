#include "storage/test_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 256 };

struct test_server {
	test_handler *handler;
	void *arg;
	int listener, port;
	atomic_bool stop;
	atomic_int connections, requests;
	pthread_t acceptor, threads[CONNECTIONS_MAX];
	int fds[CONNECTIONS_MAX];
	int thread_count;
};

typedef struct connection {
	test_server *server;
	int fd;
} connection;

static bool read_more(int fd, char *bytes, size_t room, size_t *used)
{
	ssize_t got = recv(fd, bytes + *used, room - *used, 0);
	if (got <= 0)
		return false;
	*used += (size_t)got;
	return true;
}

static const char *header(const test_request *r, const char *name)
{
	for (const char *line = r->headers; line && *line;) {
		if (strncasecmp(line, name, strlen(name)) == 0)
			return line + strlen(name);
		line = strstr(line, "\r\n");
		line = line ? line + 2 : NULL;
	}
	return NULL;
}

/* One request; false at the connection's end. Chunked bodies are taken apart. */
static bool read_request(int fd, test_request *r)
{
	static const char end[] = "\r\n\r\n";
	size_t used = 0;
	char *head = malloc(80000);
	char *stop = NULL;
	bool good = head != NULL;
	while (good && !stop) {
		good = used < 79999 && read_more(fd, head, 79999, &used);
		head[used] = '\0';
		stop = good ? strstr(head, end) : NULL;
	}
	if (good) {
		good = sscanf(head, "%7s %4095s", r->method, r->target) == 2;
		snprintf(r->headers, sizeof r->headers, "%.*s", (int)(stop - head + 2), strstr(head, "\r\n") + 2);
		const char *length = header(r, "Content-Length:"), *coding = header(r, "Transfer-Encoding:");
		size_t want = length ? (size_t)atol(length) : 0, body = (size_t)(stop - head) + 4;
		while (good && coding && !strstr(head + body, "0\r\n\r\n")) {
			good = used < 79999 && read_more(fd, head, 79999, &used);
			head[used] = '\0';
		}
		while (good && !coding && used - body < want)
			good = used < 79999 && read_more(fd, head, 79999, &used);
		r->size = used - body;
		memcpy(r->body, head + body, r->size < sizeof r->body ? r->size : 0);
	}
	free(head);
	return good;
}

static void *serve(void *arg)
{
	connection *c = arg;
	test_request *r = calloc(1, sizeof *r);
	while (r && !atomic_load(&c->server->stop) && read_request(c->fd, r)) {
		r->number = atomic_fetch_add(&c->server->requests, 1) + 1;
		if (!c->server->handler(c->server->arg, c->fd, r))
			break;
		memset(r, 0, sizeof *r);
	}
	shutdown(c->fd, SHUT_RDWR);
	free(r);
	free(c);
	return NULL;
}

static void *accept_all(void *arg)
{
	test_server *s = arg;
	while (!atomic_load(&s->stop)) {
		struct pollfd wait = {.fd = s->listener, .events = POLLIN};
		if (poll(&wait, 1, 50) <= 0)
			continue;
		int fd = accept(s->listener, NULL, NULL);
		if (fd < 0 || s->thread_count == CONNECTIONS_MAX)
			continue;
		connection *c = malloc(sizeof *c);
		if (!c)
			continue;
		*c = (connection){s, fd};
		atomic_fetch_add(&s->connections, 1);
		s->fds[s->thread_count] = fd;
		if (pthread_create(&s->threads[s->thread_count], NULL, serve, c) == 0)
			s->thread_count++;
	}
	return NULL;
}

test_server *test_server_start(test_handler *handler, void *arg)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof address;
	test_server *s = calloc(1, sizeof *s);
	if (!s)
		return NULL;
	s->handler = handler;
	s->arg = arg;
	s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (s->listener < 0 || bind(s->listener, (struct sockaddr *)&address, sizeof address) != 0 ||
	    listen(s->listener, 64) != 0 || getsockname(s->listener, (struct sockaddr *)&address, &length) != 0 ||
	    pthread_create(&s->acceptor, NULL, accept_all, s) != 0) {
		free(s);
		return NULL;
	}
	s->port = ntohs(address.sin_port);
	return s;
}

int test_server_port(const test_server *s)
{
	return s->port;
}

int test_server_connections(test_server *s)
{
	return atomic_load(&s->connections);
}

int test_server_requests(test_server *s)
{
	return atomic_load(&s->requests);
}

void test_server_stop(test_server *s)
{
	atomic_store(&s->stop, true);
	pthread_join(s->acceptor, NULL);
	close(s->listener);
	for (int i = 0; i < s->thread_count; i++) {
		shutdown(s->fds[i], SHUT_RDWR);
		pthread_join(s->threads[i], NULL);
		close(s->fds[i]);
	}
	free(s);
}

void test_say(int fd, const char *format, ...)
{
	char text[65536];
	va_list args;
	va_start(args, format);
	int length = vsnprintf(text, sizeof text, format, args);
	va_end(args);
	for (int done = 0; done < length;) {
		ssize_t some = send(fd, text + done, (size_t)(length - done), MSG_NOSIGNAL);
		if (some <= 0)
			break;
		done += (int)some;
	}
}

void test_answer(int fd, const char *status, const char *headers, const char *body)
{
	test_say(fd, "HTTP/1.1 %s\r\n%sContent-Length: %zu\r\n\r\n%s", status, headers, strlen(body), body);
}
