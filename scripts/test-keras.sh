#!/bin/sh
# The tests that compare with Keras (suite "keras"). Their Python is BRAINMRI_KERAS, or the one that ../shared/peers/setup.sh
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
export BRAINMRI_KERAS="$python"
exec scripts/test.sh "$1" --suite keras --suite parity
