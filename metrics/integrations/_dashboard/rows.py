"""Rows of the live page: the numbers of each series, in the order of the columns of its kind."""

from collections.abc import Callable, Iterable
from math import isfinite
from typing import NamedTuple

from metrics.exporters._series.series import Labels, Series, read_series
from metrics.instruments import (
    BucketHistogramSnapshot,
    HealthcheckSnapshot,
    HistogramSnapshot,
    Snapshot,
)
from metrics.instruments._inner import Point
from metrics.registry import Registry
from metrics.registry._inner import Worker, store_of

OVERFLOW = "_overflow"
"""Each label value of the child for label sets above the limit of a family."""

QUANTILES = (0.5, 0.95, 0.99)

MOST_TEXT = 200
"""Most characters of info labels."""

MOST_DESCRIPTION = 500

EXACT = 1 << 53
"""Integers up to here are numbers of JavaScript; larger ones are rounded."""

Value = float | str | None
"""A number or text; None for missing values, NaN and infinities."""

Distribution = HistogramSnapshot | BucketHistogramSnapshot


class Row(NamedTuple):
    """One series at one read.

    name: the full name.
    labels: constant labels, and the labels of the child.
    kind: the name of the instrument's class.
    unit, description: of the registration.
    overflow: whether it is the child for label sets above the limit of its family.
    values: the values, as many for each series of a kind.
    distribution: the distribution that its heat comes from; None without one.
    """

    name: str
    labels: Labels
    kind: str
    unit: str
    description: str
    overflow: bool
    values: tuple[Value, ...]
    distribution: Distribution | None


class CheckRow(NamedTuple):
    """Result of one health check."""

    name: str
    labels: Labels
    description: str
    error: str | None


class RegistryReading(NamedTuple):
    """Values of a registry at one read.

    time: seconds since the Unix epoch.
    rows: the series in name order.
    checks: the results of the health checks, which are not older than an interval.
    unreadable: names of the instruments that could not be read.
    workers: the processes that share their values; None without any group.
    """

    time: float
    rows: list[Row]
    checks: list[CheckRow]
    unreadable: frozenset[str]
    workers: list[Worker] | None


def read(registry: Registry, reader: str, redact: Callable[[str], str]) -> RegistryReading:
    """Return the values of a registry now. Calls functions of gauges, and stale health checks.

    Args:
        registry: the registry.
        reader: the reader's name, for values that reset at a read.
        redact: returns the text of a failed check without secrets.

    Raises:
        OSError: the values of other processes cannot be read.
    """
    rows: list[Row] = []
    checks: list[CheckRow] = []
    for one in read_series(registry, reader):
        snapshot = one.snapshot
        if isinstance(snapshot, HealthcheckSnapshot):
            error = None if snapshot.error is None else redact(snapshot.error)
            checks.append(CheckRow(one.name, one.labels, one.entry.description, error))
        elif (row := row_of(one)) is not None:
            rows.append(row)
    store = store_of(registry)
    workers = [worker for group in store.groups for worker in group.workers()]
    return RegistryReading(
        registry.clock.time(),
        rows,
        checks,
        store.unreadable.names(),
        workers if store.groups else None,
    )


def row_of(one: Series) -> Row | None:
    """Return the row of a series; None for a snapshot without any number or text."""
    snapshot = one.snapshot
    stand_in, values = columns_of(snapshot)
    if stand_in is None:
        return None
    own = one.labels[len(one.entry.labels) :]
    return Row(
        one.name,
        one.labels,
        stand_in if one.kind is None else one.kind.instrument.__name__,
        one.entry.unit,
        one.entry.description[:MOST_DESCRIPTION],
        bool(own) and all(text == OVERFLOW for _, text in own),
        values,
        snapshot.distribution,
    )


def columns_of(snapshot: Snapshot) -> tuple[str | None, tuple[Value, ...]]:
    """Return the kind that has the same columns as a snapshot, and its values."""
    distribution, rates = snapshot.distribution, snapshot.rates
    moving: tuple[Value, ...] = ()
    if rates is not None:
        moving = number(rates.rate1), number(rates.rate5), number(rates.rate15)
    if distribution is not None:
        return "Timer" if moving else "Histogram", (*distribution_columns(distribution), *moving)
    if rates is not None:
        return "Meter", (number(rates.count), *moving)
    for kind, value in (("Counter", snapshot.total), ("Gauge", snapshot.scalar)):
        if value is not None:
            return kind, (number(value),)
    if snapshot.points:
        return "Info", (text_of_points(snapshot.points),)
    return None, ()


def distribution_columns(distribution: Distribution) -> tuple[Value, ...]:
    """Return count, quantiles, mean, and the extremes that only a sample has."""
    count = number(distribution.total_count)
    extremes: tuple[Value, Value] = None, None
    if isinstance(distribution, BucketHistogramSnapshot):
        is_empty = not distribution.count
    else:
        is_empty = not distribution.size
        extremes = number(distribution.min), number(distribution.max)
    if is_empty:
        return count, None, None, None, None, None, None
    quantiles = map(number, distribution.percentiles(QUANTILES))
    return count, *quantiles, number(distribution.mean), *extremes


def number(value: object) -> float | None:
    """Return a number as JavaScript has it; None for NaN, infinities, and any other object."""
    if not isinstance(value, int | float):
        return None
    try:
        exact = isinstance(value, int) and -EXACT <= value <= EXACT
        plain = int(value) if exact else float(value)
    except OverflowError:
        return None
    return plain if isfinite(plain) else None


def text_of_points(points: Iterable[Point]) -> str:
    """Return info labels as `version=1.2 commit=abc`, and of states the ones that are on."""
    texts = [
        text if name is None else f"{name}={text}"
        for point in points
        if point.value
        for name, text in point.labels
    ]
    return " ".join(texts)[:MOST_TEXT]
