#include "image/field.h"

#include <math.h>

void image_field_fill(image_field *field, base_random *random)
{
	for (int y = 0; y < IMAGE_FIELD_GRID; y++) {
		for (int x = 0; x < IMAGE_FIELD_GRID; x++)
			field->value[y][x] = base_random_uniform(random);
	}
}

float image_field_at(const image_field *field, float x, float y)
{
	float left = floorf(x), top = floorf(y), tx = x - left, ty = y - top;
	int x0 = (int)left & (IMAGE_FIELD_GRID - 1), y0 = (int)top & (IMAGE_FIELD_GRID - 1);
	int x1 = (x0 + 1) & (IMAGE_FIELD_GRID - 1), y1 = (y0 + 1) & (IMAGE_FIELD_GRID - 1);
	tx = tx * tx * (3 - 2 * tx);
	ty = ty * ty * (3 - 2 * ty);
	float a = image_mix(field->value[y0][x0], field->value[y0][x1], tx);
	float b = image_mix(field->value[y1][x0], field->value[y1][x1], tx);
	return image_mix(a, b, ty);
}

float image_field_rough(const image_field *field, float x, float y)
{
	return 0.67f * image_field_at(field, x, y) + 0.33f * image_field_at(field, x * 2.1f + 7.3f, y * 2.1f + 3.9f);
}
