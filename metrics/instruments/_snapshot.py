"""Protocols of instruments and tickers: immutable snapshots, exemplars, and ticks at an interval.

The numbers of one snapshot agree with each other: sum, count, buckets and values come from the
same moment. Each instrument's module has the class of its snapshot.

Never compiled, because a compiled protocol cannot be inherited from, and a compiled named tuple
has no docstring.
"""

from typing import NamedTuple, Protocol

from metrics.instruments._shared import Snapshot

__all__ = ["Exemplar", "Instrument", "Snapshot", "TickSource", "Tickable"]


class Exemplar(NamedTuple):
    """One update of a total or of a bucket, with labels that lead to its cause.

    labels: pairs of name and value, in the order of the program.
    value: the increment of a total, or the value that the bucket counted.
    timestamp: time of the update, in seconds since the Unix epoch.
    """

    labels: tuple[tuple[str, str], ...]
    value: int | float
    timestamp: float


class Instrument(Protocol):
    """Object that a registry holds: any object with this method can be registered."""

    def snapshot(self, reader: str = "") -> Snapshot:
        """Return the present values.

        Args:
            reader: the reader's name. Values that reset at a read reset for this reader alone;
                instruments that never reset ignore it.
        """


class Tickable(Protocol):
    """Member of a ticker, which advances once an interval."""

    def tick(self) -> None:
        """Advance by one interval."""


class TickSource(Protocol):
    """Ticker: a `Ticker`, or the stand-in of a test."""

    @property
    def interval(self) -> float:
        """Seconds between two ticks."""

    def add(self, member: Tickable) -> None:
        """Tick `member` from now on; adding it again changes nothing."""

    def discard(self, member: Tickable) -> None:
        """Stop ticking `member`, if it was ticked."""
