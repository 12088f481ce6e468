"""Datagrams over UDP as a transport: one payload, one datagram, no acknowledgement."""

import socket
from errno import EMSGSIZE
from logging import getLogger
from typing import final

from metrics.clock import SYSTEM_CLOCK, Clock
from metrics.reporters._transports.connection import (
    Connector,
    NameWatch,
    SocketAddress,
    close_descriptor,
)
from metrics.reporters._transports.endpoint import checked_host, checked_port
from metrics.reporters._transports.transport import Rejected, Unavailable

REFUSAL = 0.1
"""Longest wait, in seconds, for the refusal of the first datagram of a socket."""

logger = getLogger(__name__)


@final
class Udp:
    """Sender of each payload as one datagram.

    Arrival is not acknowledged; a machine without a listener may refuse a datagram. The first
    datagram of a socket waits a moment for that, so that an unavailable server does not count as
    available again; a later refusal fails the next datagram. The host name is looked up again
    about once a minute, in the background: datagrams go to the old address until the lookup ends.

    Args:
        host: the host name or address of the server.
        port: its port.
        clock: the source of the time that passes between two lookups.

    Raises:
        TypeError, ValueError: `host` or `port` is malformed.
    """

    def __init__(self, host: str, port: int, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self._host = checked_host("host", host)
        self._port = checked_port("port", port)
        self._connector = Connector()
        self._names = NameWatch(self._host, self._port, socket.SOCK_DGRAM, clock)
        self._socket: socket.socket | None = None
        self._peer: SocketAddress = ()
        # A name such as localhost may have an address where no server listens.
        self._refused: SocketAddress = ()

    @property
    def target(self) -> str:
        """Host and port of the server."""
        return f"[{self._host}]:{self._port}" if ":" in self._host else f"{self._host}:{self._port}"

    def send(self, payload: bytes, timeout: float) -> None:
        """Send a payload within `timeout` seconds.

        Raises:
            Unavailable: the host has no address, or the datagram or one before it was refused.
            Rejected: the payload is too large for a datagram.
        """
        try:
            sock, is_new = self._connected_socket(timeout)
            send_datagram(sock, payload, timeout, min(REFUSAL, timeout) if is_new else 0.0)
        except OSError as error:
            if error.errno == EMSGSIZE:
                raise Rejected(
                    f"{self._host}:{self._port} takes no datagram of {len(payload)} bytes: {error}"
                ) from None
            reason = str(error)
            # After a failure the name is looked up again, because servers move.
            self._refused = self._peer
            self.close()
            raise Unavailable(f"{self._host}:{self._port}: {reason}") from None

    def abort(self) -> None:
        """Make the lookup of a `send` in another thread fail at once."""
        self._connector.abort()

    def close(self) -> None:
        """Close the socket; the next `send` opens another."""
        self._connector.close()
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def abandon(self) -> None:
        """Close the socket in a forked process; the parent continues to use its own."""
        self._connector.abandon()
        if self._socket is not None:
            close_descriptor(self._socket)
            self._socket = None

    def _connected_socket(self, timeout: float) -> tuple[socket.socket, bool]:
        """Return the socket to the server's present address, and whether it is new."""
        if self._socket is None:
            with self._connector.within(timeout):
                self._socket = self._connector.connect(
                    self._host, self._port, timeout, socket.SOCK_DGRAM, last=self._refused
                )
            self._peer = peer_of(self._socket)
            self._names.restart()
            return self._socket, True
        addresses = self._names.addresses()
        if not addresses or self._peer in [address[4][:2] for address in addresses]:
            return self._socket, False
        self.close()
        with self._connector.within(timeout):
            self._socket = self._connector.connect_any(addresses, timeout)
        old, self._peer = self._peer, peer_of(self._socket)
        logger.info(
            "%s:%d has moved from %s to %s, where datagrams go from now on",
            self._host,
            self._port,
            old[0],
            self._peer[0],
        )
        return self._socket, True

    def __repr__(self) -> str:
        return f"<Udp {self._host}:{self._port}>"


def peer_of(sock: socket.socket) -> SocketAddress:
    """Return the numeric host and port to which a socket is connected."""
    peer: SocketAddress = sock.getpeername()
    return peer[:2]


def send_datagram(sock: socket.socket, payload: bytes, timeout: float, patience: float) -> None:
    """Send a datagram and wait `patience` seconds for its refusal; answers are ignored.

    Raises:
        OSError: the datagram cannot be sent, or it or one before it was refused.
    """
    sock.settimeout(timeout)
    sock.send(payload)
    sock.settimeout(patience)
    try:
        sock.recv(1)
    except (BlockingIOError, TimeoutError):
        return
