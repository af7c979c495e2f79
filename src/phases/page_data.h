/* What report.html shows of single images, out of the run folder. */
#ifndef PHASES_PAGE_DATA_H
#define PHASES_PAGE_DATA_H

#include "phases/context.h"
#include "report/gallery.h"

typedef struct page_predictions {
	report_predictions view; /* strings point into `csv`, pixels into the context's pack */
	report_prediction *items;
	float *probabilities; /* [count][classes] */
	uint8_t *csv;
} page_predictions;

/* predictions.csv. Needs the context's split; BM_ERR_FORMAT, saying what to run again, when the two do not belong together. */
bm_status phase_page_predictions(const phase_context *c, page_predictions *out, bm_error *err);
void phase_page_predictions_free(page_predictions *p); /* safe on a zeroed one */

/* Phase 4's samples as a grid; nothing when it has not run. */
bm_status phase_page_samples(const phase_context *c, base_text *html, bm_error *err);
/* Phase 9's samples, with their probabilities. */
bm_status phase_page_predicted(const phase_context *c, const page_predictions *p, base_text *html, bm_error *err);
/* Phase 6: images of each class and part, files that were left out, the largest groups of near-copies. */
bm_status phase_page_split(phase_context *c, base_text *html, bm_error *err);

#endif
