"""Lines over TCP as a transport: one kept connection, and no answers."""

import socket
from contextlib import suppress
from typing import final

from metrics.clock import SYSTEM_CLOCK
from metrics.reporters._transports.connection import Wire, close_descriptor
from metrics.reporters._transports.endpoint import checked_host, checked_port
from metrics.reporters._transports.transport import Unavailable

FAREWELL = 1.0
"""Seconds that a server has to read what is on its way when the connection is to be closed."""


@final
class Tcp:
    """Writes payloads into one connection, which is made anew when it breaks.

    The protocols that do this know no answer: a payload is delivered when the machine has taken
    it. A connection that the server has closed is noticed before anything is written into it, so
    that what a restarted server would lose is what was on its way only.

    Args:
        host: where the server is.
        port: where it listens.
        connect_timeout: seconds that connecting may take.

    Raises:
        TypeError, ValueError: there can be no server at that host and port.
    """

    def __init__(self, host: str, port: int, *, connect_timeout: float) -> None:
        self._host = checked_host("host", host)
        self._port = checked_port("port", port)
        self._connect_timeout = connect_timeout
        self._wire = Wire()
        self._socket: socket.socket | None = None

    def send(self, payload: bytes, timeout: float) -> None:
        """Deliver a payload within `timeout` seconds; raise `Unavailable`."""
        try:
            with self._wire.within(timeout):
                if self._socket is not None and is_closed(self._socket):
                    self._drop()
                if self._socket is None:
                    seconds = min(self._connect_timeout, timeout)
                    self._socket = self._wire.connect(self._host, self._port, seconds)
                # The wire watches the time; two that do would give two reasons.
                self._socket.settimeout(None)
                self._socket.sendall(payload)
        except OSError as error:
            reason = self._wire.cut_reason or str(error)
            # Half a line may be on its way: what comes next must not be its other half.
            self._drop()
            raise Unavailable(f"{self._host}:{self._port}: {reason}") from None

    def abort(self) -> None:
        """Make a `send` in another thread fail at once."""
        self._wire.cut()

    def close(self) -> None:
        """Close the connection once the server has read everything; the next `send` makes one.

        Takes a second at most, less when `abort` is called.
        """
        if self._socket is not None:
            wait_for_end(self._socket, FAREWELL)
        self._drop()

    def abandon(self) -> None:
        """Close the descriptors of a connection in a forked process; the parent goes on using it.

        Nothing is shut down, which would end the parent's connection.
        """
        self._wire.abandon()
        if self._socket is not None:
            close_descriptor(self._socket)
            self._socket = None

    def _drop(self) -> None:
        self._wire.close()
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def __repr__(self) -> str:
        return f"<Tcp {self._host}:{self._port}>"


def is_closed(connection: socket.socket) -> bool:
    """Return whether the other side has closed a connection; what it said is thrown away."""
    connection.setblocking(False)
    try:
        while connection.recv(4096):
            pass
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def wait_for_end(connection: socket.socket, seconds: float) -> None:
    """End what is sent, and wait until the other side has read it and closes the connection.

    A connection that is closed with something in it that nobody has read, such as a complaint about
    a line, is reset, and the other side loses what is on its way.
    """
    ends = SYSTEM_CLOCK.monotonic() + seconds
    with suppress(OSError):
        connection.shutdown(socket.SHUT_WR)
        while (left := ends - SYSTEM_CLOCK.monotonic()) > 0.0:
            connection.settimeout(left)
            if not connection.recv(4096):
                return
