"""What vsock_test.py runs in the guest: services on vsock ports, until port 9999 is told to quit."""
import hashlib
import socket
import threading

ANY, HOST = 0xFFFFFFFF, 2
log = {"echoed": hashlib.sha256(), "poured": []}


def echo(peer):
    while data := peer.recv(65536):
        log["echoed"].update(data)
        peer.sendall(data)


def digest(peer):  # of all that comes until the end, answered behind it
    total = hashlib.sha256()
    while data := peer.recv(65536):
        total.update(data)
    peer.sendall(total.hexdigest().encode())


def pour(peer):  # without end, and says how that ended
    try:
        while True:
            peer.sendall(bytes(65536))
    except OSError as error:
        log["poured"].append(type(error).__name__)


def greet_host(port):
    with socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM) as peer:
        try:
            peer.connect((HOST, int(port)))
            peer.sendall(b"guest to host")
            return peer.recv(100).decode()
        except OSError as error:
            return type(error).__name__


def obey(peer):
    command, _, argument = peer.recv(100).decode().strip().partition(" ")
    answers = {"echoed": lambda: log["echoed"].hexdigest(), "poured": lambda: " ".join(log["poured"]),
               "connect": lambda: greet_host(argument), "quit": lambda: quitting.set() or "bye"}
    peer.sendall(answers[command]().encode())


def serve(port, service):
    def one(peer):
        with peer:
            service(peer)

    def run():
        while True:
            threading.Thread(target=one, args=(listener.accept()[0],), daemon=True).start()

    listener = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
    listener.bind((ANY, port))
    listener.listen(256)
    threading.Thread(target=run, daemon=True).start()


quitting = threading.Event()
for port, service in ((1, echo), (2, digest), (3, pour), (9999, obey)):
    serve(port, service)
print("listening", flush=True)
quitting.wait()
