#!/bin/sh
# Runs a program or script in the arm64 lab: Debian's arm64 cloud kernel at EL2 of an emulated machine, so that there is a
# real /dev/kvm with a GICv3. What is printed there is printed here; the last line is `lab status N`, and N is the status.
#   tools/lab/arm64.sh [--timeout SECONDS] [--file SRC:DST]... PROGRAM-OR-SCRIPT [ARG...]
# The program is /lab/bin/NAME there, and programs bring their libraries out of the sysroot along. See common.sh.
set -eu

LAB_CALLER=$PWD
cd "$(dirname "$0")/../.."
. tools/lab/common.sh

LAB_SYSROOT=$PWD/.cache/sysroot-arm64
LAB_TRIPLET=aarch64-linux-gnu
LAB_BUSYBOX=$LAB_SYSROOT/bin/busybox
LAB_MODULES=""
lab_kernel=$PWD/.cache/guest-arm64/vmlinuz

# Without SVE: QEMU 7.2 notes of an SVE store into memory that holds translated code its first byte only, and so the lab's
# own memcpy would let a guest execute what another had in the same page before.
lab_qemu() {
  lab_initrd=$1
  shift
  "$@" qemu-system-aarch64 -accel tcg -cpu max,sve=off -M virt,virtualization=on,gic-version=3 -smp 2 -m 2048 -nographic \
    -monitor none -serial stdio -no-reboot -kernel "$lab_kernel" -initrd "$lab_initrd" \
    -append "console=ttyAMA0 quiet panic=-1"
}

tools/lab/setup_arm64.sh >&2
lab_main "$@"
