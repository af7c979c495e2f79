/* HTTP requests over libcurl: one at a time on each connection, as many at once as there are threads. */
#ifndef STORAGE_HTTP_H
#define STORAGE_HTTP_H

#include "storage/storage.h"

/* Connections that are kept; thread-safe. */
typedef struct storage_http storage_http;

typedef struct storage_http_options {
	double connect_timeout, idle_timeout; /* seconds */
	const char *certificates;	      /* file for https; NULL: the system's */
	const atomic_bool *cancel;
} storage_http_options;

bm_status storage_http_open(const storage_http_options *options, storage_http **out, bm_error *err);
void storage_http_close(storage_http *http); /* NULL is allowed */

typedef struct storage_http_request {
	const char *method;	      /* GET, PUT, POST, DELETE */
	const char *url;	      /* http:// or https:// */
	const char *bearer;	      /* token; NULL: none */
	bool always;		      /* tidying up: done though the work is cancelled */
	const storage_source *source; /* body of a PUT or POST; NULL: empty */
	bool json;		      /* what the body is; else bytes */
	size_t limit;		      /* bytes of an answer's body that are taken */
	uint8_t *room; /* where the body of a 2xx answer goes, `limit` bytes; NULL: into the answer's own memory */
} storage_http_request;

/* How a request ended without an answer. */
typedef enum storage_http_end {
	HTTP_ANSWERED,
	HTTP_REFUSED,	  /* nobody listens there */
	HTTP_UNREACHABLE, /* no way, or no answer to the connection in time */
	HTTP_UNKNOWN_HOST,
	HTTP_BROKEN,	/* the connection ended too early */
	HTTP_STALLED,	/* no byte came for idle_timeout */
	HTTP_INSECURE,	/* the server's certificate is not trusted */
	HTTP_TOO_LARGE, /* more than `limit` */
	HTTP_CANCELLED,
	HTTP_SOURCE, /* the source failed: the status is its own */
	HTTP_FAILED, /* anything else */
} storage_http_end;

typedef struct storage_http_answer {
	storage_http_end end;
	bm_status source_status;
	char why[256];	/* "connection refused", ...; when not answered */
	long code;	/* 200 */
	char *location; /* where a redirect points to; NULL: nowhere */
	uint8_t *body;	/* [size] and a NUL; NULL when it went to `room`, and there is none */
	size_t size;
	int sends;   /* how often it was sent: curl repeats one whose kept connection was gone */
	bool framed; /* the length was announced, so that a body cut short would have been found out */
} storage_http_answer;

/* One attempt, redirects not followed. BM_OK when answer->end tells what came of it, BM_ERR_MEMORY otherwise. *answer is
 * freed with storage_http_answer_free in any case. A failing source leaves its message in err. */
bm_status storage_http_do(storage_http *http, const storage_http_request *request, storage_http_answer *answer,
			  bm_error *err);
void storage_http_answer_free(storage_http_answer *answer);

#endif
