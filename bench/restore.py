#!/usr/bin/env python3
"""`husk run IMAGE true` from its base snapshot, side by side with QEMU TCG's -incoming in the same run.

Usage: restore.py HUSK GUEST_DIR IMAGE OUT.json [RUNS]

husk is timed as a user sees it: from the start of the process to its end, the image's disk attached and its command run in
between. QEMU is timed from the start of the process to the guest's answer to a line on its serial port, restored from a
stream of Debian's kernel waiting for one; it has no image to attach, nothing to start and its end is not counted. Both
have 512 MiB, one CPU and a warm page cache. OUT.json keeps every raw number.
"""
import contextlib
import json
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

from timing import seconds_of

HUSK, GUEST, IMAGE, OUT = sys.argv[1:5]
RUNS = int(sys.argv[5]) if len(sys.argv) > 5 else 50
LIMIT = 60  # seconds for anything that is waited for
QEMU = ["qemu-system-x86_64", "-accel", "tcg", "-M", "pc", "-cpu", "max", "-m", "512", "-display", "none", "-serial", "stdio",
        "-no-reboot", "-nic", "none", "-kernel", os.path.join(GUEST, "vmlinuz"), "-initrd", os.path.join(GUEST, "test-initrd"),
        "-append", "console=ttyS0 quiet panic=-1 husk.test=echo"]


def wait_for(process, mark):
    for line in process.stdout:
        if mark in line:
            return
    sys.exit(f"restore.py: QEMU ended without saying {mark.decode()}")


@contextlib.contextmanager
def qemu(*more):
    with subprocess.Popen([*QEMU, *more], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        guard = threading.Timer(LIMIT, process.kill)
        guard.start()
        try:
            yield process
        finally:
            guard.cancel()
            process.kill()


def qmp(path, *commands):
    """Executes QMP commands one after the other; waits for the end of a migration."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(LIMIT)
        connection.connect(path)
        lines = connection.makefile("rw")
        lines.readline()
        def execute(command, **arguments):
            lines.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
            lines.flush()
            while True:
                answer = json.loads(lines.readline())
                if "error" in answer:
                    sys.exit(f"restore.py: QEMU: {answer['error']['desc']}")
                if "return" in answer:
                    return answer["return"]
        execute("qmp_capabilities")
        for command, arguments in commands:
            execute(command, **arguments)
        while execute("query-migrate").get("status") not in ("completed", "failed"):
            time.sleep(0.05)
        if execute("query-migrate")["status"] == "failed":
            sys.exit("restore.py: QEMU could not save its guest")


def save_qemu(stream, control):
    with qemu("-qmp", f"unix:{control},server,nowait") as process:
        wait_for(process, b"HUSK waiting")
        unlimited = {"max-bandwidth": 1 << 40}
        qmp(control, ("migrate-set-parameters", unlimited), ("migrate", {"uri": f"exec:cat > {stream}"}))


def qemu_seconds(stream):
    """What arrives at the serial port before the guest is whole is lost, so the line is said until it is answered."""
    start = time.monotonic()
    with qemu("-incoming", f"exec:cat {stream}") as process:
        answered = threading.Event()
        def ask():
            while not answered.wait(0.002):
                with contextlib.suppress(BrokenPipeError):
                    os.write(process.stdin.fileno(), b"x\n")
        asking = threading.Thread(target=ask)
        asking.start()
        wait_for(process, b"HUSK read")
        elapsed = time.monotonic() - start
        answered.set()
        asking.join()
    return elapsed


def husk_seconds():
    return seconds_of([HUSK, "run", IMAGE, "true"], LIMIT)


def husk_phases():
    """Milliseconds by phase, as `husk --debug` tells them; `rest` is the kernel's: making the process and taking it away."""
    with tempfile.TemporaryFile("w+") as told:
        elapsed = seconds_of([HUSK, "--debug", "run", IMAGE, "true"], LIMIT, stderr=told) * 1e3
        told.seek(0)
        lines = told.read()
    phases = {name: float(value) for name, value in re.findall(r"phase: ([a-z ]+) ([0-9.]+) ms", lines)}
    phases["rest"] = max(0.0, elapsed - sum(phases.values()))
    return phases


def draw(phases, qemu_ms):
    """Bars one after the other, and QEMU's whole below them, to the same scale."""
    total = sum(phases.values())
    width = 60 / max(total, qemu_ms)
    print(f"where the time of husk goes, medians of each phase, {total:.1f} ms in all")
    at = 0.0
    for name, value in phases.items():
        print(f"  {name:10} {value:6.1f} |{' ' * int(at * width)}{'#' * max(1, round(value * width))}")
        at += value
    print(f"  {'qemu-tcg':10} {qemu_ms:6.1f} |{'=' * round(qemu_ms * width)}")


def main():
    raw = {"husk": [], "qemu-tcg": []}
    told = []
    with tempfile.TemporaryDirectory() as folder:
        stream = os.path.join(folder, "stream")
        save_qemu(stream, os.path.join(folder, "qmp"))
        husk_seconds()  # makes the base, and the image's disk
        for _ in range(RUNS):  # interleaved, so that a noisy minute hits both alike
            raw["husk"].append(husk_seconds())
            raw["qemu-tcg"].append(qemu_seconds(stream))
            told.append(husk_phases())
    medians = {name: statistics.median(values) for name, values in raw.items()}
    print(f"from a snapshot to a command's end (husk) or an answer (QEMU), {RUNS} runs each, milliseconds of wall time")
    for name, median in medians.items():
        print(f"  {name:10} median {median * 1e3:6.1f}  min {min(raw[name]) * 1e3:6.1f}  max {max(raw[name]) * 1e3:6.1f}"
              f"  ratio to husk {median / medians['husk']:5.2f}")
    phases = {name: statistics.median(one.get(name, 0.0) for one in told) for name in told[0]}
    draw(phases, medians["qemu-tcg"] * 1e3)
    os.makedirs(os.path.dirname(OUT), exist_ok=True)
    with open(OUT, "w") as out:
        json.dump({"unit": "s", "raw": raw, "medians": medians, "phases_ms": told}, out, indent=1)


if __name__ == "__main__":
    main()
