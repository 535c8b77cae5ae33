#!/usr/bin/env python3
"""stress-ng --verify and compiles, again and again, in Debian guests of the built-in CPU: a wrong result, a crash, a
kernel's complaint or a hang fails. Usage: stress.py [--seconds N] [--on MODE:CPUS,...] [--loads A,B] HUSK GUEST_DIR SOAK_DIR

`--seconds` is for everything together, shared out evenly between the configurations and the loads in them. A guest has
several loads one after the other, so that what one leaves behind in caches meets the next.
"""
import argparse
import random
import re
import sys

import guest

# Of stress-ng 0.15; {n} workers each. Vectors wider than SSE are asked for by CPUID, so these are fit for every model.
STRESSORS = {
    "processor": ["cpu", "matrix", "matrix-3d", "sparsematrix", "fp", "fp-error", "hash", "crypt", "zlib", "str", "wcs",
                  "qsort", "heapsort", "mergesort", "radixsort", "shellsort", "bsearch", "tsearch", "hsearch", "skiplist",
                  "vecmath", "vecwide", "vecshuf", "vecfp", "regs", "branch", "funccall", "funcret", "goto", "longjmp",
                  "far-branch", "icache", "nop", "tsc", "misaligned", "list", "tree", "rotate", "opcode"],
    "memory": ["vm", "vm-addr", "vm-rw", "vm-segv", "memcpy", "memthrash", "malloc", "mmap", "mmapfork", "mremap", "mprotect",
               "madvise", "brk", "stack", "stackmmap", "bigheap", "fault", "pagemove", "mmapfixed", "remap", "stream",
               "tlb-shootdown", "dev-shm", "memfd", "userfaultfd", "mincore"],
    "processes": ["fork", "vfork", "clone", "exec", "spawn", "dynlib", "pthread", "wait", "zombie", "context", "ptrace",
                  "exit-group", "forkheavy"],
    "signals": ["signal", "signest", "sigsegv", "sigfpe", "sigtrap", "sigabrt", "sigchld", "sigpipe", "sigq", "sigrt",
                "sigsuspend", "sigpending", "kill", "bad-altstack"],
    "pipes": ["pipe", "fifo", "sockpair", "sock", "eventfd", "splice", "tee", "vm-splice", "ring-pipe", "epoll", "poll"],
    "time": ["timer", "timerfd", "itimer", "hrtimers", "nanosleep", "clock", "alarm", "sleep", "vdso"],
    "atomics": ["atomic", "futex", "sem", "sem-sysv", "mutex", "peterson", "dekker", "lockbus", "cacheline", "mcontend",
                "membarrier", "rseq", "syncload", "switch", "yield", "resched", "msg", "mq", "shm", "shm-sysv"],
    "system calls": ["get", "set", "usersyscall", "x86syscall", "seccomp", "sysbadaddr", "x86cpuid",
                     "priv-instr", "ioport", "personality"],
}

PROLOGUE = r"""cd /tmp || exit 99
"""
# Exit statuses of stress-ng: 2 is a failure; 3 no resources, 4 not implemented here.
STRESS = r"""stress-ng --verify --oomable --temp-path /tmp --timeout %(seconds)ss --%(name)s %(workers)d > log 2>&1
status=$?
echo "LOAD %(name)s $status"
case $status in 3|4) ;; 0) grep 'fail:' log ;; *) cat log ;; esac
"""
COMPILE = r"""end=$(($(date +%%s) + %(seconds)d)); rounds=0; status=0
while [ $rounds = 0 ] || [ "$(date +%%s)" -lt $end ]; do
  rounds=$((rounds + 1))
  /opt/compile > compiled 2>&1
  cmp compiled /opt/compiled || { cat compiled; status=1; break; }
done
echo "LOAD compile $status $rounds"
"""
EPILOGUE = r"""dmesg | grep -E 'BUG:|WARNING: CPU|Oops|general protection fault.*Comm|kernel stack|soft lockup|rcu.*stall|traps: gcc|traps: cc1'
exit 0
"""
# What the kernel says of programs that provoke it is not among these.
COMPLAINTS = re.compile(r"BUG:|WARNING: CPU|Oops|soft lockup|rcu.*stall|traps: (gcc|cc1)|(?i:fail:)")


def script(loads, seconds, workers):
    parts = [PROLOGUE]
    for name in loads:
        form = COMPILE if name == "compile" else STRESS
        parts.append(form % {"name": name, "seconds": seconds, "workers": workers})
    return "".join(parts) + EPILOGUE


def judge(where, status, output, loads):
    """Lines about what is wrong in one guest."""
    results = dict(re.findall(r"^LOAD (\S+) (\d+)", output, re.MULTILINE))
    for name in loads:
        if name not in results:
            yield f"{where}: {name} did not end"
            break
        if results[name] not in ("0", "3", "4"):
            yield f"{where}: {name} ended with {results[name]}"
    for line in output.splitlines():
        if COMPLAINTS.search(line):
            yield f"{where}: {line.strip()}"
    if status != 0:
        yield f"{where}: the guest " + ("hung" if status == guest.HUNG else f"ended with {status}")


def plan(configurations, loads, seconds):
    """[(mode, vCPUs, loads, seconds of each)], a guest for every dozen."""
    each = max(1, seconds // (len(configurations) * len(loads)))
    for mode, cpus in configurations:
        mixed = random.sample(loads, len(loads))
        for first in range(0, len(mixed), 12):
            yield mode, cpus, mixed[first:first + 12], each


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("husk")
    parser.add_argument("guest")
    parser.add_argument("soak")
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--on", default="jit:1,jit:2,interp:1,interp:2", help="CPU modes and numbers of vCPUs")
    parser.add_argument("--loads", help="only these, or groups: " + ", ".join(STRESSORS))
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32), help="of the loads' order")
    parser.add_argument("--cpu", help="processor model")
    return parser.parse_args()


def chosen(args):
    every = [name for group in STRESSORS.values() for name in group] + ["compile"]
    if not args.loads:
        return every
    return [name for word in args.loads.split(",") for name in STRESSORS.get(word, [word])]


def main():
    args = arguments()
    random.seed(args.seed)
    guest.say(f"seed {args.seed}")
    guests, wrong, total = guest.Guests(args.husk, args.guest, args.soak), [], 0
    for mode, cpus, loads, seconds in plan(guest.parse_configurations(args.on), chosen(args), args.seconds):
        where = f"{mode}, {cpus} vCPU"
        # A round of the compiler is long where the host is busy, and is not cut short.
        limit = 120 + len(loads) * (seconds * 4 + 60) + (3600 if "compile" in loads else 0)
        status, output, took = guests.run(mode, cpus, script(loads, seconds, max(2, cpus)), limit, cpu=args.cpu)
        found = list(judge(where, status, output, loads))
        total += took
        skipped = re.findall(r"^LOAD (\S+) [34]", output, re.MULTILINE)
        guest.say(f"{where}: {len(loads)} loads of {seconds} s in {took:.0f} s: {' '.join(loads)}"
                  + (f"; cannot run: {' '.join(skipped)}" if skipped else ""))
        if found:
            guest.say(output)
        wrong += found
    guest.say(f"{total:.0f} s of guests")
    if wrong:
        sys.exit("\n".join(f"stress.py: {line}" for line in wrong))


if __name__ == "__main__":
    main()
