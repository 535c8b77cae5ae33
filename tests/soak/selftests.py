#!/usr/bin/env python3
"""Runs Linux's x86 selftests (tools/testing/selftests/x86 of linux-source-6.1, 64 and 32 bits) in guests of the built-in
CPU; all must pass that pass on a real machine. Usage: selftests.py [--on MODE:CPUS,...] [--tests A,B] HUSK GUEST_DIR SOAK_DIR
"""
import argparse
import re
import sys

import guest

# Those that a real machine without the feature fails as well.
LEFT_OUT = {"amx_64": "wants AMX, which no processor model has"}
FEWEST = 40  # of 44: a build that left many out is no proof

SCRIPT = r"""cd /opt/linux/tools/testing/selftests/x86 || exit 99
for test in %s; do
  timeout 400 "./$test" > /tmp/log 2>&1
  status=$?
  echo "SELFTEST $test $status"
  [ $status = 0 ] || tail -n 30 /tmp/log
done
"""


def judge(where, output, limit_to):
    """Lines about what is wrong."""
    results = dict(re.findall(r"^SELFTEST (\S+) (\d+)\r?$", output, re.MULTILINE))
    failed = [name for name, status in results.items() if status != "0" and name not in LEFT_OUT]
    passed = sum(status == "0" for status in results.values())
    guest.say(f"{where}: {passed} of {len(results)} passed"
              + "".join(f"; {name} left out: {why}" for name, why in LEFT_OUT.items() if name in results))
    for name in failed:
        yield f"{where}: {name} failed with {results[name]}"
    if not limit_to and len(results) < FEWEST:
        yield f"{where}: only {len(results)} tests were run"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("husk")
    parser.add_argument("guest")
    parser.add_argument("soak")
    parser.add_argument("--on", default="jit:1,jit:2,interp:2", help="CPU modes and numbers of vCPUs")
    parser.add_argument("--tests", help="only these, with commas between")
    args = parser.parse_args()
    guests, wrong = guest.Guests(args.husk, args.guest, args.soak), []
    wanted = " ".join(args.tests.split(",")) if args.tests else "*_32 *_64"
    for mode, cpus in guest.parse_configurations(args.on):
        where = f"{mode}, {cpus} vCPU"
        status, output, _ = guests.run(mode, cpus, SCRIPT % wanted, limit=2400)
        found = list(judge(where, output, args.tests))
        if status != 0:
            found.append(f"{where}: the guest " + ("hung" if status == guest.HUNG else f"ended with {status}"))
        if found:
            print(output)
        wrong += found
    if wrong:
        sys.exit("\n".join(f"selftests.py: {line}" for line in wrong))


if __name__ == "__main__":
    main()
