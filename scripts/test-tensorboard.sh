#!/bin/sh
# Reads what --tensorboard writes with TensorBoard's own reader. Its Python is BRAINMRI_TENSORBOARD, or one that is made in
# ~/.cache/brainmri-peers. usage: test-tensorboard.sh BUILD
set -eu
peer=$HOME/.cache/brainmri-peers/tensorboard
if [ -z "${BRAINMRI_TENSORBOARD:-}" ] && ! "$peer/bin/python" -c 'import tensorboard' 2>/dev/null; then
	echo "Installing TensorBoard into $peer" >&2
	list=$(mktemp)
	printf 'python3-venv\npython3-pip\n' >"$list"
	scripts/install-packages.sh "$list" || true # seen below
	rm -f "$list"
	python3 -m venv "$peer" && "$peer/bin/pip" install -q 'tensorboard>=2.15,<3' >&2 || true # then the test is skipped
fi
exec scripts/test.sh "$1" --suite tensorboard
