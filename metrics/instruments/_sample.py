"""Samples of a stream of values, and their statistics."""

from collections.abc import Iterable, Sequence
from math import fsum, sqrt
from typing import final

from metrics.instruments._snapshot import Snapshot

QUANTILES = (0.5, 0.75, 0.95, 0.99, 0.999)
"""Quantiles of `to_dict`: the median and four high percentiles."""


@final
class HistogramSnapshot(Snapshot):
    """Sample of the values of a `Histogram`.

    `count` and `sum` cover every update; `min`, `max`, `mean`, `stddev`, `variance` and the
    percentiles cover `values`, the sample that the reservoir kept, and are 0 if it is empty. A
    reservoir that resets counts and sums since the reader's last snapshot, while `total_count` and
    `total_sum` always cover the time since creation.
    """

    __slots__ = ("_count", "_sorted", "_sum", "_total_count", "_total_sum", "_values")
    fields = ("count", "sum", "values", "total_count", "total_sum")

    def __init__(
        self,
        count: int,
        sum: float,  # noqa: A002 - the field's name for it
        values: Sequence[float],
        total_count: int | None = None,
        total_sum: float | None = None,
    ) -> None:
        self._count = count
        self._sum = sum
        self._values = values
        self._sorted: tuple[float, ...] | None = None
        self._total_count = count if total_count is None else total_count
        self._total_sum = sum if total_sum is None else total_sum

    @property
    def count(self) -> int:
        """Number of updates, sampled or not."""
        return self._count

    @property
    def sum(self) -> float:
        """Sum over all updates, sampled or not."""
        return self._sum

    @property
    def total_count(self) -> int:
        """Number of updates since creation, read before or not."""
        return self._total_count

    @property
    def total_sum(self) -> float:
        """Sum over all updates since creation, read before or not."""
        return self._total_sum

    @property
    def total(self) -> int:
        """Number of updates since creation."""
        return self._total_count

    @property
    def distribution(self) -> "HistogramSnapshot":
        """The snapshot itself."""
        return self

    @property
    def size(self) -> int:
        """Number of values in the sample."""
        return len(self._values)

    @property
    def values(self) -> tuple[float, ...]:
        """Sample, in ascending order."""
        if self._sorted is None:
            self._sorted = tuple(sorted(self._values))
        return self._sorted

    @property
    def min(self) -> float:
        """Smallest value of the sample."""
        return min(self._values, default=0.0)

    @property
    def max(self) -> float:
        """Largest value of the sample."""
        return max(self._values, default=0.0)

    @property
    def mean(self) -> float:
        """Arithmetic mean of the sample."""
        return total(self._values) / len(self._values) if self._values else 0.0

    @property
    def variance(self) -> float:
        """Population variance of the sample."""
        if not self._values:
            return 0.0
        mean = self.mean
        return total([(v - mean) * (v - mean) for v in self._values]) / len(self._values)

    @property
    def stddev(self) -> float:
        """Population standard deviation of the sample."""
        return sqrt(self.variance)

    def percentile(self, p: float) -> float:
        """Return the value below which the fraction `p` of the sample lies.

        The position is `p * (size + 1)`, clamped to the ends and linear in between
        (Hyndman and Fan, "Sample Quantiles in Statistical Packages", 1996, definition 6).

        Raises:
            ValueError: `p` is not between 0 and 1.
        """
        if not 0.0 <= p <= 1.0:
            raise ValueError(f"percentile() takes a fraction between 0 and 1, got {p!r}")
        values = self.values
        if not values:
            return 0.0
        position = p * (len(values) + 1)
        if position < 1.0:
            return values[0]
        if position >= len(values):
            return values[-1]
        below = values[int(position) - 1]
        above = values[int(position)]
        return below + (position - int(position)) * (above - below)

    def percentiles(self, ps: Iterable[float]) -> tuple[float, ...]:
        """Return `percentile(p)` for each `p`.

        Raises:
            ValueError: a `p` is not between 0 and 1.
        """
        return tuple([self.percentile(p) for p in ps])

    def to_dict(self) -> dict[str, object]:
        """Return the numbers under go-ethereum's keys for a histogram."""
        median, p75, p95, p99, p999 = self.percentiles(QUANTILES)
        return {
            "count": self._count,
            "min": self.min,
            "max": self.max,
            "mean": self.mean,
            "stddev": self.stddev,
            "median": median,
            "75%": p75,
            "95%": p95,
            "99%": p99,
            "99.9%": p999,
        }


def total(values: Sequence[float]) -> float:
    """Return the sum without intermediate rounding; infinity if it is too large for a float."""
    try:
        return fsum(values)
    except OverflowError:
        return sum(values)
