#include "base/child.h"

#include <signal.h>

int base_spawn_open(base_spawn *spawn)
{
	sigset_t none, defaults;
	int number = posix_spawn_file_actions_init(&spawn->actions);
	if (number)
		return number;
	number = posix_spawnattr_init(&spawn->attributes);
	if (number) {
		posix_spawn_file_actions_destroy(&spawn->actions);
		return number;
	}
	sigemptyset(&none);
	sigemptyset(&defaults);
	sigaddset(&defaults, SIGPIPE);
	number = posix_spawnattr_setflags(&spawn->attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	if (!number)
		number = posix_spawnattr_setsigmask(&spawn->attributes, &none);
	if (!number)
		number = posix_spawnattr_setsigdefault(&spawn->attributes, &defaults);
	if (number)
		base_spawn_close(spawn);
	return number;
}

int base_spawn_own_group(base_spawn *spawn)
{
	short flags = 0;
	int number = posix_spawnattr_getflags(&spawn->attributes, &flags);
	if (!number)
		number = posix_spawnattr_setflags(&spawn->attributes, (short)(flags | POSIX_SPAWN_SETPGROUP));
	return number ? number : posix_spawnattr_setpgroup(&spawn->attributes, 0);
}

void base_spawn_close(base_spawn *spawn)
{
	posix_spawnattr_destroy(&spawn->attributes);
	posix_spawn_file_actions_destroy(&spawn->actions);
}
