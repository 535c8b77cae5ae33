#!/bin/sh
# What a build for aarch64 needs: the cross compiler and user emulation of Debian on this machine, and the arm64 libraries
# unpacked into .cache/sysroot-arm64. Nothing of arm64 is installed: -dev packages of two architectures do not always
# fit beside each other, and apt is asked through a state of its own, so that the machine's knows one architecture still.
set -eu

cd "$(dirname "$0")/.."
tools/setup.sh g++-aarch64-linux-gnu qemu-user-static

packages="libc6-dev libstdc++6 linux-libc-dev libgtest-dev libgmock-dev libfmt-dev libcli11-dev nlohmann-json3-dev \
libarchive-dev libssl-dev libzstd-dev liblz4-dev liblzma-dev zlib1g-dev libfdt-dev busybox-static"
sysroot=$PWD/.cache/sysroot-arm64
# The list of what was asked for is the stamp: a package more, and the sysroot is made anew.
if [ -f "$sysroot/packages" ] && [ "$(cat "$sysroot/packages")" = "$packages" ]; then exit 0; fi

new=$sysroot.new
rm -rf "$new"
# As on a Debian of today: /lib is /usr/lib, whichever of the two a package names.
mkdir -p "$new/usr/lib" "$new/usr/bin" "$new/usr/sbin"
ln -s usr/lib usr/bin usr/sbin "$new/"

. tools/lab/arm64_apt.sh
echo "fetching arm64 libraries"
arm64_apt_update
# shellcheck disable=SC2086
arm64_apt apt-get install -y --no-install-recommends --download-only $packages >/dev/null
for package in "$ARM64_APT"/cache/archives/*.deb; do
  dpkg-deb --fsys-tarfile "$package" | tar -x -C "$new" --keep-directory-symlink --no-same-owner
done

# Links of -dev packages are absolute; here they must stay inside.
find "$new" -type l -lname '/*' | while read -r link; do
  ln -sfnr "$new$(readlink "$link")" "$link"
done
rm -rf "$sysroot" "$ARM64_APT/cache/archives" "$new/usr/share/doc" "$new/usr/share/locale"
echo "$packages" > "$new/packages"
mv "$new" "$sysroot"
