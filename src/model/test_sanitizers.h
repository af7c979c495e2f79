/* For tests of damaged files, when they run with sanitizers; included once in a program. */
#ifndef MODEL_TEST_SANITIZERS_H
#define MODEL_TEST_SANITIZERS_H

/* libhdf5 1.10 loses a few hundred bytes in some damaged files. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:libhdf5";
}

/* A damaged file may ask libhdf5 for petabytes: malloc then returns NULL, as without the sanitizer. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "allocator_may_return_null=1";
}

#endif
