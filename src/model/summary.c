/* The table that Keras 3 prints for model.summary(), with whole names where Keras cuts them. */
#include <stdio.h>
#include <string.h>

#include "model/resnet50.h"

#define COLUMNS 4
#define LINES_MAX 3

static const int widths[COLUMNS] = {27, 20, 11, 30};
static const char *const titles[COLUMNS] = {"Layer (type)", "Output Shape", "Param #", "Connected to"};

/* One row's cells, each of up to LINES_MAX lines. */
typedef struct row {
	char cells[COLUMNS][LINES_MAX][96];
	int lines;
} row;

static void rule(base_text *text, const char *left, const char *line, const char *cross, const char *right)
{
	base_text_add(text, "%s", left);
	for (int c = 0; c < COLUMNS; c++) {
		for (int i = 0; i < widths[c] + 2; i++)
			base_text_add(text, "%s", line);
		base_text_add(text, "%s", c + 1 < COLUMNS ? cross : right);
	}
	base_text_add(text, "\n");
}

static void put_row(base_text *text, const row *r, const char *bar)
{
	for (int i = 0; i < r->lines; i++) {
		for (int c = 0; c < COLUMNS; c++) {
			/* Numbers stand to the right. */
			base_text_add(text, c == 2 ? "%s %*s " : "%s %-*s ", bar, widths[c], r->cells[c][i]);
		}
		base_text_add(text, "%s\n", bar);
	}
}

static void describe_layer(const nn_graph *graph, int index, row *r)
{
	const nn_layer *layer = &graph->layers[index];
	char number[32], joined[160];
	int64_t statistics;

	memset(r, 0, sizeof(*r));
	r->lines = 1;
	snprintf(joined, sizeof(joined), "%s (%s)", layer->name, nn_type_keras(layer->type));
	if ((int)strlen(joined) <= widths[0]) {
		snprintf(r->cells[0][0], sizeof(r->cells[0][0]), "%s", joined);
	} else {
		snprintf(r->cells[0][0], sizeof(r->cells[0][0]), "%s", layer->name);
		snprintf(r->cells[0][1], sizeof(r->cells[0][1]), "(%s)", nn_type_keras(layer->type));
		r->lines = 2;
	}
	if (layer->flat)
		snprintf(r->cells[1][0], sizeof(r->cells[1][0]), "(None, %d)", layer->channels);
	else
		snprintf(r->cells[1][0], sizeof(r->cells[1][0]), "(None, %d, %d, %d)", layer->height, layer->width,
			 layer->channels);
	snprintf(r->cells[2][0], sizeof(r->cells[2][0]), "%s",
		 base_format_count(model_layer_parameters(graph, index, &statistics), number));
	for (int i = 0; i < layer->input_count; i++)
		snprintf(r->cells[3][i], sizeof(r->cells[3][i]), "%s[0][0]", graph->layers[layer->inputs[i]].name);
	if (layer->input_count == 0)
		snprintf(r->cells[3][0], sizeof(r->cells[3][0]), "-");
	if (layer->input_count > r->lines)
		r->lines = layer->input_count;
}

static void total(base_text *text, const char *what, int64_t parameters)
{
	static const char *const units[] = {"B", "KB", "MB", "GB"};
	double size = (double)parameters * sizeof(float);
	char number[32];
	int unit = 0;

	for (; size >= 1024 && unit < 3; unit++)
		size /= 1024;
	base_text_add(text, " %s params: %s (%.2f %s)\n", what, base_format_count(parameters, number), size,
		      units[unit]);
}

void model_summary(const model *m, base_text *text)
{
	int64_t all, trainable;
	row r = {.lines = 1};

	for (int c = 0; c < COLUMNS; c++)
		snprintf(r.cells[c][0], sizeof(r.cells[c][0]), "%s", titles[c]);
	base_text_add(text, "Model: \"resnet50\"\n");
	rule(text, "┏", "━", "┳", "┓");
	put_row(text, &r, "┃");
	rule(text, "┡", "━", "╇", "┩");
	for (int i = 0; i < m->graph.count; i++) {
		if (i > 0)
			rule(text, "├", "─", "┼", "┤");
		describe_layer(&m->graph, i, &r);
		put_row(text, &r, "│");
	}
	rule(text, "└", "─", "┴", "┘");
	nn_weights_counts(&m->graph, &m->weights, &all, &trainable);
	total(text, "Total", all);
	total(text, "Trainable", trainable);
	total(text, "Non-trainable", all - trainable);
}
