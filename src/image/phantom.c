/* Coordinates: the picture is [-1, 1] in both directions, y down, forehead up; the head has its own, turned and
 * shifted frame. */
#include "image/phantom.h"

#include <math.h>

#include "base/memory.h"
#include "base/random.h"
#include "image/codec.h"
#include "image/field.h"

const char *const image_phantom_class_names[IMAGE_PHANTOM_CLASSES] = {"glioma", "meningioma", "notumor", "pituitary"};

enum { GLIOMA, MENINGIOMA, NOTUMOR, PITUITARY };
enum { SPOTS = 9 };
enum glioma_kind { RING, PATCHY, DIFFUSE };

typedef struct spot {
	float x, y, radius, shrink, change; /* shrink: 1 / radius^2; change: of the brightness in the middle */
} spot;

typedef struct mass {
	float x, y, radius;
	float along_x, along_y, stretch; /* the long axis */
	float bright;			 /* of what takes up the contrast agent */
	float push;			 /* how far the brain gives way, 0 to 1 */
	float offset;			 /* into the random fields */
	float tail;			 /* meningioma: bright dura beside it */
	float cyst;			 /* pituitary: a dark part */
	float oedema;			 /* glioma: how much darker the tissue around is */
	enum glioma_kind kind;
} mass;

typedef struct scene {
	image_field folds, wobble, texture;
	float shift_x, shift_y, cosine, sine;
	float half_width, half_height, egg, wobbling;
	float scalp, skull, film; /* thicknesses; film: fluid under the skull */
	float fat, marrow, fluid, grey, white, falx, gland;
	float fold_frequency, sulcus, fold_depth;
	float bend; /* of the midline */
	float ventricle_width[2], ventricle_length, ventricle_y, ventricle_apart, ventricle_curve;
	float base_y, cistern, gland_radius;
	spot spots[SPOTS];
	mass mass;
	int label;
	float bias_x, bias_y, bias_xx, bias_yy, bias_xy;
	float gain, gamma, noise;
	bool blur;
} scene;

/* A point that is spread evenly over the ring between two radii of the unit circle. */
static void random_direction(base_random *r, float inner, float *x, float *y)
{
	float square;
	do {
		*x = image_range(r, -1, 1);
		*y = image_range(r, -1, 1);
		square = *x * *x + *y * *y;
	} while (square > 1 || square < inner * inner || square < 1e-3f);
}

static void random_axis(base_random *r, mass *m)
{
	random_direction(r, 0.1f, &m->along_x, &m->along_y);
	float length = sqrtf(m->along_x * m->along_x + m->along_y * m->along_y);
	m->along_x /= length;
	m->along_y /= length;
}

static void place_glioma(scene *s, base_random *r)
{
	mass *m = &s->mass;
	m->radius = image_range(r, 0.15f, 0.27f);
	do {
		random_direction(r, 0.25f, &m->x, &m->y);
		m->x *= s->half_width * 0.72f;
		m->y *= s->half_height * 0.70f;
	} while (m->x < 0.14f && m->x > -0.14f); /* inside a hemisphere, not on the midline */
	m->stretch = image_range(r, 1.0f, 1.45f);
	float kind = base_random_uniform(r);
	m->kind = kind < 0.5f ? RING : kind < 0.85f ? PATCHY : DIFFUSE;
	m->bright = s->white + (m->kind == DIFFUSE ? image_range(r, 0.04f, 0.12f) : image_range(r, 0.14f, 0.40f));
	m->oedema = image_range(r, 0.06f, 0.16f);
	m->push = image_range(r, 0.15f, 0.45f);
}

static void place_meningioma(scene *s, base_random *r)
{
	mass *m = &s->mass;
	m->radius = image_range(r, 0.13f, 0.23f);
	m->stretch = image_range(r, 1.0f, 1.3f);
	m->bright = s->white + image_range(r, 0.15f, 0.42f);
	m->push = image_range(r, 0.2f, 0.5f);
	m->tail = image_range(r, 0.0f, 0.35f);
	float inside = s->scalp + s->skull + m->radius * image_range(r, 0.45f, 0.8f);
	if (base_random_uniform(r) < 0.25f) { /* on the falx */
		m->x = (base_random_uniform(r) < 0.5f ? -1.0f : 1.0f) * m->radius * image_range(r, 0.6f, 0.85f);
		m->y = s->half_height * image_range(r, -0.75f, -0.30f);
		return;
	}
	float x, y;
	random_direction(r, 0.5f, &x, &y);
	float length = sqrtf(x * x + y * y);
	m->x = x / length * (s->half_width - inside);
	m->y = y / length * (s->half_height - inside);
}

static void place_pituitary(scene *s, base_random *r)
{
	mass *m = &s->mass;
	m->radius = image_range(r, 0.095f, 0.165f);
	m->stretch = image_range(r, 1.0f, 1.35f);
	m->x = image_range(r, -0.025f, 0.025f);
	m->y = s->base_y + image_range(r, -0.03f, 0.02f);
	m->bright = s->white + image_range(r, 0.12f, 0.36f);
	m->push = image_range(r, 0.1f, 0.3f);
	m->cyst = base_random_uniform(r) < 0.25f ? image_range(r, 0.10f, 0.25f) : 0;
}

/* What every slice has, with or without a mass: vessels, a small cyst or scar here and there, a sinus at the back. */
static void place_spots(scene *s, base_random *r)
{
	for (int i = 0; i < SPOTS; i++) {
		spot *p = &s->spots[i];
		random_direction(r, 0, &p->x, &p->y);
		p->x *= s->half_width * 0.82f;
		p->y *= s->half_height * 0.82f;
		p->radius = image_range(r, 0.012f, 0.030f);
		p->change = image_range(r, 0.10f, 0.35f);
	}
	s->spots[0].x = image_range(r, -0.02f, 0.02f); /* the sinus */
	s->spots[0].y = s->half_height - s->scalp - s->skull - 0.03f;
	s->spots[0].radius = image_range(r, 0.03f, 0.05f);
	if (base_random_uniform(r) < 0.25f) { /* a cyst: dark and sharp */
		s->spots[1].radius = image_range(r, 0.04f, 0.10f);
		s->spots[1].change = -image_range(r, 0.15f, 0.30f);
	}
	if (base_random_uniform(r) < 0.20f) { /* an old scar: faint */
		s->spots[2].radius = image_range(r, 0.06f, 0.14f);
		s->spots[2].change = -image_range(r, 0.04f, 0.09f);
	}
	if (base_random_uniform(r) < 0.30f) /* a harmless bright spot, as large as a small mass */
		s->spots[3].radius = image_range(r, 0.035f, 0.060f);
	for (int i = 0; i < SPOTS; i++)
		s->spots[i].shrink = 1 / (s->spots[i].radius * s->spots[i].radius);
}

static void compose(scene *s, base_random *r, int label)
{
	image_field_fill(&s->folds, r);
	image_field_fill(&s->wobble, r);
	image_field_fill(&s->texture, r);
	s->label = label;
	float zoom = image_range(r, 0.86f, 1.06f);
	s->half_width = zoom * image_range(r, 0.64f, 0.76f);
	s->half_height = zoom * image_range(r, 0.78f, 0.90f);
	s->egg = image_range(r, 0.0f, 0.16f);
	s->wobbling = image_range(r, 0.03f, 0.09f);
	s->shift_x = image_range(r, -0.09f, 0.09f);
	s->shift_y = image_range(r, -0.06f, 0.06f);
	float half_tangent = image_range(r, -0.13f, 0.13f); /* up to 15 degrees */
	s->cosine = (1 - half_tangent * half_tangent) / (1 + half_tangent * half_tangent);
	s->sine = 2 * half_tangent / (1 + half_tangent * half_tangent);
	s->scalp = image_range(r, 0.025f, 0.065f);
	s->skull = image_range(r, 0.025f, 0.055f);
	s->film = image_range(r, 0.008f, 0.030f);
	s->fat = image_range(r, 0.55f, 0.95f);
	s->marrow = image_range(r, 0.05f, 0.30f);
	s->fluid = image_range(r, 0.08f, 0.16f);
	s->white = image_range(r, 0.38f, 0.50f);
	s->grey = s->white - image_range(r, 0.07f, 0.14f);
	s->falx = s->grey + image_range(r, -0.05f, 0.30f);
	s->gland = s->white + image_range(r, 0.0f, 0.3f);
	s->fold_frequency = image_range(r, 6.0f, 8.5f);
	s->sulcus = image_range(r, 0.030f, 0.075f);
	s->fold_depth = image_range(r, 0.18f, 0.36f);
	s->bend = image_range(r, -0.04f, 0.04f);
	float size = image_range(r, 0.02f, 0.085f), skew = image_range(r, 0.75f, 1.25f);
	s->ventricle_width[0] = size * skew;
	s->ventricle_width[1] = size / skew;
	s->ventricle_length = image_range(r, 0.16f, 0.32f);
	s->ventricle_y = image_range(r, -0.14f, 0.0f);
	s->ventricle_apart = image_range(r, 0.05f, 0.09f);
	s->ventricle_curve = image_range(r, 0.3f, 1.3f);
	s->base_y = s->half_height * image_range(r, 0.36f, 0.46f);
	s->cistern = image_range(r, 0.05f, 0.12f);
	s->gland_radius = image_range(r, 0.018f, 0.045f);
	place_spots(s, r);
	random_axis(r, &s->mass);
	s->mass.offset = image_range(r, 0, 32);
	if (label == GLIOMA)
		place_glioma(s, r);
	else if (label == MENINGIOMA)
		place_meningioma(s, r);
	else if (label == PITUITARY)
		place_pituitary(s, r);
	s->bias_x = image_range(r, -0.16f, 0.16f);
	s->bias_y = image_range(r, -0.16f, 0.16f);
	s->bias_xx = image_range(r, -0.12f, 0.22f);
	s->bias_yy = image_range(r, -0.12f, 0.22f);
	s->bias_xy = image_range(r, -0.12f, 0.12f);
	s->gain = image_range(r, 0.75f, 1.25f);
	s->gamma = image_range(r, -0.25f, 0.35f);
	s->noise = image_range(r, 0.008f, 0.040f);
	s->blur = base_random_uniform(r) < 0.4f;
}

/* Distance from the middle of the mass, 1 on its undisturbed edge. */
static float mass_distance(const mass *m, float x, float y)
{
	float dx = x - m->x, dy = y - m->y;
	float along = (dx * m->along_x + dy * m->along_y) / (m->radius * m->stretch);
	float across = (dy * m->along_x - dx * m->along_y) * m->stretch / m->radius;
	return sqrtf(along * along + across * across);
}

static float add_glioma(const scene *s, float x, float y, float value)
{
	const mass *m = &s->mass;
	float far = mass_distance(m, x, y);
	if (far > 2.6f)
		return value;
	float coarse = image_field_rough(&s->texture, x * 6 + m->offset, y * 6) - 0.5f;
	float fine = image_field_rough(&s->texture, x * 14, y * 14 + m->offset) - 0.5f;
	float fingers = far + 1.1f * (image_field_rough(&s->wobble, x * 9 + m->offset, y * 9) - 0.5f);
	value = image_mix(value, s->grey - m->oedema, 0.85f * (1 - image_step(0.95f, 1.55f, fingers)));
	float edge = far + 1.0f * coarse + 0.25f * fine, inside = 1 - image_step(0.80f, 1.0f, edge);
	if (inside <= 0)
		return value;
	float body;
	if (m->kind == RING) {
		float rim = image_step(0.42f, 0.62f, edge + 0.5f * fine);
		body = image_mix(s->fluid + 0.10f + 0.2f * fine, m->bright + 0.25f * fine, rim);
	} else if (m->kind == PATCHY) {
		float patch = image_step(-0.10f, 0.14f, coarse + 0.8f * fine);
		body = image_mix(s->grey - 0.08f, m->bright, patch);
	} else {
		body = image_mix(s->grey - 0.10f, m->bright, image_step(-0.05f, 0.25f, fine + coarse));
	}
	return image_mix(value, body, inside);
}

static float add_meningioma(const scene *s, float x, float y, float depth, float value)
{
	const mass *m = &s->mass;
	float far = mass_distance(m, x, y);
	if (far > 2.6f)
		return value;
	float fine = image_field_at(&s->texture, x * 10 + m->offset, y * 10) - 0.5f;
	float edge = far + 0.10f * (image_field_at(&s->texture, x * 4, y * 4 + m->offset) - 0.5f);
	float tail = m->tail * (1 - image_step(1.0f, 2.2f, far)) * (1 - image_step(0.010f, 0.028f, depth));
	value += tail;
	float cleft = image_step(0.92f, 1.02f, edge) * (1 - image_step(1.04f, 1.18f, edge));
	value = image_mix(value, s->fluid + 0.08f, 0.6f * cleft);
	return image_mix(value, m->bright + 0.10f * fine, 1 - image_step(0.92f, 1.02f, edge));
}

static float add_pituitary(const scene *s, float x, float y, float value)
{
	const mass *m = &s->mass;
	float far = mass_distance(m, x, y);
	if (far > 1.5f)
		return value;
	float fine = image_field_at(&s->texture, x * 12 + m->offset, y * 12) - 0.5f;
	float edge = far + 0.22f * (image_field_at(&s->texture, x * 7, y * 7 + m->offset) - 0.5f);
	float hole = 1 - image_step(0.25f, 0.55f, far + fine);
	float body = m->bright + 0.12f * fine - m->cyst * hole;
	return image_mix(value, body, 1 - image_step(0.88f, 1.04f, edge));
}

/* How much of the point is fluid: ventricles and the cistern at the base. x, y: after the mass has pushed. */
static float fluid_share(const scene *s, float x, float y)
{
	const int side = x > 0;
	float across = side ? x : -x, along = (y - s->ventricle_y) / s->ventricle_length;
	float lateral = 0;
	if (along > -1.2f && along < 1.2f) {
		float curve = s->ventricle_apart + s->ventricle_curve * (along * along) * 0.11f;
		float half = s->ventricle_width[side] * (1 - 0.8f * along * along) * 0.6f;
		float off = across - curve;
		off = off < 0 ? -off : off;
		lateral = 1 - image_step(half - 0.012f, half + 0.012f, off);
		lateral *= 1 - image_step(0.95f, 1.1f, along < 0 ? -along : along);
	}
	float third = 1 - image_step(0.006f, 0.020f, across);
	third *= image_step(0.02f, 0.06f, y) * (1 - image_step(0.20f, 0.26f, y));
	float dx = x / (s->cistern * 1.5f), dy = (y - s->base_y) / s->cistern;
	float ragged = image_field_at(&s->wobble, x * 13 + 5, y * 13) - 0.5f;
	float cistern = 1 - image_step(0.75f, 1.05f, sqrtf(dx * dx + dy * dy) + 0.7f * ragged);
	float most = lateral > third ? lateral : third;
	return most > cistern ? most : cistern;
}

/* Brain tissue at a point, `depth` below the inside of the skull. */
static float tissue(const scene *s, float x, float y, float depth)
{
	if (s->label != NOTUMOR) { /* tissue gives way: look up the place that was pushed here */
		float dx = x - s->mass.x, dy = y - s->mass.y, reach = s->mass.radius * 1.9f;
		float near = 1 / (1 + (dx * dx + dy * dy) / (reach * reach));
		near *= near * s->mass.push;
		x -= dx * near;
		y -= dy * near;
	}
	x += s->bend * (1 - y * y);
	float bent_x = x + 0.09f * (image_field_at(&s->wobble, x * 5, y * 5 + 11) - 0.5f);
	float bent_y = y + 0.09f * (image_field_at(&s->wobble, x * 5 + 17, y * 5) - 0.5f);
	float line = image_field_rough(&s->folds, bent_x * s->fold_frequency, bent_y * s->fold_frequency) - 0.5f;
	line = line < 0 ? -line : line;
	float outer = 1 - image_step(s->fold_depth * 0.5f, s->fold_depth, depth);
	float middle = x < 0 ? -x : x;
	float ribbon = 1 - image_step(s->sulcus + 0.03f, s->sulcus + 0.10f, line);
	float rind = 1 - image_step(0.02f, 0.06f, depth);
	float greyness = outer * ribbon;
	greyness = greyness > rind ? greyness : rind;
	float deep_x = (middle - 0.19f) / 0.11f, deep_y = (y - 0.03f) / 0.19f; /* basal ganglia */
	float deep = 1 - image_step(0.7f, 1.1f, sqrtf(deep_x * deep_x + deep_y * deep_y));
	greyness = greyness > 0.7f * deep ? greyness : 0.7f * deep;
	float value = image_mix(s->white, s->grey, greyness);
	value += 0.05f * (image_field_at(&s->texture, x * 16, y * 16) - 0.5f);
	float sulci = outer * (1 - image_step(s->sulcus * 0.35f, s->sulcus, line));
	value = image_mix(value, s->fluid, 0.85f * sulci);
	value = image_mix(value, s->fluid, 1 - image_step(s->film * 0.5f, s->film + 0.012f, depth));
	float gap = image_step(0.22f, 0.30f, y < 0 ? -y - 0.06f : y - 0.26f);
	float fissure = gap * (1 - image_step(0.008f, 0.022f, middle));
	value = image_mix(value, s->fluid, 0.8f * fissure);
	value = image_mix(value, s->falx, gap * (1 - image_step(0.002f, 0.010f, middle)));
	value = image_mix(value, s->fluid, fluid_share(s, x, y));
	float gland = sqrtf(x * x + (y - s->base_y) * (y - s->base_y));
	return image_mix(value, s->gland, 1 - image_step(s->gland_radius * 0.7f, s->gland_radius * 1.1f, gland));
}

/* Brightness, about 0 to 1, at a point of the head's frame. */
static float brightness(const scene *s, float x, float y)
{
	float wide = s->half_width * (1 + s->egg * y);
	float radius = sqrtf(x * x / (wide * wide) + y * y / (s->half_height * s->half_height));
	if (radius > 1.15f)
		return 0;
	radius += s->wobbling * (image_field_at(&s->wobble, x * 2.2f + 3, y * 2.2f + 29) - 0.5f);
	float depth = (1 - radius) * s->half_width, inner = depth - s->scalp - s->skull;
	if (depth < -0.02f)
		return 0;
	float patchy = image_field_rough(&s->texture, x * 8 + 19, y * 8) - 0.5f;
	float value = (s->fat + 0.35f * patchy) * image_step(-0.012f, 0.012f, depth);
	float bone = s->fluid * 0.5f;
	float middle = (depth - s->scalp - s->skull * 0.5f) / (s->skull * 0.3f);
	bone += s->marrow * (0.5f + patchy) / (1 + middle * middle);
	value = image_mix(value, bone, image_step(s->scalp - 0.010f, s->scalp + 0.010f, depth));
	if (inner < -0.02f)
		return value;
	float brain = tissue(s, x, y, inner);
	for (int i = 0; i < SPOTS; i++) {
		const spot *p = &s->spots[i];
		float dx = x - p->x, dy = y - p->y, square = (dx * dx + dy * dy) * p->shrink;
		if (square < 1.44f)
			brain += p->change * (1 - image_step(0.5f, 1.2f, sqrtf(square)));
	}
	if (s->label == GLIOMA)
		brain = add_glioma(s, x, y, brain);
	else if (s->label == MENINGIOMA)
		brain = add_meningioma(s, x, y, inner, brain);
	else if (s->label == PITUITARY)
		brain = add_pituitary(s, x, y, brain);
	return image_mix(value, brain, image_step(-0.008f, 0.008f, inner));
}

/* Near enough to a normal number for noise: four bytes summed, mean 0, deviation 1. */
static float rough_normal(base_random *r)
{
	uint32_t bits = base_random_u32(r);
	int sum = (int)(bits & 255) + (int)(bits >> 8 & 255) + (int)(bits >> 16 & 255) + (int)(bits >> 24);
	return (float)(sum - 510) * (1 / 147.8f);
}

static void render(const scene *s, float *to, int size)
{
	float step = 2.0f / (float)size;
	for (int row = 0; row < size; row++) {
		float v = ((float)row + 0.5f) * step - 1;
		for (int column = 0; column < size; column++) {
			float u = ((float)column + 0.5f) * step - 1;
			float du = u - s->shift_x, dv = v - s->shift_y;
			float value = brightness(s, du * s->cosine + dv * s->sine, dv * s->cosine - du * s->sine);
			float bias = 1 + s->bias_x * u + s->bias_y * v + s->bias_xx * u * u + s->bias_yy * v * v +
				     s->bias_xy * u * v;
			*to++ = value * bias;
		}
	}
}

/* 1 2 1 in both directions: a scanner's limited resolution. */
static void blur(const float *from, float *to, int size)
{
	for (int y = 0; y < size; y++) {
		const float *above = from + (size_t)(y > 0 ? y - 1 : 0) * (size_t)size;
		const float *here = from + (size_t)y * (size_t)size;
		const float *below = from + (size_t)(y < size - 1 ? y + 1 : y) * (size_t)size;
		for (int x = 0; x < size; x++) {
			int left = x > 0 ? x - 1 : 0, right = x < size - 1 ? x + 1 : x;
			float top = above[left] + 2 * above[x] + above[right];
			float centre = here[left] + 2 * here[x] + here[right];
			float bottom = below[left] + 2 * below[x] + below[right];
			*to++ = (top + 2 * centre + bottom) * (1 / 16.0f);
		}
	}
}

/* Noise as a scanner has it (the length of a complex number: Gudbjartsson and Patz 1995), contrast, gain. */
static void develop(const scene *s, base_random *r, const float *from, uint8_t *to, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		float real = from[i] + s->noise * rough_normal(r), imaginary = s->noise * rough_normal(r);
		float value = sqrtf(real * real + imaginary * imaginary) * s->gain;
		if (value < 1)
			value += s->gamma * value * (1 - value);
		value = value * 255 + 0.5f;
		to[i] = value >= 255 ? 255 : value <= 0 ? 0 : (uint8_t)value;
	}
}

bm_status image_phantom(uint64_t seed, int label, uint64_t index, int size, image *out, bm_error *err)
{
	*out = (image){0};
	if (label < 0 || label >= IMAGE_PHANTOM_CLASSES || size < 32 || size > 1024)
		return base_fail(err, BM_ERR_USAGE,
				 "no phantom of class %d and %d pixels: classes are 0 to %d, sizes 32 to 1024", label,
				 size, IMAGE_PHANTOM_CLASSES - 1);
	bm_status status = BM_ERR_MEMORY;
	size_t count = (size_t)size * (size_t)size;
	scene *s = base_calloc(1, sizeof *s, "a phantom", err);
	float *sharp = base_malloc(count, sizeof *sharp, "a phantom", err);
	float *soft = base_malloc(count, sizeof *soft, "a phantom", err);
	out->width = out->height = size;
	out->channels = 1;
	if (s && sharp && soft && image_allocate(out, err) == BM_OK) {
		base_random r = base_random_make(seed, base_random_mix((uint64_t)label, index));
		compose(s, &r, label);
		render(s, sharp, size);
		if (s->blur)
			blur(sharp, soft, size);
		develop(s, &r, s->blur ? soft : sharp, out->pixels, count);
		status = BM_OK;
	}
	base_free(s);
	base_free(sharp);
	base_free(soft);
	if (status != BM_OK)
		image_free(out);
	return status;
}
