/* One WebHDFS call: to the active NameNode, on to a DataNode where it says so, and again where that can help. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/memory.h"
#include "base/random.h"
#include "base/threads.h"
#include "storage/hdfs.h"

enum { HOPS_MAX = 3, FIRST_ATTEMPTS = 2, SUBJECT_SIZE = 600 };
static const double WAIT_MAX = 8.0;

void storage_hdfs_escape(base_text *text, const char *raw, bool slashes)
{
	for (const char *at = raw; *at; at++) {
		unsigned char c = (unsigned char)*at;
		if ((c < 0x80 && isalnum(c)) || strchr("-._~", c) || (slashes && c == '/'))
			base_text_append(text, at, 1);
		else
			base_text_add(text, "%%%02X", c);
	}
}

void storage_hdfs_server(const char *address, char *server, size_t size)
{
	const char *at = strstr(address, "://");
	at = at ? at + 3 : address;
	snprintf(server, size, "%.*s", (int)strcspn(at, "/?#"), at);
}

/* Waits, but not when the work is cancelled. */
static void pause_for(const storage_hdfs *h, double seconds)
{
	const double end = base_now() + seconds;
	while (true) {
		const double left = end - base_now();
		if (left <= 0 || (h->cancel && atomic_load(h->cancel)))
			return;
		double some = left < 0.05 ? left : 0.05;
		struct timespec span = {.tv_sec = 0, .tv_nsec = (long)(some * 1e9)};
		nanosleep(&span, NULL);
	}
}

/* The running call. */
typedef struct attempt {
	storage_hdfs *h;
	storage_hdfs_call *call;
	const char *path; /* absolute */
	char subject[SUBJECT_SIZE];
	char excluded[1024];  /* DataNodes that failed: "HOST:PORT,HOST:PORT" */
	bool datanode_failed; /* in the last round */
	bool sent;	      /* the source was begun */
	storage_http_answer *answer;
} attempt;

static bm_status first_url(const attempt *a, const char *base, base_text *url, bm_error *err)
{
	const storage_hdfs *h = a->h;
	base_text_add(url, "%s/webhdfs/v1", base);
	storage_hdfs_escape(url, a->path, true);
	base_text_add(url, "?op=%s", a->call->op);
	if (h->delegation) {
		base_text_add(url, "&delegation=");
		storage_hdfs_escape(url, h->delegation, false);
	} else if (!h->bearer) {
		base_text_add(url, "&user.name=");
		storage_hdfs_escape(url, h->user, false);
	}
	base_text_add(url, "%s", a->call->parameters ? a->call->parameters : "");
	if (a->call->data && a->excluded[0]) {
		base_text_add(url, "&excludedatanodes=");
		storage_hdfs_escape(url, a->excluded, false);
	}
	return url->failed ? base_fail(err, BM_ERR_MEMORY, "no memory for an address") : BM_OK;
}

/* Where a redirect may lead: http or https, and from https only to https. */
static bool good_location(const char *location, const char *from)
{
	bool https = strncasecmp(location, "https://", 8) == 0;
	if (!https && strncasecmp(location, "http://", 7) != 0)
		return false;
	if (!https && strncasecmp(from, "https://", 8) == 0)
		return false;
	const char *host = location + (https ? 8 : 7);
	size_t length = strcspn(host, "/?#");
	if (length == 0 || memchr(host, '@', length))
		return false;
	for (const char *c = location; *c; c++)
		if ((unsigned char)*c <= ' ' || *c == 0x7F)
			return false;
	return true;
}

static bm_status bad_location(const attempt *a, const char *server, bm_error *err)
{
	const char *to = a->answer->location;
	a->call->failure = HDFS_FINAL;
	if (!to)
		return base_fail(err, BM_ERR_FORMAT, "%s: %s answers HTTP %ld without saying where to go on",
				 a->subject, server, a->answer->code);
	/* What follows the path may be a token. */
	const size_t shown = strcspn(to, "?#");
	return base_fail(err, BM_ERR_FORMAT,
			 "%s: %s sends on to '%.*s', where this program does not go; check --webhdfs", a->subject,
			 server, (int)(shown < 200 ? shown : 200), to);
}

static bool redirects(long code)
{
	return code == 301 || code == 302 || code == 303 || code == 307 || code == 308;
}

/* The next attempt is to lead to another DataNode. */
static void exclude(attempt *a, const char *server)
{
	char node[160];
	size_t used = strlen(a->excluded);
	storage_hdfs_datanode(a->h, server, node, sizeof node);
	if (used + strlen(node) + 2 < sizeof a->excluded)
		snprintf(a->excluded + used, sizeof a->excluded - used, "%s%s", used ? "," : "", node);
	a->datanode_failed = true;
}

/* Step two: what the NameNode's answer points to. */
static bm_status follow(attempt *a, const char *base, bm_error *err)
{
	storage_http_answer *answer = a->answer;
	char *address = NULL, server[160], from[160];
	bm_status status = BM_OK;
	storage_hdfs_server(base, from, sizeof from);
	for (int hop = 0;; hop++) {
		if (hop == HOPS_MAX || !answer->location || !good_location(answer->location, base)) {
			status = bad_location(a, from, err);
			break;
		}
		base_free(address);
		address = answer->location;
		answer->location = NULL;
		storage_http_answer_free(answer);
		storage_hdfs_server(address, server, sizeof server);
		/* A token is only for the server that it was meant for. */
		bool same = strcmp(server, from) == 0;
		storage_http_request request = {.method = a->call->method,
						.url = address,
						.bearer = same ? a->h->bearer : NULL,
						.source = a->call->source,
						.limit = a->call->limit,
						.room = a->call->room};
		a->sent |= a->call->source != NULL;
		status = storage_http_do(a->h->http, &request, answer, err);
		if (status != BM_OK)
			break;
		if (answer->end != HTTP_ANSWERED) {
			status = storage_hdfs_explain_end(a->h, a->subject, server, true, answer, &a->call->failure,
							  err);
			if (!same && a->call->failure == HDFS_PASSING)
				exclude(a, server);
			break;
		}
		if (answer->code / 100 == 2) {
			storage_hdfs_route route;
			if (a->call->small && storage_hdfs_route_learn(address, &route))
				storage_hdfs_route_give(&a->h->routes, &route);
			break;
		}
		if (!redirects(answer->code)) {
			status =
				storage_hdfs_explain(a->h, a->subject, server, a->path, answer, &a->call->failure, err);
			break;
		}
		if (a->call->source) { /* what was sent is lost: only a fresh attempt could send it again */
			status = bad_location(a, server, err);
			break;
		}
	}
	base_free(address);
	return status;
}

static bm_status try_once(attempt *a, const char *base, bm_error *err)
{
	base_text url = {0};
	char server[160];
	storage_hdfs_server(base, server, sizeof server);
	a->call->failure = HDFS_NO_FAILURE;
	storage_http_answer_free(a->answer);
	bm_status status = first_url(a, base, &url, err);
	storage_http_request request = {.method = a->call->method,
					.url = url.data,
					.bearer = a->h->bearer,
					.always = a->call->always,
					.limit = a->call->limit,
					.room = a->call->room};
	if (status == BM_OK)
		status = storage_http_do(a->h->http, &request, a->answer, err);
	base_text_free(&url);
	if (status != BM_OK) {
		a->call->failure = HDFS_FINAL;
		return status;
	}
	const storage_http_answer *answer = a->answer;
	if (answer->sends > 1)
		a->call->attempts += answer->sends - 1;
	if (answer->end != HTTP_ANSWERED)
		return storage_hdfs_explain_end(a->h, a->subject, server, false, answer, &a->call->failure, err);
	if (redirects(answer->code) && a->call->data)
		status = follow(a, base, err);
	else if (answer->code / 100 != 2 && !redirects(answer->code))
		status = storage_hdfs_explain(a->h, a->subject, server, a->path, answer, &a->call->failure, err);
	else if (redirects(answer->code) || (a->call->source && a->call->data))
		status = bad_location(a, server, err);
	if (status != BM_OK && a->call->failure == HDFS_NO_FAILURE)
		a->call->failure = HDFS_FINAL;
	return status;
}

/* Whether another attempt can be made: the source is at its beginning. */
static bool can_send_again(attempt *a, bm_error *err)
{
	if (!a->sent)
		return true;
	a->sent = false;
	return a->call->source->again && a->call->source->again(a->call->source->arg, err) == BM_OK;
}

/* Straight to a DataNode that the NameNode sent to before. false: not done, and the NameNode is to be asked, who also says what is
 * wrong. */
static bool try_route(attempt *a, bm_status *status, bm_error *err)
{
	storage_hdfs_route route;
	base_text url = {0};
	bm_error ignored = {0};
	if (!a->call->small || !storage_hdfs_route_take(&a->h->routes, &route))
		return false;
	base_text_add(&url, "%s/webhdfs/v1", route.node);
	storage_hdfs_escape(&url, a->path, true);
	base_text_add(&url, "?op=%s%s%s", a->call->op, route.query, a->call->parameters ? a->call->parameters : "");
	bool done = false;
	if (!url.failed) {
		storage_http_request request = {.method = a->call->method,
						.url = url.data,
						.source = a->call->source,
						.limit = a->call->limit,
						.room = a->call->room};
		a->sent |= a->call->source != NULL;
		a->call->attempts++;
		*status = storage_http_do(a->h->http, &request, a->answer, err);
		done = *status == BM_OK && a->answer->end == HTTP_ANSWERED && a->answer->code / 100 == 2;
	}
	base_text_free(&url);
	if (done) {
		a->call->failure = HDFS_NO_FAILURE;
		route.left--;
		storage_hdfs_route_give(&a->h->routes, &route);
		return true;
	}
	const storage_http_end end = *status == BM_OK ? a->answer->end : HTTP_FAILED;
	if (end != HTTP_ANSWERED && end != HTTP_CANCELLED && end != HTTP_SOURCE && end != HTTP_FAILED) {
		char server[160];
		storage_hdfs_server(route.node, server, sizeof server);
		exclude(a, server);
	}
	storage_hdfs_route_free(&route);
	if (can_send_again(a, &ignored))
		return false;
	*status = base_fail(err, BM_ERR_IO, "%s: %s", a->subject, ignored.message);
	a->call->failure = HDFS_FINAL;
	return true;
}

bm_status storage_hdfs_do(storage_hdfs *h, const char *url, const char *path, storage_hdfs_call *call,
			  storage_http_answer *answer, bm_error *err)
{
	base_text full = {0};
	bm_error ignored = {0};
	bm_status status = BM_OK;
	*answer = (storage_http_answer){0};
	if (!err)
		err = &ignored;
	base_text_add(&full, "%s%s%s", h->root, path[0] || !h->root[0] ? "/" : "", path);
	if (full.failed)
		return base_fail(err, BM_ERR_MEMORY, "no memory for a path");
	attempt a = {.h = h, .call = call, .path = full.data, .answer = answer};
	snprintf(a.subject, sizeof a.subject, "cannot %s '%.500s%s%s'", call->verb, url, path[0] ? "/" : "", path);
	call->attempts = 0;
	bool done = try_route(&a, &status, err);
	for (int round = 0; !done; round++) {
		int count = h->namenodes.count, first = atomic_load(&h->active);
		for (int i = 0; i < count; i++) {
			int which = (first + i) % count;
			call->attempts++;
			status = try_once(&a, h->namenodes.http[which], err);
			if (call->failure != HDFS_AWAY && call->failure != HDFS_STANDBY) {
				atomic_store(&h->active, which);
				if (status == BM_OK)
					atomic_store(&h->answered, true);
				break;
			}
		}
		bool passing =
			call->failure == HDFS_AWAY || call->failure == HDFS_STANDBY || call->failure == HDFS_PASSING;
		/* Who has never been reached is more likely not there than just away. */
		int most = call->failure == HDFS_AWAY && !atomic_load(&h->answered) && h->attempts > FIRST_ATTEMPTS
				   ? FIRST_ATTEMPTS
				   : h->attempts;
		if (status == BM_OK || !passing || round + 1 >= most)
			break;
		bm_error source_error = {0};
		if (!can_send_again(&a, &source_error))
			break;
		if (!a.datanode_failed) /* there may be none left beside them */
			a.excluded[0] = '\0';
		a.datanode_failed = false;
		double wait = h->wait * (double)(1 << (round < 10 ? round : 10));
		base_random random = base_random_make((uint64_t)(base_now() * 1e9), (uint64_t)round);
		wait = (wait < WAIT_MAX ? wait : WAIT_MAX) * base_random_range(&random, 0.75f, 1.25f);
		pause_for(h, wait);
		if (h->cancel && atomic_load(h->cancel)) {
			status = base_fail(err, BM_ERR_CANCELLED, "stopped");
			break;
		}
	}
	base_text_free(&full);
	return status;
}
