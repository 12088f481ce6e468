"""Table of the shown series: ids, the differences of a read to the one before, and the history."""

import threading
from collections.abc import Iterable
from itertools import count
from typing import Any, NamedTuple, final

from metrics.instruments import BucketHistogramSnapshot
from metrics.integrations._dashboard.heat import Heat, bucket_heat, sample_heat
from metrics.integrations._dashboard.history import History
from metrics.integrations._dashboard.rows import CheckRow, Distribution, RegistryReading, Row, Value
from metrics.registry._inner import Labels, Worker

MOST_SERIES = 5000

QUANTILE_COLUMNS = 4
"""Columns of a distribution that have a history: the count and three quantiles."""

Key = tuple[str, Labels, str]
"""Name, labels and kind: a series with the same ones continues."""


class SeriesTexts(NamedTuple):
    """Texts of a series that its registration may change."""

    unit: str
    description: str
    overflow: bool


@final
class ShownSeries:
    """A series as it was sent last.

    Args:
        number: its id, which no other series gets.
    """

    __slots__ = ("counts", "heat", "metadata", "number", "total", "values")

    def __init__(self, number: int) -> None:
        self.number = number
        self.metadata = SeriesTexts("", "", overflow=False)
        self.values: tuple[Value, ...] = ()
        # Observations of the last read: all of them, and by bucket; None before the first read.
        self.total: int | None = None
        self.counts: tuple[int, ...] = ()
        # Observations between the last two reads; None of a series without distribution.
        self.heat: Heat | None = None

    def observe(self, distribution: Distribution) -> Heat:
        """Return the heat since the last read; empty at the first one, whose time is unknown."""
        total, before = distribution.total_count, self.total
        self.total = total
        if isinstance(distribution, BucketHistogramSnapshot):
            counts, earlier = distribution.counts, self.counts
            self.counts = counts
            # Fewer than before: the instrument was cleared.
            if before is None or total < before or len(counts) != len(earlier):
                return []
            increments = [now - then for now, then in zip(counts, earlier, strict=True)]
            return bucket_heat(distribution.bounds, increments)
        if before is None or total < before:
            return []
        return sample_heat(distribution.values, total - before)


@final
class ShownCheck:
    """A health check as it was sent last."""

    __slots__ = ("checked", "row", "since")

    def __init__(self, row: CheckRow, time: float) -> None:
        self.row = row
        # Of the last change between well and ill, as far as the page has seen it.
        self.since = time
        self.checked = time

    def update(self, row: CheckRow, time: float) -> bool:
        """Take the result of another read; return whether it is a different one."""
        changed = row != self.row
        if (row.error is None) is not (self.row.error is None):
            self.since = time
        self.row = row
        self.checked = time
        return changed

    def to_dict(self) -> dict[str, object]:
        """Return the check as the page reads it."""
        labels = "".join(f" {name}={text}" for name, text in self.row.labels)
        return {
            "name": self.row.name + labels,
            "error": self.row.error,
            "since": self.since,
            "checked": self.checked,
            "description": self.row.description,
        }


@final
class ShownTable:
    """Series and health checks of the last read, and their history. Safe to use from any thread.

    Args:
        interval: seconds between two reads.
        most: the number of series; further ones are counted.
    """

    def __init__(self, interval: float, most: int = MOST_SERIES) -> None:
        self.interval = interval
        self._most = most
        self._lock = threading.Lock()
        self._history = History(interval)
        self._numbers = count(1)
        self._series: dict[Key, ShownSeries] = {}
        self._checks: dict[tuple[str, Labels], ShownCheck] = {}
        self._surplus = 0
        self._overflow: list[int] = []
        self._workers: list[Worker] | None = None

    def advance(self, reading: RegistryReading) -> dict[str, Any]:
        """Take the values of another read; return the differences to the one before."""
        with self._lock:
            self._history.begin(reading.time)
            changes: dict[str, Any] = {"time": reading.time, "values": {}}
            added: list[dict[str, object]] = []
            heats: dict[str, Heat] = {}
            present: set[Key] = set()
            surplus = 0
            for row in self._shown_first(reading.rows):
                key = row.name, row.labels, row.kind
                shown = self._series.get(key)
                if shown is None and len(self._series) >= self._most:
                    surplus += 1
                    continue
                present.add(key)
                self._advance_series(key, shown, row, changes["values"], added, heats)
            removed = self._remove_absent(present, reading.unreadable, changes["values"])
            overflow = [one.number for one in self._series.values() if one.metadata.overflow]
            sent = {
                "added": (added, []),
                "removed": (removed, []),
                "heat": (heats, {}),
                "surplus": (surplus, self._surplus),
                "overflow": (overflow, self._overflow),
            }
            changes |= {name: now for name, (now, before) in sent.items() if now != before}
            self._surplus, self._overflow = surplus, overflow
            if self._advance_checks(reading):
                changes["health"] = self._health()
            if reading.workers != self._workers:
                self._workers = reading.workers
                changes["workers"] = workers_of(self._workers)
            return changes

    def state(self) -> dict[str, Any]:
        """Return everything but the history."""
        with self._lock:
            return {
                "series": [to_dict(key, shown) for key, shown in self._series.items()],
                "values": {str(one.number): one.values for one in self._series.values()},
                "heat": {str(one.number): one.heat for one in self._series.values() if one.heat},
                "surplus": self._surplus,
                "overflow": self._overflow,
                "workers": workers_of(self._workers),
                "health": self._health(),
            }

    def history(self) -> dict[str, object]:
        """Return the history of all series that have one."""
        with self._lock:
            return self._history.to_dict()

    def _shown_first(self, rows: list[Row]) -> Iterable[Row]:
        """Return rows in an order in which a new series takes no place of a shown one."""
        if len(rows) <= self._most:
            return rows
        return sorted(rows, key=lambda row: (row.name, row.labels, row.kind) not in self._series)

    def _advance_series(
        self,
        key: Key,
        shown: ShownSeries | None,
        row: Row,
        values: dict[str, tuple[Value, ...]],
        added: list[dict[str, object]],
        heats: dict[str, Heat],
    ) -> None:
        """Take the values of one series, and add its differences to the message."""
        metadata = SeriesTexts(row.unit, row.description, row.overflow)
        is_new = shown is None
        if shown is None:
            shown = self._series[key] = ShownSeries(next(self._numbers))
        if is_new or shown.metadata != metadata:
            shown.metadata = metadata
            added.append(to_dict(key, shown))
        if is_new or shown.values != row.values:
            shown.values = row.values
            values[str(shown.number)] = row.values
        columns = 1
        if row.distribution is not None:
            columns = QUANTILE_COLUMNS
            shown.heat = shown.observe(row.distribution)
            if shown.heat:
                heats[str(shown.number)] = shown.heat
        if not isinstance(row.values[0], str):
            self._history.add(shown.number, row.values[:columns], shown.heat)

    def _remove_absent(
        self, present: set[Key], unreadable: frozenset[str], values: dict[str, tuple[Value, ...]]
    ) -> list[int]:
        """Remove the series that a read has not found; return their ids.

        A series that cannot be read stays, without values.
        """
        removed = []
        for key in [key for key in self._series if key not in present]:
            shown = self._series[key]
            if key[0] not in unreadable:
                del self._series[key]
                self._history.drop(shown.number)
                removed.append(shown.number)
            elif any(value is not None for value in shown.values):
                shown.values = (None,) * len(shown.values)
                values[str(shown.number)] = shown.values
        return removed

    def _advance_checks(self, reading: RegistryReading) -> bool:
        """Take the results of the health checks; return whether one is different."""
        earlier, self._checks = self._checks, {}
        changed = False
        for row in reading.checks[: self._most]:
            key = row.name, row.labels
            known = earlier.pop(key, None)
            if known is None:
                known = ShownCheck(row, reading.time)
                changed = True
            else:
                changed = known.update(row, reading.time) or changed
            self._checks[key] = known
        return changed or bool(earlier)

    def _health(self) -> list[dict[str, object]]:
        return [check.to_dict() for check in self._checks.values()]


def to_dict(key: Key, shown: ShownSeries) -> dict[str, object]:
    """Return the names and texts of a series as the page reads them."""
    name, labels, kind = key
    described: dict[str, object] = {
        "id": shown.number,
        "name": name,
        "labels": dict(labels),
        "kind": kind,
        "unit": shown.metadata.unit,
        "description": shown.metadata.description,
    }
    if shown.metadata.overflow:
        described["overflow"] = True
    return described


def workers_of(workers: list[Worker] | None) -> list[dict[str, object]] | None:
    """Return the processes of a group as the page reads them; None without a group."""
    if workers is None:
        return None
    return [{"number": each.number, "pid": each.pid, "up": each.is_living} for each in workers]
