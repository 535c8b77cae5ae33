#!/usr/bin/env python3
"""Forks of running machines as users make them: husk fork. Usage: fork_test.py HUSK GUEST_DIR IMAGES_DIR"""
import concurrent.futures
import os
import re
import subprocess
import sys
import tempfile
import time
import unittest

HUSK, GUEST, IMAGES = (os.path.abspath(path) for path in sys.argv[1:4])
BUSYBOX, DEBIAN = "oci:" + os.path.join(IMAGES, "busybox"), "oci:" + os.path.join(IMAGES, "debian")
SCRATCH = tempfile.TemporaryDirectory(prefix="husk-fork-test-")
COUNT = "i=0; while :; do echo line $i; i=$((i+1)); sleep .1; done"
# All of what two copies must not have in common.
UNIQUE = "cat /proc/sys/kernel/random/uuid; hostname; head -c 16 /dev/urandom | od -An -tx1; cat /etc/machine-id"


def forks_left():
    return sorted(name for name in os.listdir("/dev/shm") if name.startswith("husk-fork-"))


class Fork(unittest.TestCase):
    def setUp(self):
        self.environment = {"PATH": os.environ["PATH"], "HUSK_GUEST_DIR": GUEST, "HUSK_STATE": tempfile.mkdtemp(dir=SCRATCH.name),
                            "HUSK_CACHE": os.path.join(SCRATCH.name, "cache")}
        self.left = forks_left()
        self.addCleanup(self.end_all)

    def end_all(self):
        ids = self.ids("-aq")
        if ids:
            self.husk("rm", "-f", *ids)
        self.assertEqual(forks_left(), self.left, "captured memory is left")

    def husk(self, *args, timeout=120):
        return subprocess.run([HUSK, *args], stdin=subprocess.DEVNULL, capture_output=True, text=True, env=self.environment, timeout=timeout)

    def ok(self, *args):
        result = self.husk(*args)
        self.assertEqual((result.returncode, result.stderr), (0, ""), (args, result.stdout[-2000:]))
        return result.stdout

    def ids(self, *flags):
        return self.ok("ps", *flags).split()

    def refused(self, *args, says, code=125):
        result = self.husk(*args)
        self.assertEqual((result.returncode, result.stdout), (code, ""), (args, result.stderr))
        self.assertRegex(result.stderr, r"\Ahusk: [^\n]*\n\Z")
        self.assertRegex(result.stderr, says)

    def lines(self, name, at_least):
        """What the machine has written, once it is so many lines."""
        until = time.monotonic() + 60
        while True:
            lines = self.ok("logs", name).splitlines()
            if len(lines) >= at_least:
                return lines
            self.assertLess(time.monotonic(), until, f"{name} says no more than {lines[-3:]}")
            time.sleep(0.05)

    def parent(self, *words):
        self.ok("run", "-d", "--name", "parent", "-m", "192M", *words)

    def test_forks_go_on_where_the_machine_was_and_so_does_it(self):
        self.parent(BUSYBOX, "sh", "-c", COUNT)
        self.lines("parent", 3)
        made = self.ok("fork", "parent", "-n", "3", "--name", "child").split()
        self.assertEqual(len(made), 3)
        firsts = set()
        for name in ("child-1", "child-2", "child-3"):
            numbers = [int(line.removeprefix("line ")) for line in self.lines(name, 5)]
            self.assertEqual(numbers, list(range(numbers[0], numbers[0] + len(numbers))), "each line once, in order")
            firsts.add(numbers[0])
        (first,) = firsts
        self.assertGreater(first, 0, "what the parent has said already nobody says again")
        before = [f"line {i}" for i in range(first + 5)]
        self.assertEqual(self.lines("parent", first + 5)[:first + 5], before, "the parent's output has no gap either")

    def test_forks_differ_and_answer(self):
        self.parent("--machine-id", "new", BUSYBOX, "sleep", "1000")
        made = self.ok("fork", "parent", "-n", "4", "--machine-id").split()
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(lambda one: self.ok("exec", one, "sh", "-c", UNIQUE).split("\n"), made + ["parent"]))
        for line in range(4):
            self.assertEqual(len({answer[line] for answer in answers}), 5, answers)

    def test_what_one_writes_no_other_sees(self):
        self.parent(BUSYBOX, "sh", "-c", "echo before > /tmp/file; echo ready; sleep 1000")
        self.lines("parent", 1)  # else the forks write the file themselves, perhaps later than below
        made = self.ok("fork", "parent", "-n", "2").split()
        self.ok("exec", made[0], "sh", "-c", "echo mine > /tmp/file")
        self.ok("exec", "parent", "sh", "-c", "echo after > /tmp/file")
        self.assertEqual([self.ok("exec", name, "cat", "/tmp/file") for name in (*made, "parent")], ["mine\n", "before\n", "after\n"])

    def test_a_fork_of_a_fork_and_a_life_after_the_parents(self):
        self.parent(DEBIAN, "python3", "-c", "import time; kept = list(range(1000))\nwhile True: print(sum(kept), flush=True); time.sleep(.2)")
        self.ok("fork", "parent", "--name", "child")
        self.ok("rm", "-f", "parent")
        self.ok("fork", "child", "--live", "--name", "grandchild")
        self.ok("rm", "-f", "child")
        self.assertEqual(set(self.lines("grandchild", 3)), {"499500"})

    def test_time_goes_on_in_them(self):
        self.parent(DEBIAN, "sleep", "1000")
        (child,) = self.ok("fork", "parent").split()
        start = time.time()
        now = float(self.ok("exec", child, "python3", "-c", "import time; print(time.time())"))
        self.assertLess(start - 0.05, now)
        self.assertLess(now, time.time() + 0.05)

    def test_rm_leaves_none(self):
        self.parent(BUSYBOX, "sh", "-c", "trap 'exit 3' TERM; while :; do sleep .1; done")
        (child,) = self.ok("fork", "--rm", "parent").split()
        self.ok("stop", child)
        until = time.monotonic() + 20
        while child[:12] in self.ids("-aq") and time.monotonic() < until:
            time.sleep(0.05)
        self.assertEqual(len(self.ids("-aq")), 1)

    def test_what_cannot_be_is_refused(self):
        self.refused("fork", "nix", says="nix: there is no such machine")
        self.parent(BUSYBOX, "sleep", "1000")
        self.refused("fork", "parent", "-n", "0", says="-n: must be 1 to ")
        self.refused("fork", "parent", "--name", "parent", says="parent: the name is in use")
        self.ok("kill", "parent")
        self.ok("wait", "parent")
        self.refused("fork", "parent", says="parent: is not running")

    def test_killed_while_it_makes_them_it_leaves_machines_that_run_and_nothing_else(self):
        self.parent(BUSYBOX, "sleep", "1000")
        for milliseconds in (30, 80, 150, 300):
            with subprocess.Popen([HUSK, "fork", "parent", "-n", "50"], env=self.environment, stdin=subprocess.DEVNULL,
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
                time.sleep(milliseconds / 1000)
                process.kill()
            for name in self.ids("-q"):
                self.ok("exec", name, "true")
            self.assertTrue(all(re.search(r"\bUp\b|\bExited\b", line) for line in self.ok("ps", "-a").splitlines()[1:]))
        self.ok("fork", "--rm", "parent")  # what a killed process could not take away goes now
        self.assertEqual(forks_left(), self.left)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
