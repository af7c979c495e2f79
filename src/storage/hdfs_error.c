/* What HDFS's servers say when something does not work, in words that tell what to do. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "storage/hdfs.h"

enum { NAME_SIZE = 96, REASON_SIZE = 320 };

typedef struct remote {
	char exception[NAME_SIZE]; /* "AccessControlException"; "": the answer was none of WebHDFS's */
	char message[REASON_SIZE]; /* its first line */
} remote;

static void take_text(char *out, size_t size, const char *text)
{
	size_t length = text ? strcspn(text, "\r\n") : 0;
	if (length >= size)
		length = size - 1;
	while (length > 0 && length == size - 1 && ((unsigned char)text[length] & 0xC0) == 0x80)
		length--; /* not in the middle of a character */
	if (length > 0)
		memcpy(out, text, length);
	out[length] = '\0';
}

static void parse(const storage_http_answer *answer, remote *out)
{
	*out = (remote){0};
	json_t *json = answer->size > 0 ? json_loadb((const char *)answer->body, answer->size, 0, NULL) : NULL;
	json_t *object = json_object_get(json, "RemoteException");
	take_text(out->exception, sizeof out->exception, json_string_value(json_object_get(object, "exception")));
	take_text(out->message, sizeof out->message, json_string_value(json_object_get(object, "message")));
	json_decref(json);
}

static bool says(const remote *r, const char *name)
{
	return strcmp(r->exception, name) == 0 || strstr(r->message, name) != NULL;
}

/* What is done about a failure; the first row that fits counts. */
typedef struct rule {
	const char *name; /* exception, or a part of the message */
	storage_hdfs_failure failure;
	bm_status status;
	const char *remedy; /* %s: "user 'NAME'" */
} rule;

static const rule rules[] = {
	{"StandbyException", HDFS_STANDBY, BM_ERR_IO,
	 "this NameNode is on standby and no other is active; name them all with --webhdfs HOST:PORT,HOST:PORT, or "
	 "make one "
	 "active: hdfs haadmin -getAllServiceState"},
	{"SafeModeException", HDFS_FINAL, BM_ERR_IO,
	 "HDFS is in safe mode and only read; wait until the NameNode has heard of all blocks, or end it: hdfs "
	 "dfsadmin "
	 "-safemode leave"},
	{"in safe mode", HDFS_FINAL, BM_ERR_IO,
	 "HDFS is in safe mode and only read; wait until the NameNode has heard of all blocks, or end it: hdfs "
	 "dfsadmin "
	 "-safemode leave"},
	{"RetriableException", HDFS_PASSING, BM_ERR_IO, "try again later"},
	{"DSQuotaExceededException", HDFS_FINAL, BM_ERR_IO,
	 "no space left: the folder's space quota is used up; see 'hdfs dfs -count -q -h', remove something, or have "
	 "it raised: "
	 "hdfs dfsadmin -setSpaceQuota"},
	{"NSQuotaExceededException", HDFS_FINAL, BM_ERR_IO,
	 "the folder's quota of names is used up; see 'hdfs dfs -count -q', write a pack ('brainmri data pack'), or "
	 "have it "
	 "raised: hdfs dfsadmin -setQuota"},
	{"QuotaByStorageTypeExceededException", HDFS_FINAL, BM_ERR_IO,
	 "no space left: the folder's quota is used up; see 'hdfs dfs -count -q -t'"},
	{"minReplication", HDFS_FINAL, BM_ERR_IO,
	 "no space left on the DataNodes, or none of them is alive; see 'hdfs dfs -df -h' and 'hdfs dfsadmin -report'"},
	{"could only be replicated to", HDFS_FINAL, BM_ERR_IO,
	 "no space left on the DataNodes, or none of them is alive; see 'hdfs dfs -df -h' and 'hdfs dfsadmin -report'"},
	{"Failed to find datanode", HDFS_PASSING, BM_ERR_IO,
	 "no DataNode is alive; start it (start-dfs.sh), look with jps and 'hdfs dfsadmin -report'"},
	{"not excluded nodes contain this block", HDFS_PASSING, BM_ERR_IO,
	 "no DataNode that holds it is alive; see 'hdfs dfsadmin -report' and 'hdfs fsck'"},
	{"BlockMissingException", HDFS_PASSING, BM_ERR_IO,
	 "no DataNode that holds it is alive; see 'hdfs dfsadmin -report' and 'hdfs fsck'"},
	{"Could not obtain block", HDFS_PASSING, BM_ERR_IO,
	 "no DataNode that holds it is alive; see 'hdfs dfsadmin -report' and 'hdfs fsck'"},
	{"AccessControlException", HDFS_FINAL, BM_ERR_IO,
	 "permission denied for %s; have its owner allow it (hdfs dfs -chmod or -chown), or be another user "
	 "with "
	 "HADOOP_USER_NAME"},
	{"InvalidToken", HDFS_FINAL, BM_ERR_IO,
	 "the delegation token in HADOOP_TOKEN is not valid; get a new one: hdfs fetchdt"},
	{"SecurityException", HDFS_FINAL, BM_ERR_IO,
	 "the NameNode does not accept who this is; get a delegation token (hdfs fetchdt) and set HADOOP_TOKEN"},
	{"Path is not a file", HDFS_FINAL, BM_ERR_IO, "it is a folder; name a file"},
	{"ParentNotDirectoryException", HDFS_NOT_FOUND, BM_ERR_NOT_FOUND,
	 "a part of the path is not a folder; check it"},
	{"FileAlreadyExistsException", HDFS_EXISTS, BM_ERR_IO, "that is there already"},
	{"PathIsNotEmptyDirectoryException", HDFS_FINAL, BM_ERR_IO, "the folder is not empty"},
	{"AlreadyBeingCreatedException", HDFS_PASSING, BM_ERR_IO, "another program writes it at this moment"},
	{"FileNotFoundException", HDFS_NOT_FOUND, BM_ERR_NOT_FOUND, "no such file or folder; check the path"},
	{"UnsupportedOperationException", HDFS_UNSUPPORTED, BM_ERR_UNSUPPORTED, "this server does not do that"},
	{"Invalid value for webhdfs parameter \"op\"", HDFS_UNSUPPORTED, BM_ERR_UNSUPPORTED,
	 "this server does not do that"},
	{"No enum constant", HDFS_UNSUPPORTED, BM_ERR_UNSUPPORTED, "this server does not do that"},
};

static const rule *find_rule(const remote *r)
{
	/* An exception's own name counts before a name that its message mentions. */
	for (size_t i = 0; r->exception[0] && i < sizeof rules / sizeof *rules; i++)
		if (strcmp(r->exception, rules[i].name) == 0 && strcmp(r->exception, "FileNotFoundException") != 0)
			return &rules[i];
	for (size_t i = 0; r->exception[0] && i < sizeof rules / sizeof *rules; i++)
		if (says(r, rules[i].name))
			return &rules[i];
	return NULL;
}

/* Whom a message speaks of: a token has its own user, whatever the login is. */
static void name_user(const storage_hdfs *h, char *text, size_t size)
{
	if (h->delegation || h->bearer)
		snprintf(text, size, "the user of %s", h->delegation ? "HADOOP_TOKEN" : "WEBHDFS_BEARER_TOKEN");
	else
		snprintf(text, size, "user '%s'", h->user);
}

/* Below /user/NAME an unknown user lacks a home directory more often than a permission. */
static bool home_missing(const storage_hdfs *h, const rule *found, const char *path)
{
	char home[160];
	int length = snprintf(home, sizeof home, "/user/%s", h->user);
	return !h->delegation && !h->bearer && strcmp(found->name, "AccessControlException") == 0 && length > 0 &&
	       strncmp(path, home, (size_t)length) == 0 && (path[length] == '/' || path[length] == '\0');
}

static bm_status not_webhdfs(const char *subject, const char *server, const storage_http_answer *answer, bm_error *err)
{
	const char *body = answer->body ? (const char *)answer->body : "";
	if (strstr(body, "Hadoop IPC port"))
		return base_fail(
			err, BM_ERR_USAGE,
			"%s: %s is the port for Java programs; name the HTTP port, usually 9870: --webhdfs HOST:9870",
			subject, server);
	if (answer->code == 401)
		return base_fail(
			err, BM_ERR_IO,
			"%s: %s wants to know who asks (HTTP 401); get a delegation token (hdfs fetchdt) and set "
			"HADOOP_TOKEN, or set WEBHDFS_BEARER_TOKEN",
			subject, server);
	if (answer->code == 403)
		return base_fail(err, BM_ERR_IO, "%s: %s forbids it (HTTP 403); check the token and the user", subject,
				 server);
	return base_fail(
		err, BM_ERR_IO,
		"%s: %s answers HTTP %ld, which is not WebHDFS's way; is it the NameNode's HTTP address, and is "
		"dfs.webhdfs.enabled not false? Name it with --webhdfs HOST:PORT",
		subject, server, answer->code);
}

bm_status storage_hdfs_explain(const storage_hdfs *h, const char *subject, const char *server, const char *path,
			       const storage_http_answer *answer, storage_hdfs_failure *failure, bm_error *err)
{
	remote r;
	char remedy[768], user[160];
	name_user(h, user, sizeof user);
	parse(answer, &r);
	const rule *found = find_rule(&r);
	if (!r.exception[0]) {
		long code = answer->code;
		*failure = code == 429 || code == 502 || code == 503 || code == 504 ? HDFS_PASSING : HDFS_FINAL;
		return not_webhdfs(subject, server, answer, err);
	}
	if (!found) {
		*failure = HDFS_FINAL;
		return base_fail(err, BM_ERR_IO, "%s: %s says: %s%s%s", subject, server, r.exception,
				 r.message[0] ? ": " : "", r.message);
	}
	*failure = found->failure;
	if (home_missing(h, found, path))
		snprintf(remedy, sizeof remedy,
			 "permission denied for user '%s'; when there is no home directory yet, HDFS's administrator "
			 "makes it: "
			 "hdfs dfs -mkdir -p /user/%s && hdfs dfs -chown %s /user/%s",
			 h->user, h->user, h->user, h->user);
	else if (strstr(found->remedy, "%s"))
		snprintf(remedy, sizeof remedy, "%.*s%s%s", (int)(strstr(found->remedy, "%s") - found->remedy),
			 found->remedy, user, strstr(found->remedy, "%s") + 2);
	else
		snprintf(remedy, sizeof remedy, "%s", found->remedy);
	if (found->failure == HDFS_NOT_FOUND || found->failure == HDFS_EXISTS || found->failure == HDFS_UNSUPPORTED)
		return base_fail(err, found->status, "%s: %s", subject, remedy);
	return base_fail(err, found->status, "%s: %s (%s says: %s)", subject, remedy, server,
			 r.message[0] ? r.message : r.exception);
}

bm_status storage_hdfs_explain_end(const storage_hdfs *h, const char *subject, const char *server, bool data,
				   const storage_http_answer *answer, storage_hdfs_failure *failure, bm_error *err)
{
	const char *who = data ? "DataNode" : "NameNode";
	(void)h;
	*failure = data ? HDFS_PASSING : HDFS_AWAY;
	switch (answer->end) {
	case HTTP_REFUSED:
		if (data)
			return base_fail(
				err, BM_ERR_IO,
				"%s: connection refused by the DataNode at %s; look whether it runs (jps), start it "
				"with start-dfs.sh",
				subject, server);
		return base_fail(
			err, BM_ERR_IO,
			"%s: connection refused by the NameNode at %s; start Hadoop (start-dfs.sh), look with jps "
			"whether NameNode and DataNode run, or name the HTTP address: --webhdfs HOST:PORT",
			subject, server);
	case HTTP_UNKNOWN_HOST:
		*failure = data ? HDFS_FINAL : HDFS_AWAY;
		if (data)
			return base_fail(err, BM_ERR_IO,
					 "%s: the NameNode sends to the DataNode %s, but no computer of that name is "
					 "known here; "
					 "put it into /etc/hosts or set dfs.datanode.hostname",
					 subject, server);
		return base_fail(
			err, BM_ERR_IO,
			"%s: no computer of the name in %s is known; check the address, or, for a nameservice, set "
			"HADOOP_CONF_DIR",
			subject, server);
	case HTTP_UNREACHABLE:
		return base_fail(err, BM_ERR_IO,
				 "%s: the %s at %s cannot be reached; check the address, the network and firewalls",
				 subject, who, server);
	case HTTP_BROKEN:
	case HTTP_STALLED:
		return base_fail(err, BM_ERR_IO,
				 "%s: %s while the %s at %s was asked; look into its log, then try again", subject,
				 answer->why, who, server);
	case HTTP_INSECURE:
		*failure = HDFS_FINAL;
		return base_fail(
			err, BM_ERR_IO,
			"%s: the %s at %s: %s; name the file of the certificate's authority with CURL_CA_BUNDLE",
			subject, who, server, answer->why);
	case HTTP_TOO_LARGE:
		*failure = HDFS_FINAL;
		return base_fail(err, BM_ERR_LIMIT, "%s: %s answers with more than is accepted", subject, server);
	case HTTP_CANCELLED:
		*failure = HDFS_FINAL;
		return base_fail(err, BM_ERR_CANCELLED, "stopped");
	case HTTP_SOURCE:
		*failure = HDFS_FINAL;
		return base_prefix(err, answer->source_status, "%s", subject);
	case HTTP_ANSWERED:
	case HTTP_FAILED:
		break;
	}
	*failure = HDFS_FINAL;
	if (strstr(answer->why, "HTTP/0.9")) /* how curl sees a TLS record */
		return base_fail(err, BM_ERR_IO,
				 "%s: %s does not speak HTTP; is it the port for https? Then use swebhdfs://, or "
				 "--webhdfs https://HOST:PORT",
				 subject, server);
	return base_fail(err, BM_ERR_IO, "%s: %s: %s", subject, server, answer->why);
}
