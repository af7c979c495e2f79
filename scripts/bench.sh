#!/bin/bash
# Speed and memory, beside what one would use instead: each pair is measured in the same call, alternating A B A B, because
# machines are noisy and only ratios count. Peers that are not installed are left out and named.
# usage: bench.sh BUILD [DATA]   (BENCH_ROUNDS: how often each pair alternates, 2; BENCH_STEPS: passes of the network, 8;
# BENCH_FILES: how many files are uploaded into HDFS, all;
# BRAINMRI_PEERS: the peers' environments, ~/.cache/brainmri-peers; BRAINMRI_SHARED: ../shared)
set -u
build=$1
program=$build/cli/brainmri
shared=${BRAINMRI_SHARED:-../shared}
peers=${BRAINMRI_PEERS:-$HOME/.cache/brainmri-peers}
rounds=${BENCH_ROUNDS:-2}
steps=${BENCH_STEPS:-8}
out=runs/bench
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$out"
: >"$work/values"

# value NAME NUMBER: one measurement. best NAME: the highest rate of that name (noise only slows down). middle NAME: the median.
value() {
	echo "$1 $2" >>"$work/values"
	echo "  $1: $2" >&2
}
best() {
	awk -v name="$1" '$1 == name && (!n++ || $2 > b) { b = $2 } END { if (n) print b }' "$work/values"
}
middle() {
	awk -v name="$1" '$1 == name { print $2 }' "$work/values" | sort -n | awk '{ v[NR] = $1 } END { if (NR) print v[int((NR + 1) / 2)] }'
}
note() {
	echo "$*" >&2
}
have_python() {
	[ -x "$1" ] && "$1" -c "import $2" >/dev/null 2>&1
}
# rate_of NAME: the number before "images/s" in the lines of standard input, "PEER WORK [..] N images/s" -> PEER.WORK N
rates() {
	sed -nE 's/^([a-z]+) ([a-z0-9]+) (\([^)]*\) )?([0-9.]+) images\/s$/\1.\2 \4/p' | while read -r name number; do
		value "$name" "$number"
	done
}

startup() {
	note "Starting the program"
	local i start end
	for ((i = 0; i < 20; i++)); do
		start=$(date +%s%N)
		"$program" --version >/dev/null || return 1
		end=$(date +%s%N)
		echo "startup_ms $(((end - start) / 10000))" | awk '{ print $1, $2 / 100 }' >>"$work/values"
	done
}

preprocessing() {
	local limit= spark= i rate
	local files=("$data"/*/*.jp*g)
	note "Preprocessing ${#files[@]} images of $data"
	if [ -f "$shared/peers/turbojpeg_limit.c" ] &&
		gcc -O2 -fopenmp "$shared/peers/turbojpeg_limit.c" -lturbojpeg -o "$work/limit" 2>/dev/null; then
		limit=$work/limit
	else
		note "  (decode limit left out: needs $shared/peers/turbojpeg_limit.c and the package libturbojpeg0-dev)"
	fi
	if [ -f "$shared/peers/pyspark_preprocess.py" ] && have_python "$peers/keras/bin/python" pyspark && command -v java >/dev/null; then
		spark=$peers/keras/bin/python
	else
		note "  (PySpark left out: needs the peers' environment and java)"
	fi
	"$program" explore "$data" --out "$work/run" --quiet >"$work/log" 2>&1 || { cat "$work/log" >&2; return 1; }
	for ((i = 0; i < rounds; i++)); do
		rm -rf "$work/run/pack" # one that still holds is not made again
		"$program" preprocess "$work/run" --quiet >"$work/log" 2>&1 || { cat "$work/log" >&2; return 1; }
		rate=$(sed -nE 's/.*"images_per_second": ?([0-9.]+).*/\1/p' "$work"/run/phases/*preprocess.json | head -n 1)
		[ -n "$rate" ] || { note "  no rate in the run folder"; return 1; }
		value brainmri.preprocess "$rate"
		[ -z "$limit" ] || value limit.decode "$("$limit" "${files[@]}" | sed -nE 's/.* ([0-9.]+) images\/s.*/\1/p')"
		[ -z "$spark" ] || value pyspark.preprocess \
			"$("$spark" "$shared/peers/pyspark_preprocess.py" "$data" 2>/dev/null | sed -nE 's/.* ([0-9.]+) images\/s.*/\1/p')"
	done
}

# Both on one real cluster of two cores.
cluster() {
	local name rate
	note "Preprocessing on a Spark cluster"
	while read -r name rate; do
		value "$name.cluster" "$rate"
	done < <(scripts/bench-spark.sh "$build" "$data" "$rounds")
}

# Phase 10's bench, all images, at each of its settings.
scaling() {
	local who setting rate
	note "Preprocessing on Spark local[N]"
	while read -r who setting rate; do
		value "$who.$setting" "$rate"
	done < <(python3 tests/bench/scaling.py "$program" "$data" --values)
}

# Real images and servers; the whole commands, Java's start included.
upload() {
	local name rate
	note "Uploading ${BENCH_FILES:-all} files of $data into a real HDFS"
	while read -r name rate; do
		value "$name" "$rate"
	done < <(python3 tests/bench/hdfs.py "$program" "$data" --files "${BENCH_FILES:-0}" --values)
}

network() {
	note "ResNet-50 with the guide's head, batch 16, 224 x 224, f32"
	local i
	for ((i = 0; i < rounds; i++)); do
		"$build/tests/bench/bench-network" "local[*]" "$steps" >"$work/network" || return 1
		rates <"$work/network"
		value memory_mb "$(sed -nE 's/^brainmri peak memory ([0-9]+) MB/\1/p' "$work/network")"
		"$build/tests/bench/bench-network" "local[*]" "$steps" bf16 | rates # both kinds, their passes in turn
		if have_python "$peers/torch/bin/python" torch; then
			"$peers/torch/bin/python" "$shared/peers/torch_resnet50.py" 2>/dev/null | rates
		fi
		if have_python "$peers/keras/bin/python" keras; then
			"$peers/keras/bin/python" "$shared/peers/keras_resnet50.py" 2>/dev/null | rates
		fi
	done
	[ -n "$(best torch.evaluate)" ] || note "  (PyTorch left out: no $peers/torch; $shared/peers/setup.sh makes it)"
	[ -n "$(best keras.evaluate)" ] || note "  (Keras left out: no $peers/keras; $shared/peers/setup.sh makes it)"
}

predict() {
	local run i start end image
	run=$(ls -dt runs/*/best_model_stage*.keras 2>/dev/null | head -n 1)
	if [ -z "$run" ]; then
		note "Cold prediction left out: no run with a model in runs/ ('make run' makes one)"
		return 0
	fi
	run=$(dirname "$run")
	image=$(ls "$data"/*/* | head -n 1)
	note "Cold prediction with $run"
	for ((i = 0; i < 3; i++)); do
		start=$(date +%s%N)
		"$program" predict "$run" "$image" >/dev/null || return 1
		end=$(date +%s%N)
		echo "predict_s $(((end - start) / 1000000))" | awk '{ print $1, $2 / 1000 }' >>"$work/values"
	done
}

# row WHAT OURS PEER GOAL: at least GOAL times PEER
row() {
	local ours peer
	ours=$(best "$2") peer=$(best "$3")
	[ -n "$ours" ] && [ -n "$peer" ] || return 0
	awk -v w="$1" -v a="$ours" -v b="$peer" -v g="$4" 'BEGIN {
		printf "%-46s %10.1f %10.1f %8.2fx %9sx  %s\n", w, a, b, a / b, g, (a / b >= g) ? "reached" : "NOT REACHED" }'
}
# most WHAT NAME GOAL UNIT: less than GOAL
most() {
	local ours
	ours=$(middle "$2")
	[ -n "$ours" ] || return 0
	awk -v w="$1" -v a="$ours" -v g="$3" -v u="$4" 'BEGIN {
		printf "%-46s %10.4g %-10s %9s %9s  %s\n", w, a, u, "", "< " g, (a < g) ? "reached" : "NOT REACHED" }'
}

if [ $# -gt 1 ]; then
	data=$2
elif [ -d "$shared/data/brain_Tumor_Types" ]; then
	data=$shared/data/brain_Tumor_Types
else
	data=runs/bench-data
	[ -d "$data" ] || "$program" phantom "$data" --quiet || exit 1
fi

status=0
startup && preprocessing && cluster && scaling && upload && network && predict || status=1

{
	echo "$(date -u +%F), $(nproc) cores, $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1); best of $rounds rounds; images/s, files/s"
	printf '%-46s %10s %10s %9s %10s\n' "" brainmri other ratio goal
	row "preprocessing / PySpark local[2], compute only" brainmri.preprocess pyspark.preprocess 8
	row "preprocessing on Spark / PySpark, one cluster" brainmri.cluster pyspark.cluster 5
	for setting in 'local[2]' 'local[4]' 'local[*]'; do
		row "bench of phase 10, Spark $setting / PySpark" "brainmri.$setting" "pyspark.$setting" 1
	done
	row "upload of small files / hdfs dfs -put" brainmri.put fsshell.put 3
	row "the same without checksums, as -put does it" brainmri.fast fsshell.put 3
	row "upload of a pack / hdfs dfs -put" brainmri.pack fsshell.put 5
	row "preprocessing / decoding alone (the limit)" brainmri.preprocess limit.decode 0.6
	row "evaluate / PyTorch" brainmri.evaluate torch.evaluate 1
	row "evaluate / Keras" brainmri.evaluate keras.evaluate 1
	row "stage 1 step / Keras" brainmri.stage1 keras.stage1 1.5
	row "stage 2 step / Keras" brainmri.stage2 keras.stage2 1.5
	row "all-layer step / PyTorch" brainmri.full torch.full 1
	row "all-layer step / Keras" brainmri.full keras.full 1
	row "evaluate, bfloat16 / f32" bfloat.evaluate brainmri.evaluate 1
	row "stage 1 step, bfloat16 / f32" bfloat.stage1 brainmri.stage1 1
	row "stage 2 step, bfloat16 / f32" bfloat.stage2 brainmri.stage2 1
	row "all-layer step, bfloat16 / f32" bfloat.full brainmri.full 1.3
	most "brainmri --version" startup_ms 20 ms
	most "one cold prediction" predict_s 1 s
	most "peak memory, all four kinds of work, batch 16" memory_mb 2000 MB
} | tee "$out/bench.txt"
cp "$work/values" "$out/values.txt"
exit $status
