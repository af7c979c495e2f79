/* The state as the page reads it. */
#include <math.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/threads.h"
#include "live/state.h"

static json_t *number(double value)
{
	json_t *json = isfinite(value) ? json_real(value) : NULL;
	return json ? json : json_null();
}

/* Names of files may hold any bytes. */
static json_t *text(const char *utf8)
{
	char plain[BM_MESSAGE_SIZE];
	json_t *json = json_string(utf8);
	if (json)
		return json;
	size_t i = 0;
	for (; utf8[i] && i + 1 < sizeof plain; i++)
		plain[i] = (char)((unsigned char)utf8[i] < 0x80 ? utf8[i] : '?');
	plain[i] = '\0';
	return json_string(plain);
}

static json_t *numbers(const live_numbers *from)
{
	json_t *object = json_object();
	for (int i = 0; i < from->count; i++)
		json_object_set_new(object, from->items[i].name, number(from->items[i].value));
	return object;
}

/* {"at": [...], NAME: [...], ...} */
static json_t *series(const live_series *from, const char *const *names, int count)
{
	json_t *object = json_object(), *at = json_array();
	for (int i = 0; i < from->count; i++)
		json_array_append_new(at, number(from->at[i]));
	json_object_set_new(object, "at", at);
	for (int k = 0; k < count; k++) {
		json_t *values = json_array();
		for (int i = 0; i < from->count; i++)
			json_array_append_new(values, number((double)from->values[i][k]));
		json_object_set_new(object, names[k], values);
	}
	return object;
}

static json_t *lines(const live_lines *from)
{
	json_t *list = json_array();
	for (int i = 0; i < from->count; i++)
		json_array_append_new(list, text(from->items[(from->first + i) % LIVE_LINES]));
	return list;
}

static json_t *phases(const live_state *s, double now)
{
	static const char *const states[] = {"to come", "running", "done"};
	json_t *list = json_array();
	for (int i = 0; i < LIVE_PHASES; i++) {
		const live_phase *p = &s->phases[i];
		const bool running = p->state == LIVE_RUNNING;
		json_array_append_new(list,
				      json_pack("{s:i, s:o, s:s, s:o, s:o}", "number", i + 1, "title", text(p->title),
						"state", running && s->finished ? "stopped" : states[p->state],
						"seconds", number(p->seconds + (running ? now - p->begun : 0)),
						"numbers", numbers(&p->numbers)));
	}
	return list;
}

static json_t *stages(const live_state *s)
{
	json_t *list = json_array();
	for (int i = 0; i < s->stage_count; i++)
		json_array_append_new(list,
				      json_pack("{s:i, s:o, s:o}", "number", s->stages[i].number, "title",
						text(s->stages[i].title), "numbers", numbers(&s->stages[i].numbers)));
	return list;
}

static json_t *progress(const live_state *s)
{
	if (!s->what[0])
		return json_null();
	return json_pack("{s:o, s:o, s:o, s:I, s:I, s:o}", "what", text(s->what), "unit", text(s->unit), "detail",
			 text(s->detail), "done", (json_int_t)s->done, "total", (json_int_t)s->total, "seconds",
			 number(s->seconds));
}

static json_t *machine(const live_state *s)
{
	static const char *const names[] = {"cpu", "memory"};
	return json_pack("{s:o, s:i, s:I, s:I, s:I, s:o}", "cpu", number(s->cpu), "cores", base_cores(), "memory",
			 (json_int_t)s->memory, "memory_peak", (json_int_t)base_memory_resident_peak(),
			 "memory_available", (json_int_t)base_memory_available(), "curves",
			 series(&s->machine, names, 2));
}

/* Where the report is, or will be. */
static json_t *report(const char *folder)
{
	char *whole = folder ? realpath(folder, NULL) : NULL, *path = NULL;
	json_t *json = NULL;
	if (whole)
		path = base_path_join(whole, "report.html", NULL);
	if (path && base_is_file(path))
		json = text(path);
	base_free(path);
	free(whole);
	return json ? json : json_null();
}

json_t *live_state_json(const live_state *s, const char *command, const char *folder, double wall)
{
	static const char *const steps[] = {"loss", "accuracy", "learning_rate"};
	static const char *const epochs[] = {"loss", "accuracy", "val_loss", "val_accuracy"};
	const double now = base_now();
	const char *state = !s->finished		    ? "running"
			    : s->status == BM_OK	    ? "done"
			    : s->status == BM_ERR_CANCELLED ? "stopped"
							    : "failed";
	json_t *json = json_object(), *training = numbers(&s->now);
	json_object_set_new(json, "version", json_integer((json_int_t)s->version));
	json_object_set_new(json, "command", text(command));
	json_object_set_new(json, "folder", folder ? text(folder) : json_null());
	json_object_set_new(json, "state", json_string(state));
	json_object_set_new(json, "message", text(s->message));
	json_object_set_new(json, "started", json_integer((json_int_t)wall));
	json_object_set_new(json, "seconds", number(now - s->begun));
	json_object_set_new(json, "phases", phases(s, now));
	json_object_set_new(json, "progress", progress(s));
	json_object_set_new(training, "step", json_integer((json_int_t)s->step));
	json_object_set_new(json, "training", training);
	json_object_set_new(json, "stages", stages(s));
	json_object_set_new(json, "steps", series(&s->steps, steps, 3));
	json_object_set_new(json, "epochs", series(&s->epochs, epochs, 4));
	json_object_set_new(json, "pictures", json_integer((json_int_t)s->pictures));
	json_object_set_new(json, "machine", machine(s));
	json_object_set_new(json, "cluster",
			    s->cluster ? json_pack("{s:o, s:o}", "page", text(s->cluster_page), "numbers",
						   numbers(&s->cluster_numbers))
				       : json_null());
	json_object_set_new(json, "warnings", lines(&s->warnings));
	json_object_set_new(json, "warnings_dropped", json_integer(s->warnings.dropped));
	json_object_set_new(json, "lines", lines(&s->lines));
	json_object_set_new(json, "report", s->finished && s->status == BM_OK ? report(folder) : json_null());
	return json;
}
