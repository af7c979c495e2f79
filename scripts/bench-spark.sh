#!/bin/bash
# Preprocessing on one real Spark cluster: brainmri's job and PySpark with Pillow (shared/peers' script, on this master), alternating.
# Prints "brainmri N" and "pyspark N", images/s; Spark's start is counted for neither. Exit code 77: something that it needs is
# missing, and named. usage: bench-spark.sh BUILD DATA [ROUNDS]
set -u
cd "$(dirname "$0")/.." || exit 1
program=$(realpath "$1/cli/brainmri")
data=$(realpath "$2")
rounds=${3:-2}
python=${BRAINMRI_PEERS:-$HOME/.cache/brainmri-peers}/keras/bin/python
script=${BRAINMRI_SHARED:-../shared}/peers/pyspark_preprocess.py
missing() {
	echo "bench-spark: left out: $*" >&2
	exit 77
}
[ -f "$script" ] || missing "no $script"
home=$("$python" -c 'import os, PIL, pyspark; print(os.path.dirname(pyspark.__file__))' 2>/dev/null) ||
	missing "no PySpark with Pillow in $python ($(dirname "$script")/setup.sh makes it)"
command -v java >/dev/null || missing "no java"
scripts/build-spark.sh "$1" >&2 || missing "no jar of the Spark job"

work=$(mktemp -d)
cluster() {
	python3 tests/servers/cluster.py "$@"
}
trap 'cluster stop "$work/cluster" >/dev/null 2>&1; rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
# The Spark that PySpark brings: client and cluster must be of one version.
cluster start "$work/cluster" --workers 1 --cores 2 --memory 4g --spark-home "$home" --owner $$ >"$work/log" 2>&1 || {
	tail -n 3 "$work/log" >&2
	exit 1
}
eval "$(cluster env "$work/cluster")"
sed "s#local\[2\]#$SPARK_MASTER#" "$script" >"$work/peer.py"
# Executors start Python by this name; the driver's address is the loopback one.
export PYSPARK_PYTHON=$python SPARK_LOCAL_IP=127.0.0.1

"$program" explore "$data" --out "$work/run" --quiet >"$work/log" 2>&1 || {
	cat "$work/log" >&2
	exit 1
}
for ((i = 0; i < rounds; i++)); do
	rm -rf "$work/run/pack"
	"$program" preprocess "$work/run" --master "$SPARK_MASTER" --quiet >"$work/log" 2>&1 || {
		cat "$work/log" >&2
		exit 1
	}
	sed -nE 's/^ *"images_per_second": ?([0-9.]+).*/brainmri \1/p' "$work"/run/phases/*preprocess.json | head -n 1
	"$python" "$work/peer.py" "$data" 2>"$work/log" | sed -nE 's/.* ([0-9.]+) images\/s.*/pyspark \1/p' | grep . || {
		tail -n 5 "$work/log" >&2
		exit 1
	}
done
