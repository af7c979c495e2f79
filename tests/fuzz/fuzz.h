/* For the fuzzers (libFuzzer): a folder of their own in memory, and inputs that are several files one behind the other. */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static char fuzz_folder[64];

static void fuzz_remove(void)
{
	char command[128];
	snprintf(command, sizeof command, "rm -rf '%s'", fuzz_folder);
	if (system(command) != 0)
		fprintf(stderr, "fuzz: '%s' is left over\n", fuzz_folder);
}

/* A path in the folder, which is made with the first call and removed at exit; static storage. */
static inline const char *fuzz_path(const char *name)
{
	static char path[128];
	if (!fuzz_folder[0]) {
		strcpy(fuzz_folder, access("/dev/shm", W_OK) == 0 ? "/dev/shm/bm-fuzz-XXXXXX" : "/tmp/bm-fuzz-XXXXXX");
		if (!mkdtemp(fuzz_folder))
			abort();
		atexit(fuzz_remove);
	}
	snprintf(path, sizeof path, "%s/%s", fuzz_folder, name);
	return path;
}

/* The file is then `length` bytes long, with zeros behind `bytes`, or cut. */
static inline void fuzz_write(const char *name, const uint8_t *bytes, size_t size, size_t length)
{
	FILE *f = fopen(fuzz_path(name), "wb");
	if (!f || fwrite(bytes, 1, size, f) != size || fflush(f) != 0 || ftruncate(fileno(f), (off_t)length) != 0 ||
	    fclose(f) != 0)
		abort();
}

/* Takes a number of 32 bits, little-endian, from the front; 0 when there is none. */
static inline size_t fuzz_number(const uint8_t **bytes, size_t *size)
{
	if (*size < 4)
		return 0;
	const uint8_t *b = *bytes;
	*bytes += 4;
	*size -= 4;
	return (size_t)b[0] | (size_t)b[1] << 8 | (size_t)b[2] << 16 | (size_t)b[3] << 24;
}

/* Takes a length and as many bytes from the front, or what is left. */
static inline const uint8_t *fuzz_part(const uint8_t **bytes, size_t *size, size_t *part_size)
{
	size_t wanted = fuzz_number(bytes, size);
	const uint8_t *part = *bytes;
	*part_size = wanted < *size ? wanted : *size;
	*bytes += *part_size;
	*size -= *part_size;
	return part;
}

/* What must hold whatever the input is. */
#define FUZZ_CHECK(condition)                                                           \
	do {                                                                            \
		if (!(condition)) {                                                     \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
			abort();                                                        \
		}                                                                       \
	} while (0)

#endif
