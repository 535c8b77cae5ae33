"""Commands in guests of the built-in CPU, for the soak tests; nothing here knows what they test."""
import os
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
HUNG = -1


class Guests:
    """Starts `husk run` on one image. Its cache is the caller's, so that the image is unpacked once."""

    def __init__(self, husk, guest_dir, soak_dir):
        self.husk, self.image = os.path.abspath(husk), "oci:" + os.path.join(os.path.abspath(soak_dir), "image")
        self.environment = {**os.environ, "HUSK_GUEST_DIR": os.path.abspath(guest_dir),
                            "HUSK_CACHE": os.path.join(os.path.abspath(soak_dir), "cache")}

    def run(self, mode, cpus, script, limit, memory="1G", cpu=None):
        """(exit status or HUNG, output, seconds): a shell script of the guest's, killed after `limit` seconds."""
        command = [self.husk, "run", "--backend", "soft", "--cpu-mode", mode, "--cpus", str(cpus), "--memory", memory]
        command += ["--cpu", cpu] if cpu else []
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="husk-soak-") as state, tempfile.TemporaryFile() as output:
            process = subprocess.Popen([*command, self.image, "/bin/sh", "-c", script], stdin=subprocess.DEVNULL, stdout=output,
                                       stderr=subprocess.STDOUT, env={**self.environment, "HUSK_STATE": state})
            try:
                status = process.wait(limit)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                status = HUNG
            output.seek(0)
            return status, output.read().decode(errors="replace"), time.monotonic() - began


def say(*words):
    print(*words)
    sys.stdout.flush()


def parse_configurations(text):
    """"jit:1,interp:2" as [(mode, vCPUs)]."""
    return [(mode, int(cpus)) for mode, cpus in (one.split(":") for one in text.split(","))]
