#!/usr/bin/env python3
"""`husk cache` as users meet it: what is listed, what goes, and that nothing that is in use ever does; and kill -9 at any moment of
bake and prune. KILLS (6) says how often.

Usage: cache_test.py HUSK GUEST_DIR IMAGES_DIR
"""
import concurrent.futures
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import threading
import time
import unittest

HUSK, GUEST, IMAGES = (os.path.abspath(path) for path in sys.argv[1:4])
BUSYBOX = "oci:" + os.path.join(IMAGES, "busybox")
SMALL = ["--memory", "96M"]  # what is written and read again and again
KILLS = int(os.environ.get("KILLS", "6"))
PATIENCE = 120


class Cache(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory(prefix="husk-cache-test-")
        self.addCleanup(scratch.cleanup)
        self.cache = scratch.name + "/cache"
        self.environment = {"PATH": os.environ["PATH"], "HUSK_GUEST_DIR": GUEST, "HUSK_CACHE": self.cache,
                            "HUSK_STATE": scratch.name + "/state", "HUSK_SNAPSHOTS": scratch.name + "/snapshots"}

    def start(self, *words, **more):
        return subprocess.Popen([HUSK, *words], stdin=subprocess.DEVNULL, env={**self.environment, **more}, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True)

    def husk(self, *words, code=0, **more):
        with self.start(*words, **more) as process:
            out, error = process.communicate(timeout=PATIENCE)
        self.assertEqual(process.returncode, code, error[-2000:])
        if code == 0:
            self.assertEqual(error, "")
            return out
        return error

    def run_one(self, *flags):
        self.assertEqual(self.husk("run", *SMALL, *flags, BUSYBOX, "echo", "fine"), "fine\n")

    def bake(self, *flags, **more):
        return self.husk("bake", *SMALL, "--warmup", "true", *flags, BUSYBOX, **more)

    def listed(self):
        return json.loads(self.husk("cache", "ls", "--format", "json"))

    def kinds(self):
        return sorted(entry["kind"] for entry in self.listed())

    def test_ls_tells_what_there_is_and_who_uses_it(self):
        self.assertEqual(self.listed(), [])
        self.bake("--name", "box")
        self.assertEqual(self.kinds(), ["baked", "base", "image"])
        self.assertTrue(all(not entry["in_use"] for entry in self.listed()))
        self.husk("run", "-d", "--name", "stays", *SMALL, BUSYBOX, "sleep", "1000")
        entries = {entry["kind"]: entry for entry in self.listed()}
        self.assertEqual({kind: entry["used_by"] for kind, entry in entries.items()},
                         {"base": [], "baked": ["machine stays"], "image": ["machine stays", "baked box"]})
        self.assertEqual(entries["baked"]["memory_size"], 96 << 20)
        for entry in entries.values():
            self.assertGreater(entry["disk_size"], 0)
            self.assertTrue(os.path.exists(entry["path"]))
        self.assertRegex(self.husk("cache", "ls"), r"\nbaked +box +96\.0 MiB +\d.* ago +machine stays\n")
        self.husk("rm", "-f", "stays")
        self.assertTrue(all(not entry["in_use"] for entry in self.listed()))

    def test_prune_takes_what_nobody_uses_and_leaves_what_was_baked(self):
        self.bake("--name", "box")
        self.assertRegex(self.husk("cache", "prune"), r"^base [0-9a-f]{64}\n1 removed, [0-9.]+ .iB\n$")
        self.assertEqual(self.kinds(), ["baked", "image"])
        self.run_one()
        self.assertEqual(self.kinds(), ["baked", "image"])
        self.assertRegex(self.husk("cache", "prune", "--all"), r"^baked box\nimage sha256-.*\n2 removed")
        self.assertEqual(self.listed(), [])
        self.assertRegex(self.husk("cache", "prune", "--all"), r"^0 removed")
        self.run_one()

    def test_prune_leaves_what_a_machine_a_copy_of_it_or_a_snapshot_uses(self):
        self.husk("run", "-d", "--name", "one", *SMALL, BUSYBOX, "sleep", "1000")
        self.husk("snapshot", "create", "one", "kept")
        self.husk("cache", "prune", "--all")
        self.assertEqual(self.kinds(), ["base", "image"])
        self.husk("restore", "-d", "--name", "two", "kept")
        self.husk("rm", "-f", "one")
        self.husk("snapshot", "rm", "kept")
        self.husk("cache", "prune", "--all")
        self.assertEqual(self.kinds(), ["image"])
        self.assertEqual(self.husk("exec", "two", "echo", "lives"), "lives\n")
        self.husk("snapshot", "create", "two", "again")
        self.husk("rm", "-f", "two")
        self.husk("cache", "prune", "--all")
        self.assertEqual(self.listed()[0]["used_by"], ["snapshot again"])
        self.husk("snapshot", "rm", "again")
        self.husk("cache", "prune", "--all")
        self.assertEqual(self.listed(), [])

    def test_prune_by_size_and_age(self):
        self.bake()
        sizes = {entry["kind"]: entry["disk_size"] for entry in self.listed()}
        self.husk("cache", "prune", "--all", "--keep", str(sum(sizes.values())))
        self.assertEqual(self.kinds(), ["baked", "base", "image"])
        base = next(entry["path"] for entry in self.listed() if entry["kind"] == "base")
        os.utime(base, (1, time.time() - 7200))
        self.husk("cache", "prune", "--all", "--older-than", "3h")
        self.assertEqual(self.kinds(), ["baked", "base", "image"])
        self.husk("cache", "prune", "--all", "--older-than", "1h")
        self.assertEqual(self.kinds(), ["baked", "image"])
        self.assertRegex(self.husk("cache", "prune", "--keep", "much", code=125), r"^husk: --keep: .*\n$")
        self.assertRegex(self.husk("cache", "prune", "--older-than", "long", code=125), r"^husk: .*long.*\n$")

    def test_the_cache_stays_within_its_limit(self):
        self.run_one()
        image, base = (next(e["disk_size"] for e in self.listed() if e["kind"] == kind) for kind in ("image", "base"))
        limit = str(image + base + base // 2)
        other = [*SMALL[:1], "112M"]
        self.assertEqual(self.husk("run", *other, BUSYBOX, "echo", "fine", HUSK_CACHE_LIMIT=limit), "fine\n")
        self.assertEqual(self.kinds(), ["base", "image"])
        self.assertLess(sum(entry["disk_size"] for entry in self.listed()), int(limit))
        self.assertEqual([entry.get("memory_size") for entry in self.listed() if entry["kind"] == "base"], [112 << 20])
        # What is in use may be more than the limit.
        self.assertEqual(self.husk("run", *SMALL, BUSYBOX, "echo", "fine", HUSK_CACHE_LIMIT="1k"), "fine\n")
        error = self.husk("run", BUSYBOX, "true", code=125, HUSK_CACHE_LIMIT="much")
        self.assertEqual(error, 'husk: HUSK_CACHE_LIMIT: "much" is not a size such as 512M\n')

    def test_no_run_and_no_bake_fails_because_prune_came_between(self):
        over = threading.Event()

        def prune():
            pruned = 0
            while not over.is_set():
                self.husk("cache", "prune", "--all")
                pruned += 1
            return pruned
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            pruning = pool.submit(prune)
            try:
                work = [pool.submit(self.run_one) for _ in range(6)]
                work += [pool.submit(self.bake) for _ in range(2)] + [pool.submit(self.run_one) for _ in range(6)]
                for one in work:
                    one.result()
            finally:
                over.set()
            self.assertGreater(pruning.result(), 3)

    # kill -9
    # ----------------------------------------------------------------------------------------------------------------

    def check_whole(self):
        for entry in self.listed():
            self.assertNotIn("wrong", entry)
            if entry["kind"] != "image":
                self.husk("snapshot", "verify", entry["path"])

    def leftovers(self):
        return [name for folder in ("images", "base", "baked") for name in os.listdir(os.path.join(self.cache, folder))
                if not re.fullmatch(r"([0-9a-f]{64}\.husk|sha256-.*\.erofs|\.lock)", name)]

    def test_killed_at_any_moment_leaves_whole_ones_or_none(self):
        start = time.monotonic()
        self.bake()
        self.bake()
        whole = time.monotonic() - start
        for number in range(KILLS):
            words = ["cache", "prune", "--all"] if number % 3 == 2 else ["bake", *SMALL, "--warmup", "true", BUSYBOX]
            with self.start(*words) as worker:
                time.sleep(random.random() * (.1 if number % 3 == 2 else whole * .6))
                worker.kill()
            self.check_whole()
            self.run_one()
        self.husk("cache", "prune")
        self.assertEqual(self.leftovers(), [])


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1] + sys.argv[4:], verbosity=2)
