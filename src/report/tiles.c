/* Grids of captioned images. */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "report/figures.h"
#include "report/gnuplot.h"

/* Lengths in units of a tile's side. */
#define GAP 0.08
#define LINE 0.115 /* of a caption */
#define TILE_PIXELS 190

/* NAME/<number>.png: what the script shows. */
static bm_status write_tile(const char *folder, const char *name, int number, const report_tile *tile, bm_error *err)
{
	char file[128];
	uint8_t *bytes = NULL;
	size_t size = 0;
	image img = {tile->side, tile->side, 1, (uint8_t *)tile->pixels};
	bm_status status = image_encode_png(&img, &bytes, &size, err);
	if (status != BM_OK)
		return status;
	snprintf(file, sizeof file, "%s/%d.png", name, number);
	char *path = base_path_join(folder, file, err);
	status = path ? base_file_write(path, bytes, size, err) : BM_ERR_MEMORY;
	base_free(path);
	base_free(bytes);
	return status;
}

static int caption_lines(const report_tile *tiles, int count)
{
	int most = 0;
	for (int i = 0; i < count; i++)
		for (int line = 0; line < 3; line++)
			if (tiles[i].pixels && tiles[i].caption[line][0] && line + 1 > most)
				most = line + 1;
	return most;
}

static const char *const verdicts[] = {"", "right", "wrong"};
static const int colours[] = {REPORT_INK, REPORT_GREEN, REPORT_RED};

static int tile_colour(const report_tile *tile)
{
	return tile->colour >= 0 && tile->colour <= 2 ? tile->colour : 0;
}

/* One line of the CSV for each tile: where it stands, its caption and what else is known. */
static void add_data(base_text *data, const report_tile *tile, int number, double x, double y, const char *source)
{
	int colour = tile_colour(tile);
	base_text_add(data, "%d,%.3f,%.3f,%d,", number, x, y, colours[colour]);
	for (int line = 0; line < 3; line++) {
		char caption[80];
		const char *mark = line > 0 || colour == 0 ? "" : colour == 1 ? "✓ " : "✗ ";
		snprintf(caption, sizeof caption, "%s%s", mark, tile->caption[line]);
		report_add_field(data, caption);
		base_text_add(data, ",");
	}
	base_text_add(data, "%s,", verdicts[colour]);
	report_add_field(data, source ? source : "");
	base_text_add(data, "\n");
}

static bm_status draw_grid(const char *folder, const char *name, const char *title, const report_tile *tiles, int rows,
			   int columns, const char *const *sources, bm_error *err)
{
	int count = rows * columns, lines = caption_lines(tiles, count);
	double head = 0.30, row_height = 1 + LINE * lines + GAP;
	double width = columns * (1 + GAP) + GAP, height = rows * row_height + head;
	report_figure f = {.folder = folder,
			   .name = name,
			   .width = (int)(width * TILE_PIXELS),
			   .height = (int)(height * TILE_PIXELS)};
	char *images = base_path_join(folder, name, err);
	bm_status status = images ? base_make_folders(images, err) : BM_ERR_MEMORY;
	base_free(images);

	base_text plots = {0}, *s = &f.script;
	base_text_add(&f.data, "number,x,y,colour,caption1,caption2,caption3,verdict,source\n");
	for (int i = 0; i < count && status == BM_OK; i++) {
		int row = i / columns, column = i % columns;
		double x = GAP + column * (1 + GAP), y = (rows - 1 - row) * row_height + GAP;
		if (!tiles[i].pixels || tiles[i].side <= 0)
			continue;
		status = write_tile(folder, name, i + 1, &tiles[i], err);
		add_data(&f.data, &tiles[i], i + 1, x, y, sources ? sources[i] : NULL);
		base_text_add(&plots,
			      "'%s/%d.png' binary filetype=png origin=(%.5f,%.5f) dx=%.7f dy=%.7f with rgbimage, \\\n",
			      name, i + 1, x + 0.5 / tiles[i].side, y + 0.5 / tiles[i].side, 1.0 / tiles[i].side,
			      1.0 / tiles[i].side);
		if (tile_colour(&tiles[i]) > 0)
			base_text_add(s,
				      "set object rectangle from %.3f,%.3f to %.3f,%.3f front fillstyle empty border "
				      "linecolor rgb "
				      "'#%06x' linewidth 2\n",
				      x, y, x + 1, y + 1, (unsigned)colours[tile_colour(&tiles[i])]);
	}
	if (status != BM_OK) {
		base_text_free(&plots);
		base_text_free(&f.data);
		return status;
	}
	base_text_add(s,
		      "unset border\nunset tics\nunset key\n"
		      "set margins 0,0,0,0\nset size ratio -1\n"
		      "set xrange [0:%.3f]\nset yrange [0:%.3f]\n",
		      width, height);
	base_text_add(s, "set label ");
	report_add_quoted(s, title);
	base_text_add(s, " at %.3f,%.3f center font ',15' textcolor rgb '#222222'\n", width / 2,
		      height - head / 2 + 0.02);
	base_text_add(s, "plot ");
	base_text_append(s, base_text_string(&plots), plots.length);
	s->failed = s->failed || plots.failed;
	base_text_free(&plots);
	/* Images stand on their bottom edge, captions above them, the first line on top. */
	for (int line = 0; line < lines; line++)
		base_text_add(s,
			      "'%s.csv' every ::1 using ($2+0.5):($3+1+%.3f):%d:4 with labels center font ',11' "
			      "textcolor rgb "
			      "variable, \\\n",
			      name, LINE * (lines - line - 0.5), 5 + line);
	base_text_add(s, "1/0\n");
	return report_figure_finish(&f, err);
}

bm_status report_figure_samples(const char *folder, const report_tile tiles[8], const char *const *names, bm_error *err)
{
	return draw_grid(folder, "samples", "Sample images", tiles, 2, 4, names, err);
}

bm_status report_figure_copies(const char *folder, const report_tile tiles[12], bm_error *err)
{
	return draw_grid(folder, "copies", "Test images and what they are copies of in the training data", tiles, 3, 4,
			 NULL, err);
}

bm_status report_figure_predictions(const char *folder, const report_tile tiles[12], bm_error *err)
{
	int shown = 0, right = 0, judged = 0;
	char title[96];
	for (int i = 0; i < 12; i++)
		if (tiles[i].pixels) {
			shown++;
			judged += tiles[i].colour == 1 || tiles[i].colour == 2;
			right += tiles[i].colour == 1;
		}
	if (judged == shown)
		snprintf(title, sizeof title, "Sample predictions: %d of %d right", right, shown);
	else
		snprintf(title, sizeof title, "Sample predictions");
	return draw_grid(folder, "predictions", title, tiles, 3, 4, NULL, err);
}
