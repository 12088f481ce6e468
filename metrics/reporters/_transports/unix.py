"""Datagrams to a socket of this machine as a transport."""

import os
import socket
from errno import EMSGSIZE
from typing import final

from metrics.reporters._transports.transport import Rejected, Unavailable

LONGEST_PATH = 107

LONGEST = 1.0
"""Seconds a datagram waits for a daemon that does not keep up, at most."""


@final
class UnixDatagrams:
    """Sends each payload as one datagram to a Unix socket.

    Args:
        path: the socket.

    Raises:
        TypeError, ValueError: no socket can be there.
    """

    def __init__(self, path: str) -> None:
        self._path = checked_path(path)
        self._socket: socket.socket | None = None

    def send(self, payload: bytes, timeout: float) -> None:
        """Send a payload; raise `Unavailable`, or `Rejected` if it is too large."""
        seconds = min(timeout, LONGEST)
        try:
            if self._socket is None:
                self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            # A daemon that does not keep up makes a datagram wait.
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
        """Do nothing: a datagram does not wait for long."""

    def close(self) -> None:
        """Close the socket; the next `send` makes a new one."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def abandon(self) -> None:
        """Close the socket in a forked process; the parent goes on using it."""
        self.close()

    def __repr__(self) -> str:
        return f"<UnixDatagrams {self._path}>"


def checked_path(path: str) -> str:
    """Return where a Unix socket may be.

    Raises:
        TypeError: `path` is not a str.
        ValueError: it is empty, has a zero byte, or is too long for a socket.
    """
    if not isinstance(path, str):
        raise TypeError(f"path takes a str, got {path!r}")
    if not path or "\0" in path or len(os.fsencode(path)) > LONGEST_PATH:
        raise ValueError(f"path takes up to {LONGEST_PATH} bytes without zeros, got {path!r}")
    return path
