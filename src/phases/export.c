#include "phases/export.h"

#include <errno.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "data/loader.h"
#include "phases/finished.h"
#include "phases/phases.h"
#include "phases/runtime.h"

enum { BATCH = 16, CHUNK_BYTES = 256 << 20 };

/* Float32 in another order of computation differs by 1e-6; anything near this is a fault of the file. */
static const double difference_limit = 1e-3;
/* What rounding to half precision may cost. */
static const double accuracy_limit = 0.002;

static const char *const format_names[PHASE_FORMATS] = {
	[PHASE_KERAS] = "keras", [PHASE_SAFETENSORS] = "safetensors", [PHASE_ONNX] = "onnx"};

const char *phase_format_name(phase_format format)
{
	return format_names[format];
}

bool phase_format_parse(const char *text, phase_format *format)
{
	for (int i = 0; i < PHASE_FORMATS; i++) {
		if (strcmp(text, format_names[i]) == 0) {
			*format = (phase_format)i;
			return true;
		}
	}
	return false;
}

/* The validation images, and what the model says of them before and after. */
typedef struct gate {
	phase_context *c;
	const model *m;
	const size_t *indices; /* [count] into the pack */
	size_t count;
	float *before, *after; /* [count][classes] */
	bool mirror;	       /* as the run was evaluated; only brainmri does it */
} gate;

static bm_status predict(const gate *g, const model *m, float *probabilities, bm_error *err)
{
	model_predictor *predictor = NULL;
	bm_status status = model_predictor_create(m, BATCH, 0, g->c->threads, &predictor, err);
	if (status == BM_OK)
		status = model_predict_pack(predictor, &g->c->pack, g->indices, g->count, g->mirror, &g->c->observer,
					    probabilities, err);
	model_predictor_free(predictor);
	return status;
}

/* .keras and .safetensors files: this program is one of their readers. */
static bm_status predict_again(const gate *g, const char *file, bm_error *err)
{
	model again = {0};
	bm_status status = model_load(file, &again, err);
	if (status == BM_OK)
		status = predict(g, &again, g->after, err);
	model_free(&again);
	return status;
}

/* The validation images as bytes, [count][size][size][channels]. */
static bm_status make_pixels(const gate *g, size_t first, size_t count, uint8_t *pixels, float *floats, bm_error *err)
{
	const model_options *o = &g->m->options;
	size_t values = (size_t)o->image_size * (size_t)o->image_size * (size_t)o->channels;
	size_t side = (size_t)g->c->pack.side;
	for (size_t i = 0; i < count; i++) {
		const uint8_t *from = g->c->pack.images + g->indices[first + i] * side * side;
		bm_status status = data_image_to_floats(from, g->c->pack.side, o->image_size, o->channels, floats, err);
		if (status != BM_OK)
			return status;
		for (size_t k = 0; k < values; k++)
			pixels[i * values + k] = (uint8_t)lrintf(floats[k] * 255);
	}
	return BM_OK;
}

/* In pieces: onnxruntime gets the images of one through memory. */
static bm_status run_onnx(const gate *g, const char *file, char version[64], bm_error *err)
{
	const model_options *o = &g->m->options;
	size_t values = (size_t)o->image_size * (size_t)o->image_size * (size_t)o->channels;
	size_t most = CHUNK_BYTES / values ? CHUNK_BYTES / values : 1;
	if (most > g->count)
		most = g->count;
	uint8_t *pixels = base_malloc(most, values, "the images", err);
	float *floats = base_malloc(values, sizeof *floats, "an image", err);
	bm_status status = pixels && floats ? BM_OK : BM_ERR_MEMORY;
	for (size_t done = 0; done < g->count && status == BM_OK;) {
		size_t count = g->count - done < most ? g->count - done : most;
		phase_onnx_job job = {.file = file,
				      .images = pixels,
				      .count = count,
				      .side = o->image_size,
				      .channels = o->channels,
				      .classes = o->classes,
				      .threads = g->c->threads,
				      .probabilities = g->after + done * (size_t)o->classes};
		status = make_pixels(g, done, count, pixels, floats, err);
		if (status == BM_OK)
			status = phase_onnxruntime(&job, &g->c->observer, err);
		memcpy(version, job.version, sizeof job.version);
		done += count;
	}
	base_free(pixels);
	base_free(floats);
	return status;
}

static int best_of(const float *probabilities, int classes)
{
	int best = 0;
	for (int k = 1; k < classes; k++)
		if (probabilities[k] > probabilities[best])
			best = k;
	return best;
}

static double accuracy_of(const gate *g, const float *probabilities)
{
	size_t right = 0;
	int classes = g->m->options.classes;
	for (size_t i = 0; i < g->count; i++)
		right += best_of(probabilities + i * (size_t)classes, classes) == g->c->pack.labels[g->indices[i]];
	return (double)right / (double)g->count;
}

static size_t changed_classes(const gate *g)
{
	size_t changed = 0;
	int classes = g->m->options.classes;
	for (size_t i = 0; i < g->count; i++)
		changed += best_of(g->before + i * (size_t)classes, classes) !=
			   best_of(g->after + i * (size_t)classes, classes);
	return changed;
}

static bm_status compare(const gate *g, bool half, const char *checker, bm_error *err)
{
	size_t values = g->count * (size_t)g->m->options.classes;
	double largest = 0, before = accuracy_of(g, g->before), after = accuracy_of(g, g->after);
	for (size_t i = 0; i < values; i++) {
		double difference = fabs((double)g->before[i] - (double)g->after[i]);
		if (!(difference <= largest)) /* NaN too */
			largest = difference;
	}
	phase_say(g->c, "✓ Checked by %s on %zu validation images", checker, g->count);
	phase_say(g->c, "Accuracy before: %.4f", before);
	phase_say(g->c, "Accuracy after:  %.4f", after);
	phase_say(g->c, "Largest difference of a probability: %.2g", largest);
	if (g->c->config.plan.mirror && !g->mirror)
		phase_say(g->c, "Note: the run was evaluated with the mean of each image and its mirror image; the "
				"file gives that "
				"of the image alone");
	phase_put_text(g->c, NULL, "checked_by", checker);
	phase_put_int(g->c, NULL, "validation_images", (long long)g->count);
	phase_put_real(g->c, NULL, "accuracy_before", before);
	phase_put_real(g->c, NULL, "accuracy_after", after);
	phase_put_real(g->c, NULL, "largest_difference", largest);
	if (half) {
		size_t changed = changed_classes(g);
		phase_say(g->c, "Images whose class changes by rounding to half precision: %zu", changed);
		phase_put_int(g->c, NULL, "changed_classes", (long long)changed);
		if (!(largest <= 1) || after < before - accuracy_limit || (changed > 1 && changed > g->count / 100))
			return base_fail(err, BM_ERR_NUMERIC,
					 "half precision costs too much: the validation accuracy falls from %.4f to "
					 "%.4f (%g is allowed), %zu of %zu images change their class (one in a hundred "
					 "is allowed), a probability differs by %.3g; the file was not kept. Export it "
					 "without --half",
					 before, after, accuracy_limit, changed, g->count, largest);
	} else if (!(largest <= difference_limit))
		return base_fail(err, BM_ERR_NUMERIC,
				 "the exported file answers otherwise than the model: a probability differs by %.3g, "
				 "the accuracy "
				 "is %.4f instead of %.4f; it was not kept. This is a fault of the program or of the "
				 "runtime: please "
				 "report it",
				 largest, after, before);
	return BM_OK;
}

/* No check is an answer too, and must be said. */
static bm_status unchecked(phase_context *c, const char *why)
{
	base_warning(&c->observer, "the exported file was not checked: %s", why);
	phase_put(c, NULL, "checked_by", NULL);
	phase_put_text(c, NULL, "not_checked", why);
	return BM_OK;
}

static bm_status check_file(phase_context *c, const phase_export_options *o, const model *m, const char *file,
			    bm_error *err)
{
	char checker[64] = "brainmri's own reader";
	gate g = {.c = c, .m = m, .mirror = o->half && c->config.plan.mirror};
	bm_status status;
	if (!c->folder)
		return unchecked(c, "the model is not in a run folder, so there are no validation images");
	status = phase_need_split(c, err);
	if (status != BM_OK) {
		if (status != BM_ERR_NOT_FOUND)
			return status;
		return unchecked(c, err ? err->message : "there are no validation images");
	}
	g.indices = c->split.indices[DATA_VALIDATION];
	g.count = c->split.count[DATA_VALIDATION];
	if (c->pack.class_count != m->options.classes)
		return base_fail(err, BM_ERR_DATA, "the model tells %d classes apart, the data of '%s' has %d",
				 m->options.classes, c->folder, c->pack.class_count);
	g.before = base_calloc(g.count * (size_t)m->options.classes, sizeof *g.before, "the probabilities", err);
	g.after = base_calloc(g.count * (size_t)m->options.classes, sizeof *g.after, "the probabilities", err);
	status = g.before && g.after ? predict(&g, m, g.before, err) : BM_ERR_MEMORY;
	if (status == BM_OK)
		status = o->format == PHASE_ONNX ? run_onnx(&g, file, checker, err) : predict_again(&g, file, err);
	if (status == BM_OK)
		status = compare(&g, o->half, checker, err);
	else if (status == BM_ERR_UNSUPPORTED)
		status = unchecked(c, err ? err->message : "there is no runtime");
	base_free(g.before);
	base_free(g.after);
	return status;
}

static bm_status write_file(const phase_export_options *o, const model *m, const char *file, bm_error *err)
{
	if (o->format == PHASE_KERAS)
		return model_save(m, file, err);
	return o->format == PHASE_ONNX ? model_save_onnx(m, o->pixels, file, err)
				       : model_save_safetensors(m, o->half, file, err);
}

/* The model that is exported, for images of the size that it was last trained at. */
static bm_status load(phase_context *c, const phase_export_options *o, model *m, bm_error *err)
{
	char name[64], *path = NULL;
	const char *base = o->model ? base_path_name(o->model) : NULL;
	int size = 0;
	bm_status status = BM_OK;
	if (!o->model) {
		status = phase_need_history(c, err);
		if (status != BM_OK)
			return status;
		phase_best_model(c, name, &size);
		path = phase_path(c, name, err);
		if (!path)
			return BM_ERR_MEMORY;
	}
	for (int i = 0; base && c->folder && i < c->config.plan.count; i++) {
		snprintf(name, sizeof name, "best_model_stage%d.keras", c->config.plan.stages[i].number);
		if (strcmp(name, base) == 0)
			size = c->config.plan.stages[i].image_size;
	}
	if (o->model && size > 0) /* from config.json, which must be what it was trained with */
		status = phase_check_made(c, "train", err);
	if (status == BM_OK)
		status = model_load(path ? path : o->model, m, err);
	base_free(path);
	if (status == BM_OK && size > 0) {
		m->options.image_size = size;
		status = nn_graph_infer(&m->graph, size, size, m->options.channels, err);
	}
	if (status == BM_OK) {
		phase_say(c, "✓ Model: %s, width %g, depth %d, %d x %d pixels, %d classes",
			  model_variant_text(m->options.variant), m->options.width, model_depth(&m->options),
			  m->options.image_size, m->options.image_size, m->options.classes);
		phase_put_text(c, NULL, "model", o->model ? o->model : name);
	}
	return status;
}

static bm_status take_calibration(phase_context *c, const char *from, model *m, bm_error *err)
{
	phase_finished other = {0};
	evaluate_trust trust = {0};
	bm_status status = phase_finished_load(from, &other, err);
	if (status == BM_OK && !other.evaluated)
		status = base_fail(
			err, BM_ERR_USAGE,
			"'%s' is not evaluated, so it has no calibration; run 'brainmri evaluate' on it first", from);
	if (status == BM_OK && (other.network.options.variant != m->options.variant ||
				other.network.options.classes != m->options.classes))
		status = base_fail(err, BM_ERR_USAGE, "'%s' is another network, so its calibration does not fit", from);
	if (status == BM_OK && !m->trust)
		status = base_fail(err, BM_ERR_USAGE,
				   "the model to export is not evaluated; run 'brainmri evaluate' on it first");
	if (status == BM_OK)
		status = evaluate_trust_from_text(m->trust, &trust, err);
	if (status == BM_OK) {
		trust.temperature = other.trust.temperature;
		trust.threshold = other.trust.threshold;
		base_free(m->trust);
		m->trust = evaluate_trust_to_text(&trust, err);
		status = m->trust ? BM_OK : BM_ERR_MEMORY;
	}
	if (status == BM_OK) {
		phase_say(c, "✓ Calibration of %s: temperature %.3f, abstains below %.3f", from, trust.temperature,
			  trust.threshold);
		phase_put_text(c, NULL, "calibration", from);
		phase_put_real(c, NULL, "temperature", trust.temperature);
		phase_put_real(c, NULL, "threshold", trust.threshold);
	}
	phase_finished_free(&other);
	return status;
}

bm_status phase_export(phase_context *c, const phase_export_options *o, bm_error *err)
{
	model m = {0};
	base_text part = {0};
	struct stat info;
	char bytes[32];
	bm_status status = phase_begin(c, err);
	if (status == BM_OK)
		status = load(c, o, &m, err);
	if (status == BM_OK && o->calibration)
		status = take_calibration(c, o->calibration, &m, err);
	if (status != BM_OK)
		goto done;
	base_text_add(&part, "%s.part", o->out);
	if (part.failed) {
		status = base_fail(err, BM_ERR_MEMORY, "no memory for the name of '%s'", o->out);
		goto done;
	}
	status = write_file(o, &m, part.data, err);
	if (status == BM_OK)
		status = check_file(c, o, &m, part.data, err);
	if (status == BM_OK && (stat(part.data, &info) != 0 || rename(part.data, o->out) != 0))
		status = base_fail(err, BM_ERR_IO, "cannot write '%s': %s", o->out, strerror(errno));
	if (status == BM_OK) {
		phase_say(c, "✓ Exported: %s (%s)", o->out, base_format_bytes((double)info.st_size, bytes));
		phase_put_text(c, NULL, "format", phase_format_name(o->format));
		phase_put_text(c, NULL, "precision", o->half ? "half" : "single");
		phase_put_text(c, NULL, "out", o->out);
		phase_put_int(c, NULL, "bytes", (long long)info.st_size);
	} else {
		unlink(part.data);
	}
done:
	base_text_free(&part);
	model_free(&m);
	return status;
}
