"""Staleness: the series that have ended, for formats with a marker for the end."""

from typing import final

from metrics.exporters._series.reports import ReportRecords
from metrics.exporters._series.series import Labels


@final
class Staleness:
    """Series that one server has, by labels, and has to be sent an end of.

    Each destination needs its own, kept between reports. Memory is bounded by the series of two
    reports. For one thread.
    """

    __slots__ = ("_records",)

    def __init__(self) -> None:
        self._records: ReportRecords[Labels, None] = ReportRecords()

    def begin(self) -> None:
        """Begin a report of all series."""
        self._records.begin()

    def add(self, labels: Labels) -> None:
        """Add a series to the report."""
        self._records.present[labels] = None

    def end(self) -> list[Labels]:
        """End a report; return the series that the server has and the report had not."""
        records = self._records
        ended = sorted(records.known.keys() - records.present.keys())
        records.end()
        return ended
