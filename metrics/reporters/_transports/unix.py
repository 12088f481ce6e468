"""Datagrams to a Unix socket of this machine as a transport."""

import os
import socket
from errno import EMSGSIZE
from typing import final

from metrics.reporters._transports.transport import Rejected, Unavailable

LONGEST_PATH = 107
"""Bytes of the longest path of a socket on Linux, without the final zero."""

LONGEST_WAIT = 1.0
"""Longest wait, in seconds, of a datagram for a daemon that does not read fast enough."""


@final
class UnixDatagrams:
    """Sender of each payload as one datagram to a Unix socket.

    Args:
        path: the path of the socket.

    Raises:
        TypeError, ValueError: `path` cannot be the path of a socket.
    """

    def __init__(self, path: str) -> None:
        self._path = checked_path(path)
        self._socket: socket.socket | None = None

    @property
    def target(self) -> str:
        """The path of the socket."""
        return self._path

    def send(self, payload: bytes, timeout: float) -> None:
        """Send a payload within `timeout` seconds, and within `LONGEST_WAIT`.

        Raises:
            Unavailable: no daemon reads from the socket, or not fast enough.
            Rejected: the payload is too large for a datagram.
        """
        seconds = min(timeout, LONGEST_WAIT)
        try:
            if self._socket is None:
                self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            # The queue of a socket holds few datagrams: a slow daemon makes the next one wait.
            self._socket.settimeout(seconds)
            self._socket.sendto(payload, self._path)
        except TimeoutError:
            self.close()
            raise Unavailable(f"{self._path}: nothing was taken within {seconds:.3g} s") from None
        except OSError as error:
            self.close()
            reason = f"{self._path}: {error}"
            if error.errno == EMSGSIZE:
                raise Rejected(reason) from None
            raise Unavailable(reason) from None

    def abort(self) -> None:
        """Do nothing: a datagram waits for `LONGEST_WAIT` at most."""

    def close(self) -> None:
        """Close the socket; the next `send` opens another."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def abandon(self) -> None:
        """Close the socket in a forked process; the parent continues to use its own."""
        self.close()

    def __repr__(self) -> str:
        return f"<UnixDatagrams {self._path}>"


def checked_path(path: str) -> str:
    """Return the path of a Unix socket.

    Raises:
        TypeError: `path` is not a str.
        ValueError: `path` is empty, has a zero byte, or is too long for a socket.
    """
    if not isinstance(path, str):
        raise TypeError(f"invalid path {path!r}: use a str")
    if not path or "\0" in path or len(os.fsencode(path)) > LONGEST_PATH:
        raise ValueError(f"invalid path {path!r}: use 1 to {LONGEST_PATH} bytes without zeros")
    return path
