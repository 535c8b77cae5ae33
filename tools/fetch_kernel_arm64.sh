#!/bin/sh
# Takes Debian's cloud kernel for arm64 out of its package into .cache/guest-arm64: vmlinuz and lib/modules/RELEASE. Cached;
# unmodified. Needs no root, and the machine's own APT does not learn of arm64.
set -eu

cd "$(dirname "$0")/.."
target=.cache/guest-arm64
[ -f "$target/vmlinuz" ] && exit 0
die() { echo "fetch_kernel_arm64: $*" >&2; exit 1; }

. tools/lab/arm64_apt.sh
arm64_apt_update
# The package of that name depends on the newest kernel's.
package=$(arm64_apt apt-cache depends linux-image-cloud-arm64 |
  sed -n 's/^ *Depends: \(linux-image-[0-9].*-cloud-arm64\)$/\1/p' | head -n 1)
[ -n "$package" ] || die "no package linux-image-cloud-arm64"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
(cd "$work" && arm64_apt apt-get download "$package" >/dev/null) || die "$package cannot be downloaded"
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
