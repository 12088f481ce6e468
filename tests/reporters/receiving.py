"""Sockets of a test that take datagrams. The kernel holds what comes in until it is read."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.processes import LOOPBACK

HELD = 1 << 22


@contextmanager
def udp_socket(port: int = 0, host: str = LOOPBACK) -> Iterator[socket.socket]:
    """Give a socket of the loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, HELD)
        sock.bind((host, port))
        sock.setblocking(False)
        yield sock


@contextmanager
def unix_socket(path: Path) -> Iterator[socket.socket]:
    """Give a socket at a path, which is gone afterwards."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(path))
        sock.setblocking(False)
        try:
            yield sock
        finally:
            path.unlink()


def received(sock: socket.socket) -> list[bytes]:
    """Return the datagrams that have come in since the last call."""
    found = []
    while True:
        try:
            found.append(sock.recv(1 << 16))
        except BlockingIOError:
            return found


@contextmanager
def unix_reader(path: Path) -> Iterator[list[bytes]]:
    """Give what comes in at a path, all of which is there when the block is over.

    Unlike at `unix_socket`, senders never wait: the kernel holds ten datagrams for those.
    """
    found: list[bytes] = []
    with unix_socket(path) as sock:
        sock.setblocking(True)

        def read() -> None:
            while data := sock.recv(1 << 16):
                found.append(data)

        thread = threading.Thread(target=read)
        thread.start()
        try:
            yield found
        finally:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as last:
                last.sendto(b"", str(path))
            thread.join()
