#!/usr/bin/env python3
"""Talks with a guest over --vsock, both ways. Usage: vsock_test.py HUSK GUEST_DIR IMAGES_DIR"""
import hashlib
import os
import pathlib
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

HUSK, GUEST, IMAGES = (os.path.abspath(path) for path in sys.argv[1:4])
SCRATCH = tempfile.TemporaryDirectory(prefix="husk-vsock-test-")
PATH = os.path.join(SCRATCH.name, "v")
SERVICES = pathlib.Path(__file__).with_name("vsock_guest.py").read_text()
ECHO, DIGEST, POUR, CONTROL, NOBODY = 1, 2, 3, 9999, 77


def greeting(port):
    """A connection to PATH that has asked for the port, and the line that came back."""
    peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    peer.settimeout(120)
    peer.connect(PATH)
    peer.sendall(f"CONNECT {port}\n".encode())
    line = b""
    while not line.endswith(b"\n") and (byte := peer.recv(1)):
        line += byte
    return peer, line


def connect(port):
    peer, line = greeting(port)
    if not line.startswith(b"OK "):
        raise ConnectionRefusedError(line)
    return peer


def read_all(peer):
    return b"".join(iter(lambda: peer.recv(65536), b""))


def control(command):
    with connect(CONTROL) as peer:
        peer.sendall(command.encode())
        return read_all(peer).decode()


class Vsock(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.machine = subprocess.Popen(
            [HUSK, "run", "--vsock", PATH, "oci:" + os.path.join(IMAGES, "debian"), "python3", "-c", SERVICES],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            env={"PATH": os.environ["PATH"], "HUSK_GUEST_DIR": GUEST, "HUSK_CACHE": SCRATCH.name + "/cache",
                 "HUSK_STATE": SCRATCH.name + "/state"})
        line = cls.machine.stdout.readline()
        if line != b"listening\n":
            cls.machine.kill()
            raise AssertionError(line)

    @classmethod
    def tearDownClass(cls):
        try:
            assert control("quit") == "bye"
            assert cls.machine.wait(60) == 0
            assert not os.path.exists(PATH), "the socket goes with the machine"
        finally:
            cls.machine.kill()
            cls.machine.stdout.close()

    def test_64_mebibytes_there_and_back(self):
        piece, count = random.Random(2).randbytes(1 << 20), 64
        sent, received = hashlib.sha256(), hashlib.sha256()

        def send():
            for number in range(count):
                data = number.to_bytes(4, "big") + piece[4:]
                sent.update(data)
                peer.sendall(data)

        with connect(ECHO) as peer:
            before = time.monotonic()
            sender = threading.Thread(target=send)
            sender.start()
            left = count << 20
            while left and (data := peer.recv(min(left, 65536))):
                received.update(data)
                left -= len(data)
            sender.join()
            print(f" [{2 * count / (time.monotonic() - before):.1f} MiB/s]", end="", file=sys.stderr)
        self.assertEqual((left, received.hexdigest()), (0, sent.hexdigest()))

    def test_what_was_echoed_is_what_was_sent(self):
        data, before = random.Random(3).randbytes(300_000), control("echoed")
        with connect(DIGEST) as peer:
            peer.sendall(data)
            peer.shutdown(socket.SHUT_WR)
            self.assertEqual(read_all(peer).decode(), hashlib.sha256(data).hexdigest())
        self.assertEqual(control("echoed"), before)

    def test_a_port_where_nobody_listens(self):
        peer, line = greeting(NOBODY)
        with peer:
            self.assertEqual(line, b"")

    def test_greetings_that_are_none(self):
        for text in (b"hello\n", b"CONNECT x\n", b"CONNECT 99999999999\n"):
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
                peer.settimeout(60)
                peer.connect(PATH)
                peer.sendall(text)
                try:
                    self.assertEqual(read_all(peer), b"")
                except ConnectionResetError:
                    pass  # closed with some of it unread

    def test_the_guest_reaches_the_host(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
            listener.bind(PATH + "_7000")
            listener.listen()
            listener.settimeout(60)
            answers = []
            asking = threading.Thread(target=lambda: answers.append(control("connect 7000")))
            asking.start()
            peer = listener.accept()[0]
            with peer:
                self.assertEqual(peer.recv(100), b"guest to host")
                peer.sendall(b"host to guest")
                asking.join()
            self.assertEqual(answers, ["host to guest"])

    def test_the_guest_is_refused_where_nobody_listens(self):
        self.assertEqual(control("connect 7001"), "ConnectionResetError")

    def test_a_peer_that_is_killed_ends_the_guests_sending(self):
        client = subprocess.Popen([sys.executable, "-c", f"""
import socket, time
peer = socket.socket(socket.AF_UNIX)
peer.connect({PATH!r})
peer.sendall(b"CONNECT {POUR}\\n")
for _ in range(20): peer.recv(65536)
print("reading", flush=True)
time.sleep(100)
"""], stdout=subprocess.PIPE)
        self.assertEqual(client.stdout.readline(), b"reading\n")
        self.assertEqual(control("poured"), "", "it waits for a peer that does not read")
        client.send_signal(signal.SIGKILL)
        client.communicate()
        until = time.monotonic() + 30
        while not (ended := control("poured")) and time.monotonic() < until:
            time.sleep(0.1)
        self.assertIn(ended, ("BrokenPipeError", "ConnectionResetError"))

    def test_200_connections_at_once(self):
        peers = [connect(ECHO) for _ in range(200)]
        try:
            for number, peer in enumerate(peers):
                peer.sendall(number.to_bytes(4, "big") * 1000)
            for number, peer in enumerate(peers):
                expected, got = number.to_bytes(4, "big") * 1000, b""
                while len(got) < len(expected) and (data := peer.recv(4096)):
                    got += data
                self.assertEqual(got, expected, number)
        finally:
            for peer in peers:
                peer.close()

    def test_the_path_is_in_use(self):
        second = subprocess.run([HUSK, "boot", "--kernel", os.path.join(GUEST, "vmlinuz"), "--vsock", PATH],
                                stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
        self.assertEqual(second.returncode, 125)
        self.assertIn(b"is in use", second.stderr)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1] + sys.argv[4:], verbosity=2)
