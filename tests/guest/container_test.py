#!/usr/bin/env python3
"""Runs commands of the busybox image with `husk run`. Usage: container_test.py HUSK GUEST_DIR IMAGE_DIR"""
import hashlib
import os
import signal
import subprocess
import sys
import time
import unittest

HUSK, GUEST, IMAGE = sys.argv[1:4]
ENV = dict(os.environ, HUSK_GUEST_DIR=GUEST)


def run(*args, stdin=None):
    return subprocess.run([HUSK, "run", *args], input=stdin, stdin=None if stdin is not None else subprocess.DEVNULL,
                          capture_output=True, timeout=90, env=ENV)


def in_image(*command, flags=(), stdin=None):
    return run(*flags, "oci:" + IMAGE, *command, stdin=stdin)


class Commands(unittest.TestCase):
    def test_output_and_exit_code_come_back_apart(self):
        done = in_image("sh", "-c", "echo out; echo err >&2; exit 7")
        self.assertEqual((done.returncode, done.stdout, done.stderr), (7, b"out\n", b"err\n"))

    def test_large_output_arrives_whole(self):
        done = in_image("sh", "-c", "seq 1 400000 | tee /dev/stderr | sha256sum >/tmp/s; seq 1 400000; cat /tmp/s")
        expected = "".join(f"{i}\n" for i in range(1, 400001)).encode()
        digest = hashlib.sha256(expected).hexdigest().encode()
        self.assertEqual(done.stdout, expected + digest + b"  -\n")
        self.assertEqual(done.stderr, expected)

    def test_input_reaches_the_command(self):
        data = os.urandom(300_000)
        done = in_image("cat", flags=["-i"], stdin=data)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout, data)

    def test_flags_mean_what_docker_means(self):
        done = in_image("sh", "-c", "echo $A $(pwd) $(id -u):$(id -g) $(nproc)",
                        flags=["--env", "A=b", "--workdir", "/new/dir", "--user", "1000:1001", "--cpus", "2"])
        self.assertEqual(done.stdout, b"b /new/dir 1000:1001 2\n", done.stderr)

    def test_not_found_and_not_executable(self):
        self.assertEqual(in_image("nosuch").returncode, 127)
        done = in_image("/etc/passwd")
        self.assertEqual((done.returncode, done.stderr.count(b"\n")), (126, 1), done.stderr)

    def test_sigterm_is_passed_on(self):
        with subprocess.Popen([HUSK, "run", "oci:" + IMAGE, "sh", "-c",
                               "trap 'echo got; exit 9' TERM; echo up; while :; do sleep 0.1; done"],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=ENV) as running:
            self.assertEqual(running.stdout.readline(), b"up\n")
            time.sleep(0.2)
            running.send_signal(signal.SIGTERM)
            self.assertEqual(running.stdout.read(), b"got\n")
            self.assertEqual(running.wait(30), 9)


class Refuses(unittest.TestCase):
    def refused(self, *args, says):
        done = run(*args)
        self.assertEqual(done.returncode, 125, done.stderr)
        self.assertEqual(done.stderr.count(b"\n"), 1, done.stderr)
        self.assertIn(says, done.stderr)

    def test_bad_input_is_one_line(self):
        self.refused(says=b"no image given")
        self.refused("oci:/nonexistent", "true", says=b"/nonexistent")
        self.refused("what", "true", says=b"what")
        self.refused("--memory", "9000G", "oci:" + IMAGE, says=b"more than the host's")
        self.refused("--kernel", "/etc/passwd", "oci:" + IMAGE, says=b"/etc/passwd")
        self.refused("--user", "nobody", "oci:" + IMAGE, "true", says=b"unable to find user nobody")
        self.refused("--name", "../x", "oci:" + IMAGE, "true", says=b"name")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
