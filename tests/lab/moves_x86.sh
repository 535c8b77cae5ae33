#!/bin/sh
# Runs inside the x86 lab: machines that stay, their snapshots and forks on a real KVM, and machines that move between it and
# the built-in CPU with the same file. In each are programs that keep every register full and an interpreter at work
# (tests/lab/live.c, moved.py).
. /bin/expect.sh
EXPECT_SECONDS=300  # the built-in CPU, emulated, boots a machine in forty of a quiet host
image=oci:/husk/image
# They end well, and have not lost or changed anything, when the file is there. The interpreter starts first: live keeps both
# vCPUs busy.
work='python3 -I -S /lab/moved.py /tmp/stop & until [ -e /tmp/stop.ready ]; do sleep 1; done; live /tmp/stop || exit $?; wait $!'

# start NAME OPTION...: a machine with two vCPUs at work.
start() {
  name=$1
  shift
  expect 0 . husk run -d --name "$name" --memory 128M --cpus 2 "$@" $image sh -c "PATH=/lab:/bin:/usr/bin; $work"
  wait_for "$name" 'live: started'
}

# wait_for NAME TEXT: until the machine's command has said so.
wait_for() {
  for attempt in $(seq 150); do
    husk logs "$1" 2>&1 | grep -q -e "$2" && return
    sleep 1
  done
  echo "FAILED: $1 did not say '$2'"
  failed=1
}

# A number of nanoseconds is too long for some shells' arithmetic: milliseconds.
milliseconds() { echo "${1%??????}"; }

# tells_the_time NAME: the guest's time of day is the host's within 50 ms; it was asked in between.
tells_the_time() {
  before=$(live now) told=$(husk exec "$1" /lab/live now) after=$(live now)
  before=$(milliseconds "${before% *}") told=$(milliseconds "${told% *}") after=$(milliseconds "${after% *}")
  if [ $((told + 50)) -ge "$before" ] && [ $((after + 50)) -ge "$told" ]; then
    echo "ok: $1 tells the time"
  else
    echo "FAILED: $1 says $told ms, asked between $before and $after"
    husk inspect "$1"  # why it ended, if it has
    failed=1
  fi
}

# is_well NAME: some seconds after a move, so that a clock of another rate would show.
is_well() {
  sleep 4
  tells_the_time "$1"
  husk exec "$1" dmesg > /tmp/messages 2>&1
  if grep -E 'soft lockup|hard LOCKUP|rcu.*(stall|starved)|blocked for more than|Unable to handle|BUG:' /tmp/messages; then
    echo "FAILED: $1: its kernel complains"
    failed=1
  fi
}

# ends_well NAME: everything that it worked on is as it should be, and no timer was late by seconds. Somebody whose machine was
# captured and goes on sees the pause, so those that end here never were.
ends_well() {
  expect 0 '' husk exec "$1" touch /tmp/stop
  expect 0 '^0$' husk wait "$1"
  expect 0 'python: all right' husk logs "$1"
  expect 0 'live: all registers kept' husk logs "$1"
  husk logs "$1" 2>&1 | grep 'worst wake-up'
}

# move FROM SNAPSHOT TO BACKEND
move() {
  expect 0 . husk snapshot create "$1" "$2"
  expect 0 "$1" husk kill "$1"
  expect 0 . husk restore -d --backend "$4" --name "$3" "$2"
  is_well "$3"
}

# On KVM alone: from the base, and what stays.
expect 0 '' husk run --memory 128M --cpus 2 --cpu x86-64-v2 $image true
begun=$(live now)
expect 3 '' husk run --memory 128M --cpus 2 --cpu x86-64-v2 $image sh -c 'exit 3'
ended=$(live now)
echo "a warm run: $(($(milliseconds "${ended#* }") - $(milliseconds "${begun#* }"))) ms"
start app --cpu x86-64-v2
is_well app
expect 0 '^2$' husk exec app nproc
# It was born under KVM, and goes on on the built-in CPU; and under KVM in another machine, and in a fork of that.
move app from-kvm on-soft soft
ends_well on-soft
expect 0 . husk restore -d --backend kvm --name again from-kvm
is_well again
expect 0 . husk fork again -n 1 --name clone
expect 0 again husk kill again
is_well clone
ends_well clone
expect 0 . husk snapshot rm from-kvm  # all of this is memory in the lab

# What was started with no word about its processor, on the built-in CPU, goes on under KVM, and back.
start born --backend soft
move born from-soft on-kvm kvm
move on-kvm back on-soft-again soft
ends_well on-soft-again
expect 0 . husk snapshot rm from-soft back

# What KVM shows when nobody says, the built-in CPU has not all of, and says what.
expect 0 . husk run -d --backend kvm --name avx --memory 128M $image sh -c 'sleep 1000'
expect 0 . husk snapshot create avx of-the-host
expect 125 'has no .*, which the guest was shown' husk restore --backend soft of-the-host
exit $failed
