/* HDFS over WebHDFS: what its files share. */
#ifndef STORAGE_HDFS_H
#define STORAGE_HDFS_H

#include <pthread.h>

#include "base/text.h"
#include "storage/backend.h"
#include "storage/hadoop_config.h"
#include "storage/http.h"

enum { STORAGE_HDFS_TRANSFERS = 16, STORAGE_HDFS_ROUTES = 64 };

/* Where the NameNode sent a call on a file's bytes: good for other files too (hdfs_route.c). */
typedef struct storage_hdfs_route {
	char *node;  /* "http://HOST:PORT" of a DataNode */
	char *query; /* "&user.name=...&namenoderpcaddress=...": to be added to a call */
	int left;    /* uses */
} storage_hdfs_route;

/* Those that nobody uses at this moment. */
typedef struct storage_hdfs_routes {
	pthread_mutex_t lock;
	storage_hdfs_route items[STORAGE_HDFS_ROUTES];
	int count;
} storage_hdfs_routes;

typedef struct storage_hdfs {
	storage_http *http;
	storage_namenodes namenodes;
	atomic_int active;    /* the NameNode that answered last */
	atomic_bool answered; /* one has */
	char *root;	      /* absolute path; "" for "/" */
	char user[128];
	char *delegation, *bearer; /* tokens; NULL: none */
	const atomic_bool *cancel;
	int attempts;
	double wait;
	storage_hdfs_routes routes;
} storage_hdfs;

/* What a failure was, for those who can go on in another way. */
typedef enum storage_hdfs_failure {
	HDFS_NO_FAILURE,
	HDFS_NOT_FOUND,
	HDFS_EXISTS,
	HDFS_UNSUPPORTED, /* the server does not know this operation */
	HDFS_STANDBY,	  /* another NameNode is active */
	HDFS_AWAY,	  /* the NameNode does not answer */
	HDFS_PASSING,	  /* worth another attempt */
	HDFS_FINAL,
} storage_hdfs_failure;

typedef struct storage_hdfs_call {
	const char *method, *op;
	const char *verb;	      /* for messages: "read" */
	const char *parameters;	      /* "&offset=5", escaped; NULL: none */
	bool always;		      /* tidying up: done though the work is cancelled */
	bool data;		      /* a DataNode does it: the NameNode redirects */
	bool small;		      /* and it is so little work that the NameNode need not be asked which one */
	const storage_source *source; /* body, for the DataNode */
	size_t limit;		      /* bytes of the answer */
	uint8_t *room;		      /* see storage_http_request */
	storage_hdfs_failure failure; /* out */
	int attempts;		      /* out: how many were made */
} storage_hdfs_call;

/* Does a call on a path below the root, with redirects, other NameNodes and further attempts. On BM_OK *answer is a 2xx one; it
 * is freed with storage_http_answer_free in any case. */
bm_status storage_hdfs_do(storage_hdfs *h, const char *url, const char *path, storage_hdfs_call *call,
			  storage_http_answer *answer, bm_error *err);

/* An answer that is not 2xx: which failure, and its message. subject: "cannot read 'hdfs://...'"; server: its address. */
bm_status storage_hdfs_explain(const storage_hdfs *h, const char *subject, const char *server, const char *path,
			       const storage_http_answer *answer, storage_hdfs_failure *failure, bm_error *err);
/* The same for a request that was not answered. data: it was a DataNode. */
bm_status storage_hdfs_explain_end(const storage_hdfs *h, const char *subject, const char *server, bool data,
				   const storage_http_answer *answer, storage_hdfs_failure *failure, bm_error *err);

/* Percent-encodes all but letters, digits, "-._~" and, with `slashes`, "/". */
void storage_hdfs_escape(base_text *text, const char *raw, bool slashes);
/* "http://HOST:PORT/x" -> "HOST:PORT" */
void storage_hdfs_server(const char *address, char *server, size_t size);

/* hdfs_route.c. learn: from a redirect's address, false when it is not a DataNode's; take: one that is there; give: back, or freed
 * when it was used often enough. */
bool storage_hdfs_route_learn(const char *location, storage_hdfs_route *route);
bool storage_hdfs_route_take(storage_hdfs_routes *routes, storage_hdfs_route *route);
void storage_hdfs_route_give(storage_hdfs_routes *routes, storage_hdfs_route *route);
void storage_hdfs_route_free(storage_hdfs_route *route);
void storage_hdfs_routes_close(storage_hdfs_routes *routes);

/* hdfs_status.c */
bm_status storage_hdfs_describe(void *state, const char *url, storage_service *service, bm_error *err);
/* "HOST:PORT" as excludedatanodes takes it, of the DataNode whose HTTP address is `server`; its host alone when the NameNode
 * does not tell. */
void storage_hdfs_datanode(storage_hdfs *h, const char *server, char *out, size_t size);
bm_status storage_hdfs_home(storage_hdfs *h, const char *url, char *home, size_t size, bm_error *err);

#endif
