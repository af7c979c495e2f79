/* report.html: one self-contained page (pictures, style and script inlined, no network) out of what the phases printed and drew. */
#ifndef REPORT_HTML_H
#define REPORT_HTML_H

#include "base/error.h"
#include "base/text.h"

typedef struct report_figure_ref {
	const char *name; /* NAME.svg in the figures folder, or NAME.png when the SVG is larger than 1 MB */
	const char *caption;
	const char *markup; /* of chart.h or gallery.h, shown in its place; NULL or "": the picture */
} report_figure_ref;

typedef struct report_phase {
	int number;	   /* 1 to 10 */
	const char *title; /* "Data Exploration" */
	const char *text;  /* what the phase printed */
	const report_figure_ref *figures;
	size_t figure_count;
	const char *markup; /* more of this phase, behind the figures: of gallery.h; NULL: nothing */
} report_phase;

/* A figure with its name. */
typedef struct report_answer {
	const char *name;  /* "Test accuracy" */
	const char *value; /* "96.1 % (94.5 to 97.2)" */
} report_answer;

typedef struct report_page {
	const char *title;
	const char *data; /* what it was trained on */
	const char *lead; /* the answer in a sentence or two; NULL: none */
	const report_answer *answers;
	size_t answer_count;
	const report_phase *phases;
	size_t phase_count;
	const char *const *cautions; /* what the figures do not say: no patient identifiers, not for diagnosis, ... */
	size_t caution_count;
	const char *repeat;	    /* the command line that repeats the run */
	const report_answer *facts; /* what else it takes to repeat it: seed, versions, hashes */
	size_t fact_count;
	const char *config; /* config.json; NULL: not shown */
} report_page;

/* Writes path from page, taking pictures from `figures`; links to their NAME.csv and NAME.gp hold these files. A picture that is not there is
 * named in the page, not an error. */
bm_status report_write_html(const report_page *page, const char *figures, const char *path, bm_error *err);

/* The frame of any page: everything up to <body> and from </body> on. The second writes it to `path`. */
void report_begin_page(base_text *html, const char *title);
bm_status report_finish_page(base_text *html, const char *path, bm_error *err);

#endif
