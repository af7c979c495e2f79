#include "engine/worker.h"

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

#include "data/test_fixture.h"
#include "engine/frame.h"
#include "engine/preprocess.h"

enum { SIDE = 32, IMAGES = 6 };

/* A stream in memory, to send and to read. */
struct bytes {
	uint8_t data[1 << 20];
	size_t size, at;
};
static struct bytes request, part;

static void put(struct bytes *to, const void *bytes, size_t size)
{
	assert_true(to->size + size <= sizeof to->data);
	memcpy(to->data + to->size, bytes, size);
	to->size += size;
}

static void put_number(struct bytes *to, uint64_t value, int size)
{
	for (int i = 0; i < size; i++)
		put(to, &(uint8_t){(uint8_t)(value >> 8 * i)}, 1);
}

static void begin(int side, int seconds)
{
	request.size = 0;
	put(&request, "BMWORK01", 8);
	put_number(&request, (uint64_t)side, 4);
	put_number(&request, (uint64_t)seconds, 4);
}

static void ask(uint32_t kind, uint64_t index, const char *name, const void *body, size_t size, base_hash hash)
{
	put(&request, "BMRQ", 4);
	put_number(&request, kind, 4);
	put_number(&request, index, 8);
	put_number(&request, strlen(name), 4);
	put_number(&request, size, 4);
	put_number(&request, hash.low, 8);
	put_number(&request, hash.high, 8);
	put(&request, name, strlen(name));
	put(&request, body, size);
}

struct feeder {
	int fd;
};

static void *feed(void *arg)
{
	const struct feeder *feeder = arg;
	bm_error ignored;
	(void)engine_write_fd(feeder->fd, request.data, request.size, &ignored);
	close(feeder->fd);
	return NULL;
}

struct runner {
	int in, out;
	bm_status status;
	bm_error err;
};

static void *run_worker(void *arg)
{
	struct runner *runner = arg;
	runner->status = engine_worker(runner->in, runner->out, &runner->err);
	close(runner->out);
	close(runner->in);
	return NULL;
}

/* Sends `request` through a worker; what it writes is `part`. */
static bm_status work(bm_error *err)
{
	int to[2], from[2];
	pthread_t feeding, running;
	size_t got = 0;
	assert_int_equal(pipe(to), 0);
	assert_int_equal(pipe(from), 0);
	struct feeder feeder = {to[1]};
	struct runner runner = {.in = to[0], .out = from[1]};
	assert_int_equal(pthread_create(&feeding, NULL, feed, &feeder), 0);
	assert_int_equal(pthread_create(&running, NULL, run_worker, &runner), 0);
	assert_ok(engine_source_fd(&from[0], part.data, sizeof part.data, &got, &oops));
	part.size = got;
	part.at = 0;
	close(from[0]);
	pthread_join(running, NULL);
	pthread_join(feeding, NULL);
	*err = runner.err;
	return runner.status;
}

static bm_status from_memory(void *state, void *to, size_t size, size_t *got, bm_error *err)
{
	struct bytes *bytes = state;
	(void)err;
	*got = bytes->size - bytes->at < size ? bytes->size - bytes->at : size;
	memcpy(to, bytes->data + bytes->at, *got);
	bytes->at += *got;
	return BM_OK;
}

/* Reads all of `part`; the number of answers in *count. */
static bm_status read_part(size_t *count, bm_error *err)
{
	engine_part reader = {.source = {from_memory, &part}, .name = "a part"};
	engine_answer answer;
	base_hash check;
	uint8_t pixels[SIDE * SIDE];
	bool end = false;
	part.at = 0;
	*count = 0;
	bm_status status = engine_part_begin(&reader, SIDE, err);
	while (status == BM_OK) {
		status = engine_part_next(&reader, &answer, &check, &end, err);
		if (status != BM_OK || end)
			break;
		if (answer.status == BM_OK)
			status = engine_part_pixels(&reader, &answer, check, pixels, err);
		(*count)++;
	}
	return status;
}

/* A JPEG of a phantom as bytes; base_free. */
static uint8_t *jpeg(uint64_t index, size_t *size)
{
	image img = {0};
	uint8_t *bytes = NULL;
	assert_ok(image_phantom(1, (int)(index % 4), index, 96, &img, &oops));
	assert_ok(image_encode_jpeg(&img, 90, &bytes, size, &oops));
	image_free(&img);
	return bytes;
}

static void ask_for_images(void)
{
	begin(SIDE, 30);
	for (uint64_t i = 0; i < IMAGES; i++) {
		size_t size;
		uint8_t *bytes = jpeg(i, &size);
		ask(0, 100 + i, "glioma/one.jpg", bytes, size, base_hash_bytes(bytes, size));
		base_free(bytes);
	}
}

static void images_come_back_as_the_threads_make_them(void **state)
{
	engine_part reader = {.source = {from_memory, &part}, .name = "a part"};
	engine_answer answer;
	base_hash check;
	bool end;
	bm_error err = {0};
	uint8_t pixels[SIDE * SIDE], expected[SIDE * SIDE];
	(void)state;
	ask_for_images();
	assert_ok(work(&oops));
	assert_ok(engine_part_begin(&reader, SIDE, &oops));
	for (uint64_t i = 0; i < IMAGES; i++) {
		size_t size;
		uint8_t *bytes = jpeg(i, &size);
		assert_ok(engine_part_next(&reader, &answer, &check, &end, &oops));
		assert_false(end);
		assert_int_equal(answer.index, 100 + i);
		assert_int_equal(answer.status, BM_OK);
		assert_int_equal(answer.size, size);
		assert_ok(engine_part_pixels(&reader, &answer, check, pixels, &oops));
		assert_ok(engine_preprocess_bytes(bytes, size, SIDE, expected, &oops));
		assert_memory_equal(pixels, expected, sizeof pixels);
		base_free(bytes);
	}
	assert_ok(engine_part_next(&reader, &answer, &check, &end, &oops));
	assert_true(end);
	part.at = 0;
	assert_int_equal(engine_part_begin(&reader, SIDE + 8, &err), BM_ERR_FORMAT);
}

static void damage_and_skips_are_answers(void **state)
{
	engine_part reader = {.source = {from_memory, &part}, .name = "a part"};
	engine_answer answer;
	base_hash check;
	bool end;
	size_t size;
	uint8_t *bytes = jpeg(0, &size);
	static const char *const said[] = {"changed", "empty", "the worker ended by signal 11", "no reason"};
	(void)state;
	begin(SIDE, 0);
	ask(0, 0, "cut.jpg", bytes, size / 2, base_hash_bytes(bytes, size / 2));
	ask(0, 1, "changed.jpg", bytes, size, base_hash_bytes("x", 1));
	ask(0, 2, "empty.jpg", "", 0, base_hash_bytes("", 0));
	ask(1, 3, "crashes.jpg", "the worker ended by signal 11", 29, (base_hash){0});
	ask(1, 4, "silent.jpg", "", 0, (base_hash){0});
	ask(0, 5, "whole.jpg", bytes, size, base_hash_bytes(bytes, size));
	base_free(bytes);
	assert_ok(work(&oops));
	assert_ok(engine_part_begin(&reader, SIDE, &oops));
	for (uint64_t i = 0; i < 5; i++) {
		assert_ok(engine_part_next(&reader, &answer, &check, &end, &oops));
		assert_int_equal(answer.index, i);
		assert_int_not_equal(answer.status, BM_OK);
		assert_true(strlen(answer.reason) > 0);
		if (i > 0 && i != 2)
			assert_non_null(strstr(answer.reason, said[i - 1]));
	}
	assert_ok(engine_part_next(&reader, &answer, &check, &end, &oops));
	assert_int_equal(answer.index, 5);
	assert_int_equal(answer.status, BM_OK);
}

static void a_request_that_is_cut_off_is_an_error(void **state)
{
	bm_error err;
	size_t count, whole;
	(void)state;
	ask_for_images();
	whole = request.size;
	for (size_t cut = 0; cut < whole; cut += cut < 200 ? 1 : 97) {
		request.size = cut;
		bm_status status = work(&err);
		bool complete = status == BM_OK;
		/* Between two requests is an orderly end. */
		if (complete)
			assert_ok(read_part(&count, &oops));
		else
			assert_int_equal(status, BM_ERR_FORMAT);
		assert_true(!complete || count < IMAGES);
		if (!complete && cut >= 16)
			assert_int_equal(read_part(&count, &err), BM_ERR_FORMAT); /* a part without an end */
	}
}

static void hostile_requests_are_refused(void **state)
{
	static const struct {
		size_t at;
		uint32_t value;
		bm_status status;
	} cases[] = {
		{0, 0x12345678, BM_ERR_FORMAT}, /* magic */
		{8, 0, BM_ERR_FORMAT},		/* side */
		{8, 7, BM_ERR_FORMAT},		{8, 0x7fffffff, BM_ERR_FORMAT},
		{8, 0xffffffff, BM_ERR_FORMAT}, {12, 86401, BM_ERR_FORMAT},	     /* seconds */
		{16, 0, BM_ERR_FORMAT},						     /* tag */
		{20, 2, BM_ERR_FORMAT},						     /* kind */
		{32, 4097, BM_ERR_LIMIT},					     /* name */
		{32, 0xffffffff, BM_ERR_LIMIT}, {36, (64u << 20) + 1, BM_ERR_LIMIT}, /* body */
		{36, 0xffffffff, BM_ERR_LIMIT}, {36, 64u << 20, BM_ERR_FORMAT},	     /* allowed, but it never comes */
	};
	bm_error err;
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		ask_for_images();
		for (int b = 0; b < 4; b++)
			request.data[cases[i].at + (size_t)b] = (uint8_t)(cases[i].value >> 8 * b);
		if (work(&err) != cases[i].status)
			fail_msg("case %zu: %d, %s", i, (int)err.status, err.message);
	}
	/* A skip's reason is short. */
	begin(SIDE, 0);
	ask(1, 0, "x", part.data, ENGINE_REASON_LIMIT + 1, (base_hash){0});
	assert_int_equal(work(&err), BM_ERR_LIMIT);
}

static void every_changed_byte_of_a_part_is_noticed(void **state)
{
	static struct bytes whole;
	bm_error err;
	size_t count;
	(void)state;
	begin(SIDE, 0);
	size_t size;
	uint8_t *bytes = jpeg(0, &size);
	ask(0, 0, "a", bytes, size, base_hash_bytes(bytes, size));
	ask(1, 1, "b", "no good", 7, (base_hash){0});
	base_free(bytes);
	assert_ok(work(&oops));
	assert_ok(read_part(&count, &oops));
	assert_int_equal(count, 2);
	memcpy(&whole, &part, sizeof whole);
	for (size_t i = 0; i < whole.size; i++) {
		bool unused = i >= whole.size - 12 && i < whole.size - 8;
		memcpy(&part, &whole, sizeof part);
		part.data[i] ^= 0x40;
		if ((read_part(&count, &err) == BM_OK) != unused)
			fail_msg("byte %zu of %zu", i, whole.size);
	}
	for (size_t cut = 0; cut < whole.size; cut++) {
		memcpy(&part, &whole, sizeof part);
		part.size = cut;
		assert_int_equal(read_part(&count, &err), BM_ERR_FORMAT);
		assert_non_null(strstr(err.message, "a part"));
	}
	memcpy(&part, &whole, sizeof part);
	put(&part, "x", 1);
	assert_int_equal(read_part(&count, &err), BM_ERR_FORMAT);
}

/* Its pixels would be others, and nothing else would tell. */
static void a_part_of_another_preprocessing_is_refused(void **state)
{
	bm_error err = {0};
	size_t count;
	uint32_t number = engine_preprocessing_number();
	(void)state;
	ask_for_images();
	assert_ok(work(&oops));
	for (int b = 0; b < 4; b++)
		assert_int_equal(part.data[12 + b], (uint8_t)(number >> 8 * b));
	part.data[12] ^= 1;
	assert_int_equal(read_part(&count, &err), BM_ERR_UNSUPPORTED);
	assert_non_null(strstr(err.message, "another version of brainmri"));
}

static void a_reader_that_is_gone_ends_the_worker(void **state)
{
	int to[2], from[2];
	pthread_t feeding, running;
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	ask_for_images();
	assert_int_equal(pipe(to), 0);
	assert_int_equal(pipe(from), 0);
	close(from[0]);
	struct feeder feeder = {to[1]};
	struct runner runner = {.in = to[0], .out = from[1]};
	assert_int_equal(pthread_create(&feeding, NULL, feed, &feeder), 0);
	assert_int_equal(pthread_create(&running, NULL, run_worker, &runner), 0);
	pthread_join(running, NULL);
	pthread_join(feeding, NULL);
	assert_int_equal(runner.status, BM_ERR_IO);
}

static void memory_runs_out(void **state)
{
	bool done = false;
	size_t count;
	(void)state;
	ask_for_images();
	for (long n = 0; !done && n < 1000; n++) {
		bm_error err;
		base_memory_fail_after(n);
		bm_status status = work(&err);
		base_memory_fail_after(-1);
		done = status == BM_OK;
		if (!done)
			assert_int_equal(status, BM_ERR_MEMORY); /* the machine's failure, never an image left out */
	}
	assert_true(done);
	assert_ok(read_part(&count, &oops));
	assert_int_equal(count, IMAGES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(images_come_back_as_the_threads_make_them),
		cmocka_unit_test(damage_and_skips_are_answers),
		cmocka_unit_test(a_request_that_is_cut_off_is_an_error),
		cmocka_unit_test(hostile_requests_are_refused),
		cmocka_unit_test(every_changed_byte_of_a_part_is_noticed),
		cmocka_unit_test(a_part_of_another_preprocessing_is_refused),
		cmocka_unit_test(a_reader_that_is_gone_ends_the_worker),
		cmocka_unit_test(memory_runs_out),
	};
	return cmocka_run_group_tests_name("engine/worker", tests, fixture_setup, fixture_teardown);
}
