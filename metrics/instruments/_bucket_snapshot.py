"""Buckets of a histogram at one moment, and the statistics that they allow."""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import accumulate
from math import sqrt
from typing import final

from metrics.instruments._exemplars import Exemplars, with_exemplars
from metrics.instruments._sample import total
from metrics.instruments._snapshot import Snapshot


@final
class BucketHistogramSnapshot(Snapshot):
    """Buckets of a `BucketHistogram`.

    `count` is exact, and so are `sum` and `mean` unless they are `estimated`. `min`, `max`,
    `variance`, `stddev` and the percentiles are estimates that assume the values of a bucket to be
    spread evenly over it. The first bucket begins at 0 (at its own bound if that is negative), and
    values in the last one count as its lower bound: the same as PromQL's `histogram_quantile`. When
    empty all are 0.
    """

    __slots__ = ("_bounds", "_counts", "_estimated", "_exemplars", "_sum")
    fields = ("bounds", "counts", "sum", "estimated")

    def __init__(
        self,
        bounds: tuple[float, ...],
        counts: Sequence[int],
        sum: float,  # noqa: A002 - the field's name for it
        estimated: bool = False,
        exemplars: Exemplars = (),
    ) -> None:
        self._bounds = bounds
        self._counts = counts
        self._sum = sum
        self._estimated = estimated
        self._exemplars = exemplars

    @property
    def bounds(self) -> tuple[float, ...]:
        """Upper bounds, ascending and inclusive; the last bucket has none."""
        return self._bounds

    @property
    def counts(self) -> tuple[int, ...]:
        """Number of updates in each single bucket."""
        return tuple(self._counts)

    @property
    def buckets(self) -> tuple[int, ...]:
        """Cumulative counts: one for each bound, and the total last."""
        return tuple(accumulate(self._counts))

    @property
    def count(self) -> int:
        """Number of updates."""
        return sum(self._counts)

    @property
    def sum(self) -> float:
        """Sum over all updates."""
        return self._sum

    @property
    def estimated(self) -> bool:
        """Whether `sum` is an estimate from the counts, as `BucketHistogram.set_counts` makes it.

        The sum takes each value for the lower edge of its bucket, a biased estimate. The mean takes
        it for the middle, as go-ethereum's RuntimeHistogram does.
        """
        return self._estimated

    @property
    def exemplars(self) -> Exemplars:
        """Exemplar of each single bucket, None for a bucket without one; empty without any."""
        return self._exemplars

    @property
    def total_count(self) -> int:
        """Same as `count`: buckets never reset."""
        return self.count

    @property
    def total(self) -> int:
        """Number of updates."""
        return self.count

    @property
    def distribution(self) -> "BucketHistogramSnapshot":
        """The snapshot itself."""
        return self

    @property
    def mean(self) -> float:
        """Sum over count, or the mean of the buckets' middles if `estimated`; 0 when empty."""
        count = self.count
        if not count:
            return 0.0
        return self._middle(count) if self._estimated else self._sum / count

    def _middle(self, count: int) -> float:
        """Return the mean of the buckets' middles; `count` is not 0."""
        edges = [(n, *self._edges(index)) for index, n in enumerate(self._counts) if n]
        return total([n * (low / 2 + high / 2) for n, low, high in edges]) / count

    @property
    def min(self) -> float:
        """Lower edge of the first bucket that is not empty."""
        return self.percentile(0.0)

    @property
    def max(self) -> float:
        """Upper edge of the last bucket that is not empty."""
        return self.percentile(1.0)

    @property
    def variance(self) -> float:
        """Population variance, estimated."""
        count = self.count
        if not count:
            return 0.0
        held = [(n, *self._edges(index)) for index, n in enumerate(self._counts) if n]
        middle = self._middle(count)
        squares: list[float] = []
        for n, low, high in held:
            width = high - low
            away = low / 2 + high / 2 - middle
            # The variance of a uniform distribution is a twelfth of the square of its width.
            squares.append(n * (away * away + width * width / 12))
        return total(squares) / count

    @property
    def stddev(self) -> float:
        """Population standard deviation, estimated."""
        return sqrt(self.variance)

    def percentile(self, p: float) -> float:
        """Return an estimate of the value below which the fraction `p` of all values lies.

        Linear inside a bucket.

        Raises:
            ValueError: `p` is not between 0 and 1.
        """
        return self._estimate(p, self.buckets)

    def percentiles(self, ps: Iterable[float]) -> tuple[float, ...]:
        """Return `percentile(p)` for each `p`.

        Raises:
            ValueError: a `p` is not between 0 and 1.
        """
        cumulative = self.buckets
        return tuple([self._estimate(p, cumulative) for p in ps])

    def _estimate(self, p: float, cumulative: tuple[int, ...]) -> float:
        if not 0.0 <= p <= 1.0:
            raise ValueError(f"percentile() takes a fraction between 0 and 1, got {p!r}")
        if not cumulative[-1]:
            return 0.0
        rank = p * cumulative[-1]
        # A rank below 1 belongs to the first value, so that no empty bucket is found.
        index = bisect_left(cumulative, max(rank, 1.0))
        low, high = self._edges(index)
        count = self._counts[index]
        into = (rank - (cumulative[index] - count)) / count
        return min(high, low + (high - low) * into)

    def _edges(self, index: int) -> tuple[float, float]:
        """Return the lower and the upper edge of a bucket."""
        if index == len(self._bounds):
            return self._bounds[-1], self._bounds[-1]
        high = self._bounds[index]
        return (self._bounds[index - 1] if index else min(high, 0.0)), high

    def __reduce__(self) -> tuple[object, ...]:
        values = (self._bounds, self.counts, self._sum, self._estimated)
        return BucketHistogramSnapshot, with_exemplars(values, self._exemplars)

    def to_dict(self) -> dict[str, object]:
        """Return count, mean and sum, and the cumulative buckets under their bounds."""
        bounds = [*map(repr, self._bounds), "+Inf"]
        return {
            "count": self.count,
            "mean": self.mean,
            "sum": self._sum,
            "buckets": dict(zip(bounds, self.buckets, strict=True)),
        }
