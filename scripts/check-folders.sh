#!/bin/sh
# The house's rules about folders (docs/architecture.md): a folder includes only folders above it, only nn includes
# dnnl.h, examples use the public header only, and no file is longer than 600 lines.
set -eu
cd "$(dirname "$0")/.."
order="base storage image data engine nn model train evaluate report phases api live"
status=0

fail() {
	echo "$1" >&2
	status=1
}

above=
for folder in $order; do
	above="$above $folder"
	[ -d "src/$folder" ] || continue
	found=$(grep -nE '^[ \t]*#[ \t]*include[ \t]+"' /dev/null $(find "src/$folder" -name '*.[ch]') |
		awk -v above="$above brainmri" -v folder="$folder" '
			BEGIN { n = split(above, names, " "); for (i = 1; i <= n; i++) allowed[names[i]] = 1 }
			{
				target = $0
				sub(/^[^"]*"/, "", target)
				sub(/".*/, "", target)
				first = target
				sub(/\/.*/, "", first)
				if (!(first in allowed))
					print $0 ": " folder " may not include \"" target "\""
			}')
	[ -z "$found" ] || fail "$found"
done

for folder in src/*/; do
	name=$(basename "$folder")
	case " $order " in
	*" $name "*) ;;
	*) fail "src/$name: not in the order of the folders (scripts/check-folders.sh, meson.build)" ;;
	esac
done

found=$(grep -rnE '^[ \t]*#[ \t]*include[ \t]+[<"](oneapi/)?dnnl' src cli examples --include='*.[ch]' 2>/dev/null | grep -v '^src/nn/' || true)
[ -z "$found" ] || fail "$found: only nn includes oneDNN"

if [ -d examples ]; then
	found=$(grep -rnE '^[ \t]*#[ \t]*include[ \t]+"' examples --include='*.[ch]' | grep -v '"brainmri/' || true)
	[ -z "$found" ] || fail "$found: examples use the public header only"
fi

for file in $(git ls-files --cached --others --exclude-standard -- '*.c' '*.h' '*.py' '*.sh' '*.build'); do
	[ -f "$file" ] || continue
	lines=$(wc -l <"$file")
	[ "$lines" -le 600 ] || fail "$file: $lines lines, more than 600: split it"
done

# A golden case that meson.build does not name would never run.
for file in tests/golden/*.case; do
	[ -f "$file" ] || continue
	grep -q "'$(basename "$file" .case)'" tests/golden/meson.build || fail "$file: not named in tests/golden/meson.build"
done
exit $status
