"""Base units: what Prometheus and OpenMetrics want values to be measured in."""

from math import inf
from typing import NamedTuple


class Scale(NamedTuple):
    """How to turn a value into base units: times one number, divided by another.

    One of the two is 1, so that a value is rounded once: 9 ms are 0.009 s to the last digit.
    """

    base: str
    times: int = 1
    over: int = 1

    def of(self, value: int | float) -> int | float:  # noqa: PYI041 - compiled, a float is no int
        """Return a value in base units; what is in them already stays as it is, ints exact."""
        if self.times == self.over:
            return value
        try:
            return value * self.times / self.over
        except OverflowError:
            return inf if value > 0 else -inf


SCALES = {
    "percent": Scale("ratio", 1, 100),
    "nanoseconds": Scale("seconds", 1, 10**9),
    "microseconds": Scale("seconds", 1, 10**6),
    "milliseconds": Scale("seconds", 1, 10**3),
    "minutes": Scale("seconds", 60, 1),
    "hours": Scale("seconds", 3600, 1),
    "days": Scale("seconds", 86400, 1),
    "bits": Scale("bytes", 1, 8),
    "kilobytes": Scale("bytes", 10**3, 1),
    "megabytes": Scale("bytes", 10**6, 1),
    "gigabytes": Scale("bytes", 10**9, 1),
    "kibibytes": Scale("bytes", 2**10, 1),
    "mebibytes": Scale("bytes", 2**20, 1),
    "gibibytes": Scale("bytes", 2**30, 1),
}
"""Units to what Prometheus and OpenMetrics want instead; any other unit is its own."""


def scale_of(unit: str) -> Scale:
    """Return how to turn a unit into its base unit; one that is not listed is its own."""
    return SCALES.get(unit) or Scale(unit)


def base_unit(unit: str) -> str:
    """Return what values of a unit are written in."""
    return SCALES[unit].base if unit in SCALES else unit
