/* Functions compiled for several instruction sets, of which the program loader takes the best that the processor has. */
#ifndef BASE_CLONES_H
#define BASE_CLONES_H

/* Levels, not names of processors: GCC takes these only for the very model. Not under ThreadSanitizer, which instruments the
 * choosing function before it is ready, nor under AddressSanitizer, whose frames are not aligned for AVX-512 (GCC bug 110027). */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_THREAD__) && \
	!defined(__SANITIZE_ADDRESS__)
#define BASE_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define BASE_CLONES
#endif

#endif
