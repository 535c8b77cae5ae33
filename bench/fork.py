#!/usr/bin/env python3
"""Forks of one running guest: how soon they are up and executing, what they cost, and what they cost idle.

Usage: fork.py HUSK GUEST_DIR IMAGE OUT.json [FORKS]

One guest of 256 MiB runs `sleep`; `husk fork -n FORKS` (200) makes copies of it, and returns when all of them execute. Then
each is asked for a command's output, by its own `husk exec`, and all must differ in /proc/sys/kernel/random/uuid and host
name; they have no network card, so no MAC. Private memory is Private_Clean and Private_Dirty of smaps_rollup, a few seconds
later. At last a hundred of them are left idle for ten seconds: CPU time is that of their processes, in ticks of 10 ms. CPU
time of all processors during the fork is told too, for a host on which others work. OUT.json keeps every raw number.
"""
import concurrent.futures
import glob
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

HUSK, GUEST, IMAGE, OUT = sys.argv[1:5]
FORKS = int(sys.argv[5]) if len(sys.argv) > 5 else 200
IDLE = 100
LIMIT = 300  # seconds for anything that is waited for
UNIQUE = "cat /proc/sys/kernel/random/uuid; hostname"
TICK = os.sysconf("SC_CLK_TCK")


class Machines:
    def __init__(self, folder):
        self.environment = dict(os.environ, HUSK_GUEST_DIR=GUEST, HUSK_STATE=os.path.join(folder, "state"),
                                HUSK_CACHE=os.path.join(folder, "cache"))

    def husk(self, *args):
        return subprocess.run([HUSK, *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, check=True,
                              timeout=LIMIT, env=self.environment).stdout

    def processes(self, ids):
        """The process of each, by what its record says."""
        owners = {}
        for path in glob.glob(os.path.join(self.environment["HUSK_STATE"], "machines", "*", "machine.json")):
            with open(path) as file:
                record = json.load(file)
            owners[record["id"]] = record["owner"]["pid"]
        return [owners[one] for one in ids]

    def end(self):
        ids = self.husk("ps", "-aq").split()
        if ids:
            self.husk("rm", "-f", *ids)


def cpu_of(pid):
    """Seconds of user and system time, to a tick."""
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def cpu_of_host():
    with open("/proc/stat") as file:
        user, nice, system, _idle, _iowait, irq, softirq, *_ = map(int, file.readline().split()[1:])
    return (user + nice + system + irq + softirq) / TICK


def private_kib(pid):
    with open(f"/proc/{pid}/smaps_rollup") as file:
        return sum(int(line.split()[1]) for line in file if line.startswith("Private_") and "Hugetlb" not in line)


def timed_fork(machines, count):
    cpu, start = cpu_of_host(), time.monotonic()
    ids = machines.husk("fork", "parent", "-n", str(count)).split()
    return ids, time.monotonic() - start, cpu_of_host() - cpu


def answers(machines, ids):
    start = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        said = list(pool.map(lambda one: machines.husk("exec", one, "sh", "-c", UNIQUE).split(), ids))
    for what, column in (("uuid", 0), ("host name", 1)):
        if len({answer[column] for answer in said}) != len(ids):
            sys.exit(f"fork.py: two forks have the same {what}")
    return time.monotonic() - start


def idle_share(pids):
    before, start = sum(map(cpu_of, pids)), time.monotonic()
    time.sleep(10)
    return (sum(map(cpu_of, pids)) - before) / (time.monotonic() - start)


def measure(machines):
    machines.husk("run", "-d", "--name", "parent", "-m", "256M", IMAGE, "sleep", "100000")
    time.sleep(2)
    hundred, seconds, cpu = timed_fork(machines, IDLE)
    time.sleep(5)
    raw = {"hundred": {"seconds": seconds, "cpu": cpu, "idle_cores": idle_share(machines.processes(hundred))}}
    machines.husk("rm", "-f", *hundred)
    ids, seconds, cpu = timed_fork(machines, FORKS)
    time.sleep(3)
    raw["forks"] = {"count": FORKS, "seconds": seconds, "cpu": cpu,
                    "private_kib": sorted(map(private_kib, machines.processes(ids))), "answers_seconds": answers(machines, ids)}
    return raw


def main():
    with tempfile.TemporaryDirectory() as folder:
        machines = Machines(folder)
        try:
            raw = measure(machines)
        finally:
            machines.end()
    hundred, forks = raw["hundred"], raw["forks"]
    private = forks["private_kib"]
    print(f"forks of one 256 MiB guest, {os.cpu_count()} processors")
    print(f"  100 up and executing     {hundred['seconds']:6.2f} s   (CPU of the whole host meanwhile {hundred['cpu']:.2f} s)")
    print(f"  {forks['count']} up and executing     {forks['seconds']:6.2f} s   (CPU of the whole host meanwhile {forks['cpu']:.2f} s)")
    print(f"  each answers, all differ {forks['answers_seconds']:6.2f} s")
    print(f"  private memory, KiB      median {statistics.median(private):.0f}  min {private[0]}  max {private[-1]}")
    print(f"  100 idle for 10 s        {hundred['idle_cores'] * 100:6.1f} % of one processor")
    os.makedirs(os.path.dirname(OUT) or ".", exist_ok=True)
    with open(OUT, "w") as out:
        json.dump(raw, out, indent=1)


if __name__ == "__main__":
    main()
