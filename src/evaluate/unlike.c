#include "evaluate/unlike.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/random.h"

enum { STATISTICS = EVALUATE_STATISTICS, PROJECTED = EVALUATE_PROJECTED, BLOCK = 4, LEVELS = 32 };

/* ---- an image in 14 numbers ---- */

typedef struct region {
	double sum, squares;
	size_t count;
} region;

static void take(region *r, double value)
{
	r->sum += value;
	r->squares += value * value;
	r->count++;
}

static double mean_of(const region *r)
{
	return r->count > 0 ? r->sum / (double)r->count : 0;
}

static double deviation_of(const region *r)
{
	double mean = mean_of(r);
	return r->count > 0 ? sqrt(fmax(0, r->squares / (double)r->count - mean * mean)) : 0;
}

/* Means of the absolute differences between neighbours, across and down. */
static void edges(const double *values, int side, double *across, double *down)
{
	*across = *down = 0;
	for (int y = 0; y < side; y++)
		for (int x = 0; x < side; x++) {
			double here = values[y * side + x];
			if (x + 1 < side)
				*across += fabs(values[y * side + x + 1] - here);
			if (y + 1 < side)
				*down += fabs(values[(y + 1) * side + x] - here);
		}
	double pairs = fmax(1, (double)side * (side - 1));
	*across /= pairs;
	*down /= pairs;
}

/* Correlation of the image with its mirror image, edges and symmetry of an image of BLOCK x BLOCK means. */
static double symmetry(const double *values, int side)
{
	double mean = 0, product = 0, square = 0;
	for (int i = 0; i < side * side; i++)
		mean += values[i] / (side * side);
	for (int y = 0; y < side; y++)
		for (int x = 0; x < side; x++) {
			double here = values[y * side + x] - mean;
			product += here * (values[y * side + side - 1 - x] - mean);
			square += here * here;
		}
	return product / fmax(square, 1e-6);
}

typedef struct census {
	region all, border, corners, centre;
	size_t dark, bright, levels[LEVELS];
	double weighted; /* sum of value * squared distance from the centre */
	double across, down;
} census;

static void count_pixels(const uint8_t *pixels, int side, census *c)
{
	int edge = side / 28 > 0 ? side / 28 : 1, corner = side / 8 > 0 ? side / 8 : 1;
	*c = (census){0};
	for (int y = 0; y < side; y++)
		for (int x = 0; x < side; x++) {
			int raw = pixels[(size_t)y * (size_t)side + (size_t)x];
			double value = raw / 255.0, dx = (x + 0.5) / side - 0.5, dy = (y + 0.5) / side - 0.5;
			bool at_x = x < corner || x >= side - corner, at_y = y < corner || y >= side - corner;
			take(&c->all, value);
			if (x < edge || y < edge || x >= side - edge || y >= side - edge)
				take(&c->border, value);
			if (at_x && at_y)
				take(&c->corners, value);
			if (dx * dx + dy * dy < 0.0625)
				take(&c->centre, value);
			c->dark += raw <= 20;
			c->bright += raw >= 235;
			c->levels[raw * LEVELS / 256]++;
			c->weighted += value * (dx * dx + dy * dy);
			if (x + 1 < side)
				c->across += abs(pixels[(size_t)y * (size_t)side + (size_t)x + 1] - raw) / 255.0;
			if (y + 1 < side)
				c->down += abs(pixels[(size_t)(y + 1) * (size_t)side + (size_t)x] - raw) / 255.0;
		}
	double pairs = fmax(1, (double)side * (side - 1));
	c->across /= pairs;
	c->down /= pairs;
}

void evaluate_image_statistics(const uint8_t *pixels, int side, double out[EVALUATE_STATISTICS])
{
	enum { SHRUNK_MAX = 256 };
	static _Thread_local double shrunk[SHRUNK_MAX * SHRUNK_MAX];
	/* Logarithms of what is small as a rule; what is added keeps 0 finite. */
	const double little = 0.02, least = 0.004;
	census c;
	int step = BLOCK, small;
	while (side / step > SHRUNK_MAX)
		step *= 2;
	small = side / step;
	for (int y = 0; y < small; y++)
		for (int x = 0; x < small; x++) {
			double sum = 0;
			for (int v = 0; v < step; v++)
				for (int u = 0; u < step; u++)
					sum += pixels[(size_t)(y * step + v) * (size_t)side + (size_t)(x * step + u)];
			shrunk[y * small + x] = sum / (255.0 * step * step);
		}
	count_pixels(pixels, side, &c);
	double across, down, entropy = 0, total = (double)c.all.count;
	edges(shrunk, small, &across, &down);
	for (int l = 0; l < LEVELS; l++) {
		double share = (double)c.levels[l] / total;
		entropy -= share > 0 ? share * log(share) : 0;
	}
	double fine = c.across + c.down;
	const double values[STATISTICS] = {
		mean_of(&c.all),
		deviation_of(&c.all),
		(double)c.dark / total,
		log((double)c.bright / total + least),
		log(mean_of(&c.border) + little),
		log(deviation_of(&c.border) + little),
		log(mean_of(&c.corners) + little),
		mean_of(&c.centre),
		log(fine + least),
		log((across + down + least) / (fine + least)),
		log((c.across + least) / (c.down + least)),
		symmetry(shrunk, small),
		sqrt(c.weighted / fmax(c.all.sum, 1e-6)),
		entropy,
	};
	memcpy(out, values, sizeof values);
}

/* ---- what the network saw, in few directions ---- */

/* Sums with random signs keep distances (Achlioptas 2003) and, drawn anew each time, need no place in the file. */
static void project(const float *features, int count, int size, double *out)
{
	double scale = 1 / sqrt((double)count);
	for (int k = 0; k < size; k++) {
		base_random signs = base_random_make(0x756e6c696b65, (uint64_t)k); /* "unlike" */
		uint32_t bits = 0;
		double sum = 0;
		for (int i = 0; i < count; i++) {
			if (i % 32 == 0)
				bits = base_random_u32(&signs);
			sum += (bits >> (i % 32) & 1) ? (double)features[i] : -(double)features[i];
		}
		out[k] = sum * scale;
	}
}

/* ---- Gaussians ---- */

typedef struct rows {
	const double *values; /* [count][size] */
	const int *labels;    /* [count]; NULL: one mean for all */
	const uint8_t *half;  /* [count]: 0 or 1 */
	size_t count;
	int size;
} rows;

static bool taken(const rows *r, size_t i, int half)
{
	return half < 0 || r->half[i] == half;
}

static int mean_index(const rows *r, size_t i)
{
	return r->labels ? r->labels[i] : 0;
}

/* L of a positive definite matrix; in place. */
static void cholesky(double a[PROJECTED][PROJECTED], int n)
{
	for (int j = 0; j < n; j++) {
		for (int i = j; i < n; i++) {
			double sum = a[i][j];
			for (int k = 0; k < j; k++)
				sum -= a[i][k] * a[j][k];
			a[i][j] = i == j ? sqrt(fmax(sum, 1e-12)) : sum / a[j][j];
		}
		for (int i = 0; i < j; i++)
			a[i][j] = 0;
	}
}

/* From the rows of one half (-1: all). Of few rows the covariance is drawn towards its diagonal. */
static void fit(const rows *r, int means, int half, evaluate_gaussian *g)
{
	size_t counts[DATA_CLASSES_MAX] = {0}, used = 0;
	double overall[PROJECTED] = {0};
	memset(g, 0, sizeof *g);
	g->size = r->size;
	g->means = means;
	for (size_t i = 0; i < r->count; i++) {
		if (!taken(r, i, half))
			continue;
		for (int k = 0; k < r->size; k++) {
			g->mean[mean_index(r, i)][k] += r->values[i * (size_t)r->size + (size_t)k];
			overall[k] += r->values[i * (size_t)r->size + (size_t)k];
		}
		counts[mean_index(r, i)]++;
		used++;
	}
	for (int c = 0; c < means; c++)
		for (int k = 0; k < r->size; k++)
			g->mean[c][k] = counts[c] > 0 ? g->mean[c][k] / (double)counts[c] : overall[k] / (double)used;
	for (size_t i = 0; i < r->count; i++) {
		const double *value = r->values + i * (size_t)r->size, *mean = g->mean[mean_index(r, i)];
		if (!taken(r, i, half))
			continue;
		for (int a = 0; a < r->size; a++)
			for (int b = 0; b <= a; b++)
				g->root[a][b] += (value[a] - mean[a]) * (value[b] - mean[b]) / (double)used;
	}
	double keep = (double)used / (double)(used + (size_t)r->size), trace = 0;
	for (int a = 0; a < r->size; a++)
		trace += g->root[a][a] / r->size;
	for (int a = 0; a < r->size; a++) {
		for (int b = 0; b < a; b++)
			g->root[a][b] *= keep;
		g->root[a][a] += 1e-4 * trace + 1e-9;
	}
	cholesky(g->root, r->size);
}

/* To the nearest mean: |L^-1 (x - mean)|. */
static double distance(const evaluate_gaussian *g, const double *x)
{
	double nearest = INFINITY;
	for (int c = 0; c < g->means; c++) {
		double solved[PROJECTED], square = 0;
		for (int i = 0; i < g->size; i++) {
			double sum = x[i] - g->mean[c][i];
			for (int k = 0; k < i; k++)
				sum -= g->root[i][k] * solved[k];
			solved[i] = sum / g->root[i][i];
			square += solved[i] * solved[i];
		}
		nearest = fmin(nearest, square);
	}
	return sqrt(nearest);
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

/* The distance that a new image of the same kind exceeds with a probability of 1 - quantile at most (split conformal: the
 * ceil((n + 1) q)-th smallest); where there are too few images for that, the largest and a quarter more. */
static double choose(double *distances, size_t count)
{
	size_t rank = (size_t)ceil(((double)count + 1) * EVALUATE_QUANTILE);
	qsort(distances, count, sizeof *distances, by_size);
	double chosen = rank <= count ? distances[rank - 1] : distances[count - 1] * 1.25;
	return fmax(chosen, 1e-9);
}

static void fit_with_threshold(const rows *r, int means, double *distances, evaluate_gaussian *g)
{
	for (int half = 0; half < 2; half++) {
		fit(r, means, 1 - half, g);
		for (size_t i = 0; i < r->count; i++)
			if (taken(r, i, half))
				distances[i] = distance(g, r->values + i * (size_t)r->size);
	}
	fit(r, means, -1, g);
	g->threshold = choose(distances, r->count);
}

bm_status evaluate_unlike_fit(const float *features, int feature_count, const double *statistics, const int *labels,
			      size_t count, int classes, evaluate_unlike *out, bm_error *err)
{
	*out = (evaluate_unlike){.features = feature_count};
	if (count < 10)
		return base_fail(err, BM_ERR_DATA,
				 "%zu validation images are too few to learn what an image looks like; 10 are needed",
				 count);
	/* A covariance of n directions wants several times as many images. */
	int size = (int)(count / 6) < PROJECTED ? (int)(count / 6) : PROJECTED;
	size = size < 1 ? 1 : size;
	double *projected = base_malloc(count, (size_t)size * sizeof *projected, "the features", err);
	double *distances = base_malloc(count, sizeof *distances, "the features", err);
	uint8_t *half = base_malloc(count, 1, "the features", err);
	bm_status status = projected && distances && half ? BM_OK : BM_ERR_MEMORY;
	if (status == BM_OK) {
		rows network = {projected, labels, half, count, size},
		     looks = {statistics, NULL, half, count, STATISTICS};
		bool next[DATA_CLASSES_MAX] = {false};
		for (size_t i = 0; i < count; i++) { /* half of each class */
			half[i] = next[labels[i]];
			next[labels[i]] = !next[labels[i]];
		}
		for (size_t i = 0; i < count; i++)
			project(features + i * (size_t)feature_count, feature_count, size,
				projected + i * (size_t)size);
		fit_with_threshold(&network, classes, distances, &out->network);
		fit_with_threshold(&looks, 1, distances, &out->image);
	}
	base_free(half);
	base_free(projected);
	base_free(distances);
	return status;
}

double evaluate_unlikeness(const evaluate_unlike *u, const float *features,
			   const double statistics[EVALUATE_STATISTICS])
{
	double projected[PROJECTED];
	project(features, u->features, u->network.size, projected);
	return fmax(distance(&u->network, projected) / u->network.threshold,
		    distance(&u->image, statistics) / u->image.threshold);
}
