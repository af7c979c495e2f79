#include "data/loader.h"

#include <math.h>

#include "data/augment.h"
#include "data/test_fixture.h"

enum { IMAGES = 43, SIDE = 64 };

static const data_augmentation everything = {
	.flip = true, .rotation = 15, .shift = 0.06f, .zoom = 0.12f, .brightness = 0.1f, .contrast = 0.2f};
static data_pack pack;
static size_t all[IMAGES];

static int setup(void **state)
{
	if (fixture_setup(state) != 0)
		return -1;
	fixture_pack("pack", IMAGES, 4, SIDE, &pack);
	for (size_t i = 0; i < IMAGES; i++)
		all[i] = i;
	return 0;
}

static int teardown(void **state)
{
	data_pack_close(&pack);
	return fixture_teardown(state);
}

/* What a whole epoch (from a batch on) gives, one behind the other. */
struct epoch {
	float *images;
	int *labels;
	size_t *indices;
	size_t count, batches;
	int last;
};

static void run(const data_loader_options *options, uint64_t number, size_t first, struct epoch *out)
{
	data_loader *loader = NULL;
	const data_batch *batch;
	size_t floats = (size_t)options->image_size * (size_t)options->image_size * (size_t)options->channels;
	assert_ok(data_loader_create(&pack, all, IMAGES, options, &loader, &oops));
	size_t room = data_loader_batches(loader) * (size_t)options->batch;
	*out = (struct epoch){0};
	out->images = base_malloc(room * floats, sizeof(float), "epoch", NULL);
	out->labels = base_malloc(room, sizeof(int), "epoch", NULL);
	out->indices = base_malloc(room, sizeof(size_t), "epoch", NULL);
	assert_true(out->images && out->labels && out->indices);
	assert_ok(data_loader_start(loader, number, first, &oops));
	for (;;) {
		assert_ok(data_loader_next(loader, &batch, &oops));
		if (!batch)
			break;
		assert_true(out->count + (size_t)batch->count <= room);
		memcpy(out->images + out->count * floats, batch->images, (size_t)batch->count * floats * sizeof(float));
		memcpy(out->labels + out->count, batch->labels, (size_t)batch->count * sizeof(int));
		memcpy(out->indices + out->count, batch->indices, (size_t)batch->count * sizeof(size_t));
		out->count += (size_t)batch->count;
		out->last = batch->count;
		out->batches++;
	}
	assert_true(data_loader_waited(loader) >= 0);
	data_loader_free(loader);
}

static void drop(struct epoch *epoch)
{
	base_free(epoch->images);
	base_free(epoch->labels);
	base_free(epoch->indices);
}

static void each_image_once_in_order(void **state)
{
	data_loader_options options = {.batch = 10, .image_size = SIDE, .channels = 1, .threads = 2};
	struct epoch epoch;
	(void)state;
	run(&options, 0, 0, &epoch);
	assert_int_equal(epoch.count, IMAGES);
	assert_int_equal(epoch.batches, 5);
	assert_int_equal(epoch.last, 3); /* not filled up */
	for (size_t i = 0; i < IMAGES; i++) {
		assert_int_equal(epoch.indices[i], i);
		assert_int_equal(epoch.labels[i], pack.labels[i]);
	}
	for (size_t i = 0; i < (size_t)IMAGES * SIDE * SIDE; i++)
		assert_true(epoch.images[i] == (float)pack.images[i] / 255.0f);
	drop(&epoch);
}

static void three_equal_channels_of_another_size(void **state)
{
	data_loader_options options = {.batch = 7, .image_size = 40, .channels = 3, .threads = 2};
	struct epoch epoch;
	float expected[40 * 40 * 3];
	(void)state;
	run(&options, 0, 0, &epoch);
	for (size_t i = 0; i < IMAGES; i++) {
		assert_ok(data_image_to_floats(pack.images + i * SIDE * SIDE, SIDE, 40, 3, expected, &oops));
		assert_memory_equal(epoch.images + i * 40 * 40 * 3, expected, sizeof expected);
		for (size_t k = 0; k < 40 * 40; k++)
			assert_true(expected[3 * k] == expected[3 * k + 1] && expected[3 * k] == expected[3 * k + 2]);
	}
	drop(&epoch);
}

static void shuffled_and_filled_up(void **state)
{
	data_loader_options options = {
		.batch = 10, .image_size = SIDE, .channels = 1, .shuffle = true, .seed = 3, .threads = 2};
	struct epoch epoch, other;
	size_t seen[IMAGES] = {0}, moved = 0, differ = 0;
	(void)state;
	run(&options, 4, 0, &epoch);
	assert_int_equal(epoch.count, 50);
	assert_int_equal(epoch.last, 10);
	for (size_t i = 0; i < IMAGES; i++) {
		seen[epoch.indices[i]]++;
		moved += epoch.indices[i] != i;
	}
	for (size_t i = 0; i < IMAGES; i++)
		assert_int_equal(seen[i], 1);
	assert_true(moved > IMAGES / 2);
	for (size_t i = IMAGES; i < 50; i++)
		assert_int_equal(epoch.indices[i], epoch.indices[i - IMAGES]);
	run(&options, 5, 0, &other);
	for (size_t i = 0; i < IMAGES; i++)
		differ += epoch.indices[i] != other.indices[i];
	assert_true(differ > IMAGES / 2);
	drop(&other);
	drop(&epoch);
	/* A batch larger than the set goes round more than once. */
	options.batch = 100;
	run(&options, 4, 0, &epoch);
	assert_int_equal(epoch.count, 100);
	assert_int_equal(epoch.indices[99], epoch.indices[99 - 2 * IMAGES]);
	drop(&epoch);
}

static void same_bytes_with_any_number_of_threads(void **state)
{
	data_loader_options options = {.batch = 9,
				       .image_size = 48,
				       .channels = 3,
				       .shuffle = true,
				       .seed = 12,
				       .threads = 1,
				       .augmentation = everything};
	struct epoch first, other;
	(void)state;
	run(&options, 2, 0, &first);
	size_t bytes = first.count * 48 * 48 * 3 * sizeof(float);
	for (int threads = 2; threads <= 3; threads++) {
		options.threads = threads;
		options.ahead = threads - 1;
		run(&options, 2, 0, &other);
		assert_int_equal(first.count, other.count);
		assert_memory_equal(first.images, other.images, bytes);
		assert_memory_equal(first.labels, other.labels, first.count * sizeof(int));
		assert_memory_equal(first.indices, other.indices, first.count * sizeof(size_t));
		drop(&other);
	}
	run(&options, 3, 0, &other);
	assert_memory_not_equal(first.images, other.images, bytes);
	drop(&other);
	options.seed++;
	run(&options, 2, 0, &other);
	assert_memory_not_equal(first.images, other.images, bytes);
	drop(&other);
	drop(&first);
}

static void begun_in_the_middle(void **state)
{
	data_loader_options options = {.batch = 8,
				       .image_size = 48,
				       .channels = 1,
				       .shuffle = true,
				       .seed = 1,
				       .threads = 2,
				       .augmentation = everything};
	struct epoch whole, tail;
	(void)state;
	run(&options, 7, 0, &whole);
	for (size_t first = 1; first <= whole.batches; first++) {
		run(&options, 7, first, &tail);
		assert_int_equal(tail.batches, whole.batches - first);
		assert_memory_equal(tail.images, whole.images + first * 8 * 48 * 48,
				    tail.count * 48 * 48 * sizeof(float));
		assert_memory_equal(tail.indices, whole.indices + first * 8, tail.count * sizeof(size_t));
		drop(&tail);
	}
	drop(&whole);
}

/* One loader, epoch after epoch, also left in the middle with workers busy. */
static void epochs_one_after_another(void **state)
{
	data_loader_options options = {.batch = 5,
				       .image_size = 48,
				       .channels = 1,
				       .shuffle = true,
				       .seed = 1,
				       .threads = 3,
				       .augmentation = everything};
	data_loader *loader = NULL;
	const data_batch *batch;
	struct epoch expected;
	bm_error err = {0};
	(void)state;
	assert_int_equal(data_loader_create(&pack, all, IMAGES, &options, &loader, &err), BM_OK);
	assert_int_equal(data_loader_next(loader, &batch, &err), BM_ERR_INTERNAL);
	assert_null(batch);
	for (uint64_t epoch = 0; epoch < 6; epoch++) {
		size_t first = epoch == 3 ? 2 : 0;
		assert_int_equal(data_loader_start(loader, epoch, first, &err), BM_OK);
		run(&options, epoch, 0, &expected);
		for (size_t b = first; b < expected.batches && b < first + 3 + epoch; b++) {
			assert_int_equal(data_loader_next(loader, &batch, &err), BM_OK);
			assert_non_null(batch);
			assert_memory_equal(batch->images, expected.images + b * 5 * 48 * 48,
					    5 * 48 * 48 * sizeof(float));
			assert_memory_equal(batch->labels, expected.labels + b * 5, 5 * sizeof(int));
		}
		drop(&expected);
	}
	assert_int_equal(data_loader_start(loader, 0, data_loader_batches(loader), &err), BM_OK);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(data_loader_next(loader, &batch, &err), BM_OK);
		assert_null(batch);
	}
	assert_int_equal(data_loader_start(loader, 0, data_loader_batches(loader) + 1, &err), BM_ERR_USAGE);
	assert_int_equal(data_loader_start(loader, 0, 0, &err), BM_OK);
	data_loader_free(loader); /* with workers busy */
	data_loader_free(NULL);
}

static void within_range_and_changed(void **state)
{
	data_loader_options options = {.batch = 8,
				       .image_size = SIDE,
				       .channels = 1,
				       .shuffle = true,
				       .seed = 1,
				       .threads = 2,
				       .augmentation = {.flip = true,
							.rotation = 180,
							.shift = 1,
							.zoom = 0.9f,
							.brightness = 1,
							.contrast = 1,
							.stretch = 0.9f,
							.gamma = 2,
							.levels = 0.5f,
							.erase = 0.9f}};
	struct epoch epoch;
	(void)state;
	for (uint64_t number = 0; number < 10; number++) {
		run(&options, number, 0, &epoch);
		for (size_t i = 0; i < epoch.count * SIDE * SIDE; i++)
			assert_true(epoch.images[i] >= 0 && epoch.images[i] <= 1); /* also no NaN */
		drop(&epoch);
	}
}

/* ---- one image ---- */

static void augment(const data_augmentation *a, uint64_t stream, const uint8_t *pixels, float *out)
{
	data_scratch scratch;
	base_random random = base_random_make(1, stream);
	assert_ok(data_scratch_create(SIDE, &scratch, &oops));
	data_augment(pixels, SIDE, 1, a, &random, &scratch, out);
	data_scratch_free(&scratch);
}

static void nothing_changes_nothing(void **state)
{
	static float out[SIDE * SIDE];
	/* A range so small that it rounds away, so that the warp itself runs. */
	data_augmentation none = {0}, tiny = {.rotation = 1e-12f};
	(void)state;
	assert_true(data_augmentation_is_none(&none));
	assert_false(data_augmentation_is_none(&tiny));
	for (int k = 0; k < 2; k++) {
		augment(k ? &tiny : &none, 3, pack.images, out);
		for (int i = 0; i < SIDE * SIDE; i++)
			assert_float_equal(out[i], (float)pack.images[i] / 255, 1e-6);
	}
}

static void flipped_half_the_time(void **state)
{
	static float out[SIDE * SIDE];
	data_augmentation flip = {.flip = true};
	int flipped = 0;
	(void)state;
	for (uint64_t stream = 0; stream < 200; stream++) {
		augment(&flip, stream, pack.images, out);
		bool same = true, mirrored = true;
		for (int i = 0; i < SIDE * SIDE; i++) {
			same &= fabsf(out[i] - (float)pack.images[i] / 255) < 1e-6f;
			const int row = i / SIDE, opposite = row * SIDE + SIDE - 1 - i % SIDE;
			mirrored &= fabsf(out[i] - (float)pack.images[opposite] / 255) < 1e-6f;
		}
		assert_true(same != mirrored);
		flipped += mirrored;
	}
	assert_in_range(flipped, 70, 130); /* 4 deviations */
}

/* A bright dot's way tells each change; 0 outside. */
static void dot(uint8_t *pixels, int x, int y)
{
	memset(pixels, 0, SIDE * SIDE);
	for (int k = 0; k < 9; k++)
		pixels[(y - 1 + k / 3) * SIDE + x - 1 + k % 3] = 200;
}

static void find_dot(const float *out, double *x, double *y, double *mass)
{
	*x = *y = *mass = 0;
	for (int i = 0; i < SIDE * SIDE; i++) {
		const int row = i / SIDE, column = i % SIDE;
		*x += out[i] * (float)column;
		*y += out[i] * (float)row;
		*mass += out[i];
	}
	*x /= *mass;
	*y /= *mass;
}

static void geometry(void **state)
{
	static uint8_t pixels[SIDE * SIDE];
	static float out[SIDE * SIDE];
	const double centre = (SIDE - 1) / 2.0;
	double x, y, mass, least = 9, most = -9;
	(void)state;
	dot(pixels, 44, 32);
	for (uint64_t stream = 0; stream < 100; stream++) {
		/* Turning keeps the distance from the centre, up to the angle. */
		augment(&(data_augmentation){.rotation = 30}, stream, pixels, out);
		find_dot(out, &x, &y, &mass);
		assert_float_equal(hypot(x - centre, y - centre), hypot(44 - centre, 32 - centre), 0.1);
		double angle = (atan2(y - centre, x - centre) - atan2(32 - centre, 44 - centre)) * 180 / 3.14159265;
		assert_true(fabs(angle) < 30.5);
		least = angle < least ? angle : least;
		most = angle > most ? angle : most;
		/* Growing keeps the direction. */
		augment(&(data_augmentation){.zoom = 0.2f}, stream, pixels, out);
		find_dot(out, &x, &y, &mass);
		double zoom = (x - centre) / (44 - centre);
		assert_true(zoom > 0.79 && zoom < 1.21);
		assert_float_equal((y - centre) / (32 - centre), zoom, 0.1);
		assert_float_equal(mass, zoom * zoom * 9 * 200 / 255, 1.0);
		/* Moving keeps the mass. */
		augment(&(data_augmentation){.shift = 0.1f}, stream, pixels, out);
		find_dot(out, &x, &y, &mass);
		assert_true(fabs(x - 44) < 6.5 && fabs(y - 32) < 6.5);
		assert_float_equal(mass, 9 * 200 / 255.0, 0.01);
	}
	assert_true(least < -20 && most > 20);
	/* Half a pixel of an all-white image's edge fades into the black outside; nothing is read from elsewhere. */
	memset(pixels, 255, sizeof pixels);
	augment(&(data_augmentation){.shift = 1}, 2, pixels, out);
	double inside = 0;
	for (int i = 0; i < SIDE * SIDE; i++)
		inside += out[i];
	assert_true(inside < 0.95 * SIDE * SIDE);
}

static void brightness_and_contrast(void **state)
{
	static uint8_t pixels[SIDE * SIDE];
	static float out[SIDE * SIDE];
	float least = 9, most = -9;
	(void)state;
	for (int i = 0; i < SIDE * SIDE; i++)
		pixels[i] = i % 2 ? 100 : 150; /* mean 125 */
	for (uint64_t stream = 0; stream < 100; stream++) {
		augment(&(data_augmentation){.brightness = 0.1f}, stream, pixels, out);
		assert_float_equal(out[0] - out[1], 50 / 255.0, 1e-5);
		float added = out[0] - 150 / 255.0f;
		least = added < least ? added : least;
		most = added > most ? added : most;
		augment(&(data_augmentation){.contrast = 0.5f}, stream, pixels, out);
		assert_float_equal(out[0] + out[1], 250 / 255.0, 1e-5);
		float factor = (out[0] - out[1]) / (50 / 255.0f);
		assert_true(factor > 0.499f && factor < 1.501f);
	}
	assert_true(least >= -0.1001f && least < -0.07f && most <= 0.1001f && most > 0.07f);
}

static void sharpened_and_noisy(void **state)
{
	static uint8_t pixels[SIDE * SIDE];
	static float out[SIDE * SIDE];
	double least = 9, most = -9, loudest = 0;
	(void)state;
	for (uint64_t stream = 0; stream < 200; stream++) {
		/* A flat image has nothing to sharpen; of a dot, what leaves it goes to its neighbours. */
		memset(pixels, 100, sizeof pixels);
		augment(&(data_augmentation){.sharpness = 1}, stream, pixels, out);
		for (int i = 0; i < SIDE * SIDE; i++)
			assert_float_equal(out[i], 100 / 255.0, 1e-6);
		const int dot_at = 40 * SIDE + 44;
		pixels[dot_at] = 140;
		augment(&(data_augmentation){.sharpness = 1}, stream, pixels, out);
		const double step = 40 / 255.0, amount = ((double)out[dot_at] - 140 / 255.0) / (step * (1 - 4 / 16.0));
		assert_true(amount >= -1.0001 && amount <= 1.0001);
		assert_float_equal(out[dot_at + 1], 100 / 255.0 - amount * step * 2 / 16, 1e-5);
		assert_float_equal(out[dot_at + SIDE], 100 / 255.0 - amount * step * 2 / 16, 1e-5);
		assert_float_equal(out[dot_at - SIDE - 1], 100 / 255.0 - amount * step / 16, 1e-5);
		assert_float_equal(out[dot_at + 2], 100 / 255.0, 1e-6);
		least = amount < least ? amount : least;
		most = amount > most ? amount : most;

		memset(pixels, 128, sizeof pixels);
		augment(&(data_augmentation){.noise = 0.1f}, stream, pixels, out);
		double sum = 0, squares = 0;
		for (int i = 0; i < SIDE * SIDE; i++) {
			const double off = (double)out[i] - 128 / 255.0;
			sum += off;
			squares += off * off;
		}
		const double deviation = sqrt(squares / (SIDE * SIDE));
		assert_true(fabs(sum / (SIDE * SIDE)) < 0.01 && deviation < 0.105);
		loudest = deviation > loudest ? deviation : loudest;
	}
	assert_true(least < -0.9 && most > 0.9 && loudest > 0.09);
}

/* Every share of dark foreground of one image comes to stand where the same share of the other stands; the background stays. */
static void grey_levels_of_another(void **state)
{
	enum { N = 4000 };
	static uint8_t own[N], other[N], out[N];
	(void)state;
	for (int i = 0; i < N; i++) {
		own[i] = (uint8_t)(i < N / 4 ? 0 : 20 + i % 100);
		other[i] = (uint8_t)(i < N / 2 ? 5 : 60 + (i % 100) * 3 / 2);
	}
	data_match_levels(own, other, N, 0, out);
	assert_memory_equal(out, own, N);
	data_match_levels(own, other, N, 1, out);
	for (int i = 0; i < N; i++)
		assert_true(own[i] < 12 ? out[i] == own[i] : abs(out[i] - (60 + (own[i] - 20) * 3 / 2)) <= 2);
	data_match_levels(own, other, N, 0.5f, out);
	for (int i = 0; i < N; i++)
		assert_true(own[i] < 12 || abs(2 * out[i] - own[i] - (60 + (own[i] - 20) * 3 / 2)) <= 4);
	data_match_levels(own, own, N, 1, out);
	for (int i = 0; i < N; i++)
		assert_true(abs(out[i] - own[i]) <= 1);
	memset(other, 0, N); /* nothing to match */
	data_match_levels(own, other, N, 1, out);
	assert_memory_equal(out, own, N);
}

static void stretched_bent_and_erased(void **state)
{
	static uint8_t pixels[SIDE * SIDE];
	static float out[SIDE * SIDE];
	const double centre = (SIDE - 1) / 2.0;
	double x, y, mass, least = 9, most = -9, darkest = 9, brightest = -9;
	int erased = 0;
	(void)state;
	for (uint64_t stream = 0; stream < 200; stream++) {
		/* To the side only. */
		dot(pixels, 44, 40);
		augment(&(data_augmentation){.stretch = 0.2f}, stream, pixels, out);
		find_dot(out, &x, &y, &mass);
		assert_float_equal(y, 40, 0.05);
		const double stretch = (x - centre) / (44 - centre);
		assert_true(stretch > 0.79 && stretch < 1.21);
		least = stretch < least ? stretch : least;
		most = stretch > most ? stretch : most;
		/* Black and white stay; a grey one is bent by one power for all pixels. */
		memset(pixels, 64, sizeof pixels);
		pixels[0] = 0;
		pixels[1] = 255;
		augment(&(data_augmentation){.gamma = 0.5f}, stream, pixels, out);
		assert_true(out[0] == 0 && fabsf(out[1] - 1) < 1e-6f && out[2] == out[SIDE * SIDE - 1]);
		const double gamma = log((double)out[2]) / log(64 / 255.0);
		assert_true(gamma > exp(-0.51) && gamma < exp(0.51));
		darkest = gamma < darkest ? gamma : darkest;
		brightest = gamma > brightest ? gamma : brightest;
		/* One rectangle at most, no larger than half a side. */
		memset(pixels, 255, sizeof pixels);
		augment(&(data_augmentation){.erase = 0.5f}, stream, pixels, out);
		int left = SIDE, top = SIDE, right = -1, bottom = -1, black = 0;
		for (int i = 0; i < SIDE * SIDE; i++) {
			if (out[i] != 0)
				continue;
			black++;
			left = i % SIDE < left ? i % SIDE : left;
			right = i % SIDE > right ? i % SIDE : right;
			top = i / SIDE < top ? i / SIDE : top;
			bottom = i / SIDE;
		}
		if (!black)
			continue;
		erased++;
		assert_int_equal(black, (right - left + 1) * (bottom - top + 1));
		assert_true(right - left < SIDE / 2 && bottom - top < SIDE / 2);
	}
	assert_true(least < 0.85 && most > 1.15 && darkest < 0.7 && brightest > 1.4);
	assert_in_range(erased, 65, 130);
}

static void refused(void **state)
{
	const data_loader_options good = {.batch = 4, .image_size = SIDE, .channels = 1, .threads = 1};
	data_loader *loader;
	bm_error err = {0};
	size_t outside[] = {0, IMAGES};
	float out[1];
	(void)state;
	assert_int_equal(data_loader_create(&pack, all, 0, &good, &loader, &err), BM_ERR_DATA);
	assert_int_equal(data_loader_create(&pack, outside, 2, &good, &loader, &err), BM_ERR_DATA);
	data_loader_options bad[11];
	for (int i = 0; i < 11; i++)
		bad[i] = good;
	bad[0].batch = 0;
	bad[1].image_size = 7;
	bad[2].image_size = 1025;
	bad[3].channels = 2;
	bad[4].threads = -1;
	bad[5].ahead = -1;
	bad[6].augmentation.zoom = 1;
	bad[7].augmentation.rotation = NAN;
	bad[8].augmentation.stretch = 1;
	bad[9].augmentation.gamma = -1;
	bad[10].augmentation.erase = 1;
	for (int i = 0; i < 11; i++) {
		assert_int_equal(data_loader_create(&pack, all, IMAGES, &bad[i], &loader, &err), BM_ERR_USAGE);
		assert_null(loader);
	}
	assert_int_equal(data_image_to_floats(pack.images, SIDE, SIDE, 2, out, &err), BM_ERR_USAGE);
}

static void memory_runs_out(void **state)
{
	data_loader_options options = {
		.batch = 4, .image_size = 48, .channels = 3, .threads = 1, .augmentation = everything};
	bool done = false;
	(void)state;
	for (long n = 0; !done && n < 2000; n++) {
		data_loader *loader = NULL;
		bm_error err = {0};
		base_memory_fail_after(n);
		bm_status status = data_loader_create(&pack, all, IMAGES, &options, &loader, &err);
		base_memory_fail_after(-1);
		done = status == BM_OK;
		if (!done) {
			assert_int_equal(status, BM_ERR_MEMORY);
			assert_null(loader);
		}
		data_loader_free(loader);
	}
	assert_true(done);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_image_once_in_order),
		cmocka_unit_test(three_equal_channels_of_another_size),
		cmocka_unit_test(shuffled_and_filled_up),
		cmocka_unit_test(same_bytes_with_any_number_of_threads),
		cmocka_unit_test(begun_in_the_middle),
		cmocka_unit_test(epochs_one_after_another),
		cmocka_unit_test(within_range_and_changed),
		cmocka_unit_test(nothing_changes_nothing),
		cmocka_unit_test(flipped_half_the_time),
		cmocka_unit_test(geometry),
		cmocka_unit_test(brightness_and_contrast),
		cmocka_unit_test(sharpened_and_noisy),
		cmocka_unit_test(grey_levels_of_another),
		cmocka_unit_test(stretched_bent_and_erased),
		cmocka_unit_test(refused),
		cmocka_unit_test(memory_runs_out),
	};
	return cmocka_run_group_tests_name("data/loader", tests, setup, teardown);
}
