"""Times at which cumulative series start.

The rules: https://opentelemetry.io/docs/specs/otel/metrics/data-model/#resets-and-gaps
"""

from typing import TYPE_CHECKING, NamedTuple, final

from metrics.exporters._encoding.numbers import Number
from metrics.exporters._encoding.units import SECOND
from metrics.exporters._series.reports import ReportRecords
from metrics.exporters._series.series import Labels, Series
from metrics.instruments import Family, Instrument
from metrics.instruments._inner import Cumulative

if TYPE_CHECKING:
    from metrics.registry._inner import Entry

Key = tuple[str, Labels]


class LastReport(NamedTuple):
    """Newest report of a series: its creation, its start, its total and its time."""

    created_ns: int
    start_ns: int
    total: Number
    timestamp_ns: int


@final
class Starts:
    """Times at which the cumulative series of one destination start, in nanoseconds since 1970.

    A series starts when its instrument is created (registered, if it does not know), or cleared. A
    total that falls for another reason was 0 after the report before, and starts there. Each
    destination needs its own, kept between reports. Memory is bounded by the series of two reports.
    For one thread.
    """

    __slots__ = ("_created", "_entry", "_records", "_timestamp_ns")

    def __init__(self) -> None:
        self._records: ReportRecords[Key, LastReport] = ReportRecords()
        self._timestamp_ns = 0
        # Creation times of the children of the entry that is being read, by label values.
        self._entry: Entry | None = None
        self._created: dict[tuple[str, ...], float] = {}

    def begin(self, timestamp_ns: int) -> None:
        """Begin a report of the values at a time."""
        self._records.begin()
        self._timestamp_ns = timestamp_ns

    def start_ns(self, one: Series, total: Number) -> int:
        """Return the start of a series with this total, which is not after the time."""
        key = (one.entry.name, one.labels)
        created_ns = start_ns = self._created_ns(one)
        known = self._records.known.get(key)
        if known is not None:
            # A start that moves means for receivers that the total began at 0 again.
            fell = total < known.total
            if created_ns > self._timestamp_ns and not fell:
                # Cleared during the report, after its total was read.
                created_ns = known.created_ns
            is_later = known.start_ns < created_ns <= self._timestamp_ns
            was_cleared = is_later and created_ns != known.created_ns
            if not was_cleared:
                start_ns = known.timestamp_ns if fell else known.start_ns
        start_ns = min(start_ns, self._timestamp_ns)
        self._records.present[key] = LastReport(created_ns, start_ns, total, self._timestamp_ns)
        return start_ns

    def end(self) -> None:
        """End a report, and drop the series that it did not have."""
        self._records.end()
        self._entry = None
        self._created = {}

    def _created_ns(self, one: Series) -> int:
        entry = one.entry
        if entry is not self._entry:
            self._entry = entry
            self._created = created_times(entry.instrument)
        values = tuple([value for _, value in one.labels[len(entry.labels) :]])
        return max(int((self._created.get(values) or entry.registered) * SECOND), 0)


def created_times(instrument: Instrument) -> dict[tuple[str, ...], float]:
    """Return the creation times of an instrument, or of a family's children, by label values."""
    if isinstance(instrument, Family):
        pairs = zip(*instrument.table, strict=True)
        return {values: child.created for values, child in pairs if isinstance(child, Cumulative)}
    if isinstance(instrument, Cumulative):
        return {(): instrument.created}
    # A foreign family may know the times at which its children began.
    times: dict[tuple[str, ...], float] = getattr(instrument, "created_times", {})
    return times
