/* Where bytes live: a local folder, HDFS over WebHDFS, or the files inside a zip pack that lies in either. Thread-safe after
 * opening. */
#ifndef STORAGE_STORAGE_H
#define STORAGE_STORAGE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

typedef struct storage storage;

typedef struct storage_options {
	const char *webhdfs;	   /* "HOST:PORT[,HOST:PORT...]": the NameNodes' HTTP addresses; NULL: looked up */
	bool make;		   /* the folder is made, with its parents, when it is not there */
	bool missing_ok;	   /* the folder need not be there yet */
	bool as_file;		   /* a zip pack is a file here, not the folder that is inside it */
	const atomic_bool *cancel; /* looked at while a server is waited for; NULL: never */
	double connect_timeout;	   /* seconds; 0: 10 */
	double idle_timeout;	   /* seconds without a byte from a server; 0: 60 */
	int attempts; /* of what can be tried again; 0: 8, within some 24 s: a DataNode that is gone is still named for a while */
	double wait; /* seconds before the second attempt, doubled for each further one; 0: 0.25 */
} storage_options;

typedef struct storage_info {
	bool folder;
	uint64_t size;	     /* bytes; 0 for a folder */
	int64_t modified;    /* milliseconds since 1970 */
	uint64_t block_size; /* bytes; 0 where there are no blocks */
	int permission;	     /* 0755 */
	int replication;     /* copies; 0 for a folder, 1 on local disks */
	char owner[40], group[40];
} storage_info;

typedef struct storage_entry {
	char *name; /* below the listed folder, no slash */
	storage_info info;
} storage_entry;

typedef struct storage_list {
	storage_entry *items; /* sorted by name (bytewise), hidden names (".x") left out */
	size_t count;
} storage_list;

/* url: a path, file:///path, hdfs://HOST:PORT/path, hdfs://NAMESERVICE/path, hdfs:///path (fs.defaultFS), webhdfs://HOST:PORT/path or
 * swebhdfs://HOST:PORT/path. Hadoop's configuration is read under HADOOP_CONF_DIR, else $HADOOP_HOME/etc/hadoop or
 * /etc/hadoop/conf; the user is HADOOP_USER_NAME or the login. HADOOP_TOKEN is a delegation token, WEBHDFS_BEARER_TOKEN a
 * bearer token, CURL_CA_BUNDLE or SSL_CERT_FILE a file of certificates for https. A zip file that holds its files uncompressed
 * opens as a folder. BM_ERR_NOT_FOUND names what is missing; BM_ERR_UNSUPPORTED for a scheme that this build has not.
 * On success *out is the caller's (storage_close). */
bm_status storage_open(const char *url, storage **out, bm_error *err);
bm_status storage_open_with(const char *url, const storage_options *options, storage **out, bm_error *err);
void storage_close(storage *s); /* NULL is allowed */
const char *storage_url(const storage *s);
/* How many transfers at once pay: 0 where bytes come from a local disk, 16 from a server. */
int storage_transfers(const storage *s);
/* For others who read a zip pack: where the header of this file begins in it. false: it is no file of a pack. */
bool storage_pack_place(const storage *s, const char *path, uint64_t *offset);
/* The addresses that it was opened with (storage_options.webhdfs), for opening another place there; NULL: none. */
const char *storage_webhdfs(const storage *s);
bool storage_remote(const storage *s); /* bytes come over the network */
/* Whether a failed read tells of the place, a server or a stop, and not of the file: then the file is not to be left out. */
bool storage_is_outage(const storage *s, bm_status status);
bool storage_is_url(const char *text);	/* "hdfs://..."; false for a path */
bool storage_is_local(const char *url); /* a path, or "file://..." */
/* The path that file:///path or file://localhost/path stands for, "%20" turned into a space (RFC 8089); anything else as it is. *out is the caller's.
 * BM_ERR_UNSUPPORTED: another computer's. */
bm_status storage_local_path(const char *url, char **out, bm_error *err);

/* In all that follows path is below the root, "" for the root itself; never leaves it ("..", absolute: BM_ERR_USAGE). */

/* ---- looking ---- */

bm_status storage_look(storage *s, const char *path, storage_info *info, bm_error *err);
bm_status storage_list_folder(storage *s, const char *path, storage_list *list, bm_error *err);
/* The same with hidden names. */
bm_status storage_list_all(storage *s, const char *path, storage_list *list, bm_error *err);
void storage_list_free(storage_list *list);

typedef struct storage_summary {
	uint64_t folders, files, bytes; /* the folder itself counts */
	uint64_t space;			/* bytes times copies */
	int64_t quota, space_quota;	/* names and bytes; -1: none */
} storage_summary;
/* Of everything below a folder, hidden names too. */
bm_status storage_summarize(storage *s, const char *path, storage_summary *summary, bm_error *err);

/* ---- reading ---- */

/* A file of at most `limit` bytes (BM_ERR_LIMIT); *bytes is the caller's (base_free). */
bm_status storage_read(storage *s, const char *path, size_t limit, uint8_t **bytes, size_t *size, bm_error *err);
/* Bytes [offset, offset + length) into `bytes`; *got is less than length only where the file ends. */
bm_status storage_read_range(storage *s, const char *path, uint64_t offset, size_t length, uint8_t *bytes, size_t *got,
			     bm_error *err);

/* ---- writing; BM_ERR_UNSUPPORTED inside a pack ---- */

/* Where the bytes of a new file come from. */
typedef struct storage_source {
	/* Up to `room` bytes; *got 0: the end. */
	bm_status (*next)(void *arg, uint8_t *bytes, size_t room, size_t *got, bm_error *err);
	/* Back to the beginning, for another attempt; NULL: there is only one. */
	bm_status (*again)(void *arg, bm_error *err);
	void *arg;
	uint64_t size; /* STORAGE_SIZE_UNKNOWN is allowed */
} storage_source;
#define STORAGE_SIZE_UNKNOWN UINT64_MAX

/* What is in memory as a source; `bytes` must outlive it. */
typedef struct storage_bytes {
	const void *bytes;
	size_t size, done; /* done: 0 at the beginning */
} storage_bytes;
storage_source storage_bytes_source(storage_bytes *bytes);

/* A file out of a source, exactly under this name: a reader may see it grow. An old one is replaced. */
bm_status storage_create(storage *s, const char *path, const storage_source *source, bm_error *err);
/* A whole file, written under a hidden name beside it, then renamed: a reader sees the old content or the new. */
bm_status storage_write(storage *s, const char *path, const void *bytes, size_t size, bm_error *err);
bm_status storage_write_from(storage *s, const char *path, const storage_source *source, bm_error *err);
bm_status storage_make_folders(storage *s, const char *path, bm_error *err); /* with its parents; it may be there */
/* Atomic. A file at `to` is replaced with `replace`, else, as a folder always, BM_ERR_IO. */
bm_status storage_rename(storage *s, const char *from, const char *to, bool replace, bm_error *err);
/* A folder with what is in it only with `all`. *was (may be NULL): whether there was anything. */
bm_status storage_remove(storage *s, const char *path, bool all, bool *was, bm_error *err);
bm_status storage_set_permission(storage *s, const char *path, int permission, bm_error *err);
/* BM_OK without effect where there are no copies. */
bm_status storage_set_replication(storage *s, const char *path, int copies, bm_error *err);

/* ---- checksums, as HDFS keeps them ---- */

typedef struct storage_checksum {
	char algorithm[48]; /* "MD5-of-0MD5-of-512CRC32C", "COMPOSITE-CRC32C" */
	uint8_t bytes[32];  /* as HDFS writes them */
	size_t size;	    /* of bytes, 1 to 32 */
} storage_checksum;

/* On HDFS asked of it, no content is transferred; elsewhere computed, as HDFS's defaults would. */
bm_status storage_checksum_of(storage *s, const char *path, storage_checksum *sum, bm_error *err);
/* Of a file whose bytes are read for it, in the manner of `like`; NULL: of HDFS's defaults. */
bm_status storage_checksum_read(storage *s, const char *path, const storage_checksum *like, storage_checksum *sum,
				bm_error *err);
/* Of bytes here, in the manner of `like`, so that the two can be compared. BM_ERR_UNSUPPORTED for an algorithm not known. */
bm_status storage_checksum_bytes(const storage_checksum *like, const void *bytes, size_t size, storage_checksum *sum,
				 bm_error *err);
bool storage_checksum_equal(const storage_checksum *a, const storage_checksum *b);
void storage_checksum_text(const storage_checksum *sum, char text[65]); /* hex */

/* The same, piece by piece. */
typedef struct storage_summer storage_summer;
bm_status storage_summer_open(const storage_checksum *like, storage_summer **out, bm_error *err);
bm_status storage_summer_add(storage_summer *summer, const void *bytes, size_t size, bm_error *err);
bm_status storage_summer_end(storage_summer *summer, storage_checksum *sum, bm_error *err);
void storage_summer_free(storage_summer *summer); /* NULL is allowed */

/* ---- the service behind it ---- */

typedef struct storage_service {
	bool hdfs;	      /* false: a local disk, and nothing below is set */
	char namenode[128];   /* "localhost:9000" */
	char http[128];	      /* "localhost:9870": the one that answered */
	char filesystem[160]; /* "hdfs://localhost:9000" */
	char user[64], home[256];
	char version[64]; /* of Hadoop; "" when not told */
	bool home_exists;
	int safe_mode;			    /* 0 off, 1 on, -1 not told */
	int live_datanodes;		    /* -1 not told */
	uint64_t capacity, used, remaining; /* bytes; 0 when not told */
} storage_service;
bm_status storage_describe(storage *s, storage_service *service, bm_error *err);

#endif
