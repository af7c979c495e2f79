#!/bin/sh
# The header that tells src/model/shipped.c what to include: its checksums are there so that it changes with the files.
# usage: name-shipped.sh MODEL CARD
set -eu
size=$(wc -c <"$1")
[ "$size" -le 6000000 ] || { echo "$1 has $size bytes: a model that ships has at most 6000000 (brainmri export --half)" >&2; exit 1; }
cksum "$1" "$2" | sed 's,^,// ,'
printf '#define SHIPPED_MODEL "%s"\n#define SHIPPED_CARD "%s"\n' "$1" "$2"
