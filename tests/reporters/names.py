"""Resolver whose answers a test sets, for the names of servers that move."""

import socket
import threading

from metrics.reporters._transports.connection import THREAD_NAME
from tests.reporters.waiting import DEADLINE

SECOND_LOOPBACK = "127.0.0.2"
"""Another address of this machine: on Linux all of 127.0.0.0/8 belongs to it."""

real_getaddrinfo = socket.getaddrinfo


class Names:
    """Stand-in for `socket.getaddrinfo`; numeric addresses go to the real one.

    A name without an address fails to resolve. While `open` is cleared, lookups hang.
    """

    def __init__(self) -> None:
        self.open = threading.Event()
        self.open.set()
        self.questions: list[str] = []
        self._addresses: dict[str, tuple[str, ...]] = {}

    def move(self, name: str, *addresses: str) -> None:
        self._addresses[name] = addresses

    def __call__(self, host, port, *, type=0, flags=0):  # noqa: A002 - as getaddrinfo
        try:
            return real_getaddrinfo(host, port, type=type, flags=flags | socket.AI_NUMERICHOST)
        except OSError:
            if flags & socket.AI_NUMERICHOST:
                raise
        self.questions.append(host)
        assert self.open.wait(DEADLINE)
        addresses = self._addresses.get(host, ())
        if not addresses:
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return [(socket.AF_INET, type, 0, "", (address, port)) for address in addresses]


def lookups() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == THREAD_NAME]


def finish_lookups() -> None:
    """Wait until every lookup has ended."""
    for thread in lookups():
        thread.join(DEADLINE)
        assert not thread.is_alive()
