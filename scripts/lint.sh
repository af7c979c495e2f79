#!/bin/sh
# clang-tidy on some files, with nothing said unless there is something to say. usage: lint.sh BUILD FILE...
build=$1
shift
# Clang without its own OpenMP: GCC's omp.h, and nothing else of GCC's.
include=$build/lint-include
mkdir -p "$include"
ln -sf "$(gcc -print-file-name=include/omp.h)" "$include/omp.h"
if output=$(clang-tidy -quiet -p "$build" --extra-arg="-isystem$(realpath "$include")" "$@" 2>/dev/null); then
	exit 0
fi
printf '%s\n' "$output"
exit 1
