/* Images in the page: thumbnails with what is known of them. */
#ifndef REPORT_GALLERY_H
#define REPORT_GALLERY_H

#include <stdint.h>

#include "base/error.h"
#include "base/text.h"

typedef struct report_picture {
	const char *path;      /* below the data folder */
	const char *words;     /* a line more; NULL: none */
	const uint8_t *pixels; /* [side][side] grey; NULL: no image, its name alone */
} report_picture;

/* A grid of images with their names. side: of all of them, in pixels. */
bm_status report_gallery_pictures(base_text *html, const report_picture *pictures, size_t count, int side,
				  bm_error *err);
/* The same in a row of small ones, names as hover text. */
bm_status report_gallery_strip(base_text *html, const report_picture *pictures, size_t count, int side, bm_error *err);

typedef struct report_prediction {
	const char *path;
	int actual, predicted;	    /* class numbers */
	const float *probabilities; /* [classes] */
	const uint8_t *pixels;	    /* [side][side] grey; NULL: none */
} report_prediction;

typedef struct report_predictions {
	const report_prediction *items;
	size_t count;
	const char *const *names; /* [classes], the class folders' */
	int classes, side;
} report_predictions;

/* The mistakes as a table that can be sorted, the surest first. */
bm_status report_gallery_mistakes(base_text *html, const report_predictions *p, bm_error *err);
/* Some of them with a bar for each class's probability. chosen[count]: indices into p->items. */
bm_status report_gallery_samples(base_text *html, const report_predictions *p, const size_t *chosen, size_t count,
				 bm_error *err);
/* All of them for the confusion matrix's cells, as JSON for page.js. */
void report_gallery_data(base_text *html, const report_predictions *p);

#endif
