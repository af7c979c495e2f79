/* A file of TensorBoard's: records (length, checksum, bytes, checksum: TFRecord) that each hold an Event, a protobuf message of
 * tensorflow/core/util/event.proto. */
#ifndef LIVE_EVENT_FILE_H
#define LIVE_EVENT_FILE_H

#include <stdio.h>

#include "base/observer.h"
#include "base/text.h"

typedef struct live_event_file {
	FILE *file;
	char *path;
	base_text event, summary, record; /* bytes */
} live_event_file;

/* A new file in `folder`, which is made; no earlier one is touched. Free with live_event_file_close in any case. */
bm_status live_event_file_open(const char *folder, live_event_file *out, bm_error *err);
bm_status live_event_file_scalars(live_event_file *file, int64_t step, const base_value *values, size_t count,
				  bm_error *err);
/* A PNG. */
bm_status live_event_file_image(live_event_file *file, int64_t step, const char *name, const uint8_t *png, size_t size,
				int width, int height, bm_error *err);
/* A resumed work goes on: what earlier files say of `step` and later holds no more. */
bm_status live_event_file_restart(live_event_file *file, int64_t step, bm_error *err);
bm_status live_event_file_flush(live_event_file *file, bm_error *err);
void live_event_file_close(live_event_file *file); /* safe on a zeroed one */

#endif
