"""What has been told of totals that only grow, for formats that tell what was added since."""

from collections.abc import Hashable
from typing import final

Totals = tuple[int | float, ...]


@final
class Deltas:
    """What one destination has been told so far. Whoever sends to it keeps one, and uses it alone.

    What an exporter has taken from it counts as told: every chunk of a stream has to be sent, or
    what was added in that interval is lost to the destination. Memory is bounded by the series of
    the last complete pass. For one thread.
    """

    __slots__ = ("_began_ns", "_ended_ns", "_present", "_told")

    def __init__(self) -> None:
        self._began_ns = 0
        self._ended_ns: int | None = None
        # When each was told, and what.
        self._told: dict[Hashable, tuple[int, Totals]] = {}
        self._present: set[Hashable] = set()

    def begin(self, start_ns: int, timestamp_ns: int) -> None:
        """Begin a pass over all totals.

        Args:
            start_ns: since when there are totals, in nanoseconds since 1970.
            timestamp_ns: the time of the totals now.
        """
        if self._ended_ns is None:
            self._ended_ns = start_ns
        self._began_ns = timestamp_ns
        self._present = set()

    def added(self, key: Hashable, totals: Totals) -> tuple[int, Totals]:
        """Return since when, and what was added to each of some totals that belong together.

        Totals that have begun anew were 0 in between. The first of them is a count, which tells.
        """
        since_ns, told = self._told.get(key, (self._ended_ns or 0, ()))
        self._told[key] = (self._began_ns, totals)
        self._present.add(key)
        # The wall clock may have been set back.
        since_ns = min(since_ns, self._began_ns)
        if not told or totals[0] < told[0]:
            return since_ns, totals
        return since_ns, tuple([now - then for now, then in zip(totals, told, strict=True)])

    def end(self) -> None:
        """End a pass, and forget what was not there any more."""
        self._ended_ns = self._began_ns
        self._told = {key: self._told[key] for key in self._present}
        self._present = set()
