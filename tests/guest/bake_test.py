#!/usr/bin/env python3
"""Baked images as users meet them: warmed up once, gone on from by every later run.

Usage: bake_test.py HUSK GUEST_DIR IMAGES_DIR
"""
import concurrent.futures
import os
import subprocess
import sys
import tempfile
import unittest

HUSK, GUEST, IMAGES = (os.path.abspath(path) for path in sys.argv[1:4])
BUSYBOX, DEBIAN = "oci:" + os.path.join(IMAGES, "busybox"), "oci:" + os.path.join(IMAGES, "debian")
PATIENCE = 120
# All of what a guest could have in common with another one that goes on from the same snapshot.
UNIQUE = "cat /proc/sys/kernel/random/uuid; hostname; head -c 16 /dev/urandom | od -An -tx1; cat /etc/hostname"


def environment(folder):
    return {"PATH": os.environ["PATH"], "HUSK_GUEST_DIR": GUEST, "HUSK_CACHE": folder + "/cache",
            "HUSK_STATE": folder + "/state", "HUSK_SNAPSHOTS": folder + "/snapshots"}


class Bake(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        """A cache with both images and a base, which every test has a copy of, by links: what is in it is never written to."""
        scratch = tempfile.TemporaryDirectory(prefix="husk-bake-test-")
        cls.addClassCleanup(scratch.cleanup)
        cls.template = scratch.name
        for image in (BUSYBOX, DEBIAN):
            subprocess.run([HUSK, "run", image, "true"], env=environment(cls.template), timeout=PATIENCE, check=True)

    def setUp(self):
        scratch = tempfile.TemporaryDirectory(prefix="husk-bake-test-")
        self.addCleanup(scratch.cleanup)
        subprocess.run(["cp", "-al", self.template + "/cache", scratch.name], check=True)
        self.environment = environment(scratch.name)
        self.cache = self.environment["HUSK_CACHE"]

    def husk(self, *words, code=0):
        result = subprocess.run([HUSK, *words], stdin=subprocess.DEVNULL, env=self.environment, timeout=PATIENCE,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
        self.assertEqual(result.returncode, code, result.stderr[-2000:])
        self.errors = result.stderr
        return result.stdout

    def bake(self, *words, warmup="echo was here >/warm", **kwargs):
        return self.husk("bake", "--warmup", warmup, *words, **kwargs)

    def is_baked(self, *words, image=BUSYBOX):
        """Whether a run goes on from a machine that a warm-up wrote in."""
        said = self.husk("run", *words, image, "sh", "-c", "cat /warm 2>/dev/null; echo ran")
        self.assertEqual(self.errors, "")
        return said == "was here\nran\n"

    def baked(self):
        folder = os.path.join(self.cache, "baked")
        return sorted(os.path.join(folder, name) for name in os.listdir(folder) if name != ".lock")

    def test_runs_of_the_image_go_on_from_it_and_no_others(self):
        self.assertEqual(self.bake(BUSYBOX), "")
        self.assertTrue(self.is_baked())
        self.assertTrue(self.is_baked())
        self.assertFalse(self.is_baked("--no-bake"))
        self.assertFalse(self.is_baked("--cold"))
        self.assertFalse(self.is_baked("--memory", "256M"))
        self.assertEqual(self.husk("bake", BUSYBOX), "")  # without a warm-up
        self.assertFalse(self.is_baked())
        self.assertFalse(self.is_baked(image=DEBIAN))
        self.assertEqual(len(self.baked()), 1)

    def test_each_kind_of_machine_has_its_own(self):
        self.bake("--memory", "256M", "--cpus", "2", BUSYBOX)
        self.assertFalse(self.is_baked())
        self.assertTrue(self.is_baked("--memory", "256M", "--cpus", "2"))
        self.bake(BUSYBOX)
        self.assertTrue(self.is_baked())
        self.assertEqual(len(self.baked()), 2)

    def test_a_run_is_as_any_other(self):
        self.bake(BUSYBOX)
        self.husk("run", BUSYBOX, "sh", "-c", "exit 7", code=7)
        self.husk("run", BUSYBOX, "nothing-of-this-name", code=127)
        said = self.husk("run", "-e", "A=b", "-w", "/some/where", "-u", "12", BUSYBOX, "sh", "-c", "echo $A; pwd; id -u")
        self.assertEqual(said, "b\n/some/where\n12\n")
        machine = self.husk("run", "-d", "--name", "stays", BUSYBOX, "sleep", "1000")
        self.assertEqual(self.husk("exec", "stays", "cat", "/warm"), "was here\n")
        self.assertEqual(len(machine), 65)
        self.husk("rm", "-f", "stays")

    def test_copies_differ(self):
        self.bake(BUSYBOX)
        answers = [self.husk("run", BUSYBOX, "sh", "-c", UNIQUE).split("\n") for _ in range(4)]
        for line in range(4):
            self.assertEqual(len({answer[line] for answer in answers}), 4, answers)
        self.assertEqual([answer[1] for answer in answers], [answer[3] for answer in answers])

    def test_the_warm_up_is_one_of_the_images_commands_and_leaves_no_process(self):
        said = self.bake(DEBIAN, warmup="echo out; echo err >&2; id -u; date +%Y >/year; sleep 1000 & sleep 1000 >/dev/null 2>&1 &")
        self.assertEqual((said, self.errors), ("out\n0\n", "err\n"))
        said = self.husk("run", DEBIAN, "sh", "-c", "cat /year; grep -l sleep /proc/[0-9]*/comm; echo end")
        year, *others = said.split()
        self.assertGreaterEqual(int(year), 2024)  # the warm-up had the time of day
        self.assertEqual(others, ["end"])

    def test_what_it_read_need_not_be_read_again(self):
        read = r"awk '{print $3}' /sys/block/vda/stat"  # Linux, Documentation/block/stat.rst: sectors read
        use = "python3 -c 'import random, subprocess'"
        sectors = {}
        for name, flags in (("baked", []), ("base", ["--no-bake"])):
            if name == "baked":
                self.bake(DEBIAN, warmup=f"{use}; {read}")
            sectors[name] = int(self.husk("run", *flags, DEBIAN, "sh", "-c", f"{use} 2>/dev/null; a=$({read}); echo $a").split()[-1])
            before = int(self.husk("run", *flags, DEBIAN, "sh", "-c", f"{read}").split()[-1])
            sectors[name] -= before
        self.assertEqual(sectors["baked"], 0)
        self.assertGreater(sectors["base"], 1000)

    def test_baking_again_replaces_and_a_warm_up_that_fails_changes_nothing(self):
        self.bake(BUSYBOX)
        (before,) = self.baked()
        self.bake(BUSYBOX, warmup="exit 3", code=125)
        self.assertRegex(self.errors, r"^husk: oci:.*busybox: its warm-up ended with 3\n$")
        self.bake(BUSYBOX, warmup="kill -9 $$", code=125)
        self.assertRegex(self.errors, r"its warm-up ended with 137\n$")
        self.assertTrue(self.is_baked())
        self.bake(BUSYBOX, warmup="true")
        self.assertFalse(self.is_baked())
        self.assertEqual(self.baked(), [before])

    def test_what_cannot_be_baked_is_refused_in_one_line(self):
        self.bake(BUSYBOX)
        before = self.baked()
        for words in (["oci:/nowhere"], ["--memory", "1M", BUSYBOX], ["--cpus", "0", BUSYBOX]):
            self.husk("bake", *words, code=125)
            self.assertEqual(self.errors.count("\n"), 1, self.errors)
        self.assertEqual(self.baked(), before)

    def test_a_damaged_one_costs_time_and_a_warning(self):
        for at in (-100, 0):
            self.bake(BUSYBOX)
            (path,) = self.baked()
            os.chmod(path, 0o600)
            with open(path, "r+b") as file:
                file.seek(at, os.SEEK_END if at < 0 else os.SEEK_SET)
                file.write(b"\xff" * 50)
            self.assertEqual(self.husk("run", BUSYBOX, "sh", "-c", "ls /warm; echo fine"), "fine\n")
            self.assertRegex(self.errors, r"warning: .*; the image is not baked any more\n")
            self.assertEqual(self.baked(), [])
            self.assertFalse(self.is_baked())

    def test_runs_and_bakes_at_once(self):
        self.bake(BUSYBOX)
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            bakes = [pool.submit(self.bake, BUSYBOX) for _ in range(3)]
            runs = [pool.submit(self.is_baked) for _ in range(12)]
            for bake in bakes:
                bake.result()
            self.assertTrue(all(run.result() for run in runs))
        self.assertEqual(len(self.baked()), 1)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1] + sys.argv[4:], verbosity=2)
