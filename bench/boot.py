#!/usr/bin/env python3
"""Kernel start to /init, side by side with QEMU TCG in the same run: same kernel, initrd, memory and one CPU.

Usage: boot.py HUSK GUEST_DIR OUT.json [RUNS]. Prints medians and their ratio; OUT.json keeps every raw number.
"""
import json
import os
import statistics
import subprocess
import sys
import time

HUSK, GUEST, OUT = sys.argv[1:4]
RUNS = int(sys.argv[4]) if len(sys.argv) > 4 else 5
KERNEL = os.path.join(GUEST, "vmlinuz")
INITRD = os.path.join(GUEST, "test-initrd")
APPEND = "console=ttyS0 quiet panic=-1 husk.test=none"
MARK = b"HUSK-INIT"

COMMANDS = {
    "husk": [HUSK, "boot", "--kernel", KERNEL, "--initrd", INITRD, "--append", APPEND, "--memory", "512M"],
    "qemu-tcg-pc": ["qemu-system-x86_64", "-accel", "tcg", "-M", "pc", "-cpu", "max", "-m", "512", "-nographic",
                    "-no-reboot", "-nic", "none", "-kernel", KERNEL, "-initrd", INITRD, "-append", APPEND],
    "qemu-tcg-microvm": ["qemu-system-x86_64", "-accel", "tcg", "-M", "microvm,acpi=on", "-cpu", "max", "-m", "512",
                         "-nographic", "-no-reboot", "-nic", "none", "-kernel", KERNEL, "-initrd", INITRD,
                         "-append", APPEND],
}


def seconds_to_init(command):
    start = time.monotonic()
    with subprocess.Popen(["timeout", "20", *command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as run:
        for line in run.stdout:
            if MARK in line:
                elapsed = time.monotonic() - start
                run.terminate()
                return elapsed
    return None  # not within twenty seconds, which happens to QEMU's microvm now and then


def main():
    raw = {name: [] for name in COMMANDS}
    stuck = {name: 0 for name in COMMANDS}
    for _ in range(RUNS):  # interleaved, so that a noisy minute hits all alike
        for name, command in COMMANDS.items():
            seconds = seconds_to_init(command)
            if seconds is None and name == "husk":
                sys.exit("boot.py: husk did not reach /init within twenty seconds")
            if seconds is None:
                stuck[name] += 1
            else:
                raw[name].append(seconds)
    medians = {name: statistics.median(values) for name, values in raw.items()}
    print(f"kernel start to /init, {RUNS} runs each, seconds of wall time")
    for name, median in medians.items():
        print(f"  {name:18} median {median:6.2f}  min {min(raw[name]):6.2f}  max {max(raw[name]):6.2f}"
              f"  ratio to husk {median / medians['husk']:5.2f}"
              + (f"  ({stuck[name]} runs never arrived)" if stuck[name] else ""))
    os.makedirs(os.path.dirname(OUT), exist_ok=True)
    with open(OUT, "w") as out:
        json.dump({"unit": "s", "raw": raw, "never_arrived": stuck, "medians": medians}, out, indent=1)


if __name__ == "__main__":
    main()
