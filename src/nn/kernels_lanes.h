/* Row kernels for GROUPS groups of LANES channels that stand together, of x as X: float, or uint16_t that holds bfloat16. Included by kernels.c
 * once per kind. No include guard on purpose. */

#define PASTE2(a, b) a##b
#define PASTE(a, b) PASTE2(a, b)
#define NAME(base) PASTE(PASTE(base, LANES), PASTE(PASTE(x, GROUPS), PASTE(_, X)))
#define EACH(g) for (int g = 0; g < GROUPS; g++)
#define AT(g) ((g)*LANES)
#define VEC NAME(vec)
#define LOAD(p) (*(const VEC *)(p))
#define STORE(p, v) (*(VEC *)(p) = (v))
/* Of bfloat16: the upper bits of an f32. */
#define LOAD_HALF(p) ((VEC)(__builtin_convertvector(*(const HALF *)(p), RAW) << 16))
#define LOAD_X(p) (sizeof(X) == sizeof(float) ? LOAD(p) : LOAD_HALF(p))
/* Adds the other summand, f32 or bfloat16, to v. */
#define ADD_RESIDUAL(v, place)                                                \
	do {                                                                  \
		if (residual != NULL && residual_half)                        \
			v += LOAD_HALF((const uint16_t *)residual + (place)); \
		else if (residual != NULL)                                    \
			v += LOAD((const float *)residual + (place));         \
	} while (0)

/* A comparison gives -1 or 0 a lane: an and with it selects. A NaN passes the ReLU, so that a loss shows it. */
#define BITS NAME(bits)
#define WHERE(mask, v) ((VEC)((BITS)(v) & (mask)))
#define POSITIVE(v) WHERE(~((v) < zero), v)
#define RAW NAME(raw)
#define HALF NAME(half)
/* As nn_to_bf16 rounds. A macro: passed to a function, vectors wider than the plainest processor's change the calling convention. */
#define STORE_HALF(p, v)                                                                               \
	do {                                                                                           \
		const RAW bits = (RAW)(v), nearest = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;       \
		const RAW is_nan = (RAW)((bits & 0x7fffffff) > 0x7f800000), nan = (bits >> 16) | 0x40; \
		*(HALF *)(p) = __builtin_convertvector((nearest & ~is_nan) | (nan & is_nan), HALF);    \
	} while (0)

typedef float VEC __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef int BITS __attribute__((vector_size(4 * LANES)));
typedef uint32_t RAW __attribute__((vector_size(4 * LANES)));
typedef uint16_t HALF __attribute__((vector_size(2 * LANES), aligned(2), may_alias));

/* Sums of x - shift and of its square over a row; f32 over runs of 256, then double. */
BASE_CLONES static void NAME(row_statistics)(const void *values, size_t inner, size_t stride, const void *shift,
					     double *sum, double *square)
{
	const X *x = values, *first = shift;
	VEC origin[GROUPS];
	EACH(g) origin[g] = LOAD_X(first + AT(g));
	for (size_t begin = 0; begin < inner; begin += RUN) {
		size_t end = begin + RUN < inner ? begin + RUN : inner;
		VEC s0[GROUPS] = {0}, s1[GROUPS] = {0}, q0[GROUPS] = {0}, q1[GROUPS] = {0};
		size_t i = begin;
		for (; i + 1 < end; i += 2) {
			const X *at = x + i * stride;
			EACH(g)
			{
				VEC d0 = LOAD_X(at + AT(g)) - origin[g], d1 = LOAD_X(at + stride + AT(g)) - origin[g];
				s0[g] += d0;
				q0[g] += d0 * d0;
				s1[g] += d1;
				q1[g] += d1 * d1;
			}
		}
		if (i < end)
			EACH(g)
			{
				VEC d0 = LOAD_X(x + i * stride + AT(g)) - origin[g];
				s0[g] += d0;
				q0[g] += d0 * d0;
			}
		EACH(g)
		{
			s0[g] += s1[g];
			q0[g] += q1[g];
			for (int l = 0; l < LANES; l++) {
				sum[AT(g) + l] += (double)s0[g][l];
				square[AT(g) + l] += (double)q0[g][l];
			}
		}
	}
}

BASE_CLONES static void NAME(row_affine)(const void *values, const void *residual, int residual_half, float *y,
					 size_t inner, size_t stride, const float *mean, const float *scale,
					 const float *shift, int relu)
{
	const X *x = values;
	VEC m[GROUPS], a[GROUPS], b[GROUPS], zero = {0};
	EACH(g)
	{
		m[g] = LOAD(mean + AT(g));
		a[g] = LOAD(scale + AT(g));
		b[g] = LOAD(shift + AT(g));
	}
	for (size_t i = 0; i < inner; i++) {
		const size_t at = i * stride;
		EACH(g)
		{
			VEC v = (LOAD_X(x + at + AT(g)) - m[g]) * a[g] + b[g];
			ADD_RESIDUAL(v, at + AT(g));
			STORE(y + at + AT(g), relu ? POSITIVE(v) : v);
		}
	}
}

/* The same as bfloat16; y may be NULL. */
BASE_CLONES static void NAME(row_affine_half)(const void *values, const void *residual, int residual_half, float *y,
					      uint16_t *half, size_t inner, size_t stride, const float *mean,
					      const float *scale, const float *shift, int relu)
{
	const X *x = values;
	VEC m[GROUPS], a[GROUPS], b[GROUPS], zero = {0};
	EACH(g)
	{
		m[g] = LOAD(mean + AT(g));
		a[g] = LOAD(scale + AT(g));
		b[g] = LOAD(shift + AT(g));
	}
	for (size_t i = 0; i < inner; i++) {
		const size_t at = i * stride;
		EACH(g)
		{
			VEC v = (LOAD_X(x + at + AT(g)) - m[g]) * a[g] + b[g];
			ADD_RESIDUAL(v, at + AT(g));
			if (relu)
				v = POSITIVE(v);
			if (y != NULL)
				STORE(y + at + AT(g), v);
			STORE_HALF(half + at + AT(g), v);
		}
	}
}

/* dz = (g1 + g2) where the ReLU let through; mode: 0 no ReLU, 1 by (x - mean) * scale + shift, 2 by out, 3 by out that is bfloat16. */
BASE_CLONES static void NAME(row_reduce)(const void *values, const float *g1, const float *g2, const void *out,
					 float *dz, size_t inner, size_t stride, int mode, const float *scale,
					 const float *shift, const float *mean, double *sum, double *product)
{
	const X *x = values;
	VEC a[GROUPS], b[GROUPS], m[GROUPS], zero = {0};
	EACH(g)
	{
		a[g] = LOAD(scale + AT(g));
		b[g] = LOAD(shift + AT(g));
		m[g] = LOAD(mean + AT(g));
	}
	for (size_t begin = 0; begin < inner; begin += RUN) {
		size_t end = begin + RUN < inner ? begin + RUN : inner;
		VEC s[GROUPS] = {0}, p[GROUPS] = {0};
		for (size_t i = begin; i < end; i++) {
			const size_t at = i * stride;
			EACH(g)
			{
				VEC v = LOAD_X(x + at + AT(g)) - m[g], d = LOAD(g1 + at + AT(g));
				if (g2 != NULL)
					d += LOAD(g2 + at + AT(g));
				if (mode == 1)
					d = WHERE(v * a[g] + b[g] > zero, d);
				else if (mode == 2)
					d = WHERE(LOAD((const float *)out + at + AT(g)) > zero, d);
				else if (mode == 3)
					d = WHERE(LOAD_HALF((const uint16_t *)out + at + AT(g)) > zero, d);
				if (mode != 0 || g2 != NULL || dz != g1)
					STORE(dz + at + AT(g), d);
				s[g] += d;
				p[g] += d * v;
			}
		}
		EACH(g)
		for (int l = 0; l < LANES; l++) {
			sum[AT(g) + l] += (double)s[g][l];
			product[AT(g) + l] += (double)p[g][l];
		}
	}
}

BASE_CLONES static void NAME(row_apply)(const float *dz, const void *values, float *dx, size_t inner, size_t stride,
					const float *mean, const float *a, const float *b, const float *c)
{
	const X *x = values;
	VEC m[GROUPS], va[GROUPS], vb[GROUPS], vc[GROUPS];
	EACH(g)
	{
		m[g] = LOAD(mean + AT(g));
		va[g] = LOAD(a + AT(g));
		vb[g] = LOAD(b + AT(g));
		vc[g] = LOAD(c + AT(g));
	}
	for (size_t i = 0; i < inner; i++) {
		const size_t at = i * stride;
		EACH(g)
		STORE(dx + at + AT(g),
		      LOAD(dz + at + AT(g)) * va[g] + ((LOAD_X(x + at + AT(g)) - m[g]) * vb[g] + vc[g]));
	}
}

BASE_CLONES static void NAME(row_apply_half)(const float *dz, const void *values, uint16_t *dx, size_t inner,
					     size_t stride, const float *mean, const float *a, const float *b,
					     const float *c)
{
	const X *x = values;
	VEC m[GROUPS], va[GROUPS], vb[GROUPS], vc[GROUPS];
	EACH(g)
	{
		m[g] = LOAD(mean + AT(g));
		va[g] = LOAD(a + AT(g));
		vb[g] = LOAD(b + AT(g));
		vc[g] = LOAD(c + AT(g));
	}
	for (size_t i = 0; i < inner; i++) {
		const size_t at = i * stride;
		EACH(g)
		STORE_HALF(dx + at + AT(g),
			   LOAD(dz + at + AT(g)) * va[g] + ((LOAD_X(x + at + AT(g)) - m[g]) * vb[g] + vc[g]));
	}
}

BASE_CLONES static void NAME(row_scale)(const float *dz, float *dx, size_t inner, size_t stride, const float *a)
{
	VEC va[GROUPS];
	EACH(g) va[g] = LOAD(a + AT(g));
	for (size_t i = 0; i < inner; i++)
		EACH(g) STORE(dx + i * stride + AT(g), LOAD(dz + i * stride + AT(g)) * va[g]);
}

static const row_kernels NAME(kernels) = {NAME(row_statistics), NAME(row_affine), NAME(row_affine_half),
					  NAME(row_reduce),	NAME(row_apply),  NAME(row_apply_half),
					  NAME(row_scale)};

#undef PASTE2
#undef PASTE
#undef NAME
#undef VEC
#undef BITS
#undef WHERE
#undef RAW
#undef HALF
#undef STORE_HALF
#undef POSITIVE
#undef LOAD
#undef LOAD_X
#undef LOAD_HALF
#undef ADD_RESIDUAL
#undef STORE
#undef EACH
#undef AT
#undef GROUPS
#undef X
#undef LANES
