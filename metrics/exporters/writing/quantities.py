"""Numbers and units as people write them: `1.2ms`, `3.4MiB`, `12.5%`; in a sentence `16 MiB`."""

from collections.abc import Callable
from math import isfinite

from metrics._units import scale_of
from metrics.exporters.writing.numbers import Number, bounded

Writer = Callable[[Number], str]
"""Writes the numbers of one unit."""

DURATIONS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "us"), (1e-9, "ns"))

SIZES = ((2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"), (1, "B"))

WHOLE = 1e3
"""From here on a number is written without a fraction."""

LONG = 1e15
"""From here on a float is written with an exponent."""


def writer_of(unit: str) -> Writer | None:
    """Return what writes numbers of a unit; None if numbers do not show the unit."""
    scale = scale_of(unit)
    if scale.base == "seconds":
        return lambda value: scaled(scale.of(value), DURATIONS, "s")
    if scale.base == "bytes":
        return lambda value: scaled(scale.of(value), SIZES, "B")
    if unit == "percent":
        return lambda value: f"{rounded(value)}%"
    return rounded if unit in {"", "ratio"} else None


def scaled(
    value: Number, steps: tuple[tuple[float, str], ...], base: str, between: str = ""
) -> str:
    """Return a number in the largest unit of which there is one, or else in the smallest."""
    value = bounded(value)
    if not value or not isfinite(value):
        return rounded(value) + between + base
    step, name = next((step for step in steps if abs(value) >= step[0]), steps[-1])
    return rounded(value / step) + between + name


def size_text(size: int) -> str:
    """Return bytes as a sentence has them: `16 MiB`."""
    return scaled(size, SIZES, "B", " ")


def several(count: int, one: str, many: str) -> str:
    """Return so many of something as a sentence has them: `no try`, `1 try`, `2 tries`."""
    return f"{count} {many}" if count > 1 else f"1 {one}" if count else f"no {one}"


def rounded(value: Number) -> str:
    """Return a number with four digits at least; an int as it is."""
    value = bounded(value)
    if isinstance(value, int):
        return str(value)
    return f"{value:.0f}" if WHOLE <= abs(value) < LONG else f"{value:.4g}"
