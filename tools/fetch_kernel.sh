#!/bin/sh
# Takes Debian's cloud kernel out of its package into .cache/guest: vmlinuz and lib/modules/RELEASE. Cached; unmodified.
set -eu

cd "$(dirname "$0")/.."
target=.cache/guest
[ -f "$target/vmlinuz" ] && exit 0

package=$(apt-cache depends linux-image-cloud-amd64 2>/dev/null |
  sed -n 's/^ *Depends: \(linux-image-[0-9].*-cloud-amd64\)$/\1/p' | head -n 1)
if [ -z "$package" ]; then
  root=""
  [ "$(id -u)" = 0 ] || root="sudo"
  $root apt-get update -qq
  package=$(apt-cache depends linux-image-cloud-amd64 |
    sed -n 's/^ *Depends: \(linux-image-[0-9].*-cloud-amd64\)$/\1/p' | head -n 1)
fi
[ -n "$package" ] || { echo "fetch_kernel: no package linux-image-cloud-amd64" >&2; exit 1; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
(cd "$work" && apt-get download -qq "$package" 2>/dev/null && dpkg -x ./*.deb root)
release=$(ls "$work/root/lib/modules")
/sbin/depmod -b "$work/root" "$release"
mkdir -p "$target/lib"
rm -rf "$target/lib/modules"
mv "$work/root/lib/modules" "$target/lib/modules"
# The kernel's name comes last: its presence says that the rest is there.
mv "$work/root/boot/vmlinuz-$release" "$target/vmlinuz.new"
mv "$target/vmlinuz.new" "$target/vmlinuz"
echo "guest kernel: Linux $release"
