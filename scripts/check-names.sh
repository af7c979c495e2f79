#!/bin/sh
# Names that a folder's library shows others start with the folder's name or with bm_, and the library neither prints nor
# exits. usage: check-names.sh BUILD
set -eu
status=0
for library in "$1"/src/*/libbm_*.a; do
	[ -f "$library" ] || continue
	folder=$(basename "$(dirname "$library")")
	prefix=${folder}_
	[ "$folder" != phases ] || prefix='phases?_|run_' # a phase, and the run that it belongs to
	# GCC's own additions hold a dot (x.cold, x.resolver); sanitizers and target_clones add theirs.
	wrong=$(nm -g --defined-only "$library" | awk 'NF == 3 { print $3 }' | grep -v '\.' |
		grep -vE "^(bm_|$prefix|__|_GLOBAL_)|^${folder}\$" || true)
	if [ -n "$wrong" ]; then
		echo "src/$folder: names without the prefix ${folder}_ or bm_:" $wrong >&2
		status=1
	fi
	wrong=$(nm -u "$library" | awk 'NF == 2 { print $2 }' |
		grep -xE 'v?printf|puts|putchar|perror|stdout|stderr|exit|_exit|quick_exit|abort|__assert_fail' || true)
	if [ -n "$wrong" ]; then
		echo "src/$folder: the library never prints and never exits, but uses:" $wrong >&2
		status=1
	fi
done
exit $status
