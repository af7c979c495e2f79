#!/bin/bash
# Builds the Debian packages into BUILD/deb and has lintian look at them: errors and warnings fail. What is built is what git
# knows or would add, in a folder of its own. usage: deb.sh BUILD
set -eu
cd "$(dirname "$0")/.."
# A library that the build needs has to stand in debian/control too.
for package in $(sed 's/#.*//' scripts/packages.txt | grep -E '^(lib|zlib).*-dev|protobuf' | grep -v '^libc6-dev'); do
	grep -q "^ $package,*$" debian/control || { echo "deb: debian/control does not name $package (scripts/packages.txt does)" >&2; exit 1; }
done
out=$(realpath -m "$1")/deb
version=$(dpkg-parsechangelog --show-field Version)
tree=$out/brainmri-$version
rm -rf "$out"
mkdir -p "$tree"
if git rev-parse --git-dir >/dev/null 2>&1; then
	git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents --no-dereference --target-directory "$tree"
else
	tar -c --exclude='./build*' --exclude=./runs . | tar -x -C "$tree"
fi
cd "$tree"
# Tests are `make test`'s. Ninja's log is shown only when it fails.
DEB_BUILD_OPTIONS=${DEB_BUILD_OPTIONS-nocheck} dpkg-buildpackage --build=binary --no-sign >"$out/build.log" 2>&1 ||
	{ tail -n 40 "$out/build.log" >&2; echo "deb: dpkg-buildpackage failed; all of it: $out/build.log" >&2; exit 1; }
cd "$out"
lintian --fail-on error,warning --allow-root ./*.changes
rm -rf "$tree"
ls -l ./*.deb
