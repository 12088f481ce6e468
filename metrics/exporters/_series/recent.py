"""Values of resetting instruments from the last seconds, for readers that share a page.

A resetting timer has the values since its reader's last read. Several scrapers of one page are one
reader: each would see the values that the others have not seen. With a window, every read moves the
new values into a record, and shows the values of the whole window.
"""

import threading
from collections.abc import Iterable
from math import fsum
from typing import NamedTuple, final

from metrics.clock import Clock
from metrics.instruments import Family, FamilySnapshot, HistogramSnapshot, Instrument, Snapshot
from metrics.instruments._inner import Real, finite
from metrics.registry import Registry
from metrics.registry._inner import Entries, Entry, kind_of, store_of

LIMIT = 32_768
"""Most values kept of an instrument: as many as a resetting timer of the default size returns."""

GRAIN = 16
"""Batches of a window; batches of faster reads are merged."""

Values = tuple[str, ...]


class Batch(NamedTuple):
    """New values of one read, or of several within a fraction of the window.

    began, ended: times of the first and the last of these reads, in seconds of the clock.
    total: the number of values, kept or not.
    sum: their sum.
    values: the sample, in ascending order.
    """

    began: float
    ended: float
    total: int
    sum: float
    values: tuple[float, ...]


@final
class Record:
    """Batches of one instrument, oldest first. Guarded by the lock of its `Records`."""

    __slots__ = ("batches", "instrument", "total_count")

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        self.batches: list[Batch] = []
        self.total_count = 0

    def add(self, new: HistogramSnapshot, now: float, window: float) -> HistogramSnapshot:
        """Add the new values of a read, and return the values of the window.

        Args:
            new: the snapshot of this read.
            now: the time of the read, in seconds of the clock.
            window: seconds for which values are kept.
        """
        batches = self.batches
        if new.total_count < self.total_count:
            # The instrument was cleared.
            batches.clear()
        self.total_count = new.total_count
        if new.count:
            batch = Batch(now, now, new.count, new.sum, new.values)
            if batches and now - batches[-1].began < window / GRAIN:
                batch = merge_batches(batches.pop(), batch)
            batches.append(batch)
        while batches and batches[0].ended < now - window:
            del batches[0]
        # The newest values stay; counts and sums stay exact.
        held = 0
        for index in range(len(batches) - 1, -1, -1):
            held += len(batches[index].values)
            if held > LIMIT and index < len(batches) - 1:
                batches[index] = batches[index]._replace(values=())
        return HistogramSnapshot(
            sum([batch.total for batch in batches]),
            fsum([batch.sum for batch in batches]),
            [value for batch in batches for value in batch.values],
            new.total_count,
            new.total_sum,
        )


@final
class Records:
    """Records of the instruments of a registry that one reader reads, by full name and labels.

    Safe to use from any thread.
    """

    __slots__ = ("_by_name", "_window", "lock")

    def __init__(self) -> None:
        self._by_name: dict[str, dict[Values, Record]] = {}
        # The longest window of any page of the reader.
        self._window = 0.0
        # A signal handler may render a page while its own thread does.
        self.lock = threading.RLock()

    def record(self, name: str, values: Values, instrument: Instrument) -> Record:
        """Return the record of a child, created for a new one."""
        records = self._by_name.setdefault(name, {})
        record = records.get(values)
        if record is None or record.instrument is not instrument:
            record = records[values] = Record(instrument)
        return record

    def widen(self, window: float) -> float:
        """Return the longest window of the pages of the reader, this one included."""
        self._window = max(self._window, window)
        return self._window

    def retain(self, name: str, present: Iterable[Values]) -> None:
        """Drop the records of children that are gone."""
        with self.lock:
            records = self._by_name.get(name, {})
            self._by_name[name] = {v: records[v] for v in present if v in records}

    def prune(self, table: Entries) -> None:
        """Drop the records of unregistered instruments."""
        with self.lock:
            for name in [name for name in self._by_name if name not in table]:
                del self._by_name[name]


@final
class Recent:
    """Values of the last seconds for one page.

    Args:
        records: the values that the reader has read before.
        reader: the reader's name.
        window: seconds of values to show at least.
        clock: the registry's clock.
    """

    __slots__ = ("_clock", "_reader", "_records", "_window")

    def __init__(self, records: Records, reader: str, window: float, clock: Clock) -> None:
        self._records = records
        self._reader = reader
        self._window = records.widen(window)
        self._clock = clock

    def read(self, entry: Entry) -> Snapshot:
        """Return the values of an instrument, or of all children of a family."""
        instrument = entry.instrument
        kind = kind_of(instrument)
        if kind is None or not kind.resets:
            return instrument.snapshot(self._reader)
        if not isinstance(instrument, Family):
            return self.snapshot(entry.name, (), instrument)
        children = instrument.children()
        snapshots = {
            values: self.snapshot(entry.name, values, child) for values, child in children.items()
        }
        self.retain(entry.name, children)
        return FamilySnapshot(
            instrument.labelnames, snapshots, instrument.overflowed, instrument.truncated
        )

    def snapshot(self, name: str, values: Values, child: Instrument) -> Snapshot:
        """Return the values of one resetting instrument within the window.

        Args:
            name: the full name of the instrument or its family.
            values: the label values of a child; none for an instrument without labels.
            child: the instrument.
        """
        # Another scraper must not read between this read and the addition to the record.
        with self._records.lock:
            new = child.snapshot(self._reader)
            if not isinstance(new, HistogramSnapshot):
                return new
            record = self._records.record(name, values, child)
            return record.add(new, self._clock.monotonic(), self._window)

    def retain(self, name: str, present: Iterable[Values]) -> None:
        """Drop the values of children that are gone."""
        self._records.retain(name, present)


def merge_batches(first: Batch, second: Batch) -> Batch:
    """Return two batches as one; of too many values the second's alone."""
    values = (*first.values, *second.values)
    return Batch(
        first.began,
        second.ended,
        first.total + second.total,
        first.sum + second.sum,
        second.values if len(values) > LIMIT else tuple(sorted(values)),
    )


def checked_window(window: Real) -> float:
    """Return a window as seconds.

    Raises:
        TypeError: `window` is not a number.
        ValueError: `window` is negative, infinite or NaN.
    """
    seconds = finite("window", window)
    if seconds < 0.0:
        raise ValueError(f"invalid window {window!r}: pass seconds, or 0 for the last read")
    return seconds


def recent_of(registry: Registry, reader: str, window: float) -> Recent | None:
    """Return the recent values for a page of a reader; None without a window."""
    if not window:
        return None
    store = store_of(registry)
    # Pages of parents and children have one reader, too.
    records = store.keep_shared(f"recent values of {reader}", Records)
    records.prune(store.table)
    return Recent(records, reader, window, registry.clock)
