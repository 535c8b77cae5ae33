#!/usr/bin/env python3
"""Debian's gdb on the kernels of guests: husk boot --gdb, husk debug. Usage: gdb_test.py HUSK GUEST_DIR IMAGES_DIR [BACKEND]

IMAGES_DIR may be "": then no machine of an image is debugged. With HUSK_NO_BREAKPOINTS, tests of breakpoints are left out: the
host's processor has none for guests."""
import os
import re
import socket
import subprocess
import sys
import tempfile
import unittest

HUSK, GUEST, IMAGES = os.path.abspath(sys.argv[1]), sys.argv[2], sys.argv[3]
BACKEND = sys.argv[4] if len(sys.argv) > 4 else "soft"
SCRATCH = tempfile.TemporaryDirectory(prefix="husk-gdb-test-")
LIMIT = 240
breakpoints = unittest.skipIf("HUSK_NO_BREAKPOINTS" in os.environ, os.environ.get("HUSK_NO_BREAKPOINTS", ""))


class Boot:
    """husk boot with a place for a debugger."""

    def __init__(self, test, *args, gdb=None):
        self.socket = gdb or "unix:" + tempfile.mktemp(dir=SCRATCH.name)
        self.process = subprocess.Popen(
            [HUSK, "boot", "--backend", BACKEND, "--kernel", os.path.join(GUEST, "vmlinuz"),
             "--initrd", os.path.join(GUEST, "test-initrd"), "--memory", "256M", "--cpus", "2",
             "--append", "console=ttyS0 quiet nokaslr husk.test=" + test, "--gdb", self.socket, *args],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.out = b""
        said = self.process.stderr.readline().decode()
        found = re.fullmatch(r"husk: target remote (\S+)\n", said)
        assert found, said
        self.address = found.group(1)

    def read_until(self, text):
        for line in self.process.stdout:
            self.out += line
            if text in line:
                return
        raise AssertionError((text, self.out[-2000:]))

    def go_on(self):
        self.process.stdin.write(b"go\n")
        self.process.stdin.flush()

    def symbols(self):
        self.read_until(b"HUSK waiting")
        return {name.decode(): int(value, 16) for name, value in re.findall(rb"HUSK symbol (\w+) ([0-9a-f]+)", self.out)}

    def end(self, input=None):
        out, err = self.process.communicate(input, timeout=LIMIT)
        return self.process.returncode, (self.out + out).decode(errors="replace"), err.decode()


def gdb(address, *commands):
    """What gdb prints for these commands, connected."""
    script = ["set pagination off", "set confirm off", "set architecture i386:x86-64", "target remote " + address, *commands]
    args = [word for line in script for word in ("-ex", line)]
    run = subprocess.run(["gdb", "-nx", "-q", "-batch", *args], capture_output=True, text=True, timeout=LIMIT,
                         stdin=subprocess.DEVNULL)
    return run.stdout + run.stderr


class Client:
    """The protocol itself, for what gdb would never do."""

    def __init__(self, address):
        host, _, port = address.rpartition(":")
        self.socket = socket.create_connection((host, int(port))) if host else socket.socket(socket.AF_UNIX)
        self.socket.settimeout(LIMIT)
        if not host:
            self.socket.connect(address)
        self.ask("QStartNoAckMode")
        self.socket.send(b"+")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, packet):
        self.socket.send(b"$%s#%02x" % (packet.encode(), sum(packet.encode()) & 255))

    def hear(self):
        data = b""
        while not re.search(rb"\$[^#]*#..$", data):
            piece = self.socket.recv(4096)
            if not piece:
                return data.decode()
            data += piece
        return re.search(rb"\$([^#]*)#..$", data).group(1).decode()

    def ask(self, packet):
        self.send(packet)
        return self.hear()


class GdbCase(unittest.TestCase):
    def boot(self, *args, **kwargs):
        boot = Boot(*args, **kwargs)
        self.addCleanup(boot.process.communicate)
        self.addCleanup(lambda: boot.process.poll() is None and boot.process.kill())
        return boot

    def ends_well(self, boot, input=b"go\n"):
        code, out, err = boot.end(input)
        self.assertEqual((code, err), (0, ""), out[-2000:])
        return out


class Debugs(GdbCase):
    def test_from_the_first_instruction(self):
        boot = self.boot("none", "--gdb-wait")
        said = gdb(boot.address, "info threads", "info registers rip cr0 eflags", "x/2i $rip", "stepi", "stepi", "detach")
        self.assertRegex(said, r"\* 1 +Thread 1 \(vCPU 0\)")
        self.assertRegex(said, r"\n +2 +Thread 2 \(vCPU 1\)")
        self.assertRegex(said, r"cr0 +0x11 ")  # protected mode without paging, as PVH begins
        entry, second = re.findall(r"^ *(?:=> )?(0x[0-9a-f]+):\t", said, re.M)
        stops = re.findall(r"^(0x[0-9a-f]+) in \?\? \(\)", said, re.M)
        self.assertEqual([int(stop, 16) for stop in stops[:2]], [int(entry, 16), int(second, 16)], said)
        self.assertGreater(int(stops[2], 16), int(second, 16))
        self.assertIn("HUSK-INIT kernel", self.ends_well(boot))

    def test_registers_and_memory_are_the_guests(self):
        boot = self.boot("debug")
        banner = boot.symbols()["linux_proc_banner"]
        said = gdb(boot.address, f"x/s {banner:#x}", f"set {{char}}({banner:#x} + 3) = 'V'", f"x/s {banner:#x}", "thread 2",
                   "set $saved = $r12", "set $r12 = 0x123456789abcdef0", "p/x $r12", "set $r12 = $saved",
                   "p $cs & 3", "p $efer & 0x500", "x/b 0", "p/x $cr3 != 0", "p $xmm0.v2_int64[0] == $xmm0.v2_int64[0]", "detach")
        self.assertIn('"%s version %s', said)
        self.assertIn('"%s Version %s', said)
        self.assertIn("0x123456789abcdef0", said)
        self.assertEqual(len(re.findall(r"\$\d+ = (?:0x)?1\n", said)), 2, said)
        self.assertRegex(said, r"\$\d+ = 1280\b")
        self.assertIn("Cannot access memory at address 0x0", said)
        self.assertIn("HUSK banner Linux Version 6.1", self.ends_well(boot))

    def test_control_c_and_on(self):
        boot = self.boot("debug")
        boot.read_until(b"HUSK waiting")
        interrupt = "shell (sleep 1; kill -INT $PPID) &"
        said = gdb(boot.address, interrupt, "continue", "p/x $rip", interrupt, "continue", "p/x $rip", "detach")
        self.assertEqual(said.count("received signal SIGINT"), 2, said)
        self.assertEqual(len(re.findall(r"\$\d+ = 0xffffffff[89a-f][0-9a-f]{7}\n", said)), 2, said)
        self.ends_well(boot)

    def test_the_guests_end_is_told(self):
        boot = self.boot("none", "--gdb-wait")
        self.assertIn("[Inferior 1 (Remote target) exited normally]", gdb(boot.address, "continue"))
        self.ends_well(boot)

    def test_kill_ends_the_guest(self):
        boot = self.boot("debug")
        boot.read_until(b"HUSK waiting")
        gdb(boot.address, "kill")
        code, _, err = boot.end()
        self.assertEqual((code, err), (137, "husk: ended by a debugger\n"))

    def test_one_vcpu_steps_while_the_other_stands_still(self):
        boot = self.boot("none", "--gdb-wait", gdb="0")
        self.assertRegex(boot.address, r"^127\.0\.0\.1:[1-9][0-9]*$")
        with Client(boot.address) as client:
            before = client.ask("g")
            for _ in range(20):
                self.assertEqual(client.ask("vCont;s:1"), "T05thread:1;")
            self.assertNotEqual(client.ask("g"), before)
            self.assertEqual(client.ask("Hg2"), "OK")
            self.assertEqual(client.ask("p10"), "0" * 16, "it was never started")
            self.assertEqual(client.ask("D"), "OK")
        self.ends_well(boot)

    def test_clients_come_and_go(self):
        boot = self.boot("debug", gdb="0")
        boot.read_until(b"HUSK waiting")
        for last in ("vCont;c", "?", "m0,", None):
            client = Client(boot.address)
            if last:
                client.send(last)
            else:
                client.socket.send(b"$" + b"x" * 100_000)
            client.socket.close()
        self.ends_well(boot)


@breakpoints
class Stops(GdbCase):
    @classmethod
    def setUpClass(cls):
        boot = Boot("debug")
        cls.symbols = boot.symbols()
        assert boot.end(b"go\n")[0] == 0

    def test_breakpoints_before_anything_is_mapped(self):
        boot = self.boot("debug", "--gdb-wait")
        opens = self.symbols["do_sys_openat2"]
        said = gdb(boot.address, f"break *{opens:#x}", "continue", "p/x $rip", "delete",
                   f"hbreak *{opens:#x}", "continue", "p/x $rip", "info breakpoints", "delete", "stepi", "p $rip", "detach")
        self.assertEqual(said.count(f"= {opens:#x}\n"), 2, said)
        self.assertIn("breakpoint already hit 1 time", said)
        boot.read_until(b"HUSK waiting")
        self.ends_well(boot)

    def test_software_breakpoint_is_hit_as_often_as_it_is_met(self):
        boot = self.boot("debug")
        opens = boot.symbols()["do_sys_openat2"]
        self.assertEqual(opens, self.symbols["do_sys_openat2"], "nokaslr")
        client = Client(boot.address)
        before = client.ask(f"m{opens:x},4")
        self.assertEqual(client.ask(f"Z0,{opens:x},1"), "OK")
        self.assertEqual(client.ask(f"m{opens:x},4"), before)
        client.send("vCont;c")
        boot.go_on()
        for _ in range(20):
            stop = client.hear()
            self.assertRegex(stop, r"^T05thread:[12];swbreak:;$")
            thread = stop[len("T05thread:")]
            self.assertEqual(client.ask("p10"), opens.to_bytes(8, "little").hex())
            client.ask(f"z0,{opens:x},1")
            self.assertRegex(client.ask(f"vCont;s:{thread}"), f"^T05thread:{thread};$")
            client.ask(f"Z0,{opens:x},1")
            client.send("vCont;c")
        client.socket.close()  # with the breakpoint in place, while it runs or stands at it
        self.assertIn("HUSK banner Linux version 6.1", self.ends_well(boot, None))

    def test_watchpoints(self):
        boot = self.boot("debug")
        boot.read_until(b"HUSK waiting")
        ticks = self.symbols["jiffies_64"]
        said = gdb(boot.address, f"watch *(unsigned long*){ticks:#x}", "continue", "continue", "delete", "detach")
        changes = re.findall(r"Old value = (\d+)\nNew value = (\d+)", said)
        self.assertEqual(len(changes), 2, said)
        self.assertTrue(all(int(old) < int(new) for old, new in changes), said)
        self.ends_well(boot)

    def test_there_are_four_hardware_breakpoints(self):
        boot = self.boot("debug")
        boot.read_until(b"HUSK waiting")
        client = Client(boot.address)
        answers = [client.ask(f"Z1,{address:x},1") for address in range(0x1000, 0x1005)]
        self.assertEqual(answers[:4], ["OK"] * 4)
        self.assertRegex(answers[4], r"^E\.hardware breakpoints: there are 4")
        client.socket.close()
        self.ends_well(boot)


class Refuses(unittest.TestCase):
    def refused(self, *args, says):
        run = subprocess.run([HUSK, "boot", "--kernel", os.path.join(GUEST, "vmlinuz"), *args], stdin=subprocess.DEVNULL,
                             capture_output=True, text=True, timeout=LIMIT)
        self.assertEqual((run.returncode, run.stdout), (125, ""), run.stderr)
        self.assertEqual(run.stderr.count("\n"), 1)
        self.assertRegex(run.stderr, says)

    def test_places_that_are_none(self):
        for place in ("65536", "-1", "host:1", "unix:", "1x"):
            self.refused("--gdb", place, says="is no place for a debugger|not a socket's path|--gdb")

    def test_a_port_that_is_taken(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            self.refused("--gdb", str(port), says=f"port {port}: cannot listen: Address already in use")

    def test_waiting_for_nobody(self):
        self.refused("--gdb-wait", says="--gdb")


@unittest.skipUnless(IMAGES, "no images")
class DebugsMachines(unittest.TestCase):
    def setUp(self):
        self.environment = {**os.environ, "HUSK_GUEST_DIR": GUEST, "HUSK_CACHE": os.path.join(SCRATCH.name, "cache"),
                            "HUSK_STATE": tempfile.mkdtemp(dir=SCRATCH.name)}

    def husk(self, *args):
        return subprocess.run([HUSK, *args], stdin=subprocess.DEVNULL, capture_output=True, text=True, env=self.environment,
                              timeout=LIMIT)

    def test_a_machine_that_stays(self):
        image = "oci:" + os.path.join(os.path.abspath(IMAGES), "busybox")
        started = self.husk("run", "-d", "--backend", BACKEND, "--name", "web", image, "sh", "-c",
                            "trap 'exit 3' TERM; echo up; while :; do sleep 0.1; done")
        self.assertEqual(started.returncode, 0, started.stderr)
        self.addCleanup(self.husk, "rm", "-f", "web")
        place = self.husk("debug", "web")
        self.assertRegex(place.stdout, r"^target remote /.*/gdb\n$", place.stderr)
        path = place.stdout.split()[-1]
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
        self.assertEqual(self.husk("debug", "web").stdout, place.stdout)
        script = os.path.join(SCRATCH.name, "script.gdb")
        with open(script, "w") as file:
            file.write("info threads\nstepi\np $efer & 0x500\n")
        batch = self.husk("debug", "web", "--batch", script)
        self.assertEqual(batch.returncode, 0, batch.stderr)
        self.assertIn("Thread 1 (vCPU 0)", batch.stdout)
        self.assertRegex(batch.stdout, r"\$\d+ = 1280\b")
        self.assertEqual(self.husk("exec", "web", "echo", "alive").stdout, "alive\n", "gdb has gone")
        self.assertEqual(self.husk("pause", "web").returncode, 0)
        self.assertIn("Thread 1 (vCPU 0)", gdb(path, "info threads", "detach"))
        self.assertEqual(self.husk("unpause", "web").returncode, 0)
        self.husk("stop", "web")
        self.assertEqual(self.husk("wait", "web").stdout, "3\n")
        self.assertFalse(os.path.exists(path))
        refused = self.husk("debug", "web")
        self.assertEqual((refused.returncode, refused.stderr), (1, "husk: web: is not running\n"))
        self.assertEqual(self.husk("debug", "none").returncode, 1)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
