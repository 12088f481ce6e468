"""Names of servers to their addresses, asked for in a way that can be given up."""

import socket
import threading
from collections.abc import Callable
from typing import Any, TypeAlias, final

Address: TypeAlias = tuple[socket.AddressFamily, socket.SocketKind, int, str, Any]
"""What `socket.getaddrinfo` has of an address."""

THREAD_NAME = "metrics-reporter-lookup"


@final
class Lookup:
    """One question to the resolver, asked in a daemon thread.

    The C library's resolver cannot be interrupted and may take half a minute. Whoever has no time
    left stops waiting; the thread ends when the resolver answers.

    Args:
        host: a name or an address.
        port: what the addresses end with.
        kind: of the sockets to be connected.
        done: called when there is an answer, from the thread.

    Raises:
        RuntimeError: no thread can be started.
    """

    __slots__ = ("_addresses", "_done", "_error", "question")

    def __init__(self, host: str, port: int, kind: int, done: Callable[[], object]) -> None:
        self.question = (host, port, kind)
        self._done = done
        self._addresses: list[Address] | None = None
        self._error: OSError | None = None
        threading.Thread(target=self._ask, name=THREAD_NAME, daemon=True).start()

    @property
    def answered(self) -> bool:
        """Whether the resolver has answered."""
        return self._addresses is not None or self._error is not None

    def addresses(self) -> list[Address]:
        """Return the answer.

        Raises:
            OSError: the name has no address.
        """
        if self._error is not None:
            raise self._error
        return self._addresses or []

    def _ask(self) -> None:
        host, port, kind = self.question
        try:
            self._addresses = resolved(host, port, kind)
        except OSError as error:
            self._error = error
        finally:
            self._done()


def resolved(host: str, port: int, kind: int, flags: int = 0) -> list[Address]:
    """Return the addresses of a name, however long that takes.

    Raises:
        OSError: it has none.
    """
    try:
        return list(socket.getaddrinfo(host, port, type=kind, flags=flags))
    except UnicodeError as error:
        raise OSError(f"{host!r} cannot be the name of a server: {error}") from None


def numeric(host: str, port: int, kind: int) -> list[Address] | None:
    """Return what an address that needs no resolver stands for; None for a name."""
    try:
        return resolved(host, port, kind, socket.AI_NUMERICHOST)
    except OSError:
        return None
