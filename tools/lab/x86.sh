#!/bin/sh
# Runs a program on a machine with a real /dev/kvm, wherever this is: QEMU's TCG with AMD's SVM and nested paging, and
# Debian's own cloud kernel. What it prints comes out; its status is the lab's. See common.sh for usage and statuses.
# LAB_MONITOR names a Unix socket for QEMU's monitor, for whoever wants to look into a machine that hangs.
set -eu

LAB_CALLER=$PWD
cd "$(dirname "$0")/../.."
. tools/lab/common.sh

LAB_SYSROOT=/
LAB_TRIPLET=x86_64-linux-gnu
LAB_BUSYBOX=/bin/busybox
modules=$(echo .cache/guest/lib/modules/*)
LAB_MODULES="$modules/kernel/virt/lib/irqbypass.ko $modules/kernel/arch/x86/kvm/kvm.ko $modules/kernel/arch/x86/kvm/kvm-amd.ko"

lab_qemu() {
  lab_initrd=$1
  shift
  "$@" qemu-system-x86_64 -accel tcg,thread=multi -cpu max,+svm,+npt -M q35 -smp "${LAB_CPUS:-2}" -m 3072 -nographic -no-reboot \
    -nic none ${LAB_MONITOR:+-monitor unix:$LAB_MONITOR,server,nowait} -kernel .cache/guest/vmlinuz -initrd "$lab_initrd" -append "console=ttyS0 quiet panic=-1 mitigations=off no_timer_check"
}

lab_main "$@"
