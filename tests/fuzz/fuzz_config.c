/* config.json, the plan in it too. What is taken is written and read again as the same. */
#include "fuzz.h"
#include "phases/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	run_config config, again;
	char names[256];
	bm_error err;
	run_config_init(&config);
	run_config_init(&again);
	fuzz_write("config.json", bytes, size, size);
	if (run_config_read(fuzz_path("config.json"), &config, &err) != BM_OK) {
		FUZZ_CHECK(err.message[0]);
	} else if (train_plan_check(&config.plan, &err) == BM_OK) {
		FUZZ_CHECK(run_config_write(&config, fuzz_path("again.json"), &err) == BM_OK);
		FUZZ_CHECK(run_config_read(fuzz_path("again.json"), &again, &err) == BM_OK);
		FUZZ_CHECK(run_config_difference(&config, &again, names, sizeof names, &err) == BM_OK);
		FUZZ_CHECK(!names[0]);
	}
	run_config_free(&config);
	run_config_free(&again);
	return 0;
}
