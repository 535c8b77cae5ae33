#!/bin/sh
# An initial RAM disk of busybox, tests/guest/init and the modules of virtio disks, for the tests that boot a kernel:
# tools/make_test_initrd.sh [amd64|arm64], from that architecture's folder in .cache and into it.
set -eu

cd "$(dirname "$0")/.."
case ${1:-amd64} in
  amd64) guest=.cache/guest busybox=/bin/busybox ;;
  arm64) guest=.cache/guest-arm64 busybox=.cache/sysroot-arm64/bin/busybox ;;
  *) echo "make_test_initrd: no architecture $1" >&2; exit 2 ;;
esac
target=$guest/test-initrd
newer() { [ -f "$target" ] && [ "$target" -nt "$1" ]; }
if newer tests/guest/init && newer tools/make_test_initrd.sh && newer "$guest/vmlinuz"; then exit 0; fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/bin" "$work/proc" "$work/sys" "$work/dev" "$work/modules"
cp "$busybox" "$work/bin/busybox"
cp tests/guest/init "$work/init"
chmod +x "$work/init"
# Copied under numbers that keep the order in which they load.
release=$(ls "$guest/lib/modules")
number=10
for wanted in virtio_mmio virtio_blk; do
  /sbin/modprobe --dirname "$PWD/$guest" --set-version "$release" --show-depends "$wanted"
done | awk '!seen[$0]++' | sed -n 's/^insmod \([^ ]*\).*/\1/p' | while read -r module; do
  cp "$module" "$work/modules/$number-$(basename "$module")"
  number=$((number + 1))
done
(cd "$work" && find . | cpio --quiet -o -H newc) > "$target.new"
mv "$target.new" "$target"
