"""Staleness: the series that have ended, for formats with a marker for the end."""

from typing import final

from metrics.exporters._series.series import Labels


@final
class Staleness:
    """Series that one server has, by labels, and has to be sent an end of.

    Each destination needs its own, kept between reports. Memory is bounded by the series of two
    reports. For one thread.
    """

    __slots__ = ("_known", "_present")

    def __init__(self) -> None:
        self._known: set[Labels] = set()
        self._present: set[Labels] = set()

    def begin(self) -> None:
        """Begin a report of all series."""
        # Some of an abandoned report may have been sent.
        self._known |= self._present
        self._present = set()

    def add(self, labels: Labels) -> None:
        """Add a series to the report."""
        self._present.add(labels)

    def end(self) -> list[Labels]:
        """End a report; return the series that the server has and the report had not."""
        ended = sorted(self._known - self._present)
        self._known = self._present
        self._present = set()
        return ended
