/* The leak audit: copies of training images among test images, and what they do to a model's accuracy. */
#ifndef PHASES_AUDIT_H
#define PHASES_AUDIT_H

#include "phases/context.h"

typedef struct phase_audit_options {
	const char *train, *test; /* data folders or URLs, each with a folder per class */
	const char *model;	  /* a run folder or a .keras file; NULL: none */
	const char *
		out; /* folder that keeps audit.json, copies.csv, figures/copies and the packs; NULL: nothing is kept */
	bool strict;
} phase_audit_options;

/* As a phase does: prints through c->observer, numbers into c->json. The context has no run folder. BM_ERR_DATA when the model knows
 * none of the test folder's classes. */
bm_status phase_audit(phase_context *c, const phase_audit_options *options, bm_error *err);

#endif
