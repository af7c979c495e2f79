#!/bin/sh
# Runs Meson's tests of a build folder and ends with one line "N passed, N failed[, N skipped]", counted from Meson's own
# log. usage: test.sh BUILD [options of `meson test`]
set -u
build=$1
shift
log=$build/meson-logs/testlog.json
rm -f "$log"
meson test -C "$build" --no-rebuild --print-errorlogs "$@"
status=$?
# One JSON object a test and line; its "result" is Meson's verdict.
counts=$(cat "$log" 2>/dev/null | sed -n 's/.*"result": "\([A-Z]*\)".*/\1/p' | awk '
	/^(OK|EXPECTEDFAIL)$/ { passed++; next }
	/^SKIP$/ { skipped++; next }
	{ failed++ }
	END { printf "%d %d %d", passed, failed, skipped }')
set -- $counts
passed=$1 failed=$2 skipped=$3
# A run that broke off, or that tested nothing, is a failure even if no test says so.
if [ "$failed" = 0 ] && { [ "$status" != 0 ] || [ $((passed + skipped)) = 0 ]; }; then
	echo "test.sh: meson test ended with status $status after $((passed + skipped)) tests" >&2
	failed=1
fi
line="$passed passed, $failed failed"
[ "$skipped" = 0 ] || line="$line, $skipped skipped"
echo "$line"
[ "$failed" = 0 ]
