/* Synthetic brain-like slices: what a user without a data set, and every test, trains on. Not anatomy: an ellipse of
 * skull, brain, ventricles, cortical folds, with noise, contrast, bias field, position, size and rotation varied,
 * and by class
 *   0 glioma      an irregular, infiltrating, heterogeneous mass inside the hemisphere, with oedema
 *   1 meningioma  a smooth, bright, round mass that sits on the skull or falx
 *   2 notumor     none
 *   3 pituitary   a small bright mass at the midline base
 * with distractors (vessels, bright spots, asymmetry) in every class, so that it is learnable but not trivial. */
#ifndef IMAGE_PHANTOM_H
#define IMAGE_PHANTOM_H

#include "image/image.h"

#define IMAGE_PHANTOM_CLASSES 4
extern const char
	*const image_phantom_class_names[IMAGE_PHANTOM_CLASSES]; /* "glioma", "meningioma", "notumor", "pituitary" */

/* One slice of size x size grey pixels (32 to 1024); the same (seed, label, index) gives the same bytes.
 * out is created (image_free). */
bm_status image_phantom(uint64_t seed, int label, uint64_t index, int size, image *out, bm_error *err);

#endif
