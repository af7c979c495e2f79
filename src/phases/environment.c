/* Phase 1: what the program and the machine are. */
#include <hdf5.h>
#include <jansson.h>
#include <jpeglib.h>
#include <png.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>
#include <zip.h>

#include "base/memory.h"
#include "base/threads.h"
#include "nn/network.h"
#include "phases/phases.h"
#include "report/figures.h"
#include "report/tables.h"

#define TEXT_OF(macro) TEXT_OF_TOKENS(macro)
#define TEXT_OF_TOKENS(tokens) #tokens

#ifdef __clang__
#define COMPILER "clang " __clang_version__
#else
#define COMPILER "gcc " __VERSION__
#endif

/* The first line of a file under /proc or /etc that begins with `key`, behind its separator. */
static void look_up(const char *path, const char *key, char separator, char *value, size_t size)
{
	char line[512];
	FILE *file = fopen(path, "re");
	snprintf(value, size, "unknown");
	if (!file)
		return;
	while (fgets(line, sizeof line, file)) {
		char *at = strchr(line, separator);
		if (strncmp(line, key, strlen(key)) != 0 || !at)
			continue;
		at += 1 + strspn(at + 1, " \t\"");
		at[strcspn(at, "\"\n")] = '\0';
		snprintf(value, size, "%s", at);
		break;
	}
	fclose(file);
}

static void say_version(phase_context *c, const char *key, const char *name, const char *version)
{
	phase_say(c, "✓ %s version: %s", name, version);
	phase_put_text(c, NULL, key, version);
}

static void libraries(phase_context *c)
{
	char text[96], nn[96];
	unsigned major = 0, minor = 0, release = 0;
	nn_describe(nn, sizeof nn);
	phase_say(c, "✓ %s", nn); /* "oneDNN 2.6.3, ..." */
	phase_put_text(c, NULL, "onednn", nn);
	if (H5get_libversion(&major, &minor, &release) >= 0) {
		snprintf(text, sizeof text, "%u.%u.%u", major, minor, release);
		say_version(c, "hdf5", "HDF5", text);
	}
#ifdef LIBJPEG_TURBO_VERSION
	say_version(c, "libjpeg_turbo", "libjpeg-turbo", TEXT_OF(LIBJPEG_TURBO_VERSION));
#else
	say_version(c, "libjpeg", "libjpeg", TEXT_OF(JPEG_LIB_VERSION));
#endif
	say_version(c, "libpng", "libpng", png_get_libpng_ver(NULL));
	say_version(c, "jansson", "Jansson", jansson_version_str());
	say_version(c, "libzip", "libzip", zip_libzip_version());
}

static void machine(phase_context *c)
{
	char cpu[256], name[256], memory[32], available[32];
	struct utsname system;
	double total = (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE);
	double left = (double)base_memory_available();
	look_up("/proc/cpuinfo", "model name", ':', cpu, sizeof cpu);
	look_up("/etc/os-release", "PRETTY_NAME", '=', name, sizeof name);
	if (uname(&system) != 0)
		snprintf(system.release, sizeof system.release, "unknown");
	phase_say(c, "✓ System: %s, Linux %s", name, system.release);
	phase_say(c, "✓ Processor: %s", cpu);
	phase_say(c, "✓ Cores: %d, used: %d", base_cores(), c->threads);
	phase_say(c, "✓ Memory: %s, available: %s", base_format_bytes(total, memory),
		  base_format_bytes(left, available));
	phase_put_text(c, NULL, "system", name);
	phase_put_text(c, NULL, "kernel", system.release);
	phase_put_text(c, NULL, "processor", cpu);
	phase_put_int(c, NULL, "cores", base_cores());
	phase_put_int(c, NULL, "threads", c->threads);
	phase_put_real(c, NULL, "memory_bytes", total);
	phase_put_real(c, NULL, "memory_available_bytes", left);
}

bm_status phase_environment(phase_context *c, bm_error *err)
{
	base_text text = {0};
	report_heading(&text, "DEEP LEARNING FOR MEDICAL IMAGING\nBrain MRI Tumor Classification");
	base_text_add(&text, "\nEnvironment Setup:\n");
	bm_status status = phase_print(c, &text, err);
	if (status != BM_OK)
		return status;
	phase_say(c, "✓ brainmri version: %s", bm_version());
	phase_put_text(c, NULL, "brainmri", bm_version());
	phase_say(c, "✓ Built with: %s", COMPILER);
	phase_put_text(c, NULL, "compiler", COMPILER);
	libraries(c);
	bool gnuplot = report_gnuplot_available();
	phase_put(c, NULL, "gnuplot", json_boolean(gnuplot));
	if (gnuplot)
		phase_say(c, "✓ gnuplot available");
	else
		phase_say(
			c,
			"✗ gnuplot not available: pictures are left as data and scripts (apt-get install gnuplot-nox)");
	machine(c);
	return BM_OK;
}
