"""Protocols of instruments and tickers: immutable snapshots, and ticks at an interval.

The numbers of one snapshot agree with each other: sum, count, buckets and values come from the
same moment. Each instrument's module has the class of its snapshot.

Never compiled, because a compiled protocol cannot be inherited from.
"""

from typing import Protocol

from metrics.instruments._shared import Snapshot

__all__ = ["Instrument", "Snapshot", "TickSource", "Tickable"]


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
