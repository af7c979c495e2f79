#!/bin/bash
# Starts a small HDFS and Spark on this machine and takes a data set through the whole of brainmri on them.
#   examples/cluster/run.sh [DATA]    DATA: a folder of images per class; without, a synthetic set is generated
#   examples/cluster/run.sh stop      ends the servers and deletes what they kept
# The servers go on afterwards, with their pages, to be tried out. PLACE (default: runs/cluster) is where everything is kept.
set -eu
top=$(cd "$(dirname "$0")/../.." && pwd)
place=$(realpath -m "${PLACE:-runs/cluster}")
servers=$top/tests/servers/cluster.py

if [ "${1:-}" = stop ]; then
	exec "$servers" delete "$place/servers"
fi
case ${1:-} in
-*)
	sed -n '2,5s/^# \?//p' "$0"
	exit 2
	;;
esac

# The two programs that the servers need, where they are missing.
if ! command -v javac >/dev/null 2>&1 || ! command -v mvn >/dev/null 2>&1; then
	"$top/scripts/install-packages.sh" "$top/scripts/packages-cluster.txt"
fi
program=${BRAINMRI:-$top/build/cli/brainmri}
if [ ! -x "$program" ]; then
	program=$(command -v brainmri) || {
		echo "run.sh: there is no brainmri yet; build it with 'make' in $top" >&2
		exit 1
	}
fi
# The jar of the Spark job; an installed brainmri has it.
[ "$program" != "$top/build/cli/brainmri" ] || "$top/scripts/build-spark.sh" "$top/build"
show() {
	printf '\n$ %s\n' "$*"
	"$@"
}
mkdir -p "$place"

# HDFS and Spark, at free ports of 127.0.0.1. Its variables tell where: CLUSTER_HDFS, SPARK_MASTER, HADOOP_CONF_DIR and others.
if ! "$servers" status "$place/servers" 2>/dev/null | grep -q process; then
	show "$servers" start "$place/servers" --datanodes 2
fi
eval "$("$servers" env "$place/servers")"
brainmri() {
	printf '\n$ brainmri %s\n' "$*"
	"$program" "$@"
}

data=${1:-$place/phantom}
settings=()
if [ -z "${1:-}" ]; then
	[ -d "$data" ] || brainmri phantom "$data" --count 150 --size 128
	# Some minutes on two cores, and no model to be used.
	settings=(--plan scratch --width 0.25 --image-size 64 --epochs 2,4 --batch 32)
fi
url=$CLUSTER_HDFS/user/$CLUSTER_USER/brain_mri_data/$(basename "$data")

# Phase 3: into HDFS. Again does nothing; only what is missing goes.
brainmri data put "$data" "$url"
brainmri data verify "$data" "$url"
# All ten phases, phase 6 on Spark.
brainmri run "$url" --master "$SPARK_MASTER" --out "$place/run" "${settings[@]}"

cat <<END

The report:     $place/run/report.html
HDFS's page:    http://$CLUSTER_WEBHDFS/
Spark's page:   http://$SPARK_MASTER_UI/
To go on:       eval "\$($servers env $place/servers)"
                hdfs dfs -ls -R $url | head
To end it all:  $0 stop
END
