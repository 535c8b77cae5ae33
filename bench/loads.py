#!/usr/bin/env python3
"""User-mode loads on the host itself, under husk and under QEMU TCG, side by side in one run.

Usage: loads.py [--rounds N] [--loads A,B] [--out FILE.json] [--smoke] HUSK GUEST_DIR LOADS_PROGRAM
--smoke: a unit or two of each load on the host and under husk only; no figures, but equal checksums.
"""
import argparse
import json
import math
import os
import re
import signal
import stat
import statistics
import subprocess
import sys
import tempfile
import threading
import time

KERNEL_LINE = "console=ttyS0 quiet panic=-1"
TIME_LIMIT = 240  # seconds for a machine to boot and run every load


def newc(path, mode, data=b"", device=(0, 0)):
    """One entry of a cpio archive in the form that Linux takes as initramfs (buffer-format.rst)."""
    name = path.encode() + b"\0"
    fields = [0, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(name), 0]
    head = b"070701" + b"".join(b"%08x" % field for field in fields) + name
    return head + b"\0" * (-len(head) % 4) + data + b"\0" * (-len(data) % 4)


def initrd(program):
    with open(program, "rb") as file:
        init = file.read()
    return (newc("dev", stat.S_IFDIR | 0o755) + newc("dev/console", stat.S_IFCHR | 0o600, device=(5, 1))
            + newc("init", stat.S_IFREG | 0o755, init) + newc("TRAILER!!!", 0))


def machines(args, ramdisk):
    kernel = os.path.join(args.guest, "vmlinuz")
    append = f"{KERNEL_LINE} milliseconds={args.milliseconds}" + (f" loads={args.loads}" if args.loads else "")
    wanted = args.loads.split(",") if args.loads else []
    every = {
        "native": [args.program, str(args.milliseconds), *wanted],
        "husk": [args.husk, "boot", "--kernel", kernel, "--initrd", ramdisk, "--append", append, "--memory", "512M"],
        "tcg": ["qemu-system-x86_64", "-accel", "tcg", "-M", "pc", "-cpu", "max", "-m", "512", "-nographic", "-no-reboot",
                "-nic", "none", "-kernel", kernel, "-initrd", ramdisk, "-append", append],
    }
    return {name: command for name, command in every.items() if not (args.smoke and name == "tcg")}


# Firmware writes escape sequences before the first line, and a line may follow them.
MARKER = re.compile(rb"(begin|end|all) ([a-z0-9-]+)(?: (\d+) ([0-9a-f]{16}))?\s*$")


def run(name, command):
    """{load: (seconds of the host's clock for one unit, checksum)}"""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               start_new_session=True)
    limit = threading.Timer(TIME_LIMIT, os.killpg, (process.pid, signal.SIGKILL))
    limit.daemon = True
    limit.start()
    results, began, complete, last = {}, {}, False, b""
    for line in process.stdout:
        stamp = time.monotonic()
        last = line
        marker = MARKER.search(line)
        if not marker:
            continue
        what, load, units, checksum = (group and group.decode() for group in marker.groups())
        if what == "begin":
            began[load] = stamp
        elif what == "end":
            results[load] = ((stamp - began[load]) / int(units), checksum)
        else:
            complete = True
    limit.cancel()
    process.wait()
    if not complete or not results:
        sys.exit(f"loads.py: {name} did not run every load; the last line was {last!r}")
    return results


def check_sums(name, results, reference):
    for load, (_, checksum) in results.items():
        if reference.setdefault(load, checksum) != checksum:
            sys.exit(f"loads.py: {load} computed {checksum} on {name}, not {reference[load]}")
    if set(results) != set(reference):
        sys.exit(f"loads.py: {name} ran {sorted(results)}, not {sorted(reference)}")


def geometric_mean(values):
    return math.exp(statistics.fmean(map(math.log, values)))


def print_table(raw):
    medians = {name: {load: statistics.median(samples) for load, samples in loads.items()}
               for name, loads in raw.items()}
    native, husk, tcg = (medians[name] for name in ("native", "husk", "tcg"))
    print(f"{'load':18}{'native us':>11}{'husk us':>11}{'tcg us':>11}{'husk/native':>13}{'tcg/native':>12}{'tcg/husk':>10}")
    for load in native:
        print(f"{load:18}{native[load] * 1e6:11.1f}{husk[load] * 1e6:11.1f}{tcg[load] * 1e6:11.1f}"
              f"{husk[load] / native[load]:13.1f}{tcg[load] / native[load]:12.1f}{tcg[load] / husk[load]:10.2f}")
    means = [geometric_mean([top[load] / bottom[load] for load in native])
             for top, bottom in ((husk, native), (tcg, native), (tcg, husk))]
    print(f"{'geometric mean':51}{means[0]:13.1f}{means[1]:12.1f}{means[2]:10.2f}")
    return medians


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("husk")
    parser.add_argument("guest")
    parser.add_argument("program")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--loads", help="only these, with commas between")
    parser.add_argument("--milliseconds", type=int, default=400, help="how long a load runs, about")
    parser.add_argument("--out")
    parser.add_argument("--smoke", action="store_true")
    args = parser.parse_args()
    if args.smoke:
        args.rounds, args.milliseconds = 1, 1
    checksums = {}
    with tempfile.TemporaryDirectory(prefix="husk-loads-") as scratch:
        ramdisk = os.path.join(scratch, "initrd")
        with open(ramdisk, "wb") as file:
            file.write(initrd(args.program))
        commands = machines(args, ramdisk)
        raw = {name: {} for name in commands}
        for _ in range(args.rounds):  # interleaved, so that a noisy minute hits all alike
            for name, command in commands.items():
                results = run(name, command)
                check_sums(name, results, checksums)
                for load, (seconds, _) in results.items():
                    raw[name].setdefault(load, []).append(seconds)
    if args.smoke:
        print(f"{len(checksums)} loads: the same checksums on {' and '.join(raw)}")
        return
    medians = print_table(raw)
    if args.out:
        os.makedirs(os.path.dirname(os.path.abspath(args.out)), exist_ok=True)
        with open(args.out, "w") as out:
            json.dump({"unit": "seconds of host time for one unit", "rounds": args.rounds, "raw": raw,
                       "medians": medians, "checksums": checksums}, out, indent=1)


if __name__ == "__main__":
    main()
