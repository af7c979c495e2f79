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
		# GCC's warnings are less exact with sanitizers; the ordinary build has them as errors.
		meson setup "$folder" --buildtype=debugoptimized -Dwerror=false -Db_sanitize=address,undefined -Db_lundef=false >"$folder.log" 2>&1 ||
			{ tail -n 30 "$folder.log" >&2; rm -f "$folder.log"; return 1; }
		rm -f "$folder.log"
	fi
	ninja -C "$folder" --quiet || return 1
	ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
		LSAN_OPTIONS=suppressions=$PWD/scripts/lsan.supp:print_suppressions=0 \
		scripts/test.sh "$folder" --suite unit --timeout-multiplier 6
}

# What a user of the library does: install, ask pkg-config, compile, run; against the shared and the static library.
installed() {
	local root pc flags
	root=$(mktemp -d) || return 1
	DESTDIR=$root meson install -C "$build" --no-rebuild --quiet || return 1
	pc=$(find "$root" -name brainmri.pc)
	local -x PKG_CONFIG_PATH
	PKG_CONFIG_PATH=$(dirname "$pc")
	local prefix=$root$(pkg-config --variable=prefix brainmri)
	local libraries=$prefix/${pc#"$prefix/"}
	libraries=$(dirname "$(dirname "$libraries")")
	for file in bin/brainmri include/brainmri/brainmri.h share/man/man1/brainmri.1 share/fish/vendor_completions.d/brainmri.fish \
		share/zsh/site-functions/_brainmri share/bash-completion/completions/brainmri.bash; do
		[ -s "$prefix/$file" ] || { echo "not installed: $file" >&2; return 1; }
	done
	flags=$(pkg-config --define-variable=prefix="$prefix" --cflags --libs brainmri)
	for example in examples/*.c; do
		[ -f "$example" ] || continue
		gcc "$example" $flags -o "$root/shared" || return 1
		gcc "$example" $(pkg-config --define-variable=prefix="$prefix" --cflags brainmri) "$libraries/libbrainmri.a" \
			$(pkg-config --static --libs brainmri | sed 's/-lbrainmri//') -o "$root/static" || return 1
		# Without arguments an example tells its usage: exit code 2.
		LD_LIBRARY_PATH=$libraries "$root/shared" >/dev/null 2>&1
		[ $? = 2 ] || { echo "$example: shared: does not run" >&2; return 1; }
		"$root/static" >/dev/null 2>&1
		[ $? = 2 ] || { echo "$example: static: does not run" >&2; return 1; }
	done
	local names
	names=$(nm -D --defined-only "$libraries/libbrainmri.so" | awk '{ print $3 }' | grep -v '^bm_')
	[ -z "$names" ] || { echo "the shared library shows:" $names >&2; return 1; }
	rm -rf "$root"
}

step format format
step folders scripts/check-folders.sh
step names scripts/check-names.sh "$build"
step install installed
step lint lint
step sanitizers sanitized
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
