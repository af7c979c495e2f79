/* A play: what the test's WebHDFS server does, and what it saw. */
#ifndef STORAGE_TEST_PLAY_H
#define STORAGE_TEST_PLAY_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/memory.h"
#include "base/threads.h"
#include "storage/storage.h"
#include "storage/test_server.h"

/* What the test's server does with one kind of request. */
typedef struct play {
	test_server *server;
	test_handler *act;
	int count;	  /* of calls of act */
	char seen[16384]; /* of the last one: target, headers, body */
	char body[4096];
	const char *answer;
	test_server *other;
} play;

#define REMOTE(exception, message)                                                               \
	"{\"RemoteException\":{\"exception\":\"" exception "\",\"javaClassName\":\"x." exception \
	"\",\"message\":\"" message "\"}}"
#define FOLDER_STATUS                                                                                           \
	"\"accessTime\":0,\"blockSize\":0,\"group\":\"g\",\"length\":0,\"modificationTime\":1,\"owner\":\"o\"," \
	"\"pathSuffix\":\"\",\"permission\":\"755\",\"replication\":0,\"type\":\"DIRECTORY\""
#define FILE_ENTRY(name, size)                                           \
	"{\"blockSize\":134217728,\"group\":\"g\",\"length\":" size      \
	",\"modificationTime\":1,\"owner\":\"o\",\"pathSuffix\":\"" name \
	"\",\"permission\":\"644\",\"replication\":1,\"type\":\"FILE\"}"

/* The root is a folder; everything else is the play's. */
static inline bool handle(void *arg, int fd, const test_request *r)
{
	play *p = arg;
	if (strstr(r->target, "op=GETFILESTATUS") && strncmp(r->target, "/webhdfs/v1/root?", 17) == 0) {
		test_answer(fd, "200 OK", "", "{\"FileStatus\":{" FOLDER_STATUS "}}");
		return true;
	}
	p->count++;
	snprintf(p->seen, sizeof p->seen, "%s %s\n%s", r->method, r->target, r->headers);
	snprintf(p->body, sizeof p->body, "%.*s", (int)(r->size < 4000 ? r->size : 4000), r->body);
	return p->act(p, fd, r);
}

static inline void begin(play *p, test_handler *act)
{
	*p = (play){.act = act};
	p->server = test_server_start(handle, p);
	assert_non_null(p->server);
	setenv("HADOOP_USER_NAME", "tester", 1);
	unsetenv("HADOOP_CONF_DIR");
	unsetenv("HADOOP_HOME");
}

static inline storage *open_at(const play *first, const play *second)
{
	char webhdfs[128];
	storage *s = NULL;
	bm_error err = {0};
	int length = snprintf(webhdfs, sizeof webhdfs, "127.0.0.1:%d", test_server_port(first->server));
	if (second)
		snprintf(webhdfs + length, sizeof webhdfs - (size_t)length, ",127.0.0.1:%d",
			 test_server_port(second->server));
	storage_options options = {
		.webhdfs = webhdfs, .idle_timeout = 1, .connect_timeout = 2, .attempts = 3, .wait = 0.01};
	bm_status status = storage_open_with("hdfs://name:9000/root", &options, &s, &err);
	if (status != BM_OK)
		fail_msg("%s", err.message);
	return s;
}

static inline void redirect(int fd, const test_server *to, const char *path)
{
	char location[640];
	snprintf(location, sizeof location, "Location: http://127.0.0.1:%d%s\r\n", test_server_port(to), path);
	test_answer(fd, "307 Temporary Redirect", location, "");
}

static inline void says(const bm_error *err, const char *text)
{
	if (!strstr(err->message, text))
		fail_msg("'%s' does not say '%s'", err->message, text);
}

#endif
