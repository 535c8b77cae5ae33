#!/usr/bin/env python3
"""Whole programs of a Debian tree on the host itself, under husk and under QEMU TCG, side by side in one run.

Usage: programs.py [--runs N] [--programs A,B] [--out FILE.json] HUSK GUEST_DIR ROOT_DIR
ROOT_DIR is what tools/make_bench_root.sh makes. The tree is a guest's initial RAM disk, programs/run its PID 1; on the
host it is a chroot, which wants root, and without root there is no native column.
"""
import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile

import loads
import machine

KERNEL_LINE = "console=ttyS0 quiet panic=-1 rdinit=/bench/run"
MEMORY_MIB = 2048
BOOT_LIMIT, RUN_LIMIT = 240, 1500  # seconds: from one line to the next, and in all
HERE = os.path.dirname(os.path.abspath(__file__))
INPUT_SIZE = 6 << 20  # bytes of the tree's own files that xz is given


def our_files(root_tar):
    """{path in the tree: (mode, bytes)} of what the programs work on, and of what starts them."""
    files = {"bench/input": (0o644, archive_input(root_tar)),
             "etc/apt/sources.list": (0o644, b"deb [trusted=yes] file:/mirror ./\n")}
    for name in ("run", "work.py", "work.sql"):
        with open(os.path.join(HERE, "programs", name), "rb") as file:
            files["bench/" + name] = (0o755, file.read())
    return files


def archive_input(root_tar):
    """Some programs and libraries, the same for all machines."""
    listing = subprocess.run(["tar", "-xOf", root_tar, "--wildcards", "./usr/lib/x86_64-linux-gnu/libc.so.6",
                              "./usr/bin/openssl", "./usr/lib/python3.11/*.py"], capture_output=True, check=True).stdout
    return listing[:INPUT_SIZE]


def make_initrd(directory, files, out):
    """The tree, and behind it a second archive with ours, as Linux takes them (buffer-format.rst)."""
    shutil.copyfile(os.path.join(directory, "root.cpio"), out)
    with open(out, "ab") as file:
        file.write(b"\0" * (-file.tell() % 512))
        file.write(machine.newc("bench", 0o040755))
        for path, (mode, data) in files.items():
            file.write(machine.newc(path, 0o100000 | mode, data))
        file.write(machine.newc("TRAILER!!!", 0))


class Chroot:
    """The tree on the host's disk, anew for each run: installing packages changes it."""

    def __init__(self, root_tar, files, scratch, programs):
        self.root_tar, self.files, self.programs = root_tar, files, programs
        self.place = os.path.join(scratch, "root")

    def command(self):
        shutil.rmtree(self.place, ignore_errors=True)
        os.mkdir(self.place)
        subprocess.run(["tar", "-xf", self.root_tar, "-C", self.place], check=True)
        os.mkdir(os.path.join(self.place, "bench"))
        for path, (mode, data) in self.files.items():
            with open(os.path.join(self.place, path), "wb") as file:
                file.write(data)
            os.chmod(os.path.join(self.place, path), mode)
        inside = 'mount -t proc proc "$1/proc" && mount --bind /dev "$1/dev" && exec chroot "$1" /bench/run'
        return ["env", f"programs={self.programs}", "unshare", "--mount", *loads.ONE_CPU, "sh", "-c", inside, "sh", self.place]


def commands(args, scratch):
    """{machine: a function that makes its command for the next run}."""
    root_tar = os.path.join(args.root, "root.tar")
    files = our_files(root_tar)
    initrd = os.path.join(scratch, "initrd")
    make_initrd(args.root, files, initrd)
    chosen = " ".join(args.programs.split(",")) if args.programs else ""
    kernel_line = KERNEL_LINE + (f' "programs={chosen}"' if chosen else "")
    guest = ["--kernel", os.path.join(args.guest, "vmlinuz"), "--initrd", initrd, "--append", kernel_line]
    qemu = [word.removeprefix("-") if word.startswith("--") else word for word in guest]
    every = {
        "husk": lambda: [args.husk, "boot", *guest, "--memory", f"{MEMORY_MIB}M"],
        "tcg": lambda: ["qemu-system-x86_64", "-accel", "tcg", "-M", "pc", "-cpu", "max", "-m", str(MEMORY_MIB), "-nographic",
                        "-no-reboot", "-nic", "none", *qemu],
    }
    if os.geteuid() == 0:
        every["native"] = Chroot(root_tar, files, scratch, chosen).command
    return every


def print_table(bench):
    medians, has_native = bench.medians(), "native" in bench.samples
    print("seconds of the host's clock for one unit, medians; ratios above 1 favour husk over TCG")
    print(f"{'program':16}{'native':>11}{'husk':>11}{'tcg':>11}{'husk/native':>13}{'tcg/husk':>10}  unit")
    ratios = []
    for load in bench.complete_loads():
        husk, tcg = medians["husk"][load], medians["tcg"][load]
        native = medians["native"][load] if has_native else None
        ratios.append(tcg / husk)
        print(f"{load:16}" + (f"{native:11.3g}" if native else f"{'-':>11}") + f"{husk:11.3g}{tcg:11.3g}"
              + (f"{husk / native:13.1f}" if native else f"{'-':>13}") + f"{ratios[-1]:10.2f}  {bench.units[load]}")
    if ratios:
        print(f"{'geometric mean':62}{loads.geometric_mean(ratios):10.2f}; worst {min(ratios):.2f},"
              f" median {statistics.median(ratios):.2f}")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("husk")
    parser.add_argument("guest")
    parser.add_argument("root")
    parser.add_argument("--runs", type=int, default=2)
    parser.add_argument("--programs", help="only these, with commas between")
    parser.add_argument("--out")
    return parser.parse_args()


def main():
    args = arguments()
    with tempfile.TemporaryDirectory(prefix="husk-programs-") as scratch:
        wanted = commands(args, scratch)
        bench = loads.Bench(wanted)
        for _ in range(args.runs):  # interleaved, so that a noisy minute hits all alike
            for name, command in wanted.items():
                bench.take(name, machine.Run(command(), RUN_LIMIT, BOOT_LIMIT))
    print_table(bench)
    if args.out:
        loads.write_json(args.out, bench, args)
    if bench.failed():
        sys.exit("\n".join(f"programs.py: {failure}" for failure in bench.failed()))


if __name__ == "__main__":
    main()
