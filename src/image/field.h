/* Smooth random fields and soft edges, made of +, -, *, / and square roots only: IEEE 754 gives the same bits
 * everywhere (no sin, exp or log, whose last bit differs between C libraries; the build forbids fused multiply-add
 * for this folder). */
#ifndef IMAGE_FIELD_H
#define IMAGE_FIELD_H

#include "base/random.h"

enum { IMAGE_FIELD_GRID = 32 };

/* A periodic lattice of random numbers in [0, 1). */
typedef struct image_field {
	float value[IMAGE_FIELD_GRID][IMAGE_FIELD_GRID];
} image_field;

void image_field_fill(image_field *field, base_random *random);
/* The field at x, y in lattice steps (any number below 2^30), interpolated with a smooth curve: [0, 1). */
float image_field_at(const image_field *field, float x, float y);
/* Two octaves, [0, 1), around 0.5. */
float image_field_rough(const image_field *field, float x, float y);

/* 0 below low, 1 above high, smooth between; low < high. */
static inline float image_step(float low, float high, float x)
{
	float t =
		(x - low) * (1 / (high - low)); /* the division is done by the compiler where the edges are constants */
	t = t < 0 ? 0 : t > 1 ? 1 : t;
	return t * t * (3 - 2 * t);
}

/* [low, high]; base_random_range may be compiled with fused multiply-add. */
static inline float image_range(base_random *random, float low, float high)
{
	return low + (high - low) * base_random_uniform(random);
}

static inline float image_mix(float a, float b, float t)
{
	return a + (b - a) * t;
}

#endif
