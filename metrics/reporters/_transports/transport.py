"""Delivery of a payload to one server, and the ways in which it fails."""

from typing import Protocol


class Transport(Protocol):
    """Carrier of payloads to one server. Used by one thread, except for `abort` and `target`."""

    @property
    def target(self) -> str:
        """The destination as the log names it: without user, password, token and query."""

    def send(self, payload: bytes, timeout: float) -> None:
        """Deliver a payload within `timeout` seconds.

        Raises:
            Unavailable: the same payload may be delivered later.
            Rejected: the server will never take this payload; the subclasses name the reason.
        """

    def abort(self) -> None:
        """Make a `send` in another thread fail at once; safe from any thread."""

    def close(self) -> None:
        """Close the connection, if there is one."""

    def abandon(self) -> None:
        """Close the descriptors of a connection in a forked process; the parent goes on using it.

        Nothing is sent or shut down, and no lock is waited for; the next `send` makes a connection
        of the child's own.
        """


class Unavailable(Exception):  # noqa: N818 - names the state of the server
    """Failure after which the same payload may be delivered later.

    Args:
        reason: the cause, without secrets.
        retry_after: seconds before the next try, as the server requests.
        blames_payload: whether the server answered that handling this payload failed: it may fail
            for ever, while others would be taken.
        unanswered: whether the payload was sent and no answer came: the server may have taken it.
    """

    def __init__(
        self,
        reason: str,
        retry_after: float = 0.0,
        *,
        blames_payload: bool = False,
        unanswered: bool = False,
    ) -> None:
        super().__init__(reason)
        self.retry_after = retry_after
        self.blames_payload = blames_payload
        self.unanswered = unanswered


class Rejected(Exception):  # noqa: N818 - names the state of the payload
    """Refusal of a payload for reasons outside of it: no permission, no such database."""


class TooLarge(Rejected):
    """Refusal of a payload for its size: its halves may be taken."""


class Malformed(Rejected):
    """Refusal of a payload for one of its series: payloads without that series may be taken."""


class PartlyTaken(Rejected):
    """Refusal of some series by a server that has taken the others of the payload."""
