"""Connections to servers: names resolved and sockets connected within a time limit."""

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeAlias, final

from metrics.clock import SYSTEM_CLOCK

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


NO_TIME = "there was no time left for it"


@final
class Wire:
    """Connects sockets, one at a time, and cuts the one that there is.

    A blocking call of another thread on the socket fails at once when it is cut, be it a connect, a
    read that a silent server lets wait, or one that is fed byte by byte. Waiting for the resolution
    of a name ends at once too.
    """

    __slots__ = ("_changed", "_cut", "_handle", "_lookup")

    def __init__(self) -> None:
        # Guards what follows; wakes who waits for a name.
        self._changed = threading.Condition()
        # A second descriptor of the connection: it stays valid when TLS takes over the first, and
        # is never closed while it is being cut.
        self._handle: socket.socket | None = None
        self._cut = ""
        # A question that is not answered is not asked again: its thread is still there.
        self._lookup: Lookup | None = None

    @property
    def connected(self) -> bool:
        """Whether there is a connection."""
        return self._handle is not None

    @property
    def cut_reason(self) -> str:
        """Why the wire was cut in the last block; empty if it was not."""
        return self._cut

    def connect(
        self, host: str, port: int, timeout: float, kind: int = socket.SOCK_STREAM
    ) -> socket.socket:
        """Return a connected socket; try every address of `host` within `timeout` seconds in all.

        Raises:
            OSError: no address could be connected to, or the wire was cut.
        """
        ends = SYSTEM_CLOCK.monotonic() + timeout
        late = f"no connection within {timeout:.3g} s"
        addresses = numeric(host, port, kind) or self._resolved(host, port, kind, timeout)
        failure: OSError | None = None
        for number, address in enumerate(addresses):
            # One that is silent leaves the next its share of the time.
            share = (ends - SYSTEM_CLOCK.monotonic()) / (len(addresses) - number)
            if share <= 0.0:
                break
            try:
                return self._connected(address, share)
            except OSError as error:
                # What a cut looks like depends on the system; some mean something to urllib3.
                self._check()
                failure = OSError(late) if isinstance(error, TimeoutError) else error
        raise failure or OSError(late if addresses else f"{host!r} has no address")

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Cut the wire if the block takes longer than `seconds`, however the time is spent.

        Raises:
            OSError: no thread can be started to watch the time.
        """
        with self._changed:
            self._cut = ""
        timer = threading.Timer(seconds, self.cut, (f"no answer within {seconds:.3g} s",))
        timer.name = "metrics-reporter-deadline"
        timer.daemon = True
        try:
            timer.start()
        except RuntimeError as error:
            raise OSError(f"no thread can watch the time: {error}") from None
        try:
            yield
        finally:
            timer.cancel()
            timer.join()

    def cut(self, reason: str = NO_TIME) -> None:
        """Cut the connection, if there is one, and those made until the next block begins."""
        with self._changed:
            self._cut = self._cut or reason
            if self._handle is not None:
                shut_down(self._handle)
            self._changed.notify_all()

    def close(self) -> None:
        """Let go of the connection, without cutting it."""
        with self._changed:
            if self._handle is not None:
                self._handle.close()
                self._handle = None

    def abandon(self) -> None:
        """Renew the wire in a forked process, and close its descriptor without cutting it."""
        # The parent's thread may have held the lock, and its timer and lookup do not run here.
        self._changed = threading.Condition()
        self._cut = ""
        self._lookup = None
        if self._handle is not None:
            close_descriptor(self._handle)
            self._handle = None

    def _resolved(self, host: str, port: int, kind: int, timeout: float) -> list[Address]:
        if self._lookup is None or self._lookup.question != (host, port, kind):
            try:
                self._lookup = Lookup(host, port, kind, self._wake)
            except RuntimeError as error:
                raise OSError(f"no thread can look up {host!r}: {error}") from None
        lookup = self._lookup
        with self._changed:
            self._changed.wait_for(lambda: lookup.answered or self._cut, timeout)
        if not lookup.answered:
            raise OSError(self._cut or f"no address of {host!r} within {timeout:.3g} s")
        # Servers move: the next connection asks anew.
        self._lookup = None
        return lookup.addresses()

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _connected(self, address: Address, timeout: float) -> socket.socket:
        family, type_, protocol, _, where = address
        sock = socket.socket(family, type_, protocol)
        try:
            if type_ == socket.SOCK_STREAM:
                # Else the end of a request waits for the server to confirm its beginning: 40 ms.
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.settimeout(timeout)
            self._hold(sock.dup())
            sock.connect(where)
            self._check()
        except BaseException:
            sock.close()
            self.close()
            raise
        return sock

    def _hold(self, handle: socket.socket) -> None:
        self.close()
        with self._changed:
            self._handle = handle
        self._check()

    def _check(self) -> None:
        if self._cut:
            raise OSError(self._cut)


def close_descriptor(sock: socket.socket) -> None:
    """Close the descriptor of a socket at once, also of one that a file object still uses."""
    descriptor = sock.detach()
    if descriptor >= 0:
        with suppress(OSError):
            os.close(descriptor)


def shut_down(handle: socket.socket) -> None:
    """Wake up whoever waits for a socket."""
    # One that is not connected, or not any more, has nobody waiting for it.
    with suppress(OSError):
        handle.shutdown(socket.SHUT_RDWR)
