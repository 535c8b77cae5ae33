#!/usr/bin/env python3
"""What becomes of machines that hang, die, lie or compute something else. They are shell scripts here."""
import os
import signal
import time
import unittest

import loads
import machine

GOOD = ('echo "load a 10 thing"; for i in 1 2 3; do echo "begin a"; sleep 0.1; echo "end a 5"; done; '
        """echo '{"load":"a","unit":"thing","ns_per_unit":%d,"samples":[%d,%d,%d],"checksum":"%s"}'; """)


def script(nanoseconds=2000000, checksum="00ff"):
    return GOOD % (*(nanoseconds,) * 4, checksum)


def run(text):
    return machine.Run(["sh", "-c", text])


class Machines(unittest.TestCase):
    def setUp(self):
        self.addCleanup(setattr, machine, "LINE_LIMIT", machine.LINE_LIMIT)
        self.addCleanup(setattr, machine, "RUN_LIMIT", machine.RUN_LIMIT)
        machine.LINE_LIMIT = 2

    def test_the_hosts_clock_counts(self):
        result = run(script() + "echo all done")
        self.assertIsNone(result.failure)
        self.assertEqual(len(result.samples["a"]), 3)
        for seconds in result.samples["a"]:
            self.assertAlmostEqual(seconds, 0.1 / 50, delta=0.002)

    def test_a_clock_that_runs_slow_is_seen(self):
        honest, slow = run(script() + "echo all done"), run(script(200000) + "echo all done")
        self.assertGreater(honest.clock["a"], 0.5)
        self.assertLess(slow.clock["a"], 0.15)
        self.assertAlmostEqual(honest.samples["a"][0], slow.samples["a"][0], delta=0.002)

    def test_lines_behind_escape_sequences_count(self):
        result = run(r"printf '\033[2J\033[1;1H'; " + script() + "echo all done")
        self.assertEqual((result.failure, list(result.said)), (None, ["a"]))

    def test_a_load_that_hangs_is_named_and_killed_with_its_children(self):
        result = run("echo \"load b 1 thing\"; sleep 60 & echo \"child $!\"; wait")
        self.assertIn("hung in b", result.failure)
        child = int(result.failure.split("child ")[1].split("'")[0])
        self.assertTrue(self.is_gone(child))

    def test_a_machine_that_talks_for_ever_is_killed_too(self):
        machine.RUN_LIMIT = 1
        result = run("while :; do echo noise; sleep 0.05; done")
        self.assertIn("hung in its boot", result.failure)

    def test_a_machine_that_dies_is_named(self):
        result = run(script() + 'echo "load b 1 thing"')
        self.assertIn("ended in b", result.failure)
        self.assertEqual(list(result.said), ["a"])

    def test_two_calls_that_differ(self):
        self.assertIn("differently", run(script() + "echo wrong a 0001 after 00ff; echo all done").failure)

    @staticmethod
    def is_gone(pid):
        for _ in range(50):
            try:
                os.kill(pid, 0)
                with open(f"/proc/{pid}/stat") as file:
                    if file.read().split(") ")[1][0] == "Z":
                        return True
            except (ProcessLookupError, FileNotFoundError):
                return True
            time.sleep(0.1)
        os.kill(pid, signal.SIGKILL)
        return False


class Benches(unittest.TestCase):
    def bench(self, **scripts):
        bench = loads.Bench(scripts)
        for name, text in scripts.items():
            bench.take(name, run(text))
        return bench

    def test_equal_checksums_pass(self):
        bench = self.bench(native=script() + "echo all done", husk=script() + "echo all done")
        self.assertEqual((bench.failed(), bench.complete_loads()), ([], ["a"]))

    def test_another_checksum_fails_and_says_whose(self):
        bench = self.bench(native=script() + "echo all done", husk=script(checksum="00fe") + "echo all done")
        self.assertEqual(bench.failed(), ["husk computed 00fe for a, not 00ff"])

    def test_a_known_answer_binds_the_first_machine_too(self):
        bench = self.bench(native=script().replace('"a"', '"sha256"').replace(" a", " sha256") + "echo all done")
        self.assertEqual(bench.failed(), [f"native computed 00ff for sha256, not {loads.KNOWN['sha256']}"])

    def test_a_load_that_one_machine_leaves_out_fails(self):
        bench = self.bench(native=script() + "echo all done", husk="echo all done")
        self.assertEqual(bench.failed(), ["a did not run everywhere"])

    def test_a_bench_of_nothing_fails(self):
        self.assertEqual(self.bench(native="echo all done").failed(), ["no load has such a name"])


if __name__ == "__main__":
    unittest.main()
