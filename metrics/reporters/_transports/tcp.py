"""Lines over TCP as a transport: one kept connection, and no answers."""

import socket
from contextlib import suppress
from typing import final

from metrics.clock import SYSTEM_CLOCK, Clock
from metrics.reporters._transports.connection import RENEWAL, Connector, close_descriptor
from metrics.reporters._transports.endpoint import checked_host, checked_port
from metrics.reporters._transports.transport import Unavailable

FAREWELL = 1.0
"""Seconds that a server has to read the bytes on their way before the connection is closed."""


@final
class Tcp:
    """Writer of payloads into one connection, which is replaced when it breaks or after 5 minutes.

    The protocols over it have no answers: a payload counts as delivered when the operating system
    has accepted it. A connection that the server has closed is noticed before the next payload is
    written, so that a restarted server loses only the bytes that were on their way. A connection is
    replaced after `RENEWAL` seconds, because the host name may have another address by then.

    Args:
        host: the host name or address of the server.
        port: its port.
        connect_timeout: seconds that connecting may take.
        clock: the source of a connection's age.

    Raises:
        TypeError, ValueError: `host` or `port` is malformed.
    """

    def __init__(
        self, host: str, port: int, *, connect_timeout: float, clock: Clock = SYSTEM_CLOCK
    ) -> None:
        self._host = checked_host("host", host)
        self._port = checked_port("port", port)
        self._connect_timeout = connect_timeout
        self._clock = clock
        self._connector = Connector()
        self._socket: socket.socket | None = None
        self._renewal_due = 0.0

    @property
    def target(self) -> str:
        """Host and port of the server."""
        return f"[{self._host}]:{self._port}" if ":" in self._host else f"{self._host}:{self._port}"

    def send(self, payload: bytes, timeout: float) -> None:
        """Deliver a payload within `timeout` seconds.

        Raises:
            Unavailable: the server cannot be reached, or has not read the payload in time.
        """
        try:
            with self._connector.within(timeout):
                # The connector watches the time; a second limit would give a second reason.
                sock = self._kept_socket(timeout) or self._new_socket(timeout)
                sock.settimeout(None)
                sock.sendall(payload)
        except OSError as error:
            reason = self._connector.abort_reason or str(error)
            # The server may have half a line: the next payload must not be its other half.
            self._drop()
            raise Unavailable(f"{self._host}:{self._port}: {reason}") from None

    def abort(self) -> None:
        """Make a `send` or `close` in another thread fail at once."""
        self._connector.abort()

    def close(self) -> None:
        """Close the connection after the server has read all payloads; the next `send` reconnects.

        Takes a second at most, less when `abort` is called.
        """
        self._say_farewell(FAREWELL)

    def abandon(self) -> None:
        """Close the descriptors of the connection in a forked process; the parent's stays open.

        Nothing is shut down, because that would end the parent's connection.
        """
        self._connector.abandon()
        if self._socket is not None:
            close_descriptor(self._socket)
            self._socket = None

    def _kept_socket(self, timeout: float) -> socket.socket | None:
        """Return the socket of the kept connection, or None after closing one that is unusable."""
        if self._socket is not None and is_closed(self._socket):
            self._drop()
        if self._socket is not None and self._clock.monotonic() >= self._renewal_due:
            # A share of the time, so that enough is left for the new connection.
            self._say_farewell(min(FAREWELL, timeout / 2))
        return self._socket

    def _new_socket(self, timeout: float) -> socket.socket:
        seconds = min(self._connect_timeout, timeout)
        self._socket = self._connector.connect(self._host, self._port, seconds)
        self._renewal_due = self._clock.monotonic() + RENEWAL
        return self._socket

    def _say_farewell(self, seconds: float) -> None:
        if self._socket is not None:
            wait_for_end(self._socket, seconds)
        self._drop()

    def _drop(self) -> None:
        self._connector.close()
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def __repr__(self) -> str:
        return f"<Tcp {self._host}:{self._port}>"


def is_closed(connection: socket.socket) -> bool:
    """Return whether the server has closed a connection; discard the answers read so far."""
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
    """Announce the end of the data, and wait until the server has read it and has closed its side.

    Closing a connection that holds unread bytes, such as a complaint about a line, would reset it
    instead, and the server would lose the data that is on its way (RFC 1122, section 4.2.2.13).
    """
    ends = SYSTEM_CLOCK.monotonic() + seconds
    with suppress(OSError):
        connection.shutdown(socket.SHUT_WR)
        while (left := ends - SYSTEM_CLOCK.monotonic()) > 0.0:
            connection.settimeout(left)
            if not connection.recv(4096):
                return
