#!/bin/sh
# From a clone to a command's output out of a real microVM.
set -eu

cd "$(dirname "$0")/.."
tools/make_demo_image.sh
image=.cache/demo
echo "+ husk run oci:$image sh -c 'echo hello from \$(uname -sr) on \$(nproc) vCPU'"
exec build/release/husk run "oci:$image" sh -c 'echo hello from $(uname -sr) on $(nproc) vCPU'
