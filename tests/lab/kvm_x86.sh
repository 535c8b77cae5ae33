#!/bin/sh
# Runs inside the x86 lab: the backend's own tests, the contract, and Husk as users have it, on a real KVM. The files are
# where tools/lab/kvm_x86.sh put them.
export HUSK_GUEST_DIR=/husk/guest HUSK_CACHE=/tmp/cache HUSK_STATE=/tmp/state HUSK_SNAPSHOTS=/tmp/snapshots \
  HUSK_FORCE_EXIT_ROUNDS="${1:-500}"
# TCG's VMRUN takes a guest's DR7 from the VMCB and arms nothing by it; INT3 there is no #BP that could be intercepted.
export HUSK_NO_BREAKPOINTS="the lab's processor stops no guest at breakpoints"
. /bin/expect.sh
keep_vm &

expect 0 'kvm *usable, auto' husk doctor
expect 0 'HUSK-INIT kernel' husk boot --kernel /husk/guest/vmlinuz --initrd /husk/guest/test-initrd --memory 256M \
  --append 'console=ttyS0 quiet panic=-1'
expect 7 '6.1.*x86_64' husk run --memory 256M oci:/husk/demo sh -c 'uname -rm; exit 7'
expect 8 '^2$' husk run --memory 256M --cpus 2 oci:/husk/demo sh -c 'nproc; exit 8'
expect 0 'kvm-clock' husk run --memory 256M oci:/husk/demo cat /sys/devices/system/clocksource/clocksource0/current_clocksource
# With the interrupt controllers and the timer in the kernel; the bare guests look at every one of them.
expect 0 'HUSK-INIT kernel' husk boot --kernel-irqchip on --kernel /husk/guest/vmlinuz --initrd /husk/guest/test-initrd \
  --memory 256M --append 'console=ttyS0 quiet panic=-1'
expect 9 '^2$' husk run --kernel-irqchip on --memory 256M --cpus 2 oci:/husk/demo sh -c 'nproc; exit 9'
expect 125 'kernel_irqchip: the built-in CPU' husk boot --backend soft --kernel-irqchip on --kernel /husk/guest/vmlinuz
# Notifications that KVM took itself, of a whole run's disk, consoles and entropy.
expect 0 'doorbells: [1-9][0-9]* rings' husk --debug run --memory 256M oci:/husk/demo true
# The processor that was asked for, and nothing above it: AVX cannot even be switched on.
expect 0 'cpu x86-64-v2 *yes' husk doctor
expect 0 'sse4_2' husk run --cpu x86-64-v2 --memory 256M oci:/husk/demo grep -m1 ^flags /proc/cpuinfo
expect 0 '^none$' husk run --cpu x86-64-v2 --memory 256M oci:/husk/demo \
  sh -c 'grep -m1 ^flags /proc/cpuinfo | grep -o -w -E "avx|avx2|xsave|aes|smep|rdtscp" || echo none'
expect 125 'x86_64 has no riscv' husk run --cpu riscv --memory 256M oci:/husk/demo true
expect 127 'no-such' husk run --memory 256M oci:/husk/demo no-such-command

# A debugger from the first instruction on: registers, two steps, on, Ctrl-C, threads, and away. Packets as they are.
debugged() {
  ifconfig lo 127.0.0.1 up
  timeout 120 husk boot --kernel /husk/guest/vmlinuz --initrd /husk/guest/test-initrd --memory 256M --cpus 2 --gdb 1234 --gdb-wait \
    --append 'console=ttyS0 quiet panic=-1' > /tmp/output 2>&1 < /dev/null &
  guest=$!
  until grep -q 'target remote' /tmp/output || ! kill -0 $guest; do sleep 1; done
  { for packet in '$QStartNoAckMode#b0+' '$g#67' '$vCont;s:1#23' '$p10#d1' '$vCont;s:1#23' '$p10#d1' '$vCont;c#a8' '\003' \
      '$qfThreadInfo#bb' '$D#44'; do printf "$packet"; sleep 2; done; } | nc 127.0.0.1 1234 > /tmp/answers
  wait $guest && grep -q 'HUSK-INIT kernel' /tmp/output &&
    grep -q '#.*T05thread:1;#.*T05thread:1;#.*T02thread:[12];#.*m1,2#.*OK#' /tmp/answers && echo "ok: debugged" && return
  echo "FAILED: debugged:"; cat /tmp/output /tmp/answers
  failed=1
}
debugged

run() {
  echo "== $*"
  timeout 400 "$@" || { echo "FAILED: $*: status $?"; failed=1; }
}
run moves_x86.sh
run seam_contract_test --gtest_brief=1 --gtest_filter='kvm*:Backends/*kvm'
run kvm_ioctl_test --gtest_brief=1
run kvm_roundtrips /tmp/roundtrips.json
exit $failed
