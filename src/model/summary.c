/* The table that Keras 3 prints for model.summary() where there is room for its 108 columns, character by character: keras/src/utils/summary_utils.py,
 * and for how a cell's text is broken rich/_wrap.py and rich/text.py. */
#include <stdio.h>
#include <string.h>

#include "model/resnet50.h"

#define COLUMNS 4
#define LINES_MAX 6
#define CELL_SIZE 96

static const int widths[COLUMNS] = {29, 25, 15, 26};
static const char *const titles[COLUMNS] = {"Layer (type)", "Output Shape", "Param #", "Connected to"};

/* One row's cells, each of up to LINES_MAX lines. */
typedef struct row {
	char cells[COLUMNS][LINES_MAX][CELL_SIZE];
	int lines;
} row;

/* A line of a cell, without blanks at its end; what is too long ends in "…". */
static void put_line(row *r, int column, int line, const char *text, int length)
{
	while (length > 0 && text[length - 1] == ' ')
		length--;
	if (line >= LINES_MAX)
		return;
	if (length <= widths[column])
		snprintf(r->cells[column][line], CELL_SIZE, "%.*s", length, text);
	else
		snprintf(r->cells[column][line], CELL_SIZE, "%.*s…", widths[column] - 1, text);
	if (line >= r->lines)
		r->lines = line + 1;
}

/* Breaks a cell's text between words. */
static void put_cell(row *r, int column, const char *text)
{
	int start = 0, filled = 0, line = 0;

	for (int at = 0; text[at];) {
		int word = (int)strcspn(text + at, " "), whole = word + (int)strspn(text + at + word, " ");

		if (at > start && filled + word > widths[column]) {
			put_line(r, column, line++, text + start, at - start);
			start = at;
			filled = 0;
		}
		filled += whole;
		at += whole;
	}
	put_line(r, column, line, text + start, (int)strlen(text + start));
}

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
			const char *cell = r->cells[c][i];
			int blank = widths[c] - base_text_columns(cell);

			/* Numbers stand to the right. */
			base_text_add(text, "%s %*s%s%*s ", bar, c == 2 ? blank : 0, "", cell, c == 2 ? 0 : blank, "");
		}
		base_text_add(text, "%s\n", bar);
	}
}

static void describe_layer(const nn_graph *graph, int index, row *r)
{
	const nn_layer *layer = &graph->layers[index];
	char number[32], joined[3 * NN_NAME_SIZE];
	int64_t statistics;
	size_t n = 0;

	memset(r, 0, sizeof(*r));
	snprintf(joined, sizeof(joined), "%s (%s)", layer->name, nn_type_keras(layer->type));
	put_cell(r, 0, joined);
	if (layer->flat)
		snprintf(joined, sizeof(joined), "(None, %d)", layer->channels);
	else
		snprintf(joined, sizeof(joined), "(None, %d, %d, %d)", layer->height, layer->width, layer->channels);
	put_cell(r, 1, joined);
	put_cell(r, 2, base_format_count(model_layer_parameters(graph, index, &statistics), number));
	snprintf(joined, sizeof(joined), "-");
	for (int i = 0; i < layer->input_count; i++)
		n += (size_t)snprintf(joined + n, sizeof(joined) - n, "%s%s[0][0]", i ? ", " : "",
				      graph->layers[layer->inputs[i]].name);
	put_cell(r, 3, joined);
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
	row r = {0};

	for (int c = 0; c < COLUMNS; c++)
		put_cell(&r, c, titles[c]);
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
