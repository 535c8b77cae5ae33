#!/bin/sh
# What the arm64 lab needs: QEMU, the sysroot with its busybox, and Debian's arm64 cloud kernel.
set -eu

cd "$(dirname "$0")/../.."
tools/setup.sh qemu-system-arm cpio binutils
tools/setup_arm64.sh
tools/fetch_kernel.sh cloud-arm64
