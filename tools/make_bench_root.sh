#!/bin/sh
# Makes the Debian tree whose programs bench/programs.py runs, with a mirror of a few packages in it, as a tar and as the
# initial RAM disk of the same. Keeps what is there. Usage: make_bench_root.sh [DIR]
set -eu

here=$(cd "$(dirname "$0")/.." && pwd)
out=${1:-$here/.cache/bench}
[ ! -f "$out/root.cpio" ] || exit 0
"$here/tools/setup.sh" mmdebstrap apt-utils libarchive-tools
mkdir -p "$out"
work=$(mktemp -d "$out/making.XXXXXX")
trap 'rm -rf "$work"' EXIT

# Runs outside of the tree, whose path is $1: apt-get in it fetches, the host's apt-utils makes the index.
cat > "$work/mirror" <<'HOOK'
#!/bin/sh
set -eu
mkdir "$1/mirror"
chroot "$1" sh -c 'cd /mirror && apt-get -qq download make file libmagic1 libmagic-mgc tree patch bzip2 less'
(cd "$1/mirror" && apt-ftparchive packages . > Packages)
HOOK
chmod 755 "$work" "$work/mirror"
mmdebstrap --quiet --variant=minbase --include=python3-minimal,libpython3-stdlib,gcc,libc6-dev,openssl,sqlite3,xz-utils,libstb-dev \
  --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
  --dpkgopt='path-exclude=/usr/share/locale/*' \
  --customize-hook="$work/mirror" bookworm "$work/root.tar"
bsdtar -cf "$work/root.cpio" --format=newc "@$work/root.tar"
mv "$work/root.tar" "$out/root.tar"
mv "$work/root.cpio" "$out/root.cpio"
