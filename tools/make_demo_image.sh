#!/bin/sh
# A small OCI image of busybox, made on the spot from Debian's package: tools/make_demo_image.sh [amd64|arm64]
# .cache/demo is this machine's; .cache/demo-arm64 is of the busybox in the sysroot of tools/setup_arm64.sh.
set -eu

cd "$(dirname "$0")/.."
architecture=${1:-amd64}
case $architecture in
  amd64) image=.cache/demo busybox=/bin/busybox ;;
  arm64) image=.cache/demo-arm64 busybox=$PWD/.cache/sysroot-arm64/bin/busybox ;;
  *) echo "make_demo_image: no architecture $architecture" >&2; exit 2 ;;
esac
if [ ! -f "$image/index.json" ]; then
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  mkdir -p "$work/root/bin" "$work/root/etc" "$work/root/tmp"
  cp "$busybox" "$work/root/bin/busybox"
  # Both are of one package, so that this machine's knows the other one's applets.
  for applet in $(/bin/busybox --list); do
    [ "$applet" = busybox ] || ln -sf busybox "$work/root/bin/$applet"
  done
  echo 'root:x:0:0:root:/:/bin/sh' > "$work/root/etc/passwd"
  umoci init --layout "$work/image" > /dev/null
  umoci new --image "$work/image:latest"
  umoci insert --image "$work/image:latest" "$work/root" /
  umoci config --image "$work/image:latest" --config.cmd /bin/sh --config.env PATH=/bin \
    --architecture "$architecture" --os linux
  rm -rf "$image"
  mkdir -p .cache
  mv "$work/image" "$image"
fi
