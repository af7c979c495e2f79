#!/bin/bash
# Every check that is not a test: format, folders, names, lint, and the unit tests with the address and undefined behaviour
# sanitizers. All block. Ends with one line "N passed, N failed". usage: check.sh BUILD
set -u
cd "$(dirname "$0")/.."
build=$1
passed=0 failed=0
jobs=$(nproc)

mapfile -t sources < <(git ls-files --cached --others --exclude-standard -- '*.c' '*.h')

step() {
	local name=$1 start=$SECONDS
	shift
	if "$@"; then
		echo "check: $name: ok ($((SECONDS - start)) s)"
		passed=$((passed + 1))
	else
		echo "check: $name: FAILED" >&2
		failed=$((failed + 1))
	fi
}

format() {
	clang-format --dry-run -Werror "${sources[@]}" || { echo "check: 'make format' puts it right" >&2; false; }
}

lint() {
	printf '%s\n' "${sources[@]}" | grep '\.c$' | xargs -P "$jobs" -n 4 scripts/lint.sh "$build"
}

sanitized() {
	local folder=build-asan
	if [ ! -f "$folder/build.ninja" ]; then
		meson setup "$folder" --buildtype=debugoptimized -Db_sanitize=address,undefined -Db_lundef=false >"$folder.log" 2>&1 ||
			{ tail -n 30 "$folder.log" >&2; rm -f "$folder.log"; return 1; }
		rm -f "$folder.log"
	fi
	ninja -C "$folder" --quiet || return 1
	ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
		LSAN_OPTIONS=suppressions=$PWD/scripts/lsan.supp:print_suppressions=0 \
		scripts/test.sh "$folder" --suite unit --timeout-multiplier 6
}

step format format
step folders scripts/check-folders.sh
step names scripts/check-names.sh "$build"
step lint lint
step sanitizers sanitized
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
