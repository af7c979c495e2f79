/* brainmri data: a data set into HDFS and back. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/memory.h"
#include "base/threads.h"
#include "cli/commands.h"
#include "cli/session.h"
#include "data/transfer.h"
#include "report/tables.h"

enum { SHOWN = 20 };

typedef struct data_job {
	const cli_arguments *arguments;
	cli_terminal *terminal;
	const base_observer *observer;
	data_transfer_options options;
	base_text text;
	json_t *json;
} data_job;

static bm_status open_place(const data_job *job, const char *url, storage_options options, storage **out, bm_error *err)
{
	options.webhdfs = job->arguments->values[CLI_WEBHDFS];
	options.cancel = job->observer->cancel;
	return storage_open_with(url, &options, out, err);
}

static void print(data_job *job)
{
	base_result_text(job->observer, base_text_string(&job->text));
	base_text_clear(&job->text);
}

static void put_json(data_job *job, const char *key, json_t *value)
{
	json_object_set_new(job->json, key, value ? value : json_null());
}

/* ---- what a folder holds, class by class ---- */

typedef struct class_count {
	char name[256];
	size_t files;
} class_count;

/* Files of each first folder, in order; *classes: base_free. */
static bm_status count_classes(const data_files *files, class_count **classes, size_t *count, bm_error *err)
{
	size_t capacity = 0;
	*classes = NULL;
	*count = 0;
	for (size_t i = 0; i < files->count; i++) {
		size_t length = data_file_class(files->items[i].path);
		class_count *last = *count ? &(*classes)[*count - 1] : NULL;
		if (length == 0 || length >= sizeof last->name)
			continue;
		if (!last || strlen(last->name) != length || strncmp(last->name, files->items[i].path, length) != 0) {
			if (base_grow(classes, &capacity, *count, sizeof **classes, "the classes", err) != BM_OK)
				return BM_ERR_MEMORY;
			last = &(*classes)[(*count)++];
			snprintf(last->name, sizeof last->name, "%.*s", (int)length, files->items[i].path);
			last->files = 0;
		}
		last->files++;
	}
	return BM_OK;
}

static bm_status show_classes(data_job *job, storage *s, bm_error *err)
{
	data_files files;
	class_count *classes = NULL;
	size_t count = 0;
	char number[32], bytes[32];
	bm_status status = data_files_list(s, job->observer, &files, err);
	if (status != BM_OK)
		return status;
	status = count_classes(&files, &classes, &count, err);
	if (status == BM_OK) {
		json_t *json = json_object();
		base_text_add(&job->text, "\nClass Directories:\n");
		for (size_t i = 0; i < count; i++) {
			base_text_add(&job->text, "✓ %s: %s files\n", classes[i].name,
				      base_format_count((long long)classes[i].files, number));
			json_object_set_new(json, classes[i].name, json_integer((json_int_t)classes[i].files));
		}
		base_text_add(&job->text, "\nTotal: %s files\n", base_format_count((long long)files.count, number));
		base_text_add(&job->text, "Total size: %s\n", base_format_bytes((double)files.bytes, bytes));
		put_json(job, "classes", json);
		put_json(job, "files_there", json_integer((json_int_t)files.count));
		put_json(job, "bytes_there", json_integer((json_int_t)files.bytes));
		print(job);
	}
	base_free(classes);
	data_files_free(&files);
	return status;
}

/* ---- put and get ---- */

static void show_transfer(data_job *job, const data_transfer_stats *t, const char *to, bool up)
{
	char number[32], bytes[32], seconds[32], rate[32];
	const char *word = up ? "Upload" : "Copy";
	if (t->sent == 0) {
		base_text_add(&job->text, "✓ Data found at: %s\n", to);
		base_text_add(&job->text, "✓ All %s files are there%s: nothing to transfer\n",
			      base_format_count((long long)t->files, number),
			      job->options.no_verify ? " (lengths compared)" : ", their checksums are equal");
		return;
	}
	base_text_add(&job->text, "✓ %s complete: %s files transferred", word,
		      base_format_count((long long)t->sent, number));
	if (t->present > 0)
		base_text_add(&job->text, ", %s were there", base_format_count((long long)t->present, number));
	base_text_add(&job->text, "\n✓ Total size: %s", base_format_bytes((double)t->bytes, bytes));
	if (t->present > 0)
		base_text_add(&job->text, ", transferred: %s", base_format_bytes((double)t->sent_bytes, bytes));
	base_text_add(&job->text, "\n✓ Time: %s", base_format_seconds(t->seconds, seconds));
	if (t->seconds > 0)
		base_text_add(&job->text, " (%s files/s, %s/s)",
			      base_format_count((long long)((double)t->sent / t->seconds + 0.5), number),
			      base_format_bytes((double)t->sent_bytes / t->seconds, rate));
	if (job->options.no_verify)
		base_text_add(&job->text, "\n- Checksums not compared (--no-verify)\n");
	else
		base_text_add(&job->text, "\n✓ Verified: %s checksums are equal\n",
			      base_format_count((long long)t->verified, number));
}

static bm_status transfer(data_job *job, bool up, bm_error *err)
{
	const char *from_url = job->arguments->operands[1], *to_url = job->arguments->operands[2];
	storage *from = NULL, *to = NULL;
	data_transfer_stats t = {0};
	report_heading(&job->text, up ? "PHASE 3: HDFS DATA MANAGEMENT" : "DATA FROM HDFS");
	bm_status status = open_place(job, from_url, (storage_options){0}, &from, err);
	if (status == BM_OK) {
		base_text_add(&job->text, "\nChecking %s for existing data...\n", up ? "HDFS" : "the folder");
		print(job);
		status = open_place(job, to_url, (storage_options){.make = true, .as_file = true}, &to, err);
	}
	if (status == BM_OK)
		status = data_transfer(from, to, &job->options, job->observer, &t, err);
	if (status == BM_ERR_CANCELLED && t.sent > 0)
		base_note(job->observer, "%zu files are there; the same command goes on", t.sent + t.present);
	if (status == BM_OK) {
		show_transfer(job, &t, to_url, up);
		print(job);
		put_json(job, "from", phase_json_text(from_url));
		put_json(job, "to", phase_json_text(to_url));
		put_json(job, "files", json_integer((json_int_t)t.files));
		put_json(job, "sent", json_integer((json_int_t)t.sent));
		put_json(job, "present", json_integer((json_int_t)t.present));
		put_json(job, "replaced", json_integer((json_int_t)t.replaced));
		put_json(job, "verified", json_integer((json_int_t)t.verified));
		put_json(job, "bytes", json_integer((json_int_t)t.bytes));
		put_json(job, "sent_bytes", json_integer((json_int_t)t.sent_bytes));
		put_json(job, "seconds", json_real(t.seconds));
		status = show_classes(job, to, err);
	}
	storage_close(from);
	storage_close(to);
	return status;
}

static bm_status put(data_job *job, bm_error *err)
{
	return transfer(job, true, err);
}

static bm_status get(data_job *job, bm_error *err)
{
	return transfer(job, false, err);
}

/* ---- verify ---- */

static bm_status verify(data_job *job, bm_error *err)
{
	static const char *const words[] = {[DATA_MISSING] = "missing",
					    [DATA_OTHER_SIZE] = "other length",
					    [DATA_OTHER_CONTENT] = "other content",
					    [DATA_UNKNOWN] = "only there"};
	const char *here_url = job->arguments->operands[1], *there_url = job->arguments->operands[2];
	storage *here = NULL, *there = NULL;
	data_comparison c = {0};
	char number[32], bytes[32];
	size_t wrong = 0;
	bm_status status = open_place(job, here_url, (storage_options){0}, &here, err);
	if (status == BM_OK)
		status = open_place(job, there_url, (storage_options){0}, &there, err);
	if (status == BM_OK)
		status = data_compare(here, there, job->options.transfers, job->observer, &c, err);
	if (status == BM_OK) {
		json_t *list = json_array();
		for (size_t i = 0; i < c.count; i++) {
			bool extra = c.different[i].difference == DATA_UNKNOWN;
			wrong += !extra;
			json_array_append_new(list,
					      json_pack("{s:o, s:s}", "path", phase_json_text(c.different[i].path),
							"what", words[c.different[i].difference]));
			if (i < SHOWN)
				base_text_add(&job->text, "%s %s: %s\n", extra ? "-" : "✗", c.different[i].path,
					      words[c.different[i].difference]);
		}
		if (c.count > SHOWN)
			base_text_add(&job->text, "  ... and %zu more (--json lists all)\n", c.count - SHOWN);
		if (c.equal > 0)
			base_text_add(&job->text, "✓ %s of %zu files are equal by checksum, %s in all\n",
				      base_format_count((long long)c.equal, number), c.files,
				      base_format_bytes((double)c.bytes, bytes));
		put_json(job, "files", json_integer((json_int_t)c.files));
		put_json(job, "equal", json_integer((json_int_t)c.equal));
		put_json(job, "different", list);
		put_json(job, "seconds", json_real(c.seconds));
		print(job);
		if (wrong > 0)
			status = base_fail(
				err, BM_ERR_DATA,
				"%zu of %zu files in '%s' are missing or differ; 'brainmri data put %s %s' sends them",
				wrong, c.files, there_url, here_url, there_url);
	}
	data_comparison_free(&c);
	storage_close(here);
	storage_close(there);
	return status;
}

/* ---- ls ---- */

static void permission_text(const storage_info *info, char text[11])
{
	static const char letters[] = "rwxrwxrwx";
	text[0] = info->folder ? 'd' : '-';
	for (int i = 0; i < 9; i++)
		text[i + 1] = (info->permission >> (8 - i)) & 1 ? letters[i] : '-';
	text[10] = '\0';
}

static bm_status list(data_job *job, bm_error *err)
{
	storage *s = NULL;
	storage_list entries = {0};
	storage_summary summary;
	const char *url = job->arguments->operands[1];
	char permission[11], stamp[32], bytes[32], files[32];
	bm_status status = open_place(job, url, (storage_options){0}, &s, err);
	if (status == BM_OK)
		status = storage_list_folder(s, "", &entries, err);
	if (status == BM_OK)
		status = storage_summarize(s, "", &summary, err);
	json_t *array = json_array();
	for (size_t i = 0; status == BM_OK && i < entries.count; i++) {
		const storage_entry *e = &entries.items[i];
		time_t seconds = (time_t)(e->info.modified / 1000);
		struct tm parts;
		localtime_r(&seconds, &parts);
		strftime(stamp, sizeof stamp, "%Y-%m-%d %H:%M", &parts);
		permission_text(&e->info, permission);
		if (e->info.folder)
			snprintf(files, sizeof files, "-");
		else
			snprintf(files, sizeof files, "%d", e->info.replication);
		base_text_add(&job->text, "%s %3s %-8s %-10s %10s %s %s%s\n", permission, files, e->info.owner,
			      e->info.group, e->info.folder ? "-" : base_format_bytes((double)e->info.size, bytes),
			      stamp, e->name, e->info.folder ? "/" : "");
		json_array_append_new(
			array, json_pack("{s:o, s:b, s:I, s:I, s:s, s:s, s:i, s:i}", "name", phase_json_text(e->name),
					 "folder", (int)e->info.folder, "size", (json_int_t)e->info.size, "modified",
					 (json_int_t)e->info.modified, "owner", e->info.owner, "group", e->info.group,
					 "permission", e->info.permission, "replication", e->info.replication));
	}
	if (status == BM_OK) {
		base_text_add(&job->text, "%s files below it, %s\n", base_format_count((long long)summary.files, files),
			      base_format_bytes((double)summary.bytes, bytes));
		put_json(job, "url", phase_json_text(url));
		put_json(job, "entries", json_incref(array));
		put_json(job, "files", json_integer((json_int_t)summary.files));
		put_json(job, "bytes", json_integer((json_int_t)summary.bytes));
		print(job);
	}
	json_decref(array);
	storage_list_free(&entries);
	storage_close(s);
	return status;
}

/* ---- pack ---- */

/* "hdfs://host/a/x.zip" -> "hdfs://host/a/" and "x.zip". */
static bm_status open_target(data_job *job, const char *url, storage **to, const char **name, bm_error *err)
{
	const char *slash = strrchr(url, '/');
	char *folder;
	if (!storage_pack_name(url))
		return base_fail(err, BM_ERR_USAGE,
				 "'%s': a pack is a zip file, its name must end in .zip, as in "
				 "hdfs://localhost:9000/data/set.zip",
				 url);
	*name = slash ? slash + 1 : url;
	folder = base_strdup(slash ? url : ".", err);
	if (!folder)
		return BM_ERR_MEMORY;
	if (slash)
		folder[slash - url + 1] = '\0';
	bm_status status = open_place(job, folder, (storage_options){.make = true}, to, err);
	base_free(folder);
	return status;
}

static bm_status pack(data_job *job, bm_error *err)
{
	const char *from_url = job->arguments->operands[1], *to_url = job->arguments->operands[2], *name = NULL;
	storage *from = NULL, *to = NULL;
	data_files files = {0};
	uint64_t bytes = 0;
	char number[32], size[32], seconds[32];
	double begun = base_now();
	bm_status status = open_place(job, from_url, (storage_options){0}, &from, err);
	if (status == BM_OK)
		status = data_files_list(from, job->observer, &files, err);
	if (status == BM_OK && files.count == 0)
		status = base_fail(err, BM_ERR_DATA,
				   "'%s' holds no file; name the folder that holds one folder per class", from_url);
	if (status == BM_OK)
		status = open_target(job, to_url, &to, &name, err);
	storage_pack_file *list = NULL;
	if (status == BM_OK) {
		list = base_calloc(files.count, sizeof *list, "a pack's directory", err);
		status = list ? BM_OK : BM_ERR_MEMORY;
	}
	for (size_t i = 0; status == BM_OK && i < files.count; i++)
		list[i] = (storage_pack_file){.path = files.items[i].path, .size = files.items[i].size};
	if (status == BM_OK)
		status = storage_pack_write(from, list, files.count, to, name, job->observer, &bytes, err);
	if (status == BM_OK) {
		double took = base_now() - begun;
		base_text_add(&job->text, "✓ Packed %s files: %s, %s in %s\n",
			      base_format_count((long long)files.count, number), to_url,
			      base_format_bytes((double)bytes, size), base_format_seconds(took, seconds));
		base_text_add(&job->text, "✓ Verified: its checksum is equal\n");
		put_json(job, "from", phase_json_text(from_url));
		put_json(job, "to", phase_json_text(to_url));
		put_json(job, "files", json_integer((json_int_t)files.count));
		put_json(job, "bytes", json_integer((json_int_t)bytes));
		put_json(job, "seconds", json_real(took));
		print(job);
	}
	base_free(list);
	data_files_free(&files);
	storage_close(from);
	storage_close(to);
	return status;
}

/* ---- the command ---- */

static const struct action {
	const char *name, *operands;
	int count;
	bm_status (*function)(data_job *job, bm_error *err);
} actions[] = {
	{"put", "FOLDER HDFS_URL", 2, put}, {"verify", "FOLDER HDFS_URL", 2, verify}, {"ls", "HDFS_URL", 1, list},
	{"get", "HDFS_URL FOLDER", 2, get}, {"pack", "FOLDER HDFS_URL.zip", 2, pack},
};

static bm_status find_action(const cli_arguments *a, const struct action **out, bm_error *err)
{
	const char *names[sizeof actions / sizeof *actions], *word = a->operands[0];
	size_t count = sizeof actions / sizeof *actions;
	for (size_t i = 0; i < count; i++) {
		names[i] = actions[i].name;
		if (strcmp(word, actions[i].name) != 0)
			continue;
		*out = &actions[i];
		if (a->operand_count - 1 == actions[i].count)
			return BM_OK;
		return base_fail(err, BM_ERR_USAGE, "'brainmri data %s' takes %s; see 'brainmri data --help'", word,
				 actions[i].operands);
	}
	const char *near = cli_nearest(word, names, count);
	return base_fail(err, BM_ERR_USAGE,
			 "'brainmri data' does put, verify, ls, get or pack, not '%s'%s%s%s; see "
			 "'brainmri data --help'",
			 word, near ? "; did you mean '" : "", near ? near : "", near ? "'" : "");
}

static bm_status parse_options(data_job *job, bm_error *err)
{
	const cli_arguments *a = job->arguments;
	long long value;
	bm_status status = BM_OK;
	if (a->values[CLI_TRANSFERS]) {
		status = cli_parse_integer("transfers", a->values[CLI_TRANSFERS], 1, 64, &value, err);
		job->options.transfers = (int)value;
	}
	if (status == BM_OK && a->values[CLI_REPLICATION]) {
		status = cli_parse_integer("replication", a->values[CLI_REPLICATION], 1, 512, &value, err);
		job->options.replication = (int)value;
	}
	job->options.no_verify = a->values[CLI_NO_VERIFY] != NULL;
	return status;
}

int cli_data(const cli_arguments *a, cli_terminal *terminal)
{
	bm_error err = {0};
	const struct action *action = NULL;
	char name[32];
	data_job job = {.arguments = a, .terminal = terminal, .observer = &terminal->observer, .json = json_object()};
	bm_status status = job.json ? find_action(a, &action, &err) : base_fail(&err, BM_ERR_MEMORY, "no memory");
	if (status == BM_OK)
		status = parse_options(&job, &err);
	if (status == BM_OK) {
		snprintf(name, sizeof name, "data %s", action->name);
		put_json(&job, "command", json_string(name));
		status = action->function(&job, &err);
	}
	/* What differs is told in JSON too. */
	if (terminal->json && (status == BM_OK || json_object_get(job.json, "different")))
		cli_print_json(terminal, job.json);
	if (status == BM_OK && job.text.failed)
		status = base_fail(&err, BM_ERR_MEMORY, "no memory for the results");
	base_text_free(&job.text);
	json_decref(job.json);
	return status == BM_OK ? 0 : cli_terminal_error(terminal, &err);
}
