#!/bin/sh
# A small OCI image of busybox in .cache/demo, made on the spot from Debian's package.
set -eu

cd "$(dirname "$0")/.."
image=.cache/demo
if [ ! -f "$image/index.json" ]; then
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  mkdir -p "$work/root/bin" "$work/root/etc" "$work/root/tmp"
  cp /bin/busybox "$work/root/bin/busybox"
  for applet in $(/bin/busybox --list); do
    [ "$applet" = busybox ] || ln -sf busybox "$work/root/bin/$applet"
  done
  echo 'root:x:0:0:root:/:/bin/sh' > "$work/root/etc/passwd"
  umoci init --layout "$work/image" > /dev/null
  umoci new --image "$work/image:latest"
  umoci insert --image "$work/image:latest" "$work/root" /
  umoci config --image "$work/image:latest" --config.cmd /bin/sh --config.env PATH=/bin --architecture amd64 --os linux
  rm -rf "$image"
  mkdir -p .cache
  mv "$work/image" "$image"
fi

