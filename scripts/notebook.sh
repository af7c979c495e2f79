#!/bin/sh
# The notebook run headless, or its tests. Its Python is BRAINMRI_NOTEBOOK_PYTHON, or one made for it in ~/.cache/brainmri-peers/notebook from
# notebook/requirements.txt. Without it (no network) running is an error, and the tests that run the notebook are named as skipped.
# usage: notebook.sh BUILD OUT | notebook.sh BUILD --test [options of unittest]
set -eu
BRAINMRI=$(realpath "$1/cli/brainmri")
export BRAINMRI
shift
place=$HOME/.cache/brainmri-peers/notebook
python=${BRAINMRI_NOTEBOOK_PYTHON:-$place/bin/python}
ready() {
	[ -x "$python" ] && "$python" -c 'import nbclient, nbformat, ipykernel, PIL' 2>/dev/null
}
if ! ready && [ -z "${BRAINMRI_NOTEBOOK_PYTHON:-}" ]; then
	echo "Installing what runs notebooks into $place" >&2
	python3 -c 'import ensurepip' 2>/dev/null || scripts/install-packages.sh scripts/packages-notebook.txt || true
	{ python3 -m venv "$place" && "$place/bin/pip" install -q -r notebook/requirements.txt >&2; } || echo "notebook: that did not work" >&2
fi
if [ "${1:-}" = --test ]; then
	shift
	ready && BRAINMRI_NOTEBOOK_PYTHON=$python || BRAINMRI_NOTEBOOK_PYTHON=
	export BRAINMRI_NOTEBOOK_PYTHON
	exec python3 tests/notebook/test_notebook.py "$@"
fi
if ! ready; then
	echo "notebook: no Python with notebook/requirements.txt at '$python'; set BRAINMRI_NOTEBOOK_PYTHON to one" >&2
	exit 1
fi
export BRAINMRI_PROGRAM="$BRAINMRI"
exec "$python" notebook/run.py "$@"
