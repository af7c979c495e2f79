/* The published ImageNet weights, and where they are kept. */
#ifndef MODEL_IMAGENET_H
#define MODEL_IMAGENET_H

#include "base/observer.h"

/* The file's path in the cache ($XDG_CACHE_HOME or ~/.cache, brainmri/weights/), fetched when it is not there yet. *path: base_free. The address may be
 * that of a mirror, in the environment's BRAINMRI_IMAGENET_URL. Errors name the address, the place to put the file by hand, and other
 * ways to train. */
bm_status model_fetch_imagenet(const base_observer *observer, char **path, bm_error *err);

#endif
