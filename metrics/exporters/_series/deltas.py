"""Delta temporality: cumulative totals to increments since the last read."""

from collections.abc import Hashable
from typing import final

from metrics.exporters._series.reports import ReportRecords

Totals = tuple[int | float, ...]


@final
class Deltas:
    """Totals at the last read for one destination. For one thread.

    An increment that an exporter has read counts as delivered. Every chunk of a stream has to be
    sent, and the increments of an undelivered one have to be sent later, as the reporters do; else
    they are lost to the destination. Memory is bounded by the series of the last complete pass.
    """

    __slots__ = ("_began_ns", "_ended_ns", "_records")

    def __init__(self) -> None:
        self._began_ns = 0
        self._ended_ns: int | None = None
        # The time of the last read of each key, and its totals.
        self._records: ReportRecords[Hashable, tuple[int, Totals]] = ReportRecords()

    def begin(self, start_ns: int, timestamp_ns: int) -> None:
        """Begin a pass over all totals.

        Args:
            start_ns: the time since which totals are counted, in nanoseconds since 1970.
            timestamp_ns: the time of this pass.
        """
        if self._ended_ns is None:
            self._ended_ns = start_ns
        self._began_ns = timestamp_ns
        self._records.begin()

    def added(self, key: Hashable, totals: Totals) -> tuple[int, Totals]:
        """Return the time of the last read, and the increments since then.

        Totals that have been reset were 0 in between. The first of them, a count, shows that by
        being smaller than at the last read.

        Args:
            key: the series. Its registration belongs to it: an instrument that is recreated under
                the same name begins with 0, however far its total has grown again.
            totals: totals of the series that are reset together.
        """
        records = self._records
        since_ns, last = (
            records.present.get(key) or records.known.get(key) or (self._ended_ns or 0, ())
        )
        records.present[key] = (self._began_ns, totals)
        # The wall clock may have been set back.
        since_ns = min(since_ns, self._began_ns)
        if not last or totals[0] < last[0]:
            return since_ns, totals
        return since_ns, tuple([now - then for now, then in zip(totals, last, strict=True)])

    def end(self) -> None:
        """End a pass, and drop the totals of series that have ended."""
        self._ended_ns = self._began_ns
        self._records.end()
