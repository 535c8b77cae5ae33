#!/bin/sh
# Makes the OCI layouts the container tests run: busybox and debian under DIR (.cache/images). Keeps what is there.
# Usage: make_test_images.sh [DIR]
set -eu

here=$(cd "$(dirname "$0")/.." && pwd)
images=${1:-$here/.cache/images}
mkdir -p "$images"
images=$(cd "$images" && pwd)
work=$(mktemp -d "$images/making.XXXXXX")
trap 'rm -rf "$work"' EXIT

# A layout appears under its name only when it is whole.
busybox() {
  root=$work/busybox-root
  mkdir -p "$root/bin" "$root/etc" "$root/tmp" "$root/root" "$root/home/app" "$root/srv"
  chmod 1777 "$root/tmp"
  cp /bin/busybox "$root/bin/busybox"
  for applet in $(/bin/busybox --list); do
    [ "$applet" = busybox ] || ln -s busybox "$root/bin/$applet"
  done
  printf '%s\n' 'root:x:0:0:root:/root:/bin/sh' 'app:x:1000:1000:app:/home/app:/bin/sh' > "$root/etc/passwd"
  printf '%s\n' 'root:x:0:' 'app:x:1000:' 'helpers:x:2000:app' > "$root/etc/group"
  echo 'not to be executed' > "$root/srv/plain"
  umoci init --layout "$work/busybox"
  umoci new --image "$work/busybox:latest"
  umoci insert --image "$work/busybox:latest" "$root" /
  umoci config --image "$work/busybox:latest" --config.cmd /bin/sh --config.env PATH=/bin \
    --config.env FROM_IMAGE=yes --config.workingdir /srv --architecture amd64 --os linux
  mv "$work/busybox" "$images/busybox"
}

debian() {
  # The tree stays beside the layout: tests compare what the guest reads with what is in there.
  if [ ! -f "$images/debian.tar" ]; then
    mmdebstrap --quiet --variant=minbase --include=python3-minimal,perl,gcc,libc6-dev bookworm "$work/debian.tar"
    mv "$work/debian.tar" "$images/debian.tar"
  fi
  mkdir -p "$work/opt"
  gcc -O2 -static -pthread -mcx16 "$here/tests/guest/smp_stress.c" -o "$work/opt/smp_stress"
  umoci init --layout "$work/debian"
  umoci new --image "$work/debian:latest"
  umoci raw add-layer --image "$work/debian:latest" "$images/debian.tar"
  umoci insert --image "$work/debian:latest" "$work/opt" /opt
  umoci config --image "$work/debian:latest" --config.cmd /bin/bash --architecture amd64 --os linux \
    --config.env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
  mv "$work/debian" "$images/debian"
}

[ -d "$images/busybox" ] || busybox
[ "$images/debian" -nt "$here/tests/guest/smp_stress.c" ] || { rm -rf "$images/debian"; debian; }
