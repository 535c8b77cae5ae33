#!/usr/bin/env python3
"""What the built-in CPU has for itself beside a guest's RAM: while the guest compiles, and while a restored one sleeps.

Usage: memory.py [--seconds N] [--out FILE.json] HUSK GUEST_DIR IMAGE
IMAGE has gcc. The figures are Linux's, from /proc/PID/smaps: private memory that was written, and the memory of code, which
is mapped twice and counted once. The guest's RAM is the mapping of the snapshot that it is restored from.
"""
import argparse
import collections
import json
import os
import re
import subprocess
import sys
import tempfile
import time

LIMITS = {"compiles": 64, "sleeps": 8}  # MiB
FUNCTIONS = 300
HEAD = re.compile(r"^[0-9a-f]+-[0-9a-f]+ \S+ \S+ \S+ \S+ *(.*)$")
FIELD = re.compile(r"^(Pss|Private_Dirty): +(\d+) kB$")


def source():
    """C that a compiler has something to do with."""
    body = ("int f%d(int *a, double *b, int n) {\n  int s = %d;\n  for (int i = 0; i < n; ++i) {\n    s += a[i] * %d ^ (s >> 3);\n"
            "    b[i] = b[i] * s + %d;\n    if (s %% 7 == 3) s += a[i] / (s | 1);\n  }\n  return s;\n}\n")
    return "".join(body % (i, i, i, i) for i in range(FUNCTIONS)).encode()


def part_of(name):
    """Which part of the whole a mapping belongs to; None: not ours."""
    if name.endswith(".husk"):
        return None  # the guest's RAM
    if "memfd:husk-code" in name:
        return "translated code"
    if name.startswith("/"):
        return "data of programs and libraries"
    return "heap and stacks"


def measure(pid):
    """{part: KiB}."""
    parts, name = collections.Counter(), ""
    with open(f"/proc/{pid}/smaps") as file:
        for line in file:
            head, field = HEAD.match(line), FIELD.match(line)
            if head:
                name = head.group(1)
            elif field and part_of(name):
                shared = "memfd:" in name
                if (field.group(1) == "Pss") == shared:
                    parts[part_of(name)] += int(field.group(2))
    return dict(parts)


class Guest:
    """`husk run` of a script; ended when the block is left."""

    def __init__(self, args, environment, script, stdin=b""):
        command = [args.husk, "run", "--backend", "soft", "--memory", "1G", "-i", args.image, "sh", "-c", script]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
        self.process.stdin.write(stdin)
        self.process.stdin.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def wait_for(self, mark):
        if self.process.stdout.readline().strip() != mark:
            sys.exit(f"memory.py: the guest did not say {mark.decode()}")


def compiles(args, environment):
    """The largest of what is seen once a second."""
    script = "cat > /tmp/x.c; echo ready; while gcc -O2 -c /tmp/x.c -o /tmp/x.o; do :; done"
    most, rounds = {}, 0
    with Guest(args, environment, script, source()) as guest:
        guest.wait_for(b"ready")
        while rounds < args.seconds and guest.process.poll() is None:
            time.sleep(1)
            now = measure(guest.process.pid)
            most = max(most, now, key=lambda parts: sum(parts.values()))
            rounds += 1
        if guest.process.poll() is not None:
            sys.exit("memory.py: the guest stopped compiling")
    return most


def sleeps(args, environment):
    with Guest(args, environment, "echo ready; sleep 1000") as guest:
        guest.wait_for(b"ready")
        time.sleep(min(10, args.seconds))
        return measure(guest.process.pid)


def show(name, parts):
    total = sum(parts.values()) / 1024
    print(f"a guest that {name}: {total:.1f} MiB, of {LIMITS[name]} wanted"
          + "".join(f"; {part} {size / 1024:.1f}" for part, size in sorted(parts.items())))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("husk")
    parser.add_argument("guest")
    parser.add_argument("image")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--out")
    args = parser.parse_args()
    result = {}
    with tempfile.TemporaryDirectory(prefix="husk-memory-") as scratch:
        environment = {**os.environ, "HUSK_GUEST_DIR": os.path.abspath(args.guest), "HUSK_STATE": os.path.join(scratch, "state"),
                       "HUSK_CACHE": os.path.join(scratch, "cache")}
        with Guest(args, environment, "true") as first:  # after which there is a base to restore
            first.process.wait(300)
        for name, run in (("compiles", compiles), ("sleeps", sleeps)):
            result[name] = run(args, environment)
            show(name, result[name])
    if args.out:
        os.makedirs(os.path.dirname(os.path.abspath(args.out)), exist_ok=True)
        with open(args.out, "w") as out:
            json.dump({"unit": "KiB", "limits_mib": LIMITS, "parts": result}, out, indent=1)


if __name__ == "__main__":
    main()
