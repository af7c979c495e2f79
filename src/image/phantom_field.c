#include "image/phantom_field.h"

#include <math.h>

void phantom_field_fill(phantom_field *field, base_random *random)
{
	for (int y = 0; y < PHANTOM_GRID; y++) {
		for (int x = 0; x < PHANTOM_GRID; x++)
			field->value[y][x] = base_random_uniform(random);
	}
}

float phantom_field_at(const phantom_field *field, float x, float y)
{
	float left = floorf(x), top = floorf(y), tx = x - left, ty = y - top;
	int x0 = (int)left & (PHANTOM_GRID - 1), y0 = (int)top & (PHANTOM_GRID - 1);
	int x1 = (x0 + 1) & (PHANTOM_GRID - 1), y1 = (y0 + 1) & (PHANTOM_GRID - 1);
	tx = tx * tx * (3 - 2 * tx);
	ty = ty * ty * (3 - 2 * ty);
	float a = phantom_mix(field->value[y0][x0], field->value[y0][x1], tx);
	float b = phantom_mix(field->value[y1][x0], field->value[y1][x1], tx);
	return phantom_mix(a, b, ty);
}

float phantom_field_rough(const phantom_field *field, float x, float y)
{
	return 0.67f * phantom_field_at(field, x, y) + 0.33f * phantom_field_at(field, x * 2.1f + 7.3f, y * 2.1f + 3.9f);
}
