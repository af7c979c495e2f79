/* Functions compiled for several instruction sets, of which the program loader takes the best that the processor
 * has. */
#ifndef DATA_CLONES_H
#define DATA_CLONES_H

/* Levels, not names of processors: GCC takes these only for the very model. Not under ThreadSanitizer: it
 * instruments the choosing function, which runs before it is ready. */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__SANITIZE_THREAD__)
#define DATA_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define DATA_CLONES
#endif

#endif
