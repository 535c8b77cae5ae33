"""The wall time of a whole command, to the moment its process is gone.

subprocess waits for a process with a limit by looking at it again and again, in the end every 50 ms, so its figures would be steps of
that. Here a thread of its own keeps the limit.
"""
import subprocess
import threading
import time


def seconds_of(command, limit, **how):
    """Raises CalledProcessError if it fails, or takes longer than `limit` seconds."""
    start = time.monotonic()
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, **how) as process:
        guard = threading.Timer(limit, process.kill)
        guard.start()
        status = process.wait()
        elapsed = time.monotonic() - start
        guard.cancel()
    if status != 0:
        raise subprocess.CalledProcessError(status, command)
    return elapsed
