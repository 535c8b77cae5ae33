"""What of the host's processor decides whether a test can run."""
import re

# What x86-64-v3 needs, as Linux calls it; LZCNT is "abm".
V3 = {"avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe"}


def missing_for_v3():
    with open("/proc/cpuinfo", encoding="ascii") as file:
        flags = re.search(r"^(?:flags|Features)\s*: (.*)$", file.read(), re.M)
    return V3 - set(flags.group(1).split())
