#!/bin/sh
# clang-tidy on some files, with nothing said unless there is something to say. usage: lint.sh BUILD FILE...
build=$1
shift
if output=$(clang-tidy -quiet -p "$build" "$@" 2>/dev/null); then
	exit 0
fi
printf '%s\n' "$output"
exit 1
