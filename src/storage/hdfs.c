/* HDFS as a place where bytes live. Each operation is one or two WebHDFS calls; all can be made again. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "storage/hdfs.h"

#define JSON_LIMIT ((size_t)512 << 20)
#define SMALL ((uint64_t)8 << 20) /* bytes of a file whose DataNode the NameNode need not choose */

/* ---- answers ---- */

static bm_status strange(const char *verb, const char *url, const char *path, bm_error *err)
{
	return base_fail(err, BM_ERR_FORMAT,
			 "cannot %s '%s%s%s': the answer is not WebHDFS's; is the address the NameNode's HTTP address?",
			 verb, url, path[0] ? "/" : "", path);
}

/* A call with a JSON answer; *json: json_decref. */
static bm_status ask(storage_hdfs *h, const char *url, const char *path, storage_hdfs_call *call, json_t **json,
		     bm_error *err)
{
	storage_http_answer answer;
	*json = NULL;
	call->limit = JSON_LIMIT;
	bm_status status = storage_hdfs_do(h, url, path, call, &answer, err);
	if (status == BM_OK) {
		*json = json_loadb(answer.body ? (const char *)answer.body : "", answer.size, JSON_REJECT_DUPLICATES,
				   NULL);
		if (!json_is_object(*json)) {
			json_decref(*json);
			*json = NULL;
			status = strange(call->verb, url, path, err);
		}
	}
	storage_http_answer_free(&answer);
	return status;
}

/* A call whose answer is not looked at. */
static bm_status order(storage_hdfs *h, const char *url, const char *path, storage_hdfs_call *call, bm_error *err)
{
	storage_http_answer answer;
	call->limit = JSON_LIMIT;
	bm_status status = storage_hdfs_do(h, url, path, call, &answer, err);
	storage_http_answer_free(&answer);
	return status;
}

/* A call that answers {"boolean": ...}. */
static bm_status ask_boolean(storage_hdfs *h, const char *url, const char *path, storage_hdfs_call *call, bool *value,
			     bm_error *err)
{
	json_t *json;
	bm_status status = ask(h, url, path, call, &json, err);
	const json_t *member = json_object_get(json, "boolean");
	if (status == BM_OK && !json_is_boolean(member))
		status = strange(call->verb, url, path, err);
	*value = json_is_true(member);
	json_decref(json);
	return status;
}

static bool parse_info(json_t *json, storage_info *info)
{
	const char *type, *permission, *owner, *group;
	json_int_t length, modified, block = 0, replication = 0;
	*info = (storage_info){0};
	if (json_unpack(json, "{s:s, s:I, s:I, s:s, s:s, s:s, s?I, s?I}", "type", &type, "length", &length,
			"modificationTime", &modified, "permission", &permission, "owner", &owner, "group", &group,
			"blockSize", &block, "replication", &replication) != 0 ||
	    length < 0 || block < 0 || replication < 0 || replication > 32767)
		return false;
	info->folder = strcmp(type, "DIRECTORY") == 0;
	info->size = info->folder ? 0 : (uint64_t)length;
	info->modified = modified;
	info->block_size = info->folder ? 0 : (uint64_t)block;
	info->replication = info->folder ? 0 : (int)replication;
	info->permission = (int)(strtol(permission, NULL, 8) & 07777);
	snprintf(info->owner, sizeof info->owner, "%.39s", owner);
	snprintf(info->group, sizeof info->group, "%.39s", group);
	return true;
}

/* ---- looking ---- */

static bm_status look_for(storage_hdfs *h, const char *verb, const char *url, const char *path, storage_info *info,
			  bm_error *err)
{
	storage_hdfs_call call = {.method = "GET", .op = "GETFILESTATUS", .verb = verb};
	json_t *json;
	bm_status status = ask(h, url, path, &call, &json, err);
	if (status == BM_OK && !parse_info(json_object_get(json, "FileStatus"), info))
		status = strange(call.verb, url, path, err);
	json_decref(json);
	return status;
}

static bm_status hdfs_look(void *state, const char *url, const char *path, storage_info *info, bm_error *err)
{
	return look_for(state, "look at", url, path, info, err);
}

static bm_status add_entries(json_t *page, const char *url, const char *path, bool hidden, storage_list *list,
			     size_t *capacity, bm_error *err)
{
	json_t *array = json_object_get(json_object_get(page, "FileStatuses"), "FileStatus"), *entry;
	size_t i;
	if (!json_is_array(array))
		return strange("list", url, path, err);
	json_array_foreach(array, i, entry)
	{
		storage_info info;
		const char *name = json_string_value(json_object_get(entry, "pathSuffix"));
		if (!name || !parse_info(entry, &info))
			return strange("list", url, path, err);
		if (!name[0] && json_array_size(array) == 1 && !info.folder)
			return base_fail(err, BM_ERR_NOT_FOUND, "cannot list '%s%s%s': it is a file, not a folder", url,
					 path[0] ? "/" : "", path);
		if (!name[0] || strchr(name, '/') || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
			return strange("list", url, path, err);
		if (name[0] == '.' && !hidden)
			continue;
		bm_status status = storage_list_add(list, capacity, name, &info, err);
		if (status != BM_OK)
			return status;
	}
	return BM_OK;
}

/* In one answer: the NameNode streams it, whatever the folder's size. */
static bm_status hdfs_list(void *state, const char *url, const char *path, bool hidden, storage_list *list,
			   bm_error *err)
{
	storage_hdfs_call call = {.method = "GET", .op = "LISTSTATUS", .verb = "list"};
	json_t *json;
	size_t capacity = 0;
	bm_status status = ask(state, url, path, &call, &json, err);
	if (status == BM_OK)
		status = add_entries(json, url, path, hidden, list, &capacity, err);
	json_decref(json);
	return status;
}

static bm_status hdfs_summarize(void *state, const char *url, const char *path, storage_summary *out, bm_error *err)
{
	storage_hdfs_call call = {.method = "GET", .op = "GETCONTENTSUMMARY", .verb = "count"};
	json_t *json;
	json_int_t folders, files, bytes, space, quota = -1, space_quota = -1;
	bm_status status = ask(state, url, path, &call, &json, err);
	if (status == BM_OK &&
	    (json_unpack(json_object_get(json, "ContentSummary"), "{s:I, s:I, s:I, s:I, s?I, s?I}", "directoryCount",
			 &folders, "fileCount", &files, "length", &bytes, "spaceConsumed", &space, "quota", &quota,
			 "spaceQuota", &space_quota) != 0 ||
	     folders < 0 || files < 0 || bytes < 0 || space < 0))
		status = strange(call.verb, url, path, err);
	if (status == BM_OK)
		*out = (storage_summary){.folders = (uint64_t)folders,
					 .files = (uint64_t)files,
					 .bytes = (uint64_t)bytes,
					 .space = (uint64_t)space,
					 .quota = quota,
					 .space_quota = space_quota};
	json_decref(json);
	return status;
}

/* ---- reading ---- */

/* Without an announced length a body that was cut short looks whole: the NameNode knows better. */
static bm_status check_length(storage_hdfs *h, const char *url, const char *path, uint64_t offset, size_t wanted,
			      size_t got, bm_error *err)
{
	storage_info info;
	bm_status status = hdfs_look(h, url, path, &info, err);
	if (status != BM_OK)
		return status;
	uint64_t left = info.size > offset ? info.size - offset : 0;
	if (got != (left < wanted ? left : wanted))
		return base_fail(err, BM_ERR_IO,
				 "cannot read '%s/%s': the transfer broke off after %zu bytes; try again", url, path,
				 got);
	return BM_OK;
}

static bm_status hdfs_read(void *state, const char *url, const char *path, size_t limit, uint8_t **bytes, size_t *size,
			   bm_error *err)
{
	storage_hdfs_call call = {.method = "GET", .op = "OPEN", .verb = "read", .data = true, .limit = limit};
	storage_http_answer answer;
	bm_status status = storage_hdfs_do(state, url, path, &call, &answer, err);
	if (status == BM_ERR_LIMIT) {
		char most[32];
		status = base_fail(err, BM_ERR_LIMIT,
				   "cannot read '%s/%s': it is larger than %s, which is what is accepted", url, path,
				   base_format_bytes((double)limit, most));
	}
	if (status == BM_OK && !answer.framed)
		status = check_length(state, url, path, 0, SIZE_MAX, answer.size, err);
	if (status == BM_OK && !answer.body) {
		answer.body = base_calloc(1, 1, "an empty file", err);
		status = answer.body ? BM_OK : BM_ERR_MEMORY;
	}
	if (status == BM_OK) {
		*bytes = answer.body;
		*size = answer.size;
		answer.body = NULL;
	}
	storage_http_answer_free(&answer);
	return status;
}

static bm_status hdfs_read_range(void *state, const char *url, const char *path, uint64_t offset, size_t length,
				 uint8_t *bytes, size_t *got, bm_error *err)
{
	char parameters[96];
	storage_http_answer answer;
	snprintf(parameters, sizeof parameters, "&offset=%llu&length=%zu", (unsigned long long)offset, length);
	storage_hdfs_call call = {.method = "GET",
				  .op = "OPEN",
				  .verb = "read",
				  .data = true,
				  .parameters = parameters,
				  .limit = length,
				  .room = bytes};
	bm_status status = storage_hdfs_do(state, url, path, &call, &answer, err);
	if (status == BM_OK && (!answer.framed || answer.size < length))
		status = check_length(state, url, path, offset, length, answer.size, err);
	if (status == BM_OK)
		*got = answer.size;
	else if (call.failure != HDFS_NO_FAILURE) {
		/* An offset behind the end is an error there; here it is the end. */
		storage_info info;
		if (hdfs_look(state, url, path, &info, NULL) == BM_OK && !info.folder && offset >= info.size)
			status = BM_OK;
	}
	storage_http_answer_free(&answer);
	return status;
}

/* ---- writing ---- */

static bm_status hdfs_create(void *state, const char *url, const char *path, const storage_source *source,
			     bm_error *err)
{
	/* A DataNode may still be at work when its client is gone: it must not make a folder again that was removed meanwhile. */
	storage_hdfs_call call = {.method = "PUT",
				  .op = "CREATE",
				  .verb = "write",
				  .parameters = "&overwrite=true&createparent=false",
				  .data = true,
				  .small = source->size <= SMALL && source->again,
				  .source = source};
	return order(state, url, path, &call, err);
}

static bm_status hdfs_make_folders(void *state, const char *url, const char *path, bm_error *err)
{
	storage_hdfs_call call = {.method = "PUT", .op = "MKDIRS", .verb = "make"};
	bool made;
	bm_status status = ask_boolean(state, url, path, &call, &made, err);
	if (status != BM_OK && call.failure == HDFS_EXISTS)
		return base_fail(err, BM_ERR_NOT_FOUND, "cannot make '%s%s%s': a part of the path is not a folder", url,
				 path[0] ? "/" : "", path);
	if (status == BM_OK && !made)
		status = base_fail(err, BM_ERR_IO, "cannot make '%s%s%s': HDFS does not say why; check the path", url,
				   path[0] ? "/" : "", path);
	return status;
}

static bm_status hdfs_rename(void *state, const char *url, const char *from, const char *to, bool replace,
			     bm_error *err)
{
	storage_hdfs *h = state;
	storage_info info;
	base_text parameters = {0};
	base_text_add(&parameters, "&destination=");
	storage_hdfs_escape(&parameters, h->root, true);
	base_text_add(&parameters, "/");
	storage_hdfs_escape(&parameters, to, true);
	base_text_add(&parameters, "&renameoptions=%s", replace ? "OVERWRITE" : "NONE");
	if (parameters.failed) {
		base_text_free(&parameters);
		return base_fail(err, BM_ERR_MEMORY, "no memory for an address");
	}
	storage_hdfs_call call = {
		.method = "PUT", .op = "RENAME", .verb = "rename", .parameters = base_text_string(&parameters)};
	bm_status status = order(h, url, from, &call, err);
	/* An attempt whose answer was lost may have done it. */
	if (status == BM_ERR_NOT_FOUND && call.attempts > 1 && hdfs_look(h, url, to, &info, NULL) == BM_OK)
		status = BM_OK;
	if (status != BM_OK && call.failure == HDFS_EXISTS)
		status = base_fail(err, BM_ERR_IO, "cannot rename '%s/%s' to '%s': that is there already", url, from,
				   to);
	base_text_free(&parameters);
	return status;
}

static bm_status hdfs_remove(void *state, const char *url, const char *path, bool all, bool *was, bm_error *err)
{
	storage_hdfs_call call = {.method = "DELETE",
				  .op = "DELETE",
				  .verb = "remove",
				  .always = true,
				  .parameters = all ? "&recursive=true" : "&recursive=false"};
	bool removed = false;
	bm_status status = ask_boolean(state, url, path, &call, &removed, err);
	if (was)
		*was = removed || (status == BM_OK && call.attempts > 1);
	return status;
}

static bm_status hdfs_set_permission(void *state, const char *url, const char *path, int permission, bm_error *err)
{
	char parameters[48];
	snprintf(parameters, sizeof parameters, "&permission=%o", (unsigned)permission & 07777u);
	storage_hdfs_call call = {
		.method = "PUT", .op = "SETPERMISSION", .verb = "set the permission of", .parameters = parameters};
	return order(state, url, path, &call, err);
}

static bm_status hdfs_set_replication(void *state, const char *url, const char *path, int copies, bm_error *err)
{
	char parameters[48];
	bool done;
	snprintf(parameters, sizeof parameters, "&replication=%d", copies);
	storage_hdfs_call call = {.method = "PUT",
				  .op = "SETREPLICATION",
				  .verb = "set the number of copies of",
				  .parameters = parameters};
	bm_status status = ask_boolean(state, url, path, &call, &done, err);
	if (status == BM_OK && !done)
		status = base_fail(err, BM_ERR_IO, "cannot set the number of copies of '%s/%s': it is no file", url,
				   path);
	return status;
}

/* ---- checksums ---- */

static int hex_digit(char c)
{
	const char *digits = "0123456789abcdef", *at = c ? strchr(digits, c | 0x20) : NULL;
	return at && c != ' ' ? (int)(at - digits) : -1;
}

static bool parse_checksum(json_t *json, storage_checksum *sum)
{
	const char *algorithm, *bytes;
	if (json_unpack(json, "{s:s, s:s}", "algorithm", &algorithm, "bytes", &bytes) != 0 ||
	    strlen(algorithm) >= sizeof sum->algorithm)
		return false;
	snprintf(sum->algorithm, sizeof sum->algorithm, "%s", algorithm);
	/* Behind the checksum's own bytes its type may stand. */
	size_t most = strncmp(algorithm, "COMPOSITE-", 10) == 0 ? 4 : 28;
	for (sum->size = 0; sum->size < most; sum->size++) {
		int high = hex_digit(bytes[2 * sum->size]), low = high < 0 ? -1 : hex_digit(bytes[2 * sum->size + 1]);
		if (low < 0)
			break;
		sum->bytes[sum->size] = (uint8_t)(high << 4 | low);
	}
	return sum->size == most;
}

static bm_status hdfs_checksum(void *state, const char *url, const char *path, storage_checksum *sum, bm_error *err)
{
	storage_hdfs_call call = {
		.method = "GET", .op = "GETFILECHECKSUM", .verb = "get the checksum of", .data = true, .small = true};
	json_t *json;
	bm_status status = ask(state, url, path, &call, &json, err);
	if (status == BM_OK && !parse_checksum(json_object_get(json, "FileChecksum"), sum))
		status = strange(call.verb, url, path, err);
	json_decref(json);
	return status;
}

/* ---- opening ---- */

static void hdfs_close(void *state)
{
	storage_hdfs *h = state;
	if (!h)
		return;
	storage_http_close(h->http);
	storage_hdfs_routes_close(&h->routes);
	pthread_mutex_destroy(&h->routes.lock);
	base_free(h->root);
	base_free(h->delegation);
	base_free(h->bearer);
	base_free(h);
}

static const storage_backend hdfs_backend = {
	.list = hdfs_list,
	.look = hdfs_look,
	.summarize = hdfs_summarize,
	.read = hdfs_read,
	.read_range = hdfs_read_range,
	.create = hdfs_create,
	.make_folders = hdfs_make_folders,
	.rename = hdfs_rename,
	.remove = hdfs_remove,
	.set_permission = hdfs_set_permission,
	.set_replication = hdfs_set_replication,
	.checksum = hdfs_checksum,
	.describe = storage_hdfs_describe,
	.close = hdfs_close,
	.transfers = STORAGE_HDFS_TRANSFERS,
};

static bm_status copy_setting(const char *variable, char **out, bm_error *err)
{
	const char *value = getenv(variable);
	if (!value || !value[0])
		return BM_OK;
	*out = base_strdup(value, err);
	return *out ? BM_OK : BM_ERR_MEMORY;
}

static bm_status connect_to(storage_hdfs *h, const char *url, const char *authority, size_t length,
			    const storage_options *options, bm_error *err)
{
	storage_hadoop_config config = {0};
	char scheme[16], name[160];
	const char *certificates = getenv("CURL_CA_BUNDLE");
	if (!certificates || !certificates[0])
		certificates = getenv("SSL_CERT_FILE");
	snprintf(scheme, sizeof scheme, "%.*s", (int)(strstr(url, "://") - url), url);
	snprintf(name, sizeof name, "%.*s", (int)(length < sizeof name ? length : sizeof name - 1), authority);
	storage_http_options http = {.connect_timeout = options->connect_timeout > 0 ? options->connect_timeout : 10,
				     .idle_timeout = options->idle_timeout > 0 ? options->idle_timeout : 60,
				     .certificates = certificates && certificates[0] ? certificates : NULL,
				     .cancel = options->cancel};
	bm_status status = storage_hadoop_config_read(NULL, &config, err);
	if (status == BM_OK)
		status = storage_find_namenodes(&config, scheme, name, options->webhdfs, &h->namenodes, err);
	if (status == BM_OK)
		status = copy_setting("HADOOP_TOKEN", &h->delegation, err);
	if (status == BM_OK)
		status = copy_setting("WEBHDFS_BEARER_TOKEN", &h->bearer, err);
	if (status == BM_OK)
		status = storage_http_open(&http, &h->http, err);
	storage_hadoop_config_free(&config);
	return status;
}

/* The root as an absolute path: of the URL, or the home directory when it has none. */
static bm_status set_root(storage *s, storage_hdfs *h, const char *path, bm_error *err)
{
	char home[256], *clean = NULL;
	bm_status status = BM_OK;
	h->root = base_strdup("", err);
	if (!h->root)
		return BM_ERR_MEMORY;
	if (!path[0]) {
		status = storage_hdfs_home(h, s->url, home, sizeof home, err);
		path = home;
	}
	if (status == BM_OK)
		status = storage_clean_path(s, path + strspn(path, "/"), &clean, err);
	if (status != BM_OK || !clean[0])
		goto done;
	base_free(h->root);
	h->root = base_malloc(strlen(clean) + 2, 1, "a path", err);
	if (!h->root)
		status = BM_ERR_MEMORY;
	else
		sprintf(h->root, "/%s", clean);
done:
	base_free(clean);
	return status;
}

static bm_status check_root(storage *s, storage_hdfs *h, const storage_options *options, bm_error *err)
{
	storage_info info;
	char home[256];
	bm_status status = look_for(h, "open", s->url, "", &info, err);
	if (status == BM_OK && !info.folder)
		return base_fail(err, BM_ERR_USAGE, "cannot open '%s': it is a file; name the folder that holds it",
				 s->url);
	if (status != BM_ERR_NOT_FOUND)
		return status;
	if (options->make)
		return hdfs_make_folders(h, s->url, "", err);
	if (options->missing_ok)
		return BM_OK;
	if (storage_hdfs_home(h, s->url, home, sizeof home, NULL) != BM_OK || strncmp(h->root, home, strlen(home)) != 0)
		return status;
	/* The guide's "No such file or directory": is it only the home directory that is missing? */
	char *root = h->root;
	h->root = home;
	bool there = hdfs_look(h, s->url, "", &info, NULL) == BM_OK;
	h->root = root;
	if (!there)
		status =
			base_fail(err, BM_ERR_NOT_FOUND,
				  "cannot open '%s': there is no home directory %s yet; make it: hdfs dfs -mkdir -p %s",
				  s->url, home, home);
	return status;
}

bm_status storage_hdfs_open(storage *s, const char *where, const storage_options *options, bm_error *err)
{
	size_t authority = strcspn(where, "/");
	storage_hdfs *h = base_calloc(1, sizeof *h, "a file system", err);
	if (!h)
		return BM_ERR_MEMORY;
	if (pthread_mutex_init(&h->routes.lock, NULL) != 0) {
		base_free(h);
		return base_fail(err, BM_ERR_INTERNAL, "cannot make a lock");
	}
	h->cancel = options->cancel;
	h->attempts = options->attempts > 0 ? options->attempts : 8;
	h->wait = options->wait > 0 ? options->wait : 0.25;
	storage_hadoop_user(h->user, sizeof h->user);
	bm_status status = connect_to(h, s->url, where, authority, options, err);
	if (status == BM_OK)
		status = set_root(s, h, where + authority, err);
	if (status == BM_OK)
		status = check_root(s, h, options, err);
	if (status != BM_OK) {
		hdfs_close(h);
		return status;
	}
	s->remote = true;
	s->backend = &hdfs_backend;
	s->state = h;
	return BM_OK;
}
