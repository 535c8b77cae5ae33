#!/usr/bin/env python3
"""Runs commands of real images with `husk run`, as a user would. Usage: run_test.py HUSK GUEST_DIR IMAGES_DIR"""
import fcntl
import hashlib
import json
import math
import os
import pty
import random
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import tarfile
import tempfile
import termios
import time
import unittest

from host_cpu import V3, missing_for_v3

HUSK, GUEST, IMAGES = (os.path.abspath(path) for path in sys.argv[1:4])
BUSYBOX, DEBIAN = "oci:" + os.path.join(IMAGES, "busybox"), "oci:" + os.path.join(IMAGES, "debian")
SCRATCH = tempfile.TemporaryDirectory(prefix="husk-run-test-")
ENVIRONMENT = {"PATH": os.environ["PATH"], "HUSK_GUEST_DIR": GUEST, "HUSK_CACHE": os.path.join(SCRATCH.name, "cache"),
               "HUSK_STATE": os.path.join(SCRATCH.name, "state")}


def start(*args, **kwargs):
    kwargs = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE,
              "env": ENVIRONMENT, **kwargs}
    return subprocess.Popen([HUSK, "run", *args], **kwargs)


def run(*args, stdin=None, timeout=120, **kwargs):
    if stdin is not None:
        kwargs["stdin"] = subprocess.PIPE
    with start(*args, **kwargs) as process:
        try:
            out, err = process.communicate(stdin, timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    return subprocess.CompletedProcess(args, process.returncode, out, err)


class RunCase(unittest.TestCase):
    def ran(self, *args, code=0, out=None, err=b"", **kwargs):
        result = run(*args, **kwargs)
        self.assertEqual((result.returncode, result.stderr[-2000:]), (code, err), result.stdout[-2000:])
        if out is not None:
            self.assertEqual(result.stdout, out)
        return result

    def refused(self, *args, says, code=125, **kwargs):
        result = run(*args, **kwargs)
        text = result.stderr.decode()
        self.assertEqual((result.returncode, result.stdout), (code, b""), text)
        self.assertEqual(text.count("\n"), 1, text)
        self.assertTrue(text.startswith("husk: ") and text.endswith("\n"), text)
        self.assertRegex(text, says)


class Debian(RunCase):
    def test_python_computes(self):
        self.ran(DEBIAN, "python3", "-c", "print(sum(range(10**6)))", out=b"499999500000\n")

    def test_exit_code_is_the_commands(self):
        self.ran(DEBIAN, "sh", "-c", "exit 7", code=7, out=b"")

    def test_a_large_file_reads_as_the_image_has_it(self):
        with tarfile.open(os.path.join(IMAGES, "debian.tar")) as tree:
            expected = hashlib.sha256(tree.extractfile("./usr/bin/python3.11").read()).hexdigest()
        self.ran(DEBIAN, "sha256sum", "/usr/bin/python3.11", out=f"{expected}  /usr/bin/python3.11\n".encode())

    def test_perl(self):
        expected = ",".join(str(sum(range(rest or 7, 70001, 7))) for rest in range(7))
        self.ran(DEBIAN, "perl", "-e", 'my %n; $n{$_ % 7} += $_ for 1..70000; print join(",", map { $n{$_} } 0..6)',
                 out=expected.encode())

    def test_gcc_compiles_what_then_runs(self):
        source = '#include <math.h>\n#include <stdio.h>\nint main(){printf("%.12f\\n", sqrt(2.0)*sin(1.0));return 9;}'
        self.ran("-i", DEBIAN, "sh", "-c", "cat > /tmp/a.c && gcc -O2 -fno-builtin -o /tmp/a /tmp/a.c -lm && exec /tmp/a",
                 stdin=source.encode(), code=9, out=f"{math.sqrt(2) * math.sin(1):.12f}\n".encode())

    def test_cpu_that_was_asked_for(self):
        shown = self.ran("--cpu", "x86-64-v2", "--cpus", "2", DEBIAN, "cat", "/proc/cpuinfo").stdout.decode()
        self.assertEqual(re.findall(r"^model name\s*: (.*)$", shown, re.M), ["Husk x86-64-v2"] * 2)
        flags = re.search(r"^flags\s*: (.*)$", shown, re.M).group(1).split()
        self.assertLess({"sse4_2", "popcnt", "cx16", "lahf_lm", "x2apic", "hypervisor"}, set(flags))
        self.assertFalse({"avx", "xsave", "aes", "smep", "pcid", "movbe", "rdtscp", "pdpe1gb"} & set(flags), flags)

    @unittest.skipIf(missing_for_v3(), f"this host lacks {missing_for_v3()}")
    def test_cpu_with_avx2(self):
        shown = self.ran("--cpu", "x86-64-v3", "--cpus", "2", DEBIAN, "cat", "/proc/cpuinfo").stdout.decode()
        self.assertEqual(re.findall(r"^model name\s*: (.*)$", shown, re.M), ["Husk x86-64-v3"] * 2)
        flags = set(re.search(r"^flags\s*: (.*)$", shown, re.M).group(1).split())
        self.assertLess(V3 | {"xsave"}, flags)
        self.assertFalse({"avx512f", "xsaveopt", "xsavec", "vaes", "aes"} & flags, flags)

    @unittest.skipIf(missing_for_v3(), f"this host lacks {missing_for_v3()}")
    def test_programs_that_choose_avx2(self):
        with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "vector_state.c"), "rb") as file:
            source = file.read()
        data = random.Random(5).randbytes(300_000)
        # glibc's and OpenSSL's own AVX2 loops; then compiled ones against those without.
        script = """set -e; cat > /tmp/v.c; cd /tmp
            /lib64/ld-linux-x86-64.so.2 --help | grep -q 'x86-64-v3 (supported, searched)'
            gcc -O2 -mavx2 -o v v.c; ./v 40 | tail -n 1
            printf '%s' '#include <stdio.h>
            int main(){static float a[999]; static double s; static unsigned long h=1,b; for(int k=0;k<400;++k)
            {for(int i=0;i<999;++i)a[i]=a[i]*0.75f+(float)(i*k%17); for(int i=0;i<999;++i)h=(h^(unsigned)a[i])*1099511628211ul,
            b+=(unsigned)__builtin_popcountl(h&~(h>>3))+(unsigned)__builtin_ctzl(h|1ul<<40)+(unsigned)__builtin_clzl(h|1);}
            for(int i=0;i<999;++i)s+=a[i]; printf("%.6f %lx %lu\\n",s,h,b);}' > s.c
            gcc -O3 -ffp-contract=off -march=x86-64-v3 -o s3 s.c; gcc -O1 -ffp-contract=off -march=x86-64 -o s1 s.c
            [ "$(./s3)" = "$(./s1)" ]; echo same
            python3 -c "
import hashlib, random
data = random.Random(5).randbytes(300_000)
print(hashlib.sha256(data).hexdigest(), hashlib.sha512(data).hexdigest(), data.count(b'ab'), data.find(b'abc'), len(data.split(b'x')))" """
        expected = (f"line 39\nsame\n{hashlib.sha256(data).hexdigest()} {hashlib.sha512(data).hexdigest()} "
                    f"{data.count(b'ab')} {data.find(b'abc')} {len(data.split(b'x'))}\n")
        self.ran("-i", "--cpu", "x86-64-v3", DEBIAN, "sh", "-c", script, stdin=source, out=expected.encode())

    def test_two_vcpus_agree_on_memory(self):
        result = self.ran("--cpus", "2", DEBIAN, "/opt/smp_stress")
        self.assertRegex(result.stdout.decode(), r"on 2 cpus\nOK\n$")


class Command(RunCase):
    def test_input_reaches_the_command(self):
        self.ran("-i", BUSYBOX, "cat", stdin=b"hi\n", out=b"hi\n")

    def test_without_i_input_is_empty(self):
        self.ran(BUSYBOX, "sh", "-c", "cat; echo end", stdin=b"hi\n", out=b"end\n")

    def test_output_and_error_stay_apart(self):
        self.ran(BUSYBOX, "sh", "-c", "echo one; echo two >&2; echo three", out=b"one\nthree\n", err=b"two\n")

    def test_three_megabytes_each_way(self):
        data = random.Random(1).randbytes(3_000_000)
        result = self.ran("-i", BUSYBOX, "tee", "/dev/stderr", stdin=data, err=data[-2000:])
        self.assertEqual(hashlib.sha256(result.stdout).digest(), hashlib.sha256(data).digest())
        self.assertEqual(hashlib.sha256(result.stderr).digest(), hashlib.sha256(data).digest())

    def test_images_own_settings_and_flags_over_them(self):
        show = 'id -u; pwd; echo "$FROM_IMAGE $MINE"'
        self.ran(BUSYBOX, "sh", "-c", show, out=b"0\n/srv\nyes \n")
        self.ran("--env", "MINE=a b", "--env", "FROM_IMAGE=no", "--workdir", "/home/app", BUSYBOX, "sh", "-c", show,
                 out=b"0\n/home/app\nno a b\n")

    def test_names(self):
        show = "hostname; cat /etc/hostname /etc/machine-id; stat -c %a /etc/machine-id"
        machine_id = "0123456789abcdef0123456789abcdef"
        self.ran("--name", "one", "--hostname", "web-1", "--machine-id", machine_id, BUSYBOX, "sh", "-c", show,
                 out=f"web-1\nweb-1\n{machine_id}\n444\n".encode())

    def image_with(self, name, tree):
        layout = os.path.join(SCRATCH.name, name)
        shutil.copytree(os.path.join(IMAGES, "busybox"), layout)
        subprocess.run(["umoci", "insert", "--image", layout + ":latest", tree, "/etc"], check=True, capture_output=True)
        return "oci:" + layout

    def test_names_give_way_to_the_images_own_and_leave_its_directory_as_it_is(self):
        tree = tempfile.mkdtemp(dir=SCRATCH.name)
        os.chmod(tree, 0o711)
        os.utime(tree, (0, 10**9))
        os.chown(tree, 7, 8)
        show = "stat -c '%a %u %g %Y' /etc; cat /etc/hostname /etc/hosts"
        names = b"127.0.0.1\tlocalhost\n::1\tlocalhost\n127.0.1.1\tweb\n"
        before = b"711 7 8 1000000000\n"
        self.ran("--hostname", "web", self.image_with("bare-etc", tree), "sh", "-c", show, out=before + b"web\n" + names)
        with open(os.path.join(tree, "hosts"), "w") as hosts:
            hosts.write("mine\n")
        os.utime(tree, (0, 10**9))
        self.ran("--hostname", "web", self.image_with("own-hosts", tree), "sh", "-c", show, out=before + b"web\nmine\n")

    def test_an_images_link_in_the_place_of_a_mount_leads_where_it_does_in_the_container(self):
        layout, tree = os.path.join(SCRATCH.name, "linked"), tempfile.mkdtemp(dir=SCRATCH.name)
        shutil.copytree(os.path.join(IMAGES, "busybox"), layout)
        os.makedirs(os.path.join(tree, "srv", "kernel"))
        os.symlink("/srv/kernel", os.path.join(tree, "proc"))
        subprocess.run(["umoci", "insert", "--image", layout + ":latest", tree, "/"], check=True, capture_output=True)
        self.ran("oci:" + layout, "sh", "-c", "readlink /proc; cat /srv/kernel/self/comm", out=b"/srv/kernel\ncat\n")

    def test_missing_workdir_is_made(self):
        self.ran("--workdir", "/new/dir", "--cpus", "2", BUSYBOX, "sh", "-c", "pwd; nproc", out=b"/new/dir\n2\n")

    def test_entrypoint(self):
        self.ran("--entrypoint", "/bin/echo", BUSYBOX, "-n", "x", out=b"x")

    def test_users(self):
        show = 'id -u; id -g; echo $HOME; touch /etc/mine 2>/dev/null || echo kept out'
        self.ran("--user", "app", BUSYBOX, "sh", "-c", show, out=b"1000\n1000\n/home/app\nkept out\n")
        self.ran("--user", "1000:1000", BUSYBOX, "sh", "-c", show, out=b"1000\n1000\n/home/app\nkept out\n")
        self.ran("--user", "4321:2000", BUSYBOX, "sh", "-c", "id -u; id -g", out=b"4321\n2000\n")
        self.refused("--user", "nobodyhere", BUSYBOX, "id", says="unable to find user nobodyhere")

    def test_command_that_is_missing_or_not_executable(self):
        self.refused(BUSYBOX, "nosuch", code=127, says=r'exec: "nosuch": executable file not found in \$PATH')
        self.refused(BUSYBOX, "/bin/nosuch", code=127, says='exec: "/bin/nosuch".*(?i:no such file)')
        self.refused(BUSYBOX, "/srv/plain", code=126, says='exec: "/srv/plain".*(?i:permission denied)')
        self.refused(BUSYBOX, "/srv", code=126, says='exec: "/srv".*(?i:is a directory)')

    def test_command_killed_by_a_signal(self):
        self.ran(BUSYBOX, "sh", "-c", "kill -SEGV $$", code=139)


class Lifecycle(RunCase):
    def states(self, *args):
        with subprocess.Popen([HUSK, "--debug", "run", *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, env=ENVIRONMENT) as process:
            return re.findall(r"state: (.*)", process.communicate(timeout=60)[1].decode(errors="replace"))

    def test_states_are_passed_in_order(self):
        self.assertEqual(self.states(BUSYBOX, "true"), ["starting", "running", "ready (127.0.0.1)", "stopped"])

    def test_a_guest_that_fails_says_so(self):
        self.assertRegex(self.states("--user", "nobodyhere", BUSYBOX, "true")[-1], "failed: .*nobodyhere")


class Signals(RunCase):
    def signalled(self, script, number):
        with start(BUSYBOX, "sh", "-c", script) as process:
            self.assertEqual(process.stdout.readline(), b"up\n")
            process.send_signal(number)
            out, err = process.communicate(timeout=30)
        self.assertEqual(err, b"")
        return process.returncode, out

    def test_trapped(self):
        script = 'trap "echo bye; exit 42" {}; echo up; while :; do sleep 1; done'
        self.assertEqual(self.signalled(script.format("TERM"), signal.SIGTERM), (42, b"bye\n"))
        self.assertEqual(self.signalled(script.format("USR1"), signal.SIGUSR1), (42, b"bye\n"))

    def test_default_action(self):
        self.assertEqual(self.signalled("echo up; exec sleep 100", signal.SIGTERM), (143, b""))
        self.assertEqual(self.signalled("echo up; exec sleep 100", signal.SIGINT), (130, b""))

    def test_before_the_command_runs(self):
        with start(BUSYBOX, "sleep", "100") as process:
            time.sleep(1)
            process.terminate()
            self.assertEqual(process.wait(30), 143)


class Terminal(RunCase):
    def setUp(self):
        self.master, slave = pty.openpty()
        self.addCleanup(os.close, self.master)
        self.resize(33, 111)
        self.before = termios.tcgetattr(slave)
        self.process = start("-it", "--env", "PS1=ready$ ", BUSYBOX, "sh", stdin=slave, stdout=slave, stderr=slave,
                             start_new_session=True, preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        self.slave = slave
        self.addCleanup(os.close, slave)
        self.addCleanup(self.process.wait)
        self.addCleanup(self.process.kill)
        self.seen = ""
        self.expect(r"ready\$ ")

    def resize(self, rows, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def expect(self, pattern, seconds=30):
        """Reads until the pattern matches; what matched and all before it is forgotten."""
        until = time.monotonic() + seconds
        while not (match := re.search(pattern, self.seen)):
            left = until - time.monotonic()
            if left <= 0 or not select.select([self.master], [], [], left)[0]:
                self.fail(f"no {pattern!r} in {self.seen!r}")
            self.seen += os.read(self.master, 65536).decode(errors="replace")
        before = self.seen[:match.end()]
        self.seen = self.seen[match.end():]
        return before

    def type(self, text):
        os.write(self.master, text.encode())

    def test_session(self):
        self.type("tty; echo $((6*7))x\r")
        self.assertIn("/dev/", self.expect(r"\r\n42x\r\n"))
        self.type("stty size\r")
        self.expect(r"\r\n33 111\r\n")
        self.resize(44, 122)
        time.sleep(0.5)
        self.type("stty size\r")
        self.expect(r"\r\n44 122\r\n")
        self.type("echo sle''eping; sleep 100\r")
        self.expect(r"\r\nsleeping\r\n")
        time.sleep(0.5)
        begun = time.monotonic()
        self.type("\x03")
        self.expect(r"ready\$ ")
        self.assertLess(time.monotonic() - begun, 5)
        self.type("echo code $?\r")
        self.expect(r"\r\ncode 130\r\n")
        self.type("exit 5\r")
        self.assertEqual(self.process.wait(30), 5)
        self.assertEqual(termios.tcgetattr(self.slave), self.before, "the terminal is not as it was")


class Archives(RunCase):
    def test_archives_run(self):
        for kind, name in (("oci-archive", ":latest"), ("docker-archive", ":test/busybox:latest")):
            file = os.path.join(SCRATCH.name, kind + ".tar")
            subprocess.run(["skopeo", "--insecure-policy", "copy", "-q", BUSYBOX + ":latest", f"{kind}:{file}{name}"], check=True)
            self.ran(f"{kind}:{file}", "echo", kind, out=kind.encode() + b"\n")


class Refuses(RunCase):
    def layout(self):
        copy = tempfile.mkdtemp(dir=SCRATCH.name)
        shutil.copytree(BUSYBOX[4:], copy, dirs_exist_ok=True)
        return copy

    def blob(self, layout, kind):
        def path(digest):
            return os.path.join(layout, "blobs", *digest.split(":"))
        with open(os.path.join(layout, "index.json"), encoding="utf8") as index:
            manifest = path(json.load(index)["manifests"][0]["digest"])
        with open(manifest, encoding="utf8") as file:
            parts = json.load(file)
        return {"manifest": manifest, "config": path(parts["config"]["digest"]), "layer": path(parts["layers"][0]["digest"])}[kind]

    def change(self, path, change):
        with open(path, "rb") as file:
            data = bytearray(file.read())
        with open(path, "wb") as file:
            file.write(change(data))

    def test_references(self):
        self.refused(says="no image")
        self.refused("oci:/nonexistent/image", "true", says="/nonexistent/image")
        self.refused("busybox", "true", says="busybox: not an image reference")
        self.refused("floppy:/dev/fd0", says="unknown transport")
        self.refused(BUSYBOX + ":nosuchtag", "true", says="nosuchtag")
        self.refused("oci:/etc/passwd", says="/etc/passwd")
        self.refused("oci-archive:/etc/passwd", says="/etc/passwd")
        self.refused("docker-archive:/nonexistent.tar", says="/nonexistent.tar")

    def test_broken_blobs(self):
        def flipped(data):
            data[len(data) // 2] ^= 0x10
            return data
        # A cache of its own: an image that was once whole may be served from there.
        for kind in ("manifest", "config", "layer"):
            for change in (flipped, lambda data: data[:len(data) // 2], lambda data: b""):
                with self.subTest(kind):
                    layout = self.layout()
                    self.change(self.blob(layout, kind), change)
                    with tempfile.TemporaryDirectory(dir=SCRATCH.name) as cache:
                        self.refused("oci:" + layout, "true", says=".", env={**ENVIRONMENT, "HUSK_CACHE": cache})
                        left = [file for _, _, files in os.walk(cache) for file in files]
                        self.assertFalse([file for file in left if "erofs" in file], left)
            layout = self.layout()
            os.unlink(self.blob(layout, kind))
            with tempfile.TemporaryDirectory(dir=SCRATCH.name) as cache:
                self.refused("oci:" + layout, "true", says="has no blobs/sha256/", env={**ENVIRONMENT, "HUSK_CACHE": cache})

    def test_index_that_is_no_json(self):
        layout = self.layout()
        self.change(os.path.join(layout, "index.json"), lambda data: data[:-9])
        self.refused("oci:" + layout, "true", says="index.json")

    def test_flags(self):
        self.refused("--frobnicate", BUSYBOX, says="--frobnicate")
        self.refused("--memory", "64000G", BUSYBOX, says="more than the host's")
        self.refused("--memory", "1M", BUSYBOX, says="--memory")
        self.refused("--memory", "-5", BUSYBOX, says="--memory")
        self.refused("--memory", says="--memory")
        self.refused("--cpus", "0", BUSYBOX, says="--cpus")
        self.refused("--cpus", "two", BUSYBOX, says="--cpus")
        self.refused("--cpu", "x86-64-v9", BUSYBOX, says="x86_64 has no x86-64-v9; it has x86-64-v2, x86-64-v3, host")
        self.refused("--backend", "abacus", BUSYBOX, says="--backend")
        self.refused("-t", BUSYBOX, says="not a terminal")
        self.refused("--name", "../x", BUSYBOX, "true", says="name")
        self.refused("--hostname", "a b", BUSYBOX, "true", says="host name: a b is not one of at most 64 letters")
        self.refused("--machine-id", "1", BUSYBOX, "true", says="machine id: 1 is not `new`, nor 32 lower-case hex")

    def test_workdir_that_cannot_be(self):
        self.refused("--workdir", "/srv/plain", BUSYBOX, "true", says="/srv/plain")

    def test_kernels(self):
        self.refused("--kernel", "/nonexistent", BUSYBOX, says="/nonexistent")
        self.refused("--kernel", "/etc", BUSYBOX, says="/etc")
        self.refused("--kernel", "/etc/passwd", BUSYBOX, says="/etc/passwd")
        directory = tempfile.mkdtemp(dir=SCRATCH.name)
        os.symlink(os.path.join(GUEST, "lib"), os.path.join(directory, "lib"))
        shutil.copy(os.path.join(GUEST, "vmlinuz"), directory)
        kernel = os.path.join(directory, "vmlinuz")
        for size in (3_000_000, 100_000, 1_000, 0):
            os.truncate(kernel, size)
            self.refused("--kernel", kernel, BUSYBOX, "true", says=re.escape(kernel))

    @unittest.skipIf(os.getuid() != 0, "only root can become somebody else")
    def test_unreadable(self):
        with tempfile.TemporaryDirectory() as directory:
            os.chmod(directory, 0o777)
            kernel = os.path.join(directory, "vmlinuz")
            shutil.copy(os.path.join(GUEST, "vmlinuz"), kernel)
            shutil.copytree(BUSYBOX[4:], os.path.join(directory, "image"))
            program = shutil.copy(HUSK, directory)
            index = os.path.join(directory, "image", "index.json")
            for parent, _, files in os.walk(os.path.join(directory, "image")):
                for name in files:  # umoci keeps them for the owner alone
                    os.chmod(os.path.join(parent, name), 0o644)

            def says(*args):
                return subprocess.run([program, "run", *args], stdin=subprocess.DEVNULL, capture_output=True, user=65534,
                                      group=65534, extra_groups=[], check=False,
                                      env={**ENVIRONMENT, "HUSK_CACHE": directory + "/cache", "HUSK_STATE": directory + "/state"})
            for file, args in ((kernel, ("--kernel", kernel)), (index, ())):
                os.chmod(file, 0)
                result = says(*args, f"oci:{directory}/image", "true")
                self.assertEqual((result.returncode, result.stderr.count(b"\n")), (125, 1), result.stderr)
                self.assertRegex(result.stderr.decode(), re.escape(file) + ".*Permission denied")


class KilledHard(RunCase):
    def tree(self, root):
        sums = {}
        for directory, _, files in os.walk(root):
            for name in files:
                path = os.path.join(directory, name)
                with open(path, "rb") as file:
                    sums[os.path.relpath(path, root)] = hashlib.file_digest(file, "sha256").hexdigest()
        return sums

    def marked(self, mark):
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/environ", "rb") as environ, open(f"/proc/{pid}/cmdline", "rb") as line:
                    if mark in environ.read():
                        found.append(line.read())
            except OSError:
                pass
        return found

    def test_nothing_is_left(self):
        base = tempfile.mkdtemp(dir=SCRATCH.name)
        for image in (DEBIAN, BUSYBOX):
            self.ran(image, "true", env={**ENVIRONMENT, "HUSK_CACHE": base + "/good"})
        good = self.tree(base + "/good")
        chance = random.Random()
        for n in range(10):
            cache, temporary, wait = f"{base}/cache{n}", f"{base}/tmp{n}", chance.uniform(0, 3)
            os.mkdir(cache)
            os.mkdir(temporary)
            mark = f"HUSK_TEST_MARK={os.getpid()}-{n}"
            environment = {**ENVIRONMENT, "HUSK_CACHE": cache, "TMPDIR": temporary, **dict([mark.split("=")])}
            with self.subTest(f"killed after {wait:.3f} s"):
                elsewhere = {name for place in ("/tmp", "/dev/shm", "/var/tmp") for name in os.listdir(place) if "husk" in name}
                with start((DEBIAN, BUSYBOX)[n % 2], "sleep", "100", env=environment) as process:
                    time.sleep(wait)
                    process.kill()
                self.assertEqual(process.returncode, -signal.SIGKILL)
                time.sleep(0.1)
                self.assertEqual(self.marked(mark.encode()), [])
                self.assertEqual(os.listdir(temporary), [])
                self.assertEqual({name for place in ("/tmp", "/dev/shm", "/var/tmp") for name in os.listdir(place)
                                  if "husk" in name} - elsewhere, set())
                left = self.tree(cache)
                # No two boots make the same base: that one is whole is shown by a run from it, which says nothing.
                self.assertEqual({name: sum_ for name, sum_ in left.items()
                                  if good.get(name) != sum_ and not (name in good and name.startswith("base/"))}, {},
                                 f"not as in {sorted(good)}")
                if n == 9 or any(name.endswith(".husk") for name in left):  # nor does it stand in the next one's way
                    self.ran(BUSYBOX, "echo", "alive", out=b"alive\n", env=environment)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1] + sys.argv[4:], verbosity=2)
