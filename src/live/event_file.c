#include "live/event_file.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/memory.h"

enum { TRIES = 1000 };

/* Field numbers of Event, Summary, Summary.Value, Summary.Image and SessionLog; and the kinds of values on the wire. */
enum { WALL_TIME = 1, STEP = 2, FILE_VERSION = 3, SUMMARY = 5, SESSION_LOG = 7 };
enum { SUMMARY_VALUE = 1, VALUE_TAG = 1, VALUE_SIMPLE = 2, VALUE_IMAGE = 4 };
enum { IMAGE_HEIGHT = 1, IMAGE_WIDTH = 2, IMAGE_COLORSPACE = 3, IMAGE_BYTES = 4, RGB = 3 };
enum { SESSION_STATUS = 1, SESSION_START = 1 };
enum { VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5 };

/* ---- protobuf ---- */

static void put_little_endian(base_text *to, uint64_t value, int bytes)
{
	for (int i = 0; i < bytes; i++, value >>= 8) {
		const char byte = (char)(value & 0xff);
		base_text_append(to, &byte, 1);
	}
}

static void put_varint(base_text *to, uint64_t value)
{
	for (; value >= 0x80; value >>= 7)
		put_little_endian(to, (value & 0x7f) | 0x80, 1);
	put_little_endian(to, value, 1);
}

static void put_key(base_text *to, int field, int kind)
{
	put_varint(to, (uint64_t)(field << 3 | kind));
}

static void put_integer(base_text *to, int field, int64_t value)
{
	put_key(to, field, VARINT);
	put_varint(to, (uint64_t)value);
}

static void put_double(base_text *to, int field, double value)
{
	uint64_t bits;
	memcpy(&bits, &value, sizeof bits);
	put_key(to, field, FIXED64);
	put_little_endian(to, bits, 8);
}

static void put_float(base_text *to, int field, float value)
{
	uint32_t bits;
	memcpy(&bits, &value, sizeof bits);
	put_key(to, field, FIXED32);
	put_little_endian(to, bits, 4);
}

static void put_bytes(base_text *to, int field, const void *bytes, size_t size)
{
	put_key(to, field, BYTES);
	put_varint(to, size);
	base_text_append(to, bytes, size);
}

/* A field that is the message in `from`. False: it did not have memory. */
static bool put_message(base_text *to, int field, const base_text *from)
{
	put_bytes(to, field, base_text_string(from), from->length);
	return !from->failed;
}

/* ---- records ---- */

static uint32_t masked_checksum(const void *bytes, size_t size)
{
	const uint32_t crc = base_crc32c(0, bytes, size);
	return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

static void begin_event(live_event_file *f, int64_t step)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	base_text_clear(&f->event);
	put_double(&f->event, WALL_TIME, (double)now.tv_sec + (double)now.tv_nsec * 1e-9);
	put_integer(&f->event, STEP, step);
}

static bm_status write_event(live_event_file *f, bm_error *err)
{
	base_text *record = &f->record;
	base_text_clear(record);
	put_little_endian(record, f->event.length, 8);
	if (!record->failed)
		put_little_endian(record, masked_checksum(base_text_string(record), 8), 4);
	base_text_append(record, base_text_string(&f->event), f->event.length);
	put_little_endian(record, masked_checksum(base_text_string(&f->event), f->event.length), 4);
	if (f->event.failed || record->failed)
		return base_fail(err, BM_ERR_MEMORY, "no memory for '%s'", f->path);
	if (fwrite(base_text_string(record), 1, record->length, f->file) != record->length)
		return base_fail(err, BM_ERR_IO, "cannot write '%s': %s", f->path, strerror(errno));
	return BM_OK;
}

/* ---- files ---- */

static bm_status open_new(const char *folder, live_event_file *out, bm_error *err)
{
	char host[128], name[256];
	int fd = -1;
	if (gethostname(host, sizeof host) != 0)
		strcpy(host, "localhost");
	host[sizeof host - 1] = '\0';
	for (int i = 0; i < TRIES; i++) {
		/* As TensorFlow calls them: TensorBoard reads a folder's files in the order of their names. */
		snprintf(name, sizeof name, "events.out.tfevents.%010lld.%s.%ld.%d.v2", (long long)time(NULL), host,
			 (long)getpid(), i);
		base_free(out->path);
		out->path = base_path_join(folder, name, err);
		if (!out->path)
			return BM_ERR_MEMORY;
		fd = open(out->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
		if (fd >= 0 || errno != EEXIST)
			break;
	}
	if (fd < 0)
		return base_fail(err, BM_ERR_IO, "cannot make '%s': %s", out->path, strerror(errno));
	out->file = fdopen(fd, "wb");
	if (out->file)
		return BM_OK;
	close(fd);
	return base_fail(err, BM_ERR_IO, "cannot write '%s': %s", out->path, strerror(errno));
}

bm_status live_event_file_open(const char *folder, live_event_file *out, bm_error *err)
{
	static const char version[] = "brain.Event:2";
	*out = (live_event_file){0};
	bm_status status = base_make_folders(folder, err);
	if (status == BM_OK)
		status = open_new(folder, out, err);
	if (status != BM_OK)
		return status;
	begin_event(out, 0);
	put_bytes(&out->event, FILE_VERSION, version, sizeof version - 1);
	return write_event(out, err);
}

/* The message in f->summary becomes the event's summary, with one value of this name. */
static void put_value(live_event_file *f, base_text *value)
{
	if (!put_message(&f->summary, SUMMARY_VALUE, value))
		f->summary.failed = true;
	base_text_free(value);
}

static bm_status write_summary(live_event_file *f, int64_t step, bm_error *err)
{
	begin_event(f, step);
	if (!put_message(&f->event, SUMMARY, &f->summary))
		f->event.failed = true;
	base_text_clear(&f->summary);
	return write_event(f, err);
}

bm_status live_event_file_scalars(live_event_file *f, int64_t step, const base_value *values, size_t count,
				  bm_error *err)
{
	for (size_t i = 0; i < count; i++) {
		base_text value = {0};
		if (!isfinite(values[i].value))
			continue;
		put_bytes(&value, VALUE_TAG, values[i].name, strlen(values[i].name));
		put_float(&value, VALUE_SIMPLE, (float)values[i].value);
		put_value(f, &value);
	}
	return write_summary(f, step, err);
}

bm_status live_event_file_image(live_event_file *f, int64_t step, const char *name, const uint8_t *png, size_t size,
				int width, int height, bm_error *err)
{
	base_text image = {0}, value = {0};
	put_integer(&image, IMAGE_HEIGHT, height);
	put_integer(&image, IMAGE_WIDTH, width);
	put_integer(&image, IMAGE_COLORSPACE, RGB);
	put_bytes(&image, IMAGE_BYTES, png, size);
	put_bytes(&value, VALUE_TAG, name, strlen(name));
	if (!put_message(&value, VALUE_IMAGE, &image))
		value.failed = true;
	put_value(f, &value);
	base_text_free(&image);
	return write_summary(f, step, err);
}

bm_status live_event_file_restart(live_event_file *f, int64_t step, bm_error *err)
{
	base_text session = {0};
	put_integer(&session, SESSION_STATUS, SESSION_START);
	begin_event(f, step);
	if (!put_message(&f->event, SESSION_LOG, &session))
		f->event.failed = true;
	base_text_free(&session);
	return write_event(f, err);
}

bm_status live_event_file_flush(live_event_file *f, bm_error *err)
{
	if (fflush(f->file) != 0)
		return base_fail(err, BM_ERR_IO, "cannot write '%s': %s", f->path, strerror(errno));
	return BM_OK;
}

void live_event_file_close(live_event_file *f)
{
	if (f->file)
		fclose(f->file);
	base_free(f->path);
	base_text_free(&f->event);
	base_text_free(&f->summary);
	base_text_free(&f->record);
	*f = (live_event_file){0};
}
