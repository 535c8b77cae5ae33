#!/bin/sh
# What the arm64 lab needs: QEMU, the sysroot with its busybox, and Debian's arm64 cloud kernel in .cache/guest-arm64 as
# vmlinuz and lib/modules.
set -eu

cd "$(dirname "$0")/../.."
tools/setup.sh qemu-system-arm cpio binutils
tools/setup_arm64.sh
target=.cache/guest-arm64
[ -f "$target/vmlinuz" ] && exit 0

. tools/lab/arm64_apt.sh
arm64_apt_update
package=$(arm64_apt apt-cache depends linux-image-cloud-arm64 |
  sed -n 's/^ *Depends: \(linux-image-[0-9].*-cloud-arm64\)$/\1/p' | head -n 1)
[ -n "$package" ] || { echo "lab: no package linux-image-cloud-arm64" >&2; exit 1; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
(cd "$work" && arm64_apt apt-get download "$package" >/dev/null)
dpkg -x "$work"/*.deb "$work/root"
release=$(ls "$work/root/lib/modules")
/sbin/depmod -b "$work/root" "$release"
mkdir -p "$target/lib"
rm -rf "$target/lib/modules"
mv "$work/root/lib/modules" "$target/lib/modules"
# The kernel's name comes last: its presence says that the rest is there.
mv "$work/root/boot/vmlinuz-$release" "$target/vmlinuz.new"
mv "$target/vmlinuz.new" "$target/vmlinuz"
echo "arm64 guest kernel: Linux $release"
