/* brainmri predict: classifies images with a model. */
#include <jansson.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/session.h"
#include "model/safetensors.h"
#include "model/shipped.h"

typedef struct prediction {
	bm_model *model;
	cli_terminal *terminal;
	json_t *images; /* array, with --json */
	int width;	/* of the widest path */
	int classes;
	float *probabilities; /* [classes] */
	bm_result result;
	int failed, refused, unsure;
} prediction;

static int columns_of(const prediction *p, int index)
{
	int width = base_text_columns(bm_model_class_name(p->model, index));
	return width < 6 ? 6 : width;
}

static int class_column(const prediction *p)
{
	int width = 8; /* "not sure" */
	for (int k = 0; k < p->classes; k++)
		if (base_text_columns(bm_model_class_name(p->model, k)) > width)
			width = base_text_columns(bm_model_class_name(p->model, k));
	return width;
}

static void pad(base_text *text, const char *what, int width, bool right)
{
	int space = width - base_text_columns(what);
	space = space < 0 ? 0 : space;
	base_text_add(text, "%*s%s%*s", right ? space : 0, "", what, right ? 0 : space, "");
}

static void header(const prediction *p)
{
	base_text text = {0};
	pad(&text, "image", p->width, false);
	base_text_add(&text, "  ");
	pad(&text, "class", class_column(p), false);
	base_text_add(&text, "  confidence");
	for (int k = 0; k < p->classes; k++) {
		base_text_add(&text, "  ");
		pad(&text, bm_model_class_name(p->model, k), columns_of(p, k), true);
	}
	base_result(&p->terminal->observer, "%s", base_text_string(&text));
	base_text_free(&text);
}

/* What stands in the class's place when there is no answer. */
static const char *answer(const prediction *p)
{
	static const char *const none[] = {[BM_NOT_SURE] = "not sure", [BM_REFUSED] = "refused"};
	if (p->result.verdict == BM_ANSWERED)
		return bm_model_class_name(p->model, p->result.best);
	return none[p->result.verdict];
}

static void show(const prediction *p, const char *path)
{
	base_text text = {0};
	pad(&text, path, p->width, false);
	base_text_add(&text, "  ");
	pad(&text, answer(p), class_column(p), false);
	base_text_add(&text, "  %10.4f", (double)p->result.confidence);
	for (int k = 0; k < p->classes; k++)
		base_text_add(&text, "  %*.4f", columns_of(p, k), (double)p->probabilities[k]);
	if (p->result.verdict != BM_ANSWERED)
		base_text_add(&text, "  %s", p->result.advice);
	base_result(&p->terminal->observer, "%s", base_text_string(&text));
	base_text_free(&text);
}

static void keep(const prediction *p, const char *path)
{
	static const char *const verdicts[] = {
		[BM_ANSWERED] = "answered", [BM_NOT_SURE] = "not sure", [BM_REFUSED] = "refused"};
	json_t *all = json_object();
	for (int k = 0; k < p->classes; k++)
		json_object_set_new(all, bm_model_class_name(p->model, k), json_real((double)p->probabilities[k]));
	json_t *one = json_pack(
		"{s:o, s:s, s:s?, s:f, s:f, s:o}", "path", phase_json_text(path), "verdict",
		verdicts[p->result.verdict], "class", p->result.verdict == BM_ANSWERED ? answer(p) : NULL, "confidence",
		(double)p->result.confidence, "threshold", (double)p->result.threshold, "probabilities", all);
	if (p->result.unlikeness >= 0)
		json_object_set_new(one, "unlikeness", json_real((double)p->result.unlikeness));
	if (p->result.verdict != BM_ANSWERED)
		json_object_set_new(one, "advice", json_string(p->result.advice));
	json_array_append_new(p->images, one);
}

static void classify(prediction *p, const char *path)
{
	bm_error err = {0};
	p->result.size = sizeof p->result;
	if (bm_model_judge_file(p->model, path, &p->result, p->probabilities, &err) != BM_OK) {
		cli_terminal_error(p->terminal, &err);
		json_array_append_new(p->images,
				      json_pack("{s:o, s:s}", "path", phase_json_text(path), "error", err.message));
		p->failed++;
		return;
	}
	p->refused += p->result.verdict == BM_REFUSED;
	p->unsure += p->result.verdict == BM_NOT_SURE;
	if (p->terminal->json)
		keep(p, path);
	else
		show(p, path);
}

static void print_json(const prediction *p, const char *path)
{
	json_t *classes = json_array();
	for (int k = 0; k < p->classes; k++)
		json_array_append_new(classes, json_string(bm_model_class_name(p->model, k)));
	json_t *json = json_pack("{s:s, s:o, s:o, s:O, s:i, s:i, s:i}", "command", "predict", "model",
				 phase_json_text(path), "classes", classes, "images", p->images, "failed", p->failed,
				 "not_sure", p->unsure, "refused", p->refused);
	cli_print_json(p->terminal, json);
	json_decref(json);
}

/* --abstain: with the model's own threshold; --abstain=X: with X. --any-image: nothing is refused. */
static bm_status set_limits(const cli_arguments *a, bm_model *opened, bm_error *err)
{
	const char *given = a->values[CLI_ABSTAIN];
	double threshold = -1;
	bm_status status = BM_OK;
	if (given && given[0])
		status = cli_parse_real("abstain", given, 0, 1, &threshold, err);
	if (status == BM_OK && given)
		status = bm_model_set_abstain(opened, threshold, err);
	if (a->values[CLI_ANY_IMAGE])
		bm_model_set_refuse(opened, 0);
	return status;
}

/* Is it a model, and no image? A folder is, a file by its bytes; one that is damaged by its name, to be called a damaged model. */
static bool is_model(const char *path)
{
	static const char *const ends[] = {".keras", ".safetensors", ".h5"};
	uint8_t start[16] = {0};
	size_t length = strlen(path);
	if (base_is_folder(path))
		return true;
	for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
		if (length > strlen(ends[i]) && strcmp(path + length - strlen(ends[i]), ends[i]) == 0)
			return true;
	FILE *file = fopen(path, "rb");
	size_t size = file ? fread(start, 1, sizeof start, file) : 0;
	if (file)
		fclose(file);
	return memcmp(start, "PK\3\4", 4) == 0 || memcmp(start, "\x89HDF", 4) == 0 ||
	       model_safetensors_begins(start, size);
}

/* *named: the operand that names it; NULL: the one that ships. */
static bm_status choose_model(const cli_arguments *a, const char **named, bm_error *err)
{
	const char *first = a->operand_count > 0 ? a->operands[0] : NULL;
	size_t size;
	*named = NULL;
	if (!first)
		return base_fail(err, BM_ERR_USAGE,
				 "'predict' needs images: brainmri predict [RUN|MODEL] IMAGE... "
				 "(see 'brainmri predict --help')");
	if (is_model(first)) {
		*named = first;
		return a->operand_count > 1
			       ? BM_OK
			       : base_fail(err, BM_ERR_USAGE,
					   "'%s' is a model: which images? brainmri predict [RUN|MODEL] IMAGE... "
					   "(see 'brainmri predict --help')",
					   first);
	}
	if (!base_is_file(first))
		return base_fail(err, BM_ERR_NOT_FOUND,
				 "there is no '%s': the first operand is a run folder, a model file or an image",
				 first);
	if (!model_shipped(&size))
		return base_fail(
			err, BM_ERR_NOT_FOUND,
			"'%s' is no run folder or model file, and no model ships with this build of the program: "
			"name one before the images, as in 'brainmri predict runs/first %s', after 'brainmri run "
			"DATA --out runs/first' has made it",
			first, first);
	return BM_OK;
}

/* The card is a file of its own: printed as it is. */
static int print_card(const cli_arguments *a, cli_terminal *terminal)
{
	bm_error err = {0};
	const char *card = bm_shipped_card();
	if (a->operand_count > 0)
		base_fail(
			&err, BM_ERR_USAGE,
			"--card prints that of the shipped model and takes no operands; a run's is RUN/MODEL_CARD.md");
	else if (!card)
		base_fail(&err, BM_ERR_NOT_FOUND, "no model ships with this build of the program, so there is no card");
	if (err.status != BM_OK)
		return cli_terminal_error(terminal, &err);
	if (terminal->json) {
		json_t *json =
			json_pack("{s:s, s:s, s:s}", "command", "predict", "model", MODEL_SHIPPED_NAME, "card", card);
		cli_print_json(terminal, json);
		json_decref(json);
	} else {
		base_result_text(&terminal->observer, card);
	}
	return 0;
}

int cli_predict(const cli_arguments *a, cli_terminal *terminal)
{
	if (a->values[CLI_CARD])
		return print_card(a, terminal);
	bm_error err = {0};
	prediction p = {.terminal = terminal, .width = 5};
	int threads = 0, code = 1, first;
	const char *named;
	bm_status status = choose_model(a, &named, &err);
	if (status == BM_OK && a->values[CLI_THREADS])
		status = cli_parse_threads(a->values[CLI_THREADS], &threads, &err);
	if (status == BM_OK)
		status = bm_model_open(named, threads, &p.model, &err);
	if (status == BM_OK)
		status = set_limits(a, p.model, &err);
	if (status != BM_OK) {
		bm_model_close(p.model);
		return cli_terminal_error(terminal, &err);
	}
	first = named ? 1 : 0;
	if (!named)
		base_note(&terminal->observer,
			  "the model that ships with the program answers ('brainmri predict --card'); "
			  "no diagnosis: not a medical device");
	p.classes = bm_model_class_count(p.model);
	p.probabilities = base_malloc((size_t)p.classes, sizeof *p.probabilities, "the probabilities", &err);
	p.images = json_array();
	if (!p.probabilities || !p.images) {
		code = cli_terminal_error(terminal, &err);
		goto done;
	}
	for (int i = first; i < a->operand_count; i++)
		if (base_text_columns(a->operands[i]) > p.width)
			p.width = base_text_columns(a->operands[i]);
	if (!terminal->json)
		header(&p);
	for (int i = first; i < a->operand_count; i++) {
		if (base_check_cancel(&terminal->observer, &err) != BM_OK) {
			cli_terminal_error(terminal, &err);
			p.failed += a->operand_count - i;
			break;
		}
		classify(&p, a->operands[i]);
	}
	if (terminal->json)
		print_json(&p, named ? named : MODEL_SHIPPED_NAME);
	if (p.failed && a->operand_count - first > 1)
		base_warning(&terminal->observer, "%d of %d images were not classified", p.failed,
			     a->operand_count - first);
	code = p.failed ? 1 : 0;
done:
	base_free(p.probabilities);
	json_decref(p.images);
	bm_model_close(p.model);
	return code;
}
