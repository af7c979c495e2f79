#include "phases/context.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/threads.h"

/* ---- the observer: keeps text and log, hands on ---- */

static void write_log(phase_context *c, const char *kind, const char *line)
{
	if (!c->log)
		return;
	struct timespec now;
	struct tm parts;
	char stamp[40];
	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &parts);
	strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &parts);
	fprintf(c->log, "%s.%03ldZ %s%s\n", stamp, now.tv_nsec / 1000000, kind, line);
	fflush(c->log);
}

static void on_result(void *self, const char *line)
{
	phase_context *c = self;
	pthread_mutex_lock(&c->lock);
	base_text_add(&c->text, "%s\n", line);
	write_log(c, "", line);
	base_result(c->outer, "%s", line);
	pthread_mutex_unlock(&c->lock);
}

static void on_note(void *self, const char *line)
{
	phase_context *c = self;
	pthread_mutex_lock(&c->lock);
	write_log(c, "note: ", line);
	base_note(c->outer, "%s", line);
	pthread_mutex_unlock(&c->lock);
}

static void on_warning(void *self, const char *line)
{
	phase_context *c = self;
	pthread_mutex_lock(&c->lock);
	write_log(c, "warning: ", line);
	base_warning(c->outer, "%s", line);
	pthread_mutex_unlock(&c->lock);
}

static void on_progress(void *self, const base_progress *progress)
{
	phase_context *c = self;
	base_report_progress(c->outer, progress);
}

static void on_event(void *self, const base_event *event)
{
	phase_context *c = self;
	base_report_event(c->outer, event);
}

/* ---- making and opening ---- */

/* A zeroed context becomes a usable one. `outer` may be NULL. */
static bm_status start(phase_context *c, const base_observer *outer, bm_error *err)
{
	*c = (phase_context){.outer = outer};
	if (pthread_mutex_init(&c->lock, NULL) != 0)
		return base_fail(err, BM_ERR_INTERNAL, "cannot make a lock");
	c->observer = (base_observer){.self = c,
				      .result = on_result,
				      .note = on_note,
				      .warning = on_warning,
				      .progress = on_progress,
				      .event = on_event,
				      .cancel = outer ? outer->cancel : NULL};
	c->json = json_object();
	c->results = json_array();
	if (!c->json || !c->results) {
		phase_context_free(c);
		return base_fail(err, BM_ERR_MEMORY, "no memory for the results");
	}
	return BM_OK;
}

static bm_status open_folder(phase_context *c, bm_error *err)
{
	char *path = NULL;
	bm_status status = base_make_folders(c->folder, err);
	if (status != BM_OK)
		return status;
	c->figures = base_path_join(c->folder, "figures", err);
	path = base_path_join(c->folder, "phases", err);
	if (!c->figures || !path) {
		status = BM_ERR_MEMORY;
		goto done;
	}
	status = base_make_folders(c->figures, err);
	if (status == BM_OK)
		status = base_make_folders(path, err);
	if (status != BM_OK)
		goto done;
	base_free(path);
	path = base_path_join(c->folder, "log.txt", err);
	if (!path) {
		status = BM_ERR_MEMORY;
		goto done;
	}
	c->log = fopen(path, "ae");
	if (!c->log)
		status = base_fail(err, BM_ERR_IO, "cannot write '%s': %s; choose another folder with --out", path,
				   strerror(errno));
	else if (flock(fileno(c->log), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
		status = base_fail(err, BM_ERR_IO,
				   "another brainmri works in '%s'; wait for it to end, or choose another folder",
				   c->folder);
done:
	base_free(path);
	return status;
}

/* Refuses to mix two configurations in one folder. */
static bm_status check_same(const phase_context *c, const char *path, bm_error *err)
{
	run_config old;
	char names[256];
	run_config_init(&old);
	bm_status status = run_config_read(path, &old, err);
	if (status != BM_OK) {
		run_config_free(&old);
		return base_prefix(err, status, "the run folder '%s' cannot be gone on with (--force starts it anew)",
				   c->folder);
	}
	status = run_config_difference(&c->config, &old, names, sizeof names, err);
	if (status == BM_OK && names[0])
		status = base_fail(err, BM_ERR_USAGE,
				   "'%s' holds a run with another configuration (different: %s); choose another --out, "
				   "repeat its settings, or "
				   "start it anew with --force",
				   c->folder, names);
	run_config_free(&old);
	return status;
}

bm_status phase_context_create(run_config *config, const phase_options *options, const base_observer *outer,
			       phase_context *out, bm_error *err)
{
	char *path = NULL, *listing = NULL;
	bm_status status = start(out, outer, err);
	if (status != BM_OK)
		return status;
	out->config = *config;
	*config = (run_config){0};
	out->options = *options;
	out->threads = out->config.threads > 0 ? out->config.threads : base_cores();
	if (!out->config.out)
		return BM_OK;
	out->folder = base_strdup(out->config.out, err);
	path = base_path_join(out->config.out, "config.json", err);
	listing = base_path_join(out->config.out, "data.json", err);
	if (!out->folder || !path || !listing) {
		status = BM_ERR_MEMORY;
		goto done;
	}
	/* A run that did not get as far as its listing has nothing to protect; a new one is not begun without data. */
	if (base_is_file(path) && base_is_file(listing) && !options->force)
		status = check_same(out, path, err);
	else if (!base_is_file(path) && out->config.data)
		status = phase_need_storage(out, err);
	if (status == BM_OK)
		status = open_folder(out, err);
	if (status == BM_OK && (!out->options.looks_only || !base_is_file(path)))
		status = phase_save_config(out, err);
done:
	base_free(path);
	base_free(listing);
	if (status != BM_OK)
		phase_context_free(out);
	return status;
}

void phase_context_free(phase_context *c)
{
	if (!c || !c->observer.self)
		return;
	storage_close(c->store);
	data_set_free(&c->set);
	data_pack_close(&c->pack);
	data_split_free(&c->split);
	model_free(&c->network);
	train_history_free(&c->history);
	evaluate_metrics_free(&c->metrics);
	run_config_free(&c->config);
	base_text_free(&c->text);
	json_decref(c->json);
	json_decref(c->results);
	if (c->log)
		fclose(c->log);
	base_free(c->folder);
	base_free(c->weights);
	base_free(c->figures);
	pthread_mutex_destroy(&c->lock);
	*c = (phase_context){0};
}

bm_status phase_save_config(phase_context *c, bm_error *err)
{
	char *path = phase_path(c, "config.json", err);
	if (!path)
		return BM_ERR_MEMORY;
	bm_status status = run_config_write(&c->config, path, err);
	base_free(path);
	return status;
}

char *phase_path(const phase_context *c, const char *name, bm_error *err)
{
	return base_path_join(c->folder, name, err);
}

/* ---- a phase's frame ---- */

void phase_log(phase_context *c, const char *kind, const char *line)
{
	pthread_mutex_lock(&c->lock);
	write_log(c, kind, line);
	pthread_mutex_unlock(&c->lock);
}

bm_status phase_begin(phase_context *c, bm_error *err)
{
	base_text_free(&c->text);
	json_decref(c->json);
	c->json = json_object();
	return c->json ? BM_OK : base_fail(err, BM_ERR_MEMORY, "no memory for the results");
}

void phase_say(phase_context *c, const char *format, ...)
{
	char line[2048];
	va_list args;
	va_start(args, format);
	vsnprintf(line, sizeof line, format, args);
	va_end(args);
	base_result(&c->observer, "%s", line);
}

bm_status phase_print(phase_context *c, base_text *text, bm_error *err)
{
	bool failed = text->failed;
	base_result_text(&c->observer, base_text_string(text));
	base_text_free(text);
	return failed ? base_fail(err, BM_ERR_MEMORY, "no memory for the text of a phase") : BM_OK;
}

void phase_put(phase_context *c, json_t *object, const char *key, json_t *value)
{
	json_object_set_new(object ? object : c->json, key, value ? value : json_null());
}

void phase_put_int(phase_context *c, json_t *object, const char *key, long long value)
{
	phase_put(c, object, key, json_integer(value));
}

void phase_put_real(phase_context *c, json_t *object, const char *key, double value)
{
	phase_put(c, object, key, json_real(value)); /* NULL when not finite: becomes null */
}

void phase_put_text(phase_context *c, json_t *object, const char *key, const char *value)
{
	phase_put(c, object, key, value ? phase_json_text(value) : NULL);
}

bm_status phase_json_write(const json_t *json, const char *path, bm_error *err)
{
	char *text = json_dumps(json, JSON_INDENT(1) | JSON_REAL_PRECISION(17));
	if (!text)
		return base_fail(err, BM_ERR_MEMORY, "no memory for '%s'", path);
	bm_status status = base_file_write(path, text, strlen(text), err);
	free(text);
	return status;
}

bm_status phase_write_json(const char *folder, const char *name, const json_t *json, bm_error *err)
{
	char *path = base_path_join(folder, name, err);
	bm_status status = path ? phase_json_write(json, path, err) : BM_ERR_MEMORY;
	base_free(path);
	return status;
}

bm_status phase_write_text(const char *folder, const char *name, base_text *text, bm_error *err)
{
	char *path = base_path_join(folder, name, err);
	bm_status status = !path	  ? BM_ERR_MEMORY
			   : text->failed ? base_fail(err, BM_ERR_MEMORY, "no memory for '%s'", path)
					  : base_file_write(path, base_text_string(text), text->length, err);
	base_free(path);
	base_text_free(text);
	return status;
}

bm_status phase_json_read(const char *path, json_t **json, bm_error *err)
{
	uint8_t *bytes = NULL;
	size_t size = 0;
	json_error_t where;
	*json = NULL;
	bm_status status = base_file_read(path, (size_t)1 << 30, &bytes, &size, err);
	if (status != BM_OK)
		return status;
	*json = json_loadb((const char *)bytes, size, 0, &where);
	base_free(bytes);
	if (!*json)
		return base_fail(err, BM_ERR_FORMAT,
				 "'%s' is damaged: line %d: %s; delete it and repeat the command that made it", path,
				 where.line, where.text);
	return BM_OK;
}

bm_status phase_end(phase_context *c, int number, const char *name, double seconds, bm_error *err)
{
	char file[96];
	phase_put_real(c, NULL, "seconds", seconds);
	json_t *result = json_pack("{s:i, s:s, s:O}", "phase", number, "name", name, "result", c->json);
	if (!result || json_array_append_new(c->results, result) != 0)
		return base_fail(err, BM_ERR_MEMORY, "no memory for the results of phase %d", number);
	if (!c->folder)
		return BM_OK;
	snprintf(file, sizeof file, "phases/%02d-%s.txt", number, name);
	bm_status status = phase_write_text(c->folder, file, &c->text, err);
	snprintf(file, sizeof file, "phases/%02d-%s.json", number, name);
	return status == BM_OK ? phase_write_json(c->folder, file, result, err) : status;
}

bm_status phase_figure(phase_context *c, bm_status status, const char *name, bm_error *err)
{
	if (status == BM_OK)
		phase_say(c, "✓ Picture: figures/%s.png", name);
	if (status != BM_ERR_UNSUPPORTED)
		return status;
	base_warning(&c->observer, "%s", err ? err->message : "gnuplot is missing: a picture was not drawn");
	return BM_OK;
}
