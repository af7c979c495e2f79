/* A small HTTP server for tests: it says what the test tells it to, also what no proper server would say. */
#ifndef STORAGE_TEST_SERVER_H
#define STORAGE_TEST_SERVER_H

#include <stdbool.h>
#include <stddef.h>

typedef struct test_request {
	char method[8];
	char target[4096];  /* "/webhdfs/v1/x?op=..." */
	char headers[8192]; /* all of them */
	char body[65536];
	size_t size; /* of body */
	int number;  /* counted from 1, of this server */
} test_request;

/* Writes the answer with test_say; the connection is closed when false is returned. Called by one thread a connection. */
typedef bool test_handler(void *arg, int fd, const test_request *request);

typedef struct test_server test_server;
test_server *test_server_start(test_handler *handler, void *arg); /* on 127.0.0.1, a free port */
int test_server_port(const test_server *server);
int test_server_connections(test_server *server);
int test_server_requests(test_server *server);
void test_server_stop(test_server *server);

void test_say(int fd, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A whole answer: "200 OK", more headers (each with "\r\n"), body. */
void test_answer(int fd, const char *status, const char *headers, const char *body);

#endif
