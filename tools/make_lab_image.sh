#!/bin/sh
# Usage: tools/make_lab_image.sh PROGRAM, which is the build's lab_live.
# The OCI image that the x86 lab moves between backends, .cache/lab-image: the demo image with Debian's minimal Python and
# the programs of tests/lab that go on over a move. Made anew when they have changed.
set -eu

live=$(realpath "$1")
cd "$(dirname "$0")/.."
image=.cache/lab-image
if [ "$image/index.json" -nt "$live" ] && [ "$image/index.json" -nt tests/lab/moved.py ]; then exit 0; fi
tools/make_demo_image.sh
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/root/lab"
# Of this release, whatever its Python is called.
python=$(apt-cache depends python3-minimal | sed -n 's/^ *PreDepends: \(python3\.[0-9]*-minimal\)$/\1/p' | head -n 1)
[ -n "$python" ] || { echo "make_lab_image: no package of python3-minimal's Python" >&2; exit 1; }
(cd "$work" && apt-get download -q "$python" "lib$python" libc6 libexpat1 zlib1g > /dev/null 2>&1)
for package in "$work"/*.deb; do dpkg -x "$package" "$work/packages"; done
for folder in lib lib64 usr/lib/x86_64-linux-gnu "usr/lib/${python%-minimal}" usr/bin; do
  [ ! -d "$work/packages/$folder" ] || { mkdir -p "$work/root/$folder" && cp -a "$work/packages/$folder/." "$work/root/$folder"; }
done
rm -rf "$work/root/usr/lib/x86_64-linux-gnu/gconv"
ln -s "${python%-minimal}" "$work/root/usr/bin/python3"
cp "$live" "$work/root/lab/live"
cp tests/lab/moved.py "$work/root/lab/moved.py"
cp -r .cache/demo "$work/image"
for folder in lib lib64 usr lab; do umoci insert --image "$work/image:latest" "$work/root/$folder" "/$folder"; done
rm -rf "$image"
mv "$work/image" "$image"
touch "$image/index.json"
