#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/threads.h"
#include "live/state.h"
#include "phases/phases.h"

static const double PICTURES_EVERY = 4, MACHINE_EVERY = 1; /* seconds */

/* Cuts a text to its room, never within a character. */
static void put_text(char *to, size_t size, const char *from)
{
	size_t length = from ? strlen(from) : 0;
	if (length >= size) {
		length = size - 1;
		while (length > 0 && ((unsigned char)from[length] & 0xC0) == 0x80)
			length--;
	}
	if (length > 0)
		memcpy(to, from, length);
	to[length] = '\0';
}

static void put_line(live_lines *lines, const char *line)
{
	if (lines->count == LIVE_LINES) {
		lines->first = (lines->first + 1) % LIVE_LINES;
		lines->count--;
		lines->dropped++;
	}
	put_text(lines->items[(lines->first + lines->count++) % LIVE_LINES], LIVE_TEXT, line);
}

static void put_numbers(live_numbers *numbers, const base_event *event)
{
	numbers->count = 0;
	for (size_t i = 0; i < event->count && numbers->count < LIVE_NUMBERS; i++) {
		live_number *number = &numbers->items[numbers->count++];
		put_text(number->name, sizeof number->name, event->values[i].name);
		number->value = event->values[i].value;
	}
}

/* Two points become one. Only when it is full, so their number is even. */
static void halve(live_series *s)
{
	for (int i = 0; i < s->count / 2; i++) {
		s->at[i] = s->at[2 * i + 1];
		for (int k = 0; k < LIVE_CURVES; k++)
			s->values[i][k] = (s->values[2 * i][k] + s->values[2 * i + 1][k]) / 2;
	}
	s->count /= 2;
	s->width *= 2;
}

void live_series_add(live_series *s, double at, const double values[LIVE_CURVES])
{
	if (s->width == 0)
		s->width = 1;
	if (s->count == 0 || s->held == s->width) {
		if (s->count == LIVE_POINTS)
			halve(s);
		s->held = 0;
		for (int k = 0; k < LIVE_CURVES; k++)
			s->values[s->count][k] = 0;
		s->count++;
	}
	const int last = s->count - 1;
	s->held++;
	s->at[last] = at;
	for (int k = 0; k < LIVE_CURVES; k++)
		s->values[last][k] += ((float)values[k] - s->values[last][k]) / (float)s->held;
}

/* ---- processor and memory of this process ---- */

static uint64_t resident(void)
{
	FILE *file = fopen("/proc/self/statm", "re");
	unsigned long long size = 0, pages = 0;
	if (!file)
		return 0;
	const bool read = fscanf(file, "%llu %llu", &size, &pages) == 2;
	fclose(file);
	return read ? pages * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
}

static void look_at_machine(live_state *s)
{
	struct timespec spent;
	const double now = base_now(), passed = now - s->cpu_at;
	if (passed < MACHINE_EVERY || clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &spent) != 0)
		return;
	const double time = (double)spent.tv_sec + (double)spent.tv_nsec * 1e-9;
	const bool first = s->cpu_at <= 0;
	s->cpu = first ? 0 : (time - s->cpu_time) / passed / base_cores();
	s->cpu_at = now;
	s->cpu_time = time;
	s->memory = resident();
	if (!first)
		live_series_add(&s->machine, now - s->begun, (const double[LIVE_CURVES]){s->cpu, (double)s->memory});
}

/* ---- what is heard ---- */

static live_state *enter(live_monitor *m)
{
	pthread_mutex_lock(&m->lock);
	look_at_machine(m->state);
	return m->state;
}

static void leave(live_monitor *m)
{
	m->state->version++;
	pthread_cond_broadcast(&m->changed);
	pthread_mutex_unlock(&m->lock);
}

static void on_line(void *self, const char *line)
{
	live_monitor *m = self;
	put_line(&enter(m)->lines, line);
	leave(m);
}

static void on_warning(void *self, const char *line)
{
	live_monitor *m = self;
	put_line(&enter(m)->warnings, line);
	leave(m);
}

static void on_progress(void *self, const base_progress *p)
{
	live_monitor *m = self;
	live_state *s = enter(m);
	put_text(s->what, sizeof s->what, p->what);
	put_text(s->unit, sizeof s->unit, p->unit);
	put_text(s->detail, sizeof s->detail, p->detail);
	s->done = p->done;
	s->total = p->total;
	s->seconds = p->seconds;
	leave(m);
}

static void on_phase(live_state *s, const base_event *event)
{
	if (event->number < 1 || event->number > LIVE_PHASES)
		return;
	live_phase *phase = &s->phases[event->number - 1];
	const double now = base_now();
	s->what[0] = '\0';
	if (event->kind == BASE_PHASE_BEGINS) {
		phase->state = LIVE_RUNNING;
		phase->begun = now;
		return;
	}
	phase->state = LIVE_DONE;
	phase->seconds += now - phase->begun;
	if (phase->numbers.count == 0)
		put_numbers(&phase->numbers, event);
}

static void on_step(live_monitor *m, live_state *s, const base_event *event)
{
	const double values[LIVE_CURVES] = {base_event_value(event, "loss"), base_event_value(event, "accuracy"),
					    base_event_value(event, "learning_rate")};
	const double now = base_now();
	s->step = event->number;
	put_numbers(&s->now, event);
	live_series_add(&s->steps, (double)event->number, values);
	if (event->pictures && (s->pictures == 0 || now - m->pictures_at >= PICTURES_EVERY)) {
		m->pictures_at = now;
		live_pictures_take(&m->pictures, event->pictures);
		s->pictures = m->pictures.number;
	}
}

static void on_stage(live_state *s, const base_event *event)
{
	if (s->stage_count == LIVE_STAGES)
		return;
	live_stage *stage = &s->stages[s->stage_count++];
	stage->number = (int)event->number;
	put_text(stage->title, sizeof stage->title, event->text);
	put_numbers(&stage->numbers, event);
}

static void on_event(void *self, const base_event *event)
{
	live_monitor *m = self;
	live_state *s = enter(m);
	switch (event->kind) {
	case BASE_PHASE_BEGINS:
	case BASE_PHASE_ENDS:
		on_phase(s, event);
		break;
	case BASE_STAGE:
		on_stage(s, event);
		break;
	case BASE_STEP:
		on_step(m, s, event);
		break;
	case BASE_EPOCH:
		live_series_add(&s->epochs, (double)event->number,
				(const double[LIVE_CURVES]){
					base_event_value(event, "loss"), base_event_value(event, "accuracy"),
					base_event_value(event, "val_loss"), base_event_value(event, "val_accuracy")});
		break;
	case BASE_CLUSTER:
		s->cluster = true;
		put_text(s->cluster_page, sizeof s->cluster_page, event->text);
		put_numbers(&s->cluster_numbers, event);
		break;
	}
	leave(m);
}

/* ---- making ---- */

bm_status live_monitor_create(const live_options *options, const base_observer *outer, live_monitor **out,
			      bm_error *err)
{
	pthread_condattr_t monotonic;
	struct timespec wall;
	*out = NULL;
	live_monitor *m = base_calloc(1, sizeof *m, "the live page", err);
	if (!m)
		return BM_ERR_MEMORY;
	if (pthread_mutex_init(&m->lock, NULL) != 0) {
		base_free(m);
		return base_fail(err, BM_ERR_INTERNAL, "cannot make a lock");
	}
	if (pthread_condattr_init(&monotonic) == 0) {
		pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
		m->condition = pthread_cond_init(&m->changed, &monotonic) == 0;
		pthread_condattr_destroy(&monotonic);
	}
	m->state = base_calloc(1, sizeof *m->state, "the live page", err);
	m->command = base_strdup(options->command, err);
	m->folder = options->folder ? base_strdup(options->folder, err) : NULL;
	if (!m->condition || !m->state || !m->command || (options->folder && !m->folder)) {
		const bm_status status =
			m->condition ? BM_ERR_MEMORY : base_fail(err, BM_ERR_INTERNAL, "cannot make a lock");
		live_monitor_free(m);
		return status;
	}
	clock_gettime(CLOCK_REALTIME, &wall);
	m->wall = (double)wall.tv_sec;
	m->observer = (base_observer){.self = m,
				      .result = on_line,
				      .note = on_line,
				      .warning = on_warning,
				      .progress = on_progress,
				      .event = on_event,
				      .next = outer,
				      .cancel = outer ? outer->cancel : NULL};
	m->state->begun = base_now();
	m->state->version = 1;
	for (int i = PHASE_ENTRIES - 1; i >= 0; i--) /* a phase of several parts has its first one's title */
		put_text(m->state->phases[phase_entries[i].number - 1].title, sizeof m->state->phases[0].title,
			 phase_entries[i].title);
	*out = m;
	return BM_OK;
}

void live_monitor_free(live_monitor *m)
{
	if (!m)
		return;
	if (m->condition)
		pthread_cond_destroy(&m->changed);
	pthread_mutex_destroy(&m->lock);
	live_pictures_free(&m->pictures);
	base_free(m->state);
	base_free(m->command);
	base_free(m->folder);
	base_free(m);
}

const base_observer *live_monitor_observer(const live_monitor *m)
{
	return &m->observer;
}

void live_monitor_finish(live_monitor *m, bm_status status, const char *message)
{
	live_state *s = enter(m);
	s->finished = true;
	s->status = status;
	put_text(s->message, sizeof s->message, message);
	leave(m);
}

/* ---- what is read ---- */

uint64_t live_monitor_wait(live_monitor *m, uint64_t after, double seconds)
{
	struct timespec until;
	clock_gettime(CLOCK_MONOTONIC, &until);
	const double fraction = seconds - floor(seconds) + (double)until.tv_nsec * 1e-9;
	until.tv_sec += (time_t)floor(seconds) + (fraction >= 1);
	until.tv_nsec = (long)((fraction - (fraction >= 1)) * 1e9);
	pthread_mutex_lock(&m->lock);
	while (m->state->version <= after && !m->state->finished)
		if (pthread_cond_timedwait(&m->changed, &m->lock, &until) != 0)
			break;
	const uint64_t version = m->state->version;
	pthread_mutex_unlock(&m->lock);
	return version;
}

bool live_monitor_finished(live_monitor *m)
{
	pthread_mutex_lock(&m->lock);
	const bool finished = m->state->finished;
	pthread_mutex_unlock(&m->lock);
	return finished;
}

json_t *live_monitor_state(live_monitor *m)
{
	live_state *copy = base_malloc(1, sizeof *copy, "the live page", NULL);
	if (!copy)
		return NULL;
	pthread_mutex_lock(&m->lock);
	look_at_machine(m->state);
	*copy = *m->state;
	pthread_mutex_unlock(&m->lock);
	json_t *json = live_state_json(copy, m->command, m->folder, m->wall);
	base_free(copy);
	return json;
}

json_t *live_monitor_pictures(live_monitor *m)
{
	live_pictures copy = {0};
	pthread_mutex_lock(&m->lock);
	const bool copied = live_pictures_copy(&m->pictures, &copy);
	pthread_mutex_unlock(&m->lock);
	json_t *json = copied ? live_pictures_json(&copy) : NULL;
	live_pictures_free(&copy);
	return json;
}
