#!/bin/sh
# Compares the program with Keras: usage: run.sh BUILD [SCRIPT.py ...]
# BUILD is a Meson build folder. Python is $BRAINMRI_KERAS_PYTHON, $BRAINMRI_KERAS or the one of ../shared/peers/setup.sh.
# The last line is "N passed, N failed"; the exit code is 0 when nothing failed.
set -u
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
build=${1:?"use: run.sh BUILD [SCRIPT.py ...]"}
shift
python=${BRAINMRI_KERAS_PYTHON:-${BRAINMRI_KERAS:-$HOME/.cache/brainmri-peers/keras/bin/python}}
driver=$build/tests/parity/parity-driver
if [ ! -x "$python" ]; then
	echo "parity: no Python with Keras at '$python'; set BRAINMRI_KERAS to one, or run shared/peers/setup.sh" >&2
	exit 1
fi
if [ ! -x "$driver" ]; then
	echo "parity: no '$driver'; build it with: ninja -C $build tests/parity/parity-driver" >&2
	exit 1
fi
[ $# -gt 0 ] || set -- test_layers.py test_model.py test_files.py test_optimizer.py test_steps.py
passed=0
failed=0
for script; do
	echo "$script"
	# A script that dies without its last line is one failure.
	output=$("$python" "$here/$script" "$driver" 2>&1)
	code=$?
	echo "$output" | grep -v -e 'port.cc' -e 'absl::InitializeLog'
	counts=$(echo "$output" | sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed$/\1 \2/p' | tail -n 1)
	if [ -z "$counts" ]; then
		failed=$((failed + 1))
		continue
	fi
	passed=$((passed + ${counts% *}))
	failed=$((failed + ${counts#* }))
	if [ "$code" -ne 0 ] && [ "${counts#* }" -eq 0 ]; then
		failed=$((failed + 1))
	fi
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
