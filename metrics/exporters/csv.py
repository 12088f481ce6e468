"""CSV: a row for each number.

The format: RFC 4180, in UTF-8.
"""

import csv
from collections.abc import Iterator
from typing import final

from metrics.exporters._encoding.framing import join_chunks, render_of
from metrics.exporters._encoding.numbers import clamp
from metrics.exporters._encoding.units import SECOND, checked_ns
from metrics.exporters._series.series import labels_text, read_series
from metrics.instruments._inner import Whole
from metrics.registry import Registry

CONTENT_TYPE = "text/csv; charset=utf-8; header=present"

COLUMNS = ("timestamp", "name", "labels", "field", "value")

GUARDED = ("=", "+", "-", "@", "\t", "\r", "\n", "'")
"""Beginnings of text that a spreadsheet may take for a formula, and the guard before them."""


def stream(
    registry: Registry, *, timestamp_ns: Whole, header: bool = True, reader: str = "csv"
) -> Iterator[bytes]:
    """Yield the values of a registry as rows of timestamp, name, labels, field and value.

    The timestamp is in seconds since 1970, exact to the nanosecond. Labels are one cell,
    `{method="GET"}`. Fields are go-ethereum's keys, as in the JSON format; one in another has a
    dot: `buckets.0.5`, `value.version`. Durations are in seconds. Numbers are written so that they
    read back as the same numbers, also `nan`, `inf` and `-inf`.

    A spreadsheet runs a cell that begins with `=`, `+`, `-` or `@` as a formula. A name, a field or
    a text that does (or that begins with `'`, or with white space that ends a cell) gets a `'` in
    front, which a program that reads the text removes again.

    Chunks have some tens of KB each, of whole rows.

    Args:
        registry: the registry to read.
        timestamp_ns: the time of the values, in nanoseconds since 1970.
        header: whether the first row has the names of the columns; False appends to a file.
        reader: the name of the reader; values that reset when read reset for this reader alone.

    Raises:
        TypeError: `timestamp_ns` is not an int.
        ValueError: `timestamp_ns` is negative or has more than 63 bits.
    """
    seconds, rest = divmod(checked_ns(timestamp_ns), SECOND)
    return join_chunks(rows(registry, f"{seconds}.{rest:09d}", header=header, reader=reader))


render = render_of(stream)


def rows(registry: Registry, timestamp: str, *, header: bool, reader: str) -> Iterator[str]:
    """Yield the rows of one instrument or child at a time."""
    buffer = RowBuffer()
    writer = csv.writer(buffer)
    if header:
        writer.writerow(COLUMNS)
        yield buffer.take()
    for one in read_series(registry, reader):
        name = guard(one.name)
        labels = labels_text(one.labels)
        for field, value in flat(one.snapshot.to_dict()):
            writer.writerow((timestamp, name, labels, guard(field), cell(value)))
        yield buffer.take()


def flat(values: dict[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    """Yield fields and values; a field in another one has both names, with a dot between them."""
    for field, value in values.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{field}.")
        else:
            yield prefix + field, value


def cell(value: object) -> str:
    """Return the text of a cell; empty for None."""
    if value is None:
        return ""
    if isinstance(value, int | float):
        return repr(clamp(value))
    return guard(str(value))


def guard(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(GUARDED) else text


@final
class RowBuffer:
    """Rows of a `csv.writer` that have not been yielded yet."""

    __slots__ = ("_rows",)

    def __init__(self) -> None:
        self._rows: list[str] = []

    def write(self, row: str) -> None:
        """Add a row."""
        self._rows.append(row)

    def take(self) -> str:
        """Remove and return the rows."""
        text = "".join(self._rows)
        self._rows = []
        return text
