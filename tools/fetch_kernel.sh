#!/bin/sh
# Takes a kernel of Debian's out of its package: vmlinuz and lib/modules/RELEASE. Cached; unmodified.
#   tools/fetch_kernel.sh [cloud-amd64]   into .cache/guest
#   tools/fetch_kernel.sh amd64           into .cache/guest-generic: with drivers that the cloud's leaves out
#   tools/fetch_kernel.sh cloud-arm64     into .cache/guest-arm64; needs no root, and the machine's own APT does not learn of arm64
set -eu

cd "$(dirname "$0")/.."
flavour=${1:-cloud-amd64}
arch=${flavour#cloud-}
die() { echo "fetch_kernel: $*" >&2; exit 1; }

case $flavour in
  cloud-amd64) target=.cache/guest ;;
  amd64) target=.cache/guest-generic ;;
  cloud-arm64) target=.cache/guest-arm64 ;;
  *) die "there is none for $flavour: cloud-amd64, amd64 or cloud-arm64" ;;
esac
[ -f "$target/vmlinuz" ] && exit 0

if [ "$arch" = arm64 ]; then
  . tools/lab/arm64_apt.sh
  arm64_apt_update
  apt() { arm64_apt "$@"; }
else
  apt() { "$@"; }
fi

# The package of that name depends on the newest kernel's.
newest() {
  apt apt-cache depends "linux-image-$flavour" 2>/dev/null |
    sed -n "s/^ *Depends: \(linux-image-[0-9].*-$flavour\)\$/\1/p" | head -n 1
}
package=$(newest)
if [ -z "$package" ] && [ "$arch" = amd64 ]; then
  root=""
  [ "$(id -u)" = 0 ] || root="sudo"
  $root apt-get update -qq
  package=$(newest)
fi
[ -n "$package" ] || die "no package linux-image-$flavour"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
(cd "$work" && apt apt-get download "$package" >/dev/null 2>&1) || die "$package cannot be downloaded"
dpkg -x "$work"/*.deb "$work/root"
release=$(ls "$work/root/lib/modules")
/sbin/depmod -b "$work/root" "$release"
mkdir -p "$target/lib"
rm -rf "$target/lib/modules"
mv "$work/root/lib/modules" "$target/lib/modules"
# The kernel's name comes last: its presence says that the rest is there.
mv "$work/root/boot/vmlinuz-$release" "$target/vmlinuz.new"
mv "$target/vmlinuz.new" "$target/vmlinuz"
echo "guest kernel: Linux $release"
