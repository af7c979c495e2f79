/* A pack: pack.json, manifest.csv, the length of images.npy, and how it begins. */
#include "data/pack.h"
#include "data/pack_format.h"
#include "fuzz.h"

enum { IMAGES_MAX = 4 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	data_pack pack;
	bm_error err;
	size_t json_size, manifest_size;
	const uint8_t *json = fuzz_part(&bytes, &size, &json_size),
		      *manifest = fuzz_part(&bytes, &size, &manifest_size);
	size_t length = fuzz_number(&bytes, &size) % IMAGES_MAX;
	fuzz_write(DATA_PACK_JSON, json, json_size, json_size);
	fuzz_write(DATA_PACK_MANIFEST, manifest, manifest_size, manifest_size);
	fuzz_write(DATA_PACK_IMAGES, bytes, size, length);
	if (data_pack_open(fuzz_folder, &pack, &err) != BM_OK) {
		FUZZ_CHECK(err.message[0] && !pack.images);
		return 0;
	}
	unsigned sum = 0;
	for (size_t i = 0; i < pack.count; i++) {
		FUZZ_CHECK(pack.labels[i] >= 0 && pack.labels[i] < pack.class_count);
		FUZZ_CHECK(pack.sources[i][0] && !strstr(pack.sources[i], "/../"));
	}
	for (size_t i = 0; i < pack.count * (size_t)pack.side * (size_t)pack.side; i += 512)
		sum += pack.images[i];
	FUZZ_CHECK(sum < UINT32_MAX);
	data_pack_holds(fuzz_folder, pack.content, pack.side);
	data_pack_close(&pack);
	return 0;
}
