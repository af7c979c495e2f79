/* A folder copied from one storage to another: a data set into HDFS, or back. What is there already is not sent again. */
#ifndef DATA_TRANSFER_H
#define DATA_TRANSFER_H

#include "base/observer.h"
#include "storage/pack.h"

typedef struct data_file {
	char *path;    /* below the root */
	uint64_t size; /* bytes */
} data_file;

typedef struct data_files {
	data_file *items; /* sorted by path (bytewise) */
	size_t count;
	uint64_t bytes;
} data_files;

/* Every file below a folder, at any depth; hidden names left out. BM_ERR_NOT_FOUND when the folder is not there. */
bm_status data_files_list(storage *s, const base_observer *observer, data_files *out, bm_error *err);
void data_files_free(data_files *files); /* safe on a zeroed one */
/* The first part of a path: its class; "" for a file directly in the root. Length of it. */
size_t data_file_class(const char *path);

typedef struct data_transfer_options {
	int transfers;	 /* at once; 0: as many as pay */
	bool no_verify;	 /* checksums are not compared: not of what was sent, and equal lengths are taken for equal */
	int replication; /* copies; 0: the file system's default */
} data_transfer_options;

typedef struct data_transfer_stats {
	size_t files, sent, present; /* sent + present == files */
	uint64_t bytes, sent_bytes;
	size_t replaced; /* of sent: were there with other content */
	size_t verified; /* files whose checksum was compared */
	double seconds;
} data_transfer_stats;

/* Makes `to` hold what `from` holds. Each file goes under a hidden name, its checksum is compared, then it is renamed: nothing
 * half-written is ever listed. Stopping or failing leaves what is whole; the next call goes on. `to` may hold other files. */
bm_status data_transfer(storage *from, storage *to, const data_transfer_options *options, const base_observer *observer,
			data_transfer_stats *stats, bm_error *err);

typedef enum data_difference { DATA_MISSING, DATA_OTHER_SIZE, DATA_OTHER_CONTENT, DATA_UNKNOWN } data_difference;

typedef struct data_comparison {
	size_t files, equal;
	uint64_t bytes;
	struct data_compared {
		char *path;
		data_difference difference; /* DATA_UNKNOWN: only there */
	} * different;			    /* sorted by path */
	size_t count;
	double seconds;
} data_comparison;

/* Compares lengths and checksums; no content is fetched from HDFS. */
bm_status data_compare(storage *here, storage *there, int transfers, const base_observer *observer,
		       data_comparison *out, bm_error *err);
void data_comparison_free(data_comparison *comparison); /* safe on a zeroed one */

#endif
