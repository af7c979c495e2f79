/* Batches for the network: shuffled, augmented, made ahead of time by worker threads. What a batch holds depends
 * on (seed, epoch, position) only, not on the number of threads. */
#ifndef DATA_LOADER_H
#define DATA_LOADER_H

#include "data/pack.h"

/* Ranges of random change; all zero: none. Pixels from outside are 0, the background of an MRI slice. */
typedef struct data_augmentation {
	bool flip;	  /* left-right, half the time */
	float rotation;	  /* degrees, +- */
	float shift;	  /* fraction of the side, +- */
	float zoom;	  /* fraction, +- */
	float brightness; /* added to [0,1], +- */
	float contrast;	  /* factor 1 +- */
	float stretch;	  /* width against height: factor 1 +- */
	float gamma;	  /* exponent exp(+-) of the grey levels */
	float sharpness;  /* x + s (x - x blurred over 3x3), s up to this either way: below 0 blurs. 0 to 4 */
	float noise;	  /* deviation of Gaussian noise, from 0 up to this, in units of white */
	float levels; /* how often an image takes, by a random share, the grey levels of another one, of any class. 0 to 1 */
	float erase; /* a rectangle of up to this fraction of the side is blacked out, half the time */
} data_augmentation;

typedef struct data_loader_options {
	int batch;
	int image_size; /* the pack's images are resized (antialiased) to this, once */
	int channels;	/* 1, or 3 equal ones */
	bool shuffle;
	uint64_t seed;
	int threads; /* workers */
	int ahead;   /* batches made ahead; 0: 4 */
	data_augmentation augmentation;
} data_loader_options;

typedef struct data_batch {
	int count;	       /* images; == batch while shuffling: the last is filled up from the order's front */
	const float *images;   /* [count][image_size][image_size][channels] in [0,1] */
	const int *labels;     /* [count] */
	const size_t *indices; /* [count] into the pack */
} data_batch;

typedef struct data_loader data_loader;
/* indices: into the pack, copied. The pack must outlive the loader. On success *out is the caller's. */
bm_status data_loader_create(const data_pack *pack, const size_t *indices, size_t count,
			     const data_loader_options *options, data_loader **out, bm_error *err);
void data_loader_free(data_loader *loader);	       /* NULL is allowed; joins the workers */
size_t data_loader_batches(const data_loader *loader); /* per epoch: ceil(count / batch) */
/* Begins an epoch (any number) at a batch (0, or where a resumed run stood). */
bm_status data_loader_start(data_loader *loader, uint64_t epoch, size_t first_batch, bm_error *err);
/* The next batch, valid until the following call; *batch is NULL after the last one. */
bm_status data_loader_next(data_loader *loader, const data_batch **batch, bm_error *err);
/* Seconds that next() had to wait for a batch since the start of the epoch: near 0 when the workers keep up. */
double data_loader_waited(const data_loader *loader);

/* One pack image as the network wants it, without augmentation: out [size][size][channels] in [0,1]. */
bm_status data_image_to_floats(const uint8_t *pixels /* [side][side] */, int side, int size, int channels, float *out,
			       bm_error *err);

#endif
