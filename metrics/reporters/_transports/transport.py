"""How a payload gets to a server, and the two ways in which that fails."""

from typing import Protocol


class Transport(Protocol):
    """What carries payloads to one server. Used by one thread, except for `abort`."""

    def send(self, payload: bytes, timeout: float) -> None:
        """Deliver a payload within `timeout` seconds.

        Raises:
            Unavailable: it may work later.
            Rejected: this payload will never be taken.
        """

    def abort(self) -> None:
        """Make a `send` that is going on in another thread fail at once; safe from any thread."""

    def close(self) -> None:
        """Let go of the connection, if there is one."""

    def abandon(self) -> None:
        """Close the descriptors of a connection in a forked process; the parent goes on using it.

        Nothing is sent or shut down, and no lock is waited for; the next `send` makes a connection
        of the child's own.
        """


class Unavailable(Exception):  # noqa: N818 - it says what the server is
    """The server cannot take a payload now, but may later.

    Args:
        reason: what went wrong, without secrets.
        retry_after: seconds the server asks to be left alone for.
    """

    def __init__(self, reason: str, retry_after: float = 0.0) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class Rejected(Exception):  # noqa: N818 - it says what the payload is
    """The server will not take this payload, however often it is sent."""
