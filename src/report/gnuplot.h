/* A figure in the making: its data, its gnuplot script, and gnuplot itself. */
#ifndef REPORT_GNUPLOT_H
#define REPORT_GNUPLOT_H

#include "base/error.h"
#include "base/text.h"

/* Colours that stay apart for colour-blind eyes (Okabe & Ito 2008), "0xRRGGBB"; repeats after eight. */
#define REPORT_CLASS_COLOURS 8
const char *report_class_colour(int index);

#define REPORT_BLUE "#0072b2"	/* training */
#define REPORT_ORANGE "#e69f00" /* validation */
#define REPORT_GREEN 0x1b7f3b	/* right */
#define REPORT_RED 0xc62828	/* wrong */
#define REPORT_INK 0x222222

typedef struct report_figure {
	const char *folder, *name;
	int width, height; /* of the SVG; the PNG has twice as many pixels each way */
	base_text script;  /* what to draw, between setting the terminal and closing the output */
	base_text data;	   /* NAME.csv */
} report_figure;

extern const char report_axes[]; /* how all plots with axes look */

/* Appends 'text' as a gnuplot string. Single quotes: nothing in it is substituted. */
void report_add_quoted(base_text *script, const char *text);
/* Appends one field of a CSV line, quoted where needed. gnuplot does not know doubled quotes, so " becomes '. */
void report_add_field(base_text *data, const char *text);

/* Writes NAME.csv and NAME.gp into the folder and draws NAME.png and NAME.svg. Frees script and data in any case. */
bm_status report_figure_finish(report_figure *figure, bm_error *err);

/* Runs `program` on `script` in `folder` (no shell), for at most `seconds`; what it says on stderr goes into err.
 * BM_ERR_UNSUPPORTED when there is no such program. */
bm_status report_run_program(const char *program, const char *folder, const char *script, double seconds,
			     bm_error *err);

#endif
