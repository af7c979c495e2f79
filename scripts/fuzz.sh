#!/bin/bash
# Runs every fuzzer of tests/fuzz for a while, from files that the program itself made and from what earlier calls found worth keeping.
# Ends with one line "N passed, N failed". usage: fuzz.sh BUILD (FUZZ_SECONDS: for each fuzzer, 10; FUZZ_ONLY: "image model")
set -u
build=$1
folder=build-fuzz
seconds=${FUZZ_SECONDS:-10}
fuzzers=${FUZZ_ONLY:-image pack config model}
passed=0 failed=0

if [ ! -f "$folder/build.ninja" ]; then
	CC=${FUZZ_CC:-clang} meson setup "$folder" --buildtype=debugoptimized -Dfuzz=true -Dwerror=false -Db_sanitize=address,undefined \
		-Db_lundef=false >"$folder.log" 2>&1 || { tail -n 30 "$folder.log" >&2; exit 1; }
	rm -f "$folder.log"
fi
ninja -C "$folder" --quiet $(printf 'tests/fuzz/fuzz-%s ' $fuzzers) || exit 1
python3 tests/fuzz/seeds.py "$build/cli/brainmri" "$folder/seeds" || exit 1

for name in $fuzzers; do
	corpus=$folder/corpus/$name
	log=$folder/$name.log
	mkdir -p "$corpus"
	if UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 "$folder/tests/fuzz/fuzz-$name" -max_total_time="$seconds" -timeout=30 \
		-rss_limit_mb=3000 -max_len=2000000 -artifact_prefix="$folder/$name-" "$corpus" "$folder/seeds/$name" >"$log" 2>&1; then
		echo "fuzz: $name: ok ($(sed -nE 's/^Done ([0-9]+) runs in ([0-9]+) .*/\1 inputs in \2 s/p' "$log"))"
		passed=$((passed + 1))
	else
		tail -n 60 "$log" >&2
		echo "fuzz: $name: FAILED; the input is kept as $folder/$name-*, run it again with $folder/tests/fuzz/fuzz-$name FILE" >&2
		failed=$((failed + 1))
	fi
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
