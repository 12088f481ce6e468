"""Small HTTP proxy on loopback, which opens tunnels."""

import socket
import threading
from contextlib import suppress

from tests.reporters.waiting import DEADLINE


class Tunnel:
    """Handler that opens the tunnels of CONNECT requests, and keeps their lines and headers.

    Args:
        refusal: the answer to each request in place of a tunnel, as raw bytes.
    """

    def __init__(self, refusal: bytes = b"") -> None:
        self.lines: list[str] = []
        self.headers: list[dict[str, str]] = []
        self._refusal = refusal

    def __call__(self, connection: socket.socket) -> None:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            byte = connection.recv(1)
            if not byte:
                return
            head += byte
        line, *fields = head.decode().strip().split("\r\n")
        self.lines.append(line)
        pairs = [field.partition(": ") for field in fields]
        self.headers.append({name.lower(): value for name, _, value in pairs})
        if self._refusal:
            connection.sendall(self._refusal)
            return
        host, _, port = line.split(" ")[1].rpartition(":")
        with socket.create_connection((host.strip("[]"), int(port)), DEADLINE) as server:
            server.settimeout(None)
            connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=relay, args=(server, connection))
            back.start()
            relay(connection, server)
            back.join()


def relay(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    for end in (source, target):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
