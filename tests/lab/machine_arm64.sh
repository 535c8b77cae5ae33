#!/bin/sh
# Inside the arm64 lab (tests/lab/run_arm64.sh brings it there): husk's machine on arm64's real KVM, with Debian's kernel.
# One line a case; what a failed one printed comes with it. Status 0 if all are as they should be.
guest=/usr/share/husk/guest
console="console=ttyAMA0 quiet"
count=0
failed=0

# outcome NAME STATUS WORDS...: /tmp/out is what the case printed; every one of WORDS, a regular expression, must match a line.
outcome() {
  name=$1 status=$2
  shift 2
  reason=""
  [ "$got" = "$status" ] || reason="status $got, not $status"
  for words; do
    grep -qE "$words" /tmp/out || reason="$reason${reason:+; }no line like \"$words\""
  done
  count=$((count + 1))
  if [ -z "$reason" ]; then
    echo "ok $name"
  else
    failed=$((failed + 1))
    echo "FAILED $name: $reason"
    sed 's/^/  | /' /tmp/out
  fi
}

# try COMMAND...: its output and status for outcome.
try() {
  "$@" > /tmp/out 2>&1 < /dev/null
  got=$?
}

# boot TEST [OPTION...]: Debian's kernel with the boot tests' initial RAM disk.
boot() {
  test=$1
  shift
  try husk boot --kernel $guest/vmlinuz --initrd $guest/test-initrd --append "$console husk.test=$test" "$@"
}

container() {
  try husk run "$@"
}

try husk doctor
outcome "doctor takes the host's KVM" 0 '^kvm +usable, auto +/dev/kvm; [0-9]+ million instructions a second'

boot facts
outcome "Debian boots to /init and powers off" 0 'HUSK-INIT kernel 6\..*-cloud-arm64' 'HUSK cpus 1' \
  'HUSK clocksource arch_sys_counter' 'HUSK sum 750750\.0' 'reboot: Power down'

boot facts --cpus 2
outcome "two vCPUs come up" 0 'HUSK cpus 2' 'reboot: Power down'

echo "the first disk." > /tmp/a
echo "the second one." > /tmp/b
truncate -s 1M /tmp/a /tmp/b
boot disks --disk /tmp/a --disk /tmp/b,ro
outcome "disks are read and written, and kept when read-only" 0 'HUSK vda 2048 ro=0 the first disk' 'HUSK vda written' \
  'HUSK vdb 2048 ro=1 the second one'
got=0
{ dd if=/tmp/a bs=512 skip=8 count=1 2>/dev/null | grep -a "from the guest"; tail -c +513 /tmp/b | tr -d '\0' | wc -c; } > /tmp/out
outcome "what was written is there, and only there" 0 'from the guest' '^0$'

boot reboot
outcome "a reset ends the run" 0 'HUSK-INIT' 'reboot: Restarting system'

boot panic
outcome "a panic is told" 1 'husk: guest kernel panic: sysrq triggered crash'

container oci:/demo sh -c 'echo hello from $(uname -m); exit 7'
outcome "an image's command runs and its status comes back" 7 '^hello from aarch64$'

container --cpus 2 oci:/demo nproc
outcome "a container has two CPUs" 0 '^2$'

seq 1 20000 > /tmp/numbers
husk run -i oci:/demo sha256sum < /tmp/numbers > /tmp/out 2>&1
got=$?
outcome "what goes in comes through" 0 "^$(sha256sum < /tmp/numbers | cut -d' ' -f1) "

container oci:/demo nosuch
outcome "a command that is not there" 127 'exec: "nosuch"'

container oci:/foreign true
outcome "an image of another architecture is refused" 125 'arm64'

echo "$((count - failed)) of $count machine tests passed"
[ "$failed" = 0 ]
