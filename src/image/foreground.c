/* Made the same before anything is learnt or asked: what an export, a scanner or a screenshot adds to a slice. A network that saw squashed
 * slices of one class only, or margins of another, learns the margin. */
#include <string.h>

#include "image/image.h"

enum {
	PLAIN = 16,    /* grey levels: with fewer there is nothing to see */
	SPECKLE = 25,  /* one pixel in so many may differ in a line that is called empty: noise, a letter at the edge */
	LEAST = 4,     /* no more than 1 - 1 / LEAST of a side is cut: else it is no margin */
	OUTLIERS = 200 /* one pixel in so many is darker or brighter than the levels that are kept */
};

typedef struct region {
	int left, top, right, bottom; /* right and bottom are the first outside */
} region;

static int smallest(int a, int b)
{
	return a < b ? a : b;
}

/* The levels between which all but the outliers lie. */
static void find_levels(const image *img, const region *r, int *low, int *high)
{
	size_t counts[256] = {0};
	size_t pixels = (size_t)(r->right - r->left) * (size_t)(r->bottom - r->top), most = pixels / OUTLIERS, sum;

	for (int y = r->top; y < r->bottom; y++) {
		const uint8_t *row = img->pixels + (size_t)y * (size_t)img->width;
		for (int x = r->left; x < r->right; x++)
			counts[row[x]]++;
	}
	for (*low = 0, sum = counts[0]; sum <= most && *low < 255;)
		sum += counts[++*low];
	for (*high = 255, sum = counts[255]; sum <= most && *high > 0;)
		sum += counts[--*high];
}

/* Of `count` pixels, `step` apart, all but some specks are about the same. */
static bool is_empty(const uint8_t *line, int count, size_t step, int tolerance)
{
	long sum = 0;
	int different = 0;

	for (int i = 0; i < count; i++)
		sum += line[(size_t)i * step];
	const int mean = (int)(sum / count);
	for (int i = 0; i < count; i++) {
		const int from = line[(size_t)i * step] - mean;
		different += from > tolerance || from < -tolerance;
	}
	return different <= count / SPECKLE;
}

static bool cut_once(const image *img, region *r, int tolerance)
{
	const region before = *r;
	const size_t width = (size_t)img->width;

#define ROW(y) is_empty(img->pixels + (size_t)(y)*width + (size_t)r->left, r->right - r->left, 1, tolerance)
#define COLUMN(x) is_empty(img->pixels + (size_t)r->top * width + (size_t)(x), r->bottom - r->top, width, tolerance)
	while (r->top + 1 < r->bottom && ROW(r->top))
		r->top++;
	while (r->top + 1 < r->bottom && ROW(r->bottom - 1))
		r->bottom--;
	while (r->left + 1 < r->right && COLUMN(r->left))
		r->left++;
	while (r->left + 1 < r->right && COLUMN(r->right - 1))
		r->right--;
#undef ROW
#undef COLUMN
	return memcmp(&before, r, sizeof before) != 0;
}

static int corner_mean(const image *img, int left, int top, int side)
{
	long sum = 0;

	for (int y = top; y < top + side; y++)
		for (int x = left; x < left + side; x++)
			sum += img->pixels[(size_t)y * (size_t)img->width + (size_t)x];
	return (int)(sum / ((long)side * side));
}

/* The air around a head is dark and lies in the corners; bright, it tells of inverted levels. One corner may hold a neck, a jaw or a mark. */
static bool is_inverted(const image *img, const region *r, int low, int high)
{
	const int shorter = smallest(r->right - r->left, r->bottom - r->top), side = shorter < 24 ? 1 : shorter / 12;
	int corners[4] = {corner_mean(img, r->left, r->top, side), corner_mean(img, r->right - side, r->top, side),
			  corner_mean(img, r->left, r->bottom - side, side),
			  corner_mean(img, r->right - side, r->bottom - side, side)};

	for (int i = 1; i < 4; i++)
		for (int j = i; j > 0 && corners[j - 1] > corners[j]; j--) {
			const int swap = corners[j];
			corners[j] = corners[j - 1];
			corners[j - 1] = swap;
		}
	return corners[1] + corners[2] > low + high && corners[1] - low > (high - low) / 4;
}

void image_keep_foreground(image *img)
{
	region r = {0, 0, img->width, img->height};
	const region whole = r;
	uint8_t levels[256];
	int low, high;

	find_levels(img, &r, &low, &high);
	if (high - low < PLAIN)
		return;
	/* A margin within a margin: once a white frame is gone, black rows are seen to be empty. */
	while (cut_once(img, &r, (high - low) / 10))
		;
	if (r.right - r.left < img->width / LEAST || r.bottom - r.top < img->height / LEAST)
		r = whole;
	find_levels(img, &r, &low, &high);
	if (high <= low)
		return;
	const bool inverted = is_inverted(img, &r, low, high);
	for (int i = 0; i < 256; i++) {
		const int level = i <= low ? 0 : i >= high ? 255 : (255 * (i - low) + (high - low) / 2) / (high - low);
		levels[i] = (uint8_t)(inverted ? 255 - level : level);
	}
	const int width = r.right - r.left, height = r.bottom - r.top;
	uint8_t *to = img->pixels;
	for (int y = r.top; y < r.bottom; y++) {
		const uint8_t *row = img->pixels + (size_t)y * (size_t)img->width + (size_t)r.left;
		for (int x = 0; x < width; x++)
			*to++ = levels[row[x]];
	}
	img->width = width;
	img->height = height;
}
