/* Downloads from a server on loopback that does what servers do on bad days. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <arpa/inet.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "storage/download.h"

enum { SIZE = 300000 };

typedef enum behaviour {
	FINE,
	CUT,	     /* closes after a third of what is left */
	STALL_ONCE,  /* the first answer stops in the middle and keeps the connection */
	STALL,	     /* every answer does, without a byte */
	REDIRECT,    /* to another path of this server */
	LOOP,	     /* to itself */
	WRONG_BYTES, /* the right length */
	TOO_LONG,
	MISSING,       /* 404 */
	FAILS_TWICE,   /* 503 */
	NO_RANGES,     /* 200 and all of it, cut the first time */
	NO_LENGTH,     /* until the connection ends, and it ends early the first time */
	REFUSES_RANGE, /* 416 to any range */
	RESET,	       /* the connection is reset in the middle */
	SLOW,
} behaviour;

typedef struct server {
	int listener, port;
	pthread_t thread;
	_Atomic behaviour how;
	atomic_int requests, sent_whole;
	atomic_bool end;
} server;

static uint8_t content[SIZE];
static char md5[33];
static server web;
static char folder[] = "/tmp/brainmri-download-XXXXXX";
static char path[64], part[80], url[64];

static void say(int fd, const void *bytes, size_t size)
{
	const uint8_t *at = bytes;
	while (size > 0) {
		ssize_t sent = send(fd, at, size, MSG_NOSIGNAL);
		if (sent <= 0)
			return;
		at += sent;
		size -= (size_t)sent;
	}
}

static void pause_for(double seconds)
{
	nanosleep(&(struct timespec){(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)}, NULL);
}

static void head(int fd, const char *status, const char *more, long length)
{
	char text[256];
	int n = snprintf(text, sizeof text, "HTTP/1.1 %s\r\nConnection: close\r\n%s", status, more);
	if (length >= 0)
		n += snprintf(text + n, sizeof text - (size_t)n, "Content-Length: %ld\r\n", length);
	n += snprintf(text + n, sizeof text - (size_t)n, "\r\n");
	say(fd, text, (size_t)n);
}

/* The file from `from` on, as the behaviour wants it. */
static void send_file(int fd, behaviour how, long from, int number)
{
	char range[96] = "", byte;
	long left = SIZE - from, now = left;
	if (from > 0)
		snprintf(range, sizeof range, "Content-Range: bytes %ld-%d/%d\r\n", from, SIZE - 1, SIZE);
	if (how == CUT || how == RESET || ((how == STALL_ONCE || how == NO_RANGES || how == NO_LENGTH) && number == 1))
		now = left > 1000 ? left / 3 : left;
	if (how == STALL)
		now = 0;
	head(fd, from > 0 ? "206 Partial Content" : "200 OK", range,
	     how == NO_LENGTH  ? -1
	     : how == TOO_LONG ? left + 10
			       : left);
	if (how == SLOW) {
		for (long done = 0; done < now && !web.end; done += 10000, pause_for(.05))
			say(fd, content + from + done, (size_t)(now - done < 10000 ? now - done : 10000));
		return;
	}
	say(fd, content + from, (size_t)now);
	if (how == TOO_LONG)
		say(fd, "0123456789", 10);
	if (now == SIZE)
		web.sent_whole++;
	if (how == STALL || (how == STALL_ONCE && number == 1))
		for (int i = 0; i < 400 && !web.end && recv(fd, &byte, 1, MSG_DONTWAIT) != 0; i++) /* 0: gone */
			pause_for(.01);
	if (how == RESET)
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger));
}

static void answer(int fd)
{
	char request[4096], *range;
	ssize_t size = 0, got;
	behaviour how = web.how;
	long from = 0;
	do {
		got = recv(fd, request + size, sizeof request - 1 - (size_t)size, 0);
		size += got > 0 ? got : 0;
		request[size] = '\0';
	} while (got > 0 && !strstr(request, "\r\n\r\n"));
	int number = ++web.requests;
	range = strstr(request, "Range: bytes=");
	if (range)
		from = atol(range + strlen("Range: bytes="));
	if (how == MISSING)
		head(fd, "404 Not Found", "", 0);
	else if (how == FAILS_TWICE && number <= 2)
		head(fd, "503 Service Unavailable", "", 0);
	else if (how == LOOP || (how == REDIRECT && !strstr(request, "/moved")))
		head(fd, "302 Found", how == LOOP ? "Location: /file\r\n" : "Location: /moved\r\n", 0);
	else if (how == REFUSES_RANGE && from > 0)
		head(fd, "416 Range Not Satisfiable", "", 0);
	else
		send_file(fd, how, how == NO_RANGES || how == NO_LENGTH ? 0 : from, number);
}

static void *serve(void *self)
{
	(void)self;
	while (!web.end) {
		int fd = accept(web.listener, NULL, NULL);
		if (fd < 0)
			continue;
		if (!web.end)
			answer(fd);
		shutdown(fd, SHUT_WR);
		close(fd);
	}
	return NULL;
}

static int set_up(void **state)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof address;
	char command[160];
	(void)state;
	for (size_t i = 0; i < SIZE; i++)
		content[i] = (uint8_t)(i * 2654435761u >> 13);
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof path, "%s/sub/file.h5", folder);
	snprintf(part, sizeof part, "%s.part", path);
	web.listener = socket(AF_INET, SOCK_STREAM, 0);
	if (bind(web.listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(web.listener, 16) != 0 ||
	    getsockname(web.listener, (struct sockaddr *)&address, &length) != 0)
		return -1;
	web.port = ntohs(address.sin_port);
	snprintf(url, sizeof url, "http://127.0.0.1:%d/file", web.port);
	/* The hash comes from coreutils, not from what is tested. */
	snprintf(command, sizeof command, "%s/content", folder);
	if (base_file_write(command, content, SIZE, NULL) != BM_OK)
		return -1;
	snprintf(command, sizeof command, "md5sum '%s/content'", folder);
	FILE *sum = popen(command, "r");
	if (!sum || fread(md5, 1, 32, sum) != 32 || pclose(sum) != 0)
		return -1;
	return pthread_create(&web.thread, NULL, serve, NULL);
}

static int tear_down(void **state)
{
	char command[64];
	(void)state;
	web.end = true;
	shutdown(web.listener, SHUT_RDWR);
	pthread_join(web.thread, NULL);
	close(web.listener);
	snprintf(command, sizeof command, "rm -r '%s'", folder);
	return system(command);
}

static bm_status fetch_at(const char *address, const base_observer *observer, bm_error *err)
{
	storage_download d = {.what = "the test's file",
			      .url = address,
			      .size = SIZE,
			      .md5 = md5,
			      .path = path,
			      .stall_timeout = 1,
			      .pause = .01};
	memset(err, 0, sizeof *err);
	bm_status status = storage_download_file(&d, observer, err);
	assert_int_equal(storage_download_done(&d), status == BM_OK);
	assert_int_equal(base_is_file(path), status == BM_OK);
	return status;
}

static bm_status fetch(behaviour how, bm_error *err)
{
	unlink(path);
	web.how = how;
	web.requests = web.sent_whole = 0;
	return fetch_at(url, NULL, err);
}

static void expect_content(void)
{
	uint8_t *bytes;
	size_t size;
	assert_int_equal(base_file_read(path, SIZE + 1, &bytes, &size, NULL), BM_OK);
	assert_int_equal(size, SIZE);
	assert_memory_equal(bytes, content, SIZE);
	base_free(bytes);
	assert_false(base_is_file(part));
}

static void servers_that_get_there_in_the_end(void **state)
{
	static const behaviour all[] = {FINE,	   CUT,	      REDIRECT, FAILS_TWICE, STALL_ONCE,
					NO_RANGES, NO_LENGTH, RESET,	SLOW};
	bm_error err;
	(void)state;
	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		unlink(part);
		if (fetch(all[i], &err) != BM_OK)
			fail_msg("behaviour %d: %s", (int)all[i], err.message);
		expect_content();
	}
	/* There already: nobody is asked. */
	web.requests = 0;
	assert_int_equal(fetch_at(url, NULL, &err), BM_OK);
	assert_int_equal(web.requests, 0);
}

static void servers_that_do_not(void **state)
{
	static const struct {
		behaviour how;
		bm_status status;
		const char *said;
	} all[] = {{STALL, BM_ERR_IO, "127.0.0.1"},
		   {LOOP, BM_ERR_IO, "redirect"},
		   {TOO_LONG, BM_ERR_FORMAT, "another file"},
		   {MISSING, BM_ERR_IO, "404"}};
	bm_error err;
	(void)state;
	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		unlink(part);
		assert_int_equal(fetch(all[i].how, &err), all[i].status);
		if (!strstr(err.message, all[i].said))
			fail_msg("'%s' does not say '%s'", err.message, all[i].said);
	}
	assert_int_equal(web.requests, 1); /* what is not there is asked for once */
}

static void wrong_bytes_are_not_kept(void **state)
{
	bm_error err;
	(void)state;
	unlink(part);
	content[SIZE / 2] ^= 1;
	bm_status status = fetch(FINE, &err);
	content[SIZE / 2] ^= 1;
	assert_int_equal(status, BM_ERR_FORMAT);
	assert_non_null(strstr(err.message, "md5"));
	assert_false(base_is_file(part));
}

static void an_earlier_part_is_gone_on_from(void **state)
{
	uint8_t foreign[1000];
	bm_error err;
	(void)state;
	assert_int_equal(base_file_write(part, content, SIZE - 1000, &err), BM_OK);
	assert_int_equal(fetch(FINE, &err), BM_OK);
	assert_int_equal(web.sent_whole, 0);
	expect_content();
	/* One that is of another file: found by the hash, and fetched from the beginning. */
	memset(foreign, 7, sizeof foreign);
	assert_int_equal(base_file_write(part, foreign, sizeof foreign, &err), BM_OK);
	assert_int_equal(fetch(FINE, &err), BM_OK);
	assert_int_equal(web.sent_whole, 1);
	expect_content();
	/* A server that refuses the range; a part that is too long. */
	assert_int_equal(base_file_write(part, foreign, sizeof foreign, &err), BM_OK);
	assert_int_equal(fetch(REFUSES_RANGE, &err), BM_OK);
	expect_content();
	assert_int_equal(truncate(part, 0) != 0, 1);
	uint8_t *longer = base_calloc(SIZE + 5, 1, "a part", NULL);
	assert_int_equal(base_file_write(part, longer, SIZE + 5, &err), BM_OK);
	base_free(longer);
	assert_int_equal(fetch(FINE, &err), BM_OK);
	expect_content();
}

static void a_damaged_file_is_fetched_anew(void **state)
{
	bm_error err;
	(void)state;
	assert_int_equal(base_file_write(path, "damaged", 7, &err), BM_OK);
	web.how = FINE;
	assert_int_equal(fetch_at(url, NULL, &err), BM_OK);
	expect_content();
}

static void no_server_is_said(void **state)
{
	bm_error err;
	(void)state;
	unlink(path);
	assert_int_equal(fetch_at("http://127.0.0.1:1/file", NULL, &err), BM_ERR_IO);
	assert_non_null(strstr(err.message, "http://127.0.0.1:1/file"));
	assert_int_equal(fetch_at("http://nowhere.invalid/file", NULL, &err), BM_ERR_IO);
	assert_int_equal(fetch_at("file:///etc/passwd", NULL, &err), BM_ERR_IO);
}

static void *cancel_soon(void *flag)
{
	pause_for(.3);
	*(atomic_bool *)flag = true;
	return NULL;
}

static void cancelled_keeps_what_came(void **state)
{
	atomic_bool flag = false;
	base_observer observer = {.cancel = &flag};
	struct stat info;
	pthread_t thread;
	bm_error err;
	(void)state;
	unlink(path);
	unlink(part);
	web.how = SLOW;
	assert_int_equal(pthread_create(&thread, NULL, cancel_soon, &flag), 0);
	assert_int_equal(fetch_at(url, &observer, &err), BM_ERR_CANCELLED);
	pthread_join(thread, NULL);
	assert_int_equal(stat(part, &info), 0);
	assert_true(info.st_size > 0 && info.st_size < SIZE);
	assert_int_equal(fetch(FINE, &err), BM_OK);
	assert_int_equal(web.sent_whole, 0);
	expect_content();
}

/* Three processes at once: the file is sent once. */
static void processes_wait_for_each_other(void **state)
{
	pid_t children[3];
	(void)state;
	unlink(path);
	unlink(part);
	web.how = SLOW;
	web.requests = 0;
	for (int i = 0; i < 3; i++) {
		children[i] = fork();
		assert_true(children[i] >= 0);
		if (children[i] == 0) {
			bm_error err;
			storage_download d = {.what = "it", .url = url, .size = SIZE, .md5 = md5, .path = path};
			_exit(storage_download_file(&d, NULL, &err) == BM_OK ? 0 : 1);
		}
	}
	for (int i = 0; i < 3; i++) {
		int result;
		assert_int_equal(waitpid(children[i], &result, 0), children[i]);
		assert_int_equal(result, 0);
	}
	assert_int_equal(web.requests, 1);
	expect_content();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(servers_that_get_there_in_the_end), cmocka_unit_test(servers_that_do_not),
		cmocka_unit_test(wrong_bytes_are_not_kept),	     cmocka_unit_test(an_earlier_part_is_gone_on_from),
		cmocka_unit_test(a_damaged_file_is_fetched_anew),    cmocka_unit_test(no_server_is_said),
		cmocka_unit_test(cancelled_keeps_what_came),	     cmocka_unit_test(processes_wait_for_each_other),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
