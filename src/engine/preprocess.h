/* Phase 6: data set -> pack, on threads here or on a Spark cluster. */
#ifndef ENGINE_PREPROCESS_H
#define ENGINE_PREPROCESS_H

#include "data/pack.h"
#include "engine/spark.h"

#define ENGINE_WORKERS_MAX 256

typedef struct engine_options {
	int threads;		   /* 0: one per core */
	int side;		   /* DATA_PACK_SIDE */
	bool strict;		   /* a damaged file fails the job */
	bool force;		   /* make the pack again though one that holds is there */
	const engine_spark *spark; /* NULL: threads here */
} engine_options;

typedef struct engine_stats {
	bool reused; /* an earlier pack still held; the other figures are 0 */
	size_t images, rejected;
	uint64_t bytes_read;
	double seconds;
	double images_per_second;
	int workers;
	size_t worker_images[ENGINE_WORKERS_MAX];
	double worker_busy[ENGINE_WORKERS_MAX]; /* seconds each spent working */
	double single_images_per_second;	/* measured on a sample with one worker, right before */
	double speedup;				/* images_per_second / single_images_per_second */
	bool on_spark; /* then workers are its executors, and `seconds` leaves Spark's start out */
	engine_spark_stats spark;
} engine_stats;

/* One file's bytes to one pack image: decoded (reduced DCT scale when enough), its foreground kept, resized to side x side.
 * out: [side][side]. What every engine's worker runs. */
bm_status engine_preprocess_bytes(const void *bytes, size_t size, int side, uint8_t *out, bm_error *err);
/* The same for a listed file as it was read: it must still have the hash of the listing. *damaged: the failure is the
 * file's, not the machine's. */
bm_status engine_preprocess_file(const void *bytes, size_t size, base_hash hash, int side, uint8_t *out, bool *damaged,
				 bm_error *err);
bool engine_is_damage(bm_status status);

/* Makes folder (or finds that it still holds) from `set`. Damaged images move to set->rejected. */
bm_status engine_preprocess(storage *s, data_set *set, const char *folder, const engine_options *options,
			    const base_observer *observer, engine_stats *stats, bm_error *err);

/* Phase 10: the same images, each time read, decoded and resized and thrown away, with `threads` workers. seconds:
 * of the whole. */
bm_status engine_benchmark(storage *s, const data_set *set, const size_t *indices, size_t count, int threads,
			   double *seconds, bm_error *err);

#endif
