/* Row kernels for groups of LANES channels; included by kernels.c once per width. No include guard on purpose. */

#define PASTE2(a, b) a##b
#define PASTE(a, b) PASTE2(a, b)
#define NAME(base) PASTE(base, LANES)
#define VEC PASTE(vec, LANES)
#define LOAD(p) (*(const VEC *)(p))
#define STORE(p, v) (*(VEC *)(p) = (v))

/* A comparison gives -1 or 0 a lane: an and with it selects. A NaN passes the ReLU, so that a loss shows it. */
#define BITS PASTE(bits, LANES)
#define WHERE(mask, v) ((VEC)((BITS)(v) & (mask)))
#define POSITIVE(v) WHERE(~((v) < zero), v)
#define RAW PASTE(raw, LANES)
#define HALF PASTE(half, LANES)
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
BASE_CLONES static void NAME(row_statistics)(const float *x, size_t inner, size_t stride, const float *shift,
					     double *sum, double *square)
{
	VEC origin = LOAD(shift);
	for (size_t begin = 0; begin < inner; begin += RUN) {
		size_t end = begin + RUN < inner ? begin + RUN : inner;
		VEC s0 = {0}, s1 = {0}, q0 = {0}, q1 = {0};
		size_t i = begin;
		for (; i + 1 < end; i += 2) {
			VEC d0 = LOAD(x + i * stride) - origin, d1 = LOAD(x + (i + 1) * stride) - origin;
			s0 += d0;
			q0 += d0 * d0;
			s1 += d1;
			q1 += d1 * d1;
		}
		if (i < end) {
			VEC d0 = LOAD(x + i * stride) - origin;
			s0 += d0;
			q0 += d0 * d0;
		}
		s0 += s1;
		q0 += q1;
		for (int l = 0; l < LANES; l++) {
			sum[l] += (double)s0[l];
			square[l] += (double)q0[l];
		}
	}
}

BASE_CLONES static void NAME(row_affine)(const float *x, const float *residual, float *y, size_t inner, size_t stride,
					 const float *mean, const float *scale, const float *shift, int relu)
{
	VEC m = LOAD(mean), a = LOAD(scale), b = LOAD(shift), zero = {0};
	if (residual != NULL) {
		for (size_t i = 0; i < inner; i++) {
			VEC v = (LOAD(x + i * stride) - m) * a + b + LOAD(residual + i * stride);
			STORE(y + i * stride, relu ? POSITIVE(v) : v);
		}
	} else if (relu) {
		for (size_t i = 0; i < inner; i++) {
			VEC v = (LOAD(x + i * stride) - m) * a + b;
			STORE(y + i * stride, POSITIVE(v));
		}
	} else {
		for (size_t i = 0; i < inner; i++)
			STORE(y + i * stride, (LOAD(x + i * stride) - m) * a + b);
	}
}

/* The same as bfloat16; y may be NULL. */
BASE_CLONES static void NAME(row_affine_half)(const float *x, const float *residual, float *y, uint16_t *half,
					      size_t inner, size_t stride, const float *mean, const float *scale,
					      const float *shift, int relu)
{
	VEC m = LOAD(mean), a = LOAD(scale), b = LOAD(shift), zero = {0};
	for (size_t i = 0; i < inner; i++) {
		VEC v = (LOAD(x + i * stride) - m) * a + b;
		if (residual != NULL)
			v += LOAD(residual + i * stride);
		if (relu)
			v = POSITIVE(v);
		if (y != NULL)
			STORE(y + i * stride, v);
		STORE_HALF(half + i * stride, v);
	}
}

/* dz = (g1 + g2) where the ReLU let through; mode: 0 no ReLU, 1 by (x - mean) * scale + shift, 2 by out. */
BASE_CLONES static void NAME(row_reduce)(const float *x, const float *g1, const float *g2, const float *out, float *dz,
					 size_t inner, size_t stride, int mode, const float *scale, const float *shift,
					 const float *mean, double *sum, double *product)
{
	VEC a = LOAD(scale), b = LOAD(shift), m = LOAD(mean), zero = {0};
	for (size_t begin = 0; begin < inner; begin += RUN) {
		size_t end = begin + RUN < inner ? begin + RUN : inner;
		VEC s = {0}, p = {0};
		for (size_t i = begin; i < end; i++) {
			VEC v = LOAD(x + i * stride) - m, g = LOAD(g1 + i * stride);
			if (g2 != NULL)
				g += LOAD(g2 + i * stride);
			if (mode == 1)
				g = WHERE(v * a + b > zero, g);
			else if (mode == 2)
				g = WHERE(LOAD(out + i * stride) > zero, g);
			if (mode != 0 || g2 != NULL || dz != g1)
				STORE(dz + i * stride, g);
			s += g;
			p += g * v;
		}
		for (int l = 0; l < LANES; l++) {
			sum[l] += (double)s[l];
			product[l] += (double)p[l];
		}
	}
}

BASE_CLONES static void NAME(row_apply)(const float *dz, const float *x, float *dx, size_t inner, size_t stride,
					const float *mean, const float *a, const float *b, const float *c)
{
	VEC m = LOAD(mean), va = LOAD(a), vb = LOAD(b), vc = LOAD(c);
	for (size_t i = 0; i < inner; i++)
		STORE(dx + i * stride, LOAD(dz + i * stride) * va + ((LOAD(x + i * stride) - m) * vb + vc));
}

BASE_CLONES static void NAME(row_apply_half)(const float *dz, const float *x, uint16_t *dx, size_t inner, size_t stride,
					     const float *mean, const float *a, const float *b, const float *c)
{
	VEC m = LOAD(mean), va = LOAD(a), vb = LOAD(b), vc = LOAD(c);
	for (size_t i = 0; i < inner; i++)
		STORE_HALF(dx + i * stride, LOAD(dz + i * stride) * va + ((LOAD(x + i * stride) - m) * vb + vc));
}

BASE_CLONES static void NAME(row_scale)(const float *dz, float *dx, size_t inner, size_t stride, const float *a)
{
	VEC va = LOAD(a);
	for (size_t i = 0; i < inner; i++)
		STORE(dx + i * stride, LOAD(dz + i * stride) * va);
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
#undef STORE
#undef LANES
