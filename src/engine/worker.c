#include "engine/worker.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "engine/frame.h"
#include "engine/preprocess.h"

enum { PIPE_BYTES = 1 << 20 };

static bm_status answer_one(int out, const engine_hello *hello, const engine_request *request, engine_answer *answer,
			    bm_error *err)
{
	bool damaged = false;
	bm_status status = BM_ERR_DATA;
	answer->index = request->index;
	answer->size = request->skip ? 0 : request->size;
	if (request->skip) {
		snprintf(answer->reason, sizeof answer->reason, "%.*s", (int)request->size,
			 request->size ? (const char *)request->body : "");
	} else {
		alarm(2 * (unsigned)hello->seconds); /* 0: none */
		status = engine_preprocess_file(request->body, request->size, request->hash, hello->side,
						answer->pixels, &damaged, err);
		alarm(0);
		if (status != BM_OK && !damaged)
			return base_prefix(err, status, "'%s'", request->name);
		if (status != BM_OK)
			snprintf(answer->reason, sizeof answer->reason, "%s", err->message);
	}
	answer->status = status;
	if (status != BM_OK && answer->reason[0] == '\0')
		strcpy(answer->reason, "no reason is known");
	return engine_write_answer(out, hello->side, answer, err);
}

bm_status engine_worker(int in, int out, bm_error *err)
{
	const engine_source source = {engine_source_fd, &in};
	engine_hello hello;
	engine_answer answer = {0};
	bm_error local = {0};
	uint64_t count = 0;
	bool end = false;
	if (!err)
		err = &local; /* the reason of an answer is read from it */
	/* Larger pipes let the other side run ahead; what cannot be had is no failure. */
	(void)fcntl(in, F_SETPIPE_SZ, PIPE_BYTES);
	(void)fcntl(out, F_SETPIPE_SZ, PIPE_BYTES);
	bm_status status = engine_read_hello(&source, &hello, err);
	if (status != BM_OK)
		return status;
	engine_request *request = base_calloc(1, sizeof *request, "a request", err);
	answer.pixels = base_malloc((size_t)hello.side, (size_t)hello.side, "an image", err);
	status = request && answer.pixels ? engine_write_part_begin(out, hello.side, err) : BM_ERR_MEMORY;
	while (status == BM_OK) {
		status = engine_read_request(&source, request, &end, err);
		if (status != BM_OK || end)
			break;
		status = answer_one(out, &hello, request, &answer, err);
		count++;
	}
	if (status == BM_OK)
		status = engine_write_part_end(out, count, err);
	if (request)
		engine_request_free(request);
	base_free(request);
	base_free(answer.pixels);
	return status;
}
