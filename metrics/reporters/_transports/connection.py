"""Connections to servers within a time limit, and lookups of host names that can be abandoned.

The C library's resolver cannot be interrupted and may take half a minute, so every lookup runs in a
daemon thread of its own, which ends when the resolver answers.
"""

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from logging import getLogger
from typing import Any, TypeAlias, final

from metrics.clock import SYSTEM_CLOCK, Clock

Address: TypeAlias = tuple[socket.AddressFamily, socket.SocketKind, int, str, Any]
"""One result of `socket.getaddrinfo`."""

SocketAddress: TypeAlias = tuple[str | int, ...]
"""Numeric host and port of a socket; empty for none."""

THREAD_NAME = "metrics-reporter-lookup"

NO_TIME = "no time left for the delivery"
"""Reason of an abort by another thread."""

RENEWAL = 300.0
"""Seconds after which a kept connection is replaced, to follow a host name that has moved."""

LOOKUP_INTERVAL = 60.0
"""Seconds between two lookups of a host name to which datagrams are sent."""

logger = getLogger(__name__)


@final
class Lookup:
    """Resolution of one host name, in a daemon thread.

    Args:
        host: a host name or an address.
        port: the port of the resulting addresses.
        kind: the kind of the sockets to connect, such as `socket.SOCK_STREAM`.
        on_answer: called by the thread after the resolver has answered.

    Raises:
        RuntimeError: no thread can be started.
    """

    __slots__ = ("_addresses", "_error", "_on_answer", "question")

    def __init__(
        self, host: str, port: int, kind: int, on_answer: Callable[[], object] | None = None
    ) -> None:
        self.question = (host, port, kind)
        self._on_answer = on_answer
        self._addresses: list[Address] | None = None
        self._error: OSError | None = None
        threading.Thread(target=self._resolve, name=THREAD_NAME, daemon=True).start()

    @property
    def answered(self) -> bool:
        """Whether the resolver has answered."""
        return self._addresses is not None or self._error is not None

    def addresses(self) -> list[Address]:
        """Return the resolved addresses.

        Raises:
            OSError: the name has no address.
        """
        if self._error is not None:
            raise self._error
        return self._addresses or []

    def _resolve(self) -> None:
        host, port, kind = self.question
        try:
            self._addresses = resolve(host, port, kind)
        except OSError as error:
            self._error = error
        finally:
            if self._on_answer is not None:
                self._on_answer()


@final
class NameWatch:
    """Repeated lookups of one host name in the background, for a socket that is never reconnected.

    Used by one thread, which never waits for a lookup. A failed lookup is logged once until one
    succeeds. An address in place of a name is not looked up.

    Args:
        host: a host name or an address.
        port: the port of the resulting addresses.
        kind: the kind of the sockets to connect.
        clock: the source of the time that passes between two lookups.
    """

    __slots__ = ("_clock", "_due", "_failing", "_is_numeric", "_lookup", "_question")

    def __init__(self, host: str, port: int, kind: int, clock: Clock) -> None:
        self._question = (host, port, kind)
        self._is_numeric = numeric_addresses(host, port, kind) is not None
        self._clock = clock
        self._due = 0.0
        self._lookup: Lookup | None = None
        self._failing = False

    def restart(self) -> None:
        """Schedule the next lookup for one interval from now, and drop the present one."""
        self._lookup = None
        self._due = self._clock.monotonic() + LOOKUP_INTERVAL

    def addresses(self) -> list[Address]:
        """Return the addresses of a lookup that has ended since the last call; else an empty list.

        A lookup is started when it is due.
        """
        try:
            if self._lookup is not None and self._lookup.answered:
                lookup = self._lookup
                self.restart()
                found = lookup.addresses()
                self._failing = False
                return found
            if self._lookup is None and not self._is_numeric:
                self._start_when_due()
        except (OSError, RuntimeError) as error:
            self.restart()
            if not self._failing:
                self._failing = True
                logger.warning(
                    "cannot look up %r again: %s; its last address stays in use, and the next "
                    "failures are not logged until a lookup succeeds",
                    self._question[0],
                    error,
                )
        return []

    def _start_when_due(self) -> None:
        if self._clock.monotonic() >= self._due:
            self._lookup = Lookup(*self._question)


@final
class Connector:
    """Maker of connections, one at a time, which it can abort from any thread.

    Blocking calls of other threads on an aborted socket fail at once: connecting, reading from a
    silent server, and reading an answer that arrives byte by byte. So does waiting for the
    resolution of a name. Only `abort` may be called by several threads.
    """

    __slots__ = ("_abort_reason", "_changed", "_handle", "_lookup")

    def __init__(self) -> None:
        # Guards the handle and the abort; wakes the thread that waits for a lookup.
        self._changed = threading.Condition()
        # A second descriptor of the connection: it stays valid when TLS takes over the first, and
        # is never closed during an abort.
        self._handle: socket.socket | None = None
        self._abort_reason = ""
        # An unanswered lookup is waited for again, not repeated: its thread still runs.
        self._lookup: Lookup | None = None

    @property
    def connected(self) -> bool:
        """Whether there is a connection."""
        return self._handle is not None

    @property
    def abort_reason(self) -> str:
        """Reason of an abort since the last `within` block began; empty if there was none."""
        return self._abort_reason

    def connect(
        self,
        host: str,
        port: int,
        timeout: float,
        kind: int = socket.SOCK_STREAM,
        *,
        last: SocketAddress = (),
    ) -> socket.socket:
        """Return a socket connected to the first address of `host` that accepts it.

        Args:
            host: a host name or an address.
            port: the port to connect to.
            timeout: seconds for the lookup and for all addresses together.
            kind: the kind of the socket.
            last: the socket address to try after all others.

        Raises:
            OSError: no address could be connected to, or the connector was aborted.
        """
        ends = SYSTEM_CLOCK.monotonic() + timeout
        addresses = numeric_addresses(host, port, kind) or self._look_up(host, port, kind, timeout)
        if not addresses:
            raise OSError(f"{host!r} has no address")
        addresses.sort(key=lambda address: address[4][:2] == last)
        return self.connect_any(addresses, ends - SYSTEM_CLOCK.monotonic(), timeout)

    def connect_any(
        self, addresses: list[Address], seconds: float, timeout: float | None = None
    ) -> socket.socket:
        """Return a socket connected to the first of some addresses that accepts it.

        Args:
            addresses: the addresses, at least one.
            seconds: the time limit of all addresses together.
            timeout: the time limit for the errors, if a lookup has used up some of it.

        Raises:
            OSError: no address could be connected to, or the connector was aborted.
        """
        ends = SYSTEM_CLOCK.monotonic() + seconds
        late = f"no connection within {seconds if timeout is None else timeout:.3g} s"
        failure: OSError | None = None
        for number, address in enumerate(addresses):
            # A silent address leaves the next one its share of the time.
            share = (ends - SYSTEM_CLOCK.monotonic()) / (len(addresses) - number)
            if share <= 0.0:
                break
            try:
                return self._connect_one(address, share)
            except OSError as error:
                # The error of an aborted socket depends on the system; urllib3 interprets some.
                self._check_aborted()
                failure = OSError(late) if isinstance(error, TimeoutError) else error
        raise failure or OSError(late)

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Abort the connection if the block takes longer than `seconds`, in any call.

        Raises:
            OSError: no thread can be started to watch the time.
        """
        with self._changed:
            self._abort_reason = ""
        timer = threading.Timer(seconds, self.abort, (f"no answer within {seconds:.3g} s",))
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

    def abort(self, reason: str = NO_TIME) -> None:
        """Abort the present connection, and new ones until the next `within` block begins."""
        with self._changed:
            self._abort_reason = self._abort_reason or reason
            if self._handle is not None:
                shut_down(self._handle)
            self._changed.notify_all()

    def close(self) -> None:
        """Release the connection without shutting it down; its socket belongs to the caller."""
        with self._changed:
            if self._handle is not None:
                self._handle.close()
                self._handle = None

    def abandon(self) -> None:
        """Reset the connector in a forked process; the parent's connection stays as it is."""
        # A thread of the parent may have held the lock; its timer and lookup do not run here.
        self._changed = threading.Condition()
        self._abort_reason = ""
        self._lookup = None
        if self._handle is not None:
            close_descriptor(self._handle)
            self._handle = None

    def _look_up(self, host: str, port: int, kind: int, timeout: float) -> list[Address]:
        if self._lookup is None or self._lookup.question != (host, port, kind):
            try:
                self._lookup = Lookup(host, port, kind, self._notify)
            except RuntimeError as error:
                raise OSError(f"no thread can look up {host!r}: {error}") from None
        lookup = self._lookup
        with self._changed:
            self._changed.wait_for(lambda: lookup.answered or self._abort_reason, timeout)
        if not lookup.answered:
            raise OSError(self._abort_reason or f"no address of {host!r} within {timeout:.3g} s")
        # Servers move: the next connection looks the name up again.
        self._lookup = None
        return lookup.addresses()

    def _notify(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _connect_one(self, address: Address, timeout: float) -> socket.socket:
        family, type_, protocol, _, socket_address = address
        sock = socket.socket(family, type_, protocol)
        try:
            if type_ == socket.SOCK_STREAM:
                # Nagle's algorithm would hold the end of a request until the server has
                # acknowledged its beginning: 40 ms with delayed acknowledgements.
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.settimeout(timeout)
            self._hold(sock.dup())
            sock.connect(socket_address)
            self._check_aborted()
        except BaseException:
            sock.close()
            self.close()
            raise
        return sock

    def _hold(self, handle: socket.socket) -> None:
        self.close()
        with self._changed:
            self._handle = handle
        self._check_aborted()

    def _check_aborted(self) -> None:
        if self._abort_reason:
            raise OSError(self._abort_reason)


def resolve(host: str, port: int, kind: int, flags: int = 0) -> list[Address]:
    """Return the addresses of a host name; block until the resolver answers.

    Raises:
        OSError: the name has no address.
    """
    try:
        return list(socket.getaddrinfo(host, port, type=kind, flags=flags))
    except UnicodeError as error:
        raise OSError(f"{host!r} cannot be the name of a server: {error}") from None


def numeric_addresses(host: str, port: int, kind: int) -> list[Address] | None:
    """Return the addresses of a numeric `host`, which needs no resolver; None for a name."""
    try:
        return resolve(host, port, kind, socket.AI_NUMERICHOST)
    except OSError:
        return None


def close_descriptor(sock: socket.socket) -> None:
    """Close the descriptor of a socket at once, even if a file object still uses it."""
    descriptor = sock.detach()
    if descriptor >= 0:
        with suppress(OSError):
            os.close(descriptor)


def shut_down(handle: socket.socket) -> None:
    """Shut down a socket in both directions, which wakes its blocked threads."""
    # No thread is blocked on a socket that is not connected, which is the error here.
    with suppress(OSError):
        handle.shutdown(socket.SHUT_RDWR)
