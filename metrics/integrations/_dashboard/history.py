"""History of series: the values of the last minutes in arrays of doubles, bounded in bytes."""

import struct
from array import array
from collections.abc import Iterable, Sequence
from math import ceil, isnan, nan
from typing import final

from metrics.integrations._dashboard.heat import Heat
from metrics.integrations._dashboard.rows import Value

SECONDS = 900.0
"""Length of the history: the longest of the rates."""

MOST_POINTS = 900

MOST_BYTES = 64 << 20
"""Most bytes of all series; further series have no history."""

ENTRY = struct.Struct("<bI")
"""Bucket and observations, as a heat is kept: 5 bytes."""

MOST_OBSERVATIONS = (1 << 32) - 1

HEAT_BYTES = 120
"""Bytes of the heat at one time, at most: 16 entries and their object."""


@final
class History:
    """Rings of values by series, which have a common position. For one thread at a time.

    Args:
        interval: seconds between two points.
        most_bytes: the bytes of all rings.
    """

    __slots__ = ("_budget", "_columns", "_heats", "_position", "_times", "points")

    def __init__(self, interval: float, most_bytes: int = MOST_BYTES) -> None:
        self.points = max(min(ceil(SECONDS / interval), MOST_POINTS), 1)
        self._budget = most_bytes
        # NaN where there is no value yet, or no longer.
        self._times = array("d", [nan]) * self.points
        self._columns: dict[int, list[array[float]]] = {}
        self._heats: dict[int, list[bytes]] = {}
        self._position = -1

    def begin(self, time: float) -> None:
        """Begin the next point, without values; it replaces the oldest one."""
        self._position = position = (self._position + 1) % self.points
        self._times[position] = time
        for columns in self._columns.values():
            for column in columns:
                column[position] = nan
        for heats in self._heats.values():
            heats[position] = b""

    def add(self, series: int, values: Sequence[Value], heat: Heat | None) -> None:
        """Add the values of a series to the present point, if there is room for its history.

        Args:
            series: the id of the series.
            values: as many values at each point.
            heat: the heat; None of a series that never has one.
        """
        columns = self._columns.get(series)
        if columns is None:
            size = self._size(len(values), has_heat=heat is not None)
            if size > self._budget:
                return
            self._budget -= size
            columns = self._columns[series] = [
                array("d", [nan]) * self.points for _ in range(len(values))
            ]
            if heat is not None:
                self._heats[series] = [b""] * self.points
        for column, value in zip(columns, values, strict=True):
            # Text has no history.
            column[self._position] = value if isinstance(value, int | float) else nan
        if heat and series in self._heats:
            self._heats[series][self._position] = heat_to_bytes(heat)

    def drop(self, series: int) -> None:
        """Drop the history of a series."""
        columns = self._columns.pop(series, None)
        if columns is not None:
            has_heat = self._heats.pop(series, None) is not None
            self._budget += self._size(len(columns), has_heat=has_heat)

    def to_dict(self) -> dict[str, object]:
        """Return times, values and heats, oldest first, with None for gaps."""
        start = self._position + 1
        order = [*range(start, self.points), *range(start)]
        order = [position for position in order if not isnan(self._times[position])]
        return {
            "times": [self._times[position] for position in order],
            "series": {
                str(series): [values_at(column, order) for column in columns]
                for series, columns in self._columns.items()
            },
            "heat": {
                str(series): [heat_from_bytes(heats[position]) for position in order]
                for series, heats in self._heats.items()
            },
        }

    def _size(self, columns: int, *, has_heat: bool) -> int:
        """Return the bytes of the rings of one series."""
        return self.points * (8 * columns + HEAT_BYTES * has_heat)


def values_at(column: "array[float]", positions: Iterable[int]) -> list[float | None]:
    """Return the values of a column at some positions."""
    return [None if isnan(value := column[position]) else value for position in positions]


def heat_to_bytes(heat: Heat) -> bytes:
    """Return a heat as bytes."""
    return b"".join([ENTRY.pack(index, min(count, MOST_OBSERVATIONS)) for index, count in heat])


def heat_from_bytes(data: bytes) -> list[tuple[int, int]]:
    """Return the heat that bytes stand for."""
    return list(ENTRY.iter_unpack(data))
