/* Model files. An input is 'F' and a file as it is, or 'K', brainmri.json, config.json and model.weights.h5, of which a .keras file is
 * made: its checksums would stop nearly every change. */
#include "fuzz.h"
#include "model/archive.h"
#include "model/model.h"

/* libhdf5 loses memory in damaged files, and asks for petabytes. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "allocator_may_return_null=1:detect_leaks=0";
}

static model *small(void)
{
	static const char *const names[] = {"a", "b", "c", "d"};
	static const model_options options = {
		.width = 0.0625, .image_size = 32, .channels = 3, .head = MODEL_HEAD_GUIDE, .classes = 4};
	static model m;
	if (!m.weights.count && model_create(&options, names, false, 1, &m, NULL) != BM_OK)
		abort();
	return &m;
}

static void write_archive(const uint8_t *bytes, size_t size)
{
	size_t own_size, config_size;
	const uint8_t *own = fuzz_part(&bytes, &size, &own_size), *config = fuzz_part(&bytes, &size, &config_size);
	const model_entry entries[] = {{"model.weights.h5", bytes, size},
				       {"config.json", config, config_size},
				       {"brainmri.json", own, own_size}};
	/* Without brainmri.json it is a file of Keras' own. */
	if (model_archive_write(fuzz_path("model"), entries, own_size > 0 ? 3 : 2, NULL) != BM_OK)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	model_options options;
	bm_error err;
	bool head;
	model m;
	if (size < 1)
		return 0;
	if (bytes[0] == 'K')
		write_archive(bytes + 1, size - 1);
	else
		fuzz_write("model", bytes + 1, size - 1, size - 1);
	const char *path = fuzz_path("model");
	if (model_peek(path, &options, &err) != BM_OK)
		FUZZ_CHECK(err.message[0]);
	if (model_load(path, &m, &err) == BM_OK) {
		FUZZ_CHECK(m.graph.count > m.base_layers && m.weights.count > 0);
		model_free(&m);
	} else {
		FUZZ_CHECK(err.message[0] && !m.weights.storage);
	}
	if (model_load_weights(small(), path, &head, &err) != BM_OK)
		FUZZ_CHECK(err.message[0] && !head);
	return 0;
}
