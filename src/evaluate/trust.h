/* How far a model may be believed: what it carries in its file, and what the evaluation found out. */
#ifndef EVALUATE_TRUST_H
#define EVALUATE_TRUST_H

#include <jansson.h>

#include "evaluate/bootstrap.h"
#include "evaluate/calibrate.h"
#include "evaluate/unlike.h"

#define EVALUATE_TARGET 0.995 /* share of the answers that shall be right when the model may abstain */

/* Chosen on validation images, kept in the model's file (model.trust) and used whenever it classifies. */
typedef struct evaluate_trust {
	double temperature; /* 1: none */
	double threshold;   /* confidence below which it is not sure */
	bool mirror;	    /* evaluated on the mean of an image and its mirror image */
	int image_size;	    /* that it was evaluated at */
	bool have_unlike;
	evaluate_unlike unlike;
} evaluate_trust;

/* base_free; NULL with a message. */
char *evaluate_trust_to_text(const evaluate_trust *trust, bm_error *err);
/* BM_ERR_FORMAT names what is missing or out of range. */
bm_status evaluate_trust_from_text(const char *text, evaluate_trust *trust, bm_error *err);

/* Measured. All but the choices themselves are of the test images. */
typedef struct evaluate_reliability {
	double temperature, threshold;
	size_t validation, validation_answered, validation_right; /* at the threshold */
	size_t answered, right;					  /* of the test images, at the threshold */
	bool have_unlike;
	size_t validation_refused, refused; /* images of the data itself that the check refuses: false refusals */
	evaluate_calibration before, after; /* the temperature */
	evaluate_coverage curve[EVALUATE_COVERAGE_STEPS];
	evaluate_intervals intervals;
} evaluate_reliability;

json_t *evaluate_reliability_json(const evaluate_reliability *r); /* NULL without memory */
/* *missing: what is not there or not what it should be; false then. */
bool evaluate_reliability_read(const json_t *json, evaluate_reliability *r, const char **missing);

#endif
