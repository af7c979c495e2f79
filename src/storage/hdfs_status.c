/* What an HDFS is and how it does: the guide's connection test. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "storage/hdfs.h"

#define JMX_LIMIT ((size_t)8 << 20)

bm_status storage_hdfs_home(storage_hdfs *h, const char *url, char *home, size_t size, bm_error *err)
{
	/* GETHOMEDIRECTORY belongs to the user, whatever the path. */
	storage_hdfs_call call = {
		.method = "GET", .op = "GETHOMEDIRECTORY", .verb = "find the home directory of", .limit = 1 << 16};
	storage_http_answer answer;
	bm_status status = storage_hdfs_do(h, url, "", &call, &answer, err);
	json_t *json =
		status == BM_OK && answer.body ? json_loadb((const char *)answer.body, answer.size, 0, NULL) : NULL;
	const char *path = json_string_value(json_object_get(json, "Path"));
	if (status == BM_OK && (!path || path[0] != '/' || strlen(path) >= size))
		status = base_fail(
			err, BM_ERR_FORMAT,
			"cannot find the home directory of '%s': the answer is not WebHDFS's; is the address the "
			"NameNode's HTTP address?",
			url);
	if (status == BM_OK)
		snprintf(home, size, "%s", path);
	json_decref(json);
	storage_http_answer_free(&answer);
	return status;
}

/* A bean of the NameNode's /jmx; NULL when it does not tell. json_decref. */
static json_t *bean(storage_hdfs *h, const char *name)
{
	char url[320];
	storage_http_answer answer;
	int active = atomic_load(&h->active);
	snprintf(url, sizeof url, "%s/jmx?qry=Hadoop:service=NameNode,name=%s", h->namenodes.http[active], name);
	storage_http_request request = {.method = "GET", .url = url, .bearer = h->bearer, .limit = JMX_LIMIT};
	json_t *json = NULL, *first = NULL;
	if (storage_http_do(h->http, &request, &answer, NULL) == BM_OK && answer.end == HTTP_ANSWERED &&
	    answer.code == 200 && answer.body)
		json = json_loadb((const char *)answer.body, answer.size, 0, NULL);
	first = json_incref(json_array_get(json_object_get(json, "beans"), 0));
	json_decref(json);
	storage_http_answer_free(&answer);
	return first;
}

void storage_hdfs_datanode(storage_hdfs *h, const char *server, char *out, size_t size)
{
	json_t *info = bean(h, "NameNodeInfo"), *node;
	const char *text = json_string_value(json_object_get(info, "LiveNodes")), *name;
	json_t *nodes = text ? json_loads(text, 0, NULL) : NULL;
	snprintf(out, size, "%.*s", (int)strcspn(server, ":"), server);
	json_object_foreach(nodes, name, node)
	{
		const char *http = json_string_value(json_object_get(node, "infoAddr"));
		const char *https = json_string_value(json_object_get(node, "infoSecureAddr"));
		const char *transfer = json_string_value(json_object_get(node, "xferaddr"));
		/* The redirect may name the host, the NameNode its number: then the port has to do. */
		const char *port = strrchr(server, ':'), *http_port = http ? strrchr(http, ':') : NULL;
		bool same = (http && strcmp(http, server) == 0) || (https && strcmp(https, server) == 0) ||
			    (json_object_size(nodes) > 1 && port && http_port && strcmp(port, http_port) == 0 &&
			     strncmp(name, server, (size_t)(port - server)) == 0);
		if (same && transfer)
			snprintf(out, size, "%s", transfer);
	}
	json_decref(nodes);
	json_decref(info);
}

static uint64_t number(const json_t *json, const char *name)
{
	json_int_t value = json_integer_value(json_object_get(json, name));
	return value > 0 ? (uint64_t)value : 0;
}

bm_status storage_hdfs_describe(void *state, const char *url, storage_service *service, bm_error *err)
{
	storage_hdfs *h = state;
	storage_http_answer answer;
	bm_status status = storage_hdfs_home(h, url, service->home, sizeof service->home, err);
	if (status != BM_OK)
		return status;
	service->hdfs = true;
	snprintf(service->namenode, sizeof service->namenode, "%s", h->namenodes.rpc);
	snprintf(service->filesystem, sizeof service->filesystem, "%s", h->namenodes.filesystem);
	snprintf(service->user, sizeof service->user, "%.63s", h->user);
	storage_hdfs_server(h->namenodes.http[atomic_load(&h->active)], service->http, sizeof service->http);
	/* The home directory lies elsewhere than the root: a view of the same connections from "/". */
	storage_hdfs top = {.http = h->http,
			    .namenodes = h->namenodes,
			    .root = (char[]){""},
			    .delegation = h->delegation,
			    .bearer = h->bearer,
			    .cancel = h->cancel,
			    .attempts = h->attempts,
			    .wait = h->wait};
	memcpy(top.user, h->user, sizeof top.user);
	atomic_store(&top.active, atomic_load(&h->active));
	storage_hdfs_call call = {.method = "GET", .op = "GETFILESTATUS", .verb = "look at", .limit = 1 << 16};
	service->home_exists =
		storage_hdfs_do(&top, service->filesystem, service->home + 1, &call, &answer, NULL) == BM_OK;
	storage_http_answer_free(&answer);
	json_t *info = bean(h, "NameNodeInfo"), *system = bean(h, "FSNamesystemState");
	const char *safe = json_string_value(json_object_get(info, "Safemode"));
	const char *version = json_string_value(json_object_get(info, "SoftwareVersion"));
	const json_t *live = json_object_get(system, "NumLiveDataNodes");
	service->safe_mode = safe ? safe[0] != '\0' : -1;
	service->live_datanodes = json_is_integer(live) ? (int)json_integer_value(live) : -1;
	snprintf(service->version, sizeof service->version, "%.63s", version ? version : "");
	service->capacity = number(system, "CapacityTotal");
	service->used = number(system, "CapacityUsed");
	service->remaining = number(system, "CapacityRemaining");
	json_decref(info);
	json_decref(system);
	return BM_OK;
}
