"""What an instrument is to everyone who reads it: something that gives an immutable snapshot.

The numbers of one snapshot agree with each other: sum, count, buckets and values come from the
same moment. Each instrument's module has the type of its snapshot.

Never compiled, because what is compiled cannot be inherited from as a protocol.
"""

from typing import Protocol

from metrics.instruments._shared import Snapshot

__all__ = ["Instrument", "Snapshot", "TickSource", "Tickable"]


class Instrument(Protocol):
    """What a registry holds. Any object with this method can be registered."""

    def snapshot(self, reader: str = "") -> Snapshot:
        """Return the values now.

        Args:
            reader: who is asking. What resets when it is read resets for this reader alone;
                instruments that never reset ignore it.
        """


class Tickable(Protocol):
    """What a ticker ticks: something that advances once an interval."""

    def tick(self) -> None:
        """Advance by one interval."""


class TickSource(Protocol):
    """What ticks members once an interval: a `Ticker`, or a test's stand-in for one."""

    @property
    def interval(self) -> float:
        """Seconds between two ticks."""

    def add(self, member: Tickable) -> None:
        """Tick `member` from now on; adding it again changes nothing."""

    def discard(self, member: Tickable) -> None:
        """Tick `member` no more, if it was ticked at all."""
