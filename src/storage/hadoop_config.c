#include "storage/hadoop_config.h"

#include <expat.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/text.h"

#define FILE_LIMIT ((size_t)16 << 20)
enum { VALUE_MAX = 1 << 16, REPLACEMENTS_MAX = 20 };

/* ---- XML ---- */

typedef enum field { NO_FIELD, NAME, VALUE, FINAL, FIELDS } field;

typedef struct reader {
	XML_Parser parser;
	storage_hadoop_config *config;
	int depth;
	bool is_configuration, in_property, no_memory;
	field field;
	base_text texts[FIELDS];
	bm_error *err;
} reader;

static void on_start(void *arg, const XML_Char *name, const XML_Char **attributes)
{
	static const char *const names[FIELDS] = {[NAME] = "name", [VALUE] = "value", [FINAL] = "final"};
	reader *r = arg;
	int depth = r->depth++;
	if (depth == 0)
		r->is_configuration = strcmp(name, "configuration") == 0;
	if (depth == 1 && strcmp(name, "property") == 0) {
		r->in_property = true;
		for (int i = NAME; i < FIELDS; i++)
			base_text_clear(&r->texts[i]);
		/* Hadoop also takes <property name="..." value="..."/>. */
		for (; attributes[0]; attributes += 2)
			for (int i = NAME; i < FIELDS; i++)
				if (strcmp(attributes[0], names[i]) == 0)
					base_text_add(&r->texts[i], "%s", attributes[1]);
	}
	r->field = NO_FIELD;
	for (int i = NAME; depth == 2 && r->in_property && i < FIELDS; i++)
		if (strcmp(name, names[i]) == 0)
			r->field = (field)i;
}

static void on_text(void *arg, const XML_Char *text, int length)
{
	reader *r = arg;
	if (r->field == NO_FIELD)
		return;
	if (r->texts[r->field].length + (size_t)length <= VALUE_MAX)
		base_text_append(&r->texts[r->field], text, (size_t)length);
}

/* Without the white space around it. */
static char *trimmed(const base_text *text, bm_error *err)
{
	const char *start = base_text_string(text);
	start += strspn(start, " \t\r\n");
	size_t length = strlen(start);
	while (length > 0 && strchr(" \t\r\n", start[length - 1]))
		length--;
	char *copy = base_malloc(length + 1, 1, "a setting", err);
	if (copy) {
		memcpy(copy, start, length);
		copy[length] = '\0';
	}
	return copy;
}

static bool add_property(reader *r)
{
	storage_hadoop_config *c = r->config;
	char *name = trimmed(&r->texts[NAME], r->err), *value = trimmed(&r->texts[VALUE], r->err);
	char *final = trimmed(&r->texts[FINAL], r->err);
	bool good = name && value && final, is_final = final && strcmp(final, "true") == 0;
	base_free(final);
	for (size_t i = 0; good && i < c->count; i++) {
		if (strcmp(c->items[i].name, name) != 0)
			continue;
		base_free(name);
		if (c->items[i].final) {
			base_free(value);
			return true;
		}
		base_free(c->items[i].value);
		c->items[i].value = value;
		c->items[i].final = is_final;
		return true;
	}
	if (good && name[0] != '\0')
		good = base_grow(&c->items, &c->capacity, c->count, sizeof *c->items, "settings", r->err) == BM_OK;
	if (!good || name[0] == '\0') {
		base_free(name);
		base_free(value);
		return good;
	}
	c->items[c->count++] = (storage_property){.name = name, .value = value, .final = is_final};
	return true;
}

static void on_end(void *arg, const XML_Char *name)
{
	reader *r = arg;
	(void)name;
	r->depth--;
	r->field = NO_FIELD;
	if (r->depth != 1 || !r->in_property)
		return;
	r->in_property = false;
	for (int i = NAME; i < FIELDS; i++)
		r->no_memory |= r->texts[i].failed;
	if (r->no_memory || !add_property(r)) {
		r->no_memory = true;
		XML_StopParser(r->parser, XML_FALSE);
	}
}

bm_status storage_hadoop_config_parse(const char *name, const char *xml, size_t size, storage_hadoop_config *config,
				      bm_error *err)
{
	reader r = {.config = config, .err = err};
	bm_status status = BM_OK;
	if (size > FILE_LIMIT)
		return base_fail(err, BM_ERR_LIMIT, "'%s' is no Hadoop configuration: it is too large", name);
	r.parser = XML_ParserCreate(NULL);
	if (!r.parser)
		return base_fail(err, BM_ERR_MEMORY, "no memory for '%s'", name);
	XML_SetUserData(r.parser, &r);
	XML_SetElementHandler(r.parser, on_start, on_end);
	XML_SetCharacterDataHandler(r.parser, on_text);
	bool good = XML_Parse(r.parser, xml, (int)size, 1) == XML_STATUS_OK;
	if (r.no_memory || (!good && XML_GetErrorCode(r.parser) == XML_ERROR_NO_MEMORY))
		status = base_fail(err, BM_ERR_MEMORY, "no memory for '%s'", name);
	else if (!good)
		status = base_fail(err, BM_ERR_FORMAT, "'%s' is no Hadoop configuration: line %lu: %s; mend it", name,
				   (unsigned long)XML_GetCurrentLineNumber(r.parser),
				   XML_ErrorString(XML_GetErrorCode(r.parser)));
	else if (!r.is_configuration)
		status = base_fail(err, BM_ERR_FORMAT, "'%s' is no Hadoop configuration: it has no <configuration>",
				   name);
	for (int i = NAME; i < FIELDS; i++)
		base_text_free(&r.texts[i]);
	XML_ParserFree(r.parser);
	return status;
}

static bm_status read_file(const char *folder, const char *name, storage_hadoop_config *out, bm_error *err)
{
	uint8_t *bytes = NULL;
	size_t size = 0;
	char *path = base_path_join(folder, name, err);
	if (!path)
		return BM_ERR_MEMORY;
	bm_status status = BM_OK;
	if (base_is_file(path)) {
		status = base_file_read(path, FILE_LIMIT, &bytes, &size, err);
		if (status == BM_OK)
			status = storage_hadoop_config_parse(path, (const char *)bytes, size, out, err);
	}
	base_free(bytes);
	base_free(path);
	return status;
}

bm_status storage_hadoop_config_read(const char *folder, storage_hadoop_config *out, bm_error *err)
{
	char under_home[4096];
	const char *home = getenv("HADOOP_HOME");
	*out = (storage_hadoop_config){0};
	if (!folder)
		folder = getenv("HADOOP_CONF_DIR");
	if ((!folder || !folder[0]) && home && home[0]) {
		snprintf(under_home, sizeof under_home, "%s/etc/hadoop", home);
		folder = under_home;
	}
	if (!folder || !folder[0])
		folder = "/etc/hadoop/conf";
	if (!base_is_folder(folder))
		return BM_OK;
	out->folder = base_strdup(folder, err);
	bm_status status = out->folder ? read_file(folder, "core-site.xml", out, err) : BM_ERR_MEMORY;
	if (status == BM_OK)
		status = read_file(folder, "hdfs-site.xml", out, err);
	if (status != BM_OK)
		storage_hadoop_config_free(out);
	return status;
}

void storage_hadoop_config_free(storage_hadoop_config *config)
{
	for (size_t i = 0; i < config->count; i++) {
		base_free(config->items[i].name);
		base_free(config->items[i].value);
	}
	base_free(config->items);
	base_free(config->folder);
	*config = (storage_hadoop_config){0};
}

/* ---- values ---- */

static bool login(char *name, size_t size)
{
	struct passwd entry, *found = NULL;
	char buffer[2048];
	if (getpwuid_r(geteuid(), &entry, buffer, sizeof buffer, &found) != 0 || !found)
		return false;
	snprintf(name, size, "%s", entry.pw_name);
	return true;
}

void storage_hadoop_user(char *name, size_t size)
{
	const char *given = getenv("HADOOP_USER_NAME");
	if (given && given[0]) {
		snprintf(name, size, "%s", given);
	} else if (!login(name, size)) {
		given = getenv("USER");
		snprintf(name, size, "%s", given && given[0] ? given : "nobody");
	}
}

const char *storage_hadoop_config_raw(const storage_hadoop_config *config, const char *name)
{
	for (size_t i = 0; i < config->count; i++)
		if (strcmp(config->items[i].name, name) == 0)
			return config->items[i].value[0] ? config->items[i].value : NULL;
	return NULL;
}

/* What ${name} stands for; NULL when it is nothing known, and then it stays. `room` may hold the value. */
static const char *variable(const storage_hadoop_config *config, const char *name, char *room, size_t size)
{
	if (strncmp(name, "env.", 4) == 0)
		return getenv(name + 4);
	if (strcmp(name, "user.name") == 0)
		return login(room, size) ? room : NULL;
	return storage_hadoop_config_raw(config, name);
}

bm_status storage_hadoop_config_get(const storage_hadoop_config *config, const char *name, char **out, bm_error *err)
{
	const char *raw = storage_hadoop_config_raw(config, name);
	base_text text = {0};
	*out = NULL;
	if (!raw)
		return BM_OK;
	base_text_add(&text, "%s", raw);
	for (int i = 0; i < REPLACEMENTS_MAX && !text.failed; i++) {
		char key[256], room[256];
		const char *open = strstr(text.data, "${"), *close = open ? strchr(open, '}') : NULL;
		if (!close || (size_t)(close - open - 2) >= sizeof key)
			break;
		snprintf(key, sizeof key, "%.*s", (int)(close - open - 2), open + 2);
		const char *value = variable(config, key, room, sizeof room);
		if (!value || text.length + strlen(value) > VALUE_MAX)
			break;
		base_text replaced = {0};
		base_text_add(&replaced, "%.*s%s%s", (int)(open - text.data), text.data, value, close + 1);
		base_text_free(&text);
		text = replaced;
	}
	if (text.failed) {
		base_text_free(&text);
		return base_fail(err, BM_ERR_MEMORY, "no memory for the setting %s", name);
	}
	*out = base_strdup(text.data, err);
	base_text_free(&text);
	return *out ? BM_OK : BM_ERR_MEMORY;
}
