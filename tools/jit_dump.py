#!/usr/bin/env python3
"""Shows what HUSK_JIT_DUMP wrote: guest code and its translation, the hottest first.

Usage: jit_dump.py DUMP [--samples FILE] [--most N] [--rip HEX]
--samples: the output of `perf script -F ip`, of the same run; without it, in the order of translation.
"""
import argparse
import bisect
import collections
import subprocess
import tempfile


class Translation:
    def __init__(self, line):
        rip, at, guest, code = line.split()
        self.rip, self.at = int(rip, 16), int(at, 16)
        self.guest, self.code = bytes.fromhex(guest), bytes.fromhex(code)
        self.hits = collections.Counter()  # samples by offset in the code


def instructions(code, address):
    """[(address, text)] as objdump tells them."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(code)
        file.flush()
        told = subprocess.run(["objdump", "-D", "-b", "binary", "-m", "i386:x86-64", "-M", "intel", "--no-show-raw-insn",
                               f"--adjust-vma={address:#x}", file.name], capture_output=True, text=True, check=True).stdout
    lines = (line.split(":", 1) for line in told.splitlines() if line.startswith((" ", "f", "7")) and ":\t" in line)
    return [(int(where, 16), " ".join(text.split())) for where, text in lines]


def count(translations, path):
    starts = sorted(translations, key=lambda t: t.at)
    addresses = [t.at for t in starts]
    samples = elsewhere = 0
    with open(path) as file:
        for line in file:
            ip, samples = int(line, 16), samples + 1
            index = bisect.bisect_right(addresses, ip) - 1
            if index >= 0 and ip < starts[index].at + len(starts[index].code):
                starts[index].hits[ip - starts[index].at] += 1
            else:
                elsewhere += 1
    print(f"{samples} samples, {elsewhere} of them not in translations")


def show(translation):
    print(f"\n{translation.rip:#x}: {translation.hits.total()} samples")
    for where, text in instructions(translation.guest, translation.rip):
        print(f"    {where:x}  {text}")
    for where, text in instructions(translation.code, translation.at):
        print(f"{translation.hits[where - translation.at] or '':6}    {where - translation.at:5x}  {text}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dump")
    parser.add_argument("--samples")
    parser.add_argument("--most", type=int, default=10)
    parser.add_argument("--rip", type=lambda text: int(text, 16))
    args = parser.parse_args()
    with open(args.dump) as file:
        translations = [Translation(line) for line in file]
    if args.samples:
        count(translations, args.samples)
        translations.sort(key=lambda t: -t.hits.total())
    wanted = [t for t in translations if args.rip in (None, t.rip)]
    for translation in wanted[:args.most]:
        show(translation)


if __name__ == "__main__":
    main()
