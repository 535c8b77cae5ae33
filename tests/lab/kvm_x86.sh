#!/bin/sh
# Runs inside the x86 lab: the backend's own tests, the contract, and Husk as users have it, on a real KVM. The files are
# where tools/lab/kvm_x86.sh put them.
export HUSK_GUEST_DIR=/husk/guest HUSK_CACHE=/tmp/cache HUSK_FORCE_EXIT_ROUNDS="${1:-500}"
# TCG's VMRUN takes a guest's DR7 from the VMCB and arms nothing by it; INT3 there is no #BP that could be intercepted.
export HUSK_NO_BREAKPOINTS="the lab's processor stops no guest at breakpoints"
failed=0

# expect STATUS TEXT COMMAND...: that exit status, and TEXT in what it prints.
expect() {
  status=$1 text=$2
  shift 2
  timeout 120 "$@" > /tmp/output 2>&1 < /dev/null
  got=$?
  if [ "$got" = "$status" ] && grep -q -e "$text" /tmp/output; then
    echo "ok: $*"
  else
    echo "FAILED: $*: status $got, not $status, or no '$text' in:"
    cat /tmp/output
    failed=1
  fi
}

expect 0 'kvm *usable, auto' husk doctor
expect 0 'HUSK-INIT kernel' husk boot --kernel /husk/guest/vmlinuz --initrd /husk/guest/test-initrd --memory 256M \
  --append 'console=ttyS0 quiet panic=-1'
expect 7 '6.1.*x86_64' husk run --memory 256M oci:/husk/demo sh -c 'uname -rm; exit 7'
expect 8 '^2$' husk run --memory 256M --cpus 2 oci:/husk/demo sh -c 'nproc; exit 8'
expect 0 'kvm-clock' husk run --memory 256M oci:/husk/demo cat /sys/devices/system/clocksource/clocksource0/current_clocksource
# Notifications that KVM took itself, of a whole run's disk, consoles and entropy.
expect 0 'doorbells: [1-9][0-9]* rings' husk --debug run --memory 256M oci:/husk/demo true
expect 127 'no-such' husk run --memory 256M oci:/husk/demo no-such-command

run() {
  echo "== $*"
  timeout 400 "$@" || { echo "FAILED: $*: status $?"; failed=1; }
}
run seam_contract_test --gtest_brief=1 --gtest_filter='kvm*:Backends/*kvm'
run kvm_ioctl_test --gtest_brief=1
run kvm_roundtrips /tmp/roundtrips.json
exit $failed
