#!/bin/sh
# The tests against real HDFS and Spark servers (tests/servers). Without Java or Maven, and where they can't be installed, each test is named
# as skipped. usage: test-cluster.sh BUILD [-k PART_OF_A_NAME]...
set -eu
build=$1
shift
# A machine with any Java and Maven, from Debian or not, is left as it is.
if ! command -v javac >/dev/null 2>&1 || ! command -v mvn >/dev/null 2>&1; then
	scripts/install-packages.sh scripts/packages-cluster.txt || echo "test-cluster: going on without them" >&2
fi
# Without Maven the tests that need the job's jar are skipped with the others.
if command -v mvn >/dev/null 2>&1 && command -v javac >/dev/null 2>&1; then
	scripts/build-spark.sh "$build"
fi
BRAINMRI=$(realpath "$build/cli/brainmri")
export BRAINMRI
exec python3 tests/servers/run.py "$@"
