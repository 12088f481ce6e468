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
    "percent": Scale("ratio", over=100),
    "nanoseconds": Scale("seconds", over=10**9),
    "microseconds": Scale("seconds", over=10**6),
    "milliseconds": Scale("seconds", over=10**3),
    "minutes": Scale("seconds", times=60),
    "hours": Scale("seconds", times=3600),
    "days": Scale("seconds", times=86400),
    "bits": Scale("bytes", over=8),
    "kilobytes": Scale("bytes", times=10**3),
    "megabytes": Scale("bytes", times=10**6),
    "gigabytes": Scale("bytes", times=10**9),
    "kibibytes": Scale("bytes", times=2**10),
    "mebibytes": Scale("bytes", times=2**20),
    "gibibytes": Scale("bytes", times=2**30),
}


def scale_of(unit: str) -> Scale:
    """Return how to turn a unit into its base unit; one that is not listed is its own."""
    return SCALES.get(unit) or Scale(unit)
