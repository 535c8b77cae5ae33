#!/usr/bin/env python3
"""What `husk bake` gains: a command of an image from its baked machine, and from the base snapshot, interleaved.

Usage: bake.py HUSK GUEST_DIR IMAGE OUT.json [RUNS]

IMAGE has python3. Timed as a user sees it, from the start of the process to its end, with a warm page cache on the host; the
warm-up is the command itself. A cache of its own; OUT.json keeps every raw number.
"""
import json
import os
import statistics
import subprocess
import sys
import tempfile

from timing import seconds_of

HUSK, GUEST, IMAGE, OUT = sys.argv[1:5]
RUNS = int(sys.argv[5]) if len(sys.argv) > 5 else 20
LIMIT = 120  # seconds for anything that is waited for
COMMANDS = {"true": "true", "python3": "python3 -c 'print(6 * 7)'"}


def husk(environment, *words):
    return seconds_of([HUSK, *words], LIMIT, env=environment, stdout=subprocess.DEVNULL)


def main():
    raw = {f"{name}, {how}": [] for name in COMMANDS for how in ("baked", "base")}
    with tempfile.TemporaryDirectory(prefix="husk-bench-") as folder:
        environment = {**os.environ, "HUSK_GUEST_DIR": GUEST, "HUSK_CACHE": folder + "/cache", "HUSK_STATE": folder + "/state"}
        husk(environment, "run", IMAGE, "true")  # makes the base, and the image's disk
        baking = husk(environment, "bake", "--warmup", COMMANDS["python3"], IMAGE)
        for _ in range(RUNS):  # interleaved, so that a noisy minute hits both alike
            for name, command in COMMANDS.items():
                raw[f"{name}, baked"].append(husk(environment, "run", IMAGE, "sh", "-c", command))
                raw[f"{name}, base"].append(husk(environment, "run", "--no-bake", IMAGE, "sh", "-c", command))
    medians = {name: statistics.median(values) for name, values in raw.items()}
    print(f"husk run, {RUNS} runs each, milliseconds of wall time; baking took {baking:.1f} s")
    for name, median in medians.items():
        print(f"  {name:14} median {median * 1e3:6.1f}  min {min(raw[name]) * 1e3:6.1f}  max {max(raw[name]) * 1e3:6.1f}")
    os.makedirs(os.path.dirname(OUT), exist_ok=True)
    with open(OUT, "w") as out:
        json.dump({"unit": "s", "raw": raw, "medians": medians, "baking": baking}, out, indent=1)


if __name__ == "__main__":
    main()
