#!/usr/bin/env python3
"""User-mode loads on the host itself, under husk and under QEMU TCG, side by side in one run.

Usage: loads.py [--runs N] [--loads A,B] [--out FILE.json] [--smoke] HUSK GUEST_DIR LOADS_PROGRAM
--smoke: one call of each load on the host and under husk only; no figures, but equal checksums.
"""
import argparse
import hashlib
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import tempfile

import machine

KERNEL_LINE = "console=ttyS0 quiet panic=-1"
# One processor, as the guests have.
ONE_CPU = ["taskset", "-c", str(max(os.sched_getaffinity(0)))]
# Computed without the loads' program; the other loads are only held against each other.
KNOWN = {"sha256": hashlib.sha256(bytes(i * 7 & 255 for i in range(4096))).hexdigest()[:16],
         "call-recursive": f"{2584:016x}"}
CLOCK_TOLERANCE = 0.05


def commands(args, ramdisk):
    kernel = os.path.join(args.guest, "vmlinuz")
    append = f"{KERNEL_LINE} milliseconds={args.milliseconds}" + (f" loads={args.loads}" if args.loads else "")
    wanted = args.loads.split(",") if args.loads else []
    every = {
        "native": [*ONE_CPU, args.program, str(args.milliseconds), *wanted],
        "husk": [args.husk, "boot", "--kernel", kernel, "--initrd", ramdisk, "--append", append, "--memory", "512M"],
        "tcg": ["qemu-system-x86_64", "-accel", "tcg", "-M", "pc", "-cpu", "max", "-m", "512", "-nographic", "-no-reboot",
                "-nic", "none", "-kernel", kernel, "-initrd", ramdisk, "-append", append],
    }
    return {name: command for name, command in every.items() if not (args.smoke and name == "tcg")}


class Bench:
    """Every run's figures: samples and clock are {machine: {load: [...]}}, checksums {load: text}."""

    def __init__(self, names):
        self.samples = {name: {} for name in names}
        self.clock = {name: {} for name in names}
        self.units, self.checksums, self.failures = {}, dict(KNOWN), []

    def take(self, name, run):
        if run.failure:
            self.failures.append(f"{name} {run.failure}")
        elif name == "native" and not run.said:
            self.failures.append("no load has such a name")
        for load, result in run.said.items():
            expected = self.checksums.setdefault(load, result["checksum"])
            if result["checksum"] != expected:
                self.failures.append(f"{name} computed {result['checksum']} for {load}, not {expected}")
            self.units[load] = result["unit"]
            self.samples[name].setdefault(load, []).extend(run.samples[load])
            if load in run.clock:
                self.clock[name].setdefault(load, []).append(run.clock[load])

    def medians(self):
        return {name: {load: statistics.median(samples) for load, samples in loads.items()}
                for name, loads in self.samples.items()}

    def complete_loads(self):
        return [load for load in self.units if all(load in loads for loads in self.samples.values())]

    def failed(self):
        missing = [load for load in self.units if load not in self.complete_loads()]
        return self.failures + [f"{load} did not run everywhere" for load in missing]


def geometric_mean(values):
    return math.exp(statistics.fmean(map(math.log, values)))


def print_table(bench):
    medians, loads = bench.medians(), bench.complete_loads()
    native, husk, tcg = (medians[name] for name in ("native", "husk", "tcg"))
    count = min(len(samples) for loads_of in bench.samples.values() for samples in loads_of.values())
    print(f"nanoseconds of the host's clock for one unit, medians of {count} samples; ratios below 1 favour the first")
    print(f"{'load':16}{'native':>11}{'husk':>12}{'tcg':>12}{'husk/native':>13}{'tcg/native':>12}{'husk/tcg':>10}  unit")
    for load in loads:
        print(f"{load:16}{native[load] * 1e9:11.2f}{husk[load] * 1e9:12.2f}{tcg[load] * 1e9:12.2f}"
              f"{husk[load] / native[load]:13.1f}{tcg[load] / native[load]:12.1f}{husk[load] / tcg[load]:10.2f}"
              f"  {bench.units[load]}")
    means = [geometric_mean([top[load] / bottom[load] for load in loads])
             for top, bottom in ((husk, native), (tcg, native), (husk, tcg))]
    print(f"{'geometric mean':51}{means[0]:13.1f}{means[1]:12.1f}{means[2]:10.2f}")


def print_clocks(bench):
    for name, loads in bench.clock.items():
        medians = {load: statistics.median(values) for load, values in loads.items()}
        worst = max(medians, key=lambda load: abs(medians[load] - 1))
        off = "  OFF" if abs(medians[worst] - 1) > CLOCK_TOLERANCE else ""
        print(f"clock of {name:7} {statistics.median(medians.values()):.4f} of its seconds to a second of the host;"
              f" farthest off {medians[worst]:.4f} in {worst}{off}")


def host():
    with open("/proc/cpuinfo") as file:
        model = next((line.split(":")[1].strip() for line in file if line.startswith("model name")), "unknown")
    qemu = subprocess.run(["qemu-system-x86_64", "--version"], capture_output=True, text=True, check=True).stdout
    return {"cpu": model, "cpus": os.cpu_count(), "kernel": platform.release(), "load_average": os.getloadavg(),
            "qemu": qemu.splitlines()[0]}


def write_json(path, bench, args):
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    with open(path, "w") as out:
        json.dump({"unit": "seconds of host time for one unit", "runs": args.runs, "host": host(), "units": bench.units,
                   "raw": bench.samples, "medians": bench.medians(), "guest_seconds_per_host_second": bench.clock,
                   "checksums": bench.checksums, "failures": bench.failed()}, out, indent=1)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("husk")
    parser.add_argument("guest")
    parser.add_argument("program")
    parser.add_argument("--runs", type=int, default=5, help="rounds of all machines; each takes three samples")
    parser.add_argument("--loads", help="only these, with commas between")
    parser.add_argument("--milliseconds", type=float, default=110, help="how long a sample takes, about")
    parser.add_argument("--out")
    parser.add_argument("--smoke", action="store_true")
    args = parser.parse_args()
    if args.smoke:
        args.runs, args.milliseconds = 1, 0
    return args


def measure(args):
    with tempfile.TemporaryDirectory(prefix="husk-loads-") as scratch:
        ramdisk = os.path.join(scratch, "initrd")
        with open(ramdisk, "wb") as file:
            file.write(machine.initrd(args.program))
        wanted = commands(args, ramdisk)
        bench = Bench(wanted)
        for _ in range(args.runs):  # interleaved, so that a noisy minute hits all alike
            for name, command in wanted.items():
                bench.take(name, machine.Run(command))
    return bench


def main():
    args = arguments()
    bench = measure(args)
    if args.smoke:
        print(f"{len(bench.complete_loads())} loads: the same checksums on {' and '.join(bench.samples)}")
    elif bench.complete_loads():
        print_table(bench)
        print_clocks(bench)
    if args.out:
        write_json(args.out, bench, args)
    if bench.failed():
        sys.exit("\n".join(f"loads.py: {failure}" for failure in bench.failed()))


if __name__ == "__main__":
    main()
