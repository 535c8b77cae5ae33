#!/usr/bin/env python3
"""Snapshots of containers as users make and restore them: husk snapshot ..., husk restore.

Usage: snapshot_test.py HUSK GUEST_DIR IMAGES_DIR [unittest arguments]
ROUNDS (20) is how often a loaded guest is captured and goes on elsewhere, KILLS (12) how often a process is killed.
"""
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
import unittest

from host_cpu import missing_for_v3

HUSK, GUEST, IMAGES = (os.path.abspath(path) for path in sys.argv[1:4])
BUSYBOX, DEBIAN = "oci:" + os.path.join(IMAGES, "busybox"), "oci:" + os.path.join(IMAGES, "debian")
ROUNDS, KILLS = int(os.environ.get("ROUNDS", "20")), int(os.environ.get("KILLS", "12"))
PATIENCE = 120  # seconds until something hangs

COUNT = "i=0; while :; do echo line $i; i=$((i+1)); usleep 20000; done"
# Files and hashes that must come out the same, beside numbered lines. SIGUSR1: the kernel's complaints, and the end.
LOAD = """
trap 'dmesg | grep -iE "lockup|stall|hung|i/o error"; echo complaints over; exit 5' USR1
want=$(head -c 200000 /dev/zero | sha256sum)
(while :; do [ "$(head -c 200000 /dev/zero | sha256sum)" = "$want" ] || echo BROKEN hash; done) &
(while :; do dd if=/dev/urandom of=/tmp/a bs=16k count=8 2>/dev/null; cp /tmp/a /tmp/b; sync; cmp /tmp/a /tmp/b || echo BROKEN file; done) &
(while :; do a=$(cut -d. -f1 /proc/uptime); sleep 1; b=$(cut -d. -f1 /proc/uptime); [ $((b-a)) -ge 1 ] || echo BROKEN timer; done) &
""" + COUNT
CLOCKS = "import time\nwhile True: print(time.time(), time.monotonic(), flush=True); time.sleep(.05)"


class Machine:
    """A husk process in the foreground whose output is kept as it comes, each line with its time."""

    def __init__(self, test, *words):
        self.output, self.times, self.test = [], [], test
        self.process = subprocess.Popen([HUSK, *words], env=test.environment, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        os.set_blocking(self.process.stdout.fileno(), False)
        self.rest = ""
        test.addCleanup(self.close)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.process.stderr.close()

    def read(self):
        """What there is; True at the end of it."""
        try:
            piece = os.read(self.process.stdout.fileno(), 1 << 16)
        except BlockingIOError:
            return False
        now = time.time()
        lines = (self.rest + piece.decode()).split("\n")
        self.rest = lines.pop()
        self.output += lines
        self.times += [now] * len(lines)
        return not piece

    def wait_for(self, count, what=""):
        """Until there are so many lines that begin so."""
        until = time.monotonic() + PATIENCE
        while sum(line.startswith(what) for line in self.output) < count:
            if self.read() or time.monotonic() > until:
                self.test.fail(f"{self.process.args}: {self.output[-5:]} {self.process.poll()} {self.errors()}")
            time.sleep(.002)

    def errors(self):
        self.process.kill()
        return self.process.stderr.read().decode()[-2000:]

    def end(self):
        """The exit code, once all output was read."""
        until = time.monotonic() + PATIENCE
        while not self.read():
            self.test.assertLess(time.monotonic(), until, "it does not end")
            time.sleep(.002)
        return self.process.wait(PATIENCE)


class Snapshots(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        scratch = tempfile.TemporaryDirectory(prefix="husk-snapshot-test-")
        cls.addClassCleanup(scratch.cleanup)
        cls.cache = os.path.join(scratch.name, "cache")

    def setUp(self):
        scratch = tempfile.TemporaryDirectory(prefix="husk-snapshot-test-")
        self.addCleanup(scratch.cleanup)
        self.scratch = scratch.name
        self.store = os.path.join(scratch.name, "snapshots")
        self.environment = {"PATH": os.environ["PATH"], "HUSK_GUEST_DIR": GUEST, "HUSK_CACHE": self.cache,
                            "HUSK_SNAPSHOTS": self.store, "HUSK_STATE": os.path.join(scratch.name, "state")}

    def husk(self, *words, code=0):
        result = subprocess.run([HUSK, *words], env=self.environment, stdin=subprocess.DEVNULL, capture_output=True,
                                text=True, timeout=PATIENCE, check=False)
        self.assertEqual(result.returncode, code, (words, result.stdout[-500:], result.stderr[-2000:]))
        return result.stdout if code == 0 else result.stderr

    def run_machine(self, name, *words):
        return Machine(self, "run", "--name", name, *words)

    def restore(self, snapshot, name, *words):
        return Machine(self, "restore", "--name", name, *words, snapshot)

    def create(self, machine, snapshot, *flags):
        return json.loads(self.husk("snapshot", "create", "--format", "json", *flags, machine, snapshot))

    def listed(self):
        return json.loads(self.husk("snapshot", "tree", "--format", "json"))

    def file(self, name):
        return os.path.join(self.store, name + ".husk")

    def counted(self, name="box"):
        """A machine that counts, and has said so."""
        machine = self.run_machine(name, BUSYBOX, "sh", "-c", COUNT)
        machine.wait_for(3, "line")
        return machine

    # Going on
    # ----------------------------------------------------------------------------------------------------------------

    def test_a_loaded_guest_goes_on_again_and_again_and_says_everything_once(self):
        machine = self.run_machine("m0", "--cpus", "2", "--memory", "256M", BUSYBOX, "sh", "-c", LOAD)
        said, seen = "", 0
        for number in range(ROUNDS):
            machine.wait_for(random.randint(2, 12), "line")
            self.husk("pause", f"m{number}")  # so that what it says from now on is said by its copy
            flags = ["--diff"] if number % 10 else []
            self.create(f"m{number}", f"s{number}", *flags)
            self.husk("kill", f"m{number}")
            machine.end()
            said += "\n".join(machine.output + [machine.rest])
            if number >= 10:
                self.husk("snapshot", "rm", "-f", f"s{number - 10}")
            machine = self.restore(f"s{number}", f"m{number + 1}")
        machine.wait_for(2, "line")
        self.husk("kill", "-s", "USR1", f"m{ROUNDS}")
        self.assertEqual(machine.end(), 5)
        said += "\n".join(machine.output + [machine.rest])
        lines = said.split("\n")
        numbers = [line for line in lines if line.startswith("line")]
        self.assertEqual(numbers, [f"line {i}" for i in range(len(numbers))])
        self.assertEqual([line for line in lines if not line.startswith("line")], ["complaints over", ""])

    @unittest.skipIf(missing_for_v3(), f"this host lacks {missing_for_v3()}")
    def test_ymm_registers_are_kept(self):
        with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "vector_state.c"), encoding="utf-8") as file:
            source = file.read()
        compile_and_run = 'printf "%s" "$1" > /tmp/v.c; gcc -O2 -mavx2 -o /tmp/v /tmp/v.c; exec /tmp/v'
        machine = self.run_machine("m0", "--cpu", "x86-64-v3", "--memory", "512M", DEBIAN, "sh", "-c", compile_and_run, "sh", source)
        machine.wait_for(3, "line")
        for number in range(4):
            self.create(f"m{number}", f"s{number}")
            self.husk("kill", f"m{number}")
            machine.end()
            machine = self.restore(f"s{number}", f"m{number + 1}")
            machine.wait_for(5, "line")
            self.assertEqual([line for line in machine.output if not line.startswith("line")], [])
        self.husk("kill", "m4")
        machine.end()

    def test_the_machine_itself_goes_on_and_its_copies_end_as_it_does(self):
        script = "trap 'echo told; exit 7' TERM; " + COUNT
        machine = self.run_machine("box", BUSYBOX, "sh", "-c", script)
        machine.wait_for(3, "line")
        self.create("box", "one")
        machine.wait_for(len(machine.output) + 5, "line")
        copies = [self.restore("one", f"c{i}") for i in range(2)]
        for copy in copies:
            copy.wait_for(5, "line")
        for copy in copies:
            copy.process.send_signal(signal.SIGTERM)
            self.assertEqual(copy.end(), 7)
            self.assertEqual(copy.output[-1], "told")
        machine.process.send_signal(signal.SIGTERM)
        self.assertEqual(machine.end(), 7)
        self.assertEqual(machine.output[:-1], [f"line {i}" for i in range(len(machine.output) - 1)])

    def test_a_detached_copy_has_a_name_and_logs(self):
        self.counted()
        self.create("box", "one")
        self.husk("restore", "-d", "--name", "copy", "one")
        until = time.monotonic() + PATIENCE
        while "line" not in self.husk("logs", "copy"):
            self.assertLess(time.monotonic(), until)
            time.sleep(.05)
        self.husk("kill", "copy")
        self.husk("rm", "copy")

    # The present
    # ----------------------------------------------------------------------------------------------------------------

    def test_copies_differ(self):
        script = "while :; do echo id $(cat /proc/sys/kernel/random/uuid) $(hostname); usleep 100000; done"
        machine = self.run_machine("box", BUSYBOX, "sh", "-c", script)
        machine.wait_for(2, "id")
        self.create("box", "one")
        machine_id = "0123456789abcdef0123456789abcdef"
        copies = [self.restore("one", "aa", "--hostname", "alpha", "--machine-id", machine_id),
                  self.restore("one", "bb", "--hostname", "beta"),
                  self.restore("one", "cc")]
        for copy in copies:
            copy.wait_for(6, "id")
        uuids = [{line.split()[1] for line in copy.output[2:]} for copy in copies]  # it was told at once
        self.assertEqual(len(set.union(*uuids)), sum(map(len, uuids)), uuids)
        self.assertEqual([copy.output[5].split()[2] for copy in copies], ["alpha", "beta", "box"])
        ids = [self.husk("exec", name, "sh", "-c", "cat /etc/machine-id || true").strip() for name in ("aa", "bb")]
        self.assertEqual(ids, [machine_id, ""], "who wants none keeps what there was: here none")

    def test_the_clock_is_right_a_year_later_and_monotonic_time_has_not_counted_it(self):
        # The guest's clock is a year behind, as it is in a copy of a snapshot that is a year old.
        year = 365 * 86400
        behind = f"import time; time.clock_settime(time.CLOCK_REALTIME, time.time() - {year})\n" + CLOCKS
        machine = self.run_machine("box", DEBIAN, "python3", "-c", behind)
        machine.wait_for(3)
        self.assertLess(float(machine.output[2].split()[0]), time.time() - year / 2)
        self.husk("pause", "box")
        self.create("box", "one")
        self.husk("kill", "box")
        machine.end()
        time.sleep(3)
        copy = self.restore("one", "copy")
        copy.wait_for(30)
        samples = [tuple(map(float, line.split())) + (then,) for line, then in zip(copy.output[3:], copy.times[3:])]
        error = min(then - now for now, _, then in samples)
        print(f"clock: behind by {error * 1000:.1f} ms at most, delivery included", file=sys.stderr)
        self.assertLess(abs(error), .05)
        steady = [float(line.split()[1]) for line in machine.output + copy.output]
        self.assertEqual(steady, sorted(steady))
        self.assertLess(max(b - a for a, b in zip(steady, steady[1:])), 2)

    # Cost
    # ----------------------------------------------------------------------------------------------------------------

    def test_a_diff_is_as_large_as_what_was_written(self):
        write = "dd if=/dev/urandom of=/tmp/x bs=1M count=16 2>/dev/null; echo written"
        script = f"trap '{write}' USR1; echo ready; while :; do usleep 50000; done"
        machine = self.run_machine("box", "--memory", "512M", BUSYBOX, "sh", "-c", script)
        machine.wait_for(1, "ready")
        self.create("box", "one")
        self.husk("kill", "-s", "USR1", "box")
        machine.wait_for(1, "written")
        self.create("box", "two", "--diff")
        size = os.path.getsize(self.file("two"))
        print(f"diff: {size / 2**20:.1f} MiB for 16 MiB", file=sys.stderr)
        self.assertGreater(size, 16 << 20)
        self.assertLess(size, 24 << 20)

    def test_a_live_one_pauses_for_a_moment(self):
        machine = self.run_machine("box", "--memory", "1G", BUSYBOX, "sh", "-c", COUNT)
        machine.wait_for(3, "line")
        report = self.create("box", "one", "--live")
        print(f"live: paused for {report['paused_ms']:.1f} ms, {report['rounds']} rounds", file=sys.stderr)
        self.assertLess(report["paused_ms"], 1000)  # which a still one of this machine would not be
        copy = self.restore("one", "copy")
        copy.wait_for(3, "line")

    def test_list_tree_flatten_and_removal(self):
        self.counted()
        for name, flags in (("one", []), ("two", ["--diff"]), ("three", ["--diff", "--live", "--compress"])):
            self.create("box", name, *flags)
        self.assertEqual([(e["name"], e["depth"], e["parent"]) for e in self.listed()],
                         [("one", 0, None), ("two", 1, "one"), ("three", 2, "two")])
        self.assertLess(self.listed()[1]["disk_size"], self.listed()[0]["disk_size"])
        self.assertIn("'two' builds on it", self.husk("snapshot", "rm", "one", code=125))
        self.husk("snapshot", "flatten", "three", "flat")
        self.husk("snapshot", "verify", "one", "two", "three", "flat")
        self.husk("snapshot", "rm", "three", "two", "one")
        self.assertEqual([e["name"] for e in self.listed()], ["flat"])
        self.restore("flat", "copy").wait_for(3, "line")
        inspected = json.loads(self.husk("snapshot", "inspect", "flat"))[0]
        self.assertEqual((inspected["vcpus"], inspected["identity"]["name"]), (1, "box"))

    # Refusals: one line that names the thing
    # ----------------------------------------------------------------------------------------------------------------

    def refused(self, pattern, *words):
        error = self.husk(*words, code=125)
        self.assertRegex(error, pattern)
        self.assertEqual(error.count("\n"), 1, error)

    def test_what_cannot_be_is_refused(self):
        machine = self.counted()
        self.refused(r"two: a diff needs a snapshot", "snapshot", "create", "--diff", "box", "two")
        self.create("box", "one")
        self.refused(r"one\.husk: exists", "snapshot", "create", "box", "one")
        self.refused(r"a diff lies beside", "snapshot", "create", "--diff", "box", os.path.join(self.scratch, "x"))
        self.refused(r"nobody", "snapshot", "create", "nobody", "x")
        self.refused(r"none\.husk: cannot open the snapshot", "restore", "none")
        machine.wait_for(len(machine.output) + 2, "line")
        base = os.path.join(self.cache, "base")
        base = next(os.path.join(base, name) for name in os.listdir(base) if name.endswith(".husk"))
        self.refused(r"is no snapshot of a container", "restore", base)

    def test_a_damaged_file_is_refused_by_what_is_damaged(self):
        self.counted()
        self.create("box", "one")
        with open(self.file("one"), "rb") as file:
            whole = file.read()
        path = os.path.join(self.scratch, "damaged")

        def damaged(at, length=1):
            data = bytearray(whole)
            data[at:at + length] = bytes(byte ^ 0xff for byte in data[at:at + length])
            with open(path, "wb") as file:
                file.write(data)
        for at in (0, 20, 50, len(whole) - 100):
            damaged(at)
            self.refused(re.escape(path), "restore", path)
        used = next(at for at in range(1 << 20, len(whole) - (1 << 20), 4096) if any(whole[at:at + 4096]))
        damaged(used)
        error = self.husk("snapshot", "verify", path, code=125)
        self.assertIn(f"{used - 65536 & ~0xfffff:#x}", error)
        with open(path, "wb") as file:
            file.write(whole[:len(whole) // 2])
        self.refused(re.escape(path), "restore", path)

    def test_another_root_image_or_none_is_refused(self):
        cache, self.cache = self.cache, os.path.join(self.scratch, "cache")
        self.addCleanup(setattr, self, "cache", cache)
        self.environment["HUSK_CACHE"] = self.cache
        self.counted()
        self.create("box", "one")
        images = os.path.join(self.cache, "images")
        image = next(os.path.join(images, name) for name in os.listdir(images) if name.endswith(".erofs"))
        os.rename(image, image + ".away")
        self.refused(r"the snapshot's root image is gone", "restore", "one")
        with open(image + ".away", "rb") as old, open(image, "wb") as new:
            data = bytearray(old.read())
            data[1100] ^= 1
            new.write(data)
        self.refused(r"is another root image", "restore", "one")

    def test_a_full_disk_is_one_clear_error_and_the_machine_goes_on(self):
        small = os.path.join(self.scratch, "small")
        os.mkdir(small)
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "small", small], check=False, capture_output=True)
        if mounted.returncode != 0:
            self.skipTest("no right to mount")
        self.addCleanup(subprocess.run, ["umount", "-l", small], check=False)
        machine = self.counted()
        for flags in ([], ["--live"]):
            self.refused(r"small/one: .*No space left on device", "snapshot", "create", *flags, "box", os.path.join(small, "one"))
            self.assertEqual(os.listdir(small), [])
        machine.wait_for(len(machine.output) + 3, "line")
        self.create("box", "one")
        self.restore("one", "copy").wait_for(3, "line")

    # kill -9
    # ----------------------------------------------------------------------------------------------------------------

    def check_store(self, may_be):
        names = {entry["name"] for entry in self.listed() if "wrong" not in entry}
        self.assertEqual(names, {entry["name"] for entry in self.listed()})
        self.assertLessEqual(names, may_be)
        if names:
            self.husk("snapshot", "verify", *names)
        left = [name for name in os.listdir(self.store) if not name.endswith(".husk") and name != ".lock"]
        self.assertEqual(left, [])

    def test_killed_at_any_moment_leaves_whole_ones_or_none(self):
        machine = self.counted("box")
        self.create("box", "base")
        names = {"base"}
        for number in range(KILLS):
            machine = self.restore("base", f"k{number}")
            machine.wait_for(1, "line")
            kind = number % 3
            victim = machine.process
            if kind == 0:
                work = ["snapshot", "create", f"k{number}", f"full{number}"]
            elif kind == 1:
                work = ["snapshot", "create", "--diff", f"k{number}", f"diff{number}"]
            else:
                work = ["snapshot", "flatten", "base", f"flat{number}"]
            names.add(work[-1])
            worker = subprocess.Popen([HUSK, *work], env=self.environment, stdout=subprocess.DEVNULL,
                                      stderr=subprocess.DEVNULL)
            time.sleep(random.random() * (.1 if kind == 1 else .8))
            (worker if kind == 2 else victim).kill()
            worker.wait(PATIENCE)
            self.check_store(names)
            machine.close()
            if os.path.exists(self.file(work[-1])):  # so that the next check has little to read
                self.husk("snapshot", "rm", work[-1])
            names.remove(work[-1])


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1] + sys.argv[4:], verbosity=2)
