#!/bin/sh
# An initial RAM disk of busybox and tests/guest/init, for the tests that boot a kernel.
set -eu

cd "$(dirname "$0")/.."
target=.cache/guest/test-initrd
if [ -f "$target" ] && [ "$target" -nt tests/guest/init ]; then exit 0; fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/bin" "$work/proc" "$work/sys" "$work/dev"
cp /bin/busybox "$work/bin/busybox"
cp tests/guest/init "$work/init"
chmod +x "$work/init"
(cd "$work" && find . | cpio --quiet -o -H newc) > "$target.new"
mv "$target.new" "$target"
