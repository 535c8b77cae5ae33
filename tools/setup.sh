#!/bin/sh
# Installs the Debian packages that building and testing need, as root or through sudo. Says nothing when all are there.
set -eu

packages="
  g++ cmake ninja-build pkg-config
  libgtest-dev libgmock-dev libfmt-dev libcli11-dev nlohmann-json3-dev
  libarchive-dev libssl-dev libzstd-dev liblz4-dev liblzma-dev zlib1g-dev libzydis-dev libfdt-dev
  clang-format-19 busybox-static cpio kmod python3 erofs-utils skopeo umoci acpica-tools device-tree-compiler
  mmdebstrap gcc libc6-dev gdb
"

missing=""
# Arguments name packages that one target alone needs.
for package in $packages "$@"; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
[ -z "$missing" ] && exit 0

root=""
[ "$(id -u)" = 0 ] || root="sudo"
echo "installing:$missing"
$root apt-get update -qq
DEBIAN_FRONTEND=noninteractive $root apt-get install -y -qq --no-install-recommends $missing >/dev/null
