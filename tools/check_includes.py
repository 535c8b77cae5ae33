#!/usr/bin/env python3
"""Checks that rooms include only along the arrows of ARCHITECTURE.md. Prints each breach; exit status 1 if any."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent

# room: the rooms that it may include besides itself, all the way down.
BASE = {"base"}
CONTRACT = BASE | {"contract"}
MEMORY = CONTRACT | {"memory"}
SOFT = MEMORY | {"soft/decode", "soft/fpu", "soft/mmu", "soft/interp", "soft/jit", "soft/apic"}
ARROWS = {
    "base": set(),
    "contract": BASE,
    "api": BASE,
    "memory": CONTRACT,
    "boot": MEMORY,
    "platform": MEMORY,
    "virtio": MEMORY,
    "net": CONTRACT,
    "gdb": MEMORY | {"net"},
    "control": CONTRACT | {"api", "net"},
    "registry": BASE | {"api"},
    "snapshot": MEMORY | {"api"},
    "oci": BASE | {"api"},
    "cache": MEMORY | {"oci", "snapshot", "api"},
    "agent/protocol": BASE,
    "agent/guest": BASE | {"agent/protocol"},
    "agent/host": CONTRACT | {"agent/protocol"},
    "soft/decode": BASE,
    "soft/fpu": BASE | {"soft/decode"},
    "soft/mmu": MEMORY,
    "soft/apic": CONTRACT,
    "soft/interp": MEMORY | {"soft/decode", "soft/fpu", "soft/mmu"},
    "soft/jit": MEMORY | {"soft/decode", "soft/fpu", "soft/mmu", "soft/interp"},
    "soft": SOFT,
    "kvm/common": MEMORY,
    "kvm": MEMORY | {"kvm/common"},
    "runtime": MEMORY | SOFT | {"soft", "kvm", "kvm/common", "boot", "platform", "virtio", "net", "gdb", "oci", "snapshot", "cache", "agent/host", "agent/protocol", "api"},
    "cli": MEMORY | {"runtime", "control", "registry", "boot", "oci", "snapshot", "cache", "api", "agent/host", "agent/protocol"},
}


def room_of(path: str) -> str | None:
    path = path.replace("backend/soft/", "soft/", 1).replace("backend/kvm/", "kvm/", 1)
    parts = path.split("/")[:-1]
    for length in range(len(parts), 0, -1):
        room = "/".join(parts[:length])
        if room in ARROWS:
            return room
    return None


def main() -> int:
    breaches = 0
    for file in sorted((ROOT / "src").rglob("*.[ch]*")):
        if file.suffix not in (".h", ".cc"):
            continue
        room = room_of(str(file.relative_to(ROOT / "src")))
        if room is None:
            print(f"{file.relative_to(ROOT)}: belongs to no room")
            breaches += 1
            continue
        for number, line in enumerate(file.read_text().splitlines(), 1):
            match = re.match(r'#include "([^"]+)"', line)
            if not match or match.group(1).startswith("husk/"):
                continue
            target = room_of(match.group(1))
            if target is None or target == room or target in ARROWS[room]:
                continue
            print(f"{file.relative_to(ROOT)}:{number}: {room} may not include {target}")
            breaches += 1
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main())
