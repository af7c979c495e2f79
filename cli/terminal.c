#include "cli/terminal.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/text.h"
#include "base/threads.h"

#define CLEAR "\r\033[K"
#define RED "\033[31m"
#define GREEN "\033[32m"
#define YELLOW "\033[33m"
#define PLAIN "\033[0m"

#define DRAW_EVERY 0.1	/* seconds */
#define LINE_EVERY 15.0 /* seconds, when not a terminal */

enum { BAR_WIDTH = 24, LINE_SIZE = 512 };

static atomic_bool cancelled;
static volatile sig_atomic_t signals_seen;
static volatile sig_atomic_t bar_possible;

static void on_signal(int number)
{
	static const char said[] = "\nstopping after this step; once more to stop at once\n";
	(void)number;
	if (signals_seen++) {
		if (bar_possible)
			(void)!write(STDERR_FILENO, CLEAR, sizeof CLEAR - 1);
		_exit(130);
	}
	atomic_store(&cancelled, true);
	int kept = errno;
	(void)!write(STDERR_FILENO, said, sizeof said - 1);
	errno = kept;
}

static int columns(void)
{
	struct winsize size;
	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
		return size.ws_col;
	return 80;
}

static void clear_bar(cli_terminal *t)
{
	if (!t->drawn)
		return;
	fputs(CLEAR, stderr);
	fflush(stderr);
	t->drawn = false;
}

/* A broken pipe also ends the work: nobody would see its results. */
static void write_out(cli_terminal *t, const char *text)
{
	if (t->broken)
		return;
	if (fputs(text, stdout) < 0 || fflush(stdout) != 0) {
		t->broken = true;
		t->broken_error = errno;
		atomic_store(&cancelled, true);
	}
}

static void on_result(void *self, const char *line)
{
	cli_terminal *t = self;
	if (t->json)
		return;
	pthread_mutex_lock(&t->lock);
	clear_bar(t);
	const char *colour = NULL;
	if (t->colour_out && strncmp(line, "✓", strlen("✓")) == 0)
		colour = GREEN;
	else if (t->colour_out && strncmp(line, "✗", strlen("✗")) == 0)
		colour = RED;
	if (colour) {
		write_out(t, colour);
		char tick[8];
		snprintf(tick, sizeof tick, "%.*s", (int)strlen("✓"), line);
		write_out(t, tick);
		write_out(t, PLAIN);
		line += strlen("✓");
	}
	write_out(t, line);
	write_out(t, "\n");
	pthread_mutex_unlock(&t->lock);
}

static void on_note(void *self, const char *line)
{
	cli_terminal *t = self;
	if (t->quiet)
		return;
	pthread_mutex_lock(&t->lock);
	clear_bar(t);
	fprintf(stderr, "%s\n", line);
	pthread_mutex_unlock(&t->lock);
}

static void on_warning(void *self, const char *line)
{
	cli_terminal *t = self;
	pthread_mutex_lock(&t->lock);
	clear_bar(t);
	fprintf(stderr, "%swarning:%s %s\n", t->colour_err ? YELLOW : "", t->colour_err ? PLAIN : "", line);
	pthread_mutex_unlock(&t->lock);
}

/* "412/s" or, when slower than one a second, "2.5 s each". */
static void rate_text(const base_progress *p, char *buffer, size_t size)
{
	double rate = p->seconds > 0 ? (double)p->done / p->seconds : 0;
	if (rate >= 10)
		snprintf(buffer, size, "%.0f %s/s", rate, p->unit);
	else if (rate >= 1)
		snprintf(buffer, size, "%.1f %s/s", rate, p->unit);
	else if (rate > 0)
		snprintf(buffer, size, "%.1f s each", 1 / rate);
	else
		buffer[0] = '\0';
}

static void left_text(const base_progress *p, char *buffer, size_t size)
{
	char span[32];
	buffer[0] = '\0';
	if (p->total <= 0 || p->done <= 0 || p->done >= p->total || p->seconds <= 0)
		return;
	double left = p->seconds / (double)p->done * (double)(p->total - p->done);
	if (left < 60)
		snprintf(buffer, size, ", %d s left", left < 1 ? 1 : (int)(left + 0.5));
	else
		snprintf(buffer, size, ", %s left", base_format_seconds(left, span));
}

static void count_text(const base_progress *p, char *buffer, size_t size)
{
	char done[32], total[32];
	if (p->total > 0)
		snprintf(buffer, size, "%s/%s", base_format_count(p->done, done), base_format_count(p->total, total));
	else
		snprintf(buffer, size, "%s", base_format_count(p->done, done));
}

/* Cuts a line to what the terminal shows; a character is never cut in two. */
static void cut(char *line, int width)
{
	for (size_t length = strlen(line); length > 0 && base_text_columns(line) > width; length--) {
		line[length - 1] = '\0';
		while (length > 1 && ((unsigned char)line[length - 1] & 0xC0) == 0x80)
			line[--length - 1] = '\0';
	}
}

static void draw(cli_terminal *t, const base_progress *p)
{
	char line[LINE_SIZE], bar[BAR_WIDTH + 1], count[80], rate[64], left[64];
	int window = columns(), width = window >= 80 ? BAR_WIDTH : window / 8 + 1;
	width = width > BAR_WIDTH ? BAR_WIDTH : width;
	int filled = p->total > 0 ? (int)(p->done * width / p->total) : 0;
	for (int i = 0; i < width; i++)
		bar[i] = i < filled ? '=' : i == filled ? '>' : '.';
	bar[width] = '\0';
	count_text(p, count, sizeof count);
	rate_text(p, rate, sizeof rate);
	left_text(p, left, sizeof left);
	snprintf(line, sizeof line, "%s [%s] %s  %s%s%s%s", p->what, bar, count, rate, left, p->detail ? "  " : "",
		 p->detail ? p->detail : "");
	cut(line, window - 1);
	fprintf(stderr, "%s%s", CLEAR, line);
	fflush(stderr);
	t->drawn = true;
}

static void say_progress(cli_terminal *t, const base_progress *p)
{
	char count[80], rate[64], left[64];
	count_text(p, count, sizeof count);
	rate_text(p, rate, sizeof rate);
	left_text(p, left, sizeof left);
	fprintf(stderr, "%s: %s %s%s%s%s%s%s\n", p->what, count, p->unit, rate[0] ? ", " : "", rate, left,
		p->detail ? ", " : "", p->detail ? p->detail : "");
	t->said = true;
}

static void on_progress(void *self, const base_progress *p)
{
	cli_terminal *t = self;
	if (t->quiet)
		return;
	double now = base_now();
	bool last = p->total > 0 && p->done >= p->total;
	pthread_mutex_lock(&t->lock);
	if (t->bar) {
		if (last) {
			clear_bar(t);
		} else if (now - t->last >= DRAW_EVERY) {
			draw(t, p);
			t->last = now;
		}
	} else if (last) {
		if (t->said)
			say_progress(t, p);
		t->said = false;
		t->last = now;
	} else if (now - t->last >= LINE_EVERY && p->seconds >= 1) {
		say_progress(t, p);
		t->last = now;
	}
	pthread_mutex_unlock(&t->lock);
}

static bool colours(int file)
{
	const char *none = getenv("NO_COLOR"), *term = getenv("TERM");
	return isatty(file) && !(none && *none) && !(term && strcmp(term, "dumb") == 0);
}

void cli_terminal_init(cli_terminal *t, bool quiet, bool json)
{
	const char *term = getenv("TERM");
	*t = (cli_terminal){.quiet = quiet,
			    .json = json,
			    .colour_out = colours(STDOUT_FILENO),
			    .colour_err = colours(STDERR_FILENO)};
	t->bar = isatty(STDERR_FILENO) && !(term && strcmp(term, "dumb") == 0);
	t->last = t->bar ? 0 : base_now();
	bar_possible = t->bar;
	pthread_mutex_init(&t->lock, NULL);
	t->observer = (base_observer){.self = t,
				      .result = on_result,
				      .note = on_note,
				      .warning = on_warning,
				      .progress = on_progress,
				      .cancel = &cancelled};
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
	sigemptyset(&action.sa_mask);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	signal(SIGPIPE, SIG_IGN);
}

int cli_terminal_finish(cli_terminal *t, int code)
{
	clear_bar(t);
	if (!t->broken && fflush(stdout) != 0) {
		t->broken = true;
		t->broken_error = errno;
	}
	pthread_mutex_destroy(&t->lock);
	if (!t->broken)
		return code;
	fprintf(stderr, "brainmri: cannot write the results to standard output: %s\n", strerror(t->broken_error));
	return code ? code : 1;
}

int cli_terminal_error(cli_terminal *t, const bm_error *err)
{
	clear_bar(t);
	fprintf(stderr, "%sbrainmri:%s %s\n", t->colour_err ? RED : "", t->colour_err ? PLAIN : "", err->message);
	return err->status == BM_ERR_USAGE ? 2 : 1;
}

void cli_terminal_write(cli_terminal *t, const char *text)
{
	pthread_mutex_lock(&t->lock);
	clear_bar(t);
	write_out(t, text);
	pthread_mutex_unlock(&t->lock);
}
