#!/usr/bin/env python3
"""Runs a bare-metal guest and judges what it says. Usage: run.py [--cpus N] HUSK GUEST.elf

The guest passes when it prints "plan N", N lines that begin with "ok" or "skip", and "end N", and the
machine ends with the guest's code for success or the status that --status asks for. --qemu runs it on QEMU's TCG
instead of Husk, for people who want to compare.

--backend kvm: on a KVM that `husk doctor` calls usable the same holds. On another, a software KVM or none, what the
guest could not show is no failure (status 77), but Husk must come out of it by itself.
"""
import argparse
import re
import subprocess
import sys

SUCCESS = 1  # isa-debug-exit: (0 << 1) | 1
LEFT_OUT = 77


def command(args):
    if args.qemu:
        return ["qemu-system-x86_64", "-accel", "tcg", "-cpu", args.qemu_cpu, "-smp", str(args.cpus), "-m", "64",
                "-kernel", args.guest, "-device", "isa-debug-exit,iobase=0xf4,iosize=4", "-device", "pc-testdev",
                "-display", "none", "-serial", "stdio", "-no-reboot"]
    return [args.husk, "boot", "--kernel", args.guest, "--debug-exit", "--test-device", "--memory", "64M",
            "--cpus", str(args.cpus)] + (["--backend", args.backend] if args.backend else [])


def why_unusable(args):
    """What `husk doctor` has against the backend; None when it is usable or nobody asked for it."""
    if not args.backend:
        return None
    for line in subprocess.check_output([args.husk, "doctor"], text=True).splitlines():
        name, verdict = line.split(maxsplit=1)
        if name == args.backend:
            return verdict if verdict.startswith("not usable") else None
    return f"{args.backend}: no such backend in this build"


def run(args):
    process = subprocess.Popen(command(args), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT)
    try:
        output, _ = process.communicate(timeout=args.timeout)
        return process.returncode, output.decode(errors="replace")
    except subprocess.TimeoutExpired:
        process.terminate()  # which a machine obeys whatever its guest does
        try:
            output, _ = process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            return -9, "run.py: husk did not obey SIGTERM"
        return None, output.decode(errors="replace")


def number_after(word, text):
    found = re.findall(rf"^{word} (\d+)\r?$", text, re.MULTILINE)
    return int(found[0]) if len(found) == 1 else None


def problems(status, text, wanted, says):
    passed = len(re.findall(r"^(?:ok|skip) ", text, re.MULTILINE))
    planned = number_after("plan", text)
    if status is None:
        yield "timed out"
    if planned is None:
        yield "no plan"
    elif passed != planned or number_after("end", text) != planned:
        yield f"{passed} of {planned} checks passed, end says {number_after('end', text)}"
    if status is not None and status != wanted:
        yield f"exit status {status}, not {wanted}"
    if says not in text:
        yield f"never said: {says}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("husk")
    parser.add_argument("guest")
    parser.add_argument("--cpus", type=int, default=1)
    parser.add_argument("--timeout", type=float, default=60)
    parser.add_argument("--status", type=int, default=SUCCESS, help="exit status to expect")
    parser.add_argument("--says", default="", help="text that must come out")
    parser.add_argument("--backend", default="", help="of husk; its own choice without")
    parser.add_argument("--qemu", action="store_true")
    parser.add_argument("--qemu-cpu", default="max")
    parser.add_argument("--verbose", action="store_true", help="print everything the guest said")
    args = parser.parse_args()
    status, text = run(args)
    for line in text.splitlines():
        if args.verbose or not line.startswith("ok "):
            print(line)
    found = list(problems(status, text, args.status, args.says))
    unusable = why_unusable(args) if found else None
    if unusable and (status is None or status >= 0):
        print("run.py: left out:", unusable)
        return LEFT_OUT
    for problem in found:
        print("run.py:", problem)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
