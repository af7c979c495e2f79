/* Run folders within a run folder, which share its pack: the folds of a cross-validation, the trials of a search. */
#ifndef PHASES_WITHIN_H
#define PHASES_WITHIN_H

#include "phases/context.h"

/* Lists and preprocesses the data, silently, unless c has its pack; finds the near-copies. data_near_copies_free. */
bm_status phase_within_prepare(phase_context *c, data_near_copies *copies, bm_error *err);

/* Refuses to go on with other data than `kept`, the record of an earlier sitting, has the hash of as "data". NULL, or without a hash (of an
 * earlier version): is taken as it is. */
bm_status phase_within_check_data(const phase_context *c, const json_t *kept, bm_error *err);

/* fold.json of a fold's run folder: which fold it is, for its card and report. */
bm_status phase_within_note_fold(const phase_context *inner, int fold, int folds, bm_error *err);

/* Opens c's folder NAME as a run folder with these settings, silent but for notes, warnings and progress. *quiet must outlive *inner.
 * resume: a folder that holds other settings is BM_ERR_USAGE, and *finished says whether it was evaluated; without, it starts anew.
 * On success *inner is the caller's (phase_context_free). */
bm_status phase_within_open(phase_context *c, const char *name, const run_config *settings, bool resume,
			    base_observer *quiet, phase_context *inner, bool *finished, bm_error *err);

/* Copies c's split to `path`. */
bm_status phase_within_split(const phase_context *c, const char *path, bm_error *err);

#endif
