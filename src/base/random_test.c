#include "base/random.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

/* Known answers: Random123's kat_vectors (philox4x32, 10 rounds): counter, key, result. */
static void philox_gives_the_published_numbers(void **state)
{
	(void)state;
	static const struct {
		uint64_t counter, stream, seed;
		uint32_t expected[4];
	} known[] = {
		{0, 0, 0, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
		{UINT64_MAX, UINT64_MAX, UINT64_MAX, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
		{0x85a308d3243f6a88,
		 0x0370734413198a2e,
		 0x299f31d0a4093822,
		 {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
	};
	for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
		base_random r = base_random_make(known[i].seed, known[i].stream);
		r.counter = known[i].counter;
		for (int j = 0; j < 4; j++)
			assert_int_equal(base_random_u32(&r), known[i].expected[j]);
	}
}

static void a_stream_depends_on_seed_and_stream_only(void **state)
{
	(void)state;
	base_random a = base_random_make(7, 3), b = base_random_make(7, 3), c = base_random_make(7, 4),
		    d = base_random_make(8, 3);
	int equal_c = 0, equal_d = 0;
	for (int i = 0; i < 1000; i++) {
		uint32_t x = base_random_u32(&a);
		assert_int_equal(x, base_random_u32(&b));
		equal_c += x == base_random_u32(&c);
		equal_d += x == base_random_u32(&d);
	}
	assert_true(equal_c < 3 && equal_d < 3);
	assert_true(base_random_mix(1, 2) != base_random_mix(2, 1));
	assert_true(base_random_mix(0, 0) != base_random_mix(0, 1));
	assert_true(base_random_mix(0, 0) != base_random_mix(1, 0));
}

/* No two of a million close pairs share a stream. */
static void mixed_numbers_do_not_collide(void **state)
{
	(void)state;
	enum { SLOTS = 1 << 21, SIDE = 1000 };
	static uint64_t slots[SLOTS];
	for (uint64_t a = 0; a < SIDE; a++) {
		for (uint64_t b = 0; b < SIDE; b++) {
			uint64_t x = base_random_mix(a, b), i = x % SLOTS;
			assert_true(x != 0);
			for (; slots[i] != 0; i = (i + 1) % SLOTS)
				assert_true(slots[i] != x);
			slots[i] = x;
		}
	}
}

static void below_is_unbiased(void **state)
{
	(void)state;
	base_random r = base_random_make(1, 1);
	int counts[6] = {0};
	for (int i = 0; i < 60000; i++) {
		uint64_t x = base_random_below(&r, 6);
		assert_true(x < 6);
		counts[x]++;
	}
	double chi2 = 0;
	for (int i = 0; i < 6; i++)
		chi2 += (counts[i] - 10000.0) * (counts[i] - 10000.0) / 10000.0;
	assert_true(chi2 < 20.5); /* 5 degrees of freedom, p = 0.001 */
	for (int i = 0; i < 100; i++) {
		assert_true(base_random_below(&r, 1) == 0);
		assert_true(base_random_below(&r, UINT64_MAX) < UINT64_MAX);
	}
}

static void floats_have_the_right_range_and_moments(void **state)
{
	(void)state;
	enum { N = 200000 };
	base_random r = base_random_make(42, 0);
	double sum = 0, squares = 0;
	for (int i = 0; i < N; i++) {
		float x = base_random_uniform(&r);
		assert_true(x >= 0.0f && x < 1.0f);
		sum += x;
	}
	assert_true(fabs(sum / N - 0.5) < 0.003);
	sum = 0;
	for (int i = 0; i < N; i++) {
		float x = base_random_normal(&r);
		assert_true(isfinite(x));
		sum += x;
		squares += (double)x * x;
	}
	assert_true(fabs(sum / N) < 0.01);
	assert_true(fabs(squares / N - 1) < 0.02);
	for (int i = 0; i < N; i++) {
		float x = base_random_range(&r, -1.0f, -0.99999994f);
		assert_true(x >= -1.0f && x < -0.99999994f);
	}
	assert_true(base_random_range(&r, 2.0f, 2.0f) == 2.0f);
}

static void a_shuffle_is_a_fair_permutation(void **state)
{
	(void)state;
	enum { N = 5, ROUNDS = 50000 };
	base_random r = base_random_make(9, 9);
	int at[N][N] = {{0}};
	for (int round = 0; round < ROUNDS; round++) {
		size_t items[N] = {0, 1, 2, 3, 4};
		bool seen[N] = {false};
		base_random_shuffle(&r, items, N);
		for (int i = 0; i < N; i++) {
			assert_true(items[i] < N && !seen[items[i]]);
			seen[items[i]] = true;
			at[items[i]][i]++;
		}
	}
	for (int i = 0; i < N; i++) {
		for (int j = 0; j < N; j++)
			assert_in_range(at[i][j], 9600, 10400);
	}
	base_random_shuffle(&r, NULL, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(philox_gives_the_published_numbers),
		cmocka_unit_test(a_stream_depends_on_seed_and_stream_only),
		cmocka_unit_test(mixed_numbers_do_not_collide),
		cmocka_unit_test(below_is_unbiased),
		cmocka_unit_test(floats_have_the_right_range_and_moments),
		cmocka_unit_test(a_shuffle_is_a_fair_permutation),
	};
	return cmocka_run_group_tests_name("base/random", tests, NULL, NULL);
}
