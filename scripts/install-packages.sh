#!/bin/sh
# Installs the Debian packages of the lists given (default: scripts/packages.txt) that are missing; when none is, it
# says nothing and ends at once. BRAINMRI_NO_INSTALL=1 leaves the machine as it is.
set -eu
[ "${BRAINMRI_NO_INSTALL:-0}" = 1 ] && exit 0
[ $# -gt 0 ] || set -- "$(dirname "$0")/packages.txt"
wanted=$(sed 's/#.*//' "$@" | tr -s ' \t\n' '\n' | sort -u)

if command -v dpkg-query >/dev/null 2>&1; then
	# `dpkg-query` fails when it does not know one of the names: that is an answer too.
	have=$(dpkg-query -W -f '${db:Status-Abbrev}${Package}\n' $wanted 2>/dev/null | sed -n 's/^ii *//p' || true)
else
	have=
fi
missing=
for package in $wanted; do
	case "
$have
" in
	*"
$package
"*) ;;
	*) missing="$missing $package" ;;
	esac
done
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null 2>&1; then
	echo "install-packages: this machine has no apt-get (the project is built on Debian 12). Install what corresponds to" >&2
	echo "these packages yourself, then set BRAINMRI_NO_INSTALL=1 and try again:$missing" >&2
	exit 1
fi
as_root=
if [ "$(id -u)" != 0 ]; then
	if ! command -v sudo >/dev/null 2>&1; then
		echo "install-packages: neither root nor sudo; ask an administrator to run: apt-get install$missing" >&2
		exit 1
	fi
	as_root=sudo
fi
echo "Installing Debian packages:$missing" >&2
log=$(mktemp)
trap 'rm -f "$log"' EXIT
install() {
	$as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 "$@" >"$log" 2>&1
}
if ! install update; then
	echo "install-packages: apt-get update failed (is there a network?):" >&2
	tail -n 5 "$log" >&2
	exit 1
fi
if ! install install --no-install-recommends $missing; then
	echo "install-packages: apt-get install failed:" >&2
	tail -n 15 "$log" >&2
	exit 1
fi
echo "Installed." >&2
