#include "base/random.h"

#include <math.h>

/* Philox 4x32-10: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC11. */
static void philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4])
{
	uint32_t x0 = counter[0], x1 = counter[1], x2 = counter[2], x3 = counter[3];
	uint32_t k0 = key[0], k1 = key[1];
	for (int round = 0; round < 10; round++) {
		uint64_t a = (uint64_t)0xD2511F53u * x0, b = (uint64_t)0xCD9E8D57u * x2;
		uint32_t y0 = (uint32_t)(b >> 32) ^ x1 ^ k0, y2 = (uint32_t)(a >> 32) ^ x3 ^ k1;
		x1 = (uint32_t)b;
		x3 = (uint32_t)a;
		x0 = y0;
		x2 = y2;
		k0 += 0x9E3779B9u;
		k1 += 0xBB67AE85u;
	}
	out[0] = x0;
	out[1] = x1;
	out[2] = x2;
	out[3] = x3;
}

base_random base_random_make(uint64_t seed, uint64_t stream)
{
	return (base_random){.seed = seed, .stream = stream, .used = 4};
}

/* The seed is Philox's key; the counter's low half counts, its high half is the stream. */
uint32_t base_random_u32(base_random *r)
{
	if (r->used >= 4) {
		const uint32_t counter[4] = {(uint32_t)r->counter, (uint32_t)(r->counter >> 32), (uint32_t)r->stream,
					     (uint32_t)(r->stream >> 32)};
		const uint32_t key[2] = {(uint32_t)r->seed, (uint32_t)(r->seed >> 32)};
		philox(counter, key, r->block);
		r->counter++;
		r->used = 0;
	}
	return r->block[r->used++];
}

/* SplitMix64's finaliser (Steele, Lea, Flood 2014) over a weighted sum, so that mix(a, b) != mix(b, a). */
uint64_t base_random_mix(uint64_t a, uint64_t b)
{
	uint64_t x = a * 0x9E3779B97F4A7C15u + (b ^ 0xD1B54A32D192ED03u);
	for (int i = 0; i < 2; i++) {
		x ^= x >> 30;
		x *= 0xBF58476D1CE4E5B9u;
		x ^= x >> 27;
		x *= 0x94D049BB133111EBu;
		x ^= x >> 31;
		x += b;
	}
	return x;
}

uint64_t base_random_below(base_random *r, uint64_t n)
{
	/* The lowest 2^64 mod n numbers would make some remainders more likely than others. */
	uint64_t reject = n > 0 ? (0 - n) % n : 0, x;
	do {
		x = (uint64_t)base_random_u32(r) << 32;
		x |= base_random_u32(r);
	} while (x < reject);
	return n > 0 ? x % n : 0;
}

float base_random_uniform(base_random *r)
{
	return (float)(base_random_u32(r) >> 8) * 0x1p-24f;
}

float base_random_range(base_random *r, float low, float high)
{
	float x = low + (high - low) * base_random_uniform(r);
	return x < high || high <= low ? x : nextafterf(high, low); /* rounding may have reached the end */
}

float base_random_normal(base_random *r)
{
	/* Box and Muller (1958); 1 - u is in (0, 1]. One of the pair is dropped: a draw has no hidden state. */
	float u = 1.0f - base_random_uniform(r), v = base_random_uniform(r);
	return sqrtf(-2.0f * logf(u)) * cosf(6.28318530718f * v);
}

void base_random_shuffle(base_random *r, size_t *items, size_t count)
{
	for (size_t i = count; i > 1; i--) {
		size_t j = (size_t)base_random_below(r, i), swap = items[i - 1];
		items[i - 1] = items[j];
		items[j] = swap;
	}
}
