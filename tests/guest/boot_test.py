#!/usr/bin/env python3
"""Boots Debian's kernel with `husk boot` and looks at what comes out. Usage: boot_test.py HUSK GUEST_DIR"""
import hashlib
import os
import re
import subprocess
import sys
import tempfile
import unittest

HUSK, GUEST = sys.argv[1], sys.argv[2]
KERNEL = os.path.join(GUEST, "vmlinuz")
INITRD = os.path.join(GUEST, "test-initrd")


def husk(*args, stdin=None, timeout=120):
    return subprocess.run([HUSK, *args], input=stdin, stdin=None if stdin else subprocess.DEVNULL,
                          capture_output=True, timeout=timeout)


def boot(test, *args, **kwargs):
    return husk("boot", "--kernel", KERNEL, "--initrd", INITRD,
                "--append", "console=ttyS0 quiet husk.test=" + test, *args, **kwargs)


class Boots(unittest.TestCase):
    def test_reaches_init_and_powers_off(self):
        run = boot("none")
        self.assertEqual(run.returncode, 0, run.stdout[-2000:])
        self.assertIn(b"HUSK-INIT kernel 6.1", run.stdout)

    def test_one_and_two_vcpus_see_what_they_were_given(self):
        for cpus, memory in ((1, 256), (2, 512)):
            run = boot("facts", "--cpus", str(cpus), "--memory", f"{memory}M")
            out = run.stdout.decode(errors="replace")
            self.assertEqual(run.returncode, 0, out[-2000:])
            self.assertIn(f"HUSK cpus {cpus}", out)
            total = int(re.search(r"HUSK memory-kb (\d+)", out).group(1))
            self.assertTrue(memory * 1024 * 0.7 < total < memory * 1024, total)
            self.assertRegex(out, r"HUSK clocksource (tsc|kvm-clock)")
            self.assertIn("HUSK sum 750750.0", out)
            self.assertIn("HUSK sha " + hashlib.sha256(b"husk\n").hexdigest(), out)

    def test_many_processes_on_two_vcpus(self):
        run = boot("processes", "--cpus", "2")
        self.assertEqual(run.returncode, 0, run.stdout[-2000:])
        self.assertIn(b"HUSK processes done", run.stdout)

    def test_disks_are_read_and_written(self):
        with tempfile.TemporaryDirectory() as directory:
            disks = [os.path.join(directory, name) for name in ("one", "two")]
            for disk in disks:
                with open(disk, "wb") as file:
                    file.write(f"host: {os.path.basename(disk)}     ".encode())
                    file.truncate(1 << 20)
            with open(disks[1], "rb") as file:
                before = file.read()
            run = boot("disks", "--disk", disks[0], "--disk", disks[1] + ",ro")
            self.assertEqual(run.returncode, 0, run.stdout[-2000:])
            self.assertIn(b"HUSK vda 2048 ro=0 host: one", run.stdout)
            self.assertIn(b"HUSK vda written", run.stdout)
            self.assertIn(b"HUSK vdb 2048 ro=1 host: two", run.stdout)
            self.assertNotIn(b"HUSK vdb written", run.stdout)
            with open(disks[0], "rb") as file:
                file.seek(8 * 512)
                self.assertEqual(file.read(15), b"from the guest\n")
            with open(disks[1], "rb") as file:
                self.assertEqual(file.read(), before)

    def test_panic_is_a_failure_with_its_reason(self):
        run = boot("panic")
        self.assertEqual(run.returncode, 1)
        self.assertIn(b"husk: guest kernel panic: sysrq triggered crash", run.stderr)

    def test_reboot_ends_the_run(self):
        self.assertEqual(boot("reboot").returncode, 0)

    def test_input_reaches_the_console(self):
        # A serial line loses what arrives before somebody listens, so the guest says when it does.
        with subprocess.Popen([HUSK, "boot", "--kernel", KERNEL, "--initrd", INITRD,
                               "--append", "console=ttyS0 quiet husk.test=echo"],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE) as run:
            out = b""
            for line in run.stdout:
                out += line
                if b"HUSK waiting" in line:
                    run.stdin.write(b"hello from outside\n")
                    run.stdin.flush()
            self.assertEqual(run.wait(60), 0)
        self.assertIn(b"HUSK read hello from outside", out)


class Refuses(unittest.TestCase):
    def refused(self, *args, says):
        run = husk("boot", *args)
        self.assertEqual(run.returncode, 125, run.stderr)
        text = run.stderr.decode()
        self.assertEqual(text.count("\n"), 1, text)
        self.assertRegex(text, says)

    def test_missing_kernel(self):
        self.refused("--kernel", "/nonexistent/kernel", says="/nonexistent/kernel: cannot open kernel: No such file")

    def test_kernel_that_is_a_directory(self):
        self.refused("--kernel", "/", says="/: kernel is not a file")

    def test_file_that_is_no_kernel(self):
        self.refused("--kernel", os.path.abspath(__file__), says="boot_test.py: not a kernel")

    def test_truncated_kernel(self):
        with open(KERNEL, "rb") as kernel, tempfile.NamedTemporaryFile() as cut:
            cut.write(kernel.read(100_000))
            cut.flush()
            self.refused("--kernel", cut.name, says="truncated")

    def test_missing_initrd(self):
        self.refused("--kernel", KERNEL, "--initrd", "/nonexistent", says="/nonexistent: cannot open initrd")

    def test_disks(self):
        self.refused("--kernel", KERNEL, "--disk", "/nonexistent/disk", says="/nonexistent/disk: cannot open disk")
        self.refused("--kernel", KERNEL, "--disk", "/", says="/: ")
        self.refused("--kernel", KERNEL, *["--disk", "/dev/null,ro"] * 9, says="no room for more than 8")
        with tempfile.NamedTemporaryFile() as disk:
            disk.truncate(1 << 20)
            self.refused("--kernel", KERNEL, "--disk", disk.name, "--disk", disk.name, says=disk.name + ".*in use")

    def test_too_little_and_too_much_memory(self):
        self.refused("--kernel", KERNEL, "--memory", "16M", says="vmlinuz: .* MiB")
        self.refused("--kernel", KERNEL, "--memory", "64000G", says="more than the host's")
        self.refused("--kernel", KERNEL, "--memory", "lots", says="--memory: \"lots\" is not a size")

    def test_bad_cpus_and_unknown_flag(self):
        self.refused("--kernel", KERNEL, "--cpus", "0", says="--cpus: must be 1 to 64")
        self.refused("--kernel", KERNEL, "--frobnicate", says="frobnicate")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
