#!/bin/bash
# Installs the packages of BUILD/deb in a clean Debian 12 tree with nothing else in it, and uses them there: the program on
# phantoms, the manual page, completion, and the library through pkg-config. Needs root (chroot) and Debian's servers; is skipped without.
# Ends with "N passed, N failed[, N skipped]". usage: test-deb.sh BUILD
set -u
cd "$(dirname "$0")/.."
debs=$(realpath "$1")/deb
passed=0 failed=0

skip() {
	echo "test-deb: skipped: $1"
	echo "0 passed, 0 failed, 1 skipped"
	exit 0
}
step() {
	local name=$1
	shift
	if "$@" >"$log" 2>&1; then
		echo "test-deb: $name: ok"
		passed=$((passed + 1))
	else
		echo "test-deb: $name: FAILED" >&2
		tail -n 20 "$log" >&2
		failed=$((failed + 1))
	fi
}

ls "$debs"/brainmri_*.deb >/dev/null 2>&1 || { echo "test-deb: no package in $debs: run 'make deb' first" >&2; exit 1; }
[ "$(id -u)" = 0 ] || skip "needs root for a chroot"
grep -q sse4_2 /proc/cpuinfo || skip "this processor has no SSE 4.2, which the package needs"
root=$(mktemp -d) log=$(mktemp)
trap 'umount -q "$root/proc"; rm -rf --one-file-system "$root" "$log"' EXIT
if [ -n "${BRAINMRI_CLEAN_TREE-}" ]; then # one that debootstrap made before
	cp -a "$BRAINMRI_CLEAN_TREE/." "$root" || exit 1
elif ! debootstrap --variant=minbase bookworm "$root" >"$log" 2>&1; then
	tail -n 3 "$log" >&2
	skip "debootstrap made no clean tree (is there a network?)"
fi
mount -t proc proc "$root/proc" 2>/dev/null || skip "no /proc can be mounted here"
cp /etc/resolv.conf "$root/etc/" 2>/dev/null

inside() {
	chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive "$@"
}
install_packages() {
	mkdir "$root/debs" && cp "$debs"/*brainmri*_*.deb "$root/debs/" && rm -f "$root"/debs/*dbgsym* && inside apt-get -q update &&
		inside sh -c 'apt-get -q -y install --no-install-recommends /debs/brainmri_*.deb'
}
install_library() {
	inside sh -c 'apt-get -q -y install --no-install-recommends /debs/lib*.deb gcc libc6-dev pkg-config'
}
run_phantoms() {
	inside sh -ec 'cd /tmp; brainmri --version; brainmri phantom data --count 12 --size 48
		brainmri run data --out run --plan scratch --width 0.125 --image-size 32 --epochs 2 --batch 16 --threads 1 --no-bench
		test -s run/report.html; brainmri predict run data/glioma/phantom_000000.jpg
		! brainmri predict --card || brainmri predict data/glioma/phantom_000000.jpg'
}
files_are_there() {
	inside sh -ec 'dpkg -L brainmri >/tmp/list
		for file in man/man1/brainmri.1.gz bash-completion/completions/brainmri zsh/vendor-completions/_brainmri \
			fish/vendor_completions.d/brainmri.fish; do grep -qx "/usr/share/$file" /tmp/list; done'
}
compile_examples() {
	inside sh -ec 'cd /tmp; for file in /usr/share/doc/libbrainmri-dev/examples/*.c; do
			gcc $file $(pkg-config --cflags --libs brainmri) -o $(basename $file .c); done
		./classify run data/glioma/phantom_000000.jpg || [ $? = 3 ] # a network of two epochs need not be sure
		ldd classify | grep -q "/libbrainmri.so.0 "; dpkg -S libbrainmri.so.0 | grep -q "^libbrainmri0:"'
}
remove_packages() {
	inside sh -ec 'apt-get -q -y purge brainmri libbrainmri0 libbrainmri-dev; ! command -v brainmri'
}
step "installs" install_packages
step "its files" files_are_there
step "runs on phantoms" run_phantoms
step "the library installs" install_library
step "examples compile and run" compile_examples
step "is removed" remove_packages
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
