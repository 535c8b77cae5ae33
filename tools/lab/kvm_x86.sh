#!/bin/sh
# Everything that is tested on a real KVM of x86-64: tests/lab/kvm_x86.sh in the lab. BUILD is the build's folder, ROUNDS
# how often eight vCPUs are forced out of the guest.
set -eu
cd "$(dirname "$0")/../.."

build=${BUILD:-build/release}
tools/make_lab_image.sh "$build/lab_live"
exec tools/lab/x86.sh --timeout 840 \
  --file "$build/husk:/bin/husk" --file "$build/husk_agent_guest:/bin/husk_agent_guest" \
  --file "$build/seam_contract_test:/bin/seam_contract_test" --file "$build/kvm_ioctl_test:/bin/kvm_ioctl_test" \
  --file "$build/lab_keep_vm:/bin/keep_vm" --file "$build/kvm_roundtrips:/bin/kvm_roundtrips" \
  --file tests/lab/expect.sh:/bin/expect.sh --file tests/lab/moves_x86.sh:/bin/moves_x86.sh \
  --file .cache/guest:/husk/guest --file .cache/demo:/husk/demo --file .cache/lab-image:/husk/image --file "$build/lab_live:/bin/live" \
  tests/lab/kvm_x86.sh "${ROUNDS:-500}"
