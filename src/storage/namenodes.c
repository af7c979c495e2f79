/* From the address in a URL to the HTTP addresses of its NameNodes. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "storage/hadoop_config.h"

#define HTTP_PORT "9870"
#define HTTPS_PORT "9871"

/* Host, port or nameservice as they may stand in a URL: no user, no path, nothing that would end it. */
static bool plain_authority(const char *text, size_t length)
{
	if (length == 0 || length > 120)
		return false;
	for (size_t i = 0; i < length; i++)
		if (!isalnum((unsigned char)text[i]) && !strchr(".-_:[]", text[i]))
			return false;
	return true;
}

/* The colon before a port; NULL: there is none. An IPv6 address stands in brackets. */
static const char *port_of(const char *authority)
{
	const char *bracket = strrchr(authority, ']'), *colon = strrchr(authority, ':');
	return colon && (!bracket || colon > bracket) ? colon : NULL;
}

/* Appends "SCHEME://HOST:PORT". A host that means "any address" is replaced by `host`. */
static bm_status add(storage_namenodes *out, const char *scheme, const char *address, size_t length, const char *host,
		     const char *port, bm_error *err)
{
	char text[128];
	if (!plain_authority(address, length))
		return base_fail(err, BM_ERR_USAGE,
				 "'%.*s' is no address of a NameNode; it is HOST:PORT, as in localhost:9870",
				 (int)(length < 120 ? length : 120), address);
	if (out->count == STORAGE_NAMENODES_MAX)
		return base_fail(err, BM_ERR_USAGE, "more than %d NameNodes are named", STORAGE_NAMENODES_MAX);
	snprintf(text, sizeof text, "%.*s", (int)length, address);
	const char *colon = port_of(text);
	if (strncmp(text, "0.0.0.0", 7) == 0 && host && host[0]) {
		char kept[24];
		snprintf(kept, sizeof kept, "%s", colon ? colon : "");
		const char *end = port_of(host);
		snprintf(text, sizeof text, "%.*s%s", (int)(end ? end - host : (long)strlen(host)), host, kept);
		colon = port_of(text);
	}
	snprintf(out->http[out->count++], sizeof out->http[0], "%s://%s%s%s", scheme, text, colon ? "" : ":",
		 colon ? "" : port);
	return BM_OK;
}

static bool secure(const storage_hadoop_config *config)
{
	const char *policy = storage_hadoop_config_raw(config, "dfs.http.policy");
	return policy && strcmp(policy, "HTTPS_ONLY") == 0;
}

/* "dfs.namenode.http-address" + suffix. *found: whether the configuration has it. */
static bm_status add_configured(const storage_hadoop_config *config, const char *suffix, const char *host,
				storage_namenodes *out, bool *found, bm_error *err)
{
	char name[320], *value = NULL;
	bool https = secure(config);
	snprintf(name, sizeof name, "dfs.namenode.%s-address%s", https ? "https" : "http", suffix);
	bm_status status = storage_hadoop_config_get(config, name, &value, err);
	*found = value != NULL;
	if (status == BM_OK && value)
		status = add(out, https ? "https" : "http", value, strlen(value), host, https ? HTTPS_PORT : HTTP_PORT,
			     err);
	base_free(value);
	return status;
}

/* The words of a comma-separated list, one after the other; false at its end. */
static bool next_word(const char **list, const char **word, size_t *length)
{
	const char *at = *list + strspn(*list, ", \t\r\n");
	*word = at;
	*length = strcspn(at, ", \t\r\n");
	*list = at + *length;
	return *length > 0;
}

/* The NameNodes of a nameservice, when `name` is one. With rpc only those of the nameservice that has a NameNode there. */
static bm_status try_service(const storage_hadoop_config *config, const char *name, size_t name_length, const char *rpc,
			     storage_namenodes *out, bm_error *err)
{
	char key[320], *ids = NULL;
	bool matched = rpc == NULL, found;
	storage_namenodes all = {0};
	if (name_length > 100)
		return BM_OK;
	snprintf(key, sizeof key, "dfs.ha.namenodes.%.*s", (int)name_length, name);
	bm_status status = storage_hadoop_config_get(config, key, &ids, err);
	const char *rest = ids ? ids : "", *id;
	size_t length;
	while (status == BM_OK && next_word(&rest, &id, &length)) {
		char suffix[256], *address = NULL;
		if (length > 100)
			continue;
		snprintf(suffix, sizeof suffix, ".%.*s.%.*s", (int)name_length, name, (int)length, id);
		snprintf(key, sizeof key, "dfs.namenode.rpc-address%s", suffix);
		status = storage_hadoop_config_get(config, key, &address, err);
		if (status == BM_OK && rpc && address && strcmp(address, rpc) == 0)
			matched = true;
		if (status == BM_OK)
			status = add_configured(config, suffix, address, &all, &found, err);
		if (status == BM_OK && !found && address) {
			const char *colon = port_of(address);
			size_t host = colon ? (size_t)(colon - address) : strlen(address);
			status = add(&all, secure(config) ? "https" : "http", address, host, NULL,
				     secure(config) ? HTTPS_PORT : HTTP_PORT, err);
		}
		base_free(address);
	}
	if (status == BM_OK && !ids) { /* a nameservice with one NameNode */
		char suffix[160], *address = NULL;
		snprintf(suffix, sizeof suffix, ".%.*s", (int)name_length, name);
		snprintf(key, sizeof key, "dfs.namenode.rpc-address%s", suffix);
		status = storage_hadoop_config_get(config, key, &address, err);
		if (rpc && address && strcmp(address, rpc) == 0)
			matched = true;
		if (status == BM_OK)
			status = add_configured(config, suffix, address, &all, &found, err);
		base_free(address);
	}
	if (status == BM_OK && matched && out->count == 0) {
		memcpy(out->http, all.http, sizeof out->http);
		out->count = all.count;
	}
	base_free(ids);
	return status;
}

static bm_status search_services(const storage_hadoop_config *config, const char *authority, storage_namenodes *out,
				 bm_error *err)
{
	char *services = NULL;
	bm_status status = storage_hadoop_config_get(config, "dfs.nameservices", &services, err);
	const char *rest = services ? services : "", *word;
	size_t length;
	while (status == BM_OK && out->count == 0 && next_word(&rest, &word, &length)) {
		if (strlen(authority) == length && strncmp(word, authority, length) == 0)
			status = try_service(config, word, length, NULL, out, err);
		else if (port_of(authority))
			status = try_service(config, word, length, authority, out, err);
	}
	base_free(services);
	return status;
}

/* The default file system's authority; its scheme must be one that WebHDFS serves. */
static bm_status default_authority(const storage_hadoop_config *config, char *authority, size_t size, bm_error *err)
{
	char *value = NULL;
	bm_status status = storage_hadoop_config_get(config, "fs.defaultFS", &value, err);
	if (status == BM_OK && !value)
		status = storage_hadoop_config_get(config, "fs.default.name", &value, err);
	if (status != BM_OK)
		return status;
	const char *at = value ? strstr(value, "://") : NULL;
	size_t scheme = at ? (size_t)(at - value) : 0;
	size_t length = at ? strcspn(at + 3, "/") : 0;
	if (at && (strncmp(value, "hdfs", scheme) == 0 || strncmp(value, "webhdfs", scheme) == 0) && length > 0 &&
	    length < size)
		snprintf(authority, size, "%.*s", (int)length, at + 3);
	else if (!config->folder)
		status = base_fail(err, BM_ERR_USAGE,
				   "which NameNode? There is no Hadoop configuration here: name it, as in "
				   "hdfs://localhost:9000/path, or set HADOOP_CONF_DIR");
	else
		status = base_fail(err, BM_ERR_USAGE,
				   "which NameNode? fs.defaultFS in '%s/core-site.xml' is %s%s%s: name it, as in "
				   "hdfs://localhost:9000/path",
				   config->folder, value ? "'" : "", value ? value : "not set", value ? "'" : "");
	base_free(value);
	return status;
}

/* usual: whether https is meant where none is said. */
static bm_status given(const char *webhdfs, bool usual, storage_namenodes *out, bm_error *err)
{
	const char *rest = webhdfs, *word;
	size_t length;
	bm_status status = BM_OK;
	while (status == BM_OK && next_word(&rest, &word, &length)) {
		bool https = strncmp(word, "https://", 8) == 0, http = strncmp(word, "http://", 7) == 0;
		size_t skip = https ? 8 : http ? 7 : 0;
		https |= usual && !http;
		if (skip > length)
			skip = length;
		size_t end = length - skip;
		while (end > 0 && word[skip + end - 1] == '/')
			end--;
		status =
			add(out, https ? "https" : "http", word + skip, end, NULL, https ? HTTPS_PORT : HTTP_PORT, err);
	}
	if (status == BM_OK && out->count == 0)
		status = base_fail(err, BM_ERR_USAGE, "--webhdfs takes HOST:PORT[,HOST:PORT], not '%s'", webhdfs);
	return status;
}

bm_status storage_find_namenodes(const storage_hadoop_config *config, const char *scheme, const char *authority,
				 const char *webhdfs, storage_namenodes *out, bm_error *err)
{
	char name[128];
	bool found = false;
	*out = (storage_namenodes){0};
	bm_status status = BM_OK;
	snprintf(name, sizeof name, "%s", authority);
	if (!name[0] && !(webhdfs && webhdfs[0] && !config->folder))
		status = default_authority(config, name, sizeof name, err);
	if (status != BM_OK)
		return status;
	if (name[0] && (strlen(authority) >= sizeof name || !plain_authority(name, strlen(name))))
		return base_fail(err, BM_ERR_USAGE,
				 "'%s' is no address of a NameNode; it is HOST:PORT or a nameservice, as in "
				 "hdfs://localhost:9000/path",
				 authority);
	snprintf(out->filesystem, sizeof out->filesystem, "%s://%s", scheme, name);
	snprintf(out->rpc, sizeof out->rpc, "%s", name);
	bool https = strcmp(scheme, "swebhdfs") == 0;
	if (webhdfs && webhdfs[0])
		return given(webhdfs, https || (strcmp(scheme, "hdfs") == 0 && secure(config)), out, err);
	if (strcmp(scheme, "hdfs") != 0) /* the HTTP address itself, or a nameservice */
	{
		if (!port_of(name))
			status = search_services(config, name, out, err);
		if (status == BM_OK && out->count == 0)
			status = add(out, https ? "https" : "http", name, strlen(name), NULL,
				     https ? HTTPS_PORT : HTTP_PORT, err);
		return status;
	}
	status = search_services(config, name, out, err);
	if (status != BM_OK || out->count > 0)
		return status;
	/* One NameNode: the configuration's HTTP address belongs to it when the configuration names it. */
	char usual[128];
	if (config->folder && default_authority(config, usual, sizeof usual, NULL) == BM_OK && strcmp(usual, name) == 0)
		status = add_configured(config, "", name, out, &found, err);
	if (status != BM_OK || found)
		return status;
	const char *rpc = storage_hadoop_config_raw(config, "dfs.namenode.rpc-address");
	if (rpc && strcmp(rpc, name) == 0)
		status = add_configured(config, "", name, out, &found, err);
	if (status != BM_OK || found)
		return status;
	const char *colon = port_of(name);
	size_t host = colon ? (size_t)(colon - name) : strlen(name);
	return add(out, secure(config) ? "https" : "http", name, host, NULL, secure(config) ? HTTPS_PORT : HTTP_PORT,
		   err);
}
