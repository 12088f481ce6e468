"""Datagrams as a transport: sent, and hardly ever heard of again."""

import socket
from errno import EMSGSIZE
from typing import final

from metrics.reporters._transports.connection import Wire, close_descriptor
from metrics.reporters._transports.endpoint import checked_host, checked_port
from metrics.reporters._transports.transport import Rejected, Unavailable

REFUSAL = 0.1
"""Seconds that the first datagram of a socket waits for a refusal, at most."""


@final
class Udp:
    """Sends each payload as one datagram.

    Nobody tells whether one arrives, except that a machine without a listener may refuse it. The
    first datagram waits a moment for that, so that a server that is away is not taken for one that
    is back; what is refused later fails the next datagram.

    Args:
        host: where the server is.
        port: where it listens.

    Raises:
        TypeError, ValueError: there can be no server at that host and port.
    """

    def __init__(self, host: str, port: int) -> None:
        self._host = checked_host("host", host)
        self._port = checked_port("port", port)
        self._wire = Wire()
        self._socket: socket.socket | None = None

    def send(self, payload: bytes, timeout: float) -> None:
        """Send a payload; raise `Unavailable`, or `Rejected` if it is too large."""
        try:
            if self._socket is None:
                with self._wire.within(timeout):
                    self._socket = self._wire.connect(
                        self._host, self._port, timeout, socket.SOCK_DGRAM
                    )
                send(self._socket, payload, timeout, min(REFUSAL, timeout))
            else:
                send(self._socket, payload, timeout, 0.0)
        except OSError as error:
            if error.errno == EMSGSIZE:
                raise Rejected(
                    f"{self._host}:{self._port} takes no datagram of {len(payload)} bytes: {error}"
                ) from None
            reason = str(error)
            # Every time the name is looked up anew after a failure: servers move.
            self.close()
            raise Unavailable(f"{self._host}:{self._port}: {reason}") from None

    def abort(self) -> None:
        """Make a `send` that looks up a name in another thread fail at once."""
        self._wire.cut()

    def close(self) -> None:
        """Close the socket; the next `send` makes a new one."""
        self._wire.close()
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def abandon(self) -> None:
        """Close the socket in a forked process; the parent goes on using it."""
        self._wire.abandon()
        if self._socket is not None:
            close_descriptor(self._socket)
            self._socket = None

    def __repr__(self) -> str:
        return f"<Udp {self._host}:{self._port}>"


def send(sock: socket.socket, payload: bytes, timeout: float, patience: float) -> None:
    """Send a datagram and wait for its refusal; what a server says is ignored.

    Raises:
        OSError: it cannot be sent, or it or one before it was refused.
    """
    sock.settimeout(timeout)
    sock.send(payload)
    sock.settimeout(patience)
    try:
        sock.recv(1)
    except (BlockingIOError, TimeoutError):
        return
