#include "storage/download.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/text.h"
#include "base/threads.h"

enum { ATTEMPTS = 4 /* in a row that bring no byte */, REDIRECTS = 5, PIECE = 1 << 16 };

typedef struct transfer {
	const storage_download *d;
	const base_observer *observer;
	CURL *curl;
	int fd;	       /* of path.part */
	uint64_t have; /* bytes in it */
	bool begun;    /* the answer's first bytes have come */
	bool too_long;
	int write_error; /* errno */
	double started;
	char why[CURL_ERROR_SIZE];
} transfer;

static bool check_hash(int fd, const storage_download *d)
{
	unsigned char digest[EVP_MAX_MD_SIZE], piece[PIECE];
	unsigned int length = 0;
	char text[2 * EVP_MAX_MD_SIZE + 1] = "";
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	bool good = context && EVP_DigestInit_ex(context, EVP_md5(), NULL);
	off_t at = 0;
	ssize_t got = 0;
	while (good && (got = pread(fd, piece, sizeof piece, at)) > 0) {
		good = EVP_DigestUpdate(context, piece, (size_t)got);
		at += got;
	}
	good = good && got == 0 && (uint64_t)at == d->size && EVP_DigestFinal_ex(context, digest, &length);
	EVP_MD_CTX_free(context);
	for (unsigned i = 0; good && i < length; i++)
		snprintf(text + 2 * i, 3, "%02x", digest[i]);
	return good && strcasecmp(text, d->md5) == 0;
}

bool storage_download_done(const storage_download *d)
{
	struct stat info;
	int fd = open(d->path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	bool good = fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && (uint64_t)info.st_size == d->size &&
		    check_hash(fd, d);
	close(fd);
	return good;
}

/* ---- one attempt ---- */

static void show(const transfer *t, bool last)
{
	base_progress progress = {.what = "Downloading",
				  .unit = "MB",
				  .done = (long long)(t->have / 1000000),
				  .total = (long long)(t->d->size / 1000000),
				  .seconds = base_now() - t->started};
	if (!last && progress.done >= progress.total) /* that would end the bar */
		progress.done = progress.total - 1;
	if (progress.total > 0)
		base_report_progress(t->observer, &progress);
}

/* A server that does not know ranges sends all of the file again. */
static bool begin(transfer *t)
{
	long code = 0;
	curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &code);
	t->begun = true;
	if (code == 206 || t->have == 0)
		return true;
	t->have = 0;
	return ftruncate(t->fd, 0) == 0;
}

static size_t take(char *bytes, size_t one, size_t count, void *self)
{
	transfer *t = self;
	size_t size = one * count, done = 0;
	if (!t->begun && !begin(t)) {
		t->write_error = errno;
		return 0;
	}
	if (size > t->d->size - t->have) {
		t->too_long = true;
		return 0;
	}
	while (done < size) {
		ssize_t got = pwrite(t->fd, bytes + done, size - done, (off_t)t->have);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			t->write_error = errno;
			return 0;
		}
		done += (size_t)got;
		t->have += (uint64_t)got;
	}
	return size;
}

static int look(void *self, curl_off_t total, curl_off_t now, curl_off_t upload_total, curl_off_t upload_now)
{
	const transfer *t = self;
	(void)total, (void)now, (void)upload_total, (void)upload_now;
	show(t, false);
	return base_check_cancel(t->observer, NULL) != BM_OK;
}

static CURLcode attempt(transfer *t)
{
	CURL *c = t->curl;
	const storage_download *d = t->d;
	bool secure = strncasecmp(d->url, "https:", 6) == 0;
	double stall = d->stall_timeout > 0 ? d->stall_timeout : 30;
	t->begun = false;
	t->why[0] = '\0';
	curl_easy_reset(c);
	CURLcode code = curl_easy_setopt(c, CURLOPT_URL, d->url);
	if (code != CURLE_OK)
		return code;
	curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(c, CURLOPT_REDIR_PROTOCOLS_STR, secure ? "https" : "http,https");
	curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 1L);
	curl_easy_setopt(c, CURLOPT_MAXREDIRS, (long)REDIRECTS);
	curl_easy_setopt(c, CURLOPT_FAILONERROR, 1L);
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_USERAGENT, "brainmri/" BM_VERSION);
	curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, (long)(stall * 1000));
	curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, stall < 1 ? 1L : (long)stall);
	curl_easy_setopt(c, CURLOPT_ERRORBUFFER, t->why);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, take);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, t);
	curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, look);
	curl_easy_setopt(c, CURLOPT_XFERINFODATA, t);
	curl_easy_setopt(c, CURLOPT_RESUME_FROM_LARGE, (curl_off_t)t->have);
	return curl_easy_perform(c);
}

/* ---- all attempts ---- */

static bm_status sleep_for(double seconds, const base_observer *observer, bm_error *err)
{
	double end = base_now() + seconds;
	bm_status status = BM_OK;
	while (status == BM_OK && base_now() < end) {
		nanosleep(&(struct timespec){0, 20000000}, NULL);
		status = base_check_cancel(observer, err);
	}
	return status;
}

/* True when another attempt may help. */
static bool passing(CURLcode code, long answer)
{
	switch (code) {
	case CURLE_HTTP_RETURNED_ERROR:
		return answer >= 500 || answer == 408 || answer == 429;
	case CURLE_OK: /* ended early without an announced length */
	case CURLE_PARTIAL_FILE:
	case CURLE_RECV_ERROR:
	case CURLE_SEND_ERROR:
	case CURLE_GOT_NOTHING:
	case CURLE_OPERATION_TIMEDOUT:
	case CURLE_HTTP2:
	case CURLE_HTTP2_STREAM:
		return true;
	default:
		return false;
	}
}

static bm_status failed(const transfer *t, CURLcode code, bm_error *err)
{
	const char *why = t->why[0]	     ? t->why
			  : code == CURLE_OK ? "the connection ended early"
					     : curl_easy_strerror(code);
	if (t->write_error)
		return base_fail(err, BM_ERR_IO, "cannot write '%s.part': %s", t->d->path, strerror(t->write_error));
	return base_fail(err, BM_ERR_IO, "cannot fetch %s from %s: %s", t->d->what, t->d->url, why);
}

/* Until path.part has all bytes. */
static bm_status fetch(transfer *t, bm_error *err)
{
	double pause = t->d->pause > 0 ? t->d->pause : 1;
	int fruitless = 0;
	while (t->have < t->d->size) {
		uint64_t before = t->have;
		long answer = 0;
		CURLcode code = attempt(t);
		curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &answer);
		bm_status status = base_check_cancel(t->observer, err);
		if (status != BM_OK)
			return status;
		if (t->too_long)
			return base_fail(err, BM_ERR_FORMAT,
					 "%s sends more than the %llu bytes of %s: it is another file", t->d->url,
					 (unsigned long long)t->d->size, t->d->what);
		if (t->have >= t->d->size && code == CURLE_OK)
			break;
		/* What is there does not fit to what the server has: from the beginning. */
		bool misfit = before > 0 && (code == CURLE_RANGE_ERROR || answer == 416);
		if (misfit && ftruncate(t->fd, 0) == 0)
			t->have = 0;
		if (t->write_error || (!misfit && !passing(code, answer)))
			return failed(t, code, err);
		fruitless = t->have > before ? 0 : fruitless + 1;
		if (fruitless >= ATTEMPTS)
			return failed(t, code, err);
		if (!misfit) {
			base_note(t->observer, "the connection broke off (%s): trying again",
				  t->why[0] ? t->why : "it ended early");
			status = sleep_for(pause * (1 << fruitless), t->observer, err);
		}
		if (status != BM_OK)
			return status;
	}
	return BM_OK;
}

/* Verifies path.part and gives it its name. */
static bm_status finish(transfer *t, const char *part, bm_error *err)
{
	const storage_download *d = t->d;
	if (!check_hash(t->fd, d)) {
		unlink(part);
		return base_fail(err, BM_ERR_FORMAT, "what %s sends is not %s (its md5 is not %s): it was not kept",
				 d->url, d->what, d->md5);
	}
	if (fsync(t->fd) != 0 || rename(part, d->path) != 0)
		return base_fail(err, BM_ERR_IO, "cannot write '%s': %s", d->path, strerror(errno));
	show(t, true);
	return BM_OK;
}

static bm_status fetch_part(const storage_download *d, const char *part, const base_observer *observer, bool *resumed,
			    bm_error *err)
{
	transfer t = {.d = d, .observer = observer, .started = base_now()};
	struct stat info;
	bm_status status;
	t.fd = open(part, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (t.fd < 0)
		return base_fail(err, BM_ERR_IO, "cannot write '%s': %s", part, strerror(errno));
	t.curl = curl_easy_init();
	if (!t.curl || fstat(t.fd, &info) != 0) {
		status = base_fail(err, BM_ERR_MEMORY, "cannot start a download");
		goto done;
	}
	t.have = (uint64_t)info.st_size;
	if (t.have > d->size && ftruncate(t.fd, 0) == 0)
		t.have = 0;
	*resumed = t.have > 0;
	status = fetch(&t, err);
	if (status == BM_OK)
		status = finish(&t, part, err);
	else if (status == BM_ERR_FORMAT)
		unlink(part);
done:
	if (t.curl)
		curl_easy_cleanup(t.curl);
	if (status != BM_OK && t.have == 0)
		unlink(part);
	close(t.fd);
	return status;
}

/* Waits until this process is the one that fetches the file. */
static bm_status lock_file(const char *path, const base_observer *observer, int *fd, bm_error *err)
{
	bool said = false;
	bm_status status = BM_OK;
	*fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (*fd < 0)
		return base_fail(err, BM_ERR_IO, "cannot write '%s': %s", path, strerror(errno));
	while (status == BM_OK && flock(*fd, LOCK_EX | LOCK_NB) != 0) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return base_fail(err, BM_ERR_IO, "cannot lock '%s': %s", path, strerror(errno));
		if (!said)
			base_note(observer, "another brainmri is fetching this file: waiting for it");
		said = true;
		status = sleep_for(.1, observer, err);
	}
	return status;
}

bm_status storage_download_file(const storage_download *d, const base_observer *observer, bm_error *err)
{
	base_text part = {0}, lock = {0}, folder = {0};
	int fd = -1;
	bool resumed = false;
	bm_status status = BM_OK;
	if (storage_download_done(d))
		return BM_OK;
	base_text_add(&part, "%s.part", d->path);
	base_text_add(&lock, "%s.lock", d->path);
	base_text_append(&folder, d->path, (size_t)(base_path_name(d->path) - d->path));
	if (part.failed || lock.failed || folder.failed || curl_global_init(CURL_GLOBAL_DEFAULT) != 0) {
		status = base_fail(err, BM_ERR_MEMORY, "not enough memory to start a download");
		goto done;
	}
	if (folder.length > 0)
		status = base_make_folders(folder.data, err);
	if (status == BM_OK)
		status = lock_file(lock.data, observer, &fd, err);
	if (status != BM_OK || storage_download_done(d)) /* another process was faster */
		goto done;
	if (base_is_file(d->path))
		base_warning(observer, "'%s' is not %s, or damaged: it is fetched anew", d->path, d->what);
	status = fetch_part(d, part.data, observer, &resumed, err);
	/* The beginning may have been of another file. */
	if (status == BM_ERR_FORMAT && resumed)
		status = fetch_part(d, part.data, observer, &resumed, err);
done:
	if (fd >= 0)
		close(fd);
	base_text_free(&part);
	base_text_free(&lock);
	base_text_free(&folder);
	return status;
}
