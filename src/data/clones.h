/* Functions compiled for several instruction sets, of which the program loader takes the best that the processor
 * has. */
#ifndef DATA_CLONES_H
#define DATA_CLONES_H

/* Not under ThreadSanitizer: it instruments the choosing function, which runs before it is ready. */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__SANITIZE_THREAD__)
#define DATA_CLONES __attribute__((target_clones("arch=skylake-avx512", "arch=haswell", "default")))
#else
#define DATA_CLONES
#endif

#endif
