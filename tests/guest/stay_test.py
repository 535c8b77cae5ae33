#!/usr/bin/env python3
"""Machines that stay: husk run -d and the verbs about them, as a user calls them. Usage: stay_test.py HUSK GUEST_DIR IMAGES_DIR"""
import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

HUSK, GUEST, IMAGES = (os.path.abspath(path) for path in sys.argv[1:4])
BUSYBOX, DEBIAN = "oci:" + os.path.join(IMAGES, "busybox"), "oci:" + os.path.join(IMAGES, "debian")
SCRATCH = tempfile.TemporaryDirectory(prefix="husk-stay-test-")
CACHE = os.path.join(SCRATCH.name, "cache")
FOREVER = ("sh", "-c", "trap 'exit 3' TERM; echo up; while :; do sleep 1; done")


class StayCase(unittest.TestCase):
    def setUp(self):
        self.state = tempfile.mkdtemp(dir=SCRATCH.name)
        self.environment = {"PATH": os.environ["PATH"], "HUSK_GUEST_DIR": GUEST, "HUSK_CACHE": CACHE, "HUSK_STATE": self.state}
        self.addCleanup(self.end_all)

    def end_all(self):
        ids = self.husk("ps", "-aq").stdout.decode().split()
        if ids:
            self.husk("rm", "-f", *ids)
        self.assertEqual(os.listdir(os.path.join(self.state, "machines")) if ids else [], [], "something is left")

    def start(self, *args, **kwargs):
        kwargs = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "env": self.environment, **kwargs}
        process = subprocess.Popen([HUSK, *args], **kwargs)
        self.addCleanup(process.communicate)
        self.addCleanup(lambda: process.poll() is None and process.kill())
        return process

    def husk(self, *args, timeout=60):
        return subprocess.run([HUSK, *args], stdin=subprocess.DEVNULL, capture_output=True, env=self.environment, timeout=timeout)

    def ok(self, *args, out=None, err=b"", code=0, **kwargs):
        result = self.husk(*args, **kwargs)
        self.assertEqual((result.returncode, result.stderr), (code, err), (args, result.stdout[-2000:]))
        if out is not None:
            self.assertEqual(result.stdout, out)
        return result.stdout

    def refused(self, *args, says, code=1):
        result = self.husk(*args)
        text = result.stderr.decode()
        self.assertEqual((result.returncode, result.stdout), (code, b""), (args, text))
        self.assertRegex(text, r"\Ahusk: [^\n]*\n\Z")
        self.assertRegex(text, says)

    def run_d(self, *args):
        line = self.ok("run", "-d", *args).decode()
        self.assertRegex(line, r"\A[0-9a-f]{64}\n\Z")
        return line.strip()

    def inspect(self, name):
        return json.loads(self.ok("inspect", name))[0]

    def wait_for_output(self, name, text):
        """Until the machine has written it."""
        follow = self.start("logs", "-f", name)
        seen = b""
        while text not in seen:
            self.assertTrue(select.select([follow.stdout], [], [], 60)[0], f"no {text} in {seen}")
            piece = os.read(follow.stdout.fileno(), 65536)
            self.assertTrue(piece, f"ended after {seen}")
            seen += piece
        follow.kill()
        follow.wait()

    def until(self, what, condition):
        end = time.monotonic() + 60
        while not condition():
            self.assertLess(time.monotonic(), end, what)
            time.sleep(0.02)


class Verbs(StayCase):
    def test_a_life(self):
        machine = self.run_d("--name", "web", BUSYBOX, *FOREVER)
        self.wait_for_output("web", b"up\n")
        table = self.ok("ps").decode().splitlines()
        self.assertEqual(re.split(r"   +", table[0]), ["MACHINE ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "NAMES"])
        row = re.split(r"   +", table[1])
        self.assertEqual([row[0], row[1], row[5]], [machine[:12], BUSYBOX, "web"])
        self.assertEqual(row[2], '"sh -c trap \'exit 3\'…"')
        self.assertRegex(row[3], r"\A(Less than a second|\d+ seconds?) ago\Z")
        self.assertRegex(row[4], r"\AUp (Less than a second|\d+ seconds?)\Z")
        self.ok("ps", "-q", out=machine[:12].encode() + b"\n")
        self.ok("ps", "-q", "--no-trunc", out=machine.encode() + b"\n")
        self.refused("rm", "web", says="web: is running")
        self.ok("stop", machine[:7], out=machine[:7].encode() + b"\n")
        self.ok("ps", "-q", out=b"")
        self.assertRegex(self.ok("ps", "-a").decode(), r"Exited \(3\) (Less than a second|\d+ seconds?) ago   web\n\Z")
        self.ok("wait", "web", out=b"3\n")
        self.ok("logs", "web", out=b"up\n")
        self.ok("stop", "web", out=b"web\n")  # as Docker: it is what it is asked to be
        self.refused("kill", "web", says="web: is not running")
        self.ok("rm", "web", out=b"web\n")
        self.ok("ps", "-aq", out=b"")

    def test_what_is_not_there(self):
        for verb in ("logs", "wait", "stop", "kill", "rm", "pause", "unpause"):
            self.refused(verb, "nix", says="nix: there is no such machine")
        self.ok("inspect", "nix", code=1, out=b"[]\n", err=b"husk: nix: there is no such machine\n")
        self.refused("ps", "--format", "yaml", says="--format", code=125)
        self.refused("stop", says="NAME", code=125)

    def test_several_names_with_one_that_is_wrong(self):
        for name in ("one", "two"):
            self.run_d("--name", name, BUSYBOX, "true")
            self.ok("wait", name, out=b"0\n")
        self.ok("rm", "one", "nix", "two", code=1, out=b"one\ntwo\n", err=b"husk: nix: there is no such machine\n")

    def test_a_name_is_one_machines(self):
        self.run_d("--name", "web", BUSYBOX, "true")
        self.refused("run", "-d", "--name", "web", BUSYBOX, "true", says="web: the name is in use", code=125)
        self.refused("run", "--name", "web", BUSYBOX, "true", says="web: the name is in use", code=125)
        self.ok("wait", "web", out=b"0\n")
        self.refused("run", "-d", "--name", "web", BUSYBOX, "true", says="web: the name is in use", code=125)
        self.ok("rm", "web")
        self.run_d("--name", "web", BUSYBOX, "true")

    def test_inspect(self):
        machine = self.run_d("--name", "web", "--cpus", "2", "-m", "256M", "--cpu", "x86-64-v2", BUSYBOX, *FOREVER)
        told = self.inspect("web")
        self.assertEqual({key: told[key] for key in ("id", "name", "image", "command", "state", "cpus", "memory_mb", "cpu_model")},
                         {"id": machine, "name": "web", "image": BUSYBOX, "command": list(FOREVER), "state": "running",
                          "cpus": 2, "memory_mb": 256, "cpu_model": "x86-64-v2"})
        self.assertIsNone(told["finished"])
        self.assertRegex(told["started"], r"\A20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z\Z")
        self.assertEqual(os.stat(told["folder"]).st_mode & 0o777, 0o700)
        self.assertEqual(os.stat(os.path.join(told["folder"], "control")).st_mode & 0o777, 0o600)
        listed = json.loads(self.ok("ps", "--format", "json"))
        self.assertEqual([one["id"] for one in listed], [machine])

    def test_errors_before_the_machine_runs(self):
        self.refused("run", "-d", "oci:/nonexistent", "true", says="/nonexistent", code=125)
        self.refused("run", "-d", "--kernel", "/nonexistent", BUSYBOX, says="/nonexistent", code=125)
        self.refused("run", "-d", "--name", "../x", BUSYBOX, says="is no name", code=125)
        self.refused("run", "-d", says="no image", code=125)
        self.refused("run", "-d", "-m", "1M", BUSYBOX, says="--memory", code=125)
        self.ok("ps", "-aq", out=b"")

    def test_a_command_that_cannot_be(self):
        self.refused("run", "-d", BUSYBOX, "nosuch", says='exec: "nosuch": executable file not found', code=127)
        self.refused("run", "-d", BUSYBOX, "/srv/plain", says="(?i)permission denied", code=126)
        self.refused("run", "-d", "-u", "nobodyhere", BUSYBOX, "id", says="unable to find user nobodyhere", code=125)
        self.ok("ps", "-aq", out=b"")

    def test_rm_flag_removes_at_the_end(self):
        self.run_d("--rm", "--name", "web", BUSYBOX, "sh", "-c", "sleep 2; exit 9")
        self.ok("wait", "web", out=b"9\n")
        self.until("it is gone", lambda: not self.ok("ps", "-aq"))

    def test_wait_for_several(self):
        for name, code in (("one", "4"), ("two", "5")):
            self.run_d("--name", name, BUSYBOX, "sh", "-c", f"sleep 1; exit {code}")
        self.ok("wait", "two", "one", out=b"5\n4\n")

    def test_the_process_holds_nothing_of_the_caller(self):
        reader, writer = os.pipe()
        with open(os.path.join(SCRATCH.name, "log"), "wb") as out:
            result = subprocess.run([HUSK, "run", "-d", "--name", "web", BUSYBOX, *FOREVER], stdout=out, stderr=out,
                                    pass_fds=[writer], env=self.environment, timeout=60)
        self.assertEqual(result.returncode, 0)
        os.close(writer)
        self.assertTrue(select.select([reader], [], [], 10)[0])
        self.assertEqual(os.read(reader, 1), b"")
        os.close(reader)
        pid = self.inspect("web")["owner"]["pid"]
        self.assertEqual(os.getsid(pid), pid)
        self.assertEqual(os.readlink(f"/proc/{pid}/cwd"), "/")
        self.assertEqual([os.readlink(f"/proc/{pid}/fd/{fd}") for fd in (0, 1)], ["/dev/null"] * 2)


class Ends(StayCase):
    def test_stop_by_the_images_signal(self):
        layout = os.path.join(SCRATCH.name, "usr1")
        shutil.copytree(BUSYBOX[4:], layout)
        subprocess.run(["umoci", "config", "--image", layout + ":latest", "--config.stopsignal", "SIGUSR1"], check=True)
        self.run_d("--name", "web", "oci:" + layout, "sh", "-c", "trap 'echo usr1; exit 6' USR1; trap '' TERM; echo up; while :; do sleep 1; done")
        self.wait_for_output("web", b"up\n")
        self.ok("stop", "web")
        self.ok("wait", "web", out=b"6\n")
        self.ok("logs", "web", out=b"up\nusr1\n")

    def test_stop_of_one_that_does_not_want_to(self):
        self.run_d("--name", "web", BUSYBOX, "sh", "-c", "trap '' TERM; echo up; while :; do sleep 1; done")
        self.wait_for_output("web", b"up\n")
        begun = time.monotonic()
        self.ok("stop", "-t", "2", "web")
        self.assertGreaterEqual(time.monotonic() - begun, 2)
        self.ok("wait", "web", out=b"137\n")

    def test_kill(self):
        self.run_d("--name", "web", BUSYBOX, *FOREVER)
        self.wait_for_output("web", b"up\n")
        self.refused("kill", "-s", "NIX", "web", says="NIX: is not a signal", code=125)
        self.ok("kill", "web", out=b"web\n")
        self.ok("wait", "web", out=b"137\n")

    def test_kill_by_other_signals(self):
        self.run_d("--name", "web", BUSYBOX, "sh", "-c", "trap 'echo usr2' USR2; trap 'exit 8' HUP; echo up; while :; do sleep 0.1; done")
        self.wait_for_output("web", b"up\n")
        self.ok("kill", "--signal", "SIGUSR2", "web")
        self.wait_for_output("web", b"usr2\n")
        self.ok("kill", "-s", "1", "web")
        self.ok("wait", "web", out=b"8\n")

    def test_a_waiting_client_is_told(self):
        self.run_d("--name", "web", BUSYBOX, *FOREVER)
        self.wait_for_output("web", b"up\n")
        waiting = [self.start("wait", "web") for _ in range(3)]
        time.sleep(0.3)
        self.ok("stop", "web")
        for process in waiting:
            self.assertEqual(process.communicate(timeout=30), (b"3\n", b""))

    def test_crash_of_the_machines_process(self):
        self.run_d("--name", "web", BUSYBOX, *FOREVER)
        self.wait_for_output("web", b"up\n")
        waiting, following = self.start("wait", "web"), self.start("logs", "-f", "web")
        time.sleep(0.3)
        os.kill(self.inspect("web")["owner"]["pid"], signal.SIGKILL)
        self.assertEqual(waiting.communicate(timeout=30), (b"137\n", b""))
        self.assertEqual(following.communicate(timeout=30), (b"up\n", b""))
        self.assertRegex(self.ok("ps", "-a").decode(), r"Exited \(137\)")
        self.assertEqual(self.inspect("web")["reason"], "its process is gone")
        self.ok("stop", "web")
        self.ok("logs", "web", out=b"up\n")
        self.ok("rm", "web")

    def test_a_process_that_does_not_answer(self):
        self.run_d("--name", "web", BUSYBOX, *FOREVER)
        self.wait_for_output("web", b"up\n")
        os.kill(self.inspect("web")["owner"]["pid"], signal.SIGSTOP)
        self.ok("rm", "-f", "web", timeout=90)
        self.ok("ps", "-aq", out=b"")

    def test_crash_of_one_with_rm(self):
        self.run_d("--rm", "--name", "web", BUSYBOX, *FOREVER)
        pid = self.inspect("web")["owner"]["pid"]
        os.kill(pid, signal.SIGKILL)
        self.until("it is gone", lambda: not self.ok("ps", "-aq"))

    def test_signals_to_the_process_are_the_commands(self):
        self.run_d("--name", "web", BUSYBOX, *FOREVER)
        self.wait_for_output("web", b"up\n")
        os.kill(self.inspect("web")["owner"]["pid"], signal.SIGTERM)
        self.ok("wait", "web", out=b"3\n")

    def test_pause(self):
        self.run_d("--name", "web", BUSYBOX, "sh", "-c", "trap 'exit 3' TERM; while :; do echo tick; sleep 0.05; done")
        self.wait_for_output("web", b"tick\n")
        self.ok("pause", "web", out=b"web\n")
        self.assertRegex(self.ok("ps").decode(), r"\(Paused\)")
        self.assertEqual(self.inspect("web")["state"], "paused")
        before = self.ok("logs", "web")
        time.sleep(0.5)
        self.assertEqual(self.ok("logs", "web"), before)
        self.refused("pause", "web", says="web: ")
        self.refused("rm", "web", says="web: is paused")
        self.ok("unpause", "web", out=b"web\n")
        self.until("it ticks again", lambda: len(self.ok("logs", "web")) > len(before))
        self.refused("unpause", "web", says="web: ")
        self.ok("pause", "web")
        self.ok("stop", "web")  # which wakes it
        self.ok("wait", "web", out=b"3\n")

    def test_kill_of_a_paused_one(self):
        self.run_d("--name", "web", BUSYBOX, *FOREVER)
        self.ok("pause", "web")
        self.ok("kill", "web")
        self.ok("wait", "web", out=b"137\n")


class Exec(StayCase):
    def setUp(self):
        super().setUp()
        self.run_d("--name", "web", "-e", "MINE=first", BUSYBOX, "sh", "-c", "echo data > /tmp/file; trap 'exit 3' TERM; echo up; while :; do sleep 0.2; done")

    def test_at_once(self):
        self.ok("exec", "web", "echo", "-n", "there", out=b"there")

    def test_in_the_same_machine(self):
        self.wait_for_output("web", b"up\n")
        self.ok("exec", "web", "cat", "/tmp/file", out=b"data\n")
        self.ok("exec", "web", "sh", "-c", "echo out; echo err >&2; exit 7", code=7, out=b"out\n", err=b"err\n")
        self.ok("exec", "-e", "YOURS=a b", "-w", "/home/app", "-u", "app", "web", "sh", "-c", "pwd; id -u; echo $MINE $YOURS $FROM_IMAGE",
                out=b"/home/app\n1000\nfirst a b yes\n")
        self.ok("exec", "web", "--", "sh", "-c", "kill -SEGV $$", code=139)
        self.ok("logs", "web", out=b"up\n")

    def test_input(self):
        data = os.urandom(300_000)
        result = subprocess.run([HUSK, "exec", "-i", "web", "cat"], input=data, capture_output=True, env=self.environment, timeout=60)
        self.assertEqual((result.returncode, result.stderr, result.stdout == data), (0, b"", True))
        self.ok("exec", "web", "cat", out=b"")

    def test_three_at_once(self):
        running = [self.start("exec", "web", "sh", "-c", f"sleep 0.{i}; seq 1000; exit {i}") for i in range(3)]
        for code, process in enumerate(running):
            out, err = process.communicate(timeout=60)
            self.assertEqual((process.returncode, err, out), (code, b"", "".join(f"{i}\n" for i in range(1, 1001)).encode()))

    def test_a_terminal(self):
        master, slave = os.openpty()
        self.addCleanup(os.close, master)
        process = self.start("exec", "-it", "web", "sh", "-c", "tty; stty -echo; read x; echo got $x; exit 5", stdin=slave, stdout=slave, stderr=slave)
        os.close(slave)
        os.write(master, b"word\r")
        seen = b""
        while b"got word" not in seen:
            self.assertTrue(select.select([master], [], [], 60)[0], seen)
            seen += os.read(master, 4096)
        self.assertIn(b"/dev/", seen)
        self.assertEqual(process.wait(30), 5)
        self.refused("exec", "-t", "web", "sh", says="not a terminal", code=125)

    def test_signals_reach_it(self):
        process = self.start("exec", "web", "sh", "-c", "trap 'echo bye; exit 4' TERM; echo up; while :; do sleep 0.1; done")
        self.assertEqual(process.stdout.readline(), b"up\n")
        process.terminate()
        self.assertEqual(process.communicate(timeout=30), (b"bye\n", b""))
        self.assertEqual(process.returncode, 4)

    def test_what_cannot_be(self):
        self.refused("exec", "nix", "true", says="nix: there is no such machine")
        self.refused("exec", "web", says="exec: a machine and a command", code=125)
        self.refused("exec", "--frobnicate", "web", "true", says="--frobnicate", code=125)
        self.refused("exec", "web", "nosuch", says='"nosuch": executable file not found', code=127)
        self.refused("exec", "web", "/srv/plain", says="(?i)permission denied", code=126)
        self.ok("pause", "web")
        self.refused("exec", "web", "true", says="web: is paused")
        self.ok("unpause", "web")
        self.ok("stop", "web")
        self.refused("exec", "web", "true", says="web: is not running")

    def test_the_machines_end_ends_it(self):
        process = self.start("exec", "web", "sh", "-c", "echo up; sleep 100")
        self.assertEqual(process.stdout.readline(), b"up\n")
        self.ok("kill", "web")
        process.communicate(timeout=30)
        self.assertNotEqual(process.returncode, 0)

    def test_detached(self):
        self.ok("exec", "-d", "web", "sh", "-c", "echo elsewhere; sleep 1; echo done > /tmp/done; sleep 1000", out=b"")
        self.until("it is done", lambda: self.husk("exec", "web", "cat", "/tmp/done").stdout == b"done\n")
        self.ok("exec", "-d", "nix", "true", code=1, err=b"husk: nix: there is no such machine\n")
        self.ok("logs", "web", out=b"up\n")

    def test_beside_a_foreground_machine(self):
        process = self.start("run", "--name", "fore", "--vsock", os.path.join(self.state, "own"), BUSYBOX, *FOREVER)
        self.assertEqual(process.stdout.readline(), b"up\n")
        self.ok("exec", "fore", "echo", "x", out=b"x\n")
        self.ok("stop", "fore")


class Logs(StayCase):
    def test_streams_lines_and_times(self):
        self.run_d("--name", "web", BUSYBOX, "sh", "-c", "for i in 1 2 3 4; do echo line $i; done; sleep 2; echo later; echo wrong >&2; printf end")
        self.ok("wait", "web", out=b"0\n")
        lines = b"line 1\nline 2\nline 3\nline 4\nlater\n"
        self.ok("logs", "web", out=lines + b"end", err=b"wrong\n")
        self.ok("logs", "--tail", "2", "web", out=b"end", err=b"wrong\n")
        self.ok("logs", "-n", "0", "web", out=b"")
        self.ok("logs", "-n", "99", "web", out=lines + b"end", err=b"wrong\n")
        stamped = self.ok("logs", "-t", "-n", "3", "web", err=self.husk("logs", "-t", "web").stderr).decode()
        self.assertRegex(stamped, r"\A20\d\d-\d\d-\d\dT[\d:]{8}\.\d{9}Z later\n20\S+Z end\Z")
        moment = stamped.split()[0]
        self.ok("logs", "--since", moment, "web", out=b"later\nend", err=b"wrong\n")
        self.ok("logs", "--since", "1h", "web", out=lines + b"end", err=b"wrong\n")
        self.ok("logs", "--since", "2099-01-01", "web", out=b"")
        self.refused("logs", "--since", "soon", "web", says="soon: is not a time")
        self.refused("logs", "--tail", "x", "web", says="--tail")

    def test_follow_ends_with_the_machine(self):
        self.run_d("--name", "web", BUSYBOX, "sh", "-c", "for i in 1 2 3; do echo $i; sleep 0.5; done; exit 4")
        self.ok("logs", "-f", "web", out=b"1\n2\n3\n")
        self.ok("logs", "-f", "web", out=b"1\n2\n3\n")
        self.ok("logs", "-f", "-n", "1", "web", out=b"3\n")

    def test_megabytes(self):
        self.run_d("--name", "web", BUSYBOX, "sh", "-c", "seq 200000")
        self.ok("logs", "-f", "web", out="".join(f"{i}\n" for i in range(1, 200001)).encode())
        self.ok("logs", "-n", "2", "web", out=b"199999\n200000\n")

    def test_a_terminal(self):
        self.run_d("-t", "--name", "web", BUSYBOX, "sh", "-c", "tty; echo two >&2")
        self.ok("wait", "web", out=b"0\n")
        self.assertRegex(self.ok("logs", "web"), rb"\A/dev/\S+\r\ntwo\r\n\Z")


class Foreground(StayCase):
    def test_it_is_seen_and_leaves_nothing(self):
        process = self.start("run", "--name", "fore", BUSYBOX, *FOREVER)
        self.assertEqual(process.stdout.readline(), b"up\n")
        self.assertRegex(self.ok("ps").decode(), r"Up .*   fore\n")
        self.refused("logs", "fore", says="fore: has no log")
        waiting = self.start("wait", "fore")
        self.ok("pause", "fore")
        self.ok("unpause", "fore")
        self.ok("stop", "fore")
        self.assertEqual(process.wait(30), 3)
        self.assertEqual(waiting.communicate(timeout=30), (b"3\n", b""))
        self.ok("ps", "-aq", out=b"")
        self.assertEqual(os.listdir(os.path.join(self.state, "machines")), [])

    def test_killed_it_leaves_nothing_either(self):
        process = self.start("run", "--name", "fore", BUSYBOX, *FOREVER)
        self.assertEqual(process.stdout.readline(), b"up\n")
        process.kill()
        process.wait()
        self.ok("ps", "-aq", out=b"")
        self.assertEqual(os.listdir(os.path.join(self.state, "machines")), [])

    def test_kill_gives_its_code(self):
        process = self.start("run", "--name", "fore", BUSYBOX, *FOREVER)
        self.assertEqual(process.stdout.readline(), b"up\n")
        self.ok("kill", "fore")
        self.assertEqual(process.wait(30), 137)

    def test_rm_by_force(self):
        process = self.start("run", "--name", "fore", BUSYBOX, *FOREVER)
        self.assertEqual(process.stdout.readline(), b"up\n")
        self.ok("rm", "-f", "fore")
        self.assertEqual(process.wait(30), 137)


class Many(StayCase):
    def test_four_at_once(self):
        names = [f"m{i}" for i in range(4)]
        starting = [self.start("run", "-d", "--name", name, "-m", "128M", BUSYBOX, "sh", "-c",
                               f"trap 'exit 1{name[1]}' TERM; echo I am {name}; while :; do sleep 0.1; done") for name in names]
        ids = [process.communicate(timeout=120)[0].decode().strip() for process in starting]
        self.assertEqual(len(set(ids)), 4)
        self.assertEqual(sorted(self.ok("ps", "-q", "--no-trunc").decode().split()), sorted(ids))
        for name in names:
            self.wait_for_output(name, f"I am {name}\n".encode())
        self.ok("stop", *names, out="".join(f"{name}\n" for name in names).encode())
        self.ok("wait", *names, out=b"10\n11\n12\n13\n")

    def test_names_race(self):
        racing = [self.start("run", "-d", "--name", "web", "-m", "128M", BUSYBOX, *FOREVER) for _ in range(4)]
        codes = [process.wait(120) for process in racing]
        self.assertEqual(sorted(codes), [0, 125, 125, 125])

    def test_starts_killed_at_any_moment(self):
        """kill -9 of the caller while it starts machines: they run, or they are gone; nothing is stuck."""
        for round in range(int(os.environ.get("ROUNDS", "15"))):
            process = self.start("run", "-d", "-m", "128M", BUSYBOX, *FOREVER)
            time.sleep(0.004 * round)
            process.kill()
            process.wait()
        time.sleep(0.5)
        for one in json.loads(self.ok("ps", "-a", "--format", "json")):
            self.assertIn(one["state"], ("running", "exited"), one)
        self.run_d("--name", "after", BUSYBOX, "true")
        self.ok("wait", "after", out=b"0\n")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1] + sys.argv[4:], verbosity=2)
