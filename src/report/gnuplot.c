#include "report/gnuplot.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/child.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/threads.h"
#include "report/figures.h"

#define GNUPLOT_SECONDS 30.0

const char *report_class_colour(int index)
{
	static const char *const colours[REPORT_CLASS_COLOURS] = {"0x0072b2", "0xe69f00", "0x009e73", "0xcc79a7",
								  "0x56b4e9", "0xd55e00", "0x8a7d00", "0x555555"};
	return colours[index % REPORT_CLASS_COLOURS];
}

void report_add_quoted(base_text *script, const char *text)
{
	base_text_add(script, "'");
	for (const char *p = text; *p; p++) {
		if (*p == '\'')
			base_text_add(script, "''");
		else
			base_text_append(script, (unsigned char)*p < 0x20 ? " " : p, 1);
	}
	base_text_add(script, "'");
}

void report_add_field(base_text *data, const char *text)
{
	/* Spaces too: gnuplot would cut a bare field's ends. */
	bool quote = strpbrk(text, ", '\"#;\t\n\r") != NULL || *text == '\0';
	base_text_add(data, "%s", quote ? "\"" : "");
	for (const char *p = text; *p; p++)
		base_text_append(data, (unsigned char)*p < 0x20 ? " " : *p == '"' ? "'" : p, 1);
	base_text_add(data, "%s", quote ? "\"" : "");
}

/* ---- running ---- */

static bool on_path(const char *program)
{
	const char *path = getenv("PATH");
	char file[4096];
	if (!path)
		return false;
	for (const char *from = path; *from;) {
		size_t length = strcspn(from, ":");
		if (length > 0 &&
		    (size_t)snprintf(file, sizeof file, "%.*s/%s", (int)length, from, program) < sizeof file &&
		    access(file, X_OK) == 0)
			return true;
		from += length + (from[length] == ':');
	}
	return false;
}

bool report_gnuplot_available(void)
{
	return on_path("gnuplot");
}

static int start(const char *program, const char *folder, const char *script, int errors, pid_t *child)
{
	base_spawn spawn;
	/* -d: no .gnuplot of the user's changes the picture. */
	char *const arguments[] = {(char *)program, (char *)"-d", (char *)script, NULL};
	int number = base_spawn_open(&spawn);
	if (number)
		return number;
	if (!number)
		number = posix_spawn_file_actions_addopen(&spawn.actions, 0, "/dev/null", O_RDONLY, 0);
	if (!number)
		number = posix_spawn_file_actions_addopen(&spawn.actions, 1, "/dev/null", O_WRONLY, 0);
	if (!number)
		number = posix_spawn_file_actions_adddup2(&spawn.actions, errors, 2);
	if (!number)
		number = posix_spawn_file_actions_addchdir_np(&spawn.actions, folder);
	if (!number)
		number = posix_spawnp(child, program, &spawn.actions, &spawn.attributes, arguments, environ);
	base_spawn_close(&spawn);
	return number;
}

/* What the program said, on one line. */
static void read_errors(int fd, char *text, size_t size)
{
	ssize_t length = pread(fd, text, size - 1, 0);
	size_t out = 0;
	bool space = true;
	for (ssize_t i = 0; i < length; i++) {
		bool blank = (unsigned char)text[i] <= ' ';
		if (!(blank && space))
			text[out++] = blank ? ' ' : text[i];
		space = blank;
	}
	while (out > 0 && text[out - 1] == ' ')
		out--;
	text[out] = '\0';
}

/* False: still running after so many seconds, and now killed. */
static bool wait_for(pid_t child, double seconds, int *result)
{
	double end = base_now() + seconds;
	for (;;) {
		pid_t done = waitpid(child, result, WNOHANG);
		if (done == child)
			return true;
		if (done < 0 && errno != EINTR) {
			*result = 0; /* someone else reaped it: nothing is known but that it ended */
			return true;
		}
		if (base_now() > end)
			break;
		nanosleep(&(struct timespec){0, 2000000}, NULL);
	}
	kill(child, SIGKILL);
	while (waitpid(child, result, 0) < 0 && errno == EINTR)
		continue;
	return false;
}

bm_status report_run_program(const char *program, const char *folder, const char *script, double seconds, bm_error *err)
{
	pid_t child;
	int result;
	char said[512];
	if (!on_path(program))
		return base_fail(
			err, BM_ERR_UNSUPPORTED,
			"cannot draw '%s/%s': %s is not installed; install it with 'apt-get install gnuplot-nox', "
			"then run it on that file",
			folder, script, program);
	int errors = memfd_create("errors", MFD_CLOEXEC);
	if (errors < 0)
		return base_fail(err, BM_ERR_IO, "cannot start %s: %s", program, strerror(errno));
	bm_status status = BM_OK;
	int number = start(program, folder, script, errors, &child);
	if (number) {
		status = base_fail(err, BM_ERR_IO, "cannot start %s in '%s': %s", program, folder, strerror(number));
	} else if (!wait_for(child, seconds, &result)) {
		status = base_fail(err, BM_ERR_IO,
				   "%s did not finish '%s/%s' within %.0f s and was stopped; try it by hand", program,
				   folder, script, seconds);
	} else if (!WIFEXITED(result) || WEXITSTATUS(result) != 0) {
		read_errors(errors, said, sizeof said);
		char how[64];
		snprintf(how, sizeof how, WIFSIGNALED(result) ? "was stopped by signal %d" : "failed with exit code %d",
			 WIFSIGNALED(result) ? WTERMSIG(result) : WEXITSTATUS(result));
		status = base_fail(err, BM_ERR_IO, "%s %s on '%s/%s': %s", program, how, folder, script,
				   *said ? said : "it did not say why");
	}
	close(errors);
	return status;
}

/* ---- finishing a figure ---- */

static bm_status write_beside(const report_figure *f, const char *ending, const base_text *text, bm_error *err)
{
	char name[128];
	if (text->failed)
		return base_fail(err, BM_ERR_MEMORY, "cannot write %s%s: not enough memory", f->name, ending);
	snprintf(name, sizeof name, "%s%s", f->name, ending);
	char *path = base_path_join(f->folder, name, err);
	if (!path)
		return BM_ERR_MEMORY;
	bm_status status = base_file_write(path, base_text_string(text), text->length, err);
	base_free(path);
	return status;
}

static void wrap_script(const report_figure *f, base_text *all)
{
	base_text_add(
		all,
		"# Draws %s.png and %s.svg from %s.csv:\n"
		"#   gnuplot %s.gp\n"
		"set encoding utf8\n"
		"set datafile separator comma\n"
		"do for [ending in 'png svg'] {\n"
		"if (ending eq 'png') {\n"
		"\tset terminal pngcairo size %d,%d font 'DejaVu Sans,12' fontscale 2 linewidth 2 pointscale 2 "
		"noenhanced "
		"background rgb 'white'\n"
		"} else {\n"
		"\tset terminal svg size %d,%d font 'DejaVu Sans,12' fontscale 1.15 noenhanced background rgb 'white'\n"
		"}\n"
		"set output '%s.'.ending\n",
		f->name, f->name, f->name, f->name, 2 * f->width, 2 * f->height, f->width, f->height, f->name);
	base_text_append(all, base_text_string(&f->script), f->script.length);
	base_text_add(all, "unset output\nreset\nset encoding utf8\nset datafile separator comma\n}\n");
	all->failed = all->failed || f->script.failed;
}

/* A half-drawn picture would look like a finished one. */
static void remove_pictures(const report_figure *f)
{
	char path[4096];
	for (int i = 0; i < 2; i++)
		if ((size_t)snprintf(path, sizeof path, "%s/%s.%s", f->folder, f->name, i == 0 ? "png" : "svg") <
		    sizeof path)
			unlink(path);
}

bm_status report_figure_finish(report_figure *figure, bm_error *err)
{
	base_text all = {0};
	char script[128];
	snprintf(script, sizeof script, "%s.gp", figure->name);
	wrap_script(figure, &all);
	bm_status status = base_make_folders(figure->folder, err);
	if (status == BM_OK)
		status = write_beside(figure, ".csv", &figure->data, err);
	if (status == BM_OK)
		status = write_beside(figure, ".gp", &all, err);
	if (status == BM_OK) {
		remove_pictures(figure);
		status = report_run_program("gnuplot", figure->folder, script, GNUPLOT_SECONDS, err);
		if (status != BM_OK)
			remove_pictures(figure);
	}
	base_text_free(&all);
	base_text_free(&figure->script);
	base_text_free(&figure->data);
	return status;
}
