#!/bin/sh
# The scripts that compare with Keras (tests/parity/test_*.py), and the sum of what they count. Their Python is BRAINMRI_KERAS, or the one that ../shared/peers/setup.sh
# makes; without either this is an error. usage: test-keras.sh BUILD
set -eu
shared=${BRAINMRI_SHARED:-../shared}
peers=$HOME/.cache/brainmri-peers
python=${BRAINMRI_KERAS:-$peers/keras/bin/python}
ready() {
	[ -x "$python" ] && TF_CPP_MIN_LOG_LEVEL=3 "$python" -c 'import keras, h5py, numpy' 2>/dev/null
}
if ! ready && [ -z "${BRAINMRI_KERAS:-}" ] && [ -f "$shared/peers/setup.sh" ]; then
	echo "Installing Keras (TensorFlow) into $peers" >&2
	printf 'python3-venv\npython3-pip\n' >"${TMPDIR:-/tmp}/brainmri-venv.$$"
	scripts/install-packages.sh "${TMPDIR:-/tmp}/brainmri-venv.$$"
	rm -f "${TMPDIR:-/tmp}/brainmri-venv.$$"
	PEERS_TORCH=0 bash "$shared/peers/setup.sh" "$peers" >&2
fi
if ! ready; then
	echo "test-keras: no Python with keras and h5py at '$python'; set BRAINMRI_KERAS to one" >&2
	exit 1
fi

driver=$1/tests/parity/parity-driver
passed=0 failed=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT
for script in tests/parity/test_*.py; do
	echo "--- $script"
	status=0
	timeout 900 "$python" "$script" "$driver" >"$log" 2>&1 || status=$?
	line=$(grep -E '^[0-9]+ passed, [0-9]+ failed$' "$log" | tail -n 1)
	if [ "$status" != 0 ]; then
		cat "$log"
	else
		grep -v '^[0-9]* passed, ' "$log" | grep -E '^largest|FAILED' || true
		echo "$line"
	fi
	count=${line:-0 passed, 0 failed}
	bad=$(echo "$count" | sed -E 's/.* passed, ([0-9]+) failed/\1/')
	passed=$((passed + ${count%% *}))
	# A script that broke off, or counted nothing, has failed even if it does not say so.
	[ "$bad" != 0 ] || { [ "$status" = 0 ] && [ "${count%% *}" != 0 ]; } || bad=1
	failed=$((failed + bad))
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
