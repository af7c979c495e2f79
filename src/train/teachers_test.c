#include "image/image.h"
#include "train/test_fixture.h"

static void plan_of(train_plan *plan, int epochs, float distillation)
{
	train_plan_scratch(plan, FIXTURE_SIDE);
	plan->stages[0].epochs = epochs;
	plan->stages[0].learning_rate = 4e-3f;
	plan->stages[0].augmentation = (data_augmentation){.flip = true, .shift = 0.05f};
	plan->stages[0].mixup = 0.2f;
	plan->stages[0].distillation = distillation;
}

/* Labels that are all the same teach nothing; what a teacher says of the same images does. */
static void test_learns_without_labels(void **unused)
{
	(void)unused;
	fixture_data data;
	model teacher, pupil;
	train_plan plan;
	train_history history;
	train_options options = {.run_folder = fixture_root, .seed = 11, .threads = 1};
	fixture_data_make(&data, 120, 25);
	fixture_model(&teacher, true);
	plan_of(&plan, 14, 0);
	assert_ok(train_run(&teacher, &data.pack, &data.split, &plan, &options, NULL, &history, err));
	const double taught = history.epochs[13].val_accuracy;
	train_history_free(&history);

	for (size_t i = 0; i < data.split.count[DATA_TRAIN]; i++)
		data.pack.labels[data.split.indices[DATA_TRAIN][i]] = 0;
	/* Every class needs an image for its weight. */
	for (int c = 0; c < data.pack.class_count; c++)
		data.pack.labels[data.split.indices[DATA_TRAIN][c]] = c;
	fixture_model_headed(&pupil, true, MODEL_HEAD_LINEAR);
	plan_of(&plan, 14, 1);
	options.teachers = (const model *const[]){&teacher};
	options.teacher_count = 1;
	options.seed = 12;
	assert_ok(train_run(&pupil, &data.pack, &data.split, &plan, &options, NULL, &history, err));
	print_message("teacher %.3f, pupil %.3f on validation\n", taught, history.epochs[13].val_accuracy);
	assert_true(history.epochs[13].val_accuracy > 0.4);
	train_history_free(&history);
	model_free(&teacher);
	model_free(&pupil);
	fixture_data_free(&data);
}

/* Two teachers take turns: on the same images, each says the same as if it were alone. */
static void test_takes_turns(void **unused)
{
	(void)unused;
	model models[2];
	train_teachers both, alone[2];
	train_plan plan;
	const float *said;
	float kept[4 * IMAGE_PHANTOM_CLASSES];
	float *images = base_calloc((size_t)4 * FIXTURE_SIDE * FIXTURE_SIDE, sizeof *images, "test", NULL);
	for (int i = 0; i < 4 * FIXTURE_SIDE * FIXTURE_SIDE; i++)
		images[i] = (float)(i % 97) / 97;
	fixture_model(&models[0], true);
	fixture_model(&models[1], false);
	const model *const teachers[2] = {&models[0], &models[1]};
	plan_of(&plan, 1, 0.5f);
	const train_options options = {.teachers = teachers, .teacher_count = 2};
	assert_ok(train_teachers_open(&models[0], &options, &plan.stages[0], 1, &both, err));
	for (int i = 0; i < 2; i++) {
		const train_options one = {.teachers = &teachers[i], .teacher_count = 1};
		assert_ok(train_teachers_open(&models[0], &one, &plan.stages[0], 1, &alone[i], err));
	}
	for (uint64_t step = 0; step < 4; step++) {
		assert_ok(train_teachers_ask(&both, images, 4, step, &said, err));
		memcpy(kept, said, sizeof kept);
		assert_ok(train_teachers_ask(&alone[step % 2], images, 4, 7, &said, err));
		assert_memory_equal(kept, said, sizeof kept);
	}
	train_teachers_close(&alone[0]);
	train_teachers_close(&alone[1]);
	train_teachers_close(&both);
	plan.stages[0].distillation = 0;
	assert_ok(train_teachers_open(&models[0], &options, &plan.stages[0], 1, &both, err));
	assert_ok(train_teachers_ask(&both, images, 4, 0, &said, err));
	assert_null(said);
	base_free(images);
	model_free(&models[0]);
	model_free(&models[1]);
}

static void test_teachers_of_other_channels(void **unused)
{
	(void)unused;
	const model_options coloured = {.width = 0.25,
					.image_size = FIXTURE_SIDE,
					.channels = 3,
					.head = MODEL_HEAD_LINEAR,
					.classes = IMAGE_PHANTOM_CLASSES};
	const size_t pixels = (size_t)2 * FIXTURE_SIDE * FIXTURE_SIDE;
	model grey, colour;
	train_teachers asked;
	train_plan plan;
	const float *said;
	float kept[2 * IMAGE_PHANTOM_CLASSES];
	float *one = base_calloc(pixels, sizeof *one, "test", NULL),
	      *three = base_calloc(pixels * 3, sizeof *three, "test", NULL);
	for (size_t i = 0; i < pixels; i++)
		one[i] = three[3 * i] = three[3 * i + 1] = three[3 * i + 2] = (float)(i % 89) / 89;
	fixture_model(&grey, true);
	assert_ok(model_create(&coloured, image_phantom_class_names, true, 3, &colour, err));
	plan_of(&plan, 1, 0.5f);
	for (int i = 0; i < 2; i++) {
		const model *const teacher[1] = {i ? &grey : &colour};
		const train_options options = {.teachers = teacher, .teacher_count = 1};
		/* As a network of its own channels would have it shown, and as one of others. */
		assert_ok(train_teachers_open(teacher[0], &options, &plan.stages[0], 1, &asked, err));
		assert_ok(train_teachers_ask(&asked, i ? one : three, 2, 0, &said, err));
		memcpy(kept, said, sizeof kept);
		train_teachers_close(&asked);
		assert_ok(train_teachers_open(i ? &colour : &grey, &options, &plan.stages[0], 1, &asked, err));
		assert_ok(train_teachers_ask(&asked, i ? three : one, 2, 0, &said, err));
		assert_memory_equal(kept, said, sizeof kept);
		train_teachers_close(&asked);
	}
	base_free(one);
	base_free(three);
	model_free(&grey);
	model_free(&colour);
}

/* At each size of the network that learns, a teacher is asked at its own. */
static void test_teachers_of_other_sizes(void **unused)
{
	(void)unused;
	const int size = 2 * FIXTURE_SIDE;
	const size_t pixels = (size_t)FIXTURE_SIDE * FIXTURE_SIDE;
	const model_options larger = {.width = 0.25,
				      .image_size = size,
				      .channels = 3,
				      .head = MODEL_HEAD_LINEAR,
				      .classes = IMAGE_PHANTOM_CLASSES};
	model pupil, teacher;
	train_teachers asked;
	train_plan plan;
	const float *said;
	float kept[2 * IMAGE_PHANTOM_CLASSES];
	float *small = base_calloc(2 * pixels, sizeof *small, "test", NULL),
	      *large = base_calloc(2 * pixels * 4, sizeof *large, "test", NULL),
	      *three = base_calloc(2 * pixels * 12, sizeof *three, "test", NULL);
	for (size_t i = 0; i < 2 * pixels; i++)
		small[i] = (float)(i * 31 % 89) / 89;
	assert_ok(image_resize_floats(small, 2, FIXTURE_SIDE, large, size, err));
	for (size_t i = 0; i < 2 * pixels * 12; i++)
		three[i] = large[i / 3];
	fixture_model(&pupil, true);
	assert_ok(model_create(&larger, image_phantom_class_names, true, 3, &teacher, err));
	plan_of(&plan, 1, 0.5f);
	const model *const teachers[1] = {&teacher};
	const train_options options = {.teachers = teachers, .teacher_count = 1};
	uint64_t bytes;
	assert_ok(train_teachers_memory(&options, &plan.stages[0], &bytes, err));
	assert_true(bytes > (uint64_t)plan.stages[0].batch * pixels * 17 * sizeof(float));
	assert_ok(train_teachers_open(&pupil, &options, &plan.stages[0], 1, &asked, err));
	assert_ok(train_teachers_ask(&asked, small, 2, 0, &said, err));
	memcpy(kept, said, sizeof kept);
	train_teachers_close(&asked);
	plan.stages[0].image_size = size;
	assert_ok(train_teachers_open(&teacher, &options, &plan.stages[0], 1, &asked, err));
	assert_ok(train_teachers_ask(&asked, three, 2, 0, &said, err));
	assert_memory_equal(kept, said, sizeof kept);
	train_teachers_close(&asked);
	base_free(small);
	base_free(large);
	base_free(three);
	model_free(&pupil);
	model_free(&teacher);
}

static void test_refuses(void **unused)
{
	(void)unused;
	model m, other;
	train_plan plan;
	bm_error err;
	fixture_model(&m, true);
	fixture_model(&other, true);
	const model *const teachers[1] = {&other};
	train_options options = {.teachers = teachers, .teacher_count = 1};
	plan_of(&plan, 1, 0.5f);
	assert_int_equal(train_teachers_check(&m, &plan, &options, &err), BM_OK);
	char *name = other.class_names[2];
	other.class_names[2] = other.class_names[3];
	other.class_names[3] = name;
	assert_int_equal(train_teachers_check(&m, &plan, &options, &err), BM_ERR_USAGE);
	assert_non_null(strstr(err.message, "other classes"));
	plan_of(&plan, 1, 0);
	assert_int_equal(train_teachers_check(&m, &plan, &options, &err), BM_ERR_USAGE);
	assert_non_null(strstr(err.message, "'distillation' above 0"));
	plan_of(&plan, 1, 0.5f);
	options.teacher_count = 0;
	assert_int_equal(train_teachers_check(&m, &plan, &options, &err), BM_ERR_USAGE);
	assert_non_null(strstr(err.message, "--teacher"));
	model_free(&m);
	model_free(&other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_learns_without_labels, fixture_setup, fixture_teardown),
		cmocka_unit_test(test_takes_turns),
		cmocka_unit_test(test_teachers_of_other_channels),
		cmocka_unit_test(test_teachers_of_other_sizes),
		cmocka_unit_test(test_refuses),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
