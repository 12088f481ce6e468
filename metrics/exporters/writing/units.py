"""Base units: what Prometheus and OpenMetrics want values to be measured in."""

from math import inf
from typing import NamedTuple

from metrics.names import BASE_UNITS


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


FACTORS = {
    "percent": (1, 100),
    "nanoseconds": (1, 10**9),
    "microseconds": (1, 10**6),
    "milliseconds": (1, 10**3),
    "minutes": (60, 1),
    "hours": (3600, 1),
    "days": (86400, 1),
    "bits": (1, 8),
    "kilobytes": (10**3, 1),
    "megabytes": (10**6, 1),
    "gigabytes": (10**9, 1),
    "kibibytes": (2**10, 1),
    "mebibytes": (2**20, 1),
    "gibibytes": (2**30, 1),
}

SCALES = {unit: Scale(base, *FACTORS[unit]) for unit, base in BASE_UNITS.items()}


def scale_of(unit: str) -> Scale:
    """Return how to turn a unit into its base unit; one that is not listed is its own."""
    return SCALES.get(unit) or Scale(unit)
