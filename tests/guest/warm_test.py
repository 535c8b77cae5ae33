#!/usr/bin/env python3
"""Base snapshots as users meet them: made by the first run, gone on from by every later one.

Usage: warm_test.py HUSK GUEST_DIR IMAGES_DIR
"""
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
BOOTED = "booting Linux"
# All of what a guest could have in common with another one that goes on from the same snapshot.
UNIQUE = "cat /proc/sys/kernel/random/uuid; hostname; head -c 16 /dev/urandom | od -An -tx1"


class Warm(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory(prefix="husk-warm-test-")
        self.addCleanup(scratch.cleanup)
        self.cache = os.path.join(scratch.name, "cache")
        self.environment = {"PATH": os.environ["PATH"], "HUSK_GUEST_DIR": GUEST, "HUSK_CACHE": self.cache,
                            "HUSK_STATE": scratch.name + "/state"}

    def run_husk(self, *args, debug=True, **kwargs):
        words = [HUSK] + (["--debug"] if debug else []) + ["run", *args]
        kwargs = {"stdin": subprocess.DEVNULL, "env": self.environment, "timeout": 120, **kwargs}
        return subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False, **kwargs)

    def ran(self, *args, booted, says=None, **kwargs):
        result = self.run_husk(*args, **kwargs)
        self.assertEqual(result.returncode, 0, result.stderr[-2000:])
        self.assertEqual(BOOTED in result.stderr, booted, result.stderr[-2000:])
        if says is not None:
            self.assertRegex(result.stderr, says)
        return result.stdout

    def bases(self):
        folder = os.path.join(self.cache, "base")
        return sorted(os.path.join(folder, name) for name in os.listdir(folder) if name.endswith(".husk"))

    def test_the_first_run_boots_and_later_ones_do_not_whatever_the_image(self):
        self.ran(BUSYBOX, "true", booted=True)
        self.assertEqual(self.ran(BUSYBOX, "echo", "again", booted=False), "again\n")
        self.assertEqual(self.ran(DEBIAN, "python3", "-c", "print(6 * 7)", booted=False), "42\n")
        self.assertEqual(len(self.bases()), 1)

    def test_another_kind_of_machine_has_its_own(self):
        self.ran("--memory", "256M", BUSYBOX, "true", booted=True)
        self.ran("--memory", "192M", BUSYBOX, "true", booted=True)
        self.assertEqual(self.ran("--memory", "256M", "--cpus", "2", BUSYBOX, "nproc", booted=True), "2\n")
        self.assertEqual(self.ran("--memory", "256M", "--cpus", "2", BUSYBOX, "nproc", booted=False), "2\n")
        self.assertEqual(len(self.bases()), 3)

    def test_cold_boots_and_leaves_no_base(self):
        self.ran("--cold", BUSYBOX, "true", booted=True)
        self.assertFalse(os.path.exists(os.path.join(self.cache, "base")))

    def test_the_guests_clock_is_right_and_its_monotonic_one_did_not_count_the_time_frozen(self):
        self.ran(BUSYBOX, "true", booted=True)
        before_sleep = float(self.ran(BUSYBOX, "cut", "-d ", "-f1", "/proc/uptime", booted=False))
        time.sleep(3)
        clock = "import time; print(time.time(), time.monotonic())"
        start = time.time()
        now, uptime = map(float, self.ran(DEBIAN, "python3", "-c", clock, booted=False).split())
        self.assertLess(start, now)
        self.assertLess(now, time.time())
        self.assertLess(uptime, before_sleep + 2.5)

    def test_copies_differ(self):
        self.ran(BUSYBOX, "true", booted=True)
        answers = [self.ran(BUSYBOX, "sh", "-c", UNIQUE, booted=False).split("\n") for _ in range(4)]
        for line in range(3):
            self.assertEqual(len({answer[line] for answer in answers}), 4, answers)

    def test_a_kernel_that_knows_vm_generation_ids_learns_that_it_is_a_copy(self):
        generic = os.path.join(os.path.dirname(GUEST), "guest-generic", "vmlinuz")  # the cloud's has no vmgenid
        reseeded = "crng reseeded due to virtual machine fork"
        self.assertNotIn(reseeded, self.ran("--cold", "--kernel", generic, BUSYBOX, "dmesg", booted=True))
        self.ran("--kernel", generic, BUSYBOX, "true", booted=True)
        for _ in range(2):
            messages = self.ran("--kernel", generic, BUSYBOX, "dmesg", booted=False)
            self.assertEqual(messages.count(reseeded), 1)
            self.assertNotIn("Excess arguments", messages)  # the kernel's own check of the method it calls

    def test_many_first_runs_at_once(self):
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            results = list(pool.map(lambda n: self.run_husk(BUSYBOX, "echo", str(n)), range(4)))
        self.assertEqual([(r.returncode, r.stdout) for r in results], [(0, f"{n}\n") for n in range(4)])
        self.assertEqual(len(self.bases()), 1)
        self.ran(BUSYBOX, "true", booted=False)

    def test_a_damaged_base_is_told_of_and_made_anew(self):
        self.ran(BUSYBOX, "true", booted=True)
        (base,) = self.bases()
        os.chmod(base, 0o600)
        with open(base, "r+b") as file:
            file.seek(-100, os.SEEK_END)
            file.write(b"\0" * 50)
        self.ran(BUSYBOX, "true", booted=True, says=r"warning: .*it is made anew")
        self.ran(BUSYBOX, "true", booted=False)

    def test_without_a_place_for_it_the_machine_boots(self):
        self.ran("--cold", BUSYBOX, "true", booted=True)  # the image is in the cache
        open(os.path.join(self.cache, "base"), "w").close()
        self.ran(BUSYBOX, "true", booted=True, says=r"warning: .*base.*; the machine boots instead")

    def test_no_more_than_eight_are_kept_those_used_last(self):
        memory = [f"{96 + 16 * n}M" for n in range(9)]
        for size in memory[:8]:
            self.ran("--memory", size, BUSYBOX, "true", booted=True)
        self.ran("--memory", memory[0], BUSYBOX, "true", booted=False)
        self.ran("--memory", memory[8], BUSYBOX, "true", booted=True)
        self.assertEqual(len(self.bases()), 8)
        self.ran("--memory", memory[0], BUSYBOX, "true", booted=False)
        self.ran("--memory", memory[1], BUSYBOX, "true", booted=True)

    def test_a_first_run_that_is_killed_leaves_nothing_that_the_next_one_trips_over(self):
        for milliseconds in (300, 1200, 2000, 2600):
            with subprocess.Popen([HUSK, "run", BUSYBOX, "true"], env=self.environment, stdin=subprocess.DEVNULL,
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
                time.sleep(milliseconds / 1000)
                process.kill()
        result = self.run_husk(BUSYBOX, "echo", "fine", debug=False)
        self.assertEqual((result.returncode, result.stdout, result.stderr), (0, "fine\n", ""))
        left = [name for name in os.listdir(os.path.join(self.cache, "base")) if not re.fullmatch(r"[0-9a-f]{64}\.husk|\.lock", name)]
        self.assertEqual(left, [])


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
