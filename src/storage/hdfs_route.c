/* The NameNode sends what has to do with a file's bytes on to a DataNode. For many small files asking it every time is a large part of
 * the work, and any DataNode takes any path: so where it sent us is used for some more files. */
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "storage/hdfs.h"

/* So that the files of a large upload are still spread over the cluster as the NameNode wants it. */
enum { USES_MAX = 32 };

static const char api[] = "/webhdfs/v1/";

void storage_hdfs_route_free(storage_hdfs_route *route)
{
	base_free(route->node);
	base_free(route->query);
	*route = (storage_hdfs_route){0};
}

void storage_hdfs_routes_close(storage_hdfs_routes *routes)
{
	for (int i = 0; i < routes->count; i++)
		storage_hdfs_route_free(&routes->items[i]);
	routes->count = 0;
}

/* Copies those of a redirect's parameters that say who asks and which NameNode's file it is; the rest belongs to that one call. */
static bool take_query(const char *query, base_text *out)
{
	static const char *const names[] = {"user.name=", "doas=", "delegation=", "namenoderpcaddress="};
	bool namenode = false;
	for (const char *at = query; *at;) {
		size_t length = strcspn(at, "&#");
		for (size_t i = 0; i < sizeof names / sizeof *names; i++)
			if (strncmp(at, names[i], strlen(names[i])) == 0) {
				base_text_add(out, "&%.*s", (int)length, at);
				namenode |= i == 3;
			}
		at += length;
		if (*at++ != '&')
			break;
	}
	return namenode && !out->failed;
}

bool storage_hdfs_route_learn(const char *location, storage_hdfs_route *route)
{
	const char *scheme = strstr(location, "://"), *path = scheme ? strchr(scheme + 3, '/') : NULL;
	const char *query = path ? strchr(path, '?') : NULL;
	base_text kept = {0};
	*route = (storage_hdfs_route){.left = USES_MAX};
	/* Gateways send to themselves, in words of their own: they are asked every time. */
	if (query && strncmp(path, api, sizeof api - 1) == 0 && take_query(query + 1, &kept)) {
		bm_error ignored;
		base_text node = {0};
		base_text_append(&node, location, (size_t)(path - location));
		route->node = node.failed ? NULL : base_strdup(node.data, &ignored);
		route->query = base_strdup(kept.data, &ignored);
		base_text_free(&node);
	}
	base_text_free(&kept);
	if (route->node && route->query)
		return true;
	storage_hdfs_route_free(route);
	return false;
}

bool storage_hdfs_route_take(storage_hdfs_routes *routes, storage_hdfs_route *route)
{
	pthread_mutex_lock(&routes->lock);
	bool there = routes->count > 0;
	if (there)
		*route = routes->items[--routes->count];
	pthread_mutex_unlock(&routes->lock);
	return there;
}

void storage_hdfs_route_give(storage_hdfs_routes *routes, storage_hdfs_route *route)
{
	pthread_mutex_lock(&routes->lock);
	bool kept = route->left > 0 && routes->count < STORAGE_HDFS_ROUTES;
	if (kept)
		routes->items[routes->count++] = *route;
	pthread_mutex_unlock(&routes->lock);
	if (!kept)
		storage_hdfs_route_free(route);
}
