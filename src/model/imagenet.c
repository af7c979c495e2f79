#include "model/imagenet.h"

#include <stdlib.h>

#include "base/memory.h"
#include "base/text.h"
#include "storage/download.h"

/* keras/src/applications/resnet.py of Keras 3.15.1: BASE_WEIGHTS_PATH, and in WEIGHTS_HASHES the second of resnet50, "without top". The size is what
 * the server announces for it. */
static const struct {
	const char *name, *url, *md5;
	uint64_t size;
} imagenet = {"resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5",
	      "https://storage.googleapis.com/tensorflow/keras-applications/resnet/"
	      "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5",
	      "4d473c1dd8becc155b73f8504c6f6626", 94765736};

/* XDG Base Directory Specification: a value that is no absolute path is to be ignored. */
static bm_status cache_path(char **path, bm_error *err)
{
	const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
	base_text text = {0};

	*path = NULL;
	if (cache && cache[0] == '/')
		base_text_add(&text, "%s", cache);
	else if (home && home[0] == '/')
		base_text_add(&text, "%s/.cache", home);
	else
		return base_fail(err, BM_ERR_USAGE,
				 "no place for the ImageNet weights: neither XDG_CACHE_HOME nor HOME is set");
	base_text_add(&text, "/brainmri/weights/%s", imagenet.name);
	if (!text.failed)
		*path = base_strdup(base_text_string(&text), err);
	base_text_free(&text);
	return *path ? BM_OK : base_fail(err, BM_ERR_MEMORY, "not enough memory for a path");
}

bm_status model_fetch_imagenet(const base_observer *observer, char **path, bm_error *err)
{
	const char *mirror = getenv("BRAINMRI_IMAGENET_URL");
	storage_download d = {.what = "the ImageNet weights",
			      .url = mirror && *mirror ? mirror : imagenet.url,
			      .size = imagenet.size,
			      .md5 = imagenet.md5};
	bm_error why = {0};
	bm_status status = cache_path(path, err);

	if (status != BM_OK)
		return status;
	d.path = *path;
	if (storage_download_done(&d))
		return BM_OK;
	base_note(observer, "fetching %s (%.1f MB) from %s into %s", d.what, (double)d.size / 1e6, d.url, d.path);
	status = storage_download_file(&d, observer, &why);
	if (status == BM_OK)
		return BM_OK;
	if (status == BM_ERR_CANCELLED && err)
		*err = why;
	else
		base_fail(err, status,
			  "%.500s; fetch that file (%llu bytes) where there is a network and put it at '%s', or train "
			  "without it: "
			  "--weights none, or --weights FILE",
			  why.message, (unsigned long long)d.size, *path);
	base_free(*path);
	*path = NULL;
	return status;
}
