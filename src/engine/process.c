/* What every engine does with one image; a file of its own, so that a worker needs nothing but this. */
#include "engine/preprocess.h"

bm_status engine_preprocess_bytes(const void *bytes, size_t size, int side, uint8_t *out, bm_error *err)
{
	image decoded = {0}, packed = {.width = side, .height = side, .channels = 1, .pixels = out};
	bm_status status = image_decode(bytes, size, 1, side, side, &decoded, err);
	if (status == BM_OK) {
		image_keep_foreground(&decoded);
		status = image_resize(&decoded, &packed, err);
	}
	image_free(&decoded);
	return status;
}

bool engine_is_damage(bm_status status)
{
	return status != BM_OK && status != BM_ERR_MEMORY && status != BM_ERR_INTERNAL;
}

bm_status engine_preprocess_file(const void *bytes, size_t size, base_hash hash, int side, uint8_t *out, bool *damaged,
				 bm_error *err)
{
	bm_status status;
	/* Labels, hashes and near-copies are those of the scan. */
	if (!base_hash_equal(base_hash_bytes(bytes, size), hash))
		status = base_fail(err, BM_ERR_FORMAT, "the file changed while the program ran");
	else
		status = engine_preprocess_bytes(bytes, size, side, out, err);
	*damaged = engine_is_damage(status);
	return status;
}
