#!/bin/sh
# Fetches axe-core, by which the tests check the pages' contrast and labels: one pinned version, by npm, checked by its digest,
# kept in test/build. Does nothing when it is there. Nothing of it is run here.
set -eu

version=4.10.3
digest=0f2b4d7dcdf7d1219df8d1959ad68e565f51d14c3f0d88bb71cd59abeb956292
to="$(cd "$(dirname "$0")/.." && pwd)/build/axe"
[ ! -s "$to/axe.min.js" ] || exit 0
command -v npm >/dev/null 2>&1 || {
	echo "axe.sh: no npm here: the pages' accessibility cannot be checked" >&2
	exit 1
}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
(cd "$work" && npm pack --silent --ignore-scripts "axe-core@$version" >/dev/null)
file="$work/axe-core-$version.tgz"
echo "$digest  $file" | sha256sum -c --quiet -
tar -xzf "$file" -C "$work" package/axe.min.js
mkdir -p "$to"
mv "$work/package/axe.min.js" "$to/axe.min.js"
