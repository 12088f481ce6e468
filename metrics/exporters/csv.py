"""CSV: a row for each number.

The format: RFC 4180, in UTF-8.
"""

import csv
from collections.abc import Iterator
from typing import final

from metrics.exporters._encoding.framing import chunked, render_of
from metrics.exporters._encoding.numbers import bounded
from metrics.exporters._encoding.units import SECOND, checked_ns
from metrics.exporters._series.series import labels_text, read_series
from metrics.instruments._inner import Whole
from metrics.registry import Registry

CONTENT_TYPE = "text/csv; charset=utf-8; header=present"

COLUMNS = ("timestamp", "name", "labels", "field", "value")

GUARDED = ("=", "+", "-", "@", "\t", "\r", "\n", "'")
"""What text begins with that a spreadsheet may take for a formula, and what guards it."""


def stream(
    registry: Registry, *, timestamp_ns: Whole, header: bool = True, reader: str = "csv"
) -> Iterator[bytes]:
    """Yield the values of a registry as rows of timestamp, name, labels, field and value.

    The timestamp is in seconds since 1970, exact to the nanosecond. Labels are one cell,
    `{method="GET"}`. Fields are go-ethereum's keys, as in the JSON format; one in another has a
    dot: `buckets.0.5`, `value.version`. Durations are in seconds. Numbers are written so that they
    read back as the same numbers, also `nan`, `inf` and `-inf`.

    A spreadsheet runs what begins with `=`, `+`, `-` or `@`. Numbers may; a name, a field or a
    text that does (or that begins with white space that ends a cell, or `'`) gets a `'` in front,
    which a reader that wants the very text takes off again.

    Chunks have some tens of KB each, of whole rows.

    Args:
        registry: what to read.
        timestamp_ns: the time of the values, in nanoseconds since 1970.
        header: whether the first row has the names of the columns; False appends to a file.
        reader: who reads; what resets when it is read resets for this reader alone.

    Raises:
        TypeError: `timestamp_ns` is not an int.
        ValueError: `timestamp_ns` is negative or has more than 63 bits.
    """
    seconds, rest = divmod(checked_ns(timestamp_ns), SECOND)
    return chunked(rows(registry, f"{seconds}.{rest:09d}", header=header, reader=reader))


render = render_of(stream)


def rows(registry: Registry, timestamp: str, *, header: bool, reader: str) -> Iterator[str]:
    """Yield the rows, those of one instrument or child at a time."""
    waiting = Waiting()
    writer = csv.writer(waiting)
    if header:
        writer.writerow(COLUMNS)
        yield waiting.taken()
    for one in read_series(registry, reader):
        name = guarded(one.name)
        labels = labels_text(one.labels)
        for field, value in flat(one.snapshot.to_dict()):
            writer.writerow((timestamp, name, labels, guarded(field), cell(value)))
        yield waiting.taken()


def flat(values: dict[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    """Yield fields and values; one in another has both names, with a dot between them."""
    for field, value in values.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{field}.")
        else:
            yield prefix + field, value


def cell(value: object) -> str:
    """Return a value as it is written; None is empty."""
    if value is None:
        return ""
    if isinstance(value, int | float):
        return repr(bounded(value))
    return guarded(str(value))


def guarded(text: str) -> str:
    """Return a text that a spreadsheet takes for nothing but text."""
    return f"'{text}" if text.startswith(GUARDED) else text


@final
class Waiting:
    """What a `csv.writer` has written since somebody took it."""

    __slots__ = ("_rows",)

    def __init__(self) -> None:
        self._rows: list[str] = []

    def write(self, row: str) -> None:
        """Keep a row."""
        self._rows.append(row)

    def taken(self) -> str:
        """Return the rows and keep none."""
        text = "".join(self._rows)
        self._rows = []
        return text
