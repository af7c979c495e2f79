#include "storage/http.h"

#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/memory.h"
#include "base/text.h"

enum { HANDLES_MAX = 64, ERROR_BODY_MAX = 1 << 16, LOCATION_MAX = 1 << 14, BUFFER_SIZE = 1 << 18 };

struct storage_http {
	storage_http_options options;
	char *certificates;
	pthread_mutex_t lock;
	CURL *idle[HANDLES_MAX]; /* each with its connections */
	int count;
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static CURLcode ready;

static void start_curl(void)
{
	ready = curl_global_init(CURL_GLOBAL_DEFAULT);
}

bm_status storage_http_open(const storage_http_options *options, storage_http **out, bm_error *err)
{
	*out = NULL;
	pthread_once(&once, start_curl);
	if (ready != CURLE_OK)
		return base_fail(err, BM_ERR_INTERNAL, "libcurl does not start: %s", curl_easy_strerror(ready));
	storage_http *http = base_calloc(1, sizeof *http, "connections", err);
	if (!http)
		return BM_ERR_MEMORY;
	http->options = *options;
	if (options->certificates) {
		http->certificates = base_strdup(options->certificates, err);
		if (!http->certificates) {
			base_free(http);
			return BM_ERR_MEMORY;
		}
	}
	if (pthread_mutex_init(&http->lock, NULL) != 0) {
		base_free(http->certificates);
		base_free(http);
		return base_fail(err, BM_ERR_INTERNAL, "cannot make a lock");
	}
	*out = http;
	return BM_OK;
}

void storage_http_close(storage_http *http)
{
	if (!http)
		return;
	for (int i = 0; i < http->count; i++)
		curl_easy_cleanup(http->idle[i]);
	pthread_mutex_destroy(&http->lock);
	base_free(http->certificates);
	base_free(http);
}

static CURL *take_handle(storage_http *http)
{
	CURL *curl = NULL;
	pthread_mutex_lock(&http->lock);
	if (http->count > 0)
		curl = http->idle[--http->count];
	pthread_mutex_unlock(&http->lock);
	if (curl)
		curl_easy_reset(curl); /* its connections stay */
	else
		curl = curl_easy_init();
	return curl;
}

static void give_handle(storage_http *http, CURL *curl)
{
	pthread_mutex_lock(&http->lock);
	bool kept = http->count < HANDLES_MAX;
	if (kept)
		http->idle[http->count++] = curl;
	pthread_mutex_unlock(&http->lock);
	if (!kept)
		curl_easy_cleanup(curl);
}

/* ---- one request ---- */

typedef struct exchange {
	CURL *curl;
	const storage_http_request *request;
	storage_http_answer *answer;
	const atomic_bool *cancel;
	bm_error *err;
	uint64_t sent;
	size_t capacity;
	bool chunked, too_large, no_memory;
	bm_error *source_error;
	bm_status source_status;
} exchange;

static size_t on_header(char *line, size_t size, size_t count, void *arg)
{
	exchange *x = arg;
	size_t length = size * count;
	static const char location[] = "location:", encoding[] = "transfer-encoding:";
	if (length >= 5 && strncmp(line, "HTTP/", 5) == 0) { /* a new answer, after a 100 for instance */
		base_free(x->answer->location);
		x->answer->location = NULL;
		x->chunked = false;
	} else if (length > sizeof encoding && strncasecmp(line, encoding, sizeof encoding - 1) == 0) {
		for (size_t i = sizeof encoding - 1; i + 7 <= length; i++)
			if (strncasecmp(line + i, "chunked", 7) == 0)
				x->chunked = true;
	} else if (length > sizeof location && length < LOCATION_MAX &&
		   strncasecmp(line, location, sizeof location - 1) == 0) {
		const char *value = line + sizeof location - 1, *end = line + length;
		while (value < end && (*value == ' ' || *value == '\t'))
			value++;
		while (end > value && (end[-1] == '\r' || end[-1] == '\n' || end[-1] == ' '))
			end--;
		char *copy = base_malloc((size_t)(end - value) + 1, 1, "an address", x->err);
		if (!copy) {
			x->no_memory = true;
			return 0;
		}
		memcpy(copy, value, (size_t)(end - value));
		copy[end - value] = '\0';
		base_free(x->answer->location);
		x->answer->location = copy;
	}
	return length;
}

static bool make_room(exchange *x, size_t need)
{
	storage_http_answer *answer = x->answer;
	if (need < x->capacity)
		return true;
	curl_off_t announced = -1;
	curl_easy_getinfo(x->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &announced);
	size_t capacity = need + need / 2 + 1024;
	if (announced >= 0 && (size_t)announced >= need)
		capacity = (size_t)announced + 1;
	uint8_t *grown = base_malloc(capacity, 1, "a server's answer", x->err);
	if (!grown) {
		x->no_memory = true;
		return false;
	}
	if (answer->size > 0)
		memcpy(grown, answer->body, answer->size);
	base_free(answer->body);
	answer->body = grown;
	x->capacity = capacity;
	return true;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *arg)
{
	exchange *x = arg;
	storage_http_answer *answer = x->answer;
	size_t length = size * count, limit = x->request->limit;
	long code = 0;
	curl_off_t announced = -1;
	curl_easy_getinfo(x->curl, CURLINFO_RESPONSE_CODE, &code);
	if (code / 100 == 2 && curl_easy_getinfo(x->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &announced) == CURLE_OK &&
	    announced >= 0 && (uint64_t)announced > limit) {
		x->too_large = true;
		return 0;
	}
	if (code / 100 != 2) { /* what does not fit of an error's page is dropped */
		if (answer->size + length > ERROR_BODY_MAX)
			return length;
	} else if (length > limit - answer->size) {
		x->too_large = true;
		return 0;
	} else if (x->request->room) {
		memcpy(x->request->room + answer->size, bytes, length);
		answer->size += length;
		return length;
	}
	if (!make_room(x, answer->size + length))
		return 0;
	memcpy(answer->body + answer->size, bytes, length);
	answer->size += length;
	answer->body[answer->size] = '\0';
	return length;
}

static size_t on_send(char *bytes, size_t size, size_t count, void *arg)
{
	exchange *x = arg;
	size_t got = 0;
	if (!x->request->source)
		return 0;
	x->source_status = x->request->source->next(x->request->source->arg, (uint8_t *)bytes, size * count, &got,
						    x->source_error);
	x->sent += got;
	if (x->source_status == BM_OK && x->request->source->size != STORAGE_SIZE_UNKNOWN &&
	    (x->sent > x->request->source->size || (got == 0 && x->sent != x->request->source->size)))
		x->source_status =
			base_fail(x->source_error, BM_ERR_IO, "the file changed while it was being read; try again");
	return x->source_status == BM_OK ? got : CURL_READFUNC_ABORT;
}

static int on_begin(void *arg, char *a, char *b, int c, int d)
{
	exchange *x = arg;
	(void)a, (void)b, (void)c, (void)d;
	x->answer->sends++;
	return CURL_PREREQFUNC_OK;
}

static int on_progress(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	exchange *x = arg;
	(void)a, (void)b, (void)c, (void)d;
	return x->cancel && atomic_load(x->cancel);
}

static storage_http_end classify(const exchange *x, CURLcode result)
{
	switch (result) {
	case CURLE_OK:
		return HTTP_ANSWERED;
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
		return HTTP_UNKNOWN_HOST;
	case CURLE_COULDNT_CONNECT: {
		long number = 0;
		curl_easy_getinfo(x->curl, CURLINFO_OS_ERRNO, &number);
		return number == ECONNREFUSED ? HTTP_REFUSED : HTTP_UNREACHABLE;
	}
	case CURLE_OPERATION_TIMEDOUT: {
		curl_off_t connected = 0;
		curl_easy_getinfo(x->curl, CURLINFO_PRETRANSFER_TIME_T, &connected);
		return connected > 0 ? HTTP_STALLED : HTTP_UNREACHABLE;
	}
	case CURLE_PARTIAL_FILE:
	case CURLE_GOT_NOTHING:
	case CURLE_RECV_ERROR:
	case CURLE_SEND_ERROR:
	case CURLE_SEND_FAIL_REWIND: /* a kept connection was gone; the caller decides whether it asks again */
	case CURLE_HTTP2:
	case CURLE_HTTP2_STREAM:
		return HTTP_BROKEN;
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_ISSUER_ERROR:
		return HTTP_INSECURE;
	case CURLE_ABORTED_BY_CALLBACK:
		return x->source_status != BM_OK ? HTTP_SOURCE : HTTP_CANCELLED;
	case CURLE_WRITE_ERROR:
		return x->too_large ? HTTP_TOO_LARGE : HTTP_FAILED;
	default:
		return HTTP_FAILED;
	}
}

static const char *const ends[] = {
	[HTTP_ANSWERED] = "answered",
	[HTTP_REFUSED] = "connection refused",
	[HTTP_UNREACHABLE] = "it cannot be reached",
	[HTTP_UNKNOWN_HOST] = "no computer of that name is known",
	[HTTP_BROKEN] = "the connection broke",
	[HTTP_STALLED] = "it stopped answering",
	[HTTP_INSECURE] = "its certificate is not trusted",
	[HTTP_TOO_LARGE] = "its answer is too large",
	[HTTP_CANCELLED] = "stopped",
	[HTTP_SOURCE] = "the local file cannot be read",
	[HTTP_FAILED] = "the request failed",
};

/* The body's options; curl copies none of the strings' memory that it needs later but the URL. */
static CURLcode set_body(CURL *curl, const storage_http_request *r, exchange *x)
{
	CURLcode bad = CURLE_OK;
	if (strcmp(r->method, "GET") == 0)
		return curl_easy_setopt(curl, CURLOPT_HTTPGET, 1L);
	if (strcmp(r->method, "DELETE") == 0)
		return curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, "DELETE");
	/* PUT and POST announce a length, 0 too: some servers want one. */
	bool known = !r->source || r->source->size != STORAGE_SIZE_UNKNOWN;
	bad |= curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
	bad |= curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, r->method);
	bad |= curl_easy_setopt(curl, CURLOPT_INFILESIZE_LARGE,
				known ? (curl_off_t)(r->source ? r->source->size : 0) : (curl_off_t)-1);
	/* curl cannot go back in a source, so it never sends one again by itself. */
	bad |= curl_easy_setopt(curl, CURLOPT_READFUNCTION, on_send);
	bad |= curl_easy_setopt(curl, CURLOPT_READDATA, x);
	return bad;
}

static CURLcode set_options(storage_http *http, const storage_http_request *r, exchange *x, struct curl_slist *headers,
			    char *text)
{
	CURL *curl = x->curl;
	long idle = (long)(http->options.idle_timeout + 0.999);
	CURLcode bad = CURLE_OK;
	bad |= curl_easy_setopt(curl, CURLOPT_URL, r->url);
	bad |= curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	bad |= curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
	bad |= curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	bad |= curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, text);
	bad |= curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	bad |= curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	bad |= curl_easy_setopt(curl, CURLOPT_USERAGENT, "brainmri/" BM_VERSION);
	bad |= curl_easy_setopt(curl, CURLOPT_TCP_NODELAY, 1L);
	bad |= curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)(http->options.connect_timeout * 1000));
	bad |= curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
	bad |= curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, idle > 0 ? idle : 1L);
	bad |= curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
	bad |= curl_easy_setopt(curl, CURLOPT_HEADERDATA, x);
	bad |= curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
	bad |= curl_easy_setopt(curl, CURLOPT_WRITEDATA, x);
	bad |= curl_easy_setopt(curl, CURLOPT_PREREQFUNCTION, on_begin);
	bad |= curl_easy_setopt(curl, CURLOPT_PREREQDATA, x);
	bad |= curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
	bad |= curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
	bad |= curl_easy_setopt(curl, CURLOPT_XFERINFODATA, x);
	if (http->certificates)
		bad |= curl_easy_setopt(curl, CURLOPT_CAINFO, http->certificates);
	bad |= set_body(curl, r, x);
	/* Wishes: a handle that has its buffers already says no. */
	curl_easy_setopt(curl, CURLOPT_BUFFERSIZE, (long)BUFFER_SIZE);
	curl_easy_setopt(curl, CURLOPT_UPLOAD_BUFFERSIZE, (long)BUFFER_SIZE);
	return bad;
}

/* The three headers that differ from curl's own; *out may be a part on failure. */
static bool make_headers(const storage_http_request *r, struct curl_slist **out)
{
	base_text bearer = {0};
	if (r->bearer)
		base_text_add(&bearer, "Authorization: Bearer %s", r->bearer);
	/* Without "Expect" there is no pause before the body, and the NameNode keeps the connection. */
	const char *lines[3] = {"Expect:"};
	size_t count = 1;
	if (r->source)
		lines[count++] = r->json ? "Content-Type: application/json" : "Content-Type: application/octet-stream";
	if (r->bearer)
		lines[count++] = base_text_string(&bearer);
	bool good = !bearer.failed;
	for (size_t i = 0; good && i < count; i++) {
		struct curl_slist *more = curl_slist_append(*out, lines[i]);
		good = more != NULL;
		*out = good ? more : *out;
	}
	base_text_free(&bearer);
	return good;
}

bm_status storage_http_do(storage_http *http, const storage_http_request *r, storage_http_answer *answer, bm_error *err)
{
	char text[CURL_ERROR_SIZE] = "";
	struct curl_slist *headers = NULL;
	bm_error source_error = {0};
	*answer = (storage_http_answer){0};
	exchange x = {.request = r,
		      .answer = answer,
		      .cancel = r->always ? NULL : http->options.cancel,
		      .err = err,
		      .source_error = &source_error};
	x.curl = take_handle(http);
	if (!x.curl)
		return base_fail(err, BM_ERR_MEMORY, "no memory for a connection");
	CURLcode result = make_headers(r, &headers) ? set_options(http, r, &x, headers, text) : CURLE_OUT_OF_MEMORY;
	if (result != CURLE_OK)
		result = CURLE_OUT_OF_MEMORY;
	else
		result = curl_easy_perform(x.curl);
	bm_status status = BM_OK;
	if (x.no_memory || result == CURLE_OUT_OF_MEMORY) {
		status = base_fail(err, BM_ERR_MEMORY, "no memory for a server's answer");
	} else {
		curl_off_t announced = -1;
		curl_easy_getinfo(x.curl, CURLINFO_RESPONSE_CODE, &answer->code);
		curl_easy_getinfo(x.curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &announced);
		answer->framed = announced >= 0 || x.chunked;
		answer->end = classify(&x, result);
		answer->source_status = x.source_status;
		if (answer->end == HTTP_SOURCE && err)
			*err = source_error;
		/* A server may answer with an error, such as "no space", before it has taken the whole body. */
		if (answer->end == HTTP_BROKEN && answer->code >= 400)
			answer->end = HTTP_ANSWERED;
		if (answer->end != HTTP_ANSWERED)
			snprintf(answer->why, sizeof answer->why, "%s%s%s%s", ends[answer->end],
				 answer->end == HTTP_FAILED || answer->end == HTTP_INSECURE ? " (" : "",
				 answer->end == HTTP_FAILED || answer->end == HTTP_INSECURE
					 ? (text[0] ? text : curl_easy_strerror(result))
					 : "",
				 answer->end == HTTP_FAILED || answer->end == HTTP_INSECURE ? ")" : "");
	}
	curl_slist_free_all(headers);
	curl_easy_setopt(x.curl, CURLOPT_ERRORBUFFER, NULL);
	give_handle(http, x.curl);
	return status;
}

void storage_http_answer_free(storage_http_answer *answer)
{
	base_free(answer->location);
	base_free(answer->body);
	*answer = (storage_http_answer){0};
}
