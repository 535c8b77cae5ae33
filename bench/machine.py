"""Starts the host or a guest on the loads' program and reads what it says, by the host's clock and under time limits.

A guest has the program as its /init. Nothing here knows what is measured; loads.py does.
"""
import json
import os
import re
import selectors
import signal
import stat
import subprocess
import time

RUN_LIMIT = 150  # seconds for a machine to boot and run every load, unless it is told otherwise
LINE_LIMIT = 40  # seconds from one line to the next, likewise

# Firmware writes escape sequences before the first line, and a line may follow them.
LINE = re.compile(rb"(load|begin|end|wrong|all) ([a-z0-9-]+) ?(\d+)?|(\{.*\})")


def newc(path, mode, data=b"", device=(0, 0)):
    """One entry of a cpio archive in the form that Linux takes as initramfs (buffer-format.rst)."""
    name = path.encode() + b"\0"
    fields = [0, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(name), 0]
    head = b"070701" + b"".join(b"%08x" % field for field in fields) + name
    return head + b"\0" * (-len(head) % 4) + data + b"\0" * (-len(data) % 4)


def initrd(program):
    with open(program, "rb") as file:
        init = file.read()
    return (newc("dev", stat.S_IFDIR | 0o755) + newc("dev/console", stat.S_IFCHR | 0o600, device=(5, 1))
            + newc("init", stat.S_IFREG | 0o755, init) + newc("TRAILER!!!", 0))


def stamped_lines(process, run_limit, line_limit):
    """(line, the host's time when its end came out); ends at the output's end, or at a time limit with (None, time)."""
    pending, started = b"", time.monotonic()
    with selectors.DefaultSelector() as ready:
        ready.register(process.stdout, selectors.EVENT_READ)
        while True:
            patience = min(line_limit, started + run_limit - time.monotonic())
            if patience <= 0 or not ready.select(patience):
                yield None, time.monotonic()
                return
            data, stamp = os.read(process.stdout.fileno(), 65536), time.monotonic()
            if not data:
                return
            *whole, pending = (pending + data).split(b"\n")
            yield from ((line, stamp) for line in whole)


class Run:
    """What one machine said. samples: {load: [host seconds of a unit]}; said: {load: the guest's own JSON};
    clock: {load: guest seconds in a host second}; failure: None, or what went wrong and where."""

    def __init__(self, command, run_limit=None, line_limit=None):
        self.samples, self.said, self.clock, self.failure = {}, {}, {}, None
        self._load, self._units, self._began = None, 1, None
        self._complete = False
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                   start_new_session=True)
        try:
            self._read(stamped_lines(process, run_limit or RUN_LIMIT, line_limit or LINE_LIMIT))
        finally:
            self._end(process)

    def _read(self, lines):
        last = b""
        for line, stamp in lines:
            if line is None:
                self.failure = f"hung in {self._load or 'its boot'}; killed; its last line was {last!r}"
                return
            last = line
            self._take(line, stamp)
        if not self._complete and not self.failure:
            self.failure = f"ended in {self._load or 'its boot'}; its last line was {last!r}"

    def _take(self, line, stamp):
        match = LINE.search(line)
        if not match:
            return
        what, load, number, result = (group and group.decode() for group in match.groups())
        if result:
            self._take_result(json.loads(result))
        elif what == "load":
            self._load, self._units = load, int(number)
        elif what == "begin":
            self._began = stamp
        elif what == "end":
            self.samples.setdefault(load, []).append((stamp - self._began) / (int(number) * self._units))
        elif what == "wrong":
            self.failure = f"computed {load} differently in two calls: {line!r}"
        else:
            self._complete = True

    def _take_result(self, result):
        load = result["load"]
        self.said[load] = result
        took = sum(self.samples[load])
        if took > 0:  # lines of a smoke run can come out together
            self.clock[load] = sum(result["samples"]) * 1e-9 / took

    @staticmethod
    def _end(process):
        """A machine that powers off ends by itself; its group is killed in any case, and then reaped."""
        try:
            process.wait(5 if process.poll() is None else 0)
        except subprocess.TimeoutExpired:
            pass
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()
        process.stdout.close()
