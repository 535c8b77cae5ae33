#!/bin/sh
# Makes the Debian image in which tests/soak has guests work: gcc and what it compiled here, stress-ng, and Linux's own
# tests of an x86 processor, built for 64 and for 32 bits from package linux-source-6.1. The tree as a tar stays beside
# it, for runs on the host itself. Keeps what is there. Usage: make_soak_image.sh [DIR]
set -eu

here=$(cd "$(dirname "$0")/.." && pwd)
out=${1:-$here/.cache/soak}
[ ! -f "$out/image/index.json" ] || exit 0
mkdir -p "$out"
out=$(cd "$out" && pwd)
work=$(mktemp -d "$out/making.XXXXXX")
trap 'rm -rf "$work"' EXIT

# The packages' list says where it is; the package itself is far larger than what is wanted of it.
root=""
[ "$(id -u)" = 0 ] || root=sudo
apt-cache show linux-source-6.1 > /dev/null 2>&1 || $root apt-get update -qq
chmod 755 "$work"
(cd "$work" && apt-get download linux-source-6.1 > /dev/null 2>&1) || {
  echo "make_soak_image: linux-source-6.1 cannot be downloaded" >&2
  exit 1
}
mkdir "$work/linux"
dpkg-deb --fsys-tarfile "$work"/linux-source-6.1*.deb | tar -xO ./usr/src/linux-source-6.1.tar.xz |
  tar -xJ -C "$work/linux" --strip-components=1 --wildcards '*/tools/testing/selftests/x86' '*/tools/testing/selftests/lib.mk' \
    '*/tools/testing/selftests/kselftest.h' '*/tools/testing/selftests/kselftest' '*/arch/x86/include/asm/desc_defs.h'
rm "$work"/linux-source-6.1*.deb

# Runs outside of the tree, whose path is $1. Debian's gcc-multilib and its cross compilers exclude each other, so this
# machine is left alone.
cat > "$work/selftests" <<HOOK
#!/bin/sh
set -eu
cp -r "$work/linux" "\$1/opt/linux"
chroot "\$1" make -s -j2 -C /opt/linux/tools/testing/selftests/x86 KHDR_INCLUDES=
cp "$here/tests/soak/compile" "\$1/opt/compile"
chroot "\$1" /opt/compile > "\$1/opt/compiled"
HOOK
chmod 755 "$work/selftests"
mmdebstrap --quiet --variant=minbase --include=gcc,gcc-multilib,libc6-dev,make,stress-ng,libstb-dev \
  --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
  --dpkgopt='path-exclude=/usr/share/locale/*' \
  --customize-hook="$work/selftests" bookworm "$work/root.tar"
umoci init --layout "$work/image"
umoci new --image "$work/image:latest"
umoci raw add-layer --image "$work/image:latest" "$work/root.tar"
umoci config --image "$work/image:latest" --config.cmd /bin/bash --architecture amd64 --os linux \
  --config.env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
mv "$work/root.tar" "$out/root.tar"
mv "$work/image" "$out/image"
