/* Another program as a child: posix_spawn with what every child of ours begins with. */
#ifndef BASE_CHILD_H
#define BASE_CHILD_H

#include <spawn.h>

typedef struct base_spawn {
	posix_spawn_file_actions_t actions; /* none yet: the caller adds its own */
	posix_spawnattr_t attributes; /* no signal blocked, SIGPIPE as usual: our own settings are not inherited */
} base_spawn;

/* 0, or an errno; then there is nothing to close. */
int base_spawn_open(base_spawn *spawn);
/* A process group of its own: Ctrl-C in the terminal is not for it, and kill(-pid) is for all that it starts. 0, or an errno. */
int base_spawn_own_group(base_spawn *spawn);
void base_spawn_close(base_spawn *spawn);

#endif
