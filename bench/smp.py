#!/usr/bin/env python3
"""What a second vCPU is worth: two workers side by side, on one vCPU and on two, under husk and under QEMU TCG
(-smp 2, thread=multi), side by side in one run; and on one and all processors of the host itself, whose gain tells whether
there was a second one to be had. Usage: smp.py [--runs N] [--loads A,B] [--out FILE.json] HUSK GUEST_DIR LOADS_PROGRAM
"""
import argparse
import os
import tempfile

import loads
import machine

LOADS = "parallel-hash,parallel-branch,parallel-calls,parallel-faults,parallel-forks"
WANTED = 1.8  # times as much work in the same time on two


def commands(args, ramdisk):
    kernel = os.path.join(args.guest, "vmlinuz")
    append = f"{loads.KERNEL_LINE} milliseconds={args.milliseconds} loads={args.loads}"
    native = [args.program, str(args.milliseconds), *args.loads.split(",")]
    every = {"native-1": [*loads.ONE_CPU, *native], "native-2": native}
    for cpus in (1, 2):
        every[f"husk-{cpus}"] = [args.husk, "boot", "--backend", "soft", "--kernel", kernel, "--initrd", ramdisk,
                                 "--append", append, "--memory", "512M", "--cpus", str(cpus)]
        every[f"tcg-{cpus}"] = ["qemu-system-x86_64", "-accel", "tcg,thread=multi", "-M", "pc", "-cpu", "max", "-m", "512",
                                "-smp", str(cpus), "-nographic", "-no-reboot", "-nic", "none", "-kernel", kernel,
                                "-initrd", ramdisk, "-append", append]
    return every


def gain(medians, machine_name, load):
    return medians[f"{machine_name}-1"][load] / medians[f"{machine_name}-2"][load]


def print_table(bench):
    medians = bench.medians()
    print("milliseconds of the host's clock for two workers' shares, medians; gain: one vCPU's time by two vCPUs'")
    print(f"{'load':18}{'host gain':>10}{'husk 1':>9}{'husk 2':>9}{'gain':>7}{'tcg 1':>10}{'tcg 2':>10}{'gain':>7}{'tcg 2/husk 2':>14}")
    gains = []
    for load in bench.complete_loads():
        one, two, tcg_one, tcg_two = (medians[name][load] * 1e3 for name in ("husk-1", "husk-2", "tcg-1", "tcg-2"))
        gains.append(gain(medians, "husk", load))
        print(f"{load:18}{gain(medians, 'native', load):10.2f}{one:9.2f}{two:9.2f}{gains[-1]:7.2f}{tcg_one:10.2f}{tcg_two:10.2f}"
              f"{gain(medians, 'tcg', load):7.2f}{tcg_two / two:14.1f}")
    if gains:
        print(f"geometric mean of husk's gains {loads.geometric_mean(gains):.2f}; wanted {WANTED} on a host with two idle cores,"
              f" load average of this one {os.getloadavg()[0]:.1f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("husk")
    parser.add_argument("guest")
    parser.add_argument("program")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--loads", default=LOADS)
    parser.add_argument("--milliseconds", type=float, default=300)
    parser.add_argument("--out")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="husk-smp-") as scratch:
        ramdisk = os.path.join(scratch, "initrd")
        with open(ramdisk, "wb") as file:
            file.write(machine.initrd(args.program))
        wanted = commands(args, ramdisk)
        bench = loads.Bench(wanted)
        for _ in range(args.runs):  # interleaved, so that a noisy minute hits all alike
            for name, command in wanted.items():
                bench.take(name, machine.Run(command))
    print_table(bench)
    if args.out:
        loads.write_json(args.out, bench, args)
    if bench.failed():
        raise SystemExit("\n".join(f"smp.py: {failure}" for failure in bench.failed()))


if __name__ == "__main__":
    main()
