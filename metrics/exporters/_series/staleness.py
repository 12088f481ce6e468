"""Which series have ended, for a format that says so."""

from typing import final

from metrics.exporters._series.series import Labels


@final
class Staleness:
    """What one server has been told of. Whoever sends to it keeps one, and uses it alone.

    Memory is bounded by the series of two passes. For one thread.
    """

    __slots__ = ("_present", "_told")

    def __init__(self) -> None:
        self._told: set[Labels] = set()
        self._present: set[Labels] = set()

    def begin(self) -> None:
        """Begin a pass over all series."""
        # A pass that was broken off has told of some too.
        self._told |= self._present
        self._present = set()

    def add(self, labels: Labels) -> None:
        """Tell that a series is there."""
        self._present.add(labels)

    def ended(self) -> list[Labels]:
        """End a pass; return the series that were there before, and are no more."""
        ended = sorted(self._told - self._present)
        self._told = self._present
        self._present = set()
        return ended
