#!/bin/sh
# Husk on arm64's KVM: brings a build, Debian's kernel and images into the lab and runs machine_arm64.sh there, and the
# backend's own tests, and the contract of the seam: tests/lab/run_arm64.sh BUILD-FOLDER
set -eu

build=$(cd "${1:?usage: $0 BUILD-FOLDER}" && pwd)
cd "$(dirname "$0")/../.."
tools/lab/setup_arm64.sh
tools/make_demo_image.sh amd64
tools/make_demo_image.sh arm64
tools/make_test_initrd.sh arm64

# Of the guest's modules only those that a container wants: every file is read once by an emulated processor.
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
guest=$PWD/.cache/guest-arm64
release=$(ls "$guest/lib/modules")
modules=$stage/guest/lib/modules/$release
mkdir -p "$modules"
cp "$guest/vmlinuz" "$guest/test-initrd" "$stage/guest"
cp "$guest/lib/modules/$release/modules.dep" "$guest/lib/modules/$release/modules.builtin" "$modules"
for wanted in virtio_mmio virtio_blk vmw_vsock_virtio_transport virtio_rng erofs overlay; do
  /sbin/modprobe --dirname "$guest" --set-version "$release" --show-depends "$wanted"
done | sed -n 's/^insmod \([^ ]*\).*/\1/p' | sort -u | while read -r module; do
  mkdir -p "$(dirname "$modules/${module#*/"$release"/}")"
  cp "$module" "$modules/${module#*/"$release"/}"
done
aarch64-linux-gnu-strip -o "$stage/husk" "$build/husk"

tools/lab/again.sh tools/lab/arm64.sh --timeout 300 --file "$build/kvm_test:/bin/kvm_test" \
  --file "$build/runtime_test:/bin/runtime_test" tests/lab/kvm_tests_arm64.sh
tools/lab/again.sh tools/lab/arm64.sh --timeout 600 --file "$stage/husk:/bin/husk" --file "$stage/guest:/usr/share/husk/guest" \
  --file .cache/demo-arm64:/demo --file .cache/demo:/foreign tests/lab/machine_arm64.sh
aarch64-linux-gnu-strip -o "$stage/seam_contract_test" "$build/seam_contract_test"
tools/lab/again.sh tools/lab/arm64.sh --timeout 600 --file "$stage/seam_contract_test:/bin/seam_contract_test" tests/lab/contract_arm64.sh
