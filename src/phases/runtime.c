#include "phases/runtime.h"

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

enum { NO_MODULE = 3, SAID = 512 };

/* Images on standard input; probabilities, then the version, on standard output. Modules that lie in the working folder are not taken. */
static const char script[] =
	"import sys\n"
	"sys.path = [p for p in sys.path if p]\n"
	"try:\n"
	"    import numpy, onnxruntime\n"
	"except ImportError as problem:\n"
	"    print(problem, file=sys.stderr)\n"
	"    sys.exit(3)\n"
	"side, channels, threads = map(int, sys.argv[2:])\n"
	"options = onnxruntime.SessionOptions()\n"
	"options.intra_op_num_threads = threads\n"
	"session = onnxruntime.InferenceSession(sys.argv[1], options, providers=['CPUExecutionProvider'])\n"
	"kind = numpy.uint8 if session.get_inputs()[0].type == 'tensor(uint8)' else numpy.float32\n"
	"while True:\n"
	"    data = sys.stdin.buffer.read(16 * side * side * channels)\n"
	"    if not data:\n"
	"        break\n"
	"    images = numpy.frombuffer(data, numpy.uint8).reshape(-1, side, side, channels).astype(kind)\n"
	"    answer = session.run(['probabilities'], {'pixels': images})[0]\n"
	"    sys.stdout.buffer.write(answer.astype('<f4').tobytes())\n"
	"sys.stdout.buffer.write(b'onnxruntime ' + onnxruntime.__version__.encode())\n";

static bool write_all(int fd, const uint8_t *bytes, size_t size)
{
	while (size > 0) {
		ssize_t done = write(fd, bytes, size);
		if (done < 0 && errno != EINTR)
			return false;
		if (done > 0) {
			bytes += done;
			size -= (size_t)done;
		}
	}
	return lseek(fd, 0, SEEK_SET) == 0;
}

/* files: what becomes 0, 1 and 2. */
static int start(char *const *arguments, const int files[3], pid_t *child)
{
	base_spawn spawn;
	int number = base_spawn_open(&spawn);
	if (number)
		return number;
	for (int i = 0; i < 3 && !number; i++)
		number = posix_spawn_file_actions_adddup2(&spawn.actions, files[i], i);
	if (!number)
		number = posix_spawnp(child, arguments[0], &spawn.actions, &spawn.attributes, arguments, environ);
	base_spawn_close(&spawn);
	return number;
}

static bm_status wait_for(pid_t child, const base_observer *observer, int *result, bm_error *err)
{
	bm_status status = BM_OK;
	for (;;) {
		pid_t done = waitpid(child, result, status == BM_OK ? WNOHANG : 0);
		if (done == child || (done < 0 && errno != EINTR))
			return status;
		if (status == BM_OK)
			status = base_check_cancel(observer, err);
		if (status != BM_OK)
			kill(child, SIGKILL);
		else
			nanosleep(&(struct timespec){0, 10000000}, NULL);
	}
}

/* The last line that the program said: Python's tracebacks end with what happened. */
static void read_last_line(int fd, char *text, size_t size)
{
	off_t length = lseek(fd, 0, SEEK_END);
	ssize_t got = pread(fd, text, size - 1, length > (off_t)size - 1 ? length - (off_t)size + 1 : 0);
	text[got > 0 ? got : 0] = '\0';
	while (got > 0 && (unsigned char)text[got - 1] <= ' ')
		text[--got] = '\0';
	char *line = strrchr(text, '\n');
	if (line)
		memmove(text, line + 1, strlen(line));
}

static bm_status read_answer(phase_onnx_job *job, int fd, bm_error *err)
{
	size_t size = job->count * (size_t)job->classes * sizeof(float), done = 0;
	while (done < size) {
		ssize_t got = pread(fd, (char *)job->probabilities + done, size - done, (off_t)done);
		if (got <= 0)
			return base_fail(err, BM_ERR_NUMERIC, "onnxruntime gave %zu bytes of probabilities, not %zu",
					 done, size);
		done += (size_t)got;
	}
	ssize_t length = pread(fd, job->version, sizeof job->version - 1, (off_t)size);
	job->version[length > 0 ? length : 0] = '\0';
	return BM_OK;
}

static bm_status judge(phase_onnx_job *job, const char *python, int result, const int files[3], bm_error *err)
{
	char said[SAID];
	read_last_line(files[2], said, sizeof said);
	if (WIFEXITED(result) && WEXITSTATUS(result) == NO_MODULE)
		return base_fail(
			err, BM_ERR_UNSUPPORTED,
			"'%s' has no onnxruntime (%s); install it with 'pip install onnxruntime', or name a Python "
			"that has it in BRAINMRI_PYTHON",
			python, said);
	if (!WIFEXITED(result) || WEXITSTATUS(result) != 0)
		return base_fail(err, BM_ERR_NUMERIC, "onnxruntime cannot run '%s': %s", job->file, said);
	return read_answer(job, files[1], err);
}

bm_status phase_onnxruntime(phase_onnx_job *job, const base_observer *observer, bm_error *err)
{
	static const char *const names[3] = {"images", "probabilities", "errors"};
	const char *python = getenv("BRAINMRI_PYTHON");
	char side[16], channels[16], threads[16];
	int files[3] = {-1, -1, -1}, result = 0;
	pid_t child;
	bm_status status = BM_OK;
	if (!python || !*python)
		python = "python3";
	snprintf(side, sizeof side, "%d", job->side);
	snprintf(channels, sizeof channels, "%d", job->channels);
	snprintf(threads, sizeof threads, "%d", job->threads);
	char *const arguments[] = {(char *)python, (char *)"-c", (char *)script, (char *)job->file,
				   side,	   channels,	 threads,	 NULL};
	for (int i = 0; i < 3 && status == BM_OK; i++) {
		files[i] = memfd_create(names[i], MFD_CLOEXEC);
		if (files[i] < 0)
			status = base_fail(err, BM_ERR_IO, "cannot start Python: %s", strerror(errno));
	}
	size_t bytes = job->count * (size_t)job->side * (size_t)job->side * (size_t)job->channels;
	if (status == BM_OK && !write_all(files[0], job->images, bytes))
		status = base_fail(err, BM_ERR_MEMORY, "cannot hand the images to Python: %s", strerror(errno));
	if (status == BM_OK) {
		int number = start(arguments, files, &child);
		if (number)
			status = base_fail(
				err, BM_ERR_UNSUPPORTED,
				"cannot start '%s' (%s); name a Python that has onnxruntime in BRAINMRI_PYTHON", python,
				strerror(number));
		else
			status = wait_for(child, observer, &result, err);
	}
	if (status == BM_OK)
		status = judge(job, python, result, files, err);
	for (int i = 0; i < 3; i++)
		if (files[i] >= 0)
			close(files[i]);
	return status;
}
